"""The end of a run as ``--json`` prints it, and as text with the problems that stopped it. Pure
functions."""

from __future__ import annotations

from windlass.cli.endings import EXIT_OF, Ending, refusal, text_of
from windlass.model.flow import Words
from windlass.model.outcome import Outcome, State
from windlass.model.units import several
from windlass.progress.wrapping import WHOLE
from windlass.run import published
from windlass.run.summary import Elsewhere, differ, headline, summary_text, why

ELSEWHERE = Elsewhere(": --differences FILE lists all", "; --json lists all")


def outcome_json(outcome: Outcome) -> dict[str, object]:
    """The one object that ``--json`` prints."""
    return {**published.outcome_json(outcome), "exit_code": int(EXIT_OF[outcome.state])}


def outcome_text(
    outcome: Outcome,
    words: Words,
    *,
    width: int,
    again: str = "",
    repair: str = "",
    rollback: str = "",
    line_width: int = WHOLE,
) -> str:
    """The end of a run. `again`, `repair` and `rollback` are command lines to name; `line_width`
    is that of the terminal where problems are shown."""
    if outcome.reason.problems:
        message = outcome.reason.message or refusal(outcome.reason.problems)
        return text_of(
            Ending(EXIT_OF[outcome.state], message, outcome.reason.hint, outcome.reason.problems),
            width=line_width,
        )
    return summary_text(
        outcome,
        words,
        width=width,
        again=again,
        repair=repair,
        rollback=rollback,
        elsewhere=ELSEWHERE,
    )


def outcome_line(outcome: Outcome, words: Words) -> str:
    """The end of a run under ``-q``."""
    lines = [headline(outcome, words, 1000), *why(outcome, 1000)]
    if outcome.course.resumed:
        lines.append(f"  An earlier run was resumed: {outcome.run}.")
    if outcome.course.repaired and not words.follows:
        lines.append(f"  Repaired by run {outcome.run}; windlass rollback {outcome.run} undoes it.")
    if outcome.state is State.DIFFERENT:
        names = [item.source for item in outcome.relations if item.differs]
        some = f"  {differ(len(names), ' table')}: {several(names)}. " if names else "  "
        lines.append(f"{some}Without -q, with --json or --differences FILE: what differs.")
    return "\n".join(lines)
