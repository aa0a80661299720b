"""The runs that a database knows, as the command line shows them: as JSON, and one in detail."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from windlass.cli.endings import EXIT_OF
from windlass.cli.reports import write_report
from windlass.cli.show import ELSEWHERE, outcome_json
from windlass.cli.spelling import as_option
from windlass.errors import Refused
from windlass.flows.registry import flow_named
from windlass.model.account import Commands
from windlass.model.outcome import Outcome, RunDetail, RunStatus, State
from windlass.model.report import Problem
from windlass.model.wording import all_spelled
from windlass.run import runs_text

if TYPE_CHECKING:
    from windlass.cli.voice import Voice
    from windlass.recorded import Where
    from windlass.spec.model import SpecModel


def detail_text(detail: RunDetail, *, rollback: Callable[[str], str], width: int) -> str:
    """One run, with the exit code that its command ended with."""
    code = {"exit code": str(int(EXIT_OF[detail.status.state]))} if detail.outcome else {}
    return runs_text.detail_text(
        detail, rollback=rollback, width=width, elsewhere=ELSEWHERE, more=code
    )


def write_past_report(voice: Voice, file: Path, detail: RunDetail) -> None:
    """Write the report of one run.

    Raises:
        Refused: it cannot be written there.
    """
    from windlass.cli.results import with_commands
    from windlass.run import reporting

    reporting.check(str(file))
    flow = flow_named(detail.status.flow)
    outcome = with_commands(voice, reporting.past_outcome(detail, flow), flow)
    commands = replace(outcome.account.commands, resume="", repair="")  # its options are not known
    outcome = replace(outcome, account=replace(outcome.account, commands=commands))
    if fault := reporting.write_outcome(file, outcome, as_option):
        raise Refused([Problem("--report", f"{file}: {fault}")])


def write_ended_report(voice: Voice, spec: SpecModel, ended: Outcome) -> None:
    """Write the report of a run that followed, that was to be finished or abandoned."""
    from windlass import recorded

    outcome = recorded.with_past(spec, ended)
    commands = Commands()
    if ended.state is State.ABANDONED:
        commands = Commands(undo=voice.rollback_command(ended.run))
    outcome = replace(outcome, account=replace(outcome.account, commands=commands))
    write_report(voice, outcome_json(outcome))


def statuses_json(statuses: Sequence[RunStatus]) -> dict[str, object]:
    found = {
        "runs": [status.as_dict() for status in statuses],
        "exit_code": 0,
    }
    return all_spelled(found, as_option)


def detail_json(detail: RunDetail) -> dict[str, object]:
    return {
        **detail.status.as_dict(),
        "target": detail.target,
        "version": detail.version,
        "options": detail.options,
        "steps": [dataclasses.asdict(step) for step in detail.steps],
        "timeline": dataclasses.asdict(detail.timeline),
        "progress_of": [dataclasses.asdict(one) for one in detail.relations],
        "acts": [dataclasses.asdict(one) for one in detail.acts],
        "log": [dataclasses.asdict(one) for one in (detail.log.entries if detail.log else ())],
        "outcome": detail.outcome.as_dict() if detail.outcome else None,
        "exit_code": 0,
    }


def status_json(where: Where, run: str | None) -> dict[str, object]:
    """What `windlass status --json` prints."""
    from windlass import api

    if run:
        return detail_json(api.read_run(where, run))
    return statuses_json(api.status(where))
