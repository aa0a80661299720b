"""Tables of an origin in PostgreSQL, by statements that share nothing with ours: what its lines
become there, and what digests of them are."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from servers import Database
from windlass.engines.origin import Origin
from windlass.model.chunk import Range, Whole
from windlass.model.relation import Name
from windlass.model.translation import (
    Answers,
    Digest,
    Field,
    Fit,
    Reading,
    Sort,
    SourceTable,
    Type,
)

_TYPES = {
    Sort.BOOLEAN: "boolean",
    Sort.FLOAT: "double precision",
    Sort.TEXT: "text",
    Sort.BYTES: "bytea",
    Sort.DATE: "date",
    Sort.TIME: "time",
    Sort.TIMESTAMP: "timestamp",
    Sort.INSTANT: "timestamptz",
    Sort.UUID: "uuid",
    Sort.JSON: "jsonb",
}
_HASHED = {
    Sort.BOOLEAN: "case when {0} then 't' else 'f' end",
    Sort.FLOAT: "encode(float8send({0}::float8), 'hex')",
    Sort.TEXT: "octet_length({0}::text) || ':' || {0}",
    Sort.BYTES: "encode({0}, 'hex')",
    Sort.TIME: "to_char({0}, 'HH24:MI:SS.US')",
    Sort.TIMESTAMP: "to_char({0}, 'YYYY-MM-DD HH24:MI:SS.US')",
    Sort.INSTANT: "to_char({0} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'",
}


def type_there(type_: Type) -> str:
    if type_.sort is Sort.INTEGER:
        return {16: "smallint", 32: "integer", 64: "bigint"}[type_.bits]
    if type_.sort is Sort.FLOAT and type_.bits == 32:
        return "real"
    if type_.sort is Sort.DECIMAL:
        return f"numeric({type_.precision},{type_.scale})" if type_.precision else "numeric"
    if type_.sort is Sort.TEXT and type_.length:
        return f"varchar({type_.length})"
    return _TYPES[type_.sort]


def tables_of(origin: Origin) -> dict[str, SourceTable]:
    return {table.name.name: table for table in origin.schemas().tables}


def reading_of(table: SourceTable, fit: Fit) -> Reading:
    """Of the fields that have values: what is generated there is not copied."""
    key = table.primary_key.columns if table.primary_key else ()
    return Reading(table.name, fit.fields, key)


def fitted(origin: Origin, table: SourceTable, **types: str) -> tuple[Fit, Reading]:
    fit = origin.fit(table, Answers(types))
    return fit, reading_of(table, fit)


def arrive(
    origin: Origin, reading: Reading, database: Database, ranges: Sequence[Range] = (Whole(),)
) -> None:
    """Into a new table in `public`, range by range."""
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(one.name), sql.SQL(type_there(one.type)))
        for one in reading.fields
    ]
    table = sql.Identifier("public", reading.table.name)
    with database.connect() as connection:
        made = sql.SQL("create table {} ({})").format(table, sql.SQL(", ").join(columns))
        connection.execute(made)
        for range_ in ranges:
            with connection.cursor().copy(sql.SQL("copy {} from stdin").format(table)) as copy:
                for block in origin.lines(reading, range_):
                    assert block.endswith(b"\n")
                    copy.write(block)


def texts_there(database: Database, table: Name) -> list[tuple[str | None, ...]]:
    """Each value as PostgreSQL prints it, in order of the first column."""
    with database.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        from_ = sql.Identifier("public", table.name)
        shape = connection.execute(sql.SQL("select * from {} limit 0").format(from_))
        names = [sql.Identifier(one.name) for one in shape.description or ()]
        every = sql.SQL(", ").join([sql.SQL("{}::text").format(name) for name in names])
        query = sql.SQL("select {} from (select * from {} order by 1) as ordered")
        return connection.execute(query.format(every, from_)).fetchall()


def digest_there(database: Database, reading: Reading) -> Digest:
    row = sql.SQL(" || ").join([_text(one) for one in reading.fields])
    query = sql.SQL(
        "select count(*), coalesce(sum(('x' || substr(m, 1, 15))::bit(60)::bigint), 0),"
        " coalesce(sum(('x' || substr(m, 16, 15))::bit(60)::bigint), 0)"
        " from (select md5({}) as m from {}) as hashed"
    ).format(row, sql.Identifier("public", reading.table.name))
    with database.connect() as connection:
        found = connection.execute(query).fetchone()
    assert found
    return Digest(*map(int, found))


def _text(field: Field) -> sql.Composed:
    hashed = sql.SQL(_HASHED.get(field.type.sort, "{0}::text")).format(sql.Identifier(field.name))
    return sql.SQL("coalesce('|' || {}, '|N')").format(hashed)
