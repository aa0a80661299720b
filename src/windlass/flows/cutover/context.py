"""The context of the flow `cutover`: one run that follows, its two sides, and what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Self

import psycopg

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.fencing import write_regardless
from windlass.engines.postgres.pgbouncer import Pool
from windlass.engines.postgres.session import Address, Role
from windlass.engines.starting import when_up
from windlass.errors import BadSpec, WindlassError
from windlass.flows.cutover.outline import CUTOVER
from windlass.flows.cutover.recopying import Recopying
from windlass.following.order import Pairing, Session
from windlass.following.reopening import BACK, FORTH, Leaving
from windlass.model.cutover import Foreseen
from windlass.model.event import Emit, FlowPlanned, ignore
from windlass.model.flow import Handover, Result
from windlass.model.following import Phase
from windlass.model.outcome import A_COMMAND, NO_REASON, Cutover, Outcome, Reason, StartedBy, State
from windlass.model.plan import Plan
from windlass.model.report import Problem
from windlass.model.wording import word
from windlass.run.story import Reporting, Story
from windlass.spec.cutover import CutoverSpec

Ask = Callable[[Foreseen], None]


class Connections:
    """Opens sessions of a run on both sides that may write, and closes them."""

    def __init__(self, spec: CutoverSpec) -> None:
        """Connects to nothing yet.

        Raises:
            BadSpec: a side is missing or cannot be read.
        """
        self._addresses: dict[str, Address] = {}
        faults: list[str] = []
        for side, secret in (("source", spec.source), ("target", spec.target)):
            try:
                if secret is None:
                    raise BadSpec([f"no {side}: give {word(side)}"])
                self._addresses[side] = Address.parse(side, secret.get_secret_value())
            except BadSpec as error:
                faults += error.faults
        if faults:
            raise BadSpec(faults)
        self.run = ""  # whose sessions these are, once it is known
        self._stack = ExitStack()

    def open(self, side: str, purpose: str = "cutover") -> Session:
        """A session that writes whatever the database's default is; commits reach the disk.

        Raises:
            WindlassError: it cannot be reached.
        """
        address, name = self._addresses[side], f"windlass {purpose} {self.run}".strip()
        session = when_up(lambda: address.connect(Role.TARGET, name))
        self._stack.callback(session.close)
        write_regardless(session)
        session.execute("set synchronous_commit to on")
        return session

    def close(self) -> None:
        self._stack.close()


class CuttingOver(Reporting):
    """One process's cutover, or its rehearsal."""

    def __init__(
        self,
        spec: CutoverSpec,
        emit: Emit = ignore,
        *,
        started_by: StartedBy = A_COMMAND,
        patient: bool = False,
        back: bool = False,
        ask: Ask | None = None,
    ) -> None:
        """Connects to nothing yet. `ask` is called before anything is closed, and raises to stop.

        Raises:
            BadSpec: a side or the pool is missing or cannot be read.
        """
        self.spec, self.ask = spec, ask
        self.story = Story(emit)
        self.connections = Connections(spec)
        self.way: Leaving = BACK if back else FORTH
        self.stop = threading.Event()
        self.done: Cutover | None = None
        self.is_forward_lost = False  # whether following the source again takes a comparison
        self.recopying: Recopying | None = None  # once it is known how long it takes
        self.ended: State | None = None  # once it is decided, or taken back
        self.reason: Reason = NO_REASON
        self.plan: Plan | None = None
        self.names: tuple[str, str] = ("", "")  # of source and target, for people
        if spec.pgbouncer is not None:
            Pool.parse(spec.pgbouncer.get_secret_value())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self.connections.close()

    # for the steps

    @property
    def run_id(self) -> str:
        return self.connections.run

    @property
    def pool(self) -> Pool | None:
        secret = self.spec.pgbouncer
        return None if secret is None else Pool.parse(secret.get_secret_value())

    @cached_property
    def pair(self) -> Pairing:
        """The two sessions of this process, once both were opened."""
        raise AssertionError("both sides were not opened yet")

    def use(self, source: Session, target: Session) -> None:
        """Work with these sessions from now on."""
        closed, opened = (source, target) if self.way is FORTH else (target, source)
        self.__dict__["pair"] = Pairing(closed, opened, self.way)

    @property
    def phase(self) -> Phase:
        return self.way.ends if self.ended is State.DONE else self.way.begins

    def announce(self) -> None:
        source, target = self.names
        self.emit(
            FlowPlanned(
                self.run_id,
                {},
                {},
                source=source,
                target=target,
                flow=CUTOVER.name,
                doing=CUTOVER.words.doing,
                steps=self.steps,
            )
        )

    # for shells and the runner

    has_begun = False  # it is a part of the run that follows, whose end is not this
    undone: Sequence[Problem] = ()

    @contextmanager
    def watching(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise explain(error, "cutting over", side="") from error

    def finished(self, step: str) -> Mapping[str, Result]:
        """Nothing is kept between two commands but the phase."""
        return {}

    def recover(self, error: WindlassError) -> None:
        """What is in the journal decides: the same command looks again."""
        raise error

    def cancel(self) -> None:
        """Do not cancel statements: whatever was closed has to be opened again."""
        self.stop.set()

    def leave(self) -> None:
        """The sessions belong to the context."""

    def hand_over(self) -> Handover:
        return Handover()

    def end(self, state: State, outcome: Outcome) -> None:
        """Journal nothing: the run still follows, or has switched, and its phase is in the
        journal."""

    def outcome(self, state: State, reason: Reason = NO_REASON) -> Outcome:
        found = self.done
        if found is not None:
            found = replace(found, phase=str(self.phase))
        source, target = self.names
        return self.story.complete(
            Outcome(
                run=self.run_id,
                state=state,
                source=source,
                target=target,
                reason=self.reason if reason is NO_REASON else reason,
                cutover=found,
            )
        )
