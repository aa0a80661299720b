"""The context of `windlass verify` for a source of another engine. Reads only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from windlass.engines.origin import Origin
from windlass.engines.postgres.fingerprint import Pair
from windlass.engines.postgres.presence import Present, read_presence
from windlass.engines.postgres.session import Connection
from windlass.errors import Refused
from windlass.flows.lock_watch import watching_target
from windlass.flows.sides import PlanIndex
from windlass.flows.translate.hold import TranslateHold
from windlass.flows.translate.mending import Staging
from windlass.flows.translate.noted import NOTHING, Noted
from windlass.flows.translate.outline import COMPARE
from windlass.flows.translate.reading import read_and_translate
from windlass.flows.translate.views import differing_views
from windlass.flows.validate.context import Comparison
from windlass.flows.validate.steps import reported
from windlass.model.event import Emit, ignore
from windlass.model.flow import Item, Result
from windlass.model.plan import Purpose, RelationPlan
from windlass.model.report import Difference, DifferenceKind
from windlass.model.run_id import new_run_id
from windlass.spec.choices import Verify
from windlass.spec.migrate import Spec


class TranslatedComparison(Comparison):
    """Compares every selected table of the source with its counterpart."""

    flow = COMPARE
    hold: TranslateHold

    def __init__(self, spec: Spec, emit: Emit = ignore, **given: Any) -> None:
        """Raises:
        BadSpec: source or target is missing or cannot be read.
        """
        super().__init__(spec, emit, hold=TranslateHold(spec), **given)
        self._staging: Staging | None = None

    def __exit__(self, *fault: object) -> None:
        if self._staging is not None:
            self._staging.close()
        super().__exit__(*fault)

    @property
    def origin(self) -> Origin:
        return self.hold.origin

    def noted(self, relation: RelationPlan) -> Noted:
        """Nothing: a comparison copies nothing."""
        return NOTHING

    def begin_reading(self) -> None:
        self.hold.connect(patient=self._patient)
        plan = read_and_translate(new_run_id(), self.spec, self.hold, Purpose.COMPARE)
        problems = [*plan.findings.problems, *self._unrepairable(plan)]
        if problems:
            raise Refused(problems)
        self._index = PlanIndex(plan)
        self.announce()

    def compared(self, item: RelationPlan) -> tuple[Connection, Pair]:
        if self._staging is None:
            self._staging = Staging(self.hold.target, self.plan.target, self.origin)
        return self._staging.pair(item)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        with watching_target(self.hold.target, self.emit):
            yield

    @contextlib.contextmanager
    def noticing(self) -> Iterator[None]:
        with self.watching():
            yield


def read_both_sides(run: TranslatedComparison, _: Item) -> Result:
    """Plan the comparison, and find tables and columns that the target lacks.

    Raises:
        Refused: a side cannot be reached or read.
    """
    run.begin_reading()
    present = read_presence(run.sessions().target(), side="target")
    lacking = {
        str(one.target): present.get(one.target)
        for one in run.plan.relations
        if not _takes_rows(present.get(one.target))
    }
    found = [
        Difference(DifferenceKind.SCHEMA, f"table {name}", _instead(one), relation=name)
        for name, one in lacking.items()
    ]
    if run.spec.verify_ is Verify.FULL and run.plan.how.copies_rows and not run.spec.django:
        found += differing_views(run)
    return {
        **run.handle,
        **reported(found),
        "relations": len(run.plan.relations),
        "without_rows": list(lacking),
    }


def _takes_rows(found: Present | None) -> bool:
    return found is not None and found.takes_rows


def _instead(found: Present | None) -> str:
    return "is missing on the target" if found is None else "is not a table on the target"
