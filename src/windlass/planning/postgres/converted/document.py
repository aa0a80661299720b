"""The plan of a migration into another engine as text, Markdown and JSON: what goes where, column
by column, and what is lost. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.model.conversion import ColumnPlan, ConversionPlan, SetAside, TableConversion
from windlass.model.planned import Style
from windlass.model.report import Loss, Problem, count_losses
from windlass.model.units import bytes_text, count_text, plural
from windlass.model.wording import word


@dataclass(frozen=True, slots=True)
class PlannedConversion:
    """What `windlass migrate` would carry out; `unfinished` is the run that it would resume."""

    plan: ConversionPlan
    unfinished: str = ""

    @property
    def problems(self) -> Sequence[Problem]:
        return self.plan.problems

    def as_json(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "flow": "convert",
            "source": plan.source,
            "target": plan.target,
            "unfinished": self.unfinished,
            "creates_target": plan.is_new,
            "sets_aside": [
                {"kind": one.kind, "name": one.name, "as": one.aside} for one in plan.set_aside
            ],
            "tables": [_table(one) for one in plan.tables],
            "views": [
                {"source": str(one.source), "target": str(one.target), "statement": one.statement}
                for one in plan.views
            ],
            "losses": [one.to_json() for one in plan.losses],
            "problems": [one.to_json() for one in plan.problems],
            "notices": list(plan.notices),
        }

    def as_text(self, style: Style) -> str:
        lines = [style.heading(self._headline)]
        for one in self.plan.tables:
            lines += ["", f"  {style.heading(_title(one))}"]
            if not style.is_brief:
                lines += [f"      {line}" for line in _described(one)]
        for title, found in self._sections():
            lines += ["", style.heading(title), *(f"  {line}" for line in found)]
        if not self.plan.problems:
            lines += ["", style.heading(self._next), f"  {style.next_command}"]
        return "\n".join(lines)

    def as_markdown(self, style: Style) -> str:
        lines = [f"# {self._headline}"]
        for one in self.plan.tables:
            lines += ["", f"## {_title(one)}", ""]
            lines += ["| source | type | target | type | |", "|---|---|---|---|---|"]
            lines += [
                f"| {column.source} | {column.source_type} | {column.target} | {column.type} |"
                f" {_notes(column)} |"
                for column in one.columns
            ]
            lines += ["", "```sql", *_statements(one), "```"]
        for title, found in self._sections():
            lines += ["", f"## {title}", "", *(f"- {line}" for line in found)]
        if not self.plan.problems:
            lines += ["", f"{self._next}:", "", f"    {style.next_command}"]
        return "\n".join(lines)

    def _sections(self) -> Iterator[tuple[str, list[str]]]:
        plan = self.plan
        if plan.set_aside:
            yield "Set aside, and put back by a rollback", [*map(_aside, plan.set_aside)]
        if plan.views:
            views = [f"{one.source} → {one.target}" for one in plan.views]
            yield "Views, kept if their rows are those of the source", views
        if plan.losses:
            yield f"{count_losses(plan.losses)}", [_loss(one) for one in plan.losses]
        if plan.notices:
            yield "To know", list(plan.notices)
        if plan.problems:
            title = f"{plural(len(plan.problems), 'problem')}: nothing would be written"
            yield title, [one.text for one in plan.problems]

    @property
    def _headline(self) -> str:
        how = "a new file" if self.plan.is_new else "what is there stays"
        if self.plan.set_aside:
            how = "what is replaced is kept"
        return f"Migrate {self.plan.source} → {self.plan.target} ({how})"

    @property
    def _next(self) -> str:
        if self.unfinished:
            return f"Next, to resume run {self.unfinished} ({word('restart')} starts over)"
        return "Next"


def _aside(one: SetAside) -> str:
    how = f"as {one.aside}" if one.aside else "dropped, with its statement in the journal"
    return f"{one.kind} {one.name}: {how}"


def _loss(one: Loss) -> str:
    return str(one)


def _title(table: TableConversion) -> str:
    rows = f"about {count_text(table.rows)} rows, " if table.rows >= 0 else ""
    chunks = f", {len(table.chunks):,} chunks" if table.chunks else ""
    return f"{table.source} → {table.target} ({rows}{bytes_text(table.size_bytes)}{chunks})"


def _described(table: TableConversion) -> Iterator[str]:
    for one in table.columns:
        notes = _notes(one)
        yield f"{one.source} {one.source_type} → {one.type}{f', {notes}' if notes else ''}"
    for text in _statements(table):
        yield from text.splitlines()


def _statements(table: TableConversion) -> Iterator[str]:
    yield from (f"{one};" for one in table.statements)
    yield from (f"{one.statement};" for one in (*table.indexes, *table.keys))


def _notes(column: ColumnPlan) -> str:
    notes = []
    if column.is_generated:
        notes.append("computed")
    if column.not_null:
        notes.append("NOT NULL")
    return ", ".join(notes)


def _table(table: TableConversion) -> dict[str, Any]:
    return {
        "source": str(table.source),
        "target": str(table.target),
        "rows": table.rows,
        "bytes": table.size_bytes,
        "chunks": max(len(table.chunks), 1),
        "key": list(table.key),
        "columns": [
            {
                "source": one.source,
                "source_type": one.source_type,
                "target": one.target,
                "target_type": one.type,
                "expression": one.carried.text.format(one.source) if one.carried.text else "",
                "computed": one.is_generated,
                "not_null": one.not_null,
            }
            for one in table.columns
        ],
        "statements": list(_statements(table)),
    }
