"""Django's system check of the setting WINDLASS: every fault that needs no database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core import checks

from windlass.django.planning import read_configured, targets_of
from windlass.errors import BadSpec, Refused
from windlass.model.wording import spelled

FAULT, PROBLEM = "windlass.E001", "windlass.E002"


def register() -> None:
    checks.register(check_setting)


def check_setting(app_configs: Sequence[Any] | None, **_: Any) -> list[checks.Error]:
    try:
        configured = read_configured()
        targets_of(configured.updates, configured.database)
    except BadSpec as error:
        return [checks.Error(spelled(one), id=FAULT) for one in error.faults]
    except Refused as error:
        return [
            checks.Error(
                f"WINDLASS: {one.object}: {spelled(one.message)}", spelled(one.hint), id=PROBLEM
            )
            for one in error.problems
        ]
    return []
