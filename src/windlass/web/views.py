"""What the page shows of a run, as plain values for the templates. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from windlass.model.following import Phase
from windlass.model.logged import Happened, Kind
from windlass.model.outcome import RelationOutcome, RelationProgress, RunDetail, RunStatus, State
from windlass.model.report import Loss
from windlass.model.step_text import step_text
from windlass.model.units import bytes_text, seconds_text
from windlass.progress.streams import stream_text
from windlass.run.runs_text import may_resume, state_text
from windlass.run.summary import moment

PAGE_ROWS = 100

GOOD, BAD, WARN, PLAIN = "good", "bad", "warn", "plain"
_TONES = {
    State.DONE: GOOD,
    State.LOSSY: WARN,
    State.DIFFERENT: BAD,
    State.STOPPED: BAD,
    State.INTERRUPTED: WARN,
    State.REFUSED: WARN,
    State.TAKEN_BACK: WARN,
}
MARKS = {GOOD: "✓", BAD: "✗", WARN: "!", PLAIN: "●"}


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in the list."""

    run: str
    flow: str
    state: str
    tone: str
    source: str
    started: str
    ended: str
    tables: str
    rows: str
    size: str
    verified: str
    percent: float | None  # None: it has ended, or this is not known

    @property
    def mark(self) -> str:
        return MARKS[self.tone]


def tone_of(status: RunStatus) -> str:
    """The tone of a run's state. A run that was killed looks like one that stopped."""
    if status.following and not status.following.phase.is_over:
        return PLAIN if status.active and not status.following.strays else WARN
    if status.state is State.RUNNING:
        return PLAIN if status.active else BAD
    return _TONES.get(status.state, PLAIN)


def run_line(status: RunStatus) -> RunLine:
    progress = status.progress
    tables = f"{progress.relations_done:,} of {progress.relations:,}" if progress.relations else ""
    return RunLine(
        status.run,
        status.flow,
        state_text(status),
        tone_of(status),
        status.source.split(" (")[0],
        moment(status.started_at) if status.started_at else "",
        moment(status.finished_at) if status.finished_at else "",
        tables,
        f"{progress.rows:,}" if progress.rows else "",
        bytes_text(progress.bytes) if progress.bytes else "",
        "differs" if status.state is State.DIFFERENT else status.verified,
        percent_of(status),
    )


def percent_of(status: RunStatus) -> float | None:
    """The percentage of bytes copied so far, for a run that has not ended."""
    if status.state not in (State.RUNNING, State.STOPPED, State.INTERRUPTED):
        return None
    if status.following and status.following.phase is not Phase.COPYING:
        return None
    if not status.progress.bytes_planned:
        return None
    return min(status.progress.bytes / status.progress.bytes_planned, 1) * 100


@dataclass(frozen=True, slots=True)
class StepLine:
    name: str
    mark: str
    state: str  # in words, for those who do not see the mark
    count: str
    took: str


def step_lines(detail: RunDetail) -> Iterator[StepLine]:
    for step in detail.steps:
        mark, state = (
            ("✓", "done")
            if step.done >= step.items
            else ("●", "in progress")
            if step.done
            else ("○", "not started")
        )
        count = f"{step.done:,} of {step.items:,}" if step.items > 1 else ""
        took = seconds_text(step.seconds) if step.seconds else ""
        yield StepLine(step_text(step.name), mark, state, count, took)


@dataclass(frozen=True, slots=True)
class TableLine:
    """A table, and the progress of its copy and its proof."""

    name: str
    state: str
    tone: str
    rows: str
    size: str
    percent: float
    took: str
    proof: str


@dataclass(frozen=True, slots=True)
class TablePage:
    """Some of a run's tables: those at work and those that differ first."""

    lines: Sequence[TableLine]
    found: int  # that match the search
    all: int
    number: int  # of this page, from 1
    pages: int
    search: str


