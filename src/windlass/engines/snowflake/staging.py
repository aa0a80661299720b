"""Puts the files of an extract into a temporary table of Snowflake, and proves that it holds what
they hold: all rows, all values that are not NULL, and the lowest and the highest of each column.

Snowflake reads Parquet by options that are off by default, and a wrong one changes values without
an error. So what the files' own statistics say is compared before anything else happens. Stage
and table are the session's: they go with it, and no other session sees them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from psycopg import sql

from windlass.engines.loads import check_arrived
from windlass.engines.objects.store import ObjectStore, fetched
from windlass.engines.snowflake.session import Session
from windlass.engines.snowflake.types import type_of
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.errors import WindlassError
from windlass.model.export import Column, Export, Kind, Manifest

# types whose statistics are exact in Parquet, and ordered as the values are
_ORDERED = (
    Kind.INT16, Kind.INT32, Kind.INT64, Kind.DECIMAL, Kind.DATE, Kind.TIME, Kind.TIMESTAMP,
    Kind.INSTANT,
)  # fmt: skip


@dataclass(slots=True)
class Held:
    """What a column of the files holds. None: not known."""

    values: int | None = 0  # that are not NULL
    lowest: Any = None
    highest: Any = None
    is_ordered: bool = True


@dataclass(frozen=True, slots=True)
class Staged:
    """The temporary table, whose columns are C1, C2 and so on."""

    table: sql.Identifier

    def column(self, at: int) -> sql.Identifier:
        return names(f"C{at + 1}")


@contextmanager
def staged(
    session: Session, export: Export, manifest: Manifest, store: ObjectStore
) -> Iterator[Staged]:
    """Defines objects, so call it outside of transactions.

    Raises:
        WindlassError: the table does not hold what the files hold.
    """
    doing = f"staging {export.name}"
    own = _own_name(manifest.run)
    stage, found = verbatim(own), Staged(names(f"{own}_NEW"))
    columns = listed(
        sql.SQL("{} {}").format(found.column(at), verbatim(type_of(one)))
        for at, one in enumerate(export.columns)
    )
    session.run(statement("create temporary stage {stage}", stage=stage), doing=doing)
    made = "create temporary table {table} ({columns})"
    session.run(statement(made, table=found.table, columns=columns), doing=doing)
    held = [Held() for _ in export.columns]
    for at, file in enumerate(manifest.files):
        with fetched(store, file.path) as path:
            put(session, path, f"{own}/{at}", doing)
            look_into(path, export.columns, held)
    if manifest.files:
        session.run(_copy(export, found, stage), doing=doing)
    _check(session, export, manifest, found, held)
    yield found
    session.run(statement("drop table if exists {table}", table=found.table), doing=doing)
    session.run(statement("drop stage if exists {stage}", stage=stage), doing=doing)


def _own_name(run: str) -> str:
    """A name for this attempt of this run alone."""
    run = re.sub("[^A-Z0-9]", "_", run.upper())[:60]
    return f"_WINDLASS_{run}_{uuid4().hex[:8].upper()}"


def put(session: Session, path: Path, into: str, doing: str) -> None:
    """Upload a file. PUT takes its path as a quoted text, in which these characters are escaped:
    https://docs.snowflake.com/en/sql-reference/sql/put"""
    place = path.absolute().as_posix().replace("\\", "\\\\").replace("'", "\\'")
    text = f"put 'file://{place}' @{into} auto_compress = false source_compression = parquet"
    for *_, status, message in session.run(text, doing=doing):
        if status != "UPLOADED":
            raise WindlassError(f"{session.place}: {doing}: {status} {message}".rstrip())


def _copy(export: Export, found: Staged, stage: sql.Composable) -> str:
    """Copy as the connector's own `write_pandas` does, with the types of the Parquet files."""
    values = listed(
        sql.SQL("$1:{}::{}").format(names(one.name), verbatim(type_of(one)))
        for one in export.columns
    )
    return statement(
        "copy into {table} ({columns}) from (select {values} from @{stage})"
        " file_format = (type = parquet use_logical_type = true binary_as_text = false)"
        " on_error = abort_statement",
        table=found.table,
        columns=listed(found.column(at) for at, _ in enumerate(export.columns)),
        values=values,
        stage=stage,
    )


def look_into(path: Path, columns: Sequence[Column], held: Sequence[Held]) -> None:
    """Add what a file says about its columns."""
    import pyarrow.parquet as pq

    found = pq.read_metadata(path)
    at = {found.schema.column(number).path: number for number in range(found.num_columns)}
    for column, known in zip(columns, held, strict=True):
        for group in range(found.num_row_groups):
            about = found.row_group(group).column(at[column.name])
            _add(known, column, about.num_values, about.statistics)


def _add(known: Held, column: Column, rows: int, statistics: Any) -> None:
    if statistics is None or not statistics.has_null_count:
        known.values, known.is_ordered = None, False
        return
    values = rows - statistics.null_count
    if known.values is not None:
        known.values += values
    if not values:
        return
    known.is_ordered &= column.kind in _ORDERED and statistics.has_min_max
    if not known.is_ordered:
        return
    low, high = statistics.min, statistics.max
    if isinstance(low, bytes):  # a decimal, in an older Arrow
        known.is_ordered = False
        return
    known.lowest = low if known.lowest is None else min(known.lowest, low)
    known.highest = high if known.highest is None else max(known.highest, high)


@dataclass(frozen=True, slots=True)
class Counted:
    """How many rows arrived, and the first column that does not hold what the files hold: its
    position, and what is wrong."""

    rows: int
    fault: tuple[int, str] | None = None


def unlike(
    session: Session,
    item: sql.Composable,
    columns: Sequence[sql.Composable],
    held: Sequence[Held],
    doing: str,
) -> Counted:
    """What a FROM item holds, compared with what the files hold."""
    asked: list[sql.Composable] = [sql.SQL("count(*)")]
    for column, known in zip(columns, held, strict=True):
        for function in ("count", "min", "max"):
            if function == "count" or known.lowest is not None:
                asked.append(sql.SQL("{}({})").format(verbatim(function), column))
    query = statement("select {asked} from {item}", asked=listed(asked), item=item)
    arrived, *counts = session.run(query, doing=doing)[0]
    answers = iter(counts)
    for at, known in enumerate(held):
        values = int(next(answers))
        if known.values is not None and values != known.values:
            return Counted(int(arrived), (at, f"{known.values:,} values became {values:,}"))
        if known.lowest is None:
            continue
        ends = next(answers), next(answers)
        if known.is_ordered and ends != (known.lowest, known.highest):
            return Counted(int(arrived), (at, "their lowest or highest value has changed"))
    return Counted(int(arrived))


def _check(
    session: Session, export: Export, manifest: Manifest, found: Staged, held: Sequence[Held]
) -> None:
    columns = [found.column(at) for at, _ in enumerate(export.columns)]
    counted = unlike(session, found.table, columns, held, f"counting {export.name}")
    check_arrived(export, manifest.rows, counted.rows)
    if counted.fault:
        at, what = counted.fault
        raise _changed(export, export.columns[at], what)


def _changed(export: Export, column: Column, what: str) -> WindlassError:
    return WindlassError(
        f"{export.name}: Snowflake reads {column.name} otherwise than the files have it: {what}",
        hint=f"nothing was loaded; give `text: [{column.origin}]`, and report it",
    )
