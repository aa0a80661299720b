"""`windlass plan` for a rewrite. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.session import Address, Role
from windlass.inplace.preview import Preview, preview
from windlass.model.event import Emit
from windlass.model.planned import Style
from windlass.model.report import Problem
from windlass.model.units import plural
from windlass.spec.rewrite import RewriteSpec


@dataclass(frozen=True, slots=True)
class PlannedRewrite:
    """What `rewrite` would carry out."""

    preview: Preview

    @property
    def problems(self) -> Sequence[Problem]:
        """Empty: with a problem no plan is made."""
        return ()

    def as_json(self) -> dict[str, Any]:
        plan = self.preview.plan
        return {
            "table": str(plan.table),
            "database": plan.where.database,
            "place": plan.where.place,
            "selected": self.preview.selected,
            "columns_added": {name: plan.type_of(name) for name in plan.missing},
            "backup": plan.kept.level,
            "replaces_backups_of": list(self.preview.replaces),
            "statements": list(self.preview.statements),
        }

    def as_text(self, style: Style) -> str:
        lines = [style.heading(self._headline), "", *(f"  {one}" for one in self._changes())]
        lines += ["", *(f"{statement};" for statement in self.preview.statements)]
        return "\n".join([*lines, "", f"Next: {style.next_command}"])

    def as_markdown(self, style: Style) -> str:
        lines = [f"# {self._headline}", "", *(f"- {one}" for one in self._changes())]
        lines += ["", "```sql", *(f"{statement};" for statement in self.preview.statements), "```"]
        return "\n".join([*lines, "", f"Next: `{style.next_command}`"])

    @property
    def _headline(self) -> str:
        return f"{self.preview.plan.title}: {plural(self.preview.selected, 'row')} selected now"

    def _changes(self) -> Sequence[str]:
        plan, replaced = self.preview.plan, self.preview.replaces
        found = [f"adds column {name} {plan.type_of(name)}" for name in plan.missing]
        if plan.keeps_backup:
            found.append(f"{plan.kept.level} backup: {plan.kept.schema}.{plan.table.name}")
        if replaced:
            whose = f"backup{'s' if len(replaced) > 1 else ''} of {' and '.join(replaced)}"
            found.append(f"replaces the {whose}, which cannot be undone then")
        return found


def plan_rewrite(spec: RewriteSpec, emit: Emit) -> PlannedRewrite:
    """What `rewrite` would do.

    Raises:
        Refused: with every problem.
        WindlassError: reading failed.
    """
    assert spec.connection is not None
    address = Address.parse("database", spec.connection.get_secret_value())
    connecting = address.connect(Role.SOURCE, "windlass plan")
    with connecting as connection, explaining("planning the rewrite", side="database"):
        return PlannedRewrite(preview(connection, spec))
