"""A name is never interpreted as SQL, a format, a path or a pattern."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg import sql

from command import DIFFERENT, DONE, migrate, verify, windlass
from corpora import corpora, corpus
from oracle import content_difference, schema_difference
from servers import Pair


@pytest.mark.parametrize("path", corpora("identifiers", 16, 18), ids=lambda path: path.stem)
@pytest.mark.parametrize("pair", [(16, 18), (15, 18)], indirect=True)
def test_oddly_named_objects_arrive(pair: Pair, path: Path) -> None:
    pair.source.load(path)
    migrate(pair).expect(DONE)
    assert schema_difference(pair.source, pair.target) == []
    assert content_difference(pair.source, pair.target) == []


def test_oddly_named_keys_are_walked_in_small_chunks(pair: Pair) -> None:
    pair.source.load(corpus("odd_names"))
    pair.source.run(*_inserts(pair))
    words = ("--chunk-by", "keyset", "--chunk-size", "64kB")
    migrate(pair, *words).expect(DONE)
    assert content_difference(pair.source, pair.target) == []


def _inserts(pair: Pair) -> list[str]:
    """A thousand wide rows into a handful of the oddest."""
    wanted = ["%s", '"double"', "it's", "new\nline", "back\\slash", "{0}", "/* comment"]
    query = "insert into {} ({}, {}) select i, repeat('x', 200) from generate_series(100, 2000) i"
    return [
        sql.SQL(query)
        .format(sql.Identifier(name, name), sql.Identifier(name), sql.Identifier("2" + name))
        .as_string()
        for name in wanted
    ]


def test_differences_of_oddly_named_relations_are_found_and_repaired(pair: Pair) -> None:
    pair.source.load(corpus("odd_names"))
    migrate(pair).expect(DONE)
    for (name,) in pair.source.rows("select name from public.names where n % 7 = 4 order by n"):
        changed = sql.SQL("update {} set {} = 'changed' where {} = 1")
        second = sql.Identifier(("2" + name).encode()[:63].decode(errors="ignore"))
        pair.target.run(
            changed.format(sql.Identifier(name, name), second, sql.Identifier(name)).as_string()
        )
    verify(pair).expect(DIFFERENT)
    verify(pair, "--repair", "--yes").expect(DONE)
    assert content_difference(pair.source, pair.target) == []


def test_odd_names_are_shown_in_a_plan_and_selected_by_patterns(pair: Pair) -> None:
    pair.source.load(corpus("odd_names"))
    windlass("plan", pair=pair).expect(DONE)
    windlass("plan", "--format", "markdown", pair=pair).expect(DONE)
    done = migrate(pair, "--schema", "with.dot", "--schema", "it's", "--schema", "%s").expect(DONE)
    moved = {one["source"].replace('"', "") for one in done.result["relations"]}
    assert moved == {"with.dot.with.dot", "it's.it's", "%s.%s"}
