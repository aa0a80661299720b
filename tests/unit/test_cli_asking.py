"""A question on a terminal: which answers are a yes, and that Ctrl-C always ends it."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from windlass.cli.asking import confirm


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """What is written here is typed on the terminal that is stdin."""
    parent, child = pty.openpty()
    with os.fdopen(child) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield parent
    os.close(parent)


@pytest.mark.parametrize("typed", ["y\n", "Y\n", " yes \n", "what\ny\n"])
def test_a_yes_is_a_yes(keyboard: int, typed: str) -> None:
    os.write(keyboard, typed.encode())
    confirm("Change it?")


@pytest.mark.parametrize("typed", ["n\n", "No\n", "\n", "what\n\n", "\x04"])
def test_anything_else_is_a_no(keyboard: int, typed: str) -> None:
    os.write(keyboard, typed.encode())
    with pytest.raises(click.Abort):
        confirm("Change it?")


def test_an_answer_that_is_neither_is_asked_for_again(
    keyboard: int, capsys: pytest.CaptureFixture[str]
) -> None:
    os.write(keyboard, b"what\nyes\n")
    confirm("Change it?")
    asked = "Change it? [y/N]: "
    assert capsys.readouterr() == ("", f"{asked}Error: invalid input\n{asked}")


# A read that a signal does not interrupt, as when it comes just before the read.
ASKING = """
import signal, threading
import click
from windlass.cli.asking import confirm
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # of this thread: the other receives it
try:
    confirm("Change it?")
except click.Abort:
    raise SystemExit(130)
"""


def test_ctrl_c_that_does_not_interrupt_the_read_ends_the_question() -> None:
    parent, child = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", ASKING], stdin=child, stdout=child, stderr=child
    ) as process:
        os.close(child)
        try:
            shown = b""
            while b"[y/N]" not in shown:
                shown += os.read(parent, 65536)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
        finally:
            process.kill()
            os.close(parent)
