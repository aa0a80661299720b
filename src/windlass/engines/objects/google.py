"""Credentials for Google's services, of every kind that Google's own library takes.

These are a user's, a service account's, a workload's that another identity provider vouches for,
those that impersonate another account, or the machine's. Google's library is only imported when
they are used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from windlass.errors import ConnectionLost, WindlassError
from windlass.model.text import first_line

if TYPE_CHECKING:
    from obstore.store import GCSCredential

STORAGE = ("https://www.googleapis.com/auth/devstorage.read_write",)
HINT = "give GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`"
_TIMEOUT_SECONDS = 30.0
# obstore's own options for no token, or a given one
_OWN = ("skip_signature", "bearer_token")
_PATHS = ("application_credentials", "service_account", "service_account_path")
_KEY = "service_account_key"


def load_google_credentials(scopes: Sequence[str], *, path: str = "", info: str = "") -> Any:
    """Credentials from a file or from JSON; otherwise those of the environment:
    GOOGLE_APPLICATION_CREDENTIALS, gcloud, or the machine.

    Raises:
        WindlassError: there are none, or they cannot be read. The message shows none of them.
    """
    try:
        import google.auth as google_auth
        import google.auth.transport.requests  # noqa: F401  (it is needed to use them)
        from google.auth.exceptions import GoogleAuthError
    except ImportError as error:
        hint = "pip install 'windlass-db[export]'"
        raise WindlassError(f"{error.name} is not installed", hint=hint) from None
    library: Any = google_auth  # its functions have no types
    try:
        if info:
            return library.load_credentials_from_dict(_parsed(info), scopes=scopes)[0]
        if path:
            return library.load_credentials_from_file(path, scopes=scopes)[0]
        return library.default(scopes=scopes)[0]
    except (GoogleAuthError, OSError, ValueError) as error:
        raise WindlassError(f"no credentials: {said(error)}", hint=HINT) from None


def _parsed(info: str) -> dict[str, Any]:
    try:
        found = json.loads(info)
    except ValueError:  # its message may repeat what it has read
        found = None
    if not isinstance(found, dict):
        raise WindlassError("no credentials: what was given is not a JSON object", hint=HINT)
    return found


def said(error: BaseException) -> str:
    """The message of Google's library. Its errors have the server's answer as a second argument,
    which may repeat what was sent, so only the first one is used."""
    told = str(error.args[0]) if error.args else ""
    return first_line(error, told)[:300]


class GoogleTokens:
    """Tokens for one of obstore's stores, which asks whenever it needs one."""

    refresh_threshold = timedelta(minutes=3, seconds=45)  # Google's own

    def __init__(self, load: Callable[[], Any]) -> None:
        """Reads and connects to nothing yet."""
        self._load, self._lock = load, Lock()
        self._made: Any = None
        self.fault: WindlassError | None = None  # of the last call

    def __call__(self) -> GCSCredential:
        from google.auth import exceptions as faults

        with self._lock:
            try:
                found: GCSCredential = self._provider()
            except WindlassError as error:
                self.fault = error
                raise
            except faults.TransportError as error:
                self.fault = ConnectionLost(said(error), hint="check that Google can be reached")
                raise self.fault from None
            except (faults.GoogleAuthError, OSError, ValueError) as error:
                message = f"the credentials are not accepted: {said(error)}"
                self.fault = WindlassError(message, hint=f"renew them: {HINT}")
                raise self.fault from None
            self.fault = None
            return found

    @property
    def _provider(self) -> Any:
        if self._made is None:
            from google.auth.transport.requests import Request
            from obstore.auth.google import GoogleCredentialProvider

            request: Any = partial(Request(), timeout=_TIMEOUT_SECONDS)
            self._made = GoogleCredentialProvider(self._load(), request=request)
        return self._made


def google_tokens(options: Mapping[str, str]) -> tuple[GoogleTokens | None, dict[str, str]]:
    """The tokens for a store with these options, and the options that remain for obstore. No tokens
    if the options switch off credentials, or give some that only obstore supports."""
    plain = {key.lower().removeprefix("google_"): key for key in options}
    given = {name: options[key] for name, key in plain.items()}
    asked = [os.environ.get(f"GOOGLE_{name.upper()}") for name in (*_OWN, *_PATHS[1:], _KEY)]
    path = next((given[name] for name in _PATHS if given.get(name)), "")
    info = given.get(_KEY, "")
    if any(given.get(name) for name in _OWN) or _is_obstores(info):
        return None, dict(options)
    if any(asked) and not (path or info):
        return None, dict(options)
    ours = {plain[name] for name in (*_PATHS, _KEY) if name in plain}
    left = {key: value for key, value in options.items() if key not in ours}
    return GoogleTokens(lambda: load_google_credentials(STORAGE, path=path, info=info)), left


def _is_obstores(info: str) -> bool:
    """A key without the `type` that all of Google's have: for a server that asks for no token."""
    if not info:
        return False
    try:
        found = json.loads(info)
    except ValueError:
        return False
    return isinstance(found, dict) and "type" not in found
