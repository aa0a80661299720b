"""`verify --repair` is a run: announced, journalled, resumed after a kill, and undone."""

from __future__ import annotations

from typing import Any

import pytest

from command import BAD_SPEC, DIFFERENT, DONE, REFUSED, STOPPED, migrate, verify, windlass
from killing import kill
from servers import Pair

ROWS = (
    "create table keyed (id int primary key, v text,"
    " twice int generated always as (id * 2) stored)",
    "insert into keyed select n, 'row ' || n from generate_series(1, 20) n",
    "create table keyless (v int)",
    "insert into keyless select n / 2 from generate_series(1, 10) n",
    "create sequence counter",
    "select setval('counter', 7)",
)
SPOILED = (
    "update keyed set v = 'mine' where id in (1, 2)",
    "delete from keyed where id = 3",
    "insert into keyed select n, 'only here' from generate_series(101, 105) n",
    "insert into keyless values (77), (77)",
    "delete from keyless where ctid = (select min(ctid) from keyless)",
    "select setval('counter', 99)",
)


@pytest.fixture
def spoiled(pair: Pair) -> Pair:
    pair.source.run(*ROWS)
    migrate(pair).expect(DONE)
    pair.target.run(*SPOILED)
    return pair


def content(pair: Pair) -> list[list[tuple[Any, ...]]]:
    queries = (
        "select * from keyed order by 1",
        "select * from keyless order by 1",
        "select last_value from counter",
    )
    return [pair.target.rows(query) for query in queries]


def newest(pair: Pair) -> dict[str, Any]:
    found: dict[str, Any] = windlass("status", "--json", pair=pair).expect(DONE).result["runs"][0]
    return found


def test_without_a_terminal_and_without_yes_nothing_is_changed(spoiled: Pair) -> None:
    before = content(spoiled)
    ran = verify(spoiled, "--repair").expect(BAD_SPEC)
    assert "pass --yes" in ran.said and content(spoiled) == before
    assert "--help" not in ran.said


def test_it_says_what_it_changes_and_a_rollback_brings_all_of_it_back(spoiled: Pair) -> None:
    before = content(spoiled)
    ran = verify(spoiled, "--repair", "--yes").expect(DONE)
    lines = {line.split()[0]: line.split()[1:] for line in ran.stderr.splitlines() if line.split()}
    assert lines["public.keyed"] == ["2", "1", "5"]
    assert lines["public.keyless"] == ["0", "1", "2"]
    assert lines["all"] == ["2", "2", "7"]
    assert "on the target only" not in ran.said  # the run's own backup
    run = newest(spoiled)
    assert (run["flow"], run["state"]) == ("repair", "done")
    assert (ran.result["run"], ran.result["repaired"]) == (run["run"], True)
    windlass("rollback", "--json", "--yes", run["run"], pair=spoiled).expect(DONE)
    assert content(spoiled) == before
    schemas = "select count(*) from pg_namespace where nspname like 'windlass\\_%%repair'"
    assert spoiled.target.value(schemas) == 0


@pytest.mark.parametrize("words", [(), ("-q",)], ids=["all", "quiet"])
def test_its_result_names_the_run_and_how_to_undo_it(words: tuple[str, ...], spoiled: Pair) -> None:
    said = windlass("verify", "--repair", "--yes", *words, pair=spoiled).expect(DONE).stdout
    assert f"Repaired by run {newest(spoiled)['run']}" in said
    assert f"windlass rollback {newest(spoiled)['run']}" in said


def test_one_that_stops_part_way_does_not_say_that_nothing_was_changed(spoiled: Pair) -> None:
    """The table that comes second does not take its row."""
    spoiled.target.run("alter table keyless add constraint no check (v <> 0) not valid")
    before = content(spoiled)
    ran = verify(spoiled, "--repair", "--yes").expect(STOPPED)
    run = newest(spoiled)
    assert (ran.result["run"], run["state"]) == (run["run"], "stopped")
    assert f"windlass rollback {run['run']}" in ran.result["hint"]
    assert "nothing was" not in ran.said
    windlass("rollback", "--json", "--yes", run["run"], pair=spoiled).expect(DONE)
    assert content(spoiled) == before


def test_only_what_it_may(spoiled: Pair) -> None:
    verify(spoiled, "--repair=insert,update", "--yes").expect(DIFFERENT)
    extra = "select count(*) from keyed where id > 100"
    assert spoiled.target.value(extra) == 5
    assert spoiled.target.value("select count(*) from keyed where v = 'mine' or id = 3") == 1
    verify(spoiled, "--repair=all", "--yes").expect(BAD_SPEC)


def test_killed_between_two_tables_the_same_command_resumes_the_same_run(spoiled: Pair) -> None:
    before = content(spoiled)
    env = {"WINDLASS_SOURCE": spoiled.source.url, "WINDLASS_TARGET": spoiled.target.url}
    kill("call windlass.flows.repair.repair 2", ["verify", "--repair", "--yes"], env)
    killed = newest(spoiled)
    assert killed["state"] == "running" and not killed["active"]
    verify(spoiled, "--repair", "--yes").expect(DONE)
    run = newest(spoiled)
    assert (run["run"], run["state"]) == (killed["run"], "done")
    windlass("rollback", "--json", "--yes", run["run"], pair=spoiled).expect(DONE)
    assert content(spoiled) == before


def test_what_was_written_since_a_repair_is_not_lost_unasked(spoiled: Pair) -> None:
    verify(spoiled, "--repair", "--yes").expect(DONE)
    run = newest(spoiled)["run"]
    spoiled.target.run("update keyed set v = 'later' where id = 3")
    ran = windlass("rollback", "--json", "--yes", run, pair=spoiled).expect(REFUSED)
    assert "--force" in ran.said
    assert spoiled.target.value("select v from keyed where id = 3") == "later"


def test_large_objects_come_back(pair: Pair) -> None:
    pair.source.run("select lo_from_bytea(4711, 'source')", "create table t (a int)")
    migrate(pair).expect(DONE)
    pair.target.run("select lo_unlink(4711)", "select lo_from_bytea(4711, 'mine')")
    verify(pair, "--repair", "--yes").expect(DONE)
    assert bytes(pair.target.value("select lo_get(4711)")) == b"source"
    windlass("rollback", "--json", "--yes", newest(pair)["run"], pair=pair).expect(DONE)
    assert bytes(pair.target.value("select lo_get(4711)")) == b"mine"
