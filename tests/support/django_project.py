"""The Django project of the tests, in this process or in a separate one, with databases of a test.

`setup` is called once per process. Models are found by ``model("Customer")``, as they can only be
imported after it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from paths import ROOT
from servers import PASSWORD, Database

PROJECT = ROOT / "tests" / "django" / "project"
SECONDS = 60


def setup() -> None:
    import django

    if str(PROJECT) not in sys.path:
        sys.path.insert(0, str(PROJECT))
    os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
    django.setup()


def model(name: str) -> Any:
    from django.apps import apps

    return apps.get_model(name if "." in name else f"shop.{name}")


def sqlite(path: Path) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}


def postgres(database: Database) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": database.name,
        "USER": "postgres",
        "PASSWORD": PASSWORD,
        "HOST": "127.0.0.1",
        "PORT": str(database.server.port),
    }


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command of a separate process ended."""

    code: int
    said: str
    out: str

    @property
    def result(self) -> dict[str, Any]:
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    def expect(self, code: int) -> Ran:
        assert self.code == code, f"exit code {self.code}, not {code}:\n{self.said}"
        assert "Traceback" not in self.said
        assert PASSWORD not in self.said
        return self


class Project:
    """With databases of one test; the setting WINDLASS is its `updates`."""

    def __init__(self, databases: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
        self.databases, self.folder = databases, folder
        self.updates: list[dict[str, Any]] = []
        self.words: dict[str, Any] = {}  # more of the setting
        self.use()

    @property
    def vendor(self) -> str:
        from django.db import connections

        return str(connections["default"].vendor)

    def use(self) -> None:
        """Make the databases of this process those of the test."""
        from django.conf import settings
        from django.db import connections

        self.leave()
        settings.DATABASES = {key: dict(one) for key, one in self.databases.items()}
        settings.WINDLASS = {"updates": self.updates, **self.words}
        connections.__dict__["settings"] = connections.configure_settings(settings.DATABASES)

    @staticmethod
    def leave() -> None:
        from django.db import connections

        for alias in list(connections):
            if hasattr(connections._connections, alias):
                connections[alias].close()
                del connections[alias]

    def file(self, name: str, *lines: str) -> str:
        path = self.folder / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    def update(self, table: str, *lines: str, name: str = "", **words: Any) -> dict[str, Any]:
        """An update with a file of these lines, in the setting."""
        path = self.file(name or f"{table.replace('.', '_')}.csv", *lines)
        found = {"url": path, "table": table, **words}
        self.updates[:] = [one for one in self.updates if one["url"] != path] + [found]
        return found

    def refresh(self, **words: Any) -> Any:
        from windlass.django.refreshing import Options, refresh

        return refresh(options=Options(**words))

    def refreshed(self, **words: Any) -> dict[str, dict[str, int] | None]:
        """Counts by model, of a refresh that has to end well; None: nothing to do."""
        result = self.refresh(**words)
        assert result.state == "done", result.lines
        return {one.label.partition(".")[2]: one.counts and plain(one.counts)
                for one in result.tables}  # fmt: skip

    def refused(self, **words: Any) -> str:
        """The problems of a refresh, as a person reads them."""
        result = self.refresh(**words)
        assert result.state == "refused", result.lines
        assert PASSWORD not in str(result.lines)
        return "\n".join(result.lines)

    def command(self, *words: str) -> tuple[int, str]:
        """A command, called in this process."""
        from django.core.management import call_command

        out = StringIO()
        try:
            call_command(*words, stdout=out)
        except SystemExit as error:
            return int(error.code or 0), out.getvalue()
        return 0, out.getvalue()

    def variables(self, **more: str) -> dict[str, str]:
        """The environment of a separate process."""
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(PROJECT)]),
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "PROJECT_DATABASES": json.dumps(self.databases),
            "PROJECT_WINDLASS": json.dumps({"updates": self.updates, **self.words}),
            **more,
        }

    def start(self, *words: str, stdin: str = "", **more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "manage.py", *words]
        return subprocess.Popen(
            command, cwd=PROJECT, env=self.variables(**more), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def manage(self, *words: str, stdin: str = "", **more: str) -> Ran:
        return ended(self.start(*words, **more), stdin)


def ended(process: subprocess.Popen[str], stdin: str = "") -> Ran:
    out, errors = process.communicate(stdin, timeout=SECONDS)
    return Ran(process.returncode, out + errors, out)


def plain(counts: Mapping[str, int]) -> dict[str, int]:
    """Without what is 0, and without how many were read."""
    return {word: number for word, number in counts.items() if number and word != "read"}


def values(name: str, *fields: str) -> list[Any]:
    """Of all rows, in the order of their keys."""
    found: Sequence[Any] = model(name).objects.order_by("pk").values_list(*fields)
    return [one[0] if len(fields) == 1 else one for one in found]
