"""A folder in an object store: file://, s3://, gs:// or az://. Errors of the store become ours.

Credentials are those of the environment, as each cloud's own tools find them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore import exceptions as faults
from obstore.store import LocalStore, from_url

from windlass.errors import ConnectionLost, WindlassError

# A store that does not answer is told of in half a minute; ten retries would take three.
_RETRIES = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}
_TIMEOUTS = {"connect_timeout": "5s", "timeout": "60s"}
BUFFER_BYTES = 8 << 20  # of an upload in parts: S3 asks for at least 5 MiB each
_HINTS = {
    "s3": "give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role",
    "gs": "give GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`",
    "az": "give AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or log in with az",
    "file": "check the folder's owner and mode",
}

# where a machine of the cloud asks for its role, when nobody has given credentials
_ROLES = ("169.254.", "/latest/api/token", "/latest/meta-data", "metadata.google.internal",
          "computeMetadata", "/metadata/identity")  # fmt: skip


class ObjectStore:
    """Objects below one URL, by paths relative to it."""

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        """Connects to nothing yet.

        Raises:
            WindlassError: the URL or an option cannot be understood.
        """
        self.url = url
        self._scheme = urlsplit(url).scheme
        self._folder: Path | None = None
        try:
            if self._scheme == "file":
                self._folder = Path(unquote(urlsplit(url).path))
                self._folder.mkdir(parents=True, exist_ok=True)
                self._store: Any = LocalStore(self._folder)
            else:
                self._store = from_url(
                    url,
                    config=cast("Any", dict(options or {})) or None,
                    client_options=cast("Any", self._client_options(options or {})),
                    retry_config=cast("Any", _RETRIES),
                )
        except OSError as error:
            raise WindlassError(f"{url}: {error.strerror}", hint=_HINTS["file"]) from error
        except faults.BaseError as error:
            raise self._explained(error, "opening it") from error

    @staticmethod
    def _client_options(options: Mapping[str, str]) -> dict[str, Any]:
        # our own options take the place of those that obstore finds in the environment
        asked = [os.environ.get(f"{cloud}_ALLOW_HTTP", "") for cloud in ("AWS", "AZURE")]
        plain = any("http://" in value for value in options.values()) or "true" in asked
        return {**_TIMEOUTS, **({"allow_http": True} if plain else {})}

    def place(self, path: str) -> str:
        """For people, and for a warehouse that reads the store by itself."""
        return f"{self.url}/{path}"

    def check(self) -> None:
        """That the folder can be reached and listed.

        Raises:
            WindlassError: what is wrong, with a hint.
        """
        with self._explaining("listing it"):
            for _ in obstore.list(self._store, chunk_size=1):
                break

    @contextmanager
    def writing(self, path: str) -> Iterator[IO[bytes]]:
        """A file that appears, as a whole, when it is left without a fault."""
        with self._explaining(f"writing {path}"):
            writer = obstore.open_writer(self._store, path, buffer_size=BUFFER_BYTES)
            yield cast("IO[bytes]", writer)
            writer.close()

    def put(self, path: str, content: bytes) -> None:
        with self._explaining(f"writing {path}"):
            obstore.put(self._store, path, content)

    def get(self, path: str) -> bytes | None:
        """An object's bytes; None if there is none."""
        try:
            with self._explaining(f"reading {path}"):
                return bytes(obstore.get(self._store, path).bytes())
        except FileNotFoundError:
            return None

    def size(self, path: str) -> int | None:
        """In bytes; None if there is no such object."""
        try:
            with self._explaining(f"looking at {path}"):
                return int(obstore.head(self._store, path)["size"])
        except FileNotFoundError:
            return None

    def stream(self, path: str) -> Iterator[bytes]:
        """An object's bytes in portions."""
        try:
            with self._explaining(f"reading {path}"):
                for portion in obstore.get(self._store, path):
                    yield bytes(portion)
        except FileNotFoundError:
            raise vanished(self.place(path)) from None

    def part(self, path: str, start: int, length: int) -> bytes:
        """Some of an object's bytes."""
        try:
            with self._explaining(f"reading {path}"):
                return bytes(obstore.get_range(self._store, path, start=start, length=length))
        except FileNotFoundError:
            raise vanished(self.place(path)) from None

    @contextmanager
    def local(self, path: str) -> Iterator[Path]:
        """An object as a file on this machine, for a reader that needs one."""
        if self._folder is not None:
            found = self._folder / path
            if not found.is_file():
                raise vanished(self.place(path))
            yield found
            return
        with tempfile.NamedTemporaryFile(suffix=Path(path).suffix) as copy:
            for portion in self.stream(path):
                copy.write(portion)
            copy.flush()
            yield Path(copy.name)

    def list(self, prefix: str) -> list[str]:
        """The paths below one."""
        with self._explaining(f"listing {prefix}"):
            found = obstore.list(self._store, prefix)
            return sorted(str(one["path"]) for some in found for one in some)

    def delete(self, paths: Iterable[str]) -> None:
        """Those that are there."""
        for path in paths:
            try:
                with self._explaining(f"removing {path}"):
                    obstore.delete(self._store, path)
            except FileNotFoundError:
                continue

    @contextmanager
    def _explaining(self, doing: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if "bucket" in str(error).lower() or "container" in str(error).lower():
                raise self._explained(error, doing) from error
            raise
        except (faults.BaseError, PermissionError, OSError) as error:
            raise self._explained(error, doing) from error

    def _explained(self, error: BaseException, doing: str) -> WindlassError:
        """What the store said in its first line; the rest may be a page of XML."""
        text = str(error)
        said = (text.strip().splitlines() or [type(error).__name__])[0][:300]
        low, hint = text.lower(), _HINTS[self._scheme]
        if isinstance(error, PermissionError) or "403" in text or "forbidden" in low:
            return WindlassError(f"{self.url}: no permission for {doing}: {said}", hint=hint)
        if isinstance(error, faults.UnauthenticatedError) or "401" in text or "credential" in low:
            return WindlassError(f"{self.url}: no credentials for {doing}: {said}", hint=hint)
        if isinstance(error, FileNotFoundError) or ("bucket" in low and "not" in low):
            return WindlassError(
                f"{self.url}: there is no such bucket ({doing})", hint="make it, or check its name"
            )
        if any(place in text for place in _ROLES):
            return WindlassError(f"{self.url}: no credentials for {doing}", hint=hint)
        if "No space left" in text:
            return WindlassError(f"{self.url}: {doing}: no space left", hint="make space")
        return ConnectionLost(f"{self.url}: {doing}: {said}", hint="check that the store is up")


def vanished(place: str) -> WindlassError:
    return WindlassError(
        f"{place} has vanished since it was written",
        hint="nothing was loaded from it; run the extract of this run again",
    )
