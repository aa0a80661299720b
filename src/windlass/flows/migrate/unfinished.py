"""`windlass plan` if an earlier run of the same migration is unfinished: shows that run, what
remains to be done, and why it cannot be resumed now. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from windlass.engines.postgres.catalog import read_catalog
from windlass.engines.postgres.presence import read_presence
from windlass.engines.postgres.session import Connection
from windlass.errors import CannotResume
from windlass.flows.migrate.resuming import check_key, check_snapshot, check_source, check_target
from windlass.flows.migrate.status import migration_detail
from windlass.journal import records
from windlass.model.outcome import RunDetail
from windlass.model.plan import Plan
from windlass.model.planned import Style
from windlass.model.report import Problem
from windlass.planning.document.as_json import document
from windlass.planning.document.contents import Detail
from windlass.planning.document.markdown import markdown
from windlass.planning.document.text import text
from windlass.spec.migrate import Spec


@dataclass(frozen=True, slots=True)
class Planned:
    """What `migrate` would carry out; `unfinished` is the run that it would resume."""

    plan: Plan
    unfinished: RunDetail | None = None

    @property
    def problems(self) -> Sequence[Problem]:
        return self.plan.findings.problems

    def as_json(self) -> dict[str, Any]:
        return document(self.plan, self.unfinished)

    def as_text(self, style: Style) -> str:
        return text(
            self.plan,
            next_command=style.next_command,
            width=style.width,
            wraps=style.wraps,
            detail=Detail.BRIEF if style.is_brief else Detail.FULL,
            heading=style.heading,
            left=self.unfinished,
            restart_command=style.restart_command,
        )

    def as_markdown(self, style: Style) -> str:
        return markdown(
            self.plan,
            next_command=style.next_command,
            detail=Detail.BRIEF if style.is_brief else Detail.FULL,
            left=self.unfinished,
            restart_command=style.restart_command,
        )


def read_unfinished(
    source: Connection, target: Connection, spec: Spec, found: records.Run, snapshot: str
) -> Planned:
    """A run's plan from the journal, with the problems that prevent resuming it now."""
    plan = records.read_plan(target, found.run)
    lines = records.read_lines(target, found.run)
    done = records.by_step(lines)
    before = [one for one, _ in records.read_snapshots(target, found.run)]

    def checks() -> Iterator[Callable[[], None]]:
        yield lambda: check_key(plan)
        yield lambda: check_source(plan, read_catalog(source))
        yield lambda: check_target(plan, done, read_presence(target, side="target"))
        if spec.one_snapshot:
            yield lambda: check_snapshot(plan, done, before, snapshot)

    problems = tuple(_problems(f"run {found.run}", list(checks())))
    refused = replace(plan, findings=replace(plan.findings, problems=problems))
    return Planned(refused, migration_detail(target, found))


def _problems(run: str, checks: Sequence[Callable[[], None]]) -> Iterator[Problem]:
    for check in checks:
        try:
            check()
        except CannotResume as error:
            yield Problem(run, f"cannot be resumed: {error}", error.hint)
