"""The task `run_quarterly_update` for Celery; without Celery it is a plain function."""

from __future__ import annotations

from typing import Any

from windlass.django.refreshing import Options, refresh
from windlass.errors import WindlassError
from windlass.model.outcome import State

try:
    from celery import shared_task
except ImportError:

    def shared_task(**_: Any) -> Any:
        return lambda function: function


WAIT_SECONDS = 3600.0  # how long to wait for another refresh before this one fails


@shared_task(acks_late=True, reject_on_worker_lost=True)
def run_quarterly_update(
    updates: list[dict[str, Any]] | None = None, database: str | None = None
) -> dict[str, Any]:
    """Refresh what the setting lists, or these updates; `database` is an alias of DATABASES. Only
    one runs at a time; others wait. A task that is delivered again after its worker died resumes.

    Raises:
        WindlassError: it did not end well; the message says why.
    """
    result = refresh(updates, database or "", Options(wait_seconds=WAIT_SECONDS))
    if result.state is not State.DONE:
        raise WindlassError("\n".join(result.lines), hint=result.hint)
    return result.as_json()
