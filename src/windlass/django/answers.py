"""How commands answer: as text or JSON, with the exit codes of `windlass`. Passwords of the
project's databases are never part of an answer, even if they occur in an error's text."""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn, Protocol

from django.db import connections

from windlass.django.databases import secret_of
from windlass.errors import BadSpec
from windlass.model.wording import spelled

BAD_SPEC = 2


class Answer(Protocol):
    @property
    def exit_code(self) -> int: ...

    @property
    def lines(self) -> list[str]: ...

    def as_json(self) -> dict[str, Any]: ...


def answer(out: Any, found: Answer, *, as_json: bool) -> None:
    """Print it, and exit with its code unless that is 0."""
    text = json.dumps(found.as_json(), indent=2) if as_json else "\n".join(found.lines)
    out.write(without_secrets(text))
    if found.exit_code:
        sys.exit(found.exit_code)


def bad_spec(out: Any, error: BadSpec, *, as_json: bool) -> NoReturn:
    faults = [spelled(one) for one in error.faults]
    text = json.dumps({"state": "bad spec", "faults": faults}, indent=2)
    if not as_json:
        text = "\n".join(["bad spec:", *(f"  {one}" for one in faults)])
    out.write(without_secrets(text))
    sys.exit(BAD_SPEC)


def without_secrets(text: str) -> str:
    for alias in connections:
        if secret := secret_of(alias):
            text = text.replace(secret, "***")
    return text
