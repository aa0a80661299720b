"""Undoing a run, by rollback or --restart, removes nothing that the run did not make."""

from __future__ import annotations

import signal
from collections.abc import Callable

import psycopg
import pytest

from command import BAD_SPEC, DONE, REFUSED, migrate, verify, windlass
from filling import COUNT, ROWS, rollback
from servers import Database, Pair, Server
from windlass.aside.objects import empty_filled
from windlass.engines.postgres.session import Address, Role
from windlass.flows.migrate.undo import undo_migration
from windlass.flows.rollback import find_run
from windlass.model.relation import Name

STOP = "update windlass.run set state = 'stopped', finished_at = null"


def test_a_partition_that_others_have_attached_is_named_and_stays(pair: Pair) -> None:
    pair.source.run(
        "create table p (id int) partition by range (id)",
        "create table p1 partition of p for values from (0) to (100)",
        "insert into p values (1)",
    )
    run = migrate(pair).expect(DONE).result["run"]
    pair.target.run(
        "create table p2 partition of p for values from (100) to (200)",
        "insert into p values (150), (151)",
    )
    said = rollback(pair, run, code=REFUSED)
    assert "public.p2" in said and "2 rows" in said and "detach it" in said
    assert pair.target.value("select count(*) from p2") == 2
    pair.target.run("alter table p detach partition p2")
    rollback(pair, run)
    assert pair.target.value("select count(*) from p2") == 2


def test_filled_tables_that_refer_to_each_other_are_emptied(pair: Pair) -> None:
    tables = (
        "create table a (id int primary key, v text)",
        "create table b (id int primary key, a int references a)",
    )
    pair.source.run(*tables, "insert into a select n, repeat('x', 500) from"
                    " generate_series(1, 100) n", "insert into b values (1, 1)")  # fmt: skip
    pair.target.run(*tables)
    run = migrate(pair, "--existing", "fill").expect(DONE).result["run"]
    assert "emptied 2 tables (101 rows)" in rollback(pair, run)
    assert pair.target.value("select count(*) from a") == 0


def test_they_are_where_foreign_keys_cannot_be_silenced(pair: Pair) -> None:
    pair.target.run(
        "create table a (id int primary key)",
        "create table b (id int references a)",
        "insert into a values (1)",
        "insert into b values (1)",
    )
    with pair.target.connect() as connection, connection.transaction():
        empty_filled(connection, [Name("public", "a"), Name("public", "b")])
    assert pair.target.value("select count(*) from a") == 0


@pytest.mark.parametrize("action", ["cascade", "set null"])
def test_rows_that_refer_to_filled_ones_are_neither_deleted_nor_changed(
    pair: Pair, action: str
) -> None:
    pair.source.run(*ROWS)
    pair.target.run(
        ROWS[0],
        f"create table notes (id int references t on delete {action}, note text)",
    )
    words = ("--existing", "fill", "--include", "public.t")
    run = migrate(pair, *words).expect(DONE).result["run"]
    pair.target.run("insert into notes values (1, 'mine'), (null, 'mine')")
    for force in ((), ("--force",)):
        said = rollback(pair, run, *force, code=REFUSED)
        assert "public.notes" in said and "1 row" in said
    assert pair.target.value("select count(id) from notes") == 1
    assert pair.target.value(COUNT) == 20


def test_rows_of_who_began_to_write_before_the_end_of_the_run_are_seen(pair: Pair) -> None:
    pair.source.run(*ROWS)
    pair.target.run("create table other (id int)")
    with psycopg.connect(pair.target.url) as writer:
        writer.execute("insert into other values (1)")  # its transaction has an age now
        run = migrate(pair).expect(DONE).result["run"]
        writer.execute("insert into t values (77)")
    assert "1 row" in rollback(pair, run, code=REFUSED)
    assert pair.target.value(COUNT) == 21


def test_a_restart_does_not_lose_what_others_have_written(pair: Pair) -> None:
    pair.source.run(*ROWS)
    pair.target.run(ROWS[0])
    run = migrate(pair, "--existing", "fill").expect(DONE).result["run"]
    pair.target.run(STOP, "insert into t values (999)")
    for ran in (
        migrate(pair, "--existing", "fill", "--restart"),
        windlass("rollback", run, "--yes", "--json", pair=pair),
    ):
        (problem,) = ran.expect(REFUSED).result["problems"]
        assert problem["object"] == "public.t" and "--force" in problem["hint"]
    assert pair.target.value(COUNT) == 21
    pair.target.run("delete from t where id = 999")
    migrate(pair, "--existing", "fill", "--restart").expect(DONE)
    assert pair.target.value(COUNT) == 20


