"""The process that holds a run for a triggerer: ``python -m windlass.airflow.holder``.

It does what `windlass.airflow.operators.HoldOperator` does in a worker, and asks its parent for
everything that Airflow knows. Each line that it reads or writes is JSON. First it reads an `Order`.
Its own lines have one key: ``ask`` (a method of the board, with arguments), ``publish`` (the
handle), ``log`` (level and text), and at the end ``done`` (the result) or ``failed`` (with what is
known of the unfinished run, for its report). The parent
answers the first two. When the parent ends, standard input is closed: the process ends, and
everything that it held with it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import pkgutil
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TextIO

from windlass.airflow.findings import lines_of
from windlass.airflow.pools import NoSlot, PoolWatch
from windlass.errors import Interrupted, WindlassError
from windlass.model.flow import Result, Step
from windlass.model.outcome import Outcome, StartedBy
from windlass.spec.model import validated

log = logging.getLogger("windlass.airflow.holder")  # also where this is the main module
BOARD = (
    "result", "results", "others_are_over", "skipped", "failed", "has_started", "has_ever_run",
    "is_waiting",
)  # fmt: skip
"""The methods of `windlass.airflow.board.Board` that a holder uses."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to hold. `words` are the options of the spec, including the addresses of both sides: the
    order is passed on standard input, which nobody else can see."""

    flow: str
    step: str
    words: Mapping[str, Any]
    external_run: str
    external_url: str
    patience_seconds: float
    last: Sequence[str]
    pooled: Sequence[str]
    run_pool: str
    pool_patience_seconds: float

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


class Parent:
    """The triggerer at the other end."""

    def __init__(self, reading: TextIO, writing: TextIO) -> None:
        self._reading, self._writing = reading, writing
        self._asking, self._saying = threading.Lock(), threading.Lock()

    def read(self) -> Any:
        """Read the parent's next line.

        Raises:
            Interrupted: it is gone.
        """
        line = self._reading.readline()
        if not line:
            raise Interrupted("the triggerer has ended")
        return json.loads(line)

    def say(self, what: str, value: Any) -> None:
        try:
            with self._saying:
                self._writing.write(json.dumps({what: value}) + "\n")
                self._writing.flush()
        except BrokenPipeError:
            raise Interrupted("the triggerer has ended") from None

    def ask(self, what: str, value: Any) -> Any:
        with self._asking:
            self.say(what, value)
            return self.read()


class RemoteBoard:
    """A `windlass.airflow.board.Board` for a holder, which asks the triggerer."""

    def __init__(self, parent: Parent, order: Order) -> None:
        self._parent = parent
        self.started_by = StartedBy(order.external_run, order.external_url)

    def results(self, step: Step[Any]) -> Mapping[str, Result]:
        found: Mapping[str, Result] = self._parent.ask("ask", ["results", step.name])
        return found

    def __getattr__(self, name: str) -> Any:
        if name not in BOARD:
            raise AttributeError(name)
        return lambda *args: self._parent.ask("ask", [name, *args])


class _ToParent(logging.Handler):
    """Sends log records to the task's log."""

    def __init__(self, parent: Parent) -> None:
        super().__init__(logging.INFO)
        self._parent = parent

    def emit(self, record: logging.LogRecord) -> None:
        self._parent.say("log", [record.levelno, self.format(record)])


def failure(error: WindlassError, outcome: Outcome | None = None) -> dict[str, Any]:
    """An error in the form that the resuming task reads. `outcome` is that of an unfinished run."""
    from windlass.airflow.work import ABSENCES
    from windlass.recorded import outcome_text

    return {
        **({"outcome": outcome_text(outcome)} if outcome else {}),
        "problems": list(lines_of(error)),
        "retryable": error.retryable or isinstance(error, Interrupted),
        "lost": isinstance(error, ABSENCES),
        "no_slot": isinstance(error, NoSlot),
    }


def hold(order: Order, parent: Parent, keep: Callable[[Outcome], None]) -> Result:
    """Hold the run until its other tasks have ended. `keep` is called with what is known of an
    unfinished run.

    Raises:
        WindlassError: as `windlass.airflow.work.Part.hold`.
    """
    from windlass.airflow.work import Part  # slow to load, and a DAG file imports this module

    flow = pkgutil.resolve_name(order.flow)
    board: Any = RemoteBoard(parent, order)
    spec = validated(pkgutil.resolve_name(flow.spec), order.words)
    part = Part(flow, flow.step(order.step), spec, board, spec.jobs, order.patience_seconds)
    watch = PoolWatch(board, order.run_pool, order.pooled, order.pool_patience_seconds)
    try:
        return part.hold(lambda handle: parent.ask("publish", handle), order.last, watch)
    except WindlassError:
        if part.outcome:
            keep(part.outcome)
        raise


def main() -> None:
    parent = Parent(sys.stdin, sys.stdout)
    sys.stdout = sys.stderr  # nothing that is printed may reach the parent
    ours = logging.getLogger("windlass")
    ours.setLevel(logging.INFO)
    ours.addHandler(_ToParent(parent))
    unfinished: list[Outcome] = []
    try:
        parent.say("done", hold(Order(**parent.read()), parent, unfinished.append))
    except WindlassError as error:
        with contextlib.suppress(Interrupted):  # nobody is there to read it
            parent.say("failed", failure(error, *unfinished))
    except Exception as error:  # an error of ours, after which holding again would not help
        with contextlib.suppress(Interrupted):
            log.exception("the run cannot be held")
            wrong = WindlassError(f"the run cannot be held: {type(error).__name__}: {error}")
            parent.say("failed", {**failure(wrong), "retryable": True})


if __name__ == "__main__":
    main()
