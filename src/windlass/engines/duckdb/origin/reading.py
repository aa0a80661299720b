"""Rows of a DuckDB file as lines of COPY and as digests, both made by DuckDB. Only documents are
hashed here, because `jsonb` prints them in another text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from psycopg import sql

from windlass.engines import canonical
from windlass.engines.duckdb.origin import forms
from windlass.engines.duckdb.origin.catalog import ROWID
from windlass.engines.duckdb.origin.selecting import rows_of
from windlass.engines.jsonb_text import jsonb_text
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.model.chunk import KeyRange, Range, Whole
from windlass.model.translation import Digest, Reading, Row, Sort, SourceTable

_BATCH_ROWS = 2_048  # DuckDB's own
_ROWS_AT_ONCE = 1_000
_SUMS = (
    "count(*), coalesce(sum(cast('0x' || substr(h, 1, 15) as bigint)), 0),"
    " coalesce(sum(cast('0x' || substr(h, 16, 15) as bigint)), 0)"
)
_BUCKET = "cast('0x' || substr({}, 1, 3) as int)"


def cut(session: Any, table: SourceTable, count: int) -> Sequence[Range]:
    """About `count` ranges of the numbers of rows."""
    if count < 2 or not table.pages_by:
        return [Whole()]
    query = statement(
        "select max({number}) from {table}", number=names(ROWID), table=_table(table.name)
    )
    (most,) = session.execute(query).fetchone()
    rows = 0 if most is None else most + 1
    bounds = sorted({rows * at // count for at in range(1, count)} - {0})
    edges = [None, *((str(one),) for one in bounds), None]
    return [KeyRange((ROWID,), low, high) for low, high in pairwise(edges)]


def read_lines(session: Any, reading: Reading, range_: Range) -> Iterator[bytes]:
    query = statement(
        "select {line} as line from {rows}",
        line=forms.line(reading.fields),
        rows=_rows(reading, range_),
    )
    relation = session.sql(query)
    # older versions have no `to_arrow_reader`, and newer ones deprecate the other
    read = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
    for batch in read(_BATCH_ROWS):
        if batch.num_rows:
            yield _bytes(batch.column(0))


def _bytes(texts: Any) -> bytes:
    """All texts of an array, one after the other."""
    import pyarrow as pa

    _, places, data = texts.cast(pa.large_string()).buffers()
    at = memoryview(places).cast("q")
    return bytes(memoryview(data)[at[texts.offset] : at[texts.offset + len(texts)]])


def read_digest(session: Any, reading: Reading, range_: Range) -> Digest:
    if _has_documents(reading):
        return canonical.digest(_values(session, reading, range_), reading.fields)
    query = statement(
        "select {sums} from (select md5({row}) as h from {rows})",
        sums=verbatim(_SUMS),
        row=forms.row_text(reading.fields),
        rows=_rows(reading, range_),
    )
    return Digest(*map(int, session.execute(query).fetchone()))


def read_buckets(session: Any, reading: Reading) -> Mapping[int, Digest]:
    if _has_documents(reading):
        values = _values(session, reading, Whole())
        return canonical.buckets(values, reading.fields, reading.key)
    query = statement(
        "select {bucket}, {sums} from (select md5({row}) as h, md5({key}) as k from {rows})"
        " group by 1",
        bucket=verbatim(_BUCKET).format(sql.SQL("k")),
        sums=verbatim(_SUMS),
        row=forms.row_text(reading.fields),
        key=_key_text(reading),
        rows=_rows(reading, Whole()),
    )
    return {int(row[0]): Digest(*map(int, row[1:])) for row in session.execute(query).fetchall()}


def read_rows(session: Any, reading: Reading, buckets: Sequence[int]) -> Iterator[Row]:
    wanted = listed([verbatim(str(int(one))) for one in buckets])
    only: sql.Composable = sql.SQL(" where {} in ({})").format(
        verbatim(_BUCKET).format(sql.SQL("md5({})").format(_key_text(reading))), wanted
    )
    if _has_documents(reading) and not reading.key:
        only = sql.SQL("")  # by the whole row, whose text DuckDB does not make
    values = _values(session, reading, Whole(), only)
    yield from canonical.rows_of(values, reading.fields, reading.key, buckets)


def _values(
    session: Any, reading: Reading, range_: Range, only: sql.Composable | None = None
) -> Iterator[canonical.Values]:
    query = statement(
        "select {texts} from {rows}{only}",
        texts=listed(map(forms.text, reading.fields)),
        rows=_rows(reading, range_),
        only=only or sql.SQL(""),
    )
    places = [at for at, one in enumerate(reading.fields) if one.type.sort is Sort.JSON]
    found = session.execute(query)
    while rows := found.fetchmany(_ROWS_AT_ONCE):
        for row in rows:
            values = list(row)
            for at in places:
                values[at] = None if values[at] is None else jsonb_text(values[at])
            yield values


def _has_documents(reading: Reading) -> bool:
    return any(one.type.sort is Sort.JSON for one in reading.fields)


def _key_text(reading: Reading) -> sql.Composable:
    by_name = {one.name: one for one in reading.fields}
    return forms.row_text([by_name[name] for name in reading.key] or reading.fields)


def _table(name: Any) -> sql.Identifier:
    return names(name.schema, name.name)


def _rows(reading: Reading, range_: Range) -> sql.Composable:
    if not isinstance(range_, KeyRange):
        return rows_of(reading.table, reading.selected)
    number = names(ROWID)
    ends = [
        sql.SQL("{} {} {}").format(number, sql.SQL(than), verbatim(str(int(end[0]))))
        for than, end in ((">=", range_.low), ("<", range_.high))
        if end is not None
    ]
    return rows_of(reading.table, reading.selected, listed(ends, " and "))
