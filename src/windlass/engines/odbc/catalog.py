"""What ODBC's catalog functions report about a database: tables, columns, primary and foreign keys,
and indexes. They report nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from windlass.engines.odbc.quoting import Quoted
from windlass.engines.odbc.session import Session
from windlass.engines.odbc.types import ORACLE, Described
from windlass.engines.statements import statement
from windlass.errors import ConnectionLost, Interrupted, SnapshotLost, WindlassError
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.translation import (
    ForeignKey,
    Index,
    IndexPart,
    Key,
    SourceColumn,
    SourceSchema,
    SourceTable,
)

DIALECTS = {
    "MariaDB": "mysql", "MySQL": "mysql", "PostgreSQL": "postgres", "SQLite": "sqlite",
    "Microsoft SQL Server": "tsql", "Oracle": "oracle",
}  # fmt: skip
_SYSTEM = {
    "information_schema", "pg_catalog", "pg_toast", "mysql", "performance_schema", "sys",
    "sysibm", "syscat", "sysstat",
}  # fmt: skip
_ACTIONS = {0: "CASCADE", 1: "RESTRICT", 2: "SET NULL", 3: "NO ACTION", 4: "SET DEFAULT"}
_COUNTS_UP = re.compile(r"identity|auto_increment|\bserial|\bbigserial|\bsmallserial")
# its driver gives text defaults without quotes, so '1' and 1 look alike
_UNQUOTED = {"SQLite", "MySQL"}
# to which NULLs are equal in a unique key, by the beginning of its name: "DB2/LINUXX8664"
EQUAL_NULLS = ("Microsoft SQL Server", "DB2", "Informix")
_NOT_DISTINCT = """
    select n.nspname, c.relname
      from pg_catalog.pg_index as i
      join pg_catalog.pg_class as c on c.oid = i.indexrelid
      join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
     where i.indnullsnotdistinct"""
_FIRST_NOT_DISTINCT = 15  # version of PostgreSQL
_TEXT_CODES = {1, -8, 12, -9, -1, -10}


@dataclass(frozen=True, slots=True)
class Found:
    """`described` has the columns by table, `places` the name of each table in the source's SQL."""

    schema: SourceSchema
    described: Mapping[Name, Mapping[str, Described]]
    places: Mapping[Name, tuple[str, ...]]
    losses: Mapping[Name, Sequence[Loss]] = field(default_factory=dict)
    has_schemas: bool = True


def read_catalog(session: Session) -> Found:
    with session.cursor("listing its tables") as cursor:
        rows = [tuple(one) for one in cursor.tables().fetchall()]
    wanted = [one for one in rows if _is_wanted(session, one)]
    has_schemas = any(one[0] or one[1] for one in wanted)
    tables, described, places, losses = [], {}, {}, {}
    others = []
    nulls = read_nulls(session)
    for catalog, schema, name, kind, remarks in wanted:
        here = Name(schema or catalog or "main", name)
        if kind.upper() == "VIEW":
            others.append(("view", here))
            continue
        place = (name,) if not schema else (schema, name)
        found = _Table(session, (catalog or None, schema or None, name), here, nulls)
        table, described[here], losses[here] = found.read(remarks or "")
        tables.append(table)
        places[here] = place
    tables = [_counted(session, one, places[one.name]) for one in tables]
    schema_ = SourceSchema(tuple(tables), others=tuple(others))
    return Found(schema_, described, places, losses, has_schemas)


def _is_wanted(session: Session, row: Sequence[Any]) -> bool:
    catalog, schema, _, kind = row[:4]
    if str(kind).upper() not in ("TABLE", "BASE TABLE", "VIEW"):
        return False
    if {str(catalog).lower(), str(schema).lower()} & _SYSTEM or str(schema).startswith("pg_toast"):
        return False
    if session.server == ORACLE:  # Oracle lists hundreds of internal schemas
        return str(schema).upper() == session.user.upper()
    is_here = not catalog or not session.database or catalog == session.database
    return is_here


@dataclass(frozen=True, slots=True)
class Nulls:
    """Whether NULLs are equal in unique keys: to some databases always, to PostgreSQL in those that
    say so."""

    always: bool = False
    of: frozenset[tuple[str, str]] = frozenset()  # schema and name of an index

    def are_equal(self, schema: str, index: str) -> bool:
        return self.always or (schema, index) in self.of


def read_nulls(session: Session) -> Nulls:
    if session.server.startswith(EQUAL_NULLS):
        return Nulls(always=True)
    version = int(re.findall(r"\d+", session.version)[0])
    if session.server != "PostgreSQL" or version < _FIRST_NOT_DISTINCT:
        return Nulls()
    rows = session.rows(_NOT_DISTINCT, (), "reading which keys take NULLs as equal")
    return Nulls(of=frozenset((str(schema), str(name)) for schema, name in rows))


def unlisted(session: Session, found: Found, table: Name) -> Iterator[Problem]:
    """Columns of a table that the catalog does not list: most databases list only those that the
    account may read."""
    query = statement(
        "select * from {table} where 1 = 0", table=Quoted(session.quote, *found.places[table])
    )
    hint = "grant the account SELECT on the whole table, or exclude it"
    try:
        with session.cursor(f"reading which columns {table} has") as cursor:
            cursor.execute(query)
            names = [one[0] for one in cursor.description]
    except (ConnectionLost, Interrupted, SnapshotLost):
        raise
    except WindlassError as error:
        yield Problem(str(table), f"not all of it can be read: {error}", hint)
        return
    if lacking := [one for one in names if one not in found.described[table]]:
        message = f"the database does not list all of its columns: {', '.join(lacking)}"
        yield Problem(str(table), message, hint)


