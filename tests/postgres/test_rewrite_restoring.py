"""What a rewrite changed comes back beside the table, or in it; nothing that others changed since
is lost unasked, and older backups are found by their runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from command import BAD_SPEC, DONE, REFUSED, windlass
from rewrites import done, fill, rows, steps
from servers import Database
from windlass.api import restore, rollback
from windlass.model.event import ignore
from windlass.model.outcome import State

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
    assert outcome.counts == {"restored": count}
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
    assert "its backup may still change" in str(outcome.problems[0])


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
    assert f"{left} rows of public.message, as others have changed or deleted them since" in said
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


def test_rows_are_not_guessed_at_that_the_run_or_others_have_deleted(messages: Database) -> None:
    name = done(messages, {**NEW, "drop_duplicates": ["base"]}).run
    messages.run("delete from message where message_id = 1")
    now = rows(messages)
    outcome = rollback(messages.url, name, ignore, skip_changed=True)
    assert outcome.state is State.REFUSED
    assert "that are gone the run has deleted" in str(outcome.problems[0])
    assert rows(messages) == now
