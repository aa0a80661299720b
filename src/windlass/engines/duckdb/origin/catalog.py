"""The structure of a DuckDB file, from its catalog."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

from windlass.errors import WindlassError
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass
from windlass.model.translation import (
    Check,
    ForeignKey,
    Index,
    IndexPart,
    Key,
    SourceColumn,
    SourceSchema,
    SourceTable,
    SourceView,
)

_NEXT = re.compile(r"nextval\('((?:[^']|'')+)'\)", re.IGNORECASE)
ROWID = "rowid"  # the number of a row
_COLLATE = re.compile(r"\bCOLLATE\s+\"?(\w+)", re.IGNORECASE)
_CONSTRAINTS = """
    select schema_name, table_name, constraint_type, constraint_column_names, constraint_name,
           expression, referenced_table, referenced_column_names
      from duckdb_constraints() where database_name = current_database()
     order by table_oid, constraint_index"""
_INDEXES = """
    select schema_name, table_name, index_name, is_unique, cast(expressions as varchar[])
      from duckdb_indexes() where database_name = current_database() order by index_name"""
_SEQUENCES = """
    select schema_name, sequence_name, start_value, increment_by, last_value
      from duckdb_sequences() where database_name = current_database()"""
_VIEWS = """
    select v.schema_name, v.view_name, any_value(v.sql),
           list(c.column_name order by c.column_index), list(c.data_type order by c.column_index)
      from duckdb_views() as v
      join duckdb_columns() as c
        on c.database_name = v.database_name and c.schema_name = v.schema_name
       and c.table_name = v.view_name
     where v.database_name = current_database() and not v.internal and not v.temporary
     group by 1, 2 order by 1, 2"""
_MACROS = """
    select distinct schema_name, function_name from duckdb_functions()
     where database_name = current_database() and not internal order by 1, 2"""


@dataclass(frozen=True, slots=True)
class Found:
    schema: SourceSchema
    losses: Mapping[Name, Sequence[Loss]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Sequence:
    """`next` is the next value, `step` the increment."""

    name: Name
    next: int
    step: int


def read_catalog(session: Any) -> Found:
    sequences = [
        _Sequence(Name(schema, name), int(start if last is None else last + step), int(step))
        for schema, name, start, step, last in session.execute(_SEQUENCES).fetchall()
    ]
    tables, losses = _tables(session, sequences)
    _add_constraints(session, tables)
    for schema, table, name, unique, expressions in session.execute(_INDEXES).fetchall():
        one = tables[Name(schema, table)]
        parts = tuple(_part(one, text) for text in expressions)
        index = Index(name, parts, bool(unique))
        tables[one.name] = replace(one, indexes=(*one.indexes, index))
    views = tuple(
        SourceView(
            Name(schema, name),
            tuple(columns),
            text.partition(" AS ")[2].rstrip("; \n"),
            tuple(SourceColumn(*pair) for pair in zip(columns, types, strict=True)),
        )
        for schema, name, text, columns, types in session.execute(_VIEWS).fetchall()
    )
    carried = {_counted(column, sequences) for one in tables.values() for column in one.columns}
    others = [("sequence", one.name) for one in sequences if one not in carried]
    others += [("macro", Name(*row)) for row in session.execute(_MACROS).fetchall()]
    return Found(SourceSchema(tuple(tables.values()), views, tuple(others)), losses)


def _tables(
    session: Any, sequences: Sequence[_Sequence]
) -> tuple[dict[Name, SourceTable], dict[Name, list[Loss]]]:
    query = (resources.files("windlass.engines.duckdb") / "origin/structure.sql").read_text()
    found: dict[Name, SourceTable] = {}
    losses: dict[Name, list[Loss]] = {}
    rows = session.execute(query).fetchall()
    uses = Counter(
        text.lower() for *_, default, _, _, _ in rows for text in _NEXT.findall(default or "")
    )
    for schema, table, count, comment, definition, *of_column in rows:
        name = Name(schema, table)
        if name not in found:
            named = {row[5].lower() for row in rows if row[:2] == (schema, table)}
            pages = () if ROWID in named else (ROWID,)  # a column has taken that name
            found[name] = SourceTable(name, (), comment=comment or "", rows=count, pages_by=pages)
            losses[name] = list(_collations(name, definition))
            computes = "GENERATED ALWAYS" in definition
            if computes and not any(row[-1] for row in rows if row[:2] == (schema, table)):
                raise WindlassError(
                    f"{name}: this version of DuckDB does not say which columns are computed",
                    hint="pip install 'duckdb>=2'",
                )
        one = found[name]
        column = _column(of_column)
        counts = _counted(column, sequences)
        if counts and counts.step == 1 and uses[_NEXT.findall(column.default)[0].lower()] == 1:
            column = replace(column, counts_up=True)
            one = replace(one, next_number=counts.next)
        found[name] = replace(one, columns=(*one.columns, column))
    return found, losses


def _column(of_column: Sequence[Any]) -> SourceColumn:
    name, type_, default, nullable, comment, computed = of_column
    return SourceColumn(
        name,
        type_,
        not_null=not nullable,
        default="" if computed else default or "",
        generated=(default or "") if computed else "",
        is_stored=not computed,
        comment=comment or "",
    )


def _counted(column: SourceColumn, sequences: Sequence[_Sequence]) -> _Sequence | None:
    """The sequence that fills a column."""
    match = _NEXT.fullmatch(column.default)
    if match is None:
        return None
    wanted = match[1].replace("''", "'").replace('"', "").lower()
    for one in sequences:
        if wanted in (one.name.name.lower(), str(one.name).lower()):
            return one
    return None


def _collations(name: Name, definition: str) -> Iterator[Loss]:
    for collation in sorted(set(_COLLATE.findall(definition))):
        message = f"a column compares texts by the collation {collation}, the target does not"
        yield Loss(str(name), message, LossClass.BEHAVIOUR)


def _add_constraints(session: Any, tables: dict[Name, SourceTable]) -> None:
    for schema, table, kind, columns, name, text, to, others in session.execute(
        _CONSTRAINTS
    ).fetchall():
        one = tables.get(Name(schema, table))
        if one is None:
            continue
        match kind:
            case "PRIMARY KEY":
                one = replace(one, primary_key=Key(name, tuple(columns)))
            case "UNIQUE":
                one = replace(one, uniques=(*one.uniques, Key(name, tuple(columns))))
            case "CHECK":
                one = replace(one, checks=(*one.checks, Check(name, text)))
            case "FOREIGN KEY":
                key = ForeignKey(name, tuple(columns), Name(schema, to), tuple(others))
                one = replace(one, foreign_keys=(*one.foreign_keys, key))
        tables[one.name] = one


def _part(table: SourceTable, text: str) -> IndexPart:
    bare = text[1:-1].replace('""', '"') if text.startswith('"') and text.endswith('"') else text
    known = {one.name.lower(): one.name for one in table.columns}
    if bare.lower() in known:
        return IndexPart(known[bare.lower()])
    return IndexPart(expression=text)
