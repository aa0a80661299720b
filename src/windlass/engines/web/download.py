"""A file of the web as a file here: resumed if the connection breaks, and stored completely or not
at all.

What is known about the file is stored beside it, so that another process of the same run neither
fetches it again nor mixes two versions.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import httpx
from tenacity import Retrying, retry_if_exception_type

from windlass.engines.web.addresses import checked, file_name, shown
from windlass.engines.web.client import Failed, Patience, Waiting, Web, explaining
from windlass.errors import Interrupted, WindlassError
from windlass.model.load import Identity

BLOCK_BYTES = 1 << 20
MOST_CUTS = 3  # at one place; a server that always cuts a file off there is not asked again
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that was fetched; without a path it has not changed since it was last loaded."""

    place: str  # for people, without secrets
    name: str  # by which its format is decided
    path: Path | None
    identity: Identity


@dataclass(frozen=True, slots=True)
class _Version:
    """The version of a file that the bytes so far belong to. `size_bytes` is -1 if unknown."""

    etag: str = ""
    modified: str = ""
    size_bytes: int = -1

    @property
    def validator(self) -> str:
        """For ``If-Range``, which takes no weak ETag (RFC 9110, 13.1.5); empty without one."""
        if self.etag:
            return "" if self.etag.startswith("W/") else self.etag
        return self.modified


def never() -> bool:
    return False


def download(
    url: str,
    folder: Path,
    known: Identity | None = None,
    *,
    patience: Patience | None = None,
    is_stopped: Callable[[], bool] = never,
) -> Fetched:
    """Fetch a file into the folder of a run, unless this run has it already or it is unchanged
    since it was `known`.

    Raises:
        BadSpec: it is no URL of the web.
        ConnectionLost: the server cannot be reached, or hangs up again and again.
        WindlassError: it cuts the file off at the same place again and again, refuses, redirects to
            where files may not be from, or there is no space.
        Interrupted: `is_stopped` says so.
    """
    one = _Download(checked(url), folder, known or Identity(), patience or Patience(), is_stopped)
    return one.fetch()


