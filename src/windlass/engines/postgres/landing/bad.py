"""Finds the bad values of a staging table, names them by record and column, and sets their rows
aside.

Since PostgreSQL 16 the server says which texts are no values of a type (pg_input_error_info).
Before, and for types whose input functions cannot say so, ranges of rows are cast, and halved where
that fails.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.aside import Unreadable
from windlass.engines.landing import Input, ways_with_bad_records
from windlass.engines.postgres.errors import without_values
from windlass.engines.postgres.landing import names
from windlass.engines.postgres.landing.columns import listed
from windlass.engines.postgres.landing.staged_columns import StagedColumn, Staging
from windlass.engines.postgres.session import Connection
from windlass.errors import BadRecord
from windlass.model.flow import Result
from windlass.model.load import BadValue, Load
from windlass.model.relation import Name

SHOWN = 20  # bad values in an error
LINES_SECONDS = 20.0  # each line is looked for in the file; then records have their number alone
_SOFT = 160000  # the first version with pg_input_error_info
_REASONS = {
    "22P02": "not a valid {}",
    "22003": "out of range for {}",
    "22001": "too long for {}",
    "22007": "not a valid {}",
    "22008": "out of range for {}",
    "22P03": "not a valid {}",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """A bad value: `place` is its row's ctid."""

    place: str
    field: str
    reason: str
    value: str
    record: int = 0


@dataclass(frozen=True, slots=True)
class Bad:
    """The bad rows of one input."""

    rows: int
    first: tuple[Trouble, ...]

    @classmethod
    def of(cls, found: Sequence[Trouble]) -> Bad:
        ordered = sorted(found, key=lambda one: one.record)
        return cls(len({one.record for one in found}), tuple(ordered[:SHOWN]))


def reason_of(state: str | None, message: str, type_: str) -> str:
    """The reason in a server's error about a value, without the value."""
    if state in _REASONS:
        return _REASONS[state].format(type_)
    return without_values(state, message)


def refuse_more(load: Load, rows: int, note: Result) -> None:
    """Check the limit for all inputs of a load together.

    Raises:
        BadRecord: so many rows of all inputs of a load are more than may be set aside.
    """
    if rows > load.bad.most:
        hint = ways_with_bad_records(rows, some_empty=False)
        raise BadRecord([BadValue(**one) for one in note["bad"]], hint=hint)


