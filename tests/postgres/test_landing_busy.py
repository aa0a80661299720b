"""Loads into a table that others read and write, by one process or several; and what a kill or a
crash of the server leaves."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from awaiting import until
from landings import Loads, Record, Records, load_of, open_landing, words
from sampling import choose_seed
from servers import Database, Server
from windlass.engines.landing import LoadRun
from windlass.engines.postgres.landing import locking
from windlass.errors import ConnectionLost, Refused, RunLost
from windlass.model.load import Counts
from windlass.model.outcome import Outcome, State
from windlass.model.past import Others

ROWS = 3_000
FIELDS = ("id", "total")
_FORKING = multiprocessing.get_context("fork")
ACCOUNTS = f"""
create schema shop;
create table shop.accounts (id integer primary key, total integer not null, touched integer default 0);
insert into shop.accounts select n, 10 from generate_series(1, {ROWS}) n;
create table shop.uses (account integer references shop.accounts);
"""  # noqa: E501
# half of the accounts lose 3 and the others get them: the sum stays the same
MOVED: list[Record] = [(str(at), "7" if at % 2 else "13") for at in range(1, ROWS + 1)]
SUM = ROWS * 10


@pytest.fixture
def shop(database: Callable[[int], Database]) -> Database:
    made = database(16)
    made.run(ACCOUNTS)
    return made


@pytest.fixture
def loads(shop: Database) -> Iterator[Loads]:
    with Loads(shop) as found:
        yield found


class Beside:
    """Threads that do something again and again until the context is left, then raise what they
    have met."""

    def __init__(self, *works: Callable[[], None]) -> None:
        self._stop = threading.Event()
        self.times = [0] * len(works)
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=(at, work)) for at, work in enumerate(works)
        ]

    def _run(self, at: int, work: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                work()
            except BaseException as error:  # raised again when the context is left
                self._errors.append(error)
                return
            self.times[at] += 1

    def __enter__(self) -> Beside:
        for one in self._threads:
            one.start()
        until(lambda: self._errors or all(self.times), "everybody is at work")
        return self

    def __exit__(self, *fault: object) -> None:
        self._stop.set()
        for one in self._threads:
            one.join()
        if self._errors:
            raise self._errors[0]


def test_readers_see_all_of_a_merge_or_nothing_and_no_writer_dies(
    loads: Loads, shop: Database
) -> None:
    with shop.connect() as reading, shop.connect() as writing, shop.connect() as referring:

        def read() -> None:
            row = reading.execute("select sum(total), count(*) from shop.accounts").fetchone()
            assert row == (SUM, ROWS)

        def write() -> None:  # as applications do: lock a row, look at it, change it
            at = random.randint(1, ROWS)
            with writing.transaction():
                writing.execute("select from shop.accounts where id = %s for update", (at,))
                writing.execute(
                    "update shop.accounts set touched = touched + 1 where id = %s", (at,)
                )

        def refer() -> None:
            referring.execute("insert into shop.uses values (%s)", (random.randint(1, ROWS),))

        with Beside(read, write, refer) as beside:
            runs = [
                loads.run(
                    "shop.accounts", words("merge", "id"), Records(FIELDS, MOVED, batch_rows=500)
                )
            ]
            back: list[Record] = [(str(at), "10") for at in range(1, ROWS + 1)]
            runs.append(
                loads.run(
                    "shop.accounts", words("merge", "id"), Records(FIELDS, back, batch_rows=500)
                )
            )
        assert [one.counts.updated for one in runs] == [ROWS, ROWS]
        touched = shop.value("select sum(touched) from shop.accounts")
        assert touched == beside.times[1]


def test_a_load_that_waits_for_a_lock_gives_up_in_time_and_can_be_repeated(
    loads: Loads, shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "TRIES", 2)
    monkeypatch.setattr(locking, "TABLE_TIMEOUT", "50ms")
    source = Records(FIELDS, MOVED[:10])
    load = load_of(loads.table("shop.accounts"), words("merge", "id"), source)
    run = loads.begin()
    loads.landing.stage(run, load, 0, source)
    with shop.connect() as other, other.transaction():
        other.execute("update shop.accounts set touched = 1 where id = 1")
        with pytest.raises(ConnectionLost, match="lock"):
            loads.landing.apply(run, load)
    assert loads.landing.apply(run, load).updated == 10


def test_a_session_with_locked_rows_goes_on_and_the_load_comes_after_it(
    loads: Loads, shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Records(FIELDS, MOVED[:10])
    load = load_of(loads.table("shop.accounts"), words("merge", "id"), source)
    run = loads.begin()
    loads.landing.stage(run, load, 0, source)
    with shop.connect() as other, shop.connect() as looking:
        other.execute("begin")
        other.execute("select from shop.accounts where id = 1 for update")
        found: list[Counts] = []
        thread = threading.Thread(target=lambda: found.append(loads.landing.apply(run, load)))
        thread.start()
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
        until(lambda: looking.execute(waiting).fetchone() != (0,), "the load waits")
        other.execute("update shop.accounts set touched = 7 where id = 1")
        other.execute("commit")
        thread.join()
    assert found[0].updated == 10
    assert shop.rows("select total, touched from shop.accounts where id = 1") == [(7, 7)]


def test_two_loads_at_once_are_one_after_the_other(shop: Database) -> None:
    found: list[Counts] = []

    def load(total: str) -> None:
        records: list[Record] = [(str(at), total) for at in range(1, 1_001)]
        with Loads(shop) as loads:
            source = Records(FIELDS, records, batch_rows=500)
            found.append(loads.run("shop.accounts", words("mirror", "id"), source).counts)

    threads = [threading.Thread(target=load, args=(total,)) for total in ("1", "2")]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(one.deleted for one in found) == [0, ROWS - 1_000]
    assert [one.updated for one in found] == [1_000, 1_000]
    totals = shop.rows("select total, count(*) from shop.accounts group by 1")
    assert totals in ([(1, 1_000)], [(2, 1_000)])


def test_a_run_that_another_process_works_on_is_refused(loads: Loads, shop: Database) -> None:
    run = loads.begin()
    with open_landing(shop) as other:
        with pytest.raises(Refused) as caught:
            other.begin(LoadRun(run, State.RUNNING, "orders.csv", {}, {}))
        assert "at work" in caught.value.problems[0].message


def test_a_process_that_was_taken_over_journals_nothing_more(loads: Loads, shop: Database) -> None:
    source = Records(FIELDS, MOVED[:10])
    load = load_of(loads.table("shop.accounts"), words("merge", "id"), source)
    run = loads.begin()
    loads.landing.stage(run, load, 0, source)
    loads.landing._hold.leave()  # as if its session had died
    with open_landing(shop) as other:
        other.begin(LoadRun(run, State.RUNNING, "orders.csv", {}, {}))
        with pytest.raises(RunLost):
            loads.landing.apply(run, load)
        assert other.apply(run, load).updated == 10


# kills


def _work(database: Database, run: str, name: str) -> None:
    """What the process does that is killed, and the one after it."""
    records = [*MOVED[:800], ("9001", "5")]
    parts = [Records(FIELDS, records[:400], "a.csv"), Records(FIELDS, records[400:], "b.csv")]
    with open_landing(database) as landing:
        table = landing.table("shop.accounts")
        assert table is not None
        load = load_of(table, words(name, "id"), parts[0])
        load = replace(load, inputs=("a.csv", "b.csv"))
        landing.begin(LoadRun(run, State.RUNNING, "", {}, {}))
        for number, part in enumerate(parts):
            landing.stage(run, load, number, part)
        assert not landing.check(run, load)
        landing.apply(run, load)
        landing.clean_up(run, load)
        landing.end(run, State.DONE, Outcome(run, State.DONE))


def _killed(database: Database, run: str, name: str, seconds: float) -> None:
    process = _FORKING.Process(target=_work, args=(database, run, name))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
    process.join()


CONTENT = "select id, total, touched from shop.accounts order by 1, 2, 3"
"""The table's rows."""


