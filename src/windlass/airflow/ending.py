"""The end of a run, as its last task logs it: the block that the command line prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import click

from windlass.airflow.findings import REPAIR_DAG, rollback_text
from windlass.errors import Different
from windlass.model.flow import Words
from windlass.model.outcome import NO_REASON, Outcome, Reason, State
from windlass.run.summary import Elsewhere, summary_text

WIDTH = 100
_REPAIR = f"DAG {REPAIR_DAG}, or windlass verify --repair, with the same schemas"


@runtime_checkable
class Reports(Protocol):
    """A context that knows what its whole run has done."""

    def outcome(self, state: State, reason: Reason = NO_REASON) -> Outcome: ...


def outcome_of(context: Any, error: Different | None = None) -> Outcome:
    """How the run of this context ended."""
    if error is None:
        found: Outcome = context.outcome(State.DONE)
    elif error.differences:
        found = context.outcome(State.DIFFERENT)
    else:
        found = context.outcome(State.LOSSY, Reason(str(error)))
    return found


def relation_results(outcome: Outcome | None) -> list[dict[str, Any]]:
    """What is known about each relation, as plain data."""
    found = [dataclasses.asdict(one) for one in outcome.relations] if outcome else []
    return [{key: value for key, value in one.items() if value not in ("", ())} for one in found]


def block_lines(outcome: Outcome, words: Words) -> Iterator[str]:
    """The block as lines without colours: the web UI shows plain text."""
    text = summary_text(
        outcome,
        words,
        width=WIDTH,
        repair=_REPAIR if words.repairs else "",
        rollback=rollback_text(outcome.run) if outcome.run else "",
        elsewhere=Elsewhere(": the report lists all", "; the report lists all"),
    )
    yield from click.unstyle(text).splitlines()
