"""How one row becomes 64 bits, so that equal bits on two servers mean an equal row.

The servers' own hash functions serve equality, which is wider than sameness: the hash of numeric
leaves out sign and scale (5 and -5.0 hash alike), that of bigint folds its halves (-1 and
4294967295 hash alike), jsonb's does not see where an object ends, an array's not its dimensions,
citext's not its case; an enum hashes its object id, which differs between servers. And
hash_record_extended is a sum over the columns, so the sum over a relation would stay the same
when two rows swap a value. Hence `hash_by` picks a form whose hash sees everything, and every row
hash is mixed once more before it is summed up. What remains is chance: about 1 in 2^64 for most
changes, 1 in 2^32 for a single timestamp or time.
"""

from __future__ import annotations

from windlass.engines.postgres.types import Types, base_type
from windlass.model.relation import HashBy

# By base type. Whatever is not named here, and every type that is not built in, goes as text.
_HASH_BY = {
    "bigint": HashBy.BIGINT,
    "numeric": HashBy.NUMERIC,
    "real": HashBy.FLOAT,
    "double precision": HashBy.FLOAT,
} | dict.fromkeys(
    (
        "boolean", '"char"', "smallint", "integer", "oid", "uuid", "bytea", "pg_lsn",
        "date", "time without time zone", "time with time zone",
        "timestamp without time zone", "timestamp with time zone",
        "inet", "cidr", "macaddr", "macaddr8",
        "int4range", "daterange", "tsrange", "tstzrange",
    ),
    HashBy.VALUE,
)  # fmt: skip


def hash_by(oid: int, types: Types) -> HashBy:
    """What to hash of a column of this type, a domain standing for its base type."""
    base = base_type(oid, types)
    return _HASH_BY.get(base.name, HashBy.TEXT) if base.builtin else HashBy.TEXT
