"""URLs that name a file on this machine."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit


def path_of(url: str) -> str:
    """The absolute path of ``scheme:///path``; empty for a URL that has a host, or no path."""
    parts = urlsplit(url)
    path = unquote(parts.path).lstrip("/")
    return "" if parts.netloc or not path else f"/{path}"
