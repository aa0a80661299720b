"""Maps a row to 64 bits, so that equal bits on two servers mean an equal row.

The servers' own hash functions serve equality, which is wider than sameness. What each leaves out,
and where PostgreSQL's sources say so:

- bigint and timestamps fold 64 bits into 32, so that -1 and 4294967295 hash alike
  (hashint8extended, timestamp_hash_extended); so does a range of them, bound by bound
  (hash_range_extended), and a domain over a range has no hash at all (lookup_type_cache);
- numeric leaves out sign and scale (hash_numeric_extended), floats the sign of zero
  (hashfloat8extended), character(n) its blanks (hashbpcharextended);
- interval takes a month for 30 days (interval_hash_extended), timetz is two hashes in one
  (timetz_hash_extended), time folds as bigint does;
- jsonb does not see where an object ends (JsonbHashScalarValueExtended), an array not its
  dimensions (hash_array_extended), citext not case, a collation that is not deterministic not
  what it equates (hashtextextended); an enum hashes its object id, which differs between servers.

Hence `hash_by` picks a form whose hash sees everything: the value itself for those types alone
whose hash reads every bit of it, the bytes that the type sends, or the text that COPY writes.
``tests/postgres/test_hashes.py`` compares hundreds of neighbours of every type, on every version.

hash_record_extended is a sum over the columns, so the sum over a relation would stay the same
when two rows swap a value: every row hash is mixed once more before it is summed up. What remains
is chance, about 1 in 2^64 for a change.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from psycopg import sql

from windlass.engines.postgres.conversions import canonical
from windlass.engines.postgres.types import Types, base_type
from windlass.model.plan import Form
from windlass.model.relation import HashBy

# By base type. Whatever is not named here, and every type that is not built in, goes as text.
_HASH_BY = {
    "bigint": HashBy.BIGINT,
    "timestamp without time zone": HashBy.INSTANT,
    "timestamp with time zone": HashBy.INSTANT,
    "numeric": HashBy.NUMERIC,
    "real": HashBy.FLOAT,
    "double precision": HashBy.FLOAT,
} | dict.fromkeys(
    (
        "boolean", '"char"', "smallint", "integer", "oid", "uuid", "bytea", "date",
        "inet", "cidr", "macaddr", "macaddr8",
    ),
    HashBy.VALUE,
)  # fmt: skip

# Cheapest unconverted: their hash reads the characters, and character(n) is padded to n anyway.
_PLAIN_TEXT = re.compile(r"text|character varying(\(\d+\))?|character\(\d+\)")

# ROW() takes 1664 entries, a relation has up to 1600 columns, a float is two entries.
_ENTRIES = 1600

NO_COLUMNS = sql.SQL("0::bigint")


class Method(Enum):
    """The hash function; both sides of a comparison use the same one."""

    RECORD = "hash_record_extended"  # since version 14
    TEXT = "hash_array_extended"  # of the row's text; takes three times as long

    @classmethod
    def between(cls, *versions: int) -> Method:
        """The best method that all these servers (server_version_num) support."""
        return cls.RECORD if min(versions) >= 140000 else cls.TEXT


@dataclass(frozen=True, slots=True)
class HashedColumn:
    """A column as one side hashes it."""

    name: str
    type: str
    hash_by: HashBy
    form: Form | None = None  # if the other side has another type: the common form
    arrives_as: str = ""  # the target's type, where it is accepted that values change on arrival
    computed: bool = False  # by the server itself: it cannot be written

    @property
    def is_converted(self) -> bool:
        return self.form is not None


@dataclass(frozen=True, slots=True)
class Hashing:
    """How one side hashes. `converts`: its text must be converted to the encoding that both sides
    hash."""

    method: Method = Method.RECORD
    converts: bool = False

    def of(self, columns: Sequence[HashedColumn]) -> sql.Composable:
        """A bigint that distinguishes rows that differ in any of these columns; never NULL."""
        if not columns:
            return NO_COLUMNS
        return self._of_text(columns) if self.method is Method.TEXT else self._of_record(columns)

    def _of_record(self, columns: Sequence[HashedColumn]) -> sql.Composable:
        entries = [entry for column in columns for entry in self._entries(column)]
        parts = [entries[i : i + _ENTRIES] for i in range(0, len(entries), _ENTRIES)]
        total = _record(parts[0])
        for part in parts[1:]:
            total = sql.SQL("{} # {}").format(_record(part), mix(total, seed=1))
        return mix(total)

    def _of_text(self, columns: Sequence[HashedColumn]) -> sql.Composable:
        """The hash of a record's text. It quotes its fields, so no two rows have the same text."""
        fields = [
            sql.Identifier(column.name) if not column.is_converted else exact_text(column)
            for column in columns
        ]
        text = sql.SQL("row({})::text").format(sql.SQL(", ").join(fields))
        form = "convert_to({}, 'UTF8')" if self.converts else '{} collate "C"'
        # of an array, as hashtextextended takes no bytea
        return sql.SQL("hash_array_extended(array[{}], 0)").format(sql.SQL(form).format(text))

    def _entries(self, column: HashedColumn) -> list[sql.Composable]:
        name = sql.Identifier(column.name)
        match column.hash_by:
            case HashBy.VALUE:
                return [name]
            case HashBy.BIGINT:
                return [sql.SQL("int8send({})").format(name)]
            case HashBy.INSTANT:  # a timestamp without time zone is read as UTC, which we set
                return [sql.SQL("timestamptz_send({})").format(name)]
            case HashBy.NUMERIC:
                return [sql.SQL("numeric_send({})").format(name)]
            case HashBy.FLOAT:
                return [name, sql.SQL("case when {0} = 0 then {0}::text end").format(name)]
            case HashBy.TEXT:
                return [self._characters(column)]

    def _characters(self, column: HashedColumn) -> sql.Composable:
        """The characters to hash. Text and bytea with the same bytes have the same hash, so only
        one side must convert."""
        plain = not column.is_converted and _PLAIN_TEXT.fullmatch(column.type)
        if self.converts:
            name = sql.Identifier(column.name)
            text = sql.SQL("{}::text").format(name) if plain else exact_text(column)
            return sql.SQL("convert_to({}, 'UTF8')").format(text)
        text = sql.Identifier(column.name) if plain else exact_text(column)
        return sql.SQL('{} collate "C"').format(text)


def hash_by(oid: int, types: Types) -> HashBy:
    """What to hash of a column of this type, a domain standing for its base type."""
    base = base_type(oid, types)
    return _HASH_BY.get(base.name, HashBy.TEXT) if base.builtin else HashBy.TEXT


def exact_text(column: HashedColumn) -> sql.Composable:
    """What COPY would write, NULL for NULL; if the other side has another type, the form that both
    sides write for the same value.

    concat() calls the type's output function, where a cast to text may call a lossy one; a
    composite whose fields are all NULL ``is null``, so NULL has to be counted.
    """
    value = sql.Identifier(column.name)
    if column.form is None:
        return canonical(Form.TEXT, value)
    if column.arrives_as:
        arrived = sql.SQL("concat({})::{}").format(value, sql.SQL(column.arrives_as))
        return sql.SQL("case num_nulls({}) when 0 then concat({}) end").format(value, arrived)
    return canonical(column.form, value)


def mix(total: sql.Composable, *, seed: int = 0) -> sql.Composable:
    """Scramble 64 bits. hashint8extended would fold its argument; of the seed all bits count."""
    return sql.SQL("hashint4extended({}, {})").format(sql.Literal(seed), total)


def _record(entries: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL("hash_record_extended(row({}), 0)").format(sql.SQL(", ").join(entries))
