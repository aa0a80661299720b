"""The plan of a run of loads as text, Markdown and JSON: what will happen, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from windlass.loading.made import LoadPlan
from windlass.loading.words import in_sentences, short_name
from windlass.model.load import Assigned
from windlass.model.mask import Mask
from windlass.model.planned import Style
from windlass.model.report import Problem
from windlass.model.units import bytes_text, count_text, plural


@dataclass(frozen=True, slots=True)
class PlannedLoad:
    """What `windlass load` would carry out; `unfinished` is the run that it would resume."""

    target: str
    plans: Sequence[LoadPlan] = ()
    problems: Sequence[Problem] = ()
    unfinished: str = ""
    notices: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "unfinished": self.unfinished,
            "loads": [_json(one) for one in self.plans],
            "problems": [one.to_json() for one in self.problems],
            "notices": list(self.notices),
        }

    def as_text(self, style: Style) -> str:
        lines = [style.heading(self._headline)]
        for one in self.plans:
            lines += ["", f"  {style.heading(_title(one))}"]
            lines += [f"      {line}" for line in _described(one, brief=style.is_brief)]
        if self.problems:
            lines += ["", style.heading(self._verdict), *(f"  {one.text}" for one in self.problems)]
            return "\n".join(lines)
        lines += ["", *(f"  {one}" for one in self.notices)] if self.notices else []
        return "\n".join([*lines, "", style.heading(self._next), f"  {style.next_command}"])

    def as_markdown(self, style: Style) -> str:
        lines = [f"# {self._headline}"]
        for one in self.plans:
            lines += ["", f"## {_title(one)}", ""]
            lines += [f"- {line}" for line in _described(one, brief=style.is_brief)]
        if self.problems:
            lines += ["", f"## {self._verdict}", "", *(f"- {one.text}" for one in self.problems)]
            return "\n".join(lines)
        lines += ["", *(f"- {one}" for one in self.notices)] if self.notices else []
        return "\n".join([*lines, "", f"{self._next}:", "", f"    {style.next_command}"])

    @property
    def _headline(self) -> str:
        return f"Load into {self.target}"

    @property
    def _verdict(self) -> str:
        return f"{plural(len(self.problems), 'problem')}: nothing would be loaded"

    @property
    def _next(self) -> str:
        return f"Next, to resume run {self.unfinished}" if self.unfinished else "Next"


def _title(plan: LoadPlan) -> str:
    places = plan.load.inputs
    inputs = ", ".join(places) if len(places) < 4 else f"{places[0]} and {len(places) - 1} more"
    size = f" ({bytes_text(plan.size_bytes)})" if plan.size_bytes else ""
    words = plan.load.words
    named = words.name or (short_name(words) if not plan.problems else "")
    return f"{inputs or 'nothing'} → {plan.name}{size}{f', {named}' if named else ''}"


def _described(plan: LoadPlan, *, brief: bool) -> Iterator[str]:
    load, fitted = plan.load, plan.fitted
    if plan.loaded_by:
        yield f"nothing to do: the input is as run {plan.loaded_by} has loaded it"
        return
    if load.table.rows >= 0 and not load.creates:
        rows = "1 row" if load.table.rows == 1 else f"{count_text(load.table.rows)} rows"
        yield f"the table has about {rows} now"
    if load.creates and load.table.columns:
        yield "the table is created"
    yield from in_sentences(load.words)
    for column in load.adds:
        yield f"column {column.name} {column.type} is added"
    for name in fitted.dropped:
        yield f"field {name} is left out"
    for one in fitted.without:
        if one.name in (load.words.valid_from, load.words.valid_to) and load.words.history:
            continue
        gets = "its default" if one.has_default else "NULL"
        yield f"column {one.name} is not in the input: new rows get {gets}"
    if load.function:
        yield f"{load.function} is called with every batch of rows"
    for expectation in load.expectations:
        what = "is reported" if expectation.warns else "stops the load"
        yield f"expects {expectation.described}; what does not meet it {what}"
    if load.bad.most:
        yield f"up to {plural(load.bad.most, 'bad record')} are put aside"
    if not brief:
        yield from (_column(one) for one in fitted.assigned)


def _column(one: Assigned) -> str:
    return _source(one) + ("" if one.compared else ", not compared")


def _source(one: Assigned) -> str:
    if one.sql:
        return f"{one.column} {one.type} = {one.sql}"
    if one.mask is Mask.NULL:
        return f"{one.column} {one.type} = NULL"
    named = one.column if one.field == one.column else f"{one.field} → {one.column}"
    return f"{named} {one.type}{', hashed' if one.mask else ''}"


def _json(plan: LoadPlan) -> dict[str, Any]:
    load, words = plan.load, plan.load.words
    return {
        "table": plan.name,
        "inputs": list(load.inputs),
        "bytes": plan.size_bytes,
        "load": words.name or str(short_name(words) or ""),
        "words": {
            "take": words.take,
            "key": list(words.key),
            "matched": words.matched if words.key else None,
            "missing": words.missing,
            "duplicates": words.duplicates,
            "history": words.history,
        },
        "sentences": list(in_sentences(words)),
        "creates": load.creates,
        "adds": [{"name": one.name, "type": one.type} for one in load.adds],
        "columns": [asdict(one) for one in load.assigned],
        "dropped": list(plan.fitted.dropped),
        "without": [one.name for one in plan.fitted.without],
        "expectations": [one.described for one in load.expectations],
        "max_bad": load.bad.most,
        "loaded_by": plan.loaded_by,
        "problems": [one.to_json() for one in plan.problems],
        "notices": list(plan.notices),
    }
