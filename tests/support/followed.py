"""A pair with a run that follows, as its journal knows it; no process follows yet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg

from awaiting import until
from servers import Database, Pair
from windlass.engines.postgres.fencing import write_regardless
from windlass.engines.postgres.session import Address, Role
from windlass.journal import door
from windlass.journal.following import begin_applied, begin_following, change_phase
from windlass.model.following import Direction, Phase

RUN = "20261129_2000_f4f4"
Session = psycopg.Connection[Any]


def our_session(database: Database, *, user: str = "postgres", purpose: str = "cutover") -> Session:
    """A session of the run, which writes whatever the database's default is."""
    made = Address.parse("source", database.url_for(user)).connect(
        Role.TARGET, f"windlass {purpose} {RUN}"
    )
    write_regardless(made)
    return made


def begin_run(pair: Pair, phase: Phase = Phase.FOLLOWING, **detail: Any) -> None:
    """Journals on both sides, with a run in this phase."""
    for database, direction in ((pair.target, Direction.FORWARD), (pair.source, Direction.BACK)):
        with our_session(database) as session, session.transaction():
            door.create(session)
            begin_applied(session, RUN, direction, 1)
    with our_session(pair.target) as target:
        target.execute(
            "insert into windlass.run (run, flow, state, source, source_name, essence, version,"
            " plan) values (%s, 'follow', 'running', '', '', '{}', '', '')",
            (RUN,),
        )
        begin_following(target, RUN, {})
        assert change_phase(target, RUN, Phase.COPYING, phase, detail)


@dataclass
class Clients:
    """Clients that connect, write one row and hang up, again and again. They write down which rows
    were acknowledged."""

    database: Database
    number: int = 4
    acknowledged: list[int] = field(default_factory=list)
    refused: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Clients:
        self.database.run("create table written (id bigint generated always as identity)")
        self._threads = [threading.Thread(target=self._write) for _ in range(self.number)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def until_written(self, more: int) -> None:
        wanted = len(self.acknowledged) + more
        until(lambda: len(self.acknowledged) >= wanted, "a write")

    def until_refused(self, more: int) -> None:
        wanted = self.refused + more
        until(lambda: self.refused >= wanted, "an attempt to write")

    def _write(self) -> None:
        while not self._stop.is_set():
            with suppress(psycopg.OperationalError):
                try:
                    with self.database.connect() as connection:
                        row = connection.execute(
                            "insert into written default values returning id"
                        ).fetchone()
                    assert row is not None
                    self.acknowledged.append(row[0])
                except psycopg.errors.ReadOnlySqlTransaction:
                    self.refused += 1


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread
