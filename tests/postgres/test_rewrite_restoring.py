"""What a rewrite changed comes back beside the table, or in it; nothing that others changed since
is lost unasked, and older backups are found by their runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from command import BAD_SPEC, DONE, REFUSED, windlass
from rewrites import done, fill, rows, spec, steps
from servers import Database
from windlass.api import clean, plan, read_left, restore, rollback, status
from windlass.flows.rewrite import runs as runs_of_rewrites
from windlass.model.event import ignore
from windlass.model.outcome import State
from windlass.model.planned import Style

Make = Callable[[int], Database]
NEW = {"set": {"body": {"value": "new"}}}


@pytest.fixture
def messages(database: Make) -> Database:
    return fill(database(16))


# beside


@pytest.mark.parametrize(("kept", "count"), [("full", 40), ("touched", 20)])
def test_rows_are_restored_beside_the_table_which_stays_as_it_is(
    kept: str, count: int, messages: Database
) -> None:
    before = rows(messages, where="message_id % 2 = 0 or true" if kept == "full" else
                  "message_id % 2 = 0")  # fmt: skip
    name = done(messages, {**NEW, "backup": kept}).run
    messages.run("update message set body = 'theirs' where message_id = 4")
    now = rows(messages)
    outcome = restore(messages.url, name, "public.old")
    assert outcome.state is State.DONE
    assert outcome.totals.counts == {"restored": count}
    assert messages.rows("select * from old order by message_id") == before
    assert rows(messages) == now
    assert rollback(messages.url, name, ignore, force=True).state is State.ROLLED_BACK
    assert restore(messages.url, name, "public.again").state is State.DONE


def test_restoring_beside_by_its_command(messages: Database) -> None:
    name = done(messages, {**NEW, "backup": "touched"}).run
    env = {"WINDLASS_TARGET": messages.url}
    ran = windlass("rollback", name, "--into", "public.old", env=env).expect(DONE)
    assert "20 rows restored" in ran.said
    assert "public.old has the rows that it has written or deleted of public.message" in ran.said
    assert (
        "public.old: exists"
        in windlass("rollback", name, "--into", "public.old", env=env).expect(REFUSED).said
    )
    told = windlass("rollback", name, "--into", "public.older", "--json", env=env).expect(DONE)
    assert told.result["state"] == "done" and told.result["counts"] == {"restored": 20}
    for words, said in [
        (("--into", "old"), "'old' is not schema.table"),
        (("--into", "public.x", "--force"), "give one of --into, --force"),
    ]:
        assert said in windlass("rollback", name, *words, env=env).expect(BAD_SPEC).said
    assert (
        "schema nowhere: is missing"
        in windlass("rollback", name, "--into", "nowhere.old", env=env).expect(REFUSED).said
    )


def test_a_run_that_has_not_ended_is_not_restored_from(messages: Database) -> None:
    steps(messages, "read_rows", "write_rows", NEW)
    name = messages.value("select run from windlass.run")
    outcome = restore(messages.url, name, "public.old")
    assert outcome.state is State.REFUSED
    assert "its backup may still change" in str(outcome.reason.problems[0])


# in the table, beside what others have changed


@pytest.mark.parametrize("kept", ["full", "touched"])
def test_rows_that_others_changed_since_are_left_on_request(kept: str, messages: Database) -> None:
    before = rows(messages)
    name = done(messages, {**NEW, "backup": kept}).run
    messages.run("update message set body = 'theirs' where message_id in (3, 4)")
    messages.run("delete from message where message_id in (5, 6)")
    env = {"WINDLASS_TARGET": messages.url}
    said = windlass("rollback", name, "--yes", env=env).expect(REFUSED).said
    assert "--skip-changed" in said and "--force" in said
    said = windlass("rollback", name, "--yes", "--skip-changed", env=env).expect(DONE).said
    left = {"full": 4, "touched": 2}[kept]
    assert f"public.message: {left} rows not put back: changed or deleted by others since" in said
    wanted = [one for one in before if one[0] not in (3, 4, 5, 6)]
    assert rows(messages, where="message_id not in (3, 4)") == wanted
    assert rows(messages, "body", "message_id in (3, 4)") == [("theirs",), ("theirs",)]


def test_rows_that_the_run_deleted_come_back_beside_those_that_others_changed(
    messages: Database,
) -> None:
    before = rows(messages)
    name = done(messages, {**NEW, "drop_duplicates": ["base"]}).run
    messages.run("update message set body = 'theirs' where message_id = 4")
    assert rollback(messages.url, name, ignore, skip_changed=True).state is State.ROLLED_BACK
    wanted = [one for one in before if one[0] != 4]
    assert rows(messages, where="message_id <> 4") == wanted


@pytest.mark.parametrize("kept", ["full", "touched"])
def test_rows_that_the_run_deleted_are_told_from_those_that_others_did(
    kept: str, messages: Database
) -> None:
    """By their keys: there are as many rows without one that the run has deleted."""
    before = rows(messages)
    name = done(messages, {**NEW, "drop_duplicates": ["base"], "backup": kept}).run
    written = [one for (one,) in rows(messages, "message_id", "body = 'new'")]
    (gone, *_), (theirs, *_) = (
        sorted({one[0] for one in before if not one[0] % 2} - {*written}),
        written,
    )
    messages.run(
        f"insert into message values ({gone}, 'base', 'inserted again', 1)",
        f"delete from message where message_id = {theirs}",
    )
    refused = rollback(messages.url, name, ignore)
    assert refused.state is State.REFUSED
    assert "2 rows that others have changed or deleted" in str(refused.reason.problems[0])
    undone = rollback(messages.url, name, ignore, skip_changed=True)
    assert undone.state is State.ROLLED_BACK
    others = f"message_id not in ({gone}, {theirs})"
    assert rows(messages, where=others) == [one for one in before if one[0] not in (gone, theirs)]
    assert rows(messages, "body", f"message_id in ({gone}, {theirs})") == [("inserted again",)]
    assert deleted_tables(messages) == []


def deleted_tables(database: Database) -> list[str]:
    query = "select relname::text from pg_class where relname like 'deleted\\_%' and relkind = 'r'"
    return [one for (one,) in database.rows(query)]


def test_the_keys_of_deleted_rows_go_with_the_backup(messages: Database) -> None:
    words = {**NEW, "drop_duplicates": ["base"]}
    first = done(messages, words).run
    assert deleted_tables(messages) == [f"deleted_{first}"]
    messages.run("update message set exported_at = '9999-12-31', body = 'x'")
    second = done(messages, {**words, "drop_duplicates": ["exported_at"]}).run
    assert deleted_tables(messages) == [f"deleted_{second}"]
    messages.run("update message set exported_at = '9999-12-31'")
    done(messages)
    assert deleted_tables(messages) == []


def test_rows_are_not_guessed_at_that_the_run_or_others_have_deleted(messages: Database) -> None:
    name = done(messages, {**NEW, "drop_duplicates": ["base"]}).run
    messages.run("delete from message where message_id = 1", f"drop table windlass.deleted_{name}")
    now = rows(messages)
    outcome = rollback(messages.url, name, ignore, skip_changed=True)
    assert outcome.state is State.REFUSED
    assert "that are gone the run has deleted" in str(outcome.reason.problems[0])
    assert rows(messages) == now


KEEPS = """
create function keeps() returns trigger language plpgsql as $$ begin
    if new.message_id = 6 then return null; end if; return new; end $$;
