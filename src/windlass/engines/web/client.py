"""HTTP requests: safe redirects, secrets that only reach their own server, and which failures are
worth retrying.

What happens with an answer is decided elsewhere.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Self
from urllib.parse import urljoin

import httpx
from tenacity import RetryCallState

from windlass.engines.web.addresses import bare, check_redirect, login, origin, shown
from windlass.errors import ConnectionLost, WindlassError
from windlass.version import __version__

MOST_REDIRECTS = 10
_REDIRECTS = {301, 302, 303, 307, 308}
_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_HINTS = {
    401: "give user and password in the URL, or a token",
    403: "check that the user or the token may read it",
    404: "check the URL",
    410: "check the URL",
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is tried again, and after how many seconds. After progress, counting
    starts over."""

    attempts: int = 6
    first_seconds: float = 0.5
    most_seconds: float = 30
    answer_seconds: float = 60  # of silence
    connect_seconds: float = 10


class Failed(ConnectionLost):
    """A request failed in a way that may pass. `wait_seconds` is the time that the server asks
    for."""

    wait_seconds = 0.0


class Web:
    """A client. `headers`, and the user and password of a URL, are only sent to the origin of the
    first URL. A context manager."""

    def __init__(
        self, patience: Patience | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self._secret = dict(headers or {})
        patience = patience or Patience()
        self._client = httpx.Client(
            timeout=httpx.Timeout(patience.answer_seconds, connect=patience.connect_seconds),
            follow_redirects=False,
            headers={"User-Agent": f"windlass/{__version__}", "Accept-Encoding": "identity"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self._client.close()

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[httpx.Response]:
        """The answer, whose body is not read, with a status of 2xx or 304.

        Raises:
            Failed: the request may succeed if it is tried again.
            WindlassError: it will not.
        """
        first, where = url, url
        with ExitStack() as stack:
            for _ in range(MOST_REDIRECTS + 1):
                response = stack.enter_context(self._one(first, where, headers or {}))
                if response.status_code not in _REDIRECTS:
                    break
                target = urljoin(bare(where), response.headers.get("Location", ""))
                check_redirect(where, target)
                response.close()
                where = target
            else:
                raise WindlassError(f"{shown(first)}: too many redirects", side="source")
            _check_status(response, first)
            with explaining(first):
                yield response

    @contextmanager
    def _one(self, first: str, url: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        is_ours = origin(url) == origin(first)
        sent = {**(self._secret if is_ours else {}), **headers}
        pair = login(first) if is_ours else None
        auth = httpx.BasicAuth(*pair) if pair else None
        with explaining(first):
            request = self._client.build_request("GET", bare(url), headers=sent)
            response = self._client.send(request, stream=True, auth=auth)
        try:
            yield response
        finally:
            response.close()


@contextmanager
def explaining(url: str) -> Iterator[None]:
    """Map the client's errors. Their texts may have the URL in them, so none is shown."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise Failed(
            f"{shown(url)}: no answer in time", hint="check the server", side="source"
        ) from error
    except httpx.TransportError as error:
        if _is_certificate(error):
            raise WindlassError(
                f"{shown(url)}: the server's certificate cannot be trusted",
                hint="give the certificate of its authority in SSL_CERT_FILE",
                side="source",
            ) from error
        what = _WHAT.get(type(error).__name__, "the connection broke")
        raise Failed(f"{shown(url)}: {what}", hint="check the server", side="source") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise WindlassError(
            f"{shown(url)}: cannot be fetched: {type(error).__name__}", side="source"
        ) from error


_WHAT = {
    "ConnectError": "cannot be reached",
    "RemoteProtocolError": "the server hung up before the end",
    "ProxyError": "the proxy refused",
    "UnsupportedProtocol": "its protocol is not supported",
}


def _is_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _check_status(response: httpx.Response, url: str) -> None:
    status = response.status_code
    if response.is_success or status in (304, 416):
        return
    message = f"{shown(url)}: the server answers {status} {response.reason_phrase}".rstrip()
    if status in _AGAIN:
        failed = Failed(message, hint="try again later", side="source")
        failed.wait_seconds = _wait_seconds(response.headers.get("Retry-After", ""))
        raise failed
    raise WindlassError(message, hint=_HINTS.get(status, "see the server's log"), side="source")


def _wait_seconds(text: str) -> float:
    """``Retry-After``: seconds, or a date (RFC 9110, 10.2.3)."""
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


class Waiting:
    """How long tenacity waits: twice as long each time, or as long as the server asks for."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._times = 0

    def begin(self) -> None:
        """Note progress: the next wait is short again."""
        self._times = 0

    @property
    def is_over(self) -> bool:
        return self._times >= self._patience.attempts

    def __call__(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait_seconds if isinstance(error, Failed) else 0.0
        seconds: float = self._patience.first_seconds * 2 ** max(0, self._times - 1)
        return min(max(seconds, asked), self._patience.most_seconds)

    def stop(self, state: RetryCallState) -> bool:
        self._times += 1
        return self.is_over
