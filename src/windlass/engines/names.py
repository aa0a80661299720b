"""What a database, a folder of files or a store is called without its login: a label of metrics.

It is made from the address alone, so a run that reached nothing has the same label as one that did.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from windlass.errors import BadSpec

_POSTGRES = ("postgresql", "postgres")


def name_of(address: str) -> str:
    """``shop on db.example.com:5432``, the name of a libpq service, ``s3://lake/shop``.

    Empty if it cannot be read. So is one with an ``@`` left in it: libpq and others do not agree on
    which ``@`` ends a password, so what is left may be a part of one.
    """
    if address.strip().lower().startswith("odbc:"):
        return _odbc(address.strip())
    scheme, colon, _ = address.strip().partition("://")
    is_url = bool(colon) and "=" not in scheme
    made = _url(address) if is_url and scheme.partition("+")[0] not in _POSTGRES else _pg(address)
    return "" if "@" in made else made


def _pg(address: str) -> str:
    from windlass.engines.postgres.session import Address  # a store has no use for its driver

    try:
        words = Address.parse("source", address).words
    except BadSpec:
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
    """Without login, options and fragment, each of which may hold a secret."""
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")
