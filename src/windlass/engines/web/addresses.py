"""URLs of the web: how they are shown, which origin they have, and which redirects are allowed.
Pure."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from windlass.errors import BadSpec, WindlassError

_PORTS = {"http": 80, "https": 443}


def checked(url: str) -> str:
    """The URL, parsed.

    Raises:
        BadSpec: it is no URL of the web. The message does not repeat it.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise BadSpec(["from: a URL cannot be understood"]) from error
    if parts.scheme.lower() not in _PORTS or not parts.hostname:
        raise BadSpec(["from: a URL is not one of http:// or https://, with a host"])
    return url


def shown(url: str) -> str:
    """The URL for people: without user and password, and without the values of parameters, which
    may be a signature or a token."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, _host(url), parts.path, "…" if parts.query else "", ""))


def bare(url: str) -> str:
    """The URL for the request: without user, password and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, _host(url), parts.path or "/", parts.query, ""))


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def login(url: str) -> tuple[str, str] | None:
    """User and password; None if there are none."""
    parts = urlsplit(url)
    if parts.username is None and parts.password is None:
        return None
    return unquote(parts.username or ""), unquote(parts.password or "")


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: where a secret may be sent."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(scheme, 0)


def file_name(url: str) -> str:
    """The last part of the path, which shows the format; safe as a file name."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    return re.sub(r"[^\w.-]", "_", name)[-80:].lstrip(".") or "file"


def check_redirect(old: str, new: str) -> None:
    """Check where a redirect leads.

    Raises:
        WindlassError: it leads to another protocol, or from an encrypted one to one that is not.
    """
    before, after = urlsplit(old).scheme.lower(), urlsplit(new).scheme.lower()
    if after not in _PORTS or not urlsplit(new).hostname:
        raise WindlassError(
            f"{shown(old)}: redirects to {after or 'nothing'}, which is not http or https",
            hint="give the URL where the file is",
            side="source",
        )
    if (before, after) == ("https", "http"):
        raise WindlassError(
            f"{shown(old)}: redirects from https to http, where anybody could change the file",
            hint="give the URL where the file is",
            side="source",
        )
