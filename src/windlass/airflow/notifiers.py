"""Notifiers that users choose for the end of a run, as a YAML file names them: any subclass of
Airflow's `BaseNotifier`, by import path."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from windlass.airflow.notices import SUBJECT, TEXT
from windlass.errors import BadSpec
from windlass.spec.model import list_of_one

SHORT = {
    "smtp": "airflow.providers.smtp.notifications.smtp.SmtpNotifier",
    "slack": "airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier",
}
# placeholders in a notifier's arguments for the texts of `Notices`
_OURS = {"{{ windlass_subject }}": SUBJECT, "{{ windlass_text }}": TEXT}
_VERDICTS = {"success": "done", "failure": "failed"}
_SECRET = re.compile(
    r"passw|secret|token|authorization|(api|access|private|routing|integration)_?key", re.I
)

When = Literal["success", "failure"]


class NotifierSpec(BaseModel):
    """One notifier. `use` is the import path of its class, or one of `SHORT`; `with` its arguments.
    (In YAML, `on` would be a boolean.)"""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    use: str
    when: Annotated[tuple[When, ...], BeforeValidator(list_of_one)] = ("success", "failure")
    given: dict[str, Any] = Field(default_factory=dict, alias="with")

    def made(self, when: When) -> Any:
        """The notifier for this end of a run.

        Raises:
            BadSpec: there is no such class, or it does not take these arguments.
        """
        if secret := sorted(key for key in _keys(self.given) if _SECRET.search(key)):
            held = ", ".join(secret)
            raise BadSpec([f"{self.use}: {held}: holds a secret; use a connection of Airflow"])
        kind = _class_at(self.use)
        words = _said(self.given, _VERDICTS[when])
        try:
            return kind(**words)
        except TypeError as error:
            raise BadSpec([f"{self.use}: with: {error}"]) from None


def _keys(value: Any) -> Iterator[str]:
    """The keys of all mappings in it."""
    if isinstance(value, Mapping):
        yield from map(str, value)
        value = list(value.values())
    for one in value if isinstance(value, list) else ():
        yield from _keys(one)


def _class_at(use: str) -> Any:
    from airflow.sdk import BaseNotifier

    place, _, name = SHORT.get(use, use).rpartition(".")
    try:
        found = pkgutil.resolve_name(f"{place}:{name}" if place else name)
    except (ImportError, AttributeError, ValueError) as error:
        hint = f"give the import path of a notifier, or one of {', '.join(SHORT)}"
        raise BadSpec([f"{use}: cannot be imported: {error} ({hint})"]) from None
    if not (isinstance(found, type) and issubclass(found, BaseNotifier)):
        raise BadSpec([f"{use}: is no subclass of airflow.sdk.BaseNotifier"])
    return found


def _said(value: Any, verdict: str) -> Any:
    """The value, with our own texts in place of the placeholders."""
    if isinstance(value, Mapping):
        return {key: _said(one, verdict) for key, one in value.items()}
    if isinstance(value, list):
        return [_said(one, verdict) for one in value]
    if isinstance(value, str):
        for mark, text in _OURS.items():
            value = value.replace(mark, text % {"verdict": verdict})
    return value
