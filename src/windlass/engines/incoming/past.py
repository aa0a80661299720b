"""What past runs of loads did, according to their journal, and what of it can be undone. Leaves the
rows themselves to the engine. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.engines.landing import APPLIED
from windlass.errors import Refused
from windlass.model.load import Load, LoadRun, Table
from windlass.model.outcome import UNDOING, UNFINISHED, State
from windlass.model.past import Left
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.units import plural


@dataclass(frozen=True, slots=True)
class Made:
    """What a load did to a table, according to its journal line."""

    load: str
    table: Name
    undo: str
    columns: tuple[str, ...]  # that can be assigned
    key: tuple[str, ...]
    counts: Mapping[str, int]
    creates: bool
    adds: tuple[str, ...]

    @classmethod
    def of(cls, load: str, note: Mapping[str, Any]) -> Made:
        return cls(
            load, Name(*note["table"]), note["undo"], tuple(note["columns"]), tuple(note["key"]),
            note["counts"], note["creates"], tuple(note["adds"]),
        )  # fmt: skip

    def note(self) -> dict[str, Any]:
        return {
            "table": [self.table.schema, self.table.name], "undo": self.undo,
            "columns": list(self.columns), "key": list(self.key), "counts": dict(self.counts),
            "creates": self.creates, "adds": list(self.adds),
        }  # fmt: skip


def line_of(made: Made, load: Load, watermark: str) -> dict[str, Any]:
    """The journal line of a load that was applied."""
    read = {"watermark": watermark, "inputs": list(load.inputs), "by": load.watermark}
    return {**made.note(), **read}


def last_watermark(load: Load, lines: Iterable[tuple[LoadRun, Mapping[str, Any]]]) -> str:
    """Of the same inputs, by these lines of all runs, the newest first; empty if there is none."""
    for run, note in lines:
        same = note["inputs"] == list(load.inputs) and note["by"] == load.watermark
        if same and note["watermark"] and run.state is not State.ROLLED_BACK:
            return str(note["watermark"])
    return ""


def made_by(run: LoadRun) -> list[Made]:
    """What the loads of a run did, the last one first."""
    return [Made.of(load, note) for load, note in run.lines.get(APPLIED, {}).items()][::-1]


def still_made(run: LoadRun) -> list[Made]:
    """What is still to be undone, the last one first."""
    undone = run.lines.get(UNDOING, {})
    return [one for one in made_by(run) if one.load not in undone]


def gone(made: Made, table: Table | None) -> Iterator[Problem]:
    """What no longer exists of what a load changed; `table` is the table as it is now."""
    there = {one.name for one in table.columns} if table else set()
    if missing := [one for one in made.columns if one not in there]:
        what = f"column {missing[0]}" if table else "the table"
        yield Problem(str(made.table), f"{what} no longer exists")


def summary(loads: Sequence[Made]) -> str:
    parts = []
    for made in loads:
        counts = made.counts
        parts.append(
            f"deletes {plural(counts['inserted'], 'row')} of {made.table} and puts back"
            f" {counts['updated'] + counts['deleted']:,}"
        )
    return "; ".join(parts) or "changes nothing"


def done_text(loads: Sequence[Made]) -> str:
    return ", ".join(str(made.table) for made in loads) or "it had changed nothing"


def unknown(place: str, run: str) -> Refused:
    return Refused([Problem(f"run {run}", f"is not known in {place}", "see `windlass status`")])


def check_ended(run: str, state: State) -> None:
    """Raises:
    Refused: the run is unfinished.
    """
    if state in UNFINISHED:
        message = f"is unfinished: {state}"
        raise Refused([Problem(f"run {run}", message, "resume it, or roll it back")])


def left_by(runs: Iterable[LoadRun], run: str) -> list[Left]:
    """What all ended runs have left, or one of them."""
    return [
        Left(one.run, one.state, one.finished_at, (), 0)
        for one in runs
        if one.state not in UNFINISHED and run in ("", one.run)
    ]
