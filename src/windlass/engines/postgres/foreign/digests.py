"""Digests of rows that came from another engine, computed by PostgreSQL over the same text.

The text and the sums are described at `windlass.model.translation.Digest`. Rows whose lines were
hashed as they were copied are hashed by `windlass.engines.postgres.foreign.sent`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.ranges import blocks_of
from windlass.engines.postgres.session import Connection
from windlass.model.chunk import BlockRange
from windlass.model.relation import Name
from windlass.model.translation import Digest, Field, Row, Sort, Type

TEXTS: Mapping[Sort, LiteralString] = {
    Sort.BOOLEAN: "case when {0} then 't' when not {0} then 'f' end",
    Sort.INTEGER: "{0}::text",
    Sort.DECIMAL: "{0}::text",
    Sort.TEXT: "octet_length(convert_to({0}::text, 'UTF8'))::text || ':' || {0}::text",
    Sort.BYTES: "encode({0}, 'hex')",
    Sort.DATE: "to_char({0}, 'YYYY-MM-DD')",
    Sort.TIME: "to_char({0}, 'HH24:MI:SS.US')",
    Sort.TIMESTAMP: "to_char({0}, 'YYYY-MM-DD HH24:MI:SS.US')",
    Sort.INSTANT: "to_char({0} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'",
    Sort.INTERVAL: "(extract(epoch from {0}) * 1000000)::bigint::text",
    Sort.JSON: "{0}::text",
    Sort.UUID: "{0}::text",
    Sort.ADDRESS: "abbrev({0})",
    Sort.BITS: "{0}::text",
    Sort.ENUM: "octet_length(convert_to({0}::text, 'UTF8'))::text || ':' || {0}::text",
    Sort.SET: "array_to_json({0})::text",
}
_BITS: Mapping[int, LiteralString] = {
    32: "encode(float4send({0}), 'hex')",
    64: "encode(float8send({0}), 'hex')",
}
# the significant digits without zeros at either end, then e and the exponent of the first digit
_DIGITS: LiteralString = """(
    select case when n.v = 0 then case when left({0}::text, 1) = '-' then '-0' else '0' end
           else case when n.v < 0 then '-' else '' end || d.digits || 'e' || d.exponent end
      from (select {0}::text::numeric as v) as n,
           lateral (select ltrim(replace(abs(n.v)::text, '.', ''), '0') as kept,
                           position('.' in abs(n.v)::text || '.') as point) as p,
           lateral (select rtrim(p.kept, '0') as digits,
                           p.point - 2 - (length(replace(abs(n.v)::text, '.', '')) - length(p.kept))
                             as exponent) as d)"""


@dataclass(frozen=True, slots=True)
class Proven:
    """A relation whose rows are compared. `columns` are in the order of `fields`; `key` are names
    of some of the fields. `floats` is that of `windlass.engines.origin.Origin`."""

    name: Name
    columns: tuple[str, ...]
    fields: tuple[Field, ...]
    key: tuple[str, ...]
    floats: str
    rows: sql.Composable | None = None  # what they are selected from, if not from the relation
    side: str = "target"
    trims: bool = False  # numbers without a scale: 1.50 is 1.5

    @property
    def keyed_by(self) -> list[int]:
        """The positions of the key's fields; of all fields if there is no key."""
        names = [one.name for one in self.fields]
        return [names.index(one) for one in self.key] or list(range(len(names)))


@dataclass(frozen=True, slots=True)
class Part:
    """One of several parts of a table, which sessions read in parallel. OFFSET 0 keeps the server
    from reading in parallel itself."""

    number: int = 0
    of: int = 1


ALL_OF_IT = Part()


def read_count(connection: Connection, proven: Proven, part: Part = ALL_OF_IT) -> Digest:
    """The number of all rows, or of those in a part; nothing is hashed."""
    query = sql.SQL("select count(*) from {}{}").format(
        table_of(proven), within(connection, proven, part)
    )
    ((rows,),) = _rows(connection, query, proven, doing="counting")
    return Digest(int(rows))


def read_digest(connection: Connection, proven: Proven, part: Part = ALL_OF_IT) -> Digest:
    """The digest of all rows, or of those in a part."""
    query = sql.SQL(
        "select count(*), {sums} from (select {hash} as h from {table}{where} offset 0) as hashed"
    ).format(
        sums=_SUMS,
        hash=_hash(_row_text(proven)),
        table=table_of(proven),
        where=within(connection, proven, part),
    )
    (row,) = _rows(connection, query, proven)
    return Digest(*map(int, row))