class _Download:
    def __init__(
        self, url: str, folder: Path, known: Identity, patience: Patience,
        is_stopped: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._url, self._known, self._patience = url, known, patience
        self._is_stopped, self._most = is_stopped, 0
        self._size, self._cut, self._cuts = 0, -1, 0  # now, at the last cut, and cuts there
        self._waiting = Waiting(patience)
        self._name = file_name(url)
        self._path = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{self._name}"
        self._begun = self._path.with_name(f"{self._path.name}.part")
        self._note = self._path.with_name(f"{self._path.name}.json")

    def fetch(self) -> Fetched:
        if (done := self._done()) is not None:
            return self._fetched(done)
        retrying = Retrying(
            retry=retry_if_exception_type(Failed),
            wait=self._waiting,
            stop=self._waiting.stop,
            reraise=True,
        )
        try:
            with Web(self._patience) as web:
                return retrying(self._attempt, web)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise WindlassError(
                f"no space left in {self._path.parent} for {shown(self._url)}", hint="make space"
            ) from error

    def _fetched(self, identity: Identity, path: Path | None = None) -> Fetched:
        return Fetched(shown(self._url), self._name, path or self._path, identity)

    def _done(self) -> Identity | None:
        """The file, if an earlier attempt of the run has fetched it."""
        note = self._read_note()
        if "sha256" not in note or not self._path.is_file():
            return None
        identity = Identity(**note)
        return identity if identity.size_bytes == self._path.stat().st_size else None

    def _attempt(self, web: Web) -> Fetched:
        has = self._begun.stat().st_size if self._begun.is_file() else 0
        version = self._version() if has else _Version()
        if not version.validator:
            has = 0  # nothing shows whether the rest is of the same version
        with web.get(self._url, self._headers(has, version)) as response:
            if response.status_code == 304:
                return Fetched(shown(self._url), self._name, None, self._known)
            answered = self._answered(response, has, version)
            if answered is None:
                self._begun.unlink(missing_ok=True)
                raise Failed(f"{shown(self._url)}: has changed while it was fetched", side="source")
            start, version = answered
            self._write_note(asdict(version))
            self._size = start
            with self._counting_cuts():
                sha256 = self._receive(response, start, version)
        identity = Identity(self._begun.stat().st_size, sha256, version.etag, version.modified)
        self._begun.replace(self._path)
        self._write_note(asdict(identity))
        return self._fetched(identity)

    @contextmanager
    def _counting_cuts(self) -> Iterator[None]:
        """Raises:
        WindlassError: the body has ended too early at the same place so many times.
        """
        try:
            yield
        except Failed as error:
            if isinstance(error.__cause__, httpx.TimeoutException):
                raise
            self._cuts = self._cuts + 1 if self._size == self._cut else 1
            self._cut = self._size
            if self._cuts < MOST_CUTS:
                raise
            raise WindlassError(
                f"{shown(self._url)}: the server has cut the file off after {self._cut:,} bytes"
                f" {self._cuts} times",
                hint="fetch it with another program, check it, and give the file",
                side="source",
            ) from error

    def _headers(self, has: int, version: _Version) -> dict[str, str]:
        if has:
            return {"Range": f"bytes={has}-", "If-Range": version.validator}
        if self._known.etag:
            return {"If-None-Match": self._known.etag}
        return {"If-Modified-Since": self._known.modified} if self._known.modified else {}

    def _answered(
        self, response: httpx.Response, has: int, version: _Version
    ) -> tuple[int, _Version] | None:
        """Where the body begins, and its version; None if it does not match what is here."""
        headers = response.headers
        found = _Version(headers.get("ETag", ""), headers.get("Last-Modified", ""))
        if not _is_as_stored(headers.get("Content-Encoding", "identity"), self._name):
            raise WindlassError(
                f"{shown(self._url)}: the server compresses what it sends, though it was asked not"
                " to",
                hint="give the URL of the file as it is stored",
                side="source",
            )
        if response.status_code == 416:
            return None
        if response.status_code == 206:
            part = _RANGE.fullmatch(headers.get("Content-Range", ""))
            if not has or part is None or int(part[1]) != has:
                return None
            size = int(part[3])
            if version.size_bytes not in (-1, size) or found.etag not in ("", version.etag):
                return None
            return has, _Version(version.etag, version.modified, size)
        length = headers.get("Content-Length", "")
        if not length.isdigit() and "chunked" not in headers.get("Transfer-Encoding", ""):
            raise WindlassError(
                f"{shown(self._url)}: the server does not say how long the file is: a part of it"
                " would look complete",
                hint="fetch it with another program, check it, and give the file",
                side="source",
            )
        return 0, _Version(found.etag, found.modified, int(length) if length.isdigit() else -1)

    def _receive(self, response: httpx.Response, start: int, version: _Version) -> str:
        """Append the body; returns the SHA-256 of the whole file."""
        digest = hashlib.sha256()
        with self._begun.open("r+b" if start else "wb") as file:
            if start:
                _hash(file, start, digest)
            with explaining(self._url):
                # as they come, so that none is lost with the connection
                for block in response.iter_raw():
                    file.write(block)
                    digest.update(block)
                    self._progress(file.tell())
                    if self._is_stopped():
                        raise Interrupted("stopped on request")
            size = file.tell()
            file.truncate()
            os.fsync(file.fileno())
        if version.size_bytes not in (-1, size):
            raise Failed(
                f"{shown(self._url)}: {size:,} of {version.size_bytes:,} bytes have arrived",
                hint="try again later",
                side="source",
            )
        return digest.hexdigest()

    def _progress(self, size: int) -> None:
        """Note progress. A server that always hangs up at the same place makes none."""
        self._size = size
        if size > self._most:
            self._most = size
            self._waiting.begin()

    def _version(self) -> _Version:
        note = self._read_note()
        return _Version() if "sha256" in note or not note else _Version(**note)

    def _read_note(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._note.read_text())
        except (OSError, ValueError):
            return {}
        return found

    def _write_note(self, note: dict[str, Any]) -> None:
        """Written completely or not at all."""
        new = self._note.with_name(f"{self._note.name}.new")
        new.write_text(json.dumps(note))
        new.replace(self._note)


def _is_as_stored(encoding: str, name: str) -> bool:
    """Many servers declare a .gz file as encoded, although they send it unchanged."""
    return encoding == "identity" or (encoding in ("gzip", "x-gzip") and name.endswith(".gz"))


def _hash(file: IO[bytes], size: int, digest: Any) -> None:
    left = size
    while left and (block := file.read(min(BLOCK_BYTES, left))):
        digest.update(block)
        left -= len(block)
