"""`windlass demo --cutover`: a ledger moves between two servers while clients write to it."""

from __future__ import annotations

import fcntl
import shlex
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import click

from windlass.cli import demo
from windlass.cli.exits import Exit
from windlass.cli.voice import Voice
from windlass.cli.watch import is_terminal
from windlass.demo import servers
from windlass.demo.cutover import SECRET, Act, Found, Place, Play, fill
from windlass.demo.servers import SIDES
from windlass.engines.postgres.embedded import EmbeddedServer
from windlass.errors import Refused
from windlass.model.report import Problem
from windlass.model.units import plural, seconds_text, several
from windlass.progress.wrapping import hang

MARK = "windlass-demo-cutover"
DATABASE = "ledger"
TITLE_WIDTH = 25  # the longest command
_SETTINGS = {"shared_buffers": "128MB", "max_wal_size": "2GB", "wal_level": "logical"}
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def default_folder() -> Path:
    """Beside that of the other demo."""
    other = demo.default_folder()
    return other.with_name(f"{other.name}-cutover")


def start(voice: Voice, folder: Path, scale: float) -> int:
    """Run the whole demo. Nothing is left running; a demo that failed leaves its folder to look
    at."""
    demo.check_wheel()
    demo.claim_for(folder, MARK)
    found: Found | None = None
    with _alone(folder), _interruptible() as interrupted:
        try:
            _clear(folder)
            found = _play(voice, folder, scale)
        except BaseException:
            if not interrupted.is_set():
                raise  # otherwise the terminal may be gone
        finally:
            keep = not interrupted.is_set() and (found is None or bool(found.faults))
            with _unstoppable():
                _end(folder, keep=keep)
                if keep:
                    _say_what_is_left(voice, folder)
    if found is None:
        voice.aside("Interrupted: servers and clients are stopped, and nothing is left.")
        return Exit.INTERRUPTED
    _report(voice, found)
    return Exit.DIFFERENT if found.faults else Exit.DONE


def stop(voice: Voice, folder: Path) -> int:
    """Remove what a demo that failed or was killed has left."""
    if not (folder / MARK).exists():
        voice.result(f"No demo in {folder}.")
        return Exit.DONE
    with _alone(folder):
        _end(folder, keep=False)
    voice.result(f"Both servers are stopped, and {folder} is cleaned up.")
    return Exit.DONE


def _play(voice: Voice, folder: Path, scale: float) -> Found:
    report = None if voice.quiet else voice.aside
    both = servers.start_both(folder, report, _SETTINGS)
    places = {side: _place(voice, side, server) for side, server in both.items()}
    demo.write_passwords(folder / SECRET, both)
    with servers.doing(report, "filling the source with a ledger") as done:
        entries = fill(places["source"].url, scale)
        done.append(f"The source holds a ledger, {entries:,} entries")
    drawn = is_terminal() and not voice.quiet

    def ended(act: Act) -> None:
        if not (drawn or voice.quiet):
            voice.aside(act_text(act, voice.aside_width))

    play = Play(folder, places, scale, ended)
    with _screen(play) if drawn else nullcontext():
        found = play.run()
    if drawn:
        for act in play.acts:
            voice.aside(act_text(act, voice.aside_width))
    return found


def _place(voice: Voice, side: str, server: EmbeddedServer) -> Place:
    url = server.create_database(DATABASE)
    voice.hide_passwords_of(url)
    return Place(url, demo.shown_url(server, DATABASE), server.port, SIDES[side])


@contextmanager
def _screen(play: Play) -> Iterator[None]:
    from rich.console import Console
    from rich.live import Live

    from windlass.cli.demo_screen import DemoScreen
    from windlass.progress.terminal import REDRAWS_PER_SECOND

    with Live(
        DemoScreen(play),
        console=Console(stderr=True, highlight=False),
        refresh_per_second=REDRAWS_PER_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        vertical_overflow="crop",
    ):
        yield


# ---------------------------------------------------------------------- what it leaves, and signals


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock the folder against other demos.

    Raises:
        Refused: another one runs in it.
    """
    with (folder / MARK).open() as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            hint = "end that one with Ctrl-C, or give another folder with --folder"
            problem = Problem(str(folder), "another demo runs in it", hint)
            raise Refused([problem]) from None
        yield


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """The first signal, including that of a closed terminal, sets the event and ends the demo.
    Later signals change nothing: the end takes a second."""
    interrupted = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    with _handled(*_SIGNALS, by=interrupt):
        yield interrupted


@contextmanager
def _unstoppable() -> Iterator[None]:
    """While the context lasts, no signal interrupts."""
    with _handled(*_SIGNALS, by=signal.SIG_IGN):
        yield


@contextmanager
def _handled(*numbers: signal.Signals, by: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, by) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _clear(folder: Path) -> None:
    """Remove what an earlier demo has left."""
    for side in SIDES:
        servers.remove(folder / side)
    for file in _files(folder):
        file.unlink(missing_ok=True)


def _end(folder: Path, *, keep: bool) -> None:
    """Stop both servers, and remove everything that is ours, or keep it."""
    if keep:
        for side in SIDES:
            servers.stop(folder / side)
        return
    _clear(folder)
    (folder / MARK).unlink(missing_ok=True)
    with suppress(OSError):  # something else is in it
        folder.rmdir()


def _files(folder: Path) -> list[Path]:
    patterns = (SECRET, "port", "port.new", "client-*", "follower.*")
    return [file for pattern in patterns for file in folder.glob(pattern)]


def _say_what_is_left(voice: Voice, folder: Path) -> None:
    where = "" if folder == default_folder() else f" --folder {shlex.quote(str(folder))}"
    voice.aside(
        f"Both servers are stopped. Their data, what clients wrote down and what the follower"
        f" printed are in {folder}; remove them with: windlass demo --cutover --stop{where}"
    )


# ---------------------------------------------------------------------------------- what it prints


def act_text(act: Act, width: int) -> str:
    mark = click.style("✗", fg="red") if act.failed else click.style("✓", fg="green")
    seconds = seconds_text((act.ended or 0.0) - (act.began or 0.0))
    title = f"{mark} {act.title:<{TITLE_WIDTH}}"
    return "\n".join(hang(f"{act.done} ({seconds})", width, f"{title}  ", 4))


def _report(voice: Voice, found: Found) -> None:
    if voice.json:
        voice.result_json(
            {**_as_dict(found), "exit_code": int(Exit.DIFFERENT if found.faults else 0)}
        )
    elif voice.quiet:
        voice.result(_verdict(found))
    else:
        voice.result("\n".join(_lines(found, voice.width)))


def _as_dict(found: Found) -> Mapping[str, object]:
    return {"state": "different" if found.faults else "done", **asdict(found)}


def _verdict(found: Found) -> str:
    if found.faults:
        return f"✗ The ledger is wrong: {plural(len(found.faults), 'fault')}"
    return (
        f"✓ All {found.acknowledged:,} acknowledged transfers are there exactly once, after"
        f" {plural(len(found.switches), 'cutover')} under writers, in {seconds_text(found.seconds)}"
    )


def _lines(found: Found, width: int) -> Iterator[str]:
    yield click.style(_verdict(found), bold=True)
    for fault in found.faults:
        yield from hang(fault, width, "    ")
    wrong = "" if found.faults else ", all of them right"
    yield from hang(f"{found.looks:,} totals were read, each in one snapshot{wrong}.", width, "  ")
    waits = [seconds_text(one.waited_ms / 1000) for one in found.switches]
    each = several(waits, len(waits))
    yield from hang(f"At the cutovers, clients waited at most {each}.", width, "  ")
