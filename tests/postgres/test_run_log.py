"""The log of a run: what happened in it is in its target's journal, whoever looks and however the
run ended."""

from __future__ import annotations

from typing import Any

import pytest

from awaiting import await_true
from command import DONE, kill_group, migrate, start, windlass
from locking import holding, noticed
from servers import PASSWORD, Pair
from windlass import recorded
from windlass.engines.postgres.transaction import working_on_target
from windlass.flows.past import JournalPast
from windlass.journal import door, records
from windlass.journal import log as run_log
from windlass.journal.journal import Journal
from windlass.journal.records import Line
from windlass.model.event import ItemRetried, Noticed
from windlass.model.logged import LONGEST_SAID, Kind, Noted
from windlass.run import logbook

RUN = "20261130_0600_abcd"
TABLES = (
    "create table orders (id int primary key, note text)",
    "insert into orders select i, 'a secret of the rows' from generate_series(1, 500) i",
)


def log_of(pair: Pair, run: str) -> list[dict[str, Any]]:
    """The last entries, the oldest first."""
    found = windlass("status", "--json", run, pair=pair).expect(DONE).result["log"]
    return found[::-1]  # type: ignore[no-any-return]


def test_the_log_has_what_happened_before_a_kill_and_after_it(pair: Pair) -> None:
    """Also who held it up, and which process did what."""
    pair.source.run("create schema first", "create table first.t as select 1 as a", *TABLES)
    migrate(pair, "--schema", "first").expect(DONE)  # then there is a journal
    with holding(pair.target, "lock table windlass.line in share mode"):
        killed = start("migrate", "--schema", "public", pair=pair)
        noticed(killed, "nightly job")
        await_true(pair, "select exists (select from windlass.log where kind = 'notice')")
        kill_group(killed)
        killed.wait()
    done = migrate(pair, "--schema", "public").expect(DONE).result
    log = log_of(pair, done["run"])
    kinds = [one["kind"] for one in log]
    order = [kinds.index(kind) for kind in ("began", "notice", "resumed", "ended")]
    assert order == sorted(order)
    assert "nightly job" in log[kinds.index("notice")]["text"]
    assert "copy tables: done" in str(log)
    assert log[-1]["text"].endswith("ended: done")
    items = recorded.read_log(pair.target.url, done["run"], with_items=True)
    assert any("orders, 500 rows" in one.text for one in items.entries)
    whole = str(pair.target.rows("select * from windlass.log")) + str(items)
    assert PASSWORD not in whole
    assert "a secret of the rows" not in whole


def test_a_run_without_notes_has_the_log_that_its_lines_tell(pair: Pair) -> None:
    """Such as one of an older windlass, or one whose tasks Airflow ran. And whoever may read the
    runs alone sees that much."""
    pair.source.run(*TABLES)
    run = migrate(pair).expect(DONE).result["run"]
    pair.target.run("delete from windlass.log")
    log = log_of(pair, run)
    assert {one["kind"] for one in log} == {"snapshot", "began", "step", "ended"}
    assert log[-1]["kind"] == "ended"
    assert any(one["text"].startswith("copy tables: done, 1 item, 500 rows") for one in log)
    assert "snapshot 1 of the source" in str(log)
    windlass("rollback", "--yes", run, pair=pair).expect(DONE)
    assert log_of(pair, run)[-1]["text"] == "ended: rolled back"


def test_the_log_of_a_run_stays_small_and_is_read_in_parts(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "MOST", 5)
    target = pair.target.url
    with pair.target.connect() as connection:
        with JournalPast(target, "windlass log") as past:
            assert not past.note(RUN, "a", [Noted(1, Kind.NOTICE, "too early", 0.0)])
        with connection.transaction():
            door.create(connection)
            records.insert_any_run(connection, "migrate", RUN, ("id", "shop"), {}, b"{}")
        Journal(RUN, working_on_target).once(
            connection, "copy_tables", "x", lambda _: {}, like=Line("", "", "shop.orders", 7)
        )
    for numbers in ([1, 2, 3], [2, 3, 4, 5], [6, 7, 8]):  # some of them twice
        notes = [Noted(at, Kind.NOTICE, f"number {at}", 10.0 - at) for at in numbers]
        with JournalPast(target, "windlass log") as past:
            assert past.note(RUN, "a", notes)
    whole = recorded.read_log(target, RUN)
    noted = [one.text for one in whole.entries if one.kind == "notice"]
    assert noted == [f"number {at}" for at in (8, 7, 6, 5, 4)]
    part = recorded.read_log(target, RUN, start=1, most=2)
    assert (part.entries, part.all) == (whole.entries[1:3], whole.all)
    pair.target.run(f"delete from windlass.run where run = '{RUN}'")
    assert pair.target.value("select count(*) from windlass.log") == 0


def test_a_note_is_short_and_hides_passwords_and_is_kept_until_it_is_written() -> None:
    written: list[Noted] = []
    answers = [False, True]

    def write(run: str, process: str, notes: Any) -> bool:
        if answers.pop(0):
            written.extend(notes)
            return True
        return False

    book = logbook.Logbook("migration", lambda event: None, write, [PASSWORD])
    book.emit(Noticed(f"postgresql://app:{PASSWORD}@db/shop {PASSWORD} " + "x" * 2000))
    book.emit(ItemRetried("copy_tables", "shop.a\nb", 1, "the server\nhung up", 2.0))
    assert book.write() and not written  # the run has not begun
    assert book.write()
    assert [one.kind for one in written] == [Kind.NOTICE, Kind.RETRIED]
    assert all(PASSWORD not in one.said and "\n" not in one.said for one in written)
    assert max(len(one.said) for one in written) == LONGEST_SAID
