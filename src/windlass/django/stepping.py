"""A step that a scheduler requests, from JSON to JSON. The project is set up here, with the
database that the environment names."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from windlass.django.replaced import REPLACED
from windlass.errors import BadSpec, Interrupted, Refused, Unreachable, WindlassError
from windlass.model.wording import spelled

DATABASE = "WINDLASS_DATABASE"  # a conninfo string, which replaces the database of the settings
SETTINGS = "DJANGO_SETTINGS_MODULE"
DONE, BAD_SPEC, REFUSED, STOPPED, INTERRUPTED = 0, 2, 3, 4, 130
Answer = dict[str, Any]


def answered(line: str) -> tuple[int, Answer]:
    """The exit code and the answer to a request. Errors of the project become an answer.

    Raises:
        Interrupted: the caller has stopped it.
    """
    try:
        request = json.loads(line)
    except ValueError as error:
        return BAD_SPEC, _failed("bad spec", faults=[f"stdin: {error}"])
    try:
        step = request["step"]
        set_up(request.get("database", ""), refreshes=step not in MOVING)
        found = _function_of(step)(request)
    except Interrupted:
        raise
    except BadSpec as error:
        return BAD_SPEC, _failed("bad spec", faults=[spelled(one) for one in error.faults])
    except Refused as error:
        problems = [{key: spelled(str(it)) for key, it in one.to_json().items()}
                    for one in error.problems]  # fmt: skip
        return REFUSED, _failed("refused", problems=problems)
    except Unreachable as error:
        problems = [one.to_json() for one in error.problems]
        return STOPPED, _failed("stopped", problems=problems, hint=spelled(error.hint))
    except WindlassError as error:
        return STOPPED, _failed("stopped", message=spelled(str(error)), hint=spelled(error.hint))
    except Exception as error:
        return STOPPED, _failed("stopped", message=_described(error))
    return int(found.pop("exit_code", DONE)), _clean(found)


MOVING = ("describe", "make_tables")


def _function_of(step: str) -> Callable[[Mapping[str, Any]], Answer]:
    if step in MOVING:  # projects that need not have our application
        from windlass.django import moving

        found: Callable[[Mapping[str, Any]], Answer] = getattr(moving, step)
        return found
    from windlass.django.steps import STEPS

    return STEPS[step]


def set_up(alias: str, *, refreshes: bool = True) -> None:
    """Set up Django, with the database from the environment under this alias. A step that
    `refreshes` needs our application.

    Raises:
        BadSpec: the project cannot be set up.
    """
    name = os.environ.get(SETTINGS, "")
    if not name:
        raise BadSpec([f"{SETTINGS} is not set"])
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        import django
        from django.conf import settings

        if given := os.environ.pop(DATABASE, ""):
            databases = settings.DATABASES
            key = alias or "default"
            REPLACED[key] = dict(databases.get(key, {}))
            databases[key] = database_of(given, REPLACED[key])
        django.setup()
        if refreshes and "windlass.django" not in settings.INSTALLED_APPS:
            raise BadSpec(["INSTALLED_APPS: does not have windlass.django"])
    except (BadSpec, Interrupted):
        raise
    except Exception as error:
        raise BadSpec([f"{name} cannot be set up: {_described(error)}"]) from error


def database_of(conninfo: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of DATABASES: that of the settings, but connected as the conninfo string says."""
    from psycopg.conninfo import conninfo_to_dict

    words = {key: str(value) for key, value in conninfo_to_dict(conninfo).items()}
    is_postgres = "postg" in str(settings.get("ENGINE", ""))  # PostGIS has its own engine
    kept = dict(settings) if is_postgres else {}
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST",
             "port": "PORT"}  # fmt: skip
    own = {django: words.pop(libpq, "") for libpq, django in names.items()}
    options = {**(kept.get("OPTIONS") or {}), **words}
    return {"ENGINE": "django.db.backends.postgresql", **kept, **own, "OPTIONS": options}


def _described(error: BaseException) -> str:
    """The error in one line: what it is, and where in the project."""
    text = str(error).partition("\n")[0]
    frames = traceback.extract_tb(error.__traceback__)
    here = [one for one in frames if one.filename.startswith(str(Path.cwd()))]
    place = f" ({Path(here[-1].filename).name}, line {here[-1].lineno})" if here else ""
    return f"{type(error).__name__}: {text}{place}"


def _failed(state: str, **words: Any) -> Answer:
    return _clean({"state": state, **words})


def _clean(found: Answer) -> Answer:
    """The text without passwords of the project's databases."""
    if "django" not in sys.modules:
        return found
    from django.conf import settings

    if not settings.configured:
        return found
    from windlass.django.answers import without_secrets

    def cleaned(value: Any) -> Any:
        if isinstance(value, str):
            return without_secrets(value)
        if isinstance(value, list | tuple):
            return [cleaned(one) for one in value]
        if isinstance(value, dict):
            return {key: cleaned(one) for key, one in value.items()}
        return value

    return {key: cleaned(value) for key, value in found.items()}
