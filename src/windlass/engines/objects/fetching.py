"""Fetches objects of a store as files: finds those that a pattern matches, and stores each
completely or not at all."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from windlass.engines.objects.store import ObjectStore, vanished
from windlass.errors import BadSpec, ConnectionLost, Interrupted
from windlass.model.load import Identity


@dataclass(frozen=True, slots=True)
class Found:
    """An object and its URL."""

    store: ObjectStore
    path: str

    @property
    def place(self) -> str:
        return self.store.place(self.path)


def find(location: str, options: Mapping[str, str] | None = None) -> list[Found]:
    """The objects that a URL or a pattern matches, by name. `*` and `?` match within a part of the
    path, `**` matches any parts.

    Raises:
        BadSpec: the URL names no object.
        WindlassError: the store cannot be reached.
    """
    parts = urlsplit(location, allow_fragments=False)
    # a question mark belongs to the pattern, it does not start a query
    path = location.partition("://")[2].partition("/")[2]
    if not parts.netloc or not path or path.endswith("/"):
        raise BadSpec([f"{location}: names no object"])
    host = location.partition("://")[2].partition("/")[0]
    store = ObjectStore(f"{parts.scheme}://{host}", options)
    if not glob.has_magic(path) or store.size(path) is not None:
        return [Found(store, path)] if store.size(path) is not None else []
    before = re.split(r"[*?\[]", path, maxsplit=1)[0]
    prefix = before.rpartition("/")[0]
    wanted = re.compile(pattern(path))
    return [Found(store, one) for one in store.list(prefix) if wanted.fullmatch(one)]


def pattern(path: str) -> str:
    """A regular expression for the paths that a pattern matches."""
    found, at = [], 0
    while at < len(path):
        letter = path[at]
        if path.startswith("**/", at) and (at == 0 or path[at - 1] == "/"):
            found.append("(?:[^/]+/)*")
            at += 3
            continue
        if path[at:] == "**" and (at == 0 or path[at - 1] == "/"):
            found.append(".*")
            at += 2
            continue
        end = path.find("]", at + 2) if letter == "[" else -1
        if end > 0:
            found.append("(?!/)" + fnmatch.translate(path[at : end + 1])[4:-3])
            at = end + 1
            continue
        found.append({"*": "[^/]*", "?": "[^/]"}.get(letter) or re.escape(letter))
        at += 1
    return "".join(found)


def is_same(found: Found, known: Identity) -> bool:
    """Whether the store has the object with the ETag that was `known`."""
    now = found.store.look(found.path)
    return now is not None and (now.etag, now.size_bytes) == (known.etag, known.size_bytes)


def fetch(
    found: Found, folder: Path, is_stopped: Callable[[], bool] = lambda: False
) -> tuple[Path, Identity]:
    """The object as a file in the folder of a run, unless this run has it already.

    Raises:
        ConnectionLost: it was changed while it was read.
        WindlassError: it cannot be read.
        Interrupted: `is_stopped` says so.
    """
    before = found.store.look(found.path)
    if before is None:
        raise vanished(found.place)
    name = hashlib.sha256(found.place.encode()).hexdigest()[:16]
    path = folder / f"{name}-{Path(found.path).name}"
    note = path.with_name(f"{path.name}.json")
    if path.is_file() and note.is_file():
        identity = Identity(**json.loads(note.read_text()))
        if (identity.etag, path.stat().st_size) == (before.etag, before.size_bytes):
            return path, identity
    begun = path.with_name(f"{path.name}.part")
    digest, size = hashlib.sha256(), 0
    with begun.open("wb") as file:
        for block in found.store.stream(found.path):
            file.write(block)
            digest.update(block)
            size += len(block)
            if is_stopped():
                raise Interrupted("stopped on request")
        file.flush()
        os.fsync(file.fileno())
    if size != before.size_bytes or found.store.look(found.path) != before:
        raise ConnectionLost(f"{found.place}: has changed while it was fetched", side="source")
    identity = Identity(size, digest.hexdigest(), before.etag, before.modified)
    begun.replace(path)
    note.write_text(json.dumps(asdict(identity)))
    return path, identity
