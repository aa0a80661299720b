"""A run's series pushed to a Prometheus Pushgateway, as one group: job `windlass`, and the labels.

A Pushgateway only keeps what it was last given, so counters are read from it first. Runs with the
same labels that end at once may lose one of their counts; everything else is of the last one.
The interface: https://github.com/prometheus/pushgateway#api
"""

from __future__ import annotations

import base64
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from windlass.metrics.families import Samples
from windlass.metrics.text import NotOurs, read_ours, written

JOB = "windlass"
USER, PASSWORD = "WINDLASS_PUSHGATEWAY_USER", "WINDLASS_PUSHGATEWAY_PASSWORD"
TOKEN = "WINDLASS_PUSHGATEWAY_TOKEN"
SECONDS = 10.0  # for each answer
LARGEST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Pushgateway:
    """`url` has no login; that is in the environment, read when it is needed."""

    url: str

    def fault(self) -> str:
        """What is wrong with the login in the environment; empty: nothing. Sends no request."""
        user, password, token = (os.environ.get(name, "") for name in (USER, PASSWORD, TOKEN))
        if token and (user or password):
            return f"{TOKEN} and {USER} or {PASSWORD} are both set"
        if password and not user:
            return f"{PASSWORD} is set, and {USER} is not"
        if not (token.isascii() and token.strip().isprintable()):
            return f"{TOKEN} has characters that no token has"
        return ""

    def change(self, changed: Callable[[Samples], Samples], labels: Mapping[str, str]) -> str:
        """Replace the group of these labels with what `changed` makes of it. Returns why that
        failed; empty if it did not."""
        try:
            before = read_ours(self._ask("GET", "/metrics"), {"job": JOB, **labels})
            ours = {_without(key): value for key, value in before.items()}
            self._ask("PUT", _group_path(labels), written(changed(ours)))
        except urllib.error.HTTPError as error:
            return f"it answered {error.code} {error.reason}{_first_line(error)}"
        except urllib.error.URLError as error:
            return _reason(error.reason)
        except (OSError, http.client.HTTPException, NotOurs) as error:
            return _reason(error)
        except ValueError:  # a host that no name server could know
            return "its URL cannot be used"
        return ""

    def _ask(self, method: str, path: str, body: str | None = None) -> str:
        data = None if body is None else body.encode("utf-8", "replace")
        request = urllib.request.Request(self.url + path, data, _login(), method=method)
        if data is not None:
            request.add_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        with _OPENER.open(request, timeout=SECONDS) as answer:
            text: bytes = answer.read(LARGEST_BYTES)
        return text.decode("utf-8", "replace")


class _StaysHere(urllib.request.HTTPRedirectHandler):
    """A login is sent to its own server and to no other."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_StaysHere)


def _login() -> dict[str, str]:
    if token := os.environ.get(TOKEN, "").strip():
        return {"Authorization": f"Bearer {token}"}
    user, password = os.environ.get(USER, ""), os.environ.get(PASSWORD, "")
    if not user:
        return {}
    coded = base64.b64encode(f"{user}:{password}".encode("utf-8", "surrogateescape"))
    return {"Authorization": f"Basic {coded.decode()}"}


def _group_path(group: Mapping[str, str]) -> str:
    """In base64, as a label's value may have slashes."""
    coded = (f"/{name}@base64/{_base64(value)}" for name, value in group.items() if value)
    return f"/metrics/job/{JOB}{''.join(coded)}"


def _base64(value: str) -> str:
    return base64.urlsafe_b64encode(value.encode("utf-8", "replace")).decode().rstrip("=")


def _without(key: Any) -> Any:
    """A series as it was pushed."""
    name, labels = key
    return name, tuple(one for one in labels if one[0] not in ("job", "instance"))


def _first_line(error: urllib.error.HTTPError) -> str:
    with error:
        lines = error.read(500).decode("utf-8", "replace").strip().splitlines()
    return f": {lines[0][:200]}" if lines and error.code == 400 else ""


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {SECONDS:.0f} s"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
