"""Where a server of MongoDB is, by its URL. Decides what is ours in it, and connects to nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlencode

from windlass.errors import BadSpec

_FORM = "mongodb://user:password@host:port/database"
_WORDS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Address:
    """`url` is the driver's: without our own options."""

    url: str = field(repr=False)
    place: str  # for people, without secrets
    user: str
    database: str
    wants_snapshot: bool = True


def read_address(url: str) -> Address:
    """Raises:
    BadSpec: it names no database. The message does not repeat the URL, which may contain a
        password.
    """
    scheme, _, rest = url.partition("://")
    where, _, query = rest.partition("?")
    login, at, where = where.rpartition("@")
    hosts, slash, path = where.partition("/")
    database = unquote(path)
    if "/" in login or "@" in login:
        raise _bad(
            "the URL cannot be read: `@`, `:` and `/` in user and password are percent-encoded"
        )
    if not hosts or not database or set(database) & set('/\\. "$\0'):
        raise _bad(f"the URL names no database; write it as {_FORM}")
    try:
        options = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise _bad("the options of the URL cannot be read; write them as ?name=value") from None
    ours = [value.lower() for name, value in options if name.lower() == "snapshot"]
    if not set(ours) <= set(_WORDS):
        raise _bad("snapshot is true or false")
    theirs = [(name, value) for name, value in options if name.lower() != "snapshot"]
    tail = f"?{urlencode(theirs)}" if theirs else ""
    return Address(
        url=f"{scheme.lower()}://{login}{at}{hosts}{slash}{path}{tail}",
        place=hosts,
        user=unquote(login.partition(":")[0]),
        database=database,
        wants_snapshot=all(_WORDS[one] for one in ours),
    )


def _bad(message: str) -> BadSpec:
    return BadSpec([f"source: {message}"])
