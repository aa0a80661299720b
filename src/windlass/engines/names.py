"""The name of a database, a folder of files or a store, without login: for reports, the page, and
metrics, where it is a label.

It is made from the address alone, so a run that could not connect has the same label as one that
could.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from windlass.errors import BadSpec

_POSTGRES = ("postgresql", "postgres")


def name_of(address: str) -> str:
    """``shop on db.example.com:5432``, the name of a libpq service, ``s3://lake/shop``.

    Empty if the address cannot be read. Also empty if an ``@`` is left in it: programs disagree on
    which ``@`` ends a password, so what is left may contain a part of one.
    """
    if address.strip().lower().startswith("odbc:"):
        return _odbc(address.strip())
    scheme, colon, _ = address.strip().partition("://")
    is_url = bool(colon) and "=" not in scheme
    made = _url(address) if is_url and scheme.partition("+")[0] not in _POSTGRES else _pg(address)
    return "" if "@" in made else made


def role_of(address: str) -> str:
    """The role that an address names, or libpq takes instead; empty if there is none, or a service
    may name it."""
    if not address:
        return ""
    scheme, colon, _ = address.strip().partition("://")
    if colon and "=" not in scheme and scheme.partition("+")[0] not in _POSTGRES:
        with suppress(ValueError):
            return unquote(urlsplit(address.strip()).username or "")
        return ""
    words = None if address.strip().lower().startswith("odbc:") else _words(address)
    if words is None:
        return ""
    default = "" if "service" in words else os.environ.get("PGUSER", "")
    return words.get("user", default)


def _words(address: str) -> Mapping[str, str] | None:
    """None if it cannot be read."""
    from windlass.engines.postgres.session import Address  # a store does not need its driver

    try:
        return Address.parse("source", address).words
    except BadSpec:
        return None


def _pg(address: str) -> str:
    words = _words(address)
    if words is None:
        return ""
    if service := words.get("service"):
        return service
    host = words.get("host") or words.get("hostaddr") or "local"
    place = f"{host}:{words.get('port', 5432)}"
    return f"{words['dbname']} on {place}" if "dbname" in words else place


def _odbc(address: str) -> str:
    from windlass.engines.odbc.address import read_address

    try:
        return read_address(address).place
    except BadSpec:
        return ""


def _url(address: str) -> str:
    """The URL without login, options and fragment, each of which may hold a secret."""
    try:
        parts = urlsplit(address.strip())
        _ = parts.port  # what is no number may be a part of a password
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")
