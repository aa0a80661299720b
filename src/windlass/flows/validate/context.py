"""The context of the flow `validate`: two sides that are compared, and not written to."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any, ClassVar

import psycopg

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Role
from windlass.errors import Refused, RunLost, SnapshotLost, WindlassError
from windlass.flows.migrate.context import Migration
from windlass.flows.migrate.portions import SET_SEQUENCES
from windlass.flows.validate.outline import VALIDATE
from windlass.journal import records
from windlass.model.event import Emit, ignore
from windlass.model.flow import Flow, Result
from windlass.model.outcome import Outcome, State
from windlass.model.plan import Plan, Purpose
from windlass.model.repair import Repairing
from windlass.model.snapshot import Snapshot
from windlass.spec.migrate import Spec


class Comparison(Migration):
    """Every selected relation against its namesake."""

    only_compares = True
    flow: ClassVar[Flow[Any]] = VALIDATE

    def __init__(
        self,
        spec: Spec,
        emit: Emit = ignore,
        *,
        caller: str = "",
        patient: bool = False,
        repair: Repairing | None = None,
        repaired: str = "",
    ) -> None:
        """Connects to nothing yet. `repair` is what to do about differences; `repaired` is a run
        that has done it, which this comparison ends.

        Raises:
            BadSpec: source or target is missing or cannot be read.
        """
        super().__init__(spec, emit, caller=caller, patient=patient)
        self.repair = repair
        self.repaired = self.repair_run = repaired  # the run of a repair that has begun

    @property
    def has_begun(self) -> bool:
        """Comparing alone writes nothing."""
        return bool(self.repair_run)

    @property
    def run_id(self) -> str:
        return self.repair_run

    def outcome(self, state: State, message: str = "", hint: str = "") -> Outcome:
        found = super().outcome(state, message, hint)
        return replace(found, run=self.repair_run, repaired=True) if self.has_begun else found

    def end(self, state: State, outcome: Outcome) -> None:
        """Journal how the repair ended. One that is through is ended by the comparison after it."""
        if self.repair is not None and state is State.DONE:
            return
        try:
            records.set_state(self.control, self.repair_run, state, outcome)
        except psycopg.Error as error:
            message = f"the end of run {self.repair_run} could not be journalled"
            raise RunLost(message, side="target") from error
        self.ended = state

    def begin_reading(self) -> None:
        """Plan the comparison.

        Raises:
            Refused: a side cannot be reached or read, or the options select nothing.
        """
        self._connect()
        self._take_snapshot()
        plan = self._make_plan(Purpose.COMPARE)
        if plan.problems:
            raise Refused(plan.problems)
        self._use(plan)
        self._hold_relations()
        self._tell_plan(resumed=False)

    @property
    def ticket(self) -> Result:
        """What another process needs to `join`: the plan itself, as it is written nowhere."""
        plan = base64.b85encode(records.pack_plan(self.plan)).decode()
        return {"plan": plan, "snapshot": asdict(self.snapshot)}

    def join(self, ticket: Result) -> None:
        """Compare in the snapshot of a ticket. That it is gone shows when it is read."""
        self._use(records.unpack_plan(base64.b85decode(ticket["plan"])))
        self.snapshot = Snapshot(**ticket["snapshot"])
        self._control = self._control or self.target.connect(Role.TARGET, "windlass control")
        self._has_begun = True

    def stand_in(self, ticket: Result) -> None:
        """Compare in a snapshot of this process's own, as nobody holds that of the ticket."""
        self._connect()
        self.join(ticket)
        self._take_snapshot(self.snapshot.number + 1)
        self._hold_relations()

    def sequences_set(self) -> Mapping[str, Sequence[Any]] | None:
        """In a snapshot that somebody else holds: by the run that holds it, if one does."""
        if not self.spec.snapshot:
            return None
        with self._reading_journal():
            if run := self._run_of_snapshot():
                lines = records.read_lines(self.sessions().target(), run)
                notes = [line.note for line in lines if line.step == SET_SEQUENCES]
                return (notes[0] or {}).get("values", {}) if notes else {}
        return {}

    def copied(self) -> Plan | None:
        """In a snapshot that somebody else holds: the plan of the run that holds it."""
        with self._reading_journal():
            if run := self._run_of_snapshot():
                return records.read_plan(self.sessions().target(), run)
        return None

    def _run_of_snapshot(self) -> str:
        target, identity = self.sessions().target(), self.plan.source.identity
        snapshot = self.spec.snapshot
        return records.read_run_of_snapshot(target, identity, snapshot) if snapshot else ""

    @contextmanager
    def _reading_journal(self) -> Iterator[None]:
        """One that belongs to another user is as good as none."""
        try:
            yield
        except (psycopg.errors.InsufficientPrivilege, Refused):
            return
        except psycopg.Error as error:
            raise explain(error, "reading the journal", side="target") from error

    def lacking(self, steps: object) -> dict[str, list[str]]:
        """Nothing is journalled."""
        return {}

    def recover(self, error: WindlassError) -> None:
        """Nothing is believed of the target that new sessions would not show."""
        if isinstance(error, SnapshotLost):
            raise error
        if self._plan is None:
            self._disconnect()
        else:
            self.sessions().drop()
