"""`windlass demo --cutover` at a fiftieth of its size: what it shows, and what it leaves."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from awaiting import until
from command import DIFFERENT, DONE, INTERRUPTED, REFUSED, STOPPED, Running, finish, start, windlass
from servers import Database
from windlass.demo.ledger import faults, make_ledger

SMALL = ("--scale", "0.02")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where any account may go, unlike pytest's own temporary folders."""
    with TemporaryDirectory(prefix="windlass-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "demo"
        windlass("demo", "--cutover", "--stop", "--folder", str(Path(name) / "demo"))


def test_a_ledger_moves_forth_and_back_and_forth_and_nothing_of_it_is_left(folder: Path) -> None:
    ran = windlass("demo", "--cutover", "--folder", str(folder), "--json", *SMALL).expect(DONE)
    found = ran.result
    assert (found["state"], found["faults"]) == ("done", [])
    assert found["acknowledged"] > 100 and found["looks"] > 0
    commands = [one["command"] for one in found["switches"]]
    assert commands == ["windlass cutover", "windlass cutover --back", "windlass cutover"]
    assert all(0 < one["freeze_ms"] <= one["waited_ms"] for one in found["switches"])
    assert "✓ windlass verify --follow" in ran.stderr and "✓ windlass finish" in ran.stderr
    assert not folder.exists()


def test_ctrl_c_in_the_middle_leaves_no_process_and_no_file(folder: Path) -> None:
    running = begun(folder)
    until(lambda: "copied and compared" in running.said()[1], "the copy")
    assert len(processes(folder)) >= 3
    running.send_signal(signal.SIGINT)
    assert "nothing is left" in finish(running).expect(INTERRUPTED).stderr
    assert not folder.exists() and not processes(folder)


def test_a_missing_transfer_fails_the_demo_and_is_named(folder: Path) -> None:
    running = begun(folder)
    until(lambda: bool(written(folder)), "a client that writes")
    with (folder / "client-1").open("a") as file:
        file.write("999999999 1.0 1\n")
    ran = finish(running).expect(DIFFERENT)
    assert "missing: number 999999999 of client 1" in ran.stdout
    assert written(folder) and not processes(folder)
    windlass("demo", "--cutover", "--stop", "--folder", str(folder)).expect(DONE)
    assert not folder.exists()


@pytest.mark.full
def test_a_follower_that_dies_fails_the_demo_and_the_next_one_works(folder: Path) -> None:
    running = begun(folder)
    until(lambda: bool(written(folder)), "a client that writes")
    windlass("demo", "--cutover", "--folder", str(folder)).expect(REFUSED)  # one at a time
    until(lambda: processes(folder, "--follow"), "a follower")
    (follower,) = processes(folder, "--follow")
    os.kill(follower, signal.SIGKILL)
    ran = finish(running).expect(STOPPED)
    assert "migrate --follow ended" in ran.stderr and "--cutover --stop" in ran.stderr
    assert not processes(folder)
    demo = windlass("demo", "--cutover", "--folder", str(folder), "-q", *SMALL).expect(DONE)
    assert demo.stdout.startswith("✓ All ")


def test_the_checker_names_all_that_is_wrong(
    database: Callable[[int], Database], tmp_path: Path
) -> None:
    ledger = database(18)
    make_ledger(ledger.url, history=500)
    entry = "insert into ledger.entry (client, number, debited, credited, amount) values"
    ledger.run(f"{entry} (1, 1, 1, 2, 0), (1, 2, 1, 2, 0)")
    acknowledged = tmp_path / "client-1"
    acknowledged.write_text("1 1.5 5432\n2 2.5 5432\n3 3")  # the last line is cut off
    assert faults(ledger.url, tmp_path) == []

    acknowledged.write_text("1 1.5 5432\n2 2.5 5432\n3 3.5 5432\n")
    ledger.run(
        "alter table ledger.entry drop constraint entry_client_number_key",
        f"{entry} (1, 2, 1, 2, 0)",
        "update ledger.account set balance = balance + 1 where id = 7",
        "delete from ledger.entry where client = 0 and number = 300",
    )
    assert faults(ledger.url, tmp_path) == [
        "acknowledged, and missing: number 3 of client 1",
        "there more than once: number 2 of client 1",
        "the total is 100001, not 100000",
        "accounts that are not the sum of their entries: 3",
    ]


def begun(folder: Path) -> Running:
    return start("demo", "--cutover", "--folder", str(folder), *SMALL)


def written(folder: Path) -> str:
    file = folder / "client-1"
    return file.read_text() if file.exists() else ""


def processes(folder: Path, word: str = "") -> list[int]:
    """What runs of the demo in that folder: both servers, and the commands that it starts."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            arguments = (process / "cmdline").read_bytes()
            given = arguments + (process / "environ").read_bytes()
            if f"{folder}/".encode() in given and word.encode() in arguments:
                found.append(int(process.name))
    return found
