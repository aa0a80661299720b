"""Pages of a JSON API as one file of JSON lines, which is then read like any other. A row is the
text that the API sent.

A row is the text that the API sent. One page at a time is in memory.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import httpx
import msgspec
from tenacity import Retrying, retry_if_exception_type

from windlass.engines.web.addresses import bare, checked, origin, shown
from windlass.engines.web.client import Failed, Patience, Waiting, Web
from windlass.engines.web.download import Fetched, never
from windlass.errors import BadSpec, Interrupted, WindlassError
from windlass.model.inputs import ApiFrom
from windlass.model.load import Identity

MOST_PAGE_BYTES = 128 << 20
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def fetch_pages(
    api: ApiFrom,
    folder: Path,
    *,
    patience: Patience | None = None,
    is_stopped: Callable[[], bool] = never,
) -> Fetched:
    """Fetch all pages in order, unless this run has fetched them.

    Raises:
        BadSpec: the URL cannot be understood, or the token is not in the environment.
        ConnectionLost: the server cannot be reached, or hangs up again and again.
        WindlassError: it refuses, or a page is not as it was described.
        Interrupted: `is_stopped` says so.
    """
    checked(api.url)
    what = hashlib.sha256(repr(astuple(api)).encode()).hexdigest()[:16]
    path = folder / f"{what}-pages.jsonl"
    begun = path.with_name(f"{path.name}.part")
    if not path.is_file():
        with begun.open("wb") as file:
            for row in _rows(api, patience or Patience(), is_stopped):
                file.write(row)
                file.write(b"\n")
            file.flush()
            os.fsync(file.fileno())
        begun.replace(path)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    identity = Identity(path.stat().st_size, sha256)
    return Fetched(shown(api.url), path.name, path, identity)


def _rows(api: ApiFrom, patience: Patience, is_stopped: Callable[[], bool]) -> Iterator[bytes]:
    with Web(patience, _token(api)) as web:
        url: str | None = _first(api)
        seen: set[str] = set()
        number = 1
        while url:
            if is_stopped():
                raise Interrupted("stopped on request")
            if url in seen:
                raise _wrong(api, number, "is the same as an earlier one: it would never end")
            seen.add(url)
            page = _Page(api, number, *_body(web, api, url, patience))
            rows = page.rows()
            yield from rows
            url = page.next(url, has_rows=bool(rows))
            number += 1


def _token(api: ApiFrom) -> dict[str, str]:
    if not api.token_env:
        return {}
    token = os.environ.get(api.token_env, "").strip()
    if not token:
        raise BadSpec([f"from: the environment has no variable {api.token_env}, for the token"])
    return {api.token_header: f"{api.token_prefix}{token}"}


def _first(api: ApiFrom) -> str:
    return _with_parameter(api.url, api.page, str(api.first_page)) if api.page else api.url


def _with_parameter(url: str, name: str, value: str) -> str:
    return str(httpx.URL(url).copy_set_param(name, value))


def _body(web: Web, api: ApiFrom, url: str, patience: Patience) -> tuple[bytes, Mapping[Any, Any]]:
    waiting = Waiting(patience)
    retrying = Retrying(
        retry=retry_if_exception_type(Failed), wait=waiting, stop=waiting.stop, reraise=True
    )
    return retrying(_one_body, web, url)


def _one_body(web: Web, url: str) -> tuple[bytes, Mapping[Any, Any]]:
    with web.get(url, {"Accept": "application/json"}) as response:
        blocks = bytearray()
        for block in response.iter_bytes(1 << 20):
            blocks += block
            if len(blocks) > MOST_PAGE_BYTES:
                raise WindlassError(
                    f"{shown(url)}: a page is larger than {MOST_PAGE_BYTES >> 20} MB",
                    hint="ask the API for smaller pages",
                    side="source",
                )
        return bytes(blocks), response.links


class _Page:
    """One page: its rows, and the address of the next one."""

    def __init__(self, api: ApiFrom, number: int, body: bytes, links: Mapping[Any, Any]) -> None:
        self._api, self._number, self._body, self._links = api, number, body, links

    def rows(self) -> list[bytes]:
        found = self._at(self._api.records)
        if found is None:
            raise self._wrong(f"has no {self._api.records}")
        try:
            rows = [bytes(one) for one in _LIST.decode(found)]
        except msgspec.DecodeError:
            what = self._api.records or "it"
            raise self._wrong(f"{what} is not a list") from None
        if not all(row.startswith(b"{") for row in rows):
            raise self._wrong("has a row that is not an object")
        return [row.replace(b"\r", b" ").replace(b"\n", b" ") for row in rows]

    def next(self, url: str, *, has_rows: bool) -> str | None:
        api = self._api
        if api.page:
            if not has_rows:
                return None
            return _with_parameter(api.url, api.page, str(api.first_page + self._number))
        if api.cursor:
            cursor = self._text(api.cursor)
            return _with_parameter(api.url, api.cursor_parameter, cursor) if cursor else None
        if not api.next:
            return None
        if api.next == "link":
            found = str(self._links.get("next", {}).get("url", ""))
        else:
            found = self._text(api.next)
        return self._joined(url, found) if found else None

    def _joined(self, url: str, found: str) -> str:
        try:
            joined = str(httpx.URL(bare(url)).join(found))
            checked(joined)
        except (httpx.InvalidURL, BadSpec):
            raise self._wrong("names a next page that is no URL of the web") from None
        if origin(joined) != origin(self._api.url):
            raise self._wrong(
                f"names a next page on another host: {shown(joined)}",
                "the token is only for the host of the first page",
            )
        # user and password are those of the first URL
        return str(httpx.URL(joined).copy_with(userinfo=httpx.URL(self._api.url).userinfo))

    def _text(self, path: str) -> str:
        found = self._at(path)
        if found is None or bytes(found) in (b"null", b"false", b'""'):
            return ""
        raw = bytes(found)
        if raw.startswith((b"{", b"[")):
            raise self._wrong(f"{path} is neither text nor a number")
        return msgspec.json.decode(raw, type=str) if raw.startswith(b'"') else raw.decode()

    def _at(self, path: str) -> msgspec.Raw | bytes | None:
        """The value at a path of keys."""
        found: msgspec.Raw | bytes = self._body
        for key in filter(None, path.split(".")):
            try:
                inside = _OBJECT.decode(found)
            except msgspec.ValidationError:
                return None
            except msgspec.DecodeError:
                raise self._wrong("is not JSON") from None
            if key not in inside:
                return None
            found = inside[key]
        return found

    def _wrong(self, what: str, hint: str = "look at the page in a browser") -> WindlassError:
        return _wrong(self._api, self._number, what, hint)


def _wrong(api: ApiFrom, number: int, what: str, hint: str = "") -> WindlassError:
    return WindlassError(f"{shown(api.url)}: page {number} {what}", hint=hint, side="source")
