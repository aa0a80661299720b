"""Finds rows again: by the text of their keys through an index, or by their hashes in a scan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg import sql

from windlass.engines.postgres.conversions import canonical
from windlass.engines.postgres.fingerprint import Side, fetch
from windlass.engines.postgres.hashing import HashedColumn, exact_text
from windlass.engines.postgres.session import Connection
from windlass.model.plan import Form
from windlass.model.relation import HashBy

Key = tuple[str | None, ...]

VALUE_CHARACTERS = 1000  # values are cut to this length


def has_key(side: Side, keys: Sequence[Key]) -> sql.Composed:
    """True for the rows with one of these keys.

    Types that are not built in are compared by their text, at the price of a scan: their
    operators are not found, as search_path is empty, and citext's would find too much. A key with
    a NULL, which only a target without the constraint can hold, is looked for by its text as well;
    and so is one that has another type on the target, where its text may be another ('007' and 7).

    A type's equality may be wider than sameness, as that of a nondeterministic collation is: what
    the index finds has to have the key's text too. Without that, a key also finds its equals; and
    where the planner turns IN into a join it takes the keys for distinct by the default collation,
    so that a row comes once for each key that equals it (seen on 15.18).
    """
    nulls = any(value is None for key in keys for value in key)
    by_text = nulls or any("." in column.type or column.is_converted for column in side.keyset)
    arrays = [sql.Literal([key[at] for key in keys]) for at in range(len(side.keyset))]
    names = [sql.Identifier(f"key_{at}") for at in range(len(side.keyset))]
    if by_text:
        left = sql.SQL("row({})::text").format(_list(map(exact_text, side.keyset)))
        right = sql.SQL("row({})::text").format(_list(names))
    else:
        both = list(zip(side.keyset, names, strict=True))
        wide = [(column, name) for column, name in both if column.hash_by is HashBy.TEXT]
        left = sql.SQL("({})").format(
            _list(
                [sql.Identifier(column.name) for column in side.keyset]
                + [sql.SQL('{} collate "C"').format(exact_text(column)) for column, _ in wide]
            )
        )
        right = _list(
            [sql.SQL("{}::{}").format(name, sql.SQL(column.type)) for column, name in both]
            + [name for _, name in wide]
        )
    return sql.SQL("{} in (select {} from unnest({}) as wanted ({}))").format(
        left, right, _list(sql.SQL("{}::text[]").format(array) for array in arrays), _list(names)
    )


def has_hash(side: Side, hashes: Iterable[int]) -> sql.Composed:
    """True for the rows with one of these row hashes."""
    return sql.SQL("{} in (select unnest({}::bigint[]))").format(
        side.row_hash, sql.Literal(list(hashes))
    )


def read_column_hashes(
    connection: Connection, side: Side, keys: Sequence[Key]
) -> Mapping[Key, list[Sequence[int]]]:
    """By key, a list of hashes per row, one for each of the side's columns."""
    hashes = [side.hashing.of([column]) for column in side.columns]
    return _read_by_key(connection, side, keys, hashes)


def read_values(
    connection: Connection, side: Side, keys: Sequence[Key]
) -> Mapping[Key, list[Sequence[str | None]]]:
    """By key, a list of texts per row, one for each of the side's columns, long ones cut off."""
    return _read_by_key(connection, side, keys, list(map(_shown, side.columns)))


def read_values_by_hash(
    connection: Connection, side: Side, hashes: Sequence[int]
) -> Mapping[int, Sequence[str | None]]:
    """By row hash, the texts of one row with that hash."""
    query = sql.SQL("select distinct on (1) {}, array[{}]::text[] from {} where {}").format(
        side.row_hash,
        _list(map(_shown, side.columns)),
        side.rows,
        has_hash(side, hashes),
    )
    return dict(fetch(connection, side, query))


def _read_by_key(
    connection: Connection, side: Side, keys: Sequence[Key], wanted: Sequence[sql.Composable]
) -> Mapping[Key, list[Any]]:
    query = sql.SQL("select array[{}], array[{}] from {} where {}").format(
        _list(map(exact_text, side.keyset)), _list(wanted), side.rows, has_key(side, keys)
    )
    found: dict[Key, list[Any]] = defaultdict(list)
    for key, values in fetch(connection, side, query):
        found[tuple(key)].append(values)
    return found


def _shown(column: HashedColumn) -> sql.Composed:
    written = canonical(Form.TEXT, sql.Identifier(column.name))
    return sql.SQL("left({}, {})").format(written, sql.Literal(VALUE_CHARACTERS))


def _list(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
