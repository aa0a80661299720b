"""`windlass plan` for an export. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.errors import Refused
from windlass.flows.export.context import Exporting
from windlass.model.event import Emit
from windlass.model.export import Column, Export, Hooked
from windlass.model.planned import Style
from windlass.model.report import Problem
from windlass.model.units import bytes_text, count_text, plural
from windlass.spec.export import ExportSpec


@dataclass(frozen=True, slots=True)
class PlannedExport:
    """What `export` would carry out; `unfinished` is the run that it would resume."""

    source: str
    target: str
    exports: tuple[Export, ...] = ()
    problems: Sequence[Problem] = ()
    unfinished: str = ""
    loads: bool = False  # whether there is a warehouse
    hooks: Hooked = field(default_factory=Hooked)  # of the run
    notices: Sequence[str] = ()  # what becomes of tables, and which relations are left out

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "target": self.target,
            "unfinished": self.unfinished,
            "relations": [
                {
                    "name": one.name,
                    "table": one.table,
                    "disposition": one.disposition,
                    "key": list(one.key),
                    "watermark": one.watermark,
                    "since": one.span.since,
                    "rows": one.rows,
                    "bytes": one.size_bytes,
                    "before_load": list(one.rules.hooks.before),
                    "after_load": list(one.rules.hooks.after),
                    "columns": [
                        {
                            "name": it.name,
                            "type": it.type,
                            "as": it.described,
                            "masked": it.mask,
                            "hashed": bool(it.hash),
                            "source": it.origin,
                        }
                        for it in one.columns
                    ],
                }
                for one in self.exports
            ],
            "before_run": list(self.hooks.before),
            "after_run": list(self.hooks.after),
            "problems": [one.to_json() for one in self.problems],
            "notices": list(self.notices),
        }

    def as_text(self, style: Style) -> str:
        lines = [style.heading(self._headline), ""]
        for one in self.exports:
            lines.append(f"  {self._described(one)}")
            lines += (
                []
                if style.is_brief
                else [f"      {line}" for line in (*_columns(one), *_hooks(one))]
            )
        lines += [f"  {line}" for line in self._hooks]
        if self.problems:
            lines += ["", style.heading(self._verdict), *(f"  {one}" for one in self.problems)]
            return "\n".join(lines)
        lines += ["", *(f"  {one}" for one in self.notices)] if self.notices else []
        return "\n".join([*lines, "", style.heading(self._next), f"  {style.next_command}"])

    def as_markdown(self, style: Style) -> str:
        lines = [f"# {self._headline}", ""]
        for one in self.exports:
            lines.append(f"- {self._described(one)}")
            lines += (
                []
                if style.is_brief
                else [f"    - {line}" for line in (*_columns(one), *_hooks(one))]
            )
        lines += [f"- {line}" for line in self._hooks]
        if self.problems:
            lines += ["", f"## {self._verdict}", "", *(f"- {one}" for one in self.problems)]
            return "\n".join(lines)
        lines += ["", *(f"- {one}" for one in self.notices)] if self.notices else []
        return "\n".join([*lines, "", f"{self._next}:", "", f"    {style.next_command}"])

    @property
    def _hooks(self) -> list[str]:
        return _statements("before-run", self.hooks.before, "after-run", self.hooks.after)

    @property
    def _headline(self) -> str:
        return f"Export {self.source} → {self.target}"

    @property
    def _verdict(self) -> str:
        return f"{plural(len(self.problems), 'problem')}: nothing would be exported"

    @property
    def _next(self) -> str:
        return f"Next, to resume run {self.unfinished}" if self.unfinished else "Next"

    def _described(self, export: Export) -> str:
        """One line for a relation; files have no table or disposition."""
        rows = (
            f"about {count_text(export.rows)} {'row' if export.rows == 1 else 'rows'}, "
            if export.rows >= 0
            else ""
        )
        since = f", from {export.watermark} {export.span.since}" if export.span.since else ""
        size = f"{bytes_text(export.size_bytes)}, " if export.size_bytes else ""
        if not self.loads:
            return f"{export.name}: {rows}{size}".rstrip(", :")
        return f"{export.name} → {export.table}: {rows}{size}{export.disposition}{since}"


def _columns(export: Export) -> list[str]:
    return [
        f"{_renamed(one)}: {one.type} as {one.described}{_hidden(one)}"
        for one in export.columns
        if not one.load
    ] + [f"{one.name}: {one.load.what} of the load" for one in export.columns if one.load]


def _hooks(export: Export) -> list[str]:
    hooks = export.rules.hooks
    return _statements("before-load", hooks.before, "after-load", hooks.after)


def _statements(first: str, before: Sequence[str], second: str, after: Sequence[str]) -> list[str]:
    return [f"{first}: {text}" for text in before] + [f"{second}: {text}" for text in after]


def _renamed(column: Column) -> str:
    return f"{column.source} → {column.name}" if column.source else column.name


def _hidden(column: Column) -> str:
    if column.mask:
        return ", masked"
    return ", hashed" if column.hash else ""


def plan_export(spec: ExportSpec, emit: Emit) -> PlannedExport:
    """What `export` would do. The plan contains its problems.

    Raises:
        Unreachable: the source cannot be reached now.
        WindlassError: reading failed.
    """
    with Exporting(spec, emit) as run:
        try:
            run.prepare()
        except Refused as error:
            return PlannedExport(run.source.place, run.place, problems=error.problems)
        found = run.to_resume()
        unfinished = found.run if found else ""
        return PlannedExport(
            run.source.place,
            run.place,
            run.exports,
            unfinished=unfinished,
            loads=run.target is not None,
            hooks=spec.hooks,
            notices=(*run.notices, *(one.text for one in run.unfit)),
        )
