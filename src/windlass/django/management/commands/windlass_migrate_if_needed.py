"""``manage.py windlass_migrate_if_needed``: apply migrations, only where some are missing."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from windlass.django.answers import answer
from windlass.django.commanding import AnsweringCommand
from windlass.django.needed import LOCK_SECONDS, WAIT_SECONDS
from windlass.django.showing import migrated


class Command(AnsweringCommand):
    help = (
        "Apply migrations that are missing, one process at a time. Refuses models that are ahead of"
        " their migrations, conflicts and an inconsistent history; never makes migrations."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--plan", action="store_true", help="show the SQL")
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.add_argument("--database", default="default", help="alias in DATABASES")
        parser.add_argument(
            "--wait", type=float, default=WAIT_SECONDS, metavar="SECONDS",
            help="for another process that migrates",
        )  # fmt: skip
        parser.add_argument(
            "--lock-timeout", type=float, default=LOCK_SECONDS, metavar="SECONDS",
            help="for each lock of a table that is in use",
        )  # fmt: skip

    def handle(self, *_: Any, **words: Any) -> None:
        result = migrated(
            words["database"],
            only_plan=words["plan"],
            wait_seconds=words["wait"],
            lock_seconds=words["lock_timeout"],
        )
        answer(self.stdout, result, as_json=words["json"])
