"""A flow that runs while it is watched: what every command that runs one does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from windlass.cli.reports import open_report
from windlass.cli.results import report_outcome, with_commands
from windlass.cli.voice import Voice
from windlass.flows.registry import flow_named

if TYPE_CHECKING:
    from windlass.cli.differing import Differing
    from windlass.model.event import Emit
    from windlass.model.outcome import Outcome


def run_watched(
    voice: Voice,
    flow: str,
    run: Callable[[Emit], Outcome],
    rows: Differing | None = None,
    *,
    repairs: bool = True,
    follows: bool = False,
) -> int:
    """Run a flow while it is watched, and report how it ended. `repairs`: whether rows that differ
    can be repaired, if the flow repairs at all; `follows`: whether a run follows its source there.
    """
    from windlass.cli.watch import watching  # imported late, as it loads the display

    open_report(voice)

    found = flow_named(flow)
    words = found.words
    words = replace(words, repairs=words.repairs and repairs, follows=words.follows or follows)
    found = replace(found, words=words)
    with watching(voice, words.opening) as emit:
        outcome = run(emit)
    if rows is not None:
        rows.finish(outcome)
    return report_outcome(voice, with_commands(voice, outcome, found), found.words, rows)