def test_an_unfinished_run_is_not_resumed_into_what_another_has_put_there(
    pair: Pair, database: Callable[[int], Database]
) -> None:
    pair.source.run(*ROWS)
    first = migrate(pair).expect(DONE).result["run"]
    pair.target.run(STOP)
    other = Pair(database(16), pair.target)
    other.source.run(ROWS[0], "insert into t select generate_series(1001, 1500)")
    second = migrate(other, "--existing", "replace").expect(DONE).result["run"]
    for words in ((), ("--restart",)):
        (problem,) = migrate(pair, *words).expect(REFUSED).result["problems"]
        assert f"rollback {second}" in problem["hint"]
    assert f"rollback {second}" in windlass("plan", pair=pair).expect(REFUSED).said
    assert pair.target.value(COUNT) == 500
    rollback(pair, second)
    assert migrate(pair).expect(DONE).result["run"] == first


def test_a_rollback_that_was_too_slow_undoes_nothing_twice(pair: Pair) -> None:
    pair.source.run(*ROWS)
    pair.target.run(ROWS[0], "insert into t select generate_series(1, 50)")
    run = migrate(pair, "--existing", "replace").expect(DONE).result["run"]
    with Address.parse("target", pair.target.url).connect(Role.TARGET, "test") as connection:
        found = find_run(connection, run)
        rollback(pair, run)
        assert undo_migration(connection, found).already
    assert pair.target.value(COUNT) == 50


def test_what_others_have_put_beside_what_is_set_aside_is_named(pair: Pair) -> None:
    pair.source.run(*ROWS)
    pair.target.run(ROWS[0])
    run = migrate(pair, "--existing", "replace").expect(DONE).result["run"]
    schema = f"windlass_{run}_public"
    pair.target.run(f'create table "{schema}".mine (id int)')
    said = rollback(pair, run, code=REFUSED)
    assert f"table {schema}.mine" in said and "fault" not in said
    assert pair.target.value(COUNT) == 20


def test_a_restart_says_what_it_has_undone_where_nothing_can_follow(pair: Pair) -> None:
    pair.source.run(*ROWS)
    run = migrate(pair).expect(DONE).result["run"]
    pair.target.run(STOP, "create table u (id int)")
    pair.source.run("create table u (id int)")
    problems = migrate(pair, "--restart").expect(REFUSED).result["problems"]
    assert {"public.u", f"run {run}"} == {one["object"] for one in problems}


def test_a_reviewed_plan_and_a_restart_do_not_go_together(pair: Pair) -> None:
    ran = windlass("migrate", "--plan", "plan.json", "--restart", pair=pair).expect(BAD_SPEC)
    assert "windlass rollback" in ran.said


def test_unlogged_tables_that_a_crash_has_emptied_are_not_taken_for_written(
    own_server: Callable[..., Server], database: Callable[[int], Database]
) -> None:
    pair = Pair(database(16), own_server(18).create_database())
    pair.source.run(
        "create unlogged table u (id int primary key)",
        "insert into u select generate_series(1, 100)",
    )
    run = migrate(pair).expect(DONE).result["run"]
    pair.target.server.restart(signal.SIGKILL)
    assert pair.target.value("select count(*) from u") == 0
    windlass("rollback", run, "--yes", pair=pair).expect(DONE)
    assert pair.target.value("select to_regclass('u')") is None


def test_a_repair_whose_rows_need_a_type_is_named_and_can_be_undone_first(pair: Pair) -> None:
    """It has set rows aside in a table with the types of the run."""
    pair.source.run(
        "create domain word as text",
        "create table t (id int primary key, a word)",
        "insert into t values (1, 'a'), (2, 'b')",
    )
    run = migrate(pair).expect(DONE).result["run"]
    pair.target.run("update t set a = 'c' where id = 1")
    verify(pair, "--repair", "--yes").expect(DONE)
    repair = pair.target.value("select run from windlass.run where flow = 'repair'")
    said = rollback(pair, run, "--force", code=REFUSED)
    assert f"run {repair} has set that aside: undo that run first" in said
    rollback(pair, repair)
    rollback(pair, run, "--force")
    assert pair.target.value("select to_regtype('word')") is None
