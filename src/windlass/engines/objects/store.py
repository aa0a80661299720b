"""A folder in an object store: file://, s3://, gs:// or az://. Maps the store's errors to ours.

Credentials come from the environment, as each cloud's own tools find them, or from the options.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore import exceptions as faults
from obstore.store import LocalStore, from_url

from windlass.engines import scratch
from windlass.engines.objects.google import HINT, GoogleTokens, google_tokens
from windlass.engines.paths import cannot_make
from windlass.errors import ConnectionLost, WindlassError
from windlass.model.load import Identity
from windlass.model.text import first_line

# A store that does not answer is reported after half a minute; with ten retries it would take
# three.
_RETRIES = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}
_TIMEOUTS = {"connect_timeout": "5s", "timeout": "60s"}
BUFFER_BYTES = 8 << 20  # of an upload in parts: S3 asks for at least 5 MiB each
_HINTS = {
    "s3": "give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role",
    "gs": HINT,
    "az": "give AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or log in with az",
    "file": "check the folder's owner and mode",
}

# environment variables in which obstore looks for a store's address
_ENDPOINTS = ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AZURE_ENDPOINT",
              "AZURE_STORAGE_ENDPOINT")  # fmt: skip
# metadata endpoints, which are asked for a role when no credentials are given
_ROLE = re.compile(
    r"https?://(169\.254\.|metadata\.google\.internal"
    r"|[^/\s]+/(latest/(api/token|meta-data)|computeMetadata|metadata/identity))"
)
# A store's answer as its client reports it. Names of buckets, paths and runs may contain any word
# or number, so only these patterns identify the cause.
_STATUS = re.compile(r"non-2xx status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_NO_BUCKET = {"NoSuchBucket", "InvalidBucketName", "ContainerNotFound", "InvalidResourceName"}
_NO_PERMISSION = {"AccessDenied", "AuthorizationFailure", "AuthorizationPermissionMismatch"}
_NO_CREDENTIALS = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "AuthenticationFailed",
                   "InvalidAccessKeyId", "SignatureDoesNotMatch"}  # fmt: skip


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
        self._tokens: GoogleTokens | None = None
        asked, words = dict(options or {}), {}
        if self._scheme == "gs":
            self._tokens, asked = google_tokens(asked)
            words = {"credential_provider": self._tokens} if self._tokens else {}
        try:
            if self._scheme == "file":
                self._folder = _folder_of(url)
            else:
                self._remote: Any = from_url(
                    url,
                    config=cast("Any", asked) or None,
                    client_options=cast("Any", self._client_options(asked)),
                    retry_config=cast("Any", _RETRIES),
                    **cast("Any", words),
                )
        except faults.BaseError as error:
            # nothing was requested yet, so the URL, an option or a credential is wrong, which
            # retrying does not change
            raise WindlassError(
                f"{url}: {first_line(error)[:300]}", hint=_HINTS[self._scheme]
            ) from error

    @property
    def _store(self) -> Any:
        return self._remote if self._folder is None else self._local

    @cached_property
    def _local(self) -> Any:
        """Of a folder that is there."""
        return LocalStore(cast("Path", self._folder), automatic_cleanup=True)

    @property
    def _is_there(self) -> bool:
        """Whether the folder exists. The first write creates it; until then it counts as empty."""
        return self._folder is None or self._folder.is_dir()

    def _make(self) -> None:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def _client_options(options: Mapping[str, str]) -> dict[str, Any]:
        # our options replace those that obstore finds in the environment
        asked = [os.environ.get(f"{cloud}_ALLOW_HTTP", "") for cloud in ("AWS", "AZURE")]
        places = [*options.values(), *(os.environ.get(name, "") for name in _ENDPOINTS)]
        plain = any("http://" in place for place in places) or "true" in asked
        return {**_TIMEOUTS, **({"allow_http": True} if plain else {})}

    def place(self, path: str) -> str:
        """The object's URL, for people and for a warehouse that reads the store itself."""
        return f"{self.url}/{path}"

    def check(self) -> None:
        """Check that the folder can be reached and listed.

        Raises:
            WindlassError: what is wrong, with a hint.
        """
        if not self._is_there:
            if fault := cannot_make(cast("Path", self._folder)):
                raise WindlassError(f"{self.url}: {fault}", hint=_HINTS["file"])
            return
        with self._explaining_all("listing it"):
            for _ in obstore.list(self._store, chunk_size=1):
                break

    @contextmanager
    def writing(self, path: str) -> Iterator[IO[bytes]]:
        """A file that appears only when it is complete: when the block ends without an error."""
        with self._explaining_all(f"writing {path}"):
            self._make()
            writer = obstore.open_writer(self._store, path, buffer_size=BUFFER_BYTES)
            yield cast("IO[bytes]", writer)
            writer.close()

    def put(self, path: str, content: bytes) -> None:
        with self._explaining_all(f"writing {path}"):
            self._make()
            obstore.put(self._store, path, content)

    def create(self, path: str, content: bytes) -> bool:
        """Write an object unless one exists; returns False in that case. Of two writers, only one
        succeeds."""
        with self._explaining_all(f"writing {path}"):
            self._make()
            try:
                obstore.put(self._store, path, content, mode="create")
            except faults.AlreadyExistsError:
                return False
        return True

    def get(self, path: str) -> bytes | None:
        """An object's bytes; None if there is none."""
        if not self._is_there:
            return None
        try:
            with self._explaining(f"reading {path}"):
                return bytes(obstore.get(self._store, path).bytes())
        except FileNotFoundError:
            return None

    def size(self, path: str) -> int | None:
        """The size in bytes; None if there is no such object."""
        found = self.look(path)
        return None if found is None else found.size_bytes

    def look(self, path: str) -> Identity | None:
        """What is known about an object without reading it; None if there is none."""
        if not self._is_there:
            return None
        try:
            with self._explaining(f"looking at {path}"):
                found = obstore.head(self._store, path)
        except FileNotFoundError:
            return None
        modified = f"{found['last_modified']:%Y-%m-%dT%H:%M:%S.%fZ}"
        return Identity(int(found["size"]), "", found["e_tag"] or "", modified)

    def stream(self, path: str) -> Iterator[bytes]:
        """An object's bytes, block by block."""
        if not self._is_there:
            raise vanished(self.place(path))
        try:
            with self._explaining(f"reading {path}"):
                for block in obstore.get(self._store, path):
                    yield bytes(block)
        except FileNotFoundError:
            raise vanished(self.place(path)) from None

    def part(self, path: str, start: int, length: int) -> bytes:
        """A part of an object's bytes."""
        if not self._is_there:
            raise vanished(self.place(path))
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
        with scratch.new_file(Path(path).suffix) as copy:
            with copy.open("wb") as file:
                for block in self.stream(path):
                    file.write(block)
            yield copy

    def list(self, prefix: str) -> list[str]:
        """The paths below one."""
        if not self._is_there:
            return []
        with self._explaining_all(f"listing {prefix}"):
            found = obstore.list(self._store, prefix)
            return sorted(str(one["path"]) for some in found for one in some)

    def list_beside(self, path: str, within: timedelta) -> Sequence[str]:
        """Other objects in an object's folder that were written after it, or at most `within`
        before it, by the store's clock."""
        if not self._is_there:
            return []
        folder = f"{path.rpartition('/')[0]}/"
        with self._explaining_all(f"listing {folder}"):
            found = [one for some in obstore.list(self._store, folder) for one in some]
        at = {str(one["path"]): one["last_modified"] for one in found}
        if path not in at:
            return []
        return sorted(one for one in at if one != path and at[one] >= at[path] - within)

    def delete(self, paths: Iterable[str]) -> None:
        """Delete those that exist."""
        if not self._is_there:
            return
        for path in paths:
            try:
                with self._explaining(f"removing {path}"):
                    obstore.delete(self._store, path)
            except FileNotFoundError:
                continue

    def clear(self, folder: str, only: Callable[[str], bool] = lambda _: True) -> int:
        """Remove everything below a folder, including unfinished files of a killed writer, or only
        some paths of it; returns how many."""
        paths = [path for path in self.list(folder) if only(path)]
        self.delete(paths)
        begun = [file for path, file in self._unfinished(folder) if only(path)]
        for file in begun:
            file.unlink(missing_ok=True)
        return len(paths) + len(begun)

    def sizes(self, folder: str) -> dict[str, int]:
        """The size of everything below a folder, by path. Unfinished files are listed by the path
        that they would get."""
        found = {path: file.stat().st_size for path, file in self._unfinished(folder)}
        return found | {path: self.size(path) or 0 for path in self.list(f"{folder}/")}

    def _unfinished(self, folder: str) -> Iterator[tuple[str, Path]]:
        for file in self._begun(folder):
            within = file.relative_to(cast("Path", self._folder)).as_posix()
            yield within.rpartition("#")[0], file

    def _begun(self, folder: str) -> Sequence[Path]:
        """Unfinished local files: obstore first writes to `name#1`, and does not list that name."""
        if self._folder is None:
            return []
        found = (self._folder / folder).rglob("*#*")
        return [file for file in found if file.name.rpartition("#")[2].isdigit()]

    @contextmanager
    def _explaining(self, doing: str) -> Iterator[None]:
        """Map the store's errors. A FileNotFoundError passes through unless the bucket is
        missing."""
        try:
            yield
        except FileNotFoundError as error:
            if _code(error) in _NO_BUCKET:
                raise self._explained(error, doing) from error
            raise
        except (faults.BaseError, PermissionError, OSError) as error:
            raise self._explained(error, doing) from error

    @contextmanager
    def _explaining_all(self, doing: str) -> Iterator[None]:
        """Like `_explaining`, but a missing object is an error too."""
        try:
            with self._explaining(doing):
                yield
        except FileNotFoundError as error:
            raise self._explained(error, doing) from error

    def _explained(self, error: BaseException, doing: str) -> WindlassError:
        """Our error, with the first line of the store's message; the rest may be a page of XML."""
        if self._tokens and (fault := self._tokens.fault):
            return type(fault)(f"{self.url}: {doing}: {fault}", hint=fault.hint)
        text, said = str(error), first_line(error)[:300]
        hint, status, code = _HINTS[self._scheme], _status(error), _code(error)
        if _ROLE.search(text):
            return WindlassError(f"{self.url}: no credentials for {doing}", hint=hint)
        if (
            code in _NO_CREDENTIALS
            or status == "401"
            or isinstance(error, faults.UnauthenticatedError)
            or (not status and "credential" in _without_places(text).lower())
        ):
            return WindlassError(f"{self.url}: no credentials for {doing}: {said}", hint=hint)
        if (
            code in _NO_PERMISSION
            or status == "403"
            or isinstance(error, PermissionError | faults.PermissionDeniedError)
            or "(os error 13)" in text
        ):
            return WindlassError(f"{self.url}: no permission for {doing}: {said}", hint=hint)
        if code in _NO_BUCKET or (status == "404" and not code):
            return WindlassError(
                f"{self.url}: no such bucket ({doing})", hint="create it, or check its name"
            )
        if "(os error 28)" in text:
            return WindlassError(f"{self.url}: {doing}: no space left", hint="make space")
        if "incorrectly configured region" in text:
            return WindlassError(
                f"{self.url}: {doing}: the bucket is in another region", hint="give AWS_REGION"
            )
        if status == "400":
            return WindlassError(f"{self.url}: {doing}: {said}", hint="see the store's message")
        return ConnectionLost(f"{self.url}: {doing}: {said}", hint="check that the store is up")


