"""A password in an argument is overwritten where `ps` finds it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from command import environment

SECRET = "Tr0ub4dor"


@pytest.mark.skipif(sys.platform != "linux", reason="the arguments of others are read from /proc")
@pytest.mark.parametrize(
    "words",
    [
        "--target=postgresql://app:{secret}@127.0.0.1:{port}/shop",
        "--target=host=127.0.0.1 port={port} password={secret} dbname=shop",
    ],
)
def test_a_password_in_an_argument_is_no_more_to_be_seen(words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        argument = words.format(secret=SECRET, port=silent.getsockname()[1])
        process = subprocess.Popen(
            [sys.executable, "-m", "windlass", "status", argument],
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            silent.accept()  # it connects with the password that it was given, and waits
            shown = Path(f"/proc/{process.pid}/cmdline").read_text()
            assert SECRET not in shown and "*" * len(SECRET) in shown
        finally:
            process.kill()
            _, said = process.communicate()
    assert "a password on the command line was visible" in said and SECRET not in said


def test_a_password_of_another_engine_is_not_for_postgresql() -> None:
    url = f"mysql://app:{SECRET}@127.0.0.1:1/shop"
    command = [sys.executable, "-m", "windlass", "plan", "--source", url]
    said = subprocess.run(command, env=environment(), capture_output=True, text=True).stderr
    assert "put it into WINDLASS_SOURCE" in said and "PGPASSWORD" not in said and SECRET not in said


def test_a_password_of_the_web_is_not_for_postgresql() -> None:
    command = [
        sys.executable,
        "-m",
        "windlass",
        "status",
        f"https://app:{SECRET}@example.com/a.csv",
    ]
    said = subprocess.run(command, env=environment(), capture_output=True, text=True).stderr
    assert "put it into a spec file" in said and "PGPASSWORD" not in said and SECRET not in said


def test_without_a_secret_nothing_is_changed() -> None:
    """In a separate process: pytest-xdist writes its workers' titles over their arguments."""
    code = (
        "from pathlib import Path; from windlass.cli.arguments import wipe;"
        " line = Path('/proc/self/cmdline'); before = line.read_bytes();"
        " assert wipe({'not ' + 'among'}); assert line.read_bytes() == before"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
