"""The result of a command: a plan, or how a run ended; to stdout if it did what was asked, else to
stderr."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from windlass.cli.exits import Exit
from windlass.cli.reports import write_report
from windlass.cli.spelling import as_option
from windlass.model.wording import all_spelled

if TYPE_CHECKING:
    from windlass.cli.differing import Differing
    from windlass.cli.voice import Voice
    from windlass.model.flow import Flow, Words
    from windlass.model.outcome import Outcome
    from windlass.model.planned import Planned


def report_plan(voice: Voice, made: Planned, verb: str, form: str, output: Path | None) -> int:
    """`form` is text, markdown, html or json; into `output` it is written as JSON as well."""
    from windlass.model.planned import Style

    exit_code = Exit.REFUSED if made.problems else Exit.DONE
    again, restart = voice.command(verb), voice.command(verb, "--restart")
    if output or form in ("json", "html") or voice.json:
        made_json = all_spelled(made.as_json(), as_option)
        if output and "fingerprint" in made_json:  # of a plan that can be run as it is
            again = voice.planned_command(output)
        document = {**made_json, "exit_code": int(exit_code), "next": again}
    if output:
        from windlass.planning.reviewed import write_plan

        write_plan(output, document)
    style = Style(
        width=voice.width,
        wraps=sys.stdout.isatty(),
        is_brief=voice.quiet,
        heading=lambda title: click.style(title, bold=True),
        next_command=again,
        restart_command=restart,
    )
    if form == "json" or voice.json:
        voice.result_json(document)
    elif form == "html":
        from windlass.report.page import plan_page

        voice.page(plan_page(document))
    elif form == "markdown":
        voice.result(made.as_markdown(style))
    else:
        voice.result(made.as_text(style))
    return exit_code


def with_commands(voice: Voice, outcome: Outcome, flow: Flow[Any]) -> Outcome:
    """The outcome with the command lines that make sense now."""
    from windlass.run.reporting import with_commands

    return with_commands(
        outcome,
        flow,
        again=voice.command(flow.words.verb),
        repair=voice.command("verify", "--repair"),
        undo=voice.rollback_command(outcome.run),
    )


def report_outcome(
    voice: Voice, outcome: Outcome, words: Words, rows: Differing | None = None
) -> int:
    """How a run ended. `rows` has all rows that differ; the outcome names only the first."""
    from windlass.cli import show
    from windlass.cli.endings import EXIT_OF  # a plan ends without an outcome
    from windlass.run import summary

    voice.before_result()
    if voice.report:
        write_report(voice, show.outcome_json(outcome))
    if voice.json and rows and any(one.rows for one in outcome.proof.differences):
        voice.result_json(show.outcome_json(outcome), differences=rows.lines())
        return EXIT_OF[outcome.state]
    if voice.json:
        voice.result_json(show.outcome_json(outcome))
        return EXIT_OF[outcome.state]
    if voice.quiet and summary.is_result(outcome):
        text = show.outcome_line(outcome, words)
    else:
        text = show.outcome_text(
            outcome,
            words,
            width=voice.width,
            again=voice.command(words.verb),
            repair=voice.command("verify", "--repair") if words.repairs else "",
            rollback=voice.rollback_command(outcome.run),
            line_width=voice.aside_width,
        )
    (voice.result if summary.is_result(outcome) else voice.aside)(text)
    return EXIT_OF[outcome.state]
