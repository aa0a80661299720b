"""A Django project in its own virtual environment; questions are answered by a process of its
interpreter.

The request is JSON on the process's stdin, its answer is JSON on stdout, and its log is on stderr.
The database is in its environment, which nobody else can read, and never in an argument.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from windlass.errors import BadSpec, ConnectionLost, Interrupted, Refused, WindlassError
from windlass.model.report import Problem

MODULE = "windlass.django"
END_SECONDS = 30.0  # for a transaction to roll back; then the process is killed
_OTHERS = ("AIRFLOW", "_AIRFLOW", "PYTHON", "VIRTUAL_ENV", "WINDLASS_", "DJANGO_SETTINGS_MODULE")
_INTERRUPTED = 130
log = logging.getLogger(__name__)

Answer = dict[str, Any]


class Stopped(ConnectionLost):
    """A step that may succeed at another try."""


@dataclass(frozen=True, slots=True)
class Project:
    """Where a project is. `python` is the interpreter of its virtual environment. It contains no
    secrets, as Airflow stores it with the DAG."""

    folder: str  # the folder of manage.py
    settings: str  # its module of settings, such as shop.settings
    python: str = ""  # default: venv/bin/python in the folder
    database: str = ""  # alias in DATABASES; default: what WINDLASS names, or the default one
    environment: Mapping[str, str] = field(default_factory=dict)  # more variables
    shares_environment: bool = False  # whether its processes get all variables of this one

    @property
    def interpreter(self) -> str:
        return self.python or str(Path(self.folder) / "venv" / "bin" / "python")

    def variables(self, conninfo: str) -> dict[str, str]:
        """The environment for its processes: that of this process, without what belongs to Airflow
        unless it is shared."""
        bin_ = Path(self.interpreter).parent
        kept = {
            key: one
            for key, one in os.environ.items()
            if self.shares_environment or not key.startswith(_OTHERS)
        }
        kept["PATH"] = f"{bin_}{os.pathsep}{kept.get('PATH', os.defpath)}"
        own = {"VIRTUAL_ENV": str(bin_.parent), "DJANGO_SETTINGS_MODULE": self.settings}
        given = {"WINDLASS_DATABASE": conninfo, "DATABASE_URL": url_of(conninfo)}
        return {**kept, **own, **(given if conninfo else {}), **self.environment}

    def ask(self, request: Mapping[str, Any], conninfo: str = "") -> Answer:
        """The answer to a step of the project. When this process ends, so does the other.

        Raises:
            BadSpec, Refused: with every fault or problem; no other try helps.
            Stopped: another try may help.
            WindlassError: the interpreter is not there, or is without Windlass.
        """
        with self._started(conninfo) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            last: deque[str] = deque(maxlen=3)
            reader = threading.Thread(target=_log_lines, args=(process.stderr, last))
            reader.start()
            _send(process.stdin, json.dumps(dict(request)))
            text = process.stdout.read()
            code = process.wait()
            reader.join()
        return self._answer(code, text, " / ".join(last))

    @contextmanager
    def _started(self, conninfo: str) -> Iterator[subprocess.Popen[str]]:
        """Start the process.

        Raises:
            WindlassError: it cannot be started.
        """
        if not Path(self.folder).is_dir():
            hint = "the project has to be on every worker, at the same place"
            raise WindlassError(f"there is no folder {self.folder}", hint=hint)
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(
                [self.interpreter, "-m", MODULE],
                cwd=self.folder, env=self.variables(conninfo), text=True,
                stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            hint = "give the interpreter of the project's virtual environment as python"
            message = f"{self.interpreter} cannot be started: {error.strerror}"
            raise WindlassError(message, hint=hint) from None
        try:
            yield process
        finally:
            _end(process)

    def _answer(self, code: int, text: str, last: str) -> Answer:
        try:
            answer: Answer = json.loads(text)
        except ValueError:
            if code < 0:
                message = f"the project's process was ended by signal {-code}"
                raise Stopped(message, hint="the next try resumes what it did") from None
            hint = f"is windlass-db[django,load] installed for {self.interpreter}?"
            message = f"the project's process ended with exit code {code}: {last or 'no output'}"
            raise WindlassError(message, hint=hint) from None
        if code:
            raise _error_of(code, answer)
        return answer


def _error_of(code: int, answer: Answer) -> WindlassError:
    if faults := answer.get("faults"):
        return BadSpec(faults)
    problems = [Problem(**one) for one in answer.get("problems", ())]
    message, hint = answer.get("message", ""), answer.get("hint", "")
    if code == _INTERRUPTED:
        return Interrupted(message or "interrupted")
    if answer.get("state") in ("stopped", "running"):
        return Stopped("; ".join(one.text for one in problems) or message, hint=hint)
    if problems:
        return Refused(problems)
    return WindlassError(message or f"ended as {answer.get('state')}", hint=hint)


def _send(stdin: IO[str], line: str) -> None:
    """Send the request. The pipe stays open: the process ends when it is closed."""
    try:
        stdin.write(f"{line}\n")
        stdin.flush()
    except BrokenPipeError:  # it has ended, and its answer says why
        log.debug("the process has closed its stdin")


def _log_lines(stderr: IO[str], last: deque[str]) -> None:
    for line in stderr:
        if text := line.rstrip():
            last.append(text)
            log.info("%s", text)


def _end(process: subprocess.Popen[str]) -> None:
    """Let the process roll back what is in flight; then end it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout):
        if stream and not stream.closed:
            _closed(stream.close)


def _closed(close: Callable[[], None]) -> None:
    try:
        close()
    except BrokenPipeError:
        log.debug("the process had closed the pipe")


def url_of(conninfo: str) -> str:
    """The URL in the form in which projects' settings read DATABASE_URL; empty if there is none."""
    if not conninfo:
        return ""
    from psycopg.conninfo import conninfo_to_dict

    words = {key: str(value) for key, value in conninfo_to_dict(conninfo).items()}
    user, password = (quote(words.pop(key, ""), safe="") for key in ("user", "password"))
    host, port = words.pop("host", ""), words.pop("port", "")
    name = quote(words.pop("dbname", ""), safe="")
    login = f"{user}:{password}@" if password else f"{user}@" if user else ""
    address = quote(host, safe="") if host.startswith("/") else host
    more = "&".join(f"{key}={quote(value, safe='')}" for key, value in words.items())
    place = f"{address}:{port}" if port else address
    return f"postgres://{login}{place}/{name}{'?' if more else ''}{more}"
