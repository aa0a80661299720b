"""Tables, sequences, indexes and views as DuckDB's statements. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from psycopg import sql

from windlass.engines.converting.defaults import Call, call_of
from windlass.engines.duckdb.destination.forms import stored
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.model.conversion import (
    Carried,
    ConversionPlan,
    DraftColumn,
    Made,
    TableConversion,
    TableDraft,
)
from windlass.model.relation import Name
from windlass.model.translation import Check, ForeignKey, Index

MAIN = "main"
LATE_KEY = "primary key"  # what the plan says that it is
_RESERVED = "_windlass_"
MOST_NUMBER = (1 << 63) - 1  # of a sequence


def name_problem(name: str) -> str:
    if name.lower().startswith(_RESERVED):
        return f"names that begin with {_RESERVED} are not free: windlass has tables of such names"
    return "a name without characters" if not name else ""


def table_name(name: Name) -> sql.Identifier:
    return names(name.schema, name.name)


def create(draft: TableDraft) -> str:
    parts = [_column(draft.name, one) for one in draft.columns]
    if draft.primary_key is not None:
        key = listed(map(names, draft.primary_key.columns))
        parts.append(sql.SQL("primary key ({})").format(key))
    for unique in draft.uniques:
        key = listed(map(names, unique.columns))
        parts.append(sql.SQL("constraint {} unique ({})").format(names(unique.name), key))
    parts += map(_check, draft.checks)
    parts += map(_foreign_key, draft.foreign_keys)
    return statement(
        "create table {table} (\n  {parts}\n)",
        table=table_name(draft.name),
        parts=listed(parts, ",\n  "),
    )


def _column(table: Name, column: DraftColumn) -> sql.Composable:
    plan = column.plan
    name = names(plan.target)
    parts: list[sql.Composable] = [name, verbatim(plan.type)]
    if column.generated:
        return listed([*parts, _in_brackets("generated always as", column.generated)], " ")
    if plan.not_null:
        parts.append(verbatim("not null"))
    if column.counts_up:
        parts.append(next_number(Name(table.schema, column.sequence)))
    elif column.default:
        parts.append(_in_brackets("default", column.default))
    if plan.carried.check:
        parts.append(sql.SQL("check ({})").format(verbatim(plan.carried.check).format(name)))
    return listed(parts, " ")


def _in_brackets(words: str, expression: str) -> sql.Composed:
    return sql.Composed([verbatim(f"{words} ("), verbatim(expression), verbatim(")")])


def next_number(sequence: Name) -> sql.Composable:
    """The next number of a sequence, as a default."""
    quoted = table_name(sequence).as_string(None)
    return sql.SQL("default nextval({})").format(verbatim(literal_text(quoted)))


def _check(check: Check) -> sql.Composable:
    head = sql.SQL("constraint {} check (").format(names(check.name))
    return sql.Composed([head, verbatim(check.expression), sql.SQL(")")])


def _foreign_key(key: ForeignKey) -> sql.Composable:
    return sql.SQL(
        "constraint {name} foreign key ({columns}) references {table} ({referred})"
    ).format(
        name=names(key.name),
        columns=listed(map(names, key.columns)),
        table=table_name(key.refers_to),
        referred=listed(map(names, key.referred)),
    )


def beside(draft: TableDraft) -> tuple[Sequence[Made], Sequence[Made]]:
    before, name = [], draft.name
    if name.schema != MAIN:
        text = statement("create schema if not exists {s}", s=names(name.schema))
        before.append(Made(name.schema, "schema", text))
    for one in draft.columns:
        if one.counts_up:
            sequence = Name(name.schema, one.sequence)
            before.append(Made(one.sequence, "sequence", create_sequence(sequence, one.increment)))
    return before, list(_comments(draft))


def create_sequence(sequence: Name, increment: int, start: int | None = None) -> str:
    """`start` is the next number."""
    first = (1 if increment > 0 else -1) if start is None else start
    return statement(
        "create sequence {name} increment by {by} minvalue {least} maxvalue {most} start {first}",
        name=table_name(sequence),
        by=verbatim(str(increment)),
        least=verbatim(str(-MOST_NUMBER)),
        most=verbatim(str(MOST_NUMBER)),
        first=verbatim(str(max(min(first, MOST_NUMBER), -MOST_NUMBER))),
    )


def set_sequence(table: TableConversion, number: int) -> Iterator[str]:
    """Set the next number. DuckDB cannot do that, so the sequence is made again."""
    assert table.counter is not None
    made = next(one for one in table.before if one.kind == "sequence")
    sequence = Name(table.target.schema, made.name)
    increment = table.counter.increment
    parts = {"table": table_name(table.target), "column": names(table.counter.column)}
    alter = "alter table {table} alter column {column} "
    yield statement(alter + "drop default", **parts)
    yield statement("drop sequence {name}", name=table_name(sequence))
    yield create_sequence(sequence, increment, number + increment)
    yield statement(alter + "set {default}", **parts, default=next_number(sequence))


def _comments(draft: TableDraft) -> Iterator[Made]:
    if draft.comment:
        on = sql.SQL("comment on table {} is {}").format(
            table_name(draft.name), verbatim(literal_text(draft.comment))
        )
        yield Made("", "comment", on.as_string(None))
    for one in draft.columns:
        if one.comment:
            on = sql.SQL("comment on column {} is {}").format(
                names(draft.name.schema, draft.name.name, one.plan.target),
                verbatim(literal_text(one.comment)),
            )
            yield Made("", "comment", on.as_string(None))


def late_key(draft: TableDraft) -> Made | None:
    """The primary key, added to the table with its rows."""
    key = draft.primary_key
    if key is None:
        return None
    text = statement(
        "alter table {table} add primary key ({columns})",
        table=table_name(draft.name),
        columns=listed(map(names, key.columns)),
    )
    return Made(key.name, LATE_KEY, text, is_unique=True)


def index(table: Name, one: Index) -> Made | str:
    if one.where:
        return "DuckDB has no indexes with a condition"
    parts: list[sql.Composable] = []
    for part in one.parts:
        made: sql.Composable = (
            names(part.column)
            if part.column
            else sql.Composed([verbatim("("), verbatim(part.expression), verbatim(")")])
        )
        parts.append(made)
    head = verbatim("create unique index " if one.is_unique else "create index ")
    text = sql.Composed([
        head, names(one.name), sql.SQL(" on {} (").format(table_name(table)), listed(parts),
        verbatim(")"),
    ])  # fmt: skip
    return Made(one.name, "index", text.as_string(None), is_unique=one.is_unique)


def view(name: Name, columns: Sequence[str], query: str) -> str:
    head = sql.SQL("create view {} ({}) as ").format(table_name(name), listed(map(names, columns)))
    return sql.Composed([head, verbatim(query)]).as_string(None)


def drops(plan: ConversionPlan) -> Iterator[str]:
    """The tables, views and sequences of a plan that exist. Schemas stay."""
    for view in reversed(plan.views):
        yield statement("drop view if exists {v}", v=table_name(view.target))
    for table in reversed(plan.tables):
        yield statement("drop table if exists {t}", t=table_name(table.target))
        for one in table.before:
            if one.kind == "sequence":
                name = Name(table.target.schema, one.name)
                yield statement("drop sequence if exists {s}", s=table_name(name))


# values


def literal_text(text: str) -> str:
    return "'{}'".format(text.replace("'", "''"))


def literal(value: Any, carried: Carried) -> str:
    match value:
        case None:
            return "null"
        case bool() | int() if carried.type == "BOOLEAN":
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return stored(carried, f"'{_float_text(value)}'")
        case bytes():
            return f"from_hex('{value.hex()}')"
    return stored(carried, literal_text(str(value)))


def _float_text(value: float) -> str:
    return str(value) if not math.isinf(value) else ("inf" if value > 0 else "-inf")


_NOW: Mapping[str, str] = {
    "TIMESTAMP WITH TIME ZONE": "now()",
    "TIMESTAMP": "current_localtimestamp()",
    "DATE": "current_date",
    "TIME": "cast(current_localtimestamp() as time)",
    "TIME WITH TIME ZONE": "get_current_time()",
}


def default(text: str, carried: Carried) -> str | None:
    """A default that calls a function with a counterpart: the current time, or a random UUID."""
    call = call_of(text)
    if call is Call.NOW and carried.type in _NOW:
        return _NOW[carried.type]
    if carried.type == "UUID" and call in (Call.RANDOM_UUID, Call.TIMED_UUID):
        return "uuidv7()" if call is Call.TIMED_UUID else "gen_random_uuid()"
    if carried.type == "VARCHAR" and call in (Call.RANDOM_UUID, Call.RANDOM_UUID_AS_TEXT):
        return "cast(gen_random_uuid() as varchar)"
    return None
