"""What the commands of `manage.py` share: an answer even if Django's own checks fail, which since
6.1 connect to the databases of models with generated columns."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError

from windlass.django.answers import answer
from windlass.django.outcome import Result
from windlass.model.outcome import State
from windlass.model.report import Problem


class AnsweringCommand(BaseCommand):
    """A command with the option ``--json``."""

    def execute(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute(*args, **options)
        except DatabaseError as error:
            message = str(error).partition("\n")[0]
            problem = Problem("a database of the project", message)
            result = Result(State.STOPPED, problems=(problem,))
            answer(self.stdout, result, as_json=bool(options.get("json")))
            return None
