"""The runs that a database knows, as text: the list, and one in detail. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from windlass.model.following import Phase
from windlass.model.outcome import RunDetail, RunStatus, State
from windlass.model.step_text import step_text
from windlass.model.units import bytes_text, count_text, plural, seconds_text
from windlass.progress.streams import stream_text
from windlass.progress.wrapping import hang
from windlass.run.summary import (
    Elsewhere,
    bold,
    difference_lines,
    dim,
    loss_lines,
    moment,
    pair,
    table,
)

WIDE = 100
SOURCE_WIDTH = 24
STALE_SECONDS = 5.0  # measured figures should be about a second old
ENDED = {
    State.DONE,
    State.DIFFERENT,
    State.LOSSY,
    State.ROLLED_BACK,
    State.ABANDONED,
    State.REFUSED,
}


def statuses_text(
    statuses: Sequence[RunStatus], *, rollback: Callable[[str], str], width: int = 100
) -> str:
    """Every run of a target, in the order given. `rollback` makes a command line of a run."""
    if not statuses:
        return "No runs: windlass has not written here."
    header = ("run", "state", "source", "tables", "rows", "size", "verified")
    lines: list[tuple[str, ...]] = [header]
    lines += [_status(status, width) for status in statuses]
    blocks = list(table(lines, right={3, 4, 5}))
    for status in statuses:
        blocks += ["", *following_lines(status, width)] if _is_followed(status) else []
    started = [status for status in statuses if status.started_by.external_run]
    if started:
        blocks += ["", "  Started by a scheduler:"]
        for status in started:
            blocks += hang(status.started_by.external_run, width, f"    {status.run}  ")
            if status.started_by.external_url:  # never broken into lines
                blocks.append(f"    {' ' * len(status.run)}  {status.started_by.external_url}")
    resumable = [one for one in statuses if may_resume(one) and not is_half_undone(one)]
    for way in dict.fromkeys(_way_on(one) for one in resumable if not _has_remedy(one)):
        blocks += ["", f"  {way}"]
    for status in filter(is_half_undone, statuses):
        blocks += ["", f"  {status.run} is rolled back in part. To finish that:"]
        blocks.append(f"    {rollback(status.run)}")
    is_followed = any(map(_is_followed, statuses))  # it is ended before others are rolled back
    for status in statuses:
        if status.kept.backup and status.state is State.DONE:
            blocks += ["", f"  {status.kept.backup} has what {status.run} changed. To put it back:"]
            blocks.append(f"    {rollback(status.run)}")
        if _is_kept(status) and not is_followed:
            count = plural(status.kept.set_aside, "object")
            size = (
                f" ({bytes_text(status.kept.set_aside_bytes)})"
                if status.kept.set_aside_bytes
                else ""
            )
            blocks += ["", f"  {count}{size} set aside by {status.run}. To put them back:"]
            blocks.append(f"    {rollback(status.run)}")
    return "\n".join(blocks)


def _is_followed(status: RunStatus) -> bool:
    return status.following is not None and not status.following.phase.is_over


def _has_remedy(status: RunStatus) -> bool:
    """Whether it is shown what to do about a run that follows and has stopped."""
    return status.following is not None and bool(status.following.remedy)


def _is_kept(status: RunStatus) -> bool:
    """Whether a rollback would put back what was set aside. A run that follows is ended first."""
    is_undone = status.state is State.ROLLED_BACK
    return bool(status.kept.set_aside) and not is_undone and not _is_followed(status)


def following_lines(status: RunStatus, width: int, *, has_reason: bool = False) -> Iterator[str]:
    """How far a run that follows is, what prevents its cutover, and what can be done now; and why
    it has stopped, unless `has_reason`: that is shown already."""
    if (found := status.following) is None:
        return
    for one in found.streams:
        yield from hang(stream_text(one, named=False), width, f"  {one.direction:<9}")
    if found.measured_seconds_ago and found.measured_seconds_ago > STALE_SECONDS:
        yield f"  measured {seconds_text(found.measured_seconds_ago)} ago"
    for what, texts in (
        ("stopped", (found.stopped,) if found.stopped and not has_reason else ()),
        ("what to do", (found.remedy,) if found.remedy else ()),
        ("verified", (found.verified,) if found.verified else ()),
        ("rehearsed", (found.rehearsed,) if found.rehearsed else ()),
        ("cut over", (found.cut_over,) if found.cut_over else ()),
        ("changed on the source", found.changed),
        ("written by others", found.strays),
        ("lost", (found.lost,) if found.lost else ()),
        ("blocks a cutover", found.blockers),
    ):
        for text in texts:
            yield from hang(text, width, f"  {what}: ", 4)
    if found.next_steps:
        yield f"  next: {' | '.join(found.next_steps)}"


def _way_on(status: RunStatus) -> str:
    """How a run that stopped is resumed."""
    if status.started_by.external_run:
        return "Clear the failed tasks of its DAG run to resume."
    return "Run the same command again to resume."


def may_resume(status: RunStatus) -> bool:
    if status.following and status.following.lost and status.following.phase is Phase.FOLLOWING:
        return False  # first both sides are compared
    return not status.active and status.state not in ENDED


def is_half_undone(status: RunStatus) -> bool:
    return may_resume(status) and status.is_half_undone


def _status(status: RunStatus, width: int) -> tuple[str, ...]:
    return (
        status.run,
        state_text(status),
        _source(status, width),
        f"{status.progress.relations_done:,}/{status.progress.relations:,}",
        count_text(status.progress.rows),
        _size(status),
        _verified(status),
    )


def _source(status: RunStatus, width: int) -> str:
    """The source, only shown if there is room for it beside the columns that everybody needs."""
    if width < WIDE:
        return ""
    source = status.source.split(" (")[0]
    return source if len(source) <= SOURCE_WIDTH else source[: SOURCE_WIDTH - 1] + "…"


def _size(status: RunStatus) -> str:
    return bytes_text(status.progress.bytes) if status.progress.bytes else ""


def _verified(status: RunStatus) -> str:
    if status.state is State.DIFFERENT:
        return "differs"
    return status.verified or "no"


def state_text(status: RunStatus) -> str:
    """The state, with the progress of a run that has not ended."""
    state = str(status.state)
    if status.following and status.state not in ENDED:
        state = str(status.following.phase)
        if status.following.phase is not Phase.COPYING:
            return state if status.active else f"{state}, stopped"
    if status.state is State.RUNNING:
        state = "running" if status.active else "killed"
    if status.state not in ENDED and status.progress.bytes_planned:
        return f"{state} {min(status.progress.bytes / status.progress.bytes_planned, 1):.0%}"
    return state


def detail_text(
    detail: RunDetail,
    *,
    rollback: Callable[[str], str],
    width: int,
    elsewhere: Elsewhere,
    more: Mapping[str, str] | None = None,
) -> str:
    """One run: what it is, how far it is, and how it ended. `more` are additional facts from a
    shell."""
    status = detail.status
    facts = [*_facts(detail), *(more or {}).items()]
    blocks = [
        [bold(f"Run {status.run}: {state_text(status)}")],
        [line for word, meaning in facts for line in hang(meaning, width, pair(word, ""))],
        list(_steps(detail)),
        list(following_lines(status, width, has_reason=True)),
    ]
    if outcome := detail.outcome:
        blocks.append(list(difference_lines(outcome, width, elsewhere)))
        blocks.append(list(loss_lines(outcome, width, elsewhere)))
        blocks.append([line for one in outcome.notices for line in hang(one, width, "  ", 4)])
    if is_half_undone(status):
        blocks.append(["  It is rolled back in part. To finish that:",
                       f"    {rollback(status.run)}"])  # fmt: skip
    elif may_resume(status) and not _has_remedy(status):
        blocks.append([f"  {_way_on(status)}"])
    if _is_kept(status):
        count = plural(status.kept.set_aside, "object")
        blocks.append([f"  {count} set aside. To put them back:", f"    {rollback(status.run)}"])
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _facts(detail: RunDetail) -> Iterator[tuple[str, str]]:
    status, outcome = detail.status, detail.outcome
    yield "command", status.flow
    yield "source", status.source
    if detail.target:
        yield "target", detail.target
    if detail.options:
        words = ", ".join(f"{key}: {value}" for key, value in detail.options.items())
        yield "options", words
    if status.started_by.external_run:
        yield "started by", status.started_by.external_run
        if status.started_by.external_url:
            yield "see", status.started_by.external_url
    yield "started", f"{moment(status.started_at)} UTC"
    if status.finished_at:
        yield "ended", f"{moment(status.finished_at)} UTC"
    if outcome and outcome.seconds:
        yield "took", seconds_text(outcome.seconds)
    yield "tables", f"{status.progress.relations_done:,} of {status.progress.relations:,} copied"
    size = f", {bytes_text(status.progress.bytes)}" if status.progress.bytes else ""
    yield "rows", f"{status.progress.rows:,}{size}"
    yield "verified", _verified(status)
    if outcome and outcome.reason.message:
        yield "reason", outcome.reason.message


def _steps(detail: RunDetail) -> Iterator[str]:
    """The journalled steps, with their progress."""
    for step in detail.steps:
        mark = "✓" if step.done >= step.items else "●" if step.done else "○"
        name = step_text(step.name)
        count = f"{step.done:,}/{step.items:,}" if step.items > 1 else ""
        spent = dim(seconds_text(step.seconds)) if step.seconds else ""
        yield f"  {mark} {name:<28} {count:>11}  {spent}".rstrip()
