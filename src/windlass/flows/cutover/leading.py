"""Redirects applications to the side that was opened, by the user's command."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from typing import Any

from psycopg import Connection

from windlass.flows.cutover.context import CuttingOver
from windlass.model.event import Noticed

SECONDS = 300.0
LAST_CHARACTERS = 300
_SECRETS = ("WINDLASS_SOURCE", "WINDLASS_TARGET", "WINDLASS_PGBOUNCER", "PGPASSWORD", "PGPASSFILE")


def lead_applications(run: CuttingOver, opened: Connection[Any]) -> None:
    """Run the command. A failure is reported, but does not change the cutover, which is decided."""
    command = run.spec.on_switch
    if not command:
        return
    info = opened.info
    variables = {key: value for key, value in os.environ.items() if key not in _SECRETS}
    variables |= {
        "WINDLASS_HOST": info.host,
        "WINDLASS_PORT": str(info.port),
        "WINDLASS_DATABASE": info.dbname,
    }
    process = subprocess.Popen(
        command,
        shell=True,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        said += f" (ended after {SECONDS:g} s)"
    if process.returncode:
        last = " ".join(said.split())[-LAST_CHARACTERS:]
        run.emit(Noticed(f"on-switch ended with {process.returncode}: {last}; lead applications"))
