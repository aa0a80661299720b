"""A chunk's range as a WHERE condition."""

from __future__ import annotations

from psycopg import sql

from windlass.model.chunk import BlockRange, KeyRange, NullKeys, Range, Whole
from windlass.model.relation import Relation

RANGES_SINCE = 140000
"""The first version that reads only the blocks of a range; older ones read all of a table."""


def condition(range_: Range, relation: Relation) -> sql.Composable:
    """True for exactly the rows of the range. Literals only, because COPY takes no parameters."""
    match range_:
        case Whole():
            return sql.SQL("true")
        case BlockRange():
            return blocks_of(range_)
        case KeyRange(key, low, high):
            return _keys(relation, key, low, high)
        case NullKeys(key):
            tests = [sql.SQL("{} is null").format(sql.Identifier(name)) for name in key]
            return sql.SQL("({})").format(sql.SQL(" or ").join(tests))


def blocks_of(range_: BlockRange) -> sql.Composable:
    """A TID range scan since version 14: both bounds must be plain comparisons with ctid."""
    tests = [sql.SQL("ctid >= {}::tid").format(sql.Literal(f"({range_.low},0)"))]
    if range_.high is not None:
        tests.append(sql.SQL("ctid < {}::tid").format(sql.Literal(f"({range_.high},0)")))
    return sql.SQL(" and ").join(tests)


def _keys(
    relation: Relation,
    key: tuple[str, ...],
    low: tuple[str, ...] | None,
    high: tuple[str, ...] | None,
) -> sql.Composable:
    """Row comparison, which can use an index on the key. Rows with NULL are excluded even on an
    unbounded side."""
    types = {column.name: column.type for column in relation.columns}
    row = sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Identifier, key)))

    def bound(values: tuple[str, ...]) -> sql.Composable:
        cast = [
            # a type name cannot be a parameter; it is format_type's own, quoted output
            sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(types[name]))
            for name, value in zip(key, values, strict=True)
        ]
        return sql.SQL("({})").format(sql.SQL(", ").join(cast))

    tests = [sql.SQL("{} is not null").format(sql.Identifier(name)) for name in key]
    if low is not None:
        tests.append(sql.SQL("{} >= {}").format(row, bound(low)))
    if high is not None:
        tests.append(sql.SQL("{} < {}").format(row, bound(high)))
    return sql.SQL(" and ").join(tests)
