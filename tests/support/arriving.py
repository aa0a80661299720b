"""What another engine's rows are on PostgreSQL: a table is made of the types that were chosen, the
lines are copied into it, and PostgreSQL computes the texts of the proof by its own means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Any

from psycopg import sql

from servers import Database
from windlass.engines.origin import Origin
from windlass.engines.postgres.foreign.digests import Proven, read_digest
from windlass.model.chunk import Range, Whole
from windlass.model.relation import Name
from windlass.model.translation import Digest, Field, Fit, Reading, Sort, SourceTable

_TYPES = {
    Sort.BOOLEAN: "boolean", Sort.TEXT: "text", Sort.BYTES: "bytea", Sort.DATE: "date",
    Sort.TIME: "time",
    Sort.TIMESTAMP: "timestamp", Sort.INSTANT: "timestamptz", Sort.INTERVAL: "interval",
    Sort.JSON: "jsonb", Sort.UUID: "uuid", Sort.ENUM: "text", Sort.SET: "text[]",
}  # fmt: skip
_TEXTS = {
    Sort.BOOLEAN: "{0}::text", Sort.INTEGER: "{0}::text", Sort.DECIMAL: "{0}::text",
    Sort.TEXT: "{0}::text", Sort.ENUM: "{0}::text", Sort.JSON: "{0}::text",
    Sort.BYTES: "encode({0}, 'hex')",
    Sort.DATE: "{0}::text", Sort.TIME: "to_char({0}, 'HH24:MI:SS.US')",
    Sort.TIMESTAMP: "to_char({0}, 'YYYY-MM-DD HH24:MI:SS.US')",
    Sort.INSTANT: "to_char({0} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00')",
    Sort.INTERVAL: "(extract(epoch from {0}) * 1000000)::bigint::text", Sort.UUID: "{0}::text",
    Sort.BITS: "{0}::text", Sort.SET: "array_to_json({0})::text", Sort.FLOAT: "{0}::float8::text",
}  # fmt: skip


def type_of(field: Field) -> str:
    """PostgreSQL's type."""
    type_ = field.type
    match type_.sort:
        case Sort.INTEGER:
            return {16: "smallint", 32: "integer", 64: "bigint"}[type_.bits]
        case Sort.DECIMAL:
            return f"numeric({type_.precision},{type_.scale})" if type_.precision else "numeric"
        case Sort.FLOAT:
            return "real" if type_.bits == 32 else "double precision"
        case Sort.BITS:
            return f"bit({type_.length})"
        case Sort.TEXT if type_.length:
            return f"{'char' if type_.is_fixed else 'varchar'}({type_.length})"
    return _TYPES[type_.sort]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A table of the target, with what has been copied into it."""

    database: Database
    name: str
    fields: tuple[Field, ...]

    def rows(self, columns: str = "*") -> list[tuple[Any, ...]]:
        with self.database.connect() as session:
            session.execute("set time zone 'UTC'; set datestyle = iso")
            query = sql.SQL(f"select {columns} from {{}} order by 1")
            return session.execute(query.format(sql.Identifier(self.name))).fetchall()

    def texts(self) -> list[tuple[str | None, ...]]:
        """Each row's hashed texts."""
        each = sql.SQL(", ").join(
            sql.SQL(_TEXTS[one.type.sort]).format(sql.Identifier(one.name)) for one in self.fields
        )
        query = sql.SQL("select {} from {}").format(each, sql.Identifier(self.name))
        with self.database.connect() as session:
            found = session.execute(query).fetchall()
        return [
            tuple(_hashed(field, text) for field, text in zip(self.fields, row, strict=True))
            for row in found
        ]

    def digest_of_ours(self) -> Digest:
        """As a verification computes it."""
        names = tuple(one.name for one in self.fields)
        proven = Proven(Name("public", self.name), names, self.fields, names[:1], "digits")
        with self.database.connect() as session:
            return read_digest(session, proven)

    def digest(self) -> Digest:
        whole = Digest()
        for texts in self.texts():
            row = "".join("|N" if one is None else f"|{one}" for one in texts)
            hash_ = md5(row.encode()).hexdigest()
            whole += Digest(1, int(hash_[:15], 16), int(hash_[15:30], 16))
        return whole


def _hashed(field: Field, text: str | None) -> str | None:
    if text is None:
        return None
    match field.type.sort:
        case Sort.TEXT | Sort.ENUM:
            return f"{len(text.encode())}:{text}"
        case Sort.BOOLEAN:
            return text[0]
        case Sort.FLOAT:
            return _digits(text)
    return text


def _digits(text: str) -> str:
    mantissa, _, power = text.partition("e") if "e" in text else (text, "", "0")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = whole + fraction
    kept = digits.lstrip("0")
    if not kept:
        return f"{sign}0"
    return f"{sign}{kept.rstrip('0')}e{len(whole) - 1 - (len(digits) - len(kept)) + int(power)}"


def reading_of(table: SourceTable, fit: Fit) -> Reading:
    return Reading(table.name, fit.fields, table.primary_key.columns if table.primary_key else ())


def arrive(
    origin: Origin, table: SourceTable, fit: Fit, database: Database, ranges: Sequence[Range] = ()
) -> Arrived:
    """Copy a table's rows."""
    arrived = Arrived(database, table.name.name, fit.fields)
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(one.name), sql.SQL(type_of(one)))
        for one in fit.fields
    ]
    name = sql.Identifier(arrived.name)
    reading = reading_of(table, fit)
    with database.connect() as session, session.cursor() as cursor:
        cursor.execute(sql.SQL("create table {} ({})").format(name, sql.SQL(", ").join(columns)))
        for range_ in ranges or [Whole()]:
            with cursor.copy(sql.SQL("copy {} from stdin").format(name)) as copy:
                for block in origin.lines(reading, range_):
                    copy.write(block)
    return arrived
