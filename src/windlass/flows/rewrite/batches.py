"""Changes the table in short transactions, each with its journal line, so that nobody waits long.

Rows that others have locked are never waited for while rows of ours are locked: a batch that meets
one within `LOCK_WAIT` is rolled back and done again without it. So no session that we block can
block us for longer, and a deadlock is over before PostgreSQL looks for one (`deadlock_timeout`, 1 s
by default). How many rows a batch has follows from how long the one before took.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg

from windlass.engines.postgres.session import Connection
from windlass.errors import WindlassError
from windlass.flows.rewrite.context import Rewriting
from windlass.flows.rewrite.pace import Pace
from windlass.flows.rewrite.runs import attempts, written_rows
from windlass.inplace.writing import Kind, Span, count_unchanged
from windlass.journal.records import Line
from windlass.model.flow import Result
from windlass.model.units import plural

LOCK_WAIT_SECONDS = 0.1
BATCH_SECONDS = 0.25  # what a batch is meant to take
LONGEST_SECONDS = 0.9  # what it may take, unless it is small
SMALL_ROWS = 50  # a batch that takes long with so few rows would with fewer as well
FIRST_ROWS = 200
GROWTH = 4
TRIES = 5  # of a single row that waits for a lock other than its own
SWEEPS = 3  # how often rows that were locked are tried again
SWEEP_SECONDS = 0.3

Change = Callable[[Connection, Span, bool], tuple[int, int, int]]
"""Changes a span's rows, and skips locked ones if the last argument is true. Returns how many rows
were wanted, changed, and not locked."""


@dataclass
class Batches:
    """One kind of change over all ordinals from `low` to `high`, in a step."""

    run: Rewriting
    step: str
    kind: Kind
    whole: Span
    change: Change
    moves: bool = True  # whether a changed row moves to another place
    # counts rows that triggers gave other values than were written
    count_altered: Callable[[Connection, Span], int] | None = None
    size: int = FIRST_ROWS
    skips: bool = False

    def all(self) -> None:
        """Do what is not done yet.

        Raises:
            WindlassError: a batch failed; those before it stay.
        """
        pace = Pace(self.run)
        self.size = min(self.size, self.run.spec.commit_rows)
        low = self._next()
        while low < self.whole.high:
            pace.keep()
            low = self._batch(low)

    def sweep(self) -> None:
        """Try again the rows that others had locked."""
        for number in range(1, SWEEPS + 1):
            spans = [
                Span(int(item.split()[2]), int(note["high"]))
                for item, note in attempts(self.run.journal.by_step, self.step, self.kind).items()
                if note["locked"]
            ]
            if not spans:
                return
            self.run.hold.wait(SWEEP_SECONDS)
            for span in spans:
                item = f"{self.kind} from {span.low} again {number}"
                if (self.step, item) not in self.run.journal:
                    self.skips = True
                    self._tried(span, item)

    def _next(self) -> int:
        done = attempts(self.run.journal.by_step, self.step, self.kind).values()
        return max((int(note["high"]) for note in done), default=self.whole.low)

    def _batch(self, low: int) -> int:
        """Change the rows from `low` on; returns where the next batch begins."""
        tries = 0
        while tries < TRIES:
            span = Span(low, min(low + self.size, self.whole.high))
            started = time.monotonic()
            if self._tried(span, f"{self.kind} from {low}"):
                self._adapt(time.monotonic() - started)
                return span.high
            tries += len(span) == 1
            self.size = max(1, len(span) // GROWTH)
        self._leave(Span(low, low + 1))
        return low + 1

    def _tried(self, span: Span, item: str) -> bool:
        """Whether the span was changed, in one transaction; not if it met a lock."""
        settings = [
            f"set local lock_timeout to {_milliseconds(LOCK_WAIT_SECONDS)}",
            "set local synchronous_commit to off",  # the step's last line is on disk
            "set local random_page_cost to 0.05",
        ]
        if len(span) > SMALL_ROWS:
            settings.append(f"set local statement_timeout to {_milliseconds(LONGEST_SECONDS)}")
        started = time.monotonic()
        try:
            self._once(item, lambda found: self._work(found, span), settings)
        except WindlassError as error:
            if not _was_held_up(error, time.monotonic() - started):
                raise
            self.run.hold.check()  # whether it was cancelled
            self.skips = True
            self.run.hold.wait(random.uniform(0.02, 0.2))
            return False
        return True

    def _work(self, connection: Connection, span: Span) -> Result:
        check_unaltered(self.run)
        wanted, changed, held = self.change(connection, span, self.skips)
        found = {"high": span.high, "wanted": wanted, "rows": changed, "locked": 0, "kept": 0}
        if changed < wanted and self.moves:
            query = count_unchanged(self.run.staging, self.kind, span)
            row = connection.execute(query).fetchone()
            unchanged = int(str(row[0])) if row else 0
            found["kept"] = max(held - changed, 0) if self.skips else unchanged
            found["locked"] = max(unchanged - found["kept"], 0)
        if self.count_altered is not None:
            found["altered"] = self.count_altered(connection, span)
        return found

    def _once(
        self, item: str, work: Callable[[Connection], Result], first: Sequence[str] = ()
    ) -> None:
        run = self.run
        like = Line(self.step, item, str(run.plan.table))
        run.journal.once(run.connection, self.step, item, work, like=like, first=first)

    def _leave(self, span: Span) -> None:
        """Give up a single row that cannot be changed because a trigger or a foreign key waits for
        others."""
        note = {"high": span.high, "wanted": 1, "rows": 0, "locked": 1, "kept": 0}
        self._once(f"{self.kind} from {span.low}", lambda _: note)

    def _adapt(self, seconds: float) -> None:
        factor = min(GROWTH, BATCH_SECONDS / max(seconds, 0.001))
        self.size = max(1, min(int(self.size * factor), self.run.spec.commit_rows))


def check_unaltered(run: Rewriting) -> None:
    """Raises:
    WindlassError: the table is not what was read.
    """
    if run.is_stale():
        rows = written_rows(run.journal.by_step)
        done = f"{plural(rows, 'row')} written before that stay" if rows else "nothing was written"
        raise WindlassError(
            f"{run.plan.table} was altered after its rows were read; {done}",
            hint="run the same command again: it ends this run and starts over",
        )


def _was_held_up(error: WindlassError, seconds: float) -> bool:
    """Whether a batch met a lock or took too long."""
    cause = error.__cause__
    if isinstance(cause, psycopg.errors.QueryCanceled):
        return seconds >= LONGEST_SECONDS
    return isinstance(
        cause,
        psycopg.errors.LockNotAvailable
        | psycopg.errors.DeadlockDetected
        | psycopg.errors.SerializationFailure,
    )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
