"""The context of the flow `translate`: a migration's, whose source is of another engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from windlass.engines.origin import Origin
from windlass.errors import WindlassError
from windlass.flows.lock_watch import watching_target
from windlass.flows.migrate.context import Migration
from windlass.flows.migrate.finding import Found, Stage
from windlass.flows.migrate.portions import TRANSFERS
from windlass.flows.sides import reading_journal
from windlass.flows.translate.finding import TranslateFinder
from windlass.flows.translate.hold import Kept, TranslateHold
from windlass.flows.translate.noted import Noted, noted_digests
from windlass.flows.translate.opening import begin_new, resume
from windlass.flows.translate.outline import TRANSLATE
from windlass.model.event import Emit, ignore
from windlass.model.flow import Handover, Result
from windlass.model.plan import RelationPlan
from windlass.spec.migrate import Spec


class Translation(Migration):
    """One process's part in a run that reads another engine."""

    flow = TRANSLATE
    hold: TranslateHold
    _finder: TranslateFinder

    def __init__(
        self,
        spec: Spec,
        emit: Emit = ignore,
        *,
        hold: TranslateHold | None = None,
        kept: Kept | None = None,
        **given: Any,
    ) -> None:
        """As of a migration; `kept` comes from an earlier attempt of this process.

        Raises:
            BadSpec: source or target is missing or cannot be read.
        """
        super().__init__(spec, emit, hold=hold or TranslateHold(spec, kept), **given)
        self._finder = TranslateFinder(spec, self.hold, self.request, self.emit, self.keep_dump)

    @property
    def origin(self) -> Origin:
        return self.hold.origin

    def noted(self, relation: RelationPlan) -> Noted:
        """Digests of a relation's rows on the source, as they were copied."""
        return noted_digests([self.lines(step) for step in TRANSFERS], relation)

    def hand_over(self) -> Handover:
        """Hand over the source's sessions if their snapshot lives."""
        kept = self.hold.hand_over_source()
        lost = "" if kept else "; its snapshot is lost as well"
        given = {"kept": kept, "restart": False}
        return Handover(given, f"resuming from the journal{lost}")

    def join(self, handle: Result) -> None:
        """Raises:
        WindlassError: other engines share no snapshot with another process.
        """
        raise WindlassError(
            f"{self.origin.place} cannot be read by several processes in one snapshot",
            hint="do all of it in one task: MigrateOperator, or windlass migrate",
            side="source",
        )

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        with watching_target(self.hold.target, self.emit):
            yield

    @contextlib.contextmanager
    def noticing(self) -> Iterator[None]:
        with self.watching():
            yield

    @reading_journal()
    def begin(self) -> None:
        if not self._is_to_do():
            return
        if self._found:
            self.stage = Stage.RESUMED
            resume(self, self.hold, self.journal, self._found, self.request.started_by)
        elif self.stage is Stage.PLANNED:
            if self.spec.django:
                self._use(Found(Stage.PLANNED, self._finder.make_tables(self.plan)))
            begin_new(self, self.request.started_by)
            self.stage = Stage.BEGUN
        self.announce(resumed=self.stage is Stage.RESUMED)
        self.hold.name_after(self.plan.run)
