"""The context of the flow `validate`: two sides that are compared, not written to."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from typing import Any

import psycopg

from windlass.engines.postgres.fingerprint import Pair
from windlass.engines.postgres.hold import Hold
from windlass.engines.postgres.session import Connection
from windlass.errors import Refused, RunLost, SnapshotLost, WindlassError
from windlass.flows.holding import hold_of
from windlass.flows.migrate.portions import SET_SEQUENCES
from windlass.flows.sides import PlanIndex, Sides, reading_journal, relation_names
from windlass.flows.validate.outline import VALIDATE
from windlass.flows.validate.pairing import row_pair
from windlass.flows.validate.verdict import relation_outcomes, with_findings
from windlass.journal import records
from windlass.model.event import Emit, ignore
from windlass.model.flow import Handover, Result
from windlass.model.outcome import A_COMMAND, NO_REASON, Outcome, Reason, StartedBy, State
from windlass.model.plan import Plan, Purpose, RelationPlan
from windlass.model.repair import Repairing
from windlass.model.report import Problem
from windlass.model.run_id import new_run_id
from windlass.model.snapshot import Snapshot
from windlass.model.wording import word
from windlass.spec.migrate import Spec


class Comparison(Sides):
    """Compares every selected relation with its counterpart, and may repair differences."""

    flow = VALIDATE
    purpose = Purpose.COMPARE

    def __init__(
        self,
        spec: Spec,
        emit: Emit = ignore,
        *,
        started_by: StartedBy = A_COMMAND,
        patient: bool = False,
        hold: Hold | None = None,
        repair: Repairing | None = None,
        repaired: str = "",
    ) -> None:
        """Connects to nothing yet. `hold` is an existing hold on the spec's two sides. `repair` is
        how to repair differences. `repaired` names a repair that has run, which this comparison
        ends. No journal records `started_by`.

        Raises:
            BadSpec: source or target is missing or cannot be read.
        """
        super().__init__(spec, emit, hold or hold_of(spec))
        self._patient = patient
        self.repair = repair
        self.repaired = self.repair_run = repaired  # the run of a repair that has begun
        self.ended: State | None = None  # how the repair ended

    # the beginning

    def begin_reading(self) -> None:
        """Plan the comparison.

        Raises:
            Refused: a side cannot be reached or read, or the options select nothing.
        """
        from windlass.flows.migrate.reading import Sight, read_and_plan  # no other needs it

        self.hold.connect(patient=self._patient)
        self.hold.take_snapshot()
        sight = Sight.of(self.hold, self.keep_dump)
        plan = read_and_plan(new_run_id(), self.spec, sight, Purpose.COMPARE)
        problems = [*plan.findings.problems, *self._unrepairable(plan)]
        if problems:
            raise Refused(problems)
        self._index = PlanIndex(plan)
        self.hold.lock_relations(relation_names(plan))
        self.announce()

    def _unrepairable(self, plan: Plan) -> Iterator[Problem]:
        if self.repair is None:
            return
        for item in plan.relations:
            if item.mapping is not None:
                message = "is mapped: its rows are compared, and cannot be repaired one by one"
                hint = f"{word('exclude', item.relation.name.plain)}, or migrate it again"
                yield Problem(str(item.relation.name), message, hint)

    @property
    def handle(self) -> Result:
        """The data another process needs to `join`: the plan itself, which is stored nowhere."""
        plan = base64.b85encode(records.pack_plan(self.plan)).decode()
        return {"plan": plan, "snapshot": asdict(self.snapshot)}

    def join(self, handle: Result) -> None:
        """Compare in the snapshot of a handle. Whether that still exists shows when it is read."""
        self._index = PlanIndex(records.unpack_plan(base64.b85decode(handle["plan"])))
        self.hold.snapshot = Snapshot(**handle["snapshot"])
        self.hold.look_on("windlass control")

    def stand_in(self, handle: Result) -> None:
        """Compare in a new snapshot held by this process, because the handle's is gone."""
        self.hold.connect(patient=self._patient)
        self.join(handle)
        self.hold.take_snapshot(self.snapshot.number + 1)
        self.hold.lock_relations(relation_names(self.plan))

    def keep(self) -> None:
        """Raises:
        ConnectionLost: a session it needs is gone.
        """
        self.hold.check()

    # the copy that is compared

    def sequences_set(self) -> Mapping[str, Sequence[Any]] | None:
        """Within another session's snapshot: the values set by the run that holds it, if any."""
        if not self.spec.snapshot:
            return None
        with self._reading_journal():
            if run := self._run_of_snapshot():
                lines = records.read_lines(self.sessions().target(), run)
                notes = [line.note for line in lines if line.step == SET_SEQUENCES]
                return (notes[0] or {}).get("values", {}) if notes else {}
        return {}

    def copied(self) -> Plan | None:
        """Within another session's snapshot: the plan of the run that holds it."""
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
        """Read the journal; one that belongs to another user counts as missing."""
        with reading_journal(), suppress(psycopg.errors.InsufficientPrivilege, Refused):
            yield

    def compared(self, item: RelationPlan) -> tuple[Connection, Pair]:
        """A session that reads the source's rows of a relation, and the pair of relations in which
        differing rows are searched."""
        return self.sessions().source(self.snapshot.id), row_pair(self, item)

    @property
    def differing(self) -> list[RelationPlan]:
        """Relations whose rows differ, one for all that go into the same relation."""
        names = set(self.result("find_differences").get("differing", ()))
        entered = {item.enters: item for item in self.plan.relations}
        return [item for name, item in entered.items() if str(name) in names]

    # for shells and the runner

    @property
    def has_begun(self) -> bool:
        """False unless it repairs: comparing writes nothing."""
        return bool(self.repair_run)

    @property
    def run_id(self) -> str:
        return self.repair_run

    @property
    def undone(self) -> Sequence[Problem]:
        return ()

    def finished(self, step: str) -> Mapping[str, Result]:
        """Nothing is journalled."""
        return {}

    def lacking(self, steps: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Nothing is journalled."""
        return {}

    def recover(self, error: WindlassError) -> None:
        """New sessions are enough: no state of the target is kept."""
        if isinstance(error, SnapshotLost):
            raise error
        if self._index is None:
            self.hold.let_go()
        else:
            self.sessions().drop()

    def hand_over(self) -> Handover:
        return Handover()

    # the end

    def outcome(self, state: State, reason: Reason = NO_REASON) -> Outcome:
        """What the comparison found, and the repair that it belongs to."""
        known = Outcome("", state, self.story.seconds, reason=reason)
        if self._index is not None:
            known = replace(known, run=self.plan.run, relations=tuple(relation_outcomes(self)))
            known = with_findings(self, known)
        if not self.has_begun:
            return known
        course = replace(known.course, repaired=True)
        return replace(known, run=self.repair_run, course=course)

    def end(self, state: State, outcome: Outcome) -> None:
        """Journal how the repair ended. A complete repair is ended by the comparison after it."""
        if self.repair is not None and state is State.DONE:
            return
        message = f"the end of run {self.repair_run} could not be journalled"
        if not self.hold.has_target:
            raise RunLost(message, side="target")
        try:
            records.set_state(self.control, self.repair_run, state, outcome)
        except psycopg.Error as error:
            raise RunLost(message, side="target") from error
        self.ended = state
