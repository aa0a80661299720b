"""``manage.py windlass_check``: every problem that can be found without reading an input."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from windlass.django.answers import answer, bad_spec
from windlass.django.commanding import AnsweringCommand
from windlass.django.showing import checked
from windlass.errors import BadSpec


class Command(AnsweringCommand):
    help = "Check the setting WINDLASS, its models, their tables and migrations."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.add_argument("--database", default="", help="alias in DATABASES")

    def handle(self, *_: Any, **words: Any) -> None:
        try:
            answer(self.stdout, checked(words["database"]), as_json=words["json"])
        except BadSpec as error:
            bad_spec(self.stdout, error, as_json=words["json"])
