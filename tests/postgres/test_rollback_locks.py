"""A rollback waits for concurrent writers, sees what they wrote, and names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from command import DONE, REFUSED, finish, migrate, start, windlass
from filling import COUNT, ROWS, rollback
from large_objects import state
from locking import blocked_by, holding, noticed
from servers import Pair
from windlass.api import rollback as roll_back
from windlass.aside.objects import drop_made
from windlass.flows.migrate import undo as undoing
from windlass.model.event import ignore
from windlass.model.outcome import State
from windlass.model.statement import Statement
from windlass.model.wording import word

DROPS = 10  # transactions in which the rollback of a test drops what the run has made
REPEATABLE = "alter database {} set default_transaction_isolation = 'repeatable read'"


@pytest.mark.parametrize("isolation", ["", REPEATABLE])
def test_a_row_that_is_not_committed_yet_is_waited_for_and_seen(pair: Pair, isolation: str) -> None:
    pair.source.run(*ROWS)
    run = migrate(pair).expect(DONE).result["run"]
    if isolation:
        pair.target.run(isolation.format(pair.target.name))
    with holding(pair.target, "insert into t values (77)") as other:
        process = start("rollback", run, "--yes", pair=pair)
        line = noticed(process, "waiting for a lock")
        assert f"target: waiting for a lock on public.t, {blocked_by(other)}" in line
    ran = finish(process).expect(REFUSED)
    assert "public.t" in ran.said and "1 row" in ran.said
    assert pair.target.value(COUNT) == 21


def test_a_row_that_refers_to_a_filled_one_is_waited_for_and_seen(pair: Pair) -> None:
    pair.source.run(*ROWS)
    pair.target.run(ROWS[0], "create table notes (id int references t on delete cascade)")
    words = ("--existing", "fill", "--include", "public.t")
    run = migrate(pair, *words).expect(DONE).result["run"]
    with holding(pair.target, "insert into notes values (1)"):
        process = start("rollback", run, "--yes", pair=pair)
        assert "public.t" in noticed(process, "waiting for a lock")
    assert "public.notes" in finish(process).expect(REFUSED).said
    assert pair.target.value("select count(*) from notes") == 1
    assert pair.target.value(COUNT) == 20


def test_a_partition_that_is_not_committed_yet_is_waited_for_and_seen(pair: Pair) -> None:
    pair.source.run(
        "create table p (id int) partition by range (id)",
        "create table p1 partition of p for values from (0) to (100)",
        "insert into p values (1)",
    )
    run = migrate(pair).expect(DONE).result["run"]
    attach = "create table p2 partition of p for values from (100) to (200)"
    with holding(pair.target, attach) as other:
        other.execute("insert into p values (150)")
        process = start("rollback", run, "--yes", pair=pair)
        noticed(process, "waiting for a lock")
    assert "public.p2" in finish(process).expect(REFUSED).said
    assert pair.target.value("select count(*) from p2") == 1


@pytest.mark.parametrize("pair", [(16, 18)], indirect=True)
def test_rows_that_refer_to_a_filled_partition_are_not_left_without_it(pair: Pair) -> None:
    tables = (
        "create table p (id int primary key) partition by range (id)",
        "create table p1 partition of p for values from (0) to (100)",
        "create table q (id int references p) partition by range (id)",
        "create table q1 partition of q for values from (0) to (100)",
    )
    pair.source.run(*tables, "insert into p values (1), (2)", "insert into q values (2)")
    pair.target.run(*tables, "create table notes (p int references p)")
    run = migrate(pair, "--existing", "fill").expect(DONE).result["run"]
    pair.target.run("insert into notes values (1)")
    for force in ((), ("--force",)):
        said = rollback(pair, run, *force, code=REFUSED)
        assert "public.notes" in said and "public.q" not in said
    pair.target.run("delete from notes")
    rollback(pair, run)
    assert pair.target.value("select count(*) from p") == 0


def test_who_keeps_clean_waiting_is_named(pair: Pair) -> None:
    pair.source.run(*ROWS)
    pair.target.run(ROWS[0])
    run = migrate(pair, "--existing", "replace").expect(DONE).result["run"]
    with holding(pair.target, f"select from windlass_{run}_public.t") as other:
        process = start("clean", "--yes", pair=pair)
        assert blocked_by(other) in noticed(process, "waiting for a lock")
    finish(process).expect(DONE)


UPDATE = "update t set id = -id where id < 4"


def test_an_update_by_who_began_before_the_end_of_the_run_is_seen(pair: Pair) -> None:
    pair.source.run(*ROWS)
    pair.target.run("create table other (id int)")
    with psycopg.connect(pair.target.url) as writer:
        writer.execute("insert into other values (1)")  # its transaction has an age now
        run = migrate(pair).expect(DONE).result["run"]
        writer.execute(UPDATE.encode())
    assert "3 rows" in rollback(pair, run, code=REFUSED)
    assert pair.target.value("select count(*) from t where id < 0") == 3


@pytest.mark.parametrize("words", [("--unlogged", "always"), ("--existing", "fill"), ()])
def test_what_the_run_has_written_is_nobody_else_s(pair: Pair, words: Sequence[str]) -> None:
    pair.source.run(
        "create table t (id int primary key, note text)",
        "insert into t select n, repeat('x', 500) from generate_series(1, 4000) n",
        "create table p (id int) partition by range (id)",
        "create table p1 partition of p for values from (0) to (100)",
        "insert into p select generate_series(1, 50)",
        "create unlogged table u as select generate_series(1, 10) as id",
    )
    if "fill" in words:
        pair.target.run("create table t (id int primary key, note text)")
    ran = migrate(pair, "--chunk-size", "64kB", "--chunk-by", "ctid", *words).expect(DONE)
    pair.target.run("vacuum (full, freeze)", "grant select on t to public", "analyze")
    rollback(pair, ran.result["run"])


def test_large_objects_are_counted_and_a_changed_one_is_refused(pair: Pair) -> None:
    pair.source.run("select lo_from_bytea(i::oid, 'theirs') from generate_series(70, 72) i")
    run = migrate(pair).expect(DONE).result["run"]
    pair.target.run("select lo_put(71, 0, 'mine!!')")
    assert "1 of those that the run copied" in rollback(pair, run, code=REFUSED)
    assert pair.target.value("select lo_get(71)") == b"mine!!"
    assert "removed 3 large objects" in rollback(pair, run, "--force")


def test_a_sequence_that_was_used_since_does_not_give_its_values_again(pair: Pair) -> None:
    for database in (pair.source, pair.target):
        database.run("create table t (id serial primary key)", "create table other (id int)")
    pair.source.run("insert into t default values")
    run = migrate(pair, "--existing", "fill").expect(DONE).result["run"]
    rollback_of = ("rollback", run, "--yes")
    pair.target.run("insert into other values (nextval('t_id_seq'))", "delete from other")
    assert "sequence public.t_id_seq" in windlass(*rollback_of, pair=pair).expect(REFUSED).said
    windlass(*rollback_of, "--force", pair=pair).expect(DONE)
    assert pair.target.value("select nextval('t_id_seq')") == 1


# A rollback of very many objects takes several transactions.

WHOLE = ("create table a (id int)", "insert into a values (1)")
PARTITIONED = (
    "create table z (id int) partition by range (id)",
    "create table a partition of z for values from (0) to (10000)",
    "insert into z values (1)",
)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """One object in each transaction."""
    monkeypatch.setattr(undoing, "MOST_PORTIONS", 1)
    monkeypatch.setattr(undoing, "_portion", lambda _plan: 1)
    return monkeypatch


@pytest.mark.parametrize("tables", [WHOLE, PARTITIONED], ids=["whole", "partitioned"])
def test_a_row_that_comes_between_two_transactions_stops_the_second(
    pair: Pair, one_by_one: pytest.MonkeyPatch, tables: Sequence[str]
) -> None:
    pair.source.run(*tables, "create table b (id int)", "create view v as select 1 as one")
    run = migrate(pair).expect(DONE).result["run"]
    some: list[Statement] = []

    def dropping(connection: Any, statements: Sequence[Statement]) -> list[str]:
        if not some:
            pair.target.run("insert into a values (77)")
        some.extend(statements)
        return drop_made(connection, statements)

    one_by_one.setattr(undoing, "drop_made", dropping)
    ended = roll_back(pair.target.url, run, ignore)
    assert ended.state is State.STOPPED
    assert f"run {run} is rolled back in part: public.a: 1 row" in ended.reason.message
    assert f"windlass rollback {run}" in ended.reason.hint and word("force") in ended.reason.hint
    assert not {one.name.name for one in some if one.kind == "TABLE"} & {"a", "z"}
    assert pair.target.value("select count(*) from a") == 2
    assert "public.a" in rollback(pair, run, code=REFUSED)
    rollback(pair, run, "--force")
    assert pair.target.value("select to_regclass('a')") is None


def test_what_a_run_that_is_rolled_back_in_part_has_set_aside_is_not_cleaned_away(
    pair: Pair, one_by_one: pytest.MonkeyPatch
) -> None:
    pair.source.run(*ROWS, "create table u (id int)")
    pair.target.run(ROWS[0], "insert into t select generate_series(1, 50)")
    run = migrate(pair, "--existing", "replace").expect(DONE).result["run"]
    pair.target.run("create view leans as select * from t")
    assert roll_back(pair.target.url, run, ignore).state is State.STOPPED
    assert pair.target.value("select to_regclass('u')") is None
    said = windlass("clean", run, "--yes", pair=pair).expect(REFUSED).said
    assert "windlass rollback" in said
    assert windlass("clean", "--yes", pair=pair).expect(DONE).stdout.startswith("Nothing")
    said = windlass("status", pair=pair).expect(DONE).stdout
    assert f"{run} is rolled back in part" in said and "to resume" not in said
    said = windlass("status", run, pair=pair).expect(DONE).stdout
    assert "It is rolled back in part" in said and "to resume" not in said
    pair.target.run("drop view leans")
    rollback(pair, run)
    assert pair.target.value(COUNT) == 50


class Killed(Exception):
    """Ends the command where it is, as kill -9 does: what is not committed is rolled back."""


@pytest.mark.parametrize("number", range(1, DROPS + 2))
def test_a_rollback_that_ends_between_any_two_transactions_is_finished_by_the_next(
    pair: Pair, one_by_one: pytest.MonkeyPatch, number: int
) -> None:
    """Killed before each of the transactions that drop something; the last number is beyond."""
    pair.source.run(
        *PARTITIONED, *ROWS, "create view v as select * from t",
        "create table r (id int references t)", "select lo_from_bytea(77, 'theirs')",
    )  # fmt: skip
    pair.target.run(
        ROWS[0],
        "insert into t select generate_series(1, 50)",
        "create view old as select id from t",
        "select lo_from_bytea(77, 'mine')",
    )
    before = state(pair.target)
    run = migrate(pair, "--existing", "replace").expect(DONE).result["run"]
    left = [number]

    def dropping(connection: Any, statements: Sequence[Statement]) -> list[str]:
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return drop_made(connection, statements)

    one_by_one.setattr(undoing, "drop_made", dropping)
    try:
        roll_back(pair.target.url, run, ignore)
    except Killed:
        rollback(pair, run)
    assert state(pair.target) == before
    assert (left[0] > 0) is (number > DROPS)