@pytest.mark.parametrize("number", range(40))
def test_a_load_killed_at_any_moment_is_done_once_by_the_next(number: int, shop: Database) -> None:
    choice = random.Random(f"{choose_seed()} {number}")
    name = choice.choice(["merge", "mirror", "insert"])
    before = shop.rows(CONTENT)
    run = f"20260101_0000_{number:04x}"
    for _ in range(choice.randint(1, 3)):
        _killed(shop, run, name, choice.uniform(0.02, 0.6))
    _work(shop, run, name)
    changed = {int(at or 0): int(total or 0) for at, total in MOVED[:800]}
    wanted = {at: total for at, total, _ in before}
    if name != "insert":
        wanted.update(changed)
    if name == "mirror":
        wanted = changed
    wanted[9001] = 5
    assert {at: total for at, total, _ in shop.rows(CONTENT)} == wanted
    with open_landing(shop) as landing:
        landing.undo(run, Others.REFUSE)
    assert shop.rows(CONTENT) == before


def test_staged_rows_that_a_crash_of_the_server_has_emptied_are_staged_again(
    own_server: Callable[..., Server],
) -> None:
    server = own_server(16)
    shop = server.create_database()
    shop.run(ACCOUNTS)
    source = Records(FIELDS, MOVED[:10])
    with Loads(shop) as loads:
        load = load_of(loads.table("shop.accounts"), words("mirror", "id"), source)
        run = loads.begin()
        loads.landing.stage(run, load, 0, source)
    shop.run("checkpoint")
    server.stop(signal.SIGQUIT)
    server.start()
    with open_landing(shop) as landing:
        landing.begin(LoadRun(run, State.RUNNING, "", {}, {}))
        with pytest.raises(RunLost, match="lost in a crash"):
            landing.apply(run, load)
        assert landing.stage(run, load, 0, source).rows == 10
        assert landing.apply(run, load) == Counts(10, 0, 10, 0, ROWS - 10)


def test_cancelling_ends_what_is_in_flight_and_nothing_is_changed(
    loads: Loads, shop: Database
) -> None:
    source = Records(FIELDS, MOVED[:10])
    load = load_of(loads.table("shop.accounts"), words("merge", "id"), source)
    run = loads.begin()
    loads.landing.stage(run, load, 0, source)
    before = shop.rows(CONTENT)
    with shop.connect() as other, shop.connect() as looking:
        other.execute("begin")
        other.execute("update shop.accounts set touched = 1 where id = 1")
        thread = threading.Thread(target=lambda: _quietly(lambda: loads.landing.apply(run, load)))
        thread.start()
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
        until(lambda: looking.execute(waiting).fetchone() != (0,), "the load waits")
        loads.landing.cancel()
        thread.join(10)
        assert not thread.is_alive()
        other.execute("rollback")
    assert shop.rows(CONTENT) == before


def _quietly(work: Callable[[], object]) -> None:
    with suppress(Exception):
        work()
