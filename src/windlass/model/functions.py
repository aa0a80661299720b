"""Functions of Python that users name: imported where they are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from windlass.errors import WindlassError
from windlass.model.flow import resolve


def imported(name: str) -> Callable[[Any], Any]:
    """Raises:
    WindlassError: it cannot be imported here, or is no function.
    """
    try:
        found: object = resolve(name)
    except (Exception, SystemExit) as error:  # any error of its module
        raise WindlassError(
            f"function {name}: cannot be imported here: {type(error).__name__}",
            hint="put its folder on PYTHONPATH (on Airflow: of every worker)",
        ) from error
    if not callable(found):
        hint = "give package.module:name of a function"
        raise WindlassError(f"function {name}: is not a function", hint=hint)
    return found
