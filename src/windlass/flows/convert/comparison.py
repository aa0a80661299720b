"""The context of `windlass verify` for a target of another engine. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from windlass.errors import Different, Refused, SnapshotLost, WindlassError
from windlass.flows.convert.ending import outcome_of
from windlass.flows.convert.outline import COMPARE_CONVERTED
from windlass.flows.convert.proof import projection_of
from windlass.flows.convert.reading import read_and_plan
from windlass.flows.convert.sides import ConvertSides
from windlass.model.conversion import TableConversion
from windlass.model.event import Emit, FlowPlanned, ignore
from windlass.model.flow import Handover, Item, Result
from windlass.model.outcome import NO_REASON, Outcome, Reason, State
from windlass.model.report import Difference, DifferenceKind, Problem
from windlass.model.run_id import new_run_id
from windlass.spec.choices import Verify
from windlass.spec.migrate import Spec


class ConvertedComparison(ConvertSides):
    """Compares every selected table of the source with its counterpart."""

    def __init__(
        self,
        spec: Spec,
        emit: Emit = ignore,
        *,
        repair: object = None,
        repaired: str = "",
        patient: bool = False,
        **_: Any,
    ) -> None:
        """Raises:
        BadSpec: source or target is missing or cannot be read.
        Refused: a repair was requested.
        """
        if repair is not None:
            message = "cannot be repaired: it is of another engine"
            hint = "roll the run back and migrate again, or correct the rows"
            raise Refused([Problem("target", message, hint)])
        super().__init__(spec, emit)
        self._here: dict[str, Result] = {}  # what the source has, by table

    def begin(self) -> None:
        """Raises:
        Refused: a side cannot be read, or the options select nothing.
        """
        self.source.hold()
        plan = read_and_plan(new_run_id(), self.spec, self.source, self.target, migrates=False)
        if plan.problems:
            raise Refused(plan.problems)
        self._plan = plan
        flow = COMPARE_CONVERTED
        sizes = {str(one.source): max(one.size_bytes, 0) for one in plan.tables}
        self.emit(
            FlowPlanned(
                plan.run,
                sizes,
                dict.fromkeys(sizes, 0),
                source=plan.source,
                target=plan.target,
                flow=flow.name,
                doing=flow.words.doing,
                steps=self.steps,
            )
        )

    def counted(self, table: TableConversion, make: Callable[[], Result]) -> Result:
        """Count both sides at the same time."""
        with ThreadPoolExecutor(1, "windlass-hash") as pool:
            here = pool.submit(self._count, table)
            there = make()
            self._here[str(table.source)] = here.result()
        return there

    def copied(self, table: TableConversion) -> Result:
        return self._here[str(table.source)]

    def _count(self, table: TableConversion) -> Result:
        projection = projection_of(table, self.target.floats)
        if self.spec.verify_ is Verify.FULL:
            digest = self.source.digest(projection)
            return {"rows": digest.rows, "digest": asdict(digest)}
        (rows,) = self.source.counts(table.source, [], only=not table.is_partitioned)
        return {"rows": rows}

    # for `conduct` and the runner

    @property
    def has_begun(self) -> bool:
        return False

    @property
    def run_id(self) -> str:
        return ""

    @property
    def undone(self) -> Sequence[Problem]:
        return ()

    def finished(self, step: str) -> Mapping[str, Result]:
        return {}

    def recover(self, error: WindlassError) -> None:
        if isinstance(error, SnapshotLost):
            raise error

    def cancel(self) -> None:
        self.source.cancel()
        self.target.cancel()

    @property
    def handle(self) -> Result:
        return {}

    def join(self, handle: Result) -> None:
        """Raises:
        WindlassError: always, as one process reads the source.
        """
        raise WindlassError("is the work of one process", hint="run windlass verify")

    stand_in = join

    def hand_over(self) -> Handover:
        return Handover()

    def end(self, state: State, outcome: Outcome) -> None:
        self.ended = state

    def outcome(self, state: State, reason: Reason = NO_REASON) -> Outcome:
        if self._plan is None:
            return Outcome("", state, self.story.seconds, reason=reason)
        return outcome_of(self, state, reason)


def read_both_sides(run: ConvertedComparison, _: Item) -> Result:
    """Plan the comparison, and find tables and columns that the target lacks."""
    run.begin()
    missing = run.target.missing(run.plan)
    found = [
        Difference(DifferenceKind.SCHEMA, f"table {name}", message, relation=name)
        for name, message in missing.items()
    ]
    return {"missing": dict(missing), "differences": [one.to_json() for one in found]}


def generate_validation_report(run: ConvertedComparison, _: Item) -> Result:
    """Raises:
    Different: the sides are not equal.
    """
    if found := run.story.differences:
        raise Different(found)
    return {"relations": len(run.plan.tables)}
