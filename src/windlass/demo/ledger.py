"""A ledger that clients keep writing to, and a checker of the result.

Clients transfer amounts between accounts, write an entry for each transfer, and record each
acknowledgement. Whatever happens to the databases, every acknowledged entry must exist exactly
once, no total may ever change, and the accounts must match their entries.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from windlass.model.units import several

ACCOUNTS = 100
OPENING_BALANCE = 1_000
RETRY_SECONDS = 0.02  # after a refused attempt
CONNECT_SECONDS = 2
MOST_NAMED = 3
LINE_WORDS = 3  # a line with fewer is incomplete

SCHEMA = """
create schema ledger;
create table ledger.account (id int primary key, balance bigint not null);
create table ledger.entry (
    id bigint generated always as identity primary key,
    client int not null,
    number int not null,
    debited int not null references ledger.account,
    credited int not null references ledger.account,
    amount bigint not null,
    unique (client, number));
"""
TOTAL = ACCOUNTS * OPENING_BALANCE

Where = Callable[[], str]  # the database that applications use now


HISTORY = """
insert into ledger.entry (client, number, debited, credited, amount)
select 0, n, 1 + n %% %(accounts)s, 1 + (n + 1) %% %(accounts)s, 1 + n %% 7
from generate_series(1, %(entries)s) n
"""
MOVED = sql.SQL("""
select id, sum(amount) as amount
from (select credited as id, amount from ledger.entry
      union all
      select debited, -amount from ledger.entry) as moves
group by id
""")
BALANCES = sql.SQL("""
update ledger.account a set balance = balance + moved.amount
from ({moved}) as moved where moved.id = a.id
""").format(moved=MOVED)
WRONG = sql.SQL("""
select count(*) from ledger.account a left join ({moved}) as moved on moved.id = a.id
where a.balance <> %s + coalesce(moved.amount, 0)
""").format(moved=MOVED)


def make_ledger(url: str, history: int = 0) -> None:
    """Create the ledger, with this many entries that no client has written."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA)
        connection.execute(
            "insert into ledger.account select n, %s from generate_series(1, %s) n",
            (OPENING_BALANCE, ACCOUNTS),
        )
        if history:
            connection.execute(HISTORY, {"accounts": ACCOUNTS, "entries": history})
            connection.execute(BALANCES)
            connection.execute("analyze")


@dataclass
class Client:
    """One writer. Its file has a line for each acknowledged entry: its number, when it was
    acknowledged by this machine's clock, and the port of the server."""

    number: int
    where: Where
    file: Path
    pause_seconds: float = 0.0  # between two transfers
    attempts: int = 0
    refused: int = 0
    _written: int = 0

    def write_until(self, stop: threading.Event) -> None:
        chosen = random.Random(self.number)
        self._written = max(acknowledgements(self.file.parent).get(self.number, {}), default=0)
        with self.file.open("a", buffering=1) as acknowledged:
            while not stop.is_set():
                with suppress(psycopg.Error):
                    self._write_with(self.where(), stop, chosen, acknowledged.write)
                if not stop.is_set():
                    self.refused += 1
                    stop.wait(RETRY_SECONDS)

    def _write_with(
        self,
        url: str,
        stop: threading.Event,
        chosen: random.Random,
        write: Callable[[str], object],
    ) -> None:
        """Write until the session is no longer usable."""
        with psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_SECONDS) as connection:
            while not stop.is_set():
                self._written += 1
                self.attempts += 1
                self._transfer(connection, self._written, chosen)
                write(f"{self._written} {time.monotonic():.6f} {connection.info.port}\n")
                if self.pause_seconds:
                    stop.wait(self.pause_seconds)

    def _transfer(
        self, connection: psycopg.Connection[tuple[object, ...]], number: int, chosen: random.Random
    ) -> None:
        debited, credited = sorted(chosen.sample(range(1, ACCOUNTS + 1), 2))
        amount = chosen.randint(-50, 50)
        move = "update ledger.account set balance = balance + %s where id = %s"
        with connection.transaction():
            connection.execute(move, (-amount, debited))  # a fixed order prevents deadlocks
            connection.execute(move, (amount, credited))
            connection.execute(
                "insert into ledger.entry (client, number, debited, credited, amount)"
                " values (%s, %s, %s, %s, %s)",
                (self.number, number, debited, credited, amount),
            )