def read_buckets(connection: Connection, proven: Proven) -> dict[int, Digest]:
    """The digests of all rows, by bucket."""
    query = sql.SQL(
        "select {bucket}, count(*), {sums} from (select {hash} as h, md5({key}) as k"
        " from {table} offset 0) as hashed group by 1"
    ).format(
        bucket=_BUCKET,
        sums=_SUMS,
        hash=_hash(_row_text(proven)),
        key=_key_text(proven),
        table=table_of(proven),
    )
    return {int(row[0]): Digest(*map(int, row[1:])) for row in _rows(connection, query, proven)}


def read_rows(connection: Connection, proven: Proven, buckets: Sequence[int]) -> Iterator[Row]:
    """The rows of some buckets."""
    query = sql.SQL(
        "select {texts} from (select *, md5({key}) as windlass_k from {table}) as hashed"
        " where {bucket} = any({wanted})"
    ).format(
        texts=sql.SQL(", ").join(_texts(proven)),
        key=_key_text(proven),
        table=table_of(proven),
        bucket=sql.SQL(_BUCKET_OF).format(sql.Identifier("windlass_k")),
        wanted=sql.Literal(list(buckets)),
    )
    places = proven.keyed_by
    for row in _rows(connection, query, proven):
        texts = tuple(None if one is None else str(one) for one in row)
        yield Row(tuple(texts[at] for at in places), texts)


def within(connection: Connection, proven: Proven, part: Part) -> sql.Composable:
    """A WHERE clause for a range of blocks; the last range has no end, as a table can grow."""
    if part.of == 1:
        return sql.SQL("")
    table = sql.Identifier(proven.name.schema, proven.name.name)
    name = sql.Literal(table.as_string(connection))
    size = sql.SQL("select pg_relation_size({}) / current_setting('block_size')::int").format(name)
    ((blocks,),) = _rows(connection, size, proven)
    low, high = (blocks * at // part.of for at in (part.number, part.number + 1))
    is_last = part.number == part.of - 1
    return sql.SQL(" where {}").format(blocks_of(BlockRange(low, None if is_last else high)))


# The sums of the first 60 bits of the hashes, and of the next ones. OFFSET 0 keeps the server from
# computing the hash once for each use of it.
_SUMS = sql.SQL(
    "coalesce(sum(h::bit(60)::bigint), 0), coalesce(sum((h << 60)::bit(60)::bigint), 0)"
)


def _hash(text: sql.Composed) -> sql.Composed:
    return sql.SQL("('x' || md5({}))::bit(128)").format(text)


_BUCKET_OF: LiteralString = "('x' || substr({0}, 1, 3))::bit(12)::int"
_BUCKET = sql.SQL(_BUCKET_OF).format(sql.Identifier("k"))


def _rows(
    connection: Connection, query: sql.Composed, proven: Proven, *, doing: str = "hashing"
) -> Iterator[Sequence[Any]]:
    with explaining(f"{doing} {proven.name}", side=proven.side):
        found = connection.execute(query)
        yield from found


def table_of(proven: Proven) -> sql.Composable:
    """What its rows are selected from."""
    name = sql.Identifier(proven.name.schema, proven.name.name)
    return proven.rows or sql.SQL("only {}").format(name)


def _texts(proven: Proven) -> list[sql.Composed]:
    return [
        _text(sql.Identifier(column), field, proven)
        for column, field in zip(proven.columns, proven.fields, strict=True)
    ]


_TRIMMED: LiteralString = (
    "case when position('.' in {0}::text) > 0 then rtrim(rtrim({0}::text, '0'), '.')"
    " else {0}::text end"
)


def _text(column: sql.Identifier, field: Field, proven: Proven) -> sql.Composed:
    floats = proven.floats
    if proven.trims and floats != "digits" and field.type == Type(Sort.DECIMAL):
        return sql.SQL(_TRIMMED).format(column)
    if field.type.sort is not Sort.FLOAT:
        return sql.SQL(TEXTS[field.type.sort]).format(column)
    if floats == "bits":
        return sql.SQL(_BITS.get(field.type.bits, _BITS[64])).format(column)
    return sql.SQL(_DIGITS).format(sql.SQL("{}::float8").format(column))


def _row_text(proven: Proven) -> sql.Composed:
    return _joined(_texts(proven))


def _key_text(proven: Proven) -> sql.Composed:
    texts = _texts(proven)
    return _joined([texts[at] for at in proven.keyed_by])


def _joined(texts: Sequence[sql.Composed]) -> sql.Composed:
    """One text of all texts. A function takes at most 100 arguments, so they are joined by `||`."""
    whole = sql.SQL(" || ").join(sql.SQL("'|' || coalesce({}, 'N')").format(one) for one in texts)
    return sql.Composed([whole])
