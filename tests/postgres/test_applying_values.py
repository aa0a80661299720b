"""Every type's extremes arrive through a stream of changes to the last bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpora import corpora
from oracle import content_difference
from servers import Database, Pair
from streamed import Streamed, streamed

VERSIONS = [(16, 18), (18, 16), (15, 18)]
HOW = [False, True]
TABLES = (
    "select format('%I.%I', n.nspname, c.relname), array_agg(quote_ident(a.attname) order by attnum"
    ") filter (where not a.attnotnull and a.attgenerated = '' and a.attidentity = '')"
    " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
    " join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
    " where c.relkind in ('r', 'p') and not c.relispartition"
    " and n.nspname not in ('pg_catalog', 'information_schema') group by 1"
)
KEYS = (
    "select format('alter table %s drop constraint %I cascade', conrelid::regclass, conname)"
    " from pg_constraint where contype in ('p', 'u') and conparentid = 0"
    " and connamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
)
SOME = 5  # rows that are found by all of their values


def tables(database: Database) -> list[tuple[str, list[str]]]:
    """The relations, and their columns that may be NULL."""
    return [(name, found) for name, found in database.rows(TABLES) if found]


@pytest.mark.parametrize("in_order", HOW, ids=["net", "in-order"])
@pytest.mark.parametrize(
    ("pair", "path"),
    [
        pytest.param(versions, path, id=f"{versions[0]}-{versions[1]}-{path.stem}")
        for versions in VERSIONS
        for path in corpora("types", *versions)
        if path.stem != "large"
    ],
    indirect=["pair"],
)
def test_extreme_values_are_streamed_to_the_last_bit(
    pair: Pair, path: Path, in_order: bool
) -> None:
    with streamed(pair, path) as stream:
        assert stream.apply(in_order=in_order).in_order is in_order
        assert content_difference(pair.source, pair.target) == []
        update_all(stream, in_order=in_order)
        assert content_difference(pair.source, pair.target) == []
        delete_some_by_their_values(stream)
        assert content_difference(pair.source, pair.target) == []


def update_all(stream: Streamed, *, in_order: bool) -> None:
    """Give the target all values again, after it has lost them. With its full identity the source
    sends those that it did not change as well."""
    found = tables(stream.pair.source)
    for name, columns in found:
        stream.pair.source.run(
            f"alter table {name} replica identity full",
            f"update {name} set {columns[0]} = {columns[0]}",
        )
        lost = ", ".join(f"{column} = null" for column in columns)
        stream.target.execute(f"update {name} set {lost}".encode())
    assert content_difference(stream.pair.source, stream.pair.target) != []
    stream.begin_again()
    assert stream.apply(in_order=in_order).updated > 0


def delete_some_by_their_values(stream: Streamed) -> None:
    stream.pair.target.run(*(words for (words,) in stream.pair.target.rows(KEYS)))
    for name, _ in tables(stream.pair.source):
        stream.pair.source.run(
            f"delete from {name} where ctid in (select ctid from {name} limit {SOME})"
        )
    stream.begin_again()
    assert stream.apply().deleted > 0
