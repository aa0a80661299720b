"""A rollback says what it will do, does not lose what was written since, and says what it did."""

from __future__ import annotations

import pytest

from command import BAD_SPEC, DONE, REFUSED, migrate, windlass
from servers import Pair


@pytest.fixture
def run(pair: Pair) -> str:
    pair.source.run(
        "create table a (id int primary key)",
        "insert into a select generate_series(1, 100)",
        "create table b (id int)",
        "insert into b select generate_series(1, 50)",
    )
    found: str = migrate(pair).expect(DONE).result["run"]
    return found


def test_the_run_is_looked_for_before_anything_is_asked(pair: Pair, run: str) -> None:
    assert "is not in the journal" in windlass("rollback", "other", pair=pair).expect(REFUSED).said
    ran = windlass("rollback", run, pair=pair).expect(BAD_SPEC)
    assert "stdin is not a terminal; pass --yes" in ran.said
    assert pair.target.value("select count(*) from a") == 100


def test_it_says_afterwards_what_it_did(pair: Pair, run: str) -> None:
    said = windlass("rollback", run, "--yes", pair=pair).expect(DONE).stdout
    assert "Dropped 2 tables (150 rows," in said
    assert pair.target.value("select to_regclass('public.a')") is None


WRITES = {
    "insert": "insert into a values (1000)",
    "update": "update a set id = -id where id < 4",
    "delete": "delete from a where id < 6",
}


@pytest.mark.parametrize("kind", WRITES)
def test_what_was_written_since_is_refused_without_force(kind: str, pair: Pair, run: str) -> None:
    pair.target.run(WRITES[kind])
    (problem,) = (
        windlass("rollback", run, "--yes", "--json", pair=pair).expect(REFUSED).result["problems"]
    )
    assert problem["object"] == "public.a" and "--force" in problem["hint"]
    assert pair.target.value("select count(*) from b") == 50
    windlass("rollback", run, "--yes", "--force", pair=pair).expect(DONE)


def test_rolled_back_already_is_no_error(pair: Pair, run: str) -> None:
    windlass("rollback", run, "--yes", pair=pair).expect(DONE)
    ran = windlass("rollback", run, "--json", pair=pair).expect(DONE)
    assert ran.result["already"] and "already rolled back at 20" in ran.result["message"]
