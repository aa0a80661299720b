"""``manage.py windlass_refresh``: load what the setting WINDLASS says, show it, or undo it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from windlass.django.answers import answer, bad_spec
from windlass.django.commanding import AnsweringCommand
from windlass.django.outcome import Result
from windlass.django.past import undo
from windlass.django.refreshing import Options, refresh, updates_given
from windlass.django.showing import shown_plan
from windlass.errors import BadSpec, Refused, Unreachable
from windlass.model.outcome import State


class Command(AnsweringCommand):
    help = (
        "Load the files and URLs of the setting WINDLASS into the models' tables: what has not"
        " changed is left alone, and the same command resumes what was killed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--plan", action="store_true", help="show what it would do")
        parser.add_argument(
            "--undo", nargs="?", const="", metavar="RUN",
            help="undo a run; without one, all of the last refresh",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.add_argument(
            "--updates", metavar="FILE", help="a JSON list instead of the setting's; - is stdin"
        )
        parser.add_argument("--database", default="", help="alias in DATABASES")
        parser.add_argument("--again", action="store_true", help="also load what has not changed")
        parser.add_argument(
            "--migrate", action="store_true", help="first apply migrations that are missing"
        )
        parser.add_argument(
            "--wait", type=float, default=0, metavar="SECONDS", help="for another refresh to end"
        )
        parser.add_argument(
            "--skip-changed", action="store_true",
            help="with --undo: leave rows that others have changed since as they are",
        )  # fmt: skip
        parser.add_argument(
            "--force", action="store_true",
            help="with --undo: also undo rows that others have changed since",
        )  # fmt: skip

    def handle(self, *_: Any, **words: Any) -> None:
        try:
            answer(self.stdout, self._result(words), as_json=words["json"])
        except BadSpec as error:
            bad_spec(self.stdout, error, as_json=words["json"])

    def _result(self, words: dict[str, Any]) -> Any:
        updates = _read(words["updates"]) if words["updates"] else None
        if words["undo"] is not None:
            _, database = updates_given((), words["database"])
            return undo(
                database or "default", words["undo"],
                force=words["force"], skip_changed=words["skip_changed"],
            )  # fmt: skip
        if words["plan"]:
            try:
                return shown_plan(updates, words["database"])
            except Refused as error:
                return Result(State.REFUSED, problems=error.problems)
            except Unreachable as error:
                return Result(State.STOPPED, problems=error.problems)
        options = Options(words["migrate"], words["again"], words["wait"])
        return refresh(updates, words["database"], options)


def _read(path: str) -> object:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text()
        return json.loads(text)
    except (OSError, ValueError) as error:
        place = "stdin" if path == "-" else path
        raise CommandError(f"{place}: {error}", returncode=2) from error
