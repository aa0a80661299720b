"""The second opinion itself: it reports a good copy as equal, and finds planted differences.

The good copy is pg_dump piped into psql. What even that cannot keep is named here, so that nobody
blames windlass for it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from corpora import corpora, corpus
from oracle import OWN_BOOKKEEPING, content_difference, schema_difference
from servers import Database, Pair, tool

# pg_dump builds a child's columns in its parent's order, and stops at a key that does not hold
NOT_KEPT_BY_PG_DUMP = {"inheritance_order", "foreign_keys_broken"}


def kept(*versions: int) -> list[Path]:
    return [path for path in corpora("*", *versions) if path.stem not in NOT_KEPT_BY_PG_DUMP]


def copy_with_pg_dump(pair: Pair) -> str:
    """Returns what psql complained about."""
    version = pair.target.server.version
    dumped = subprocess.run(
        [tool("pg_dump", version)], env=pair.source.variables, capture_output=True, check=True
    )
    done = subprocess.run(
        [tool("psql"), "-XqAt"],
        env=pair.target.variables,
        input=OWN_BOOKKEEPING.sub("", dumped.stdout.decode()).encode(),
        capture_output=True,
        check=False,
    )
    return done.stderr.decode()


@pytest.mark.parametrize("path", kept(16, 18), ids=lambda path: path.stem)
def test_a_copy_by_pg_dump_is_found_equal(pair: Pair, path: Path) -> None:
    pair.source.load(path)
    assert not re.findall("ERROR.*", copy_with_pg_dump(pair))
    assert schema_difference(pair.source, pair.target) == []
    assert content_difference(pair.source, pair.target) == []


@pytest.mark.parametrize("pair", [(16, 16), (18, 18), (15, 18)], indirect=True)
def test_a_copy_of_all_corpora_at_once_is_found_equal(pair: Pair) -> None:
    pair.source.load(*kept(pair.source.server.version, pair.target.server.version))
    assert not re.findall("ERROR.*", copy_with_pg_dump(pair))
    assert schema_difference(pair.source, pair.target) == []
    assert content_difference(pair.source, pair.target) == []


@pytest.mark.parametrize("name", sorted(NOT_KEPT_BY_PG_DUMP))
def test_what_pg_dump_does_not_keep_is_found(pair: Pair, name: str) -> None:
    pair.source.load(corpus(name))
    copy_with_pg_dump(pair)
    assert schema_difference(pair.source, pair.target)
    assert content_difference(pair.source, pair.target) == []


CHANGES_OF_DEFINITION = """
    alter table plain.defaults alter id set default 8
    alter table plain.stored alter f set storage external
    alter table plain.options set (fillfactor = 71)
    alter table trig.watched enable trigger disabled
    comment on table plain.no_rows is 'new'
    grant select on plain.no_rows to corpus_reader
    alter table plain.no_rows owner to corpus_reader
    alter sequence counting.used increment by 2
    drop table plain.no_columns
"""
CHANGES_OF_CONTENT = """
    update plain.many set b = 'X' where id = 4
    delete from plain.many where id = 4
    insert into plain.keyless select * from plain.keyless limit 1
    insert into plain.no_columns default values
    update plain.defaults set price = -0.11 where id = 1
    select setval('counting.used', 5, false)
    select setval('counting.used', 6)
    select lo_put(500005, 1000000, 'x')
    select lo_unlink(500001)
    alter large object 500003 owner to corpus_reader
    comment on large object 500003 is 'new'
"""


@pytest.mark.parametrize(
    ("difference", "changes"),
    [(schema_difference, CHANGES_OF_DEFINITION), (content_difference, CHANGES_OF_CONTENT)],
    ids=["definition", "content"],
)
def test_every_planted_change_is_found(
    pair: Pair, difference: Callable[[Database, Database], list[str]], changes: str
) -> None:
    for name in ("tables", "sequences", "large_objects", "triggers"):
        pair.source.load(corpus(name))
    copy_with_pg_dump(pair)
    known = difference(pair.source, pair.target)
    assert known == []
    for change in changes.strip().splitlines():
        pair.target.run(change)
        found = difference(pair.source, pair.target)
        assert found != known, change
        known = found