class BadRows:
    """The bad rows of one input, in the transaction that stages it."""

    def __init__(
        self,
        connection: Connection,
        run: str,
        load: Load,
        number: int,
        source: Input,
        staging: Staging,
        unreadable: Sequence[Unreadable] = (),
    ) -> None:
        """`unreadable` are records that could not be read, so they are not in the table."""
        self._connection, self._run, self._load = connection, run, load
        self._number, self.source, self._staging = number, source, staging
        self._unreadable = unreadable
        self._lines: dict[int, int] = {}
        self._patience = 0.0

    # finding

    def find(
        self, table: Name, columns: Sequence[StagedColumn], gone: Sequence[Trouble]
    ) -> list[Trouble]:
        """Values that break a column's checks, and texts that are no valid values. `gone` are rows
        that were taken out before, which must be included when records are counted.

        Raises:
            BadRecord: more rows are bad than may be.
        """
        found = self._invalid(table, [(one, one.cast) for one in columns if one.cast])
        before = [one.record for one in gone]
        if len(found) >= self._most:  # there may be more, of which no check can be made
            self._refuse_more([*gone, *self._numbered(table, found, before)])
        # their checks might cast a text that is not a valid value
        found += self._checked(table, columns, [one.place for one in found])
        found = self._numbered(table, found, before)
        self._refuse_more([*gone, *found])
        return found

    def invalid(self, table: Name) -> list[Trouble]:
        """Texts that are not valid values of the type they are staged as, or would become others.
        `find` refuses them, with others.

        Raises:
            BadRecord: so many rows are bad that not all of them were looked for.
        """
        pairs = [(one, one.valid_for) for one in self._staging.columns if one.type != "text"]
        found = self._invalid(table, pairs)
        texts = [replace(one, checks=one.text_checks) for one in self._staging.columns]
        found += self._checked(table, texts, [one.place for one in found])
        found = self._numbered(table, found, [])
        if len(found) >= self._most:  # there may be more, which cannot be staged
            self._refuse_more(found)
        return found

    def _invalid(self, table: Name, pairs: Sequence[tuple[StagedColumn, str]]) -> list[Trouble]:
        found: list[Trouble] = []
        for column, type_ in pairs:
            if self._connection.info.server_version >= _SOFT:
                with suppress(psycopg.DataError, psycopg.NotSupportedError):
                    with self._connection.transaction():
                        soft = self._soft(table, column, type_)
                    found += soft
                    continue
            found += self._halved(table, column, type_)
        return found

    def _halved(self, table: Name, column: StagedColumn, type_: str) -> Iterator[Trouble]:
        def probe(within: sql.Composed) -> sql.Composed:
            return sql.SQL("select pg_catalog.count({}::{}) from {} where {}").format(
                column.identifier, sql.SQL(type_), names.identifier(table), within
            )

        for place, error in halved(self._connection, table, probe, self._most):
            reason = reason_of(error.sqlstate, error.diag.message_primary or "", type_)
            yield Trouble(place, column.field, reason, self._value(table, column, place))

    def _value(self, table: Name, column: StagedColumn, place: str) -> str:
        query = sql.SQL("select {}::text from {} where ctid = {}::tid").format(
            column.identifier, names.identifier(table), sql.Literal(place)
        )
        row = self._connection.execute(query).fetchone()
        return str(row[0]) if row else ""

    @property
    def _most(self) -> int:
        """How many to look for: more than may be set aside, by as many as are shown."""
        return self._load.bad.most + SHOWN + 1

    def _soft(self, table: Name, column: StagedColumn, type_: str) -> list[Trouble]:
        query = sql.SQL(
            "select ctid::text as place, e.sql_error_code, e.message, {value} from {table},"
            " pg_catalog.pg_input_error_info({value}, {type}) e"
            " where not pg_catalog.pg_input_is_valid({value}, {type}) order by ctid limit {most}"
        ).format(
            value=sql.SQL("{}::text").format(column.identifier),
            table=names.identifier(table),
            type=sql.Literal(type_),
            most=sql.Literal(self._most),
        )
        return [
            Trouble(str(place), column.field, reason_of(str(state), str(said), type_), str(value))
            for place, state, said, value in self._connection.execute(query).fetchall()
        ]

    def _checked(
        self, table: Name, columns: Sequence[StagedColumn], but: Sequence[str]
    ) -> list[Trouble]:
        pairs = [(column, check) for column in columns for check in column.checks]
        if not pairs:
            return []
        tests = listed(
            sql.SQL("case when {} then coalesce({}::text, '') end").format(
                check.of(column.identifier), column.identifier
            )
            for column, check in pairs
        )
        query = sql.SQL(  # offset 0, so that rows that are left out are not tested
            "select place::text, broken from (select ctid as place, array[{}] as broken from"
            " (select * , ctid from {} where ctid <> all ({}::tid[]) offset 0) rows offset 0) rows"
            " where pg_catalog.array_remove(broken, null) <> '{{}}' order by place limit {}"
        ).format(tests, names.identifier(table), sql.Literal(list(but)), sql.Literal(self._most))
        return [
            Trouble(str(place), column.field, check.reason, value)
            for place, broken in self._connection.execute(query).fetchall()
            if isinstance(broken, list)
            for (column, check), value in zip(pairs, broken, strict=True)
            if value is not None
        ]

    # naming

    def _numbered(
        self, table: Name, found: Sequence[Trouble], gone: Sequence[int]
    ) -> list[Trouble]:
        places = {one.place for one in found}
        skipped = sorted({*gone, *self.unreadable_records})
        records = records_of(self._connection, table, places, skipped)
        return sorted(
            (replace(one, record=records[one.place]) for one in found), key=lambda one: one.record
        )

    def described(self, one: Trouble, *, with_line: bool = True) -> dict[str, Any]:
        """The value as a `windlass.model.load.BadValue`. Its line is looked up in the file."""
        self._patience = self._patience or time.monotonic() + LINES_SECONDS
        if with_line and one.record not in self._lines and time.monotonic() < self._patience:
            self._lines[one.record] = self.source.line_of(one.record)
        return {
            "place": self.source.place,
            "record": one.record,
            "reason": one.reason,
            "line": self._lines.get(one.record, 0),
            "column": one.field,
            "value": one.value if self._load.bad.shows_values else "",
        }

    def _refuse_more(self, found: Sequence[Trouble]) -> None:
        """Raises:
        BadRecord: more rows are bad than may be.
        """
        bad = Bad.of(found)
        rows = bad.rows + len(self._unreadable)
        if rows <= self._load.bad.most:
            return
        values = [BadValue(**one) for one in self.all_described(bad.first)]
        hint = "correct them; there may be more"
        if len(found) < self._most:
            some_empty = any(one.value == "" for one in bad.first)
            hint = ways_with_bad_records(rows, some_empty=some_empty)
        raise BadRecord(values, hint=hint)

    @property
    def unreadable_records(self) -> list[int]:
        return [one.bad.record for one in self._unreadable]

    def all_described(self, found: Sequence[Trouble]) -> list[dict[str, Any]]:
        """Bad values and unreadable records in the order of the input; only the first ones."""
        all_ = [*map(self.described, found), *(asdict(one.bad) for one in self._unreadable[:SHOWN])]
        return sorted(all_, key=lambda one: one["record"])[:SHOWN]

    # setting aside

    def set_aside(self, table: Name, found: Sequence[Trouble]) -> None:
        """Move the rows into the load's table of refused ones."""
        if not found:
            return
        into = self._refused()
        columns = self._staging.columns
        taken = sql.SQL(
            "insert into {into} select %s, %s, %s, %s, %s,"
            " pg_catalog.jsonb_object({fields}::text[], array[{values}]::text[])"
            " from {table} where ctid = %s::tid"
        ).format(
            into=into,
            fields=sql.Literal([one.field for one in columns]),
            values=listed(sql.SQL("{}::text").format(one.identifier) for one in columns),
            table=names.identifier(table),
        )
        for one in found:
            said = self.described(one, with_line=False)
            line = said["line"] or None
            words = (said["place"], one.record, line, one.field, one.reason, one.place)
            self._connection.execute(taken, words)
        self._connection.execute(
            sql.SQL("delete from {} where ctid = any (%s::tid[])").format(names.identifier(table)),
            (list({one.place for one in found}),),
        )

    def keep_unreadable(self) -> None:
        """Put unreadable records into the load's table of refused ones."""
        if not self._unreadable:
            return
        into = self._refused()
        with self._connection.cursor() as cursor:
            cursor.executemany(
                sql.SQL("insert into {} values (%s, %s, %s, %s, %s, %s)").format(into),
                [
                    (one.bad.place, one.bad.record, one.bad.line or None, one.bad.column,
                     one.bad.reason, json.dumps(one.text, ensure_ascii=False))
                    for one in self._unreadable
                ],
            )  # fmt: skip

    def _refused(self) -> sql.Identifier:
        """The table for all inputs of the load. One input at a time writes to it."""
        into = names.identifier(names.refused(self._run, self._load.name))
        self._connection.execute(
            "select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(%s, 0))",
            (f"{self._run} {self._load.name}",),
        )
        self._connection.execute(
            sql.SQL(
                "create table if not exists {} (input text, record bigint, line bigint,"
                " field text, reason text, fields jsonb)"
            ).format(into)
        )
        return into