"""


@pytest.mark.parametrize("event", ["update", "insert"])
def test_a_rollback_does_not_call_rows_restored_that_a_trigger_kept(
    event: str, messages: Database
) -> None:
    name = done(messages, {**NEW, "drop_duplicates": ["base"] if event == "insert" else False}).run
    messages.run(KEEPS, f"create trigger keeps before {event} on message"
                 " for each row execute function keeps()")  # fmt: skip
    now = rows(messages)
    outcome = rollback(messages.url, name, ignore)
    assert outcome.state is State.REFUSED
    assert "a BEFORE trigger returns NULL for 1 row that" in str(outcome.reason.problems[0])
    assert rows(messages) == now


def test_a_rollback_says_which_rows_triggers_have_made_different(messages: Database) -> None:
    messages.run(
        "alter table message add changed timestamptz",
        """
        create function touch() returns trigger language plpgsql as
        $$ begin new.changed := now(); return new; end $$;
        create trigger touch before update on message for each row execute function touch();
    """,
    )
    name = done(messages, NEW).run
    outcome = rollback(messages.url, name, ignore)
    assert outcome.state is State.ROLLED_BACK
    assert outcome.notices == (
        "public.message: 20 rows as triggers have made them, not as in the backup",
    )


KEEPS_SMALL = """
create function lowers() returns trigger language plpgsql as $$ begin
    if new.message_id <= 10 then new.body := lower(new.body); end if; return new; end $$;
create trigger lowers before update on message for each row execute function lowers();
"""


def test_rows_that_a_trigger_gave_other_values_are_counted(messages: Database) -> None:
    messages.run(KEEPS_SMALL)
    outcome = done(messages, {"set": {"body": {"sql": "upper(body)"}}})
    assert outcome.notices == (
        "5 rows written with other values than the spec's, or changed once more, by a trigger of"
        " public.message (lowers)",
    )
    assert messages.value("select count(*) from message where body like 'BODY %'") == 15
    assert done(messages, {"select": "true", "set": {"body": {"value": "all"}}}).notices == ()


CHANGES_AGAIN = """
create function shortens() returns trigger language plpgsql as $$ begin
    update message set body = 'short' where message_id = new.message_id; return null; end $$;
create trigger shortens after update on message for each row
    when (new.message_id <= 10 and new.body <> 'short') execute function shortens();
