"""A pair that follows under a ledger whose clients write all the time, ready to be cut over."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from awaiting import until
from command import Ran, Running, start, windlass
from follow_runs import FOLLOW as FOLLOW
from follow_runs import following, until_lag_known
from follow_runs import phase as phase
from servers import Database, Pair
from windlass.demo.ledger import Ledger, faults, make_ledger, writing

TAKEN_BACK = 5
WIDE = ("--max-lag", "10s", "--max-freeze", "20s")  # on a busy machine


@dataclass
class Moving:
    """Clients write to the database whose port is in a file, which a cutover's `--on-switch`
    changes."""

    pair: Pair
    folder: Path
    follower: Running
    ledger: Ledger

    @property
    def open_now(self) -> Database:
        return led_to(self.pair, self.folder)

    @property
    def words(self) -> tuple[str, ...]:
        """Of a cutover that leads the clients."""
        file = shlex.quote(str(self.folder / "port"))
        lead = f"echo $WINDLASS_PORT > {file}.new && mv {file}.new {file}"
        return "cutover", "--yes", "--json", "--on-switch", lead

    def cut_over(self, *words: str, env: Mapping[str, str] | None = None) -> Ran:
        return windlass(*self.words, *WIDE, *words, pair=self.pair, env=env)

    def until_written(self, more: int = 20) -> None:
        """Clients write more."""
        wanted = self.ledger.acknowledged + more
        until(lambda: self.ledger.acknowledged >= wanted, "more acknowledged entries")

    def check(self) -> None:
        """Clients write, and nothing is wrong where they write."""
        self.until_written()
        wrong = faults(self.open_now.url, self.folder)
        wrong += [text for one in self.ledger.readers for text in one.wrong]
        assert wrong == [], wrong

    def follow_again(self) -> None:
        """Kill the process that follows, and start another one, until that has reported."""
        self.follower.kill()
        self.follower.wait()
        self.follower = start(*FOLLOW, pair=self.pair)
        self.until_reported()

    def until_reported(self) -> None:
        """The process that follows says how far it is, once more."""
        before = self.reported_at()
        until(
            lambda: self.reported_at() > before or self.follower.poll() is not None,
            "a report of the process that follows",
        )
        assert self.follower.poll() is None, self.follower.said()

    def reported_at(self) -> float:
        query = "select coalesce((detail->>'reported_at')::float8, 0) from windlass.following"
        return float(self.pair.target.value(query))

    @contextmanager
    def follower_stopped(self) -> Iterator[None]:
        self.follower.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.follower.send_signal(signal.SIGCONT)


def variables(pair: Pair) -> dict[str, str]:
    """For a command that is given both sides by them."""
    return {"WINDLASS_SOURCE": pair.source.url, "WINDLASS_TARGET": pair.target.url}


def led_to(pair: Pair, folder: Path) -> Database:
    port = int((folder / "port").read_text())
    return next(one for one in (pair.source, pair.target) if one.server.port == port)


@contextmanager
def moving(pair: Pair, folder: Path, *, clients: int = 3, readers: bool = True) -> Iterator[Moving]:
    """Copy and follow the ledger of a pair, under clients that write."""
    make_ledger(pair.source.url)
    (folder / "port").write_text(str(pair.source.server.port))
    with following(pair) as follower:
        until_lag_known(pair, follower)
        urls = (pair.source.url, pair.target.url) if readers else ()

        def where() -> str:
            return led_to(pair, folder).url

        with writing(folder, where, clients=clients, pause_seconds=0.03, readers=urls) as ledger:
            moved = Moving(pair, folder, follower, ledger)
            moved.until_written()
            try:
                yield moved
            finally:
                moved.follower.kill()
                moved.follower.wait()


def until_same(pair: Pair) -> None:
    """Once nobody writes, both sides hold the same."""
    query = (
        "select (select md5(string_agg(e::text, ',' order by id)) from ledger.entry e),"
        " (select md5(string_agg(a::text, ',' order by id)) from ledger.account a)"
    )
    until(lambda: pair.source.rows(query) == pair.target.rows(query), "equal sides", 30.0)
