"""The end of a run as a block of text: what it did, how fast, and what was proven. Pure
functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import click

from windlass.model.flow import Words
from windlass.model.outcome import Compared, Outcome, RelationOutcome, State
from windlass.model.report import Difference, DifferenceKind, Differs, count_losses
from windlass.model.step_text import step_text
from windlass.model.text import one_line
from windlass.model.units import bytes_text, count_text, plural, seconds_text, several
from windlass.progress.wrapping import hang
from windlass.run.cutover_text import cutover_lines
from windlass.run.hints import beside_the_command, resumes

MOST_RELATIONS = 10
MOST_PHASES = 6
MOST_DIFFERENCES = 20
MOST_LOSSES = 20  # kinds of them
MOST_NAMES = 5
COPY_PHASES = ("copy_tables", "copy_chunks", "extract")

_GOOD = {State.DONE, State.ROLLED_BACK, State.ABANDONED}
_OVER = {*_GOOD, State.DIFFERENT, State.LOSSY}
_UNFINISHED = {State.STOPPED, State.INTERRUPTED, State.RUNNING}


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where a shell shows everything that has no room in a block, as the end of a sentence."""

    differences: str = ""
    losses: str = ""


def is_result(outcome: Outcome) -> bool:
    """Whether the command did what it was asked to: then it goes to stdout, else to stderr."""
    return outcome.state in _OVER


