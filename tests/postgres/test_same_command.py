"""The same command after the end of its migration: it reports that, and how it ended."""

from __future__ import annotations

import os
import re
import signal

import pytest

from command import DIFFERENT, DONE, REFUSED, finish, migrate, start, windlass
from oracle import content_difference
from servers import Pair

ROWS = (
    "create schema s",
    "create table s.t (id int primary key, note text)",
    "insert into s.t select n, 'note ' || n from generate_series(1, 200) n",
    "create table s.empty (id int)",
    "create view s.v as select id from s.t",
)


@pytest.fixture
def done(pair: Pair) -> tuple[Pair, str]:
    """A pair whose migration is finished, and its run."""
    pair.source.run(*ROWS)
    return pair, migrate(pair).expect(DONE).result["run"]


def runs(pair: Pair) -> int:
    found = pair.target.value("select count(*) from windlass.run")
    assert isinstance(found, int)
    return found


def test_it_is_done_already(done: tuple[Pair, str]) -> None:
    pair, run = done
    again = migrate(pair).expect(DONE).result
    assert (again["run"], again["state"], again["already"]) == (run, "done", True)
    assert again["verified"] == "full"
    said = windlass("migrate", pair=pair).expect(DONE).stdout
    assert re.search(rf"Run {run} finished this migration at [-\d]{{10}} [:\d]{{8}} UTC\n", said)
    assert "Verified" in said
    assert runs(pair) == 1


def test_one_that_ended_different_still_is(pair: Pair) -> None:
    pair.source.run(*ROWS, "create function s.f() returns int language sql return 1")
    pair.target.run(
        "create schema s", "create table s.t (id int primary key, note varchar(5))"
    )  # its definition differs
    first = migrate(pair, "--existing", "fill", "--include", "s.empty").expect(DONE)
    assert first.result["already"] is False
    found = '{"state": "different", "differences": [' + (
        '{"kind": "count", "object": "s.empty", "message": "has 1 row"}]}'
    )
    pair.target.run(
        f"update windlass.run set state = 'different', outcome = outcome || '{found}'::jsonb"
    )
    ran = migrate(pair, "--existing", "fill", "--include", "s.empty").expect(DIFFERENT)
    assert ran.result["already"] is True
    assert ran.result["differences"]
    said = windlass("migrate", "--existing", "fill", "--include", "s.empty", pair=pair)
    assert "s.empty: has 1 row" in said.expect(DIFFERENT).said
    assert "--repair" in said.said


@pytest.mark.parametrize("statement", ["drop table s.t cascade", "truncate s.t"])
def test_what_was_taken_away_since_is_a_new_migration(
    done: tuple[Pair, str], statement: str
) -> None:
    pair, _ = done
    pair.target.run(statement)
    assert "s.empty" in str(migrate(pair).expect(REFUSED).result["problems"])


def test_other_options_are_another_migration(done: tuple[Pair, str]) -> None:
    pair, _ = done
    migrate(pair, "--include", "s.t").expect(REFUSED)


def test_replace_was_asked_for_by_name_and_replaces_again(done: tuple[Pair, str]) -> None:
    pair, run = done
    pair.source.run("update s.t set note = 'newer'")
    for _ in range(2):
        again = migrate(pair, "--existing", "replace").expect(DONE).result
        assert again["already"] is False and again["run"] != run
    assert content_difference(pair.source, pair.target) == []


def test_restart_of_what_is_finished_asks_for_a_rollback_first(done: tuple[Pair, str]) -> None:
    pair, run = done
    (problem,) = migrate(pair, "--restart").expect(REFUSED).result["problems"]
    assert f"windlass rollback {run}" in problem["hint"]
    windlass("rollback", run, "--yes", pair=pair).expect(DONE)
    again = migrate(pair, "--restart").expect(DONE).result
    assert again["run"] != run and again["already"] is False


def test_a_run_that_compared_nothing_is_not_called_verified(pair: Pair) -> None:
    pair.source.run(*ROWS)
    migrate(pair, "--verify", "none").expect(DONE)
    again = migrate(pair, "--verify", "none").expect(DONE).result
    assert again["already"] is True and again["verified"] == ""
    (problem,) = migrate(pair).expect(REFUSED).result["problems"]
    assert "windlass verify" in problem["hint"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_at_the_very_end_leaves_exit_code_and_state_agreed(
    pair: Pair, number: signal.Signals
) -> None:
    """Sent the moment the journal has the end: before the result is said, or while it is."""
    pair.source.run(*ROWS)
    process = start("migrate", "--json", pair=pair)
    with pair.target.connect() as connection:
        while process.poll() is None:
            there = connection.execute("select to_regclass('windlass.line')").fetchone()
            if there == (None,):
                continue
            state = connection.execute("select state from windlass.run").fetchone()
            if state == ("done",):
                os.kill(process.pid, number)
                break
    ran = finish(process)
    if number != signal.SIGKILL:
        assert ran.code == DONE
        assert ran.result["state"] == "done"
    assert pair.target.value("select state from windlass.run") == "done"
    assert migrate(pair).expect(DONE).result["already"] is True