@dataclass
class Reader:
    """Reads the total of a database again and again; wrong totals are kept in `wrong`."""

    url: str
    looks: int = 0
    wrong: list[str] = field(default_factory=list)

    def read_until(self, stop: threading.Event) -> None:
        while not stop.is_set():
            with (
                suppress(psycopg.OperationalError),
                psycopg.connect(self.url, autocommit=True, connect_timeout=2) as connection,
            ):
                while not stop.is_set():
                    row = connection.execute("select sum(balance) from ledger.account").fetchone()
                    self.looks += 1
                    if row != (TOTAL,):
                        self.wrong.append(f"a total of {row and row[0]} was read, not {TOTAL}")
                    stop.wait(RETRY_SECONDS)
            stop.wait(RETRY_SECONDS)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Clients and readers that run, in threads of this process."""

    folder: Path
    clients: tuple[Client, ...]
    readers: tuple[Reader, ...]
    _stop: threading.Event
    _threads: tuple[threading.Thread, ...]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Return once nobody writes or reads any more."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def acknowledged(self) -> int:
        return sum(len(times) for times in acknowledgements(self.folder).values())


@contextmanager
def writing(
    folder: Path,
    where: Where,
    *,
    clients: int = 4,
    pause_seconds: float = 0.0,
    readers: Iterable[str] = (),
) -> Iterator[Ledger]:
    """Clients write as long as the block lasts, and readers look at these databases."""
    stop = threading.Event()
    writers = tuple(
        Client(number, where, folder / f"client-{number}", pause_seconds)
        for number in range(1, clients + 1)
    )
    lookers = tuple(Reader(url) for url in readers)
    threads = (
        *(threading.Thread(target=one.write_until, args=(stop,)) for one in writers),
        *(threading.Thread(target=one.read_until, args=(stop,)) for one in lookers),
    )
    made = Ledger(folder, writers, lookers, stop, threads)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def acknowledgements(folder: Path) -> dict[int, dict[int, float]]:
    """The numbers of acknowledged entries, and when each was acknowledged, by client."""
    found: dict[int, dict[int, float]] = {}
    for file in folder.glob("client-*"):
        lines = (line.split() for line in file.read_text().splitlines())
        numbers = {int(words[0]): float(words[1]) for words in lines if len(words) == LINE_WORDS}
        found[int(file.name.removeprefix("client-"))] = numbers
    return found


def faults(url: str, folder: Path) -> list[str]:
    """What is wrong with a database's ledger, compared with what clients recorded; empty if nothing
    is."""
    given = {(one, n) for one, numbers in acknowledgements(folder).items() for n in numbers}
    with psycopg.connect(url) as connection:  # later: clients may continue
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        entries = Counter(
            (int(client), int(number))
            for client, number in connection.execute(
                "select client, number from ledger.entry where client > 0"
            )
        )
        total = connection.execute("select sum(balance) from ledger.account").fetchone()
        wrong = connection.execute(WRONG, (OPENING_BALANCE,)).fetchone()
    found = []
    if lost := sorted(given - set(entries)):
        found.append(f"acknowledged, and missing: {_entries(lost)}")
    if doubled := [one for one, count in entries.items() if count > 1]:
        found.append(f"there more than once: {_entries(doubled)}")
    if total != (TOTAL,):
        found.append(f"the total is {total and total[0]}, not {TOTAL}")
    if wrong != (0,):
        found.append(f"accounts that are not the sum of their entries: {wrong and wrong[0]}")
    return found


def _entries(found: Sequence[tuple[int, int]]) -> str:
    names = [f"number {number} of client {client}" for client, number in found]
    return several(names, MOST_NAMED)
