"""`windlass demo` at a hundredth of its size: what a first-time user does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest

from command import windlass
from windlass.cli.main import run


@pytest.fixture(scope="module")
def room() -> Iterator[Path]:
    """Where any account may go, unlike pytest's own temporary folders."""
    with TemporaryDirectory(prefix="windlass-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def folder(room: Path) -> Iterator[Path]:
    """A demo that has run; cleaned up whatever the tests do."""
    demo(room / "demo")
    yield room / "demo"
    run(["demo", "--stop", "--folder", str(room / "demo")])


def demo(folder: Path, *words: str) -> dict[str, Any]:
    ran = windlass("demo", "--folder", str(folder), "--scale", "0.01", "--json", *words)
    return ran.expect(0).result


def test_the_demo_can_be_run_again_on_the_same_servers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again = demo(folder), demo(folder)
    assert (again["state"], again["verified"]) == ("done", "full")
    assert (again["rows"], again["demo"]) == (first["rows"], first["demo"])

    monkeypatch.setenv("PGPASSFILE", again["demo"]["password_file"])
    for side in ("source", "target"):
        with psycopg.connect(again["demo"][side]) as connection:
            row = connection.execute("select count(*) > 0 from shop.orders").fetchone()
        assert row == (True,)


def test_the_demo_shows_the_next_command_without_a_password(folder: Path) -> None:
    ran = windlass("demo", "--folder", str(folder), "--scale", "0.01").expect(0)
    password = (folder / "source" / "password").read_text().strip()
    assert password not in ran.said
    for words in ("PGPASSFILE=", "psql", "verify", "demo --stop --folder"):
        assert words in ran.stdout


def test_another_scale_refills_the_source(folder: Path) -> None:
    assert demo(folder, "--scale", "0.02")["rows"] > demo(folder)["rows"]


def test_a_clean_up_leaves_what_is_not_the_demos(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    windlass("demo", "--folder", str(folder), "--stop").expect(0)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_folder_with_something_else_in_it_is_left_alone(room: Path) -> None:
    thesis = room / "work" / "source" / "thesis.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    windlass("demo", "--folder", str(room / "work")).expect(3)
    windlass("demo", "--folder", str(room / "work"), "--stop").expect(0)
    assert thesis.exists()


def test_a_demo_that_was_killed_while_it_began_begins_again(room: Path) -> None:
    folder = room / "killed"
    (folder / "source").mkdir(parents=True)
    (folder / "windlass-demo").write_text('{"scale": null}\n')
    (folder / "source" / "password").write_text("half a server")
    try:
        assert demo(folder)["state"] == "done"
    finally:
        windlass("demo", "--folder", str(folder), "--stop").expect(0)
    assert not folder.exists()