def records_of(
    connection: Connection, table: Name, places: Collection[str], skipped: Sequence[int]
) -> dict[str, int]:
    """The record numbers of rows. `skipped` are records that were taken out, in order."""
    if not places:
        return {}
    query = sql.SQL(
        "select place::text, record from (select ctid as place,"
        " pg_catalog.row_number() over (order by ctid) as record from {}) rows"
        " where place = any (%s::tid[])"
    ).format(names.identifier(table))
    found: dict[str, int] = {}
    for place, number in connection.execute(query, (list(places),)).fetchall():
        record = int(str(number))
        for one in skipped:
            record += one <= record
        found[str(place)] = record
    return found


# makes a query of the rows that meet a condition on ctid
Probe = Callable[[sql.Composed], sql.Composed]
Span = tuple[tuple[int, int], tuple[int, int]]  # two ctids, half-open


def halved(
    connection: Connection, table: Name, probe: Probe, most: int
) -> list[tuple[str, psycopg.Error]]:
    """Rows of which the query fails, by ctid: ranges of blocks are halved, then rows tried."""
    row = connection.execute(
        "select pg_catalog.pg_relation_size(%s::pg_catalog.regclass)"
        " / pg_catalog.current_setting('block_size')::pg_catalog.int8",
        (names.identifier(table).as_string(connection),),
    ).fetchone()
    pending = [(0, int(str(row[0])) if row else 0)]
    found: list[tuple[str, psycopg.Error]] = []
    while pending and len(found) < most:
        low, high = pending.pop()
        if _fails(connection, probe, ((low, 0), (high, 0))) is None:
            continue
        if high - low > 1:
            middle = (low + high) // 2
            pending += [(middle, high), (low, middle)]
        else:
            found += _of_block(connection, table, probe, low)
    return found


def _of_block(
    connection: Connection, table: Name, probe: Probe, block: int
) -> Iterator[tuple[str, psycopg.Error]]:
    rows = connection.execute(
        sql.SQL("select ctid::text from {} where {}").format(
            names.identifier(table), _within(((block, 0), (block + 1, 0)))
        )
    ).fetchall()
    for (place,) in rows:
        at = int(str(place).strip("()").split(",")[1])
        if error := _fails(connection, probe, ((block, at), (block, at + 1))):
            yield str(place), error


def _fails(connection: Connection, probe: Probe, span: Span) -> psycopg.Error | None:
    try:
        with connection.transaction():
            connection.execute(probe(_within(span)))
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        return error
    return None


def _within(span: Span) -> sql.Composed:
    low, high = (sql.Literal(f"({block},{at})") for block, at in span)
    return sql.SQL("ctid >= {}::tid and ctid < {}::tid").format(low, high)