def _folder_of(url: str) -> Path:
    """The folder that a URL names.

    Raises:
        WindlassError: a part of what is meant as a path is the URL's host, or is cut off.
    """
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
        path = (parts.netloc + parts.path).lstrip("/")
        raise WindlassError(
            f"{url}: not the absolute path of a folder",
            hint=f"give file:///{path}; in a path, # is written %23, and ? is %3F",
        )
    return Path(unquote(parts.path))


def _status(error: BaseException) -> str:
    found = _STATUS.findall(str(error).partition("Debug source")[0])
    return found[-1] if found else ""


def _code(error: BaseException) -> str:
    found = _CODE.search(str(error))
    return found[1] if found else ""


def _without_places(text: str) -> str:
    return re.sub(r"\S*/\S*", "", text)


@contextmanager
def fetched(store: ObjectStore, path: str) -> Iterator[Path]:
    """An object as a file on this machine.

    Raises:
        WindlassError: there is no space for it.
    """
    try:
        with store.local(path) as found:
            yield found
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise WindlassError(
            f"no space left on this machine in {tempfile.gettempdir()} for {store.place(path)}",
            hint="make space, give TMPDIR another folder, or lower file-size",
        ) from error


def vanished(place: str) -> WindlassError:
    return WindlassError(
        f"{place} has vanished since it was written",
        hint="nothing was loaded from it; run the extract of this run again",
    )