def table_page(detail: RunDetail, search: str = "", number: int = 1) -> TablePage:
    """Only the lines of this page are made: a run may have thousands of tables."""
    ended = detail.outcome.relations if detail.outcome else ()
    proofs = {one.target: one for one in ended} if detail.relations else {}
    # a flow that does not journal each chunk has those of its outcome
    tables: Sequence[RelationProgress | RelationOutcome] = detail.relations or ended
    word = search.lower()
    found = [
        (_ORDER[_state(one, proofs)], name, one)
        for one in tables
        if word in (name := _name(one)).lower()
    ]
    found.sort(key=itemgetter(0, 1))
    pages = max(-(-len(found) // PAGE_ROWS), 1)
    number = min(max(number, 1), pages)
    shown = found[(number - 1) * PAGE_ROWS : number * PAGE_ROWS]
    lines = [_table_line(one, proofs) for *_, one in shown]
    return TablePage(lines, len(found), len(tables), number, pages, search)


_ORDER = {"different": 0, "copying": 1, "waiting": 2, "done": 3}
_TABLE_TONES = {"different": BAD, "done": GOOD}
Proofs = Mapping[str, RelationOutcome]


def _name(one: RelationProgress | RelationOutcome) -> str:
    return one.name if isinstance(one, RelationProgress) else one.target or one.source


def _state(one: RelationProgress | RelationOutcome, proofs: Proofs) -> str:
    if isinstance(one, RelationOutcome):
        return "different" if one.differs else "done"
    proof = proofs.get(one.name)
    if proof is not None and proof.differs:
        return "different"
    if one.chunks_done >= one.chunks:
        return "done"
    return "copying" if one.copying or one.chunks_done else "waiting"


def _table_line(one: RelationProgress | RelationOutcome, proofs: Proofs) -> TableLine:
    state = _state(one, proofs)
    if isinstance(one, RelationOutcome):
        proof: RelationOutcome | None = one
        rows, percent = f"{one.rows:,}", 100.0
    else:
        proof = proofs.get(one.name)
        rows = f"{one.rows:,}" if one.chunks_done else ""
        percent = 100.0 * one.chunks_done / one.chunks if one.chunks else 100.0
    return TableLine(
        _name(one),
        state,
        _TABLE_TONES.get(state, PLAIN),
        rows,
        bytes_text(one.bytes) if one.bytes else "",
        percent,
        seconds_text(one.seconds) if one.seconds else "",
        str(proof.differs.value) or proof.verified if proof else "",
    )


@dataclass(frozen=True, slots=True)
class LossLine:
    """Losses of one kind that say the same."""

    kind: str
    message: str
    objects: Sequence[str]


def loss_lines(losses: Iterable[Loss]) -> Sequence[LossLine]:
    found: dict[tuple[str, str], list[str]] = {}
    for one in losses:
        found.setdefault((one.kind.value, one.message), []).append(one.object)
    return [LossLine(kind, message, objects) for (kind, message), objects in found.items()]


@dataclass(frozen=True, slots=True)
class LogLine:
    at: str
    kind: str
    tone: str
    text: str


_LOG_TONES = {Kind.RETRIED: WARN, Kind.NOTICE: WARN}


def log_lines(entries: Sequence[Happened]) -> Sequence[LogLine]:
    return [
        LogLine(one.at, one.kind, _LOG_TONES.get(one.kind, PLAIN), one.text)  # type: ignore[call-overload]
        for one in entries
    ]


_ENDINGS = {  # of commands, by their exit codes
    0: (GOOD, "done"),
    1: (WARN, "differences or losses were found"),
    3: (BAD, "refused"),
    4: (BAD, "stopped"),
    5: (WARN, "the cutover was undone"),
    130: (WARN, "interrupted"),
}
_CODE = re.compile(r"exit code (-?[0-9]+)")
REPAIRING = "Repair differences"
COMPARING = ("Verify again", REPAIRING)
DONE = "done"  # how a DAG's record ends, which compares again after a repair


def ending_of(code: int) -> tuple[str, str]:
    """How a command ended: its tone, and in words."""
    return _ENDINGS.get(130 if code < 0 else code, (BAD, "failed"))


def ending_text(result: str) -> str:
    """How a command ended, of what is recorded of it."""
    code = _CODE.match(result)
    if code is None:
        return result or "running, or its process died"
    return f"{ending_of(int(code[1]))[1]} ({result})"


def compared_again(detail: RunDetail) -> str:
    """What the last comparison has found that the page of `windlass serve` has made. Empty if it
    found both sides equal, if they were repaired since, if there was none, or if the run is rolled
    back."""
    if detail.status.state is State.ROLLED_BACK:
        return ""
    for act in detail.acts:  # the newest first
        if act.what == REPAIRING and act.result == DONE:
            return ""
        code = _CODE.match(act.result)
        if act.what in COMPARING and code and int(code[1]) in (0, 1):
            if code[1] == "0":
                return ""
            return f"{act.what} by {act.who}, {act.at} UTC: {ending_of(1)[1]}"
    return ""


def number_in(text: str) -> int:
    """The number of a page, in an address."""
    return max(int(text), 1) if re.fullmatch(r"[0-9]{1,6}", text) else 1


def stream_lines(status: RunStatus) -> Sequence[tuple[str, str]]:
    """The progress of each direction of a run that follows."""
    if status.following is None:
        return ()
    return [(str(one.direction), stream_text(one, named=False)) for one in status.following.streams]


def way_on(status: RunStatus) -> str:
    """What to do about a run that has not ended and that no process works on."""
    if not may_resume(status):
        return ""
    if status.started_by.external_run:
        return "Clear the failed tasks of its DAG run to resume."
    return "Run the same command again to resume."
