"""How a command ends: exit codes, and an error as a person or a program reads it."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from windlass.cli.exits import Exit
from windlass.cli.reports import write_report
from windlass.cli.voice import Voice
from windlass.errors import BadSpec, Interrupted, Refused, Unreachable, WindlassError
from windlass.model.outcome import State
from windlass.model.report import Problem
from windlass.model.units import plural
from windlass.progress.wrapping import WHOLE, hang
from windlass.run.extras import missing_library
from windlass.run.hints import RESUME, SAME, way_on

EXIT_OF = {
    State.DONE: Exit.DONE,
    State.ROLLED_BACK: Exit.DONE,
    State.ABANDONED: Exit.DONE,
    State.DIFFERENT: Exit.DIFFERENT,
    State.LOSSY: Exit.DIFFERENT,
    State.REFUSED: Exit.REFUSED,
    State.STOPPED: Exit.STOPPED,
    State.TAKEN_BACK: Exit.TAKEN_BACK,
    State.RUNNING: Exit.STOPPED,
    State.INTERRUPTED: Exit.INTERRUPTED,
}

STATES = {
    Exit.BAD_SPEC: "bad spec",
    Exit.REFUSED: str(State.REFUSED),
    Exit.STOPPED: str(State.STOPPED),
    Exit.INTERRUPTED: str(State.INTERRUPTED),
}


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a command did not do what it was asked to."""

    exit: Exit
    message: str
    hint: str = ""
    problems: tuple[Problem, ...] = ()


def ending_of(error: BaseException, *, writes: bool, resumes: bool = True) -> Ending:
    """The ending for an error. `writes`: whether the command could have written something before it
    failed; `resumes`: whether the same command resumes what it has begun."""
    match error:
        case click.UsageError():
            return Ending(Exit.BAD_SPEC, _lower(error.format_message()), _usage_hint(error))
        case click.ClickException():
            return Ending(Exit.BAD_SPEC, _lower(error.format_message()))
        case BadSpec(faults=(fault,)):
            return Ending(Exit.BAD_SPEC, fault, error.hint)
        case BadSpec():
            faults = tuple(_fault(fault) for fault in error.faults)
            message = f"{len(faults)} faults in the options or the spec"
            return Ending(Exit.BAD_SPEC, message, error.hint, faults)
        case Refused():
            return Ending(Exit.REFUSED, refusal(error.problems), error.hint, error.problems)
        case Unreachable():
            return Ending(Exit.STOPPED, str(error), error.hint, error.problems)
        case click.Abort(__cause__=None):  # a question that was answered with no or with Ctrl-C
            return Ending(Exit.INTERRUPTED, "not confirmed", "nothing was changed")
        case Interrupted() | KeyboardInterrupt() | click.Abort():
            again = RESUME if resumes else SAME
            return Ending(
                Exit.INTERRUPTED, "interrupted", again if writes else "nothing was written"
            )
        case WindlassError():
            stopped = writes or error.retryable
            hint = way_on(error, resume=SAME) if error.retryable else error.hint
            return Ending(Exit.STOPPED if stopped else Exit.REFUSED, str(error), hint)
        case ModuleNotFoundError() if missing := missing_library(error):
            return Ending(Exit.REFUSED, str(missing), missing.hint)
        case OSError(filename=str(name), strerror=str(reason)):
            hint = f"remove the cause; then {SAME}" if writes else ""
            return Ending(Exit.STOPPED if writes else Exit.REFUSED, f"{name}: {reason}", hint)
        case _:
            message = f"unexpected {type(error).__name__}: {_first_line(error)}"
            hint = "this is a fault in windlass: please report it with what -v shows"
            return Ending(Exit.STOPPED, message, hint)


def refusal(problems: Sequence[Problem]) -> str:
    return f"refused: {plural(len(problems), 'problem')} found; nothing was written"


def report(ending: Ending, voice: Voice, error: BaseException | None = None) -> int:
    """Print why, as text or as JSON, and return the exit code."""
    foreseen = isinstance(error, WindlassError | click.ClickException)
    if error is not None and voice.verbosity > foreseen:
        voice.aside("".join(traceback.format_exception(error)))
    if voice.json or voice.report:
        document = _json(ending, voice)
        write_report(voice, document)
    if voice.json:
        voice.result_json(document)
    else:
        voice.aside(text_of(ending, width=voice.aside_width))
    return int(ending.exit)


def _json(ending: Ending, voice: Voice) -> dict[str, Any]:
    return {
        "state": STATES[ending.exit],
        "exit_code": int(ending.exit),
        "message": voice.masked(ending.message),
        "hint": voice.masked(ending.hint),
        "problems": [
            {
                "object": problem.object,
                "message": voice.masked(problem.message),
                "hint": voice.masked(problem.hint),
            }
            for problem in ending.problems
        ],
    }


def text_of(ending: Ending, *, width: int = WHOLE) -> str:
    """`width` is that of the terminal that shows it; without one, every problem is one line."""
    head = click.style("windlass: ", fg="red", bold=True)
    lines = hang(ending.message, width, head, indent=2)
    for number, problem in enumerate(ending.problems, start=1):
        next_hint = ending.problems[number].hint if number < len(ending.problems) else ""
        what = f"{problem.object}: {problem.message}" if problem.object else problem.message
        lines += hang(what, width, f"{number:>4}  ")
        if problem.hint and problem.hint != next_hint:  # once for several in a row
            lines += hang(problem.hint, width, "      → ")
    if ending.hint:
        lines += hang(ending.hint, width, "  → ")
    return "\n".join(lines)


def _fault(fault: str) -> Problem:
    key, colon, message = fault.partition(": ")
    return Problem(key, message) if colon and " " not in key else Problem("", fault)


def _usage_hint(error: click.UsageError) -> str:
    return f"{error.ctx.command_path} --help lists the options" if error.ctx else ""


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:].rstrip(".")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or "no message"