class _Table:
    def __init__(
        self, session: Session, place: tuple[Any, Any, str], name: Name, nulls: Nulls
    ) -> None:
        self._session, self._name, self._nulls = session, name, nulls
        self._catalog, self._schema, self._table = place

    def read(self, comment: str) -> tuple[SourceTable, dict[str, Described], list[Loss]]:
        where = {"catalog": self._catalog, "schema": self._schema}
        doing = f"reading the structure of {self._name}"
        with self._session.cursor(doing) as cursor:
            # a pattern's `_` stands for any character
            columns = [
                one
                for one in cursor.columns(table=self._table, **where).fetchall()
                if one[2] == self._table and (not self._schema or one[1] == self._schema)
            ]
            keys = sorted(
                cursor.primaryKeys(self._table, **where).fetchall(), key=lambda one: one[4]
            )
        key = Key(keys[0][5] or "", tuple(one[3] for one in keys)) if keys else None
        described = {one[3]: _described(one) for one in columns}
        losses: list[Loss] = []
        table = SourceTable(
            self._name,
            tuple(self._column(one, losses) for one in columns),
            primary_key=key,
            foreign_keys=tuple(self._foreign_keys(where)),
            comment=comment,
            pages_by=_pages(key, described),
        )
        uniques, indexes = self._indexes(where, key)
        return replace(table, uniques=uniques, indexes=indexes), described, losses

    def _column(self, row: Any, losses: list[Loss]) -> SourceColumn:
        default = (row[12] or "").strip()
        counts_up = bool(_COUNTS_UP.search(row[5].lower())) or default.startswith("nextval(")
        if counts_up or default.upper() == "NULL":
            default = ""
        server = self._session.server
        is_word = default.lower().startswith("current_") or not default
        if server in _UNQUOTED and int(row[4]) in _TEXT_CODES and not is_word:
            message = f"column {row[3]} has no default on the target: the driver does not say which"
            losses.append(Loss(str(self._name), message, LossClass.BEHAVIOUR))
            default = ""
        return SourceColumn(
            row[3],
            row[5],
            not_null=row[10] == 0,
            default=default,
            counts_up=counts_up,
            comment=(row[11] or "").strip(),
        )

    def _foreign_keys(self, where: Mapping[str, Any]) -> Iterator[ForeignKey]:
        given = {"foreignTable": self._table}
        given |= {f"foreign{name.title()}": value for name, value in where.items() if value}
        with self._session.cursor(f"reading the keys of {self._name}") as cursor:
            rows = [tuple(one) for one in cursor.foreignKeys(**given).fetchall()]
        found: list[list[tuple[Any, ...]]] = []
        for row in rows:  # KEY_SEQ is 1 for the first column of a key
            if row[8] == 1 or not found:
                found.append([])
            found[-1].append(row)
        for parts in found:
            first = parts[0]
            yield ForeignKey(
                first[11] or "",
                tuple(one[7] for one in parts),
                Name(first[1] or first[0] or "main", first[2]),
                tuple(one[3] for one in parts),
                on_update=_ACTIONS.get(first[9], "NO ACTION"),
                on_delete=_ACTIONS.get(first[10], "NO ACTION"),
            )

    def _indexes(
        self, where: Mapping[str, Any], key: Key | None
    ) -> tuple[tuple[Key, ...], tuple[Index, ...]]:
        with self._session.cursor(f"reading the indexes of {self._name}") as cursor:
            rows = [tuple(one) for one in cursor.statistics(self._table, **where).fetchall()]
        by_name: dict[str, list[tuple[Any, ...]]] = {}
        for row in rows:
            if row[5] and row[6] != 0:  # 0: the row is about statistics
                by_name.setdefault(row[5], []).append(row)
        uniques, indexes = [], []
        for name, parts in by_name.items():
            parts.sort(key=lambda one: one[7])
            columns = tuple((one[8] or "").strip('"`[]') for one in parts)
            is_unique, has_filter = not parts[0][3], any(one[12] for one in parts)
            if key and set(columns) == set(key.columns) and is_unique:
                continue
            if is_unique and all(columns) and not has_filter:
                named = "" if name.startswith("sqlite_") else name
                uniques.append(Key(named, columns, self._nulls.are_equal(self._schema, name)))
                continue
            kind = "with a condition" if has_filter else "" if all(columns) else "over expressions"
            made = tuple(
                IndexPart(column, descends=one[9] == "D")
                for column, one in zip(columns, parts, strict=True)
            )
            indexes.append(Index(name, () if kind else made, is_unique, kind=kind))
        return tuple(uniques), tuple(indexes)


def _described(row: Any) -> Described:
    numbers = [-1 if row[at] is None else int(row[at]) for at in (6, 8)]
    return Described(int(row[4]), str(row[5]).lower(), *numbers)


def _pages(key: Key | None, described: Mapping[str, Described]) -> tuple[str, ...]:
    """A key that is one whole number, by whose ranges rows can be read."""
    if key is None or len(key.columns) != 1:
        return ()
    one = described.get(key.columns[0])
    return key.columns if one and one.code in (4, 5, -5, -6) else ()


def _counted(session: Session, table: SourceTable, place: tuple[str, ...]) -> SourceTable:
    """The table with the next number of a column that counts up. It is the highest number plus one,
    as ODBC does not report the sequence's."""
    for column in table.columns:
        if column.counts_up:
            query = statement(
                "select max({column}) from {table}",
                column=Quoted(session.quote, column.name),
                table=Quoted(session.quote, *place),
            )
            ((most,),) = list(session.rows(query, (), f"reading {table.name}"))
            return replace(table, next_number=int(most or 0) + 1)
    return table
