"""Questions before a command that changes or removes what is there."""

from __future__ import annotations

import select
import sys
from collections.abc import Sequence
from dataclasses import asdict

import click

from windlass.cli.voice import Voice
from windlass.model.event import Asked, Emit
from windlass.model.past import Foreseen, Left
from windlass.model.repair import ALL, Change, Forecast, Repairing
from windlass.model.units import bytes_text, plural
from windlass.progress.wrapping import hang, width_of
from windlass.run.summary import table

MOST_RELATIONS = 20
SIGNAL_SECONDS = 0.2  # how often a wait for an answer looks for a signal
ANSWERS = {"y": True, "yes": True, "n": False, "no": False, "": False}


def require_terminal() -> None:
    """Raises:
    click.ClickException: nobody could answer; without a usage error's hint at --help.
    """
    if not sys.stdin.isatty():
        raise click.ClickException(
            "cannot ask for confirmation: stdin is not a terminal; pass --yes"
        )


def confirm(question: str) -> None:
    """Ask on the terminal; no answer is a no.

    Raises:
        click.Abort: the answer is no, or Ctrl-C.
    """
    require_terminal()
    suffix = " [y/N]: "
    lines = hang(question, width_of(sys.stderr) - len(suffix), indent=2)
    prompt = "\n".join(lines) + suffix
    answer: bool | None = None
    try:
        while answer is None:
            click.echo(prompt, err=True, nl=False)
            if (answer := ANSWERS.get(_line().strip().lower())) is None:
                click.echo("Error: invalid input", err=True)
    except KeyboardInterrupt:
        raise click.Abort from None
    if not answer:
        raise click.Abort


def _line() -> str:
    """The next line of stdin; empty at its end.

    `input` would miss a Ctrl-C that comes after the prompt is written and before the read has
    begun, or that another thread receives: Python runs its handler only when the read returns.
    """
    while not select.select([sys.stdin], [], [], SIGNAL_SECONDS)[0]:
        pass
    return sys.stdin.readline()


def repairing(voice: Voice, emit: Emit, kinds: str, *, yes: bool) -> Repairing:
    """What `--repair` asks for.

    Raises:
        click.UsageError: it names another kind.
        click.ClickException: nobody could be asked.
    """
    allowed = _kinds(kinds)
    if not yes:
        require_terminal()

    def ask(forecast: Forecast) -> None:
        emit(Asked())
        try:
            voice.aside(forecast_text(forecast))
            if not yes:
                confirm(f"Change {forecast.target}?")
        finally:
            emit(Asked(is_over=True))

    return Repairing(allowed, ask)


def _kinds(text: str) -> frozenset[Change]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    known = {one.value: one for one in ALL}
    if not words or (wrong := [word for word in words if word not in known]):
        named = ", ".join(wrong) if words else "nothing"
        raise click.UsageError(f"--repair takes update, insert and delete, not {named}")
    return frozenset(known[word] for word in words)


def forecast_text(forecast: Forecast) -> str:
    """Per relation and in total, and on which side."""
    rows = [
        (name, *(f"{found[kind]:,}" for kind in Change))
        for name, found in forecast.relations.items()
        if found
    ]
    rows.sort(key=lambda row: row[0])
    lines = [f"To make {forecast.target} match {forecast.source}:"]
    if rows:
        header = ("table", "updates", "inserts", "deletes")
        total = ("all", *(f"{forecast.total[kind]:,}" for kind in Change))
        shown: Sequence[tuple[str, ...]] = [header, *rows[:MOST_RELATIONS], total]
        lines += table(shown, right={1, 2, 3})
        if len(rows) > MOST_RELATIONS:
            lines.append(f"  and {len(rows) - MOST_RELATIONS:,} more tables")
    if forecast.sequences:
        lines.append(f"  sets {plural(forecast.sequences, 'sequence')}")
    if forecast.large_objects:
        lines.append(f"  copies {plural(forecast.large_objects, 'large object')} again")
    return "\n".join(lines)


def confirm_rollback(
    run: str, foreseen: Foreseen | None, *, force: bool, skips: bool = False
) -> None:
    """Raises:
    Refused: rows were written since, and may not be lost.
    """
    if foreseen is None:  # it is rolled back already
        return
    foreseen.refuse(force=force or skips)
    lost = "".join(f"; {one.object}: {one.message}" for one in foreseen.written)
    if lost and skips:
        lost = ", except those that others have changed or deleted since"
    confirm(f"Rolling back run {run} {foreseen.summary}{lost}. Roll back?")


def _set_aside(left: Left) -> str:
    named = [f"{kind.lower()} {name}" for kind, name in left.renamed]
    copies = plural(len(left.large_objects), "large object") if left.large_objects else ""
    backup = f"backup {left.backup}" if left.backup else ""
    files = plural(left.files, "file") if left.files else ""
    return ", ".join(filter(None, [*left.schemas, *named, copies, backup, files]))


def _left_rows(left: Sequence[Left]) -> list[tuple[str, ...]]:
    header = ("run", "state", "ended", "set aside", "size")
    rows = [
        (one.run, one.state or "not in journal", one.finished_at[:19], _set_aside(one),
         bytes_text(one.size_bytes) if one.schemas or one.backup or one.files else "")
        for one in left
    ]  # fmt: skip
    return [header, *rows]


def confirm_clean(left: Sequence[Left]) -> None:
    """Without a terminal it only lists what would be removed."""
    click.echo("\n".join(table(_left_rows(left), right={4})), err=True)
    size = bytes_text(sum(one.size_bytes for one in left))
    what = "Remove these files" if any(one.files for one in left) else "Drop what was set aside"
    confirm(f"{what} ({size}) and forget {plural(len(left), 'run')}?")


def left_text(left: Sequence[Left]) -> str:
    """What was removed."""
    if not left:
        return "Nothing to remove."
    size = bytes_text(sum(one.size_bytes for one in left))
    of_files = any(one.files for one in left)
    dropped = [
        plural(sum(counts), what)
        for what, counts in (
            ("schema", [len(one.schemas) for one in left]),
            ("renamed object", [len(one.renamed) for one in left]),
            ("large object", [len(one.large_objects) for one in left]),
            ("rewrite backup", [int(one.backup is not None) for one in left]),
            ("file", [one.files for one in left]),
        )
        if sum(counts) or (what == "schema" and not of_files)
    ]
    lines = table(_left_rows(left), right={4})
    forgot = f"forgot {plural(len(left), 'run')}"
    verb = "Removed" if of_files else "Dropped"
    done = f"{verb} {', '.join(dropped)} ({size}) and {forgot}."
    return "\n".join([*lines, "", done])


def left_json(left: Sequence[Left]) -> dict[str, object]:
    return {"runs": [asdict(one) for one in left], "exit_code": 0}
