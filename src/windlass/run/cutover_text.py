"""A cutover as text: what it did, and what it is about to do. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator

from windlass.model.cutover import Foreseen
from windlass.model.outcome import Cutover
from windlass.model.units import milliseconds_text, plural, seconds_text


def cutover_lines(found: Cutover) -> Iterator[str]:
    """How long writers waited, part by part, and what comes next."""
    word = "would be" if found.is_rehearsal else "was"
    yield f"  Writers {_stopped(found)} {milliseconds_text(found.freeze_ms)}."
    parts = [f"{name.replace('_', '-')} {milliseconds_text(took)}" for name, took in _parts(found)]
    if parts:
        yield f"  {', '.join(parts)}"
    sessions = plural(found.sessions, "session")
    ended = f"{sessions} {word if found.sessions == 1 else _plural(word)} ended"
    yield f"  {plural(found.sequences, 'sequence')} set, {ended}."
    for at, step in enumerate(found.next_steps):
        yield f"  {'Next:' if not at else '   or'} {step}"


def _stopped(found: Cutover) -> str:
    return "would be stopped for about" if found.is_rehearsal else "were stopped for"


def _plural(word: str) -> str:
    return "were" if word == "was" else word


def _parts(found: Cutover) -> list[tuple[str, float]]:
    return [(name, took) for name, took in found.parts_ms.items() if took >= 0.05]


def cutover_text(foreseen: Foreseen) -> str:
    """The text that precedes the question."""
    predicted = (
        f"the last rehearsal predicts {milliseconds_text(foreseen.freeze_ms)}"
        if foreseen.freeze_ms is not None
        else "nothing was rehearsed"
    )
    lines = [
        f"From {foreseen.left}",
        f"  to {foreseen.opened}",
        f"{plural(foreseen.sessions, 'session')} will be ended, and"
        f" {plural(foreseen.sequences, 'sequence')} set.",
        f"Writers are stopped for at most {seconds_text(foreseen.max_freeze_seconds)};"
        f" {predicted}.",
    ]
    return "\n".join([*lines, *foreseen.notices])
