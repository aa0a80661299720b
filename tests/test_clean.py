"""`clean` removes what ended runs have left, after a question, and nothing that is needed."""

from __future__ import annotations

import pytest

from command import BAD_SPEC, DONE, REFUSED, migrate, windlass
from servers import Pair

LEFT = "select count(*) from pg_namespace where nspname like 'windlass\\_%%'"


@pytest.fixture
def replaced(pair: Pair) -> tuple[Pair, str]:
    """A target of which a run has set something aside."""
    pair.source.run("create table t (id serial primary key)", "insert into t values (1)")
    pair.target.run(
        "create table t (id serial primary key)",
        "insert into t select generate_series(1, 1000)",
        "create view seen as select 1 as one",
    )
    return pair, migrate(pair, "--existing", "replace").expect(DONE).result["run"]


def test_it_lists_sizes_asks_and_removes(replaced: tuple[Pair, str]) -> None:
    pair, run = replaced
    assert windlass("clean", pair=pair).expect(BAD_SPEC)
    assert pair.target.value(LEFT) == 1
    status = windlass("status", "--json", pair=pair).expect(DONE).result["runs"][0]
    ran = windlass("clean", "--yes", "--json", pair=pair).expect(DONE)
    (left,) = ran.result["runs"]
    assert left["run"] == run and left["size_bytes"] == status["set_aside_bytes"] > 8192
    assert pair.target.value(LEFT) == 0
    assert windlass("status", "--json", pair=pair).expect(DONE).result["runs"] == []
    assert pair.target.value("select count(*) from t") == 1
    assert windlass("clean", "--yes", pair=pair).expect(DONE).stdout.startswith("Nothing")


def test_what_others_use_stays_and_is_named(replaced: tuple[Pair, str]) -> None:
    pair, run = replaced
    schema = pair.target.value(
        "select nspname from pg_namespace where nspname like 'windlass\\_%%'"
    )
    pair.target.run(f'create view mine as select * from "{schema}".t')
    ran = windlass("clean", run, "--yes", "--json", pair=pair).expect(REFUSED)
    assert "view public.mine" in ran.said
    assert pair.target.value(LEFT) == 1 and pair.target.value("select count(*) from mine") == 1000


def test_an_unfinished_run_keeps_what_it_needs(replaced: tuple[Pair, str]) -> None:
    pair, run = replaced
    pair.target.run("update windlass.run set state = 'running', finished_at = null")
    assert windlass("clean", "--yes", "--json", pair=pair).expect(DONE).result["runs"] == []
    ran = windlass("clean", run, "--yes", "--json", pair=pair).expect(REFUSED)
    assert "windlass rollback" in ran.said and pair.target.value(LEFT) == 1
