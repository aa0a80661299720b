"""Questions before a command that changes or removes what is there."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict

import click

from windlass.cli.voice import Voice
from windlass.model.cutover import Foreseen as CuttingOver
from windlass.model.event import Asked, Emit
from windlass.model.following import Ending, Phase
from windlass.model.past import Foreseen, Left
from windlass.model.repair import ALL, Change, Forecast, Repairing
from windlass.model.units import bytes_text, plural
from windlass.progress.wrapping import hang, width_of
from windlass.run.cutover_text import cutover_text
from windlass.run.past_text import forecast_text, left_rows
from windlass.run.summary import table

SIGNAL_SECONDS = 0.2  # how often a wait for an answer looks for a signal
ANSWERS = {"y": True, "yes": True, "n": False, "no": False, "": False}


def require_terminal() -> None:
    """Check that somebody can answer.

    Raises:
        click.ClickException: nobody could answer; without a usage error's hint at --help.
    """
    if not sys.stdin.isatty():
        raise click.ClickException(
            "cannot ask for confirmation: stdin is not a terminal; pass --yes"
        )


def confirm(question: str) -> None:
    """Ask on the terminal; no answer means no.

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
    """The kinds of objects that `--repair` selects.

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


def ending_question(emit: Emit, *, yes: bool) -> Callable[[Ending], None]:
    """The question of `finish` and `abandon`.

    Raises:
        click.ClickException: nobody could be asked.
    """
    if not yes:
        require_terminal()

    def ask(ending: Ending) -> None:
        if yes:
            return
        if ending.end is Phase.FINISHED:
            what = f"There is no way back to {ending.source} after that. Finish run {ending.run}?"
        else:
            what = f"The target will no longer follow {ending.source}. Abandon run {ending.run}?"
        emit(Asked())
        try:
            confirm(what)
        finally:
            emit(Asked(is_over=True))

    return ask


def confirm_rollback(
    run: str, foreseen: Foreseen | None, *, force: bool, skips: bool = False
) -> None:
    """Ask whether to roll back.

    Raises:
        Refused: rows were written since, and may not be lost.
    """
    if foreseen is None:  # it is rolled back already
        return
    foreseen.refuse(force=force or skips)
    lost = "".join(f"; {one.object}: {one.message}" for one in foreseen.written)
    if lost and skips:
        lost = ", except those that others have changed or deleted since"
    confirm(f"Rolling back run {run} {foreseen.summary}{lost}. Roll back?")


def asking_to_cut_over(voice: Voice) -> Callable[[CuttingOver], None]:
    """Shows what a cutover is about to do, and asks. If nobody can be asked, that is reported after
    all other blockers."""

    def ask(foreseen: CuttingOver) -> None:
        voice.aside(cutover_text(foreseen))
        confirm(f"Stop writers of {foreseen.left.split(' (')[0]} and open the other side?")

    return ask


def confirm_clean(left: Sequence[Left]) -> None:
    """Asks whether to clean up. Without a terminal it only lists what would be removed."""
    click.echo("\n".join(table(left_rows(left), right={4})), err=True)
    size = bytes_text(sum(one.size_bytes for one in left))
    what = "Remove these files" if any(one.files for one in left) else "Drop what was set aside"
    confirm(f"{what} ({size}) and forget {plural(len(left), 'run')}?")


def left_json(left: Sequence[Left]) -> dict[str, object]:
    return {"runs": [asdict(one) for one in left], "exit_code": 0}