"""


def test_rows_that_a_trigger_has_changed_again_are_counted(messages: Database) -> None:
    messages.run(CHANGES_AGAIN)
    (notice,) = done(messages, {"set": {"body": {"sql": "upper(body)"}}}).notices
    assert notice.startswith("5 rows written with other values") and "(shortens)" in notice
    assert messages.value("select count(*) from message where body = 'short'") == 5


# older backups


def one_row(number: int, **words: object) -> dict[str, object]:
    """Rewrites one row."""
    return {**NEW, "select": f"message_id = {number}", "backup": "touched", **words}


def backups(database: Database) -> list[str]:
    """The run of each, as its comment has it."""
    found = database.rows(
        "select obj_description(oid, 'pg_class') from pg_class"
        " where relnamespace = 'backup'::regnamespace and relkind = 'r' order by relname"
    )
    return [str(one[0]).removesuffix(".").split()[-1] for one in found]


def test_as_many_backups_stay_as_the_spec_says_and_each_is_found_by_its_run(
    messages: Database,
) -> None:
    before = rows(messages)
    runs = [done(messages, one_row(number, keep_backups=2)).run for number in (2, 4, 6)]
    assert backups(messages) == [runs[2], runs[1]]
    places = {one.run: one.kept.backup for one in status(messages.url)}
    assert places == {runs[2]: "backup.message", runs[1]: f"backup.windlass_{runs[1]}", runs[0]: ""}
    later = rollback(messages.url, runs[1], ignore)
    assert f"run {runs[2]}, which came later" in str(later.reason.problems[0])
    assert restore(messages.url, runs[1], "public.old").state is State.DONE
    assert messages.rows("select * from old") == [one for one in before if one[0] == 4]
    for run in (runs[2], runs[1]):
        assert rollback(messages.url, run, ignore).state is State.ROLLED_BACK
    assert rows(messages, "message_id", "body = 'new'") == [(2,)]
    gone = rollback(messages.url, runs[0], ignore)
    assert gone.state is State.REFUSED and "its backup is gone" in str(gone.reason.problems[0])


def test_a_backup_of_an_undone_run_is_the_first_to_go(messages: Database) -> None:
    words = {"keep_backups": 2}
    first = done(messages, one_row(2, **words)).run
    second = done(messages, one_row(4, **words)).run
    assert rollback(messages.url, second, ignore).state is State.ROLLED_BACK
    third = done(messages, one_row(6, **words)).run
    assert len(backups(messages)) == 2
    for name in (third, first):
        assert rollback(messages.url, name, ignore).state is State.ROLLED_BACK


def test_a_rollback_names_that_of_a_later_run_which_has_written_its_rows(
    messages: Database,
) -> None:
    words = {"keep_backups": 2, **NEW, "select": "message_id = 2"}
    first = done(messages, words).run
    second = done(messages, {**words, "set": {"body": {"value": "newer"}}}).run
    assert rollback(messages.url, second, ignore).state is State.ROLLED_BACK
    (problem,) = rollback(messages.url, first, ignore).reason.problems
    assert f"1 row last written by the rollback of {second}" in problem.message
    assert "if nobody wrote to them between the two runs" in problem.hint
    messages.run("update message set body = 'theirs' where message_id = 2")
    (problem,) = rollback(messages.url, first, ignore).reason.problems
    assert "1 row that others have changed" in problem.message
    assert rollback(messages.url, first, ignore, force=True).state is State.ROLLED_BACK


def test_a_plan_says_which_backups_go_and_fewer_may_be_kept_later(messages: Database) -> None:
    runs = [done(messages, one_row(number, keep_backups=3)).run for number in (2, 4, 6)]
    kept = plan(spec(messages, one_row(8, keep_backups=4))).as_text(Style())
    assert "replaces" not in kept and "drops" not in kept
    shown = plan(spec(messages, one_row(8, keep_backups=2))).as_text(Style())
    assert f"replaces the backups of {runs[1]} and {runs[0]}, which cannot be undone then" in shown
    last = done(messages, one_row(8)).run
    assert backups(messages) == [last]


def test_clean_removes_an_older_backup_with_its_run(messages: Database) -> None:
    runs = [done(messages, one_row(number, keep_backups=2)).run for number in (2, 4)]
    (left,) = read_left(messages.url, runs[0])
    assert str(left.backup) == f"backup.windlass_{runs[0]}" and left.size_bytes > 0
    clean(messages.url, [left])
    assert backups(messages) == [runs[1]]


def test_the_journal_keeps_the_runs_whose_backups_are_kept(
    messages: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_of_rewrites, "KEPT_RUNS", 1)
    kept = [done(messages, one_row(number, keep_backups=2)).run for number in (2, 4)]
    for _ in range(3):
        done(messages, one_row(0, keep_backups=2))
    assert {one.run for one in status(messages.url)} > set(kept)


def test_a_backup_that_somebody_uses_stays_when_it_is_older(messages: Database) -> None:
    first = done(messages, one_row(2, keep_backups=2)).run
    messages.run("create view mine as select * from backup.message")
    second = done(messages, one_row(4, keep_backups=2)).run
    assert backups(messages) == [second, first]
    assert messages.value("select message_id from mine") == 2
