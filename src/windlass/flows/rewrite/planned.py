"""`windlass plan` for a rewrite. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.session import Address, Role
from windlass.inplace.check import FULL_BACKUP_BYTES
from windlass.inplace.preview import Preview, preview
from windlass.model.event import Emit
from windlass.model.planned import Style
from windlass.model.report import Problem
from windlass.model.units import bytes_text, plural
from windlass.spec.choices import Backup
from windlass.spec.rewrite import RewriteSpec

SHOWN_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class PlannedRewrite:
    """What `rewrite` would carry out."""

    preview: Preview
    is_chosen: bool = False  # the backup's extent, by the table's size

    @property
    def problems(self) -> Sequence[Problem]:
        """Always empty: if there are problems, no plan is made."""
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
            "costs": asdict(self.preview.costs),
            "statements": list(self.preview.statements),
        }

    def as_text(self, style: Style) -> str:
        lines = [style.heading(self._headline), "", *(f"  {one}" for one in self._changes())]
        lines += self._sample()
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
            if self.is_chosen:
                more = "up to" if plan.kept.level == "full" else "more than"
                size = bytes_text(FULL_BACKUP_BYTES)
                found[-1] += f" (backup: auto, as the table has {more} {size})"
            found += [] if self.preview.has_key else [self._without_key()]
        if plan.stamp:
            found.append(f"stamps {plan.stamp} with the statement that writes the row")
        found.append(self._costs())
        if replaced:
            whose = f"backup{'s' if len(replaced) > 1 else ''} of {' and '.join(replaced)}"
            found.append(f"replaces the {whose}, which cannot be undone then")
        return found

    def _without_key(self) -> str:
        """A remark if the run cannot be rolled back. The backup is still useful: it can be restored
        beside the table."""
        by = f" unless {self.preview.plan.id} is different in each" if self.preview.plan.id else ""
        return f"cannot be rolled back{by}, as no key that stays tells its rows apart"

    def _costs(self) -> str:
        costs = self.preview.costs
        parts = [plural(costs.transactions, "transaction")]
        parts += [f"{bytes_text(costs.backup_bytes)} of backup"] if costs.backup_bytes else []
        return f"costs about {', '.join(parts)}, {bytes_text(costs.wal_bytes)} of WAL at most"

    def _sample(self) -> list[str]:
        """Rows before and after; only in the text for a terminal."""
        preview, lines = self.preview, [""]
        if preview.no_sample:
            return ["", f"  a row cannot be shown as it will be: {preview.no_sample}"]
        for one in preview.sample:
            names = [name for name in one.before if name not in one.after]
            named = ", ".join(f"{name} {_shown(one.before[name])}" for name in names)
            changes = ", ".join(
                f"{name} {_shown(one.before[name]) if name in one.before else '(new)'}"
                f" -> {_shown(value)}"
                for name, value in one.after.items()
            )
            lines.append(f"  {named}: {changes}" if named else f"  {changes}")
        return lines if preview.sample else []


def _shown(value: str | None) -> str:
    if value is None:
        return "NULL"
    text = " ".join(value.split())
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…")


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
        return PlannedRewrite(preview(connection, spec), spec.backup is Backup.AUTO)
