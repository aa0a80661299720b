"""The report of a run as a file: checked before the run, written when it has ended.

If it cannot be written, that is a problem before the run, and a notice afterwards, which does not
change how the run ended.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from windlass.errors import Refused
from windlass.model.account import Account, Asked, By, Commands
from windlass.model.flow import Flow
from windlass.model.outcome import UNFINISHED, Course, Outcome, Reason, RunDetail, State
from windlass.model.report import Problem
from windlass.model.wording import Spelling, all_spelled, as_keyword, word
from windlass.run.published import outcome_json
from windlass.run.summary import can_resume, rows_differ

_UNDOABLE = {
    State.DONE, State.DIFFERENT, State.LOSSY, State.STOPPED, State.INTERRUPTED, State.RUNNING,
}  # fmt: skip


def problems_of(path: str) -> Iterator[Problem]:
    """What keeps a report from being written, as far as it is known before the run."""
    file, mode = Path(path), 0
    hint = "give a file in a folder that exists and can be written into"
    try:
        mode = file.stat().st_mode
        file = file.resolve()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:  # the path is too long, for example
        yield Problem(word("report"), f"{path}: {_reason(error)}", hint)
        return
    if stat.S_ISDIR(mode):
        yield Problem(word("report"), f"{path}: is a folder", hint)
    elif mode and not stat.S_ISREG(mode):  # a report replaces what is there: not a device
        yield Problem(word("report"), f"{path}: is not a regular file", hint)
    elif not file.parent.is_dir():
        yield Problem(word("report"), f"{path}: no such file or directory", hint)
    elif not os.access(file.parent, os.W_OK):
        yield Problem(word("report"), f"{path}: permission denied", hint)


def reported(
    flow: Flow[Any],
    path: str,
    run: Callable[[], Outcome],
    whole: Callable[[Outcome], Outcome] = lambda outcome: outcome,
) -> Outcome:
    """Do the run, and write the report of how it ended; `whole` adds what is known from before. If
    the report cannot be written, refuse before the run."""
    if problems := tuple(problems_of(path)):
        return Outcome("", State.REFUSED, reason=Reason(problems=problems))
    outcome = run()
    undo = f"windlass rollback {outcome.run}"
    shown = with_commands(whole(outcome), flow, again="", repair="", undo=undo)
    if fault := write_outcome(Path(path), shown):
        notice = f"the report was not written into {path}: {fault}"
        return replace(outcome, notices=(*outcome.notices, notice))
    return outcome


def check(path: str) -> None:
    """Raises:
    Refused: a report cannot be written there.
    """
    if problems := list(problems_of(path)):
        raise Refused(problems)


def write(path: Path, page: str) -> str:
    """Put the whole page in place at once; returns why that was impossible, or "". Readable by its
    owner only, as it names keys of rows that differ. A link is kept, and the file that it names is
    written."""
    made = ""
    try:
        path = path.resolve()
        if path.exists() and not path.is_file():
            return "is not a regular file"
        handle, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}-")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(page)
        Path(made).replace(path)
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle
        if made:
            with suppress(OSError):
                Path(made).unlink(missing_ok=True)
        return _reason(error)
    return ""


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def write_outcome(
    path: Path, outcome: Outcome, spelling: Spelling = as_keyword, **more: object
) -> str:
    """Write the report of a run, with `more` of its JSON."""
    return write_document(path, {**outcome_json(outcome), **more}, spelling)


def write_document(path: Path, document: Mapping[str, Any], spelling: Spelling = as_keyword) -> str:
    """Write the report of what ``--json`` prints; returns why that was impossible, or ""."""
    from windlass.report.page import run_page  # imported late: few commands render a page

    return write(path, run_page(all_spelled(dict(document), spelling)))


def with_commands(
    outcome: Outcome, flow: Flow[Any], *, again: str, repair: str, undo: str
) -> Outcome:
    """The outcome with those of the given commands that make sense now."""
    is_undoable = bool(flow.past) or outcome.course.repaired
    if flow.words.follows and (outcome.state in UNFINISHED or outcome.course.repaired):
        is_undoable = False  # undoing is refused as long as it follows
    commands = Commands(
        resume=again if can_resume(outcome) else "",
        repair=repair if flow.words.repairs and rows_differ(outcome) else "",
        undo=undo if outcome.run and is_undoable and outcome.state in _UNDOABLE else "",
    )
    return replace(outcome, account=replace(outcome.account, commands=commands))


def past_outcome(detail: RunDetail, flow: Flow[Any]) -> Outcome:
    """The outcome of a past run, as far as its journal knows it."""
    status, words = detail.status, flow.words
    found = detail.outcome or Outcome(
        status.run,
        status.state,
        source=status.source,
        course=Course(phases={step.name: step.seconds for step in detail.steps}),
    )
    kept = found.account
    asked = Asked(status.flow, words.noun, words.done, dict(detail.options))
    by = By(
        external_run=status.started_by.external_run,
        external_url=status.started_by.external_url,
        version=detail.version,
    )
    account = Account(
        kept.asked if kept.asked.flow else asked,
        kept.by if kept.by.version else by,
        kept.timeline if kept.timeline.steps else detail.timeline,
    )
    return replace(found, state=status.state, target=found.target or detail.target, account=account)
