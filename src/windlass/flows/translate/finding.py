"""Finds or plans a run whose source is of another engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from windlass.engines.postgres.presence import read_presence
from windlass.errors import CannotResume, Refused
from windlass.flows.migrate.finding import Finder
from windlass.flows.migrate.resuming import BEGIN_AGAIN, check_key, check_target
from windlass.flows.translate.hold import TranslateHold
from windlass.flows.translate.reading import read_and_translate
from windlass.journal import records
from windlass.journal.records import Run
from windlass.model.plan import Plan, Purpose
from windlass.model.report import Problem
from windlass.model.run_id import new_run_id
from windlass.model.translation import SourceSchema
from windlass.model.units import several

if TYPE_CHECKING:  # only a process that plans needs it
    from windlass.flows.migrate.unfinished import Planned

MOST_NAMED = 10


class TranslateFinder(Finder):
    """Reads the source through its engine."""

    _hold: TranslateHold

    def _source_identity(self) -> str:
        return self._hold.origin.server.identity

    def _read_unfinished(self, found: Run) -> Planned:
        from windlass.flows.migrate.status import migration_detail
        from windlass.flows.migrate.unfinished import Planned

        control = self._hold.control
        plan, lines = records.read_plan(control, found.run), records.read_lines(control, found.run)
        problems = []
        try:
            check_source(plan, self._hold.schema())
            present = read_presence(control, side="target")
            check_target(plan, records.by_step(lines), present)
        except CannotResume as error:
            message = f"cannot be resumed: {error}"
            problems.append(Problem(f"run {found.run}", message, error.hint))
        refused = replace(plan, findings=replace(plan.findings, problems=tuple(problems)))
        return Planned(refused, migration_detail(control, found))

    def _make_plan(
        self, purpose: Purpose = Purpose.MOVE, run: str = "", *, measures: bool = False
    ) -> Plan:
        return read_and_translate(run or new_run_id(), self._spec, self._hold, purpose)

    def make_tables(self, plan: Plan) -> Plan:
        """Let the project's migrations make the tables of a plan, and plan again with these.

        Raises:
            Refused: the rows do not fit into what the migrations make.
            WindlassError: a migration failed.
        """
        from windlass.flows.translate.project import make_tables

        make_tables(self._spec, self._hold)
        made = self._make_plan(run=plan.run)
        if made.findings.problems:
            raise Refused(made.findings.problems)
        if (reviewed := self._request.reviewed) and (changes := reviewed.changes(made)):
            raise Refused(changes)
        return made


def check_source(plan: Plan, schema: SourceSchema) -> None:
    """Raises:
    CannotResume: rows that are still to be read or compared have another definition now.
    """
    check_key(plan)
    if changes := list(_changes(plan, schema)):
        raise CannotResume(
            f"the source has changed since the plan: {several(changes, MOST_NAMED)}",
            hint=f"undo that change, then run the same command again; or {BEGIN_AGAIN}",
        )


def _changes(plan: Plan, schema: SourceSchema) -> Iterator[str]:
    tables = {one.name: one for one in schema.tables}
    for item in plan.relations:
        assert item.reading is not None, "planned by another flow"
        now = tables.get(item.reading.table)
        if now is None:
            yield f"{item.reading.table} is gone"
            continue
        types = {column.name: column.type for column in now.columns}
        then = {column.source: column.source_type for column in item.columns}
        if item.mapping is not None:
            then = {column.name: column.type for column in item.mapping.given}
        for name, type_ in then.items():
            if name not in types:
                yield f"{now.name}: column {name} is gone"
            elif types[name] != type_:
                yield f"{now.name}: column {name} is {types[name]} now, and was {type_}"
        yield from (f"{now.name}: column {name} is new" for name in types if name not in then)