def summary_text(
    outcome: Outcome,
    words: Words,
    *,
    width: int,
    again: str = "",
    repair: str = "",
    rollback: str = "",
    elsewhere: Elsewhere,
) -> str:
    """The end of a run that has begun. `again`, `repair` and `rollback` are commands to run
    next."""
    if outcome.course.already:
        blocks = [
            [headline(outcome, words, width), *why(outcome, width)],
            list(difference_lines(outcome, width, elsewhere)),
            list(loss_lines(outcome, width, elsewhere)),
            list(_next(outcome, "", repair, "")),
        ]
        return "\n\n".join("\n".join(block) for block in blocks if block)
    again = again if can_resume(outcome) else ""
    if words.follows and (outcome.state in _UNFINISHED or outcome.course.repaired):
        rollback = ""  # is refused as long as it follows
    blocks = [
        [headline(outcome, words, width), *why(outcome, width, again=again)],
        list(_totals(outcome)),
        list(cutover_lines(outcome.cutover)) if outcome.cutover else [],
        list(_phases(outcome, width)),
        list(_relations(outcome)) if outcome.rows or outcome.proof.differences else [],
        list(difference_lines(outcome, width, elsewhere)),
        list(loss_lines(outcome, width, elsewhere)),
        list(_notices(outcome, width)),
        list(_next(outcome, again, repair, rollback, kept=words.kept)),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def headline(outcome: Outcome, words: Words, width: int) -> str:
    past, noun = words.done, f"The {words.noun}"
    source, target = outcome.source, outcome.target
    if (cutover := outcome.cutover) is not None:
        past = "Rehearsed" if cutover.is_rehearsal else past
        source, target = (target, source) if cutover.direction == "back" else (source, target)
    names = "".join((" " + source if source else "",
                     " → " + target if target else ""))  # fmt: skip
    if target and len(names) > width - 32:  # without the versions
        names = f" {source.split(' (')[0]} → {target.split(' (')[0]}"
    took = f" in {seconds_text(outcome.seconds)}"
    lost = count_losses(outcome.losses) if outcome.losses else ""
    if outcome.course.already:
        mark = _styled("✓ ", "green") if outcome.state in _GOOD else _styled("✗ ", "red")
        return mark + bold(outcome.reason.message[:1].upper() + outcome.reason.message[1:])
    match outcome.state:
        case State.DONE:
            return _styled("✓ ", "green") + bold(f"{past}{names}{took}{lost and ', with '}{lost}")
        case State.LOSSY:
            return _styled("✗ ", "red") + bold(f"{past}{names}{took}, with {lost}")
        case State.DIFFERENT:
            count = plural(_number(outcome.proof.differences), "difference")
            also = lost and f", and {lost}"
            return _styled("✗ ", "red") + bold(f"{past}{names}{took}: {count}{also}")
        case State.ROLLED_BACK | State.ABANDONED:
            return _styled("✓ ", "green") + bold(f"{past} run {outcome.run}{took}")
        case State.TAKEN_BACK:
            return _styled("■ ", "yellow") + bold(f"{noun} was taken back after{took[3:]}")
        case State.INTERRUPTED:
            return _styled("■ ", "yellow") + bold(f"{noun} was interrupted after{took[3:]}")
        case _:
            return _styled("■ ", "red") + bold(f"{noun} stopped after{took[3:]}")


_VERDICTS = {
    "rows": "Verified: as many rows have arrived as were read.",
    "files": "Verified: every file is there, with the rows that were read.",
    "": "Not verified.",
}


# an outcome from a journal that has no more than that
_BY_LEVEL = {"full": tuple(Compared), "counts": tuple(Compared)[:3]}


def _verdict(outcome: Outcome) -> str:
    """What was compared and found equal, and what was not compared."""
    parts = outcome.proof.compared or _BY_LEVEL.get(outcome.proof.verified, ())
    if not parts:
        return _VERDICTS[outcome.proof.verified]
    names = [str(part) for part in parts]
    last = f" and {names.pop()}" if len(names) > 1 else ""
    is_or_are = "is" if parts == (Compared.SCHEMA,) else "are"
    apart = ", apart from what is not carried over" if outcome.losses else ""
    sentences = [f"Verified: {', '.join(names)}{last} {is_or_are} equal{apart}."]
    if Compared.SCHEMA not in parts:
        sentences.append("Definitions were not compared.")
    if Compared.COUNTS not in parts:
        sentences.append("Rows were not compared.")
    elif Compared.CONTENT not in parts:
        sentences.append("Content was not compared.")
    return " ".join(sentences)


def rows_differ(outcome: Outcome) -> bool:
    """Whether there is something that a repair could make equal."""
    return any(one.kind is not DifferenceKind.SCHEMA for one in outcome.proof.differences)


def can_resume(outcome: Outcome) -> bool:
    """Whether the same command is what to do now."""
    return outcome.state in _UNFINISHED and resumes(outcome.reason.hint)


def why(outcome: Outcome, width: int, *, again: str = "") -> Iterator[str]:
    """`again` is the command that is shown below it."""
    done = outcome.state in (State.DONE, State.LOSSY) and outcome.cutover is None
    # otherwise a run that follows was finished
    ran = outcome.relations or outcome.course.phases or outcome.proof.verified
    if done and ran and not outcome.totals.counts:  # the counts say what a rewrite has done
        yield from hang(_verdict(outcome), width, "  ")
    is_new = not outcome.course.already and outcome.reason.message not in ("", str(outcome.state))
    if is_new and (outcome.state is not State.DONE or not ran):
        yield from hang(outcome.reason.message, width, "  ")
    if hint := beside_the_command(outcome.reason.hint) if again else outcome.reason.hint:
        yield from hang(hint, width, "  → ")


def _counts(outcome: Outcome) -> Iterator[str]:
    """Row counts in the flow's own terms, without those that are zero."""
    if not outcome.totals.counts or not any(outcome.totals.counts.values()):
        if outcome.totals.counts and outcome.state is State.DONE:
            yield "  Nothing was selected, and nothing changed."
        return
    widest = max(len(f"{rows:,}") for rows in outcome.totals.counts.values())
    for words, rows in outcome.totals.counts.items():
        if rows:
            yield f"  {rows:>{widest},} {'row ' if rows == 1 else 'rows'} {words}"


def _totals(outcome: Outcome) -> Iterator[str]:
    yield from _counts(outcome)
    if not outcome.relations:
        return
    copied = _copy_seconds(outcome)
    count = f"{len(outcome.relations):,}"
    if outcome.state not in _OVER:
        begun = sum(relation.seconds > 0 for relation in outcome.relations)
        count = f"{begun:,} of {count} begun"
    elif left := sum(not (one.differs or one.verified) for one in _compared(outcome)):
        count = f"{len(outcome.relations) - left:,} of {count}"
    yield pair("tables", count + _verified(outcome))
    rows, size = f"{outcome.rows:,}", bytes_text(outcome.bytes)
    if copied and outcome.bytes:
        rows += dim(f"  {count_text(outcome.rows / copied)} rows/s")
        size += dim(f"  {bytes_text(outcome.bytes / copied)}/s")
    if outcome.rows or outcome.bytes:
        yield pair("rows", rows)
    if outcome.bytes:
        yield pair("bytes", size)
    if outcome.totals.sequences:
        yield pair("sequences", f"{outcome.totals.sequences:,}")
    yield from _snapshots(outcome)


def _snapshots(outcome: Outcome) -> Iterator[str]:
    """The snapshots that rows were read from; a resumed run may take more than it needs."""
    used = Counter(number for relation in outcome.relations for number in relation.snapshots)
    for taken in outcome.snapshots:
        if taken.number in used:
            lsn = f", at {taken.lsn}" if taken.lsn else ""
            whose = f"  {plural(used[taken.number], 'table')}" if len(used) > 1 else ""
            yield pair("snapshot", f"{moment(taken.taken_at)}{lsn}" + dim(whose))


def _verified(outcome: Outcome) -> str:
    """Whether the relations were compared, and how many of them differ."""
    if _compared(outcome):
        differing = sum(bool(relation.differs) for relation in outcome.relations)
        return " compared, " + (differ(differing) if differing else "all equal")
    done = sum(bool(relation.verified) for relation in outcome.relations)
    if not done:
        return ""
    return dim("  all verified" if done == len(outcome.relations) else f"  {done:,} verified")


def _compared(outcome: Outcome) -> Sequence[RelationOutcome]:
    """The relations of a run that has compared some."""
    is_compared = outcome.proof.compared or outcome.proof.verified in _BY_LEVEL
    return outcome.relations if is_compared else ()


def differ(count: int, noun: str = "") -> str:
    """``1 table differs``, ``2 tables differ``."""
    return f"{count:,}{noun}{'s' * bool(noun and count != 1)} differ{'s' * (count == 1)}"


def _copy_seconds(outcome: Outcome) -> float:
    """How long this process copied; 0 if an earlier process did a part of it."""
    found = [outcome.course.phases[name] for name in COPY_PHASES if name in outcome.course.phases]
    return 0.0 if outcome.course.resumed else min(sum(found), outcome.seconds)


def _phases(outcome: Outcome, width: int) -> Iterator[str]:
    """The duration of each phase, as bars: phases overlap, so they add up to more than the
    total."""
    if not outcome.course.phases or not outcome.relations:
        return
    longest = max(outcome.course.phases.values())
    name_width = max(len(step_text(name)) for name in outcome.course.phases)
    room = min(max(width - name_width - 16, 8), 40)
    least = sorted(outcome.course.phases.values(), reverse=True)[:MOST_PHASES][-1]
    least = max(least, longest / 100)
    shown = {name: took for name, took in outcome.course.phases.items() if took >= least}
    for name, seconds in shown.items():
        bar = "━" * round(seconds / longest * room) if longest else ""
        words = step_text(name)
        yield f"  {words:<{name_width}}  {seconds_text(seconds):>9}  {_styled(bar, 'cyan')}"
    if rest := len(outcome.course.phases) - len(shown):
        yield dim(f"  and {plural(rest, 'shorter step')}")


def _relations(outcome: Outcome) -> Iterator[str]:
    """The relations that differ, then the largest. The JSON result and the journal have all of
    them."""
    shown = sorted(outcome.relations, key=lambda item: (not item.differs, -item.bytes, -item.rows))[
        :MOST_RELATIONS
    ]
    if not shown or outcome.state not in _OVER:
        return
    rest = len(outcome.relations) - len(shown)
    lines: list[tuple[str, ...]] = [("table", "rows", "size", "chunks", "copy time", "verified")]
    lines += [_relation(relation) for relation in shown]
    yield from table(lines, right={1, 2, 3, 4})
    if rest:
        yield dim(f"  and {rest:,} {'more' if shown[0].differs else 'smaller'}")


def _relation(item: RelationOutcome) -> tuple[str, ...]:
    # empty for what was left out, because its table does not fit
    is_one = item.target in ("", item.source)
    name = item.source if is_one else f"{item.source} → {item.target}"
    return (
        name,
        f"{item.rows:,}",
        bytes_text(item.bytes) if item.bytes else "",
        f"{item.chunks:,}" if item.chunks else "",
        seconds_text(item.seconds) if item.seconds else "",
        _proof(item),
    )


def _proof(item: RelationOutcome) -> str:
    if item.differs:
        return f"✗ {_DIFFERS[item.differs]}"
    return f"✓ {item.verified}" if item.verified else "not compared"


_DIFFERS = {
    Differs.MISSING: "missing",
    Differs.ROWS: "rows differ",
    Differs.DEFINITION: "definition differs",
}


def difference_lines(outcome: Outcome, width: int, elsewhere: Elsewhere) -> Iterator[str]:
    if not outcome.proof.differences:
        return
    yield bold("Differences")
    shown = outcome.proof.differences[:MOST_DIFFERENCES]
    for difference in shown:
        yield from _difference(difference, width)
    if rest := _number(outcome.proof.differences) - _number(shown):
        yield dim(f"  … and {rest:,} more{elsewhere.differences}")


def _number(differences: Iterable[Difference]) -> int:
    return sum(one.rows or 1 for one in differences)


def _difference(difference: Difference, width: int) -> Iterator[str]:
    key = ", ".join(f"{name}={value}" for name, value in difference.key.items())
    where = f" ({key})" if key else ""
    words = f"{difference.kind}: {difference.object}{where}: {difference.message}"
    yield from hang(words, width, _styled("  ✗ ", "red"))
    for column in difference.columns:
        if difference.source is not None and difference.target is not None:
            source, target = difference.source.get(column), difference.target.get(column)
            yield f"      {column}: {_value(source)} → {_value(target)}"


def _value(value: str | None) -> str:
    return "NULL" if value is None else repr(value)


def loss_lines(outcome: Outcome, width: int, elsewhere: Elsewhere) -> Iterator[str]:
    if not outcome.losses:
        return
    yield bold(f"{plural(len(outcome.losses), 'item')} not carried over")
    groups: dict[tuple[str, str], list[str]] = {}
    for loss in outcome.losses:
        groups.setdefault((loss.kind, loss.message), []).append(loss.object)
    for (kind, message), objects in list(groups.items())[:MOST_LOSSES]:
        words = f"{kind}: {several(objects, MOST_NAMES)}: {message}"
        yield from hang(words, width, _styled("  ! ", "yellow"))
    if len(groups) > MOST_LOSSES:
        yield dim(f"  and {len(groups) - MOST_LOSSES:,} more kinds{elsewhere.losses}")


def _notices(outcome: Outcome, width: int) -> Iterator[str]:
    for notice in outcome.notices:
        yield from hang(notice, width, _styled("  ! ", "yellow"))


_LOADED = ("inserted", "updated", "deleted")  # what a load does with rows

_REPAIRS = {
    DifferenceKind.CHANGED: "updates",
    DifferenceKind.MISSING: "inserts",
    DifferenceKind.EXTRA: "deletes",
}


def _next(
    outcome: Outcome, again: str, repair: str, rollback: str, *, kept: str = ""
) -> Iterator[str]:
    """`kept` is what remains of a run that has not come to its end."""
    if again:
        where = "on the target" if outcome.target else "in the database"
        yield f"  {kept or f'What is done is safe {where}'}. To resume:"
        yield f"    {again}"
    proof = outcome.proof
    if repair and rows_differ(outcome):
        changes = ", ".join(
            f"{verb} {proof.differing_rows[kind]:,}"
            for kind, verb in _REPAIRS.items()
            if kind in proof.differing_rows
        )
        yield f"  To make the target match the source{changes and f' ({changes})'}:"
        yield f"    {repair}"
    if outcome.course.repaired and not outcome.course.already and rollback:
        yield f"  Repaired by run {outcome.run}. To put the target back as it was:"
        yield f"    {rollback}"
    if outcome.totals.counts.get("backed up") and outcome.state is State.DONE and rollback:
        yield "  To put the rows back as they were:"
        yield f"    {rollback}"
    if outcome.state is State.DONE and rollback and any(map(outcome.totals.counts.get, _LOADED)):
        yield "  To undo it:"
        yield f"    {rollback}"
    if (aside := outcome.totals.set_aside) and rollback:
        yield f"  {plural(aside, 'object')} set aside. To put back what was there:"
        yield f"    {rollback}"


# ------------------------------------------------------------------------------------------ pieces


def table(lines: Sequence[Sequence[str]], right: set[int]) -> Iterator[str]:
    """Aligned columns under a dim header; empty columns are left out."""
    lines = [[one_line(cell) for cell in line] for line in lines]
    header, *rows = lines
    kept = [at for at in range(len(header)) if any(row[at] for row in rows)]
    widths = {at: max(len(line[at]) for line in lines) for at in kept}
    for number, line in enumerate(lines):
        cells = (
            f"{line[at]:>{widths[at]}}" if at in right else f"{line[at]:<{widths[at]}}"
            for at in kept
        )
        row = ("  " + "  ".join(cells)).rstrip()
        yield row if number else dim(row)


def pair(word: str, meaning: str) -> str:
    return f"  {word:<10} {meaning}"


def moment(iso: str) -> str:
    return iso[:19].replace("T", " ")


def _styled(text: str, colour: str) -> str:
    return click.style(text, fg=colour) if text else ""


def bold(text: str) -> str:
    return click.style(text, bold=True)


def dim(text: str) -> str:
    return click.style(text, dim=True)
