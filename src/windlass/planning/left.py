"""What is left to do of an unfinished run, for the plan's document. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator

from windlass.model.outcome import RunDetail, State
from windlass.model.step_text import step_text
from windlass.model.units import plural, share_text

COPIES = ("copy_tables", "copy_chunks")


def left_verdict(left: RunDetail) -> str:
    """One line: which run it is, and that the same command resumes it."""
    status = left.status
    ended = "killed" if status.state is State.RUNNING else str(status.state)
    return f"Run {status.run} is unfinished ({ended}): `windlass migrate` resumes it."


def left_work(left: RunDetail, verify: str) -> Iterator[tuple[str, str]]:
    """The steps, in the order of the run."""
    status = left.status
    for step in left.steps:
        if step.done >= step.items:
            continue
        words = f"{step.items - step.done:,} of {step.items:,}"
        if step.name in COPIES:
            left_over = status.progress.relations - status.progress.relations_done
            copied = share_text(status.progress.bytes, status.progress.bytes_planned)
            words = (
                f"{left_over:,} of {plural(status.progress.relations, 'table')}; {copied} is copied"
            )
        yield step_text(step.name), words
    if verify:
        yield "verify", verify


def left_json(left: RunDetail) -> dict[str, object]:
    status = left.status
    return {
        "run": status.run,
        "state": str(status.state),
        "active": status.active,
        "started_at": status.started_at,
        "relations": status.progress.relations,
        "relations_done": status.progress.relations_done,
        "bytes": status.progress.bytes,
        "bytes_planned": status.progress.bytes_planned,
        "steps": [
            {"name": step.name, "done": step.done, "items": step.items} for step in left.steps
        ],
    }
