"""URLs that name a file on this machine."""

from __future__ import annotations

import hashlib
import os
import platform
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from windlass.errors import WindlassError

_MACHINE = Path("/etc/machine-id")


def path_of(url: str) -> str:
    """The absolute path in ``scheme:///path``. Empty for a URL with a host, without a path, or
    ending in `#...`: that would be a part of the file's name, in which `#` is written as `%23`."""
    parts = urlsplit(url)
    path = unquote(parts.path).lstrip("/")
    return "" if parts.netloc or parts.fragment or not path else f"/{path}"


def path_alone(url: str) -> str:
    """`path_of` a URL that has no options; empty for one that ends in `?...`."""
    return "" if urlsplit(url).query else path_of(url)


def identity_of(engine: str, path: str) -> str:
    """An identity that is the same whatever the file is called, and differs for a file with the
    same path on another machine."""
    machine = ""
    with suppress(OSError):
        machine = _MACHINE.read_text().strip()
    words = f"{machine or platform.node()}:{Path(path).resolve()}"
    return f"{engine}/{hashlib.sha256(words.encode()).hexdigest()[:20]}"


def cannot_make(path: Path) -> str:
    """Why a missing file or folder cannot be created; empty if it can. Creates nothing."""
    above = next(parent for parent in path.parents if parent.exists())
    if not above.is_dir():
        return f"{above} is not a folder"
    return "" if os.access(above, os.W_OK | os.X_OK) else f"no permission to write to {above}"


def check_file(place: str, path: str, scheme: str) -> None:
    """Raises:
    WindlassError: there is no such file.
    """
    if Path(path).is_file():
        return
    hint = f"the path of a URL begins at the root: this is {path}"
    relative = Path(path.lstrip("/"))
    if relative.is_file():
        hint = f"the path of a URL begins at the root: give {scheme}://{relative.resolve()}"
    what = "is a folder" if Path(path).is_dir() else "there is no such file"
    raise WindlassError(f"{place}: {what}", hint=hint, side="source")
