"""Temporary files hold a database's definitions and rows: nobody else reads them, none stays."""

from __future__ import annotations

import os
import signal
import stat
import time
from pathlib import Path

import pytest

from command import DONE, Running, finish, start, windlass
from servers import Pair

SECONDS = 60.0


def folders(room: Path) -> list[Path]:
    return [one for one in room.iterdir() if one.name.startswith(f"windlass-{os.geteuid()}-")]


@pytest.fixture
def slow(pair: Pair) -> Pair:
    """So many objects that pg_dump takes a moment."""
    pair.source.run(
        "create table t (a int)",
        "do $do$begin for n in 1..800 loop execute format('create function f%s() returns int"
        " language sql as $$select 1$$', n); end loop; end$do$",
    )
    return pair


def dumping(room: Path, running: Running) -> Path:
    """The folder of a run that is at its dump."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and running.poll() is None:
        found = [one for one in folders(room) if any(one.iterdir())]
        if found:
            return found[0]
        time.sleep(0.005)
    raise AssertionError(f"no archive: {running.said()}")


def test_what_a_kill_leaves_is_private_and_the_next_command_removes_it(
    slow: Pair, tmp_path: Path
) -> None:
    env = {"TMPDIR": str(tmp_path)}
    running = start("plan", pair=slow, env=env)
    left = dumping(tmp_path, running)
    running.send_signal(signal.SIGSTOP)
    assert stat.S_IMODE(left.stat().st_mode) == 0o700
    windlass("spec", env=env).expect(DONE)
    assert left.exists(), "removed while it was in use"
    running.kill()
    running.wait()
    assert left.exists()
    windlass("spec", env=env).expect(DONE)
    assert folders(tmp_path) == []


def test_a_run_that_ends_leaves_nothing(slow: Pair, tmp_path: Path) -> None:
    finish(start("migrate", pair=slow, env={"TMPDIR": str(tmp_path)})).expect(DONE)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    link = tmp_path / f"windlass-{os.geteuid()}-link"
    link.symlink_to(elsewhere)
    open_to_all = tmp_path / f"windlass-{os.geteuid()}-open"
    open_to_all.mkdir(mode=0o755)
    windlass("spec", env={"TMPDIR": str(tmp_path)}).expect(DONE)
    assert (elsewhere / "precious").exists() and link.is_symlink() and open_to_all.exists()
