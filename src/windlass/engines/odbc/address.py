"""Where a database is, by an ODBC connection string or the name of a data source. Decides which
parts may be shown; does not connect."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from windlass.errors import BadSpec

PREFIX = "odbc:"
_FORMS = "odbc:DRIVER=...;SERVER=... or odbc://user:password@DSN"
# of connection strings; other words may be a secret of some driver
_SHOWN = ("DSN", "SERVER", "HOST", "SERVERNAME", "ADDRESS", "DBQ", "DATABASE", "PORT")
_ALSO_PATHS = re.compile(r"[\w./:\\ -]+")
_PAIR = re.compile(r"\s*([^=;]+?)\s*=\s*(\{(?:[^}]|\}\})*\}|[^;]*)\s*(?:;|$)")


@dataclass(frozen=True, slots=True)
class Address:
    """`text` is a connection string, with its passwords."""

    text: str = field(repr=False)
    place: str  # for people, without secrets


def read_address(url: str) -> Address:
    """Raises:
    BadSpec: it cannot be read. The message does not repeat it, as it may contain a password.
    """
    rest = url[len(PREFIX) :]
    words = _of_url(rest[2:]) if rest.startswith("//") else _of_string(rest)
    if not words:
        raise BadSpec([f"source: the address names no driver and no data source: give {_FORMS}"])
    text = ";".join(f"{name}={value}" for name, value in words)
    by_name = {name.upper(): value.strip("{}") for name, value in words}
    shown = [
        by_name[name] for name in _SHOWN if name in by_name and _ALSO_PATHS.fullmatch(by_name[name])
    ]
    return Address(text, f"ODBC {' '.join(shown) or 'data source'}")


def _of_string(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        match = _PAIR.match(text, at)
        if match is None:
            raise BadSpec([f"source: the connection string cannot be read: give {_FORMS}"])
        found.append((match[1], match[2]))
        at = match.end()
    names = {name.upper() for name, _ in found}
    return found if names & {"DRIVER", "DSN", "FILEDSN"} else []


def _of_url(rest: str) -> list[tuple[str, str]]:
    where, _, query = rest.partition("?")
    login, _, source = where.rpartition("@")
    source = source.strip("/")
    if not source or "/" in source or "@" in login:
        return []
    user, colon, password = login.partition(":")
    found = [("DSN", unquote(source))]
    if user:
        found.append(("UID", unquote(user)))
    if colon:
        found.append(("PWD", unquote(password)))
    found += parse_qsl(query, keep_blank_values=True)
    return [(name, _braced(value)) for name, value in found]


def _braced(value: str) -> str:
    """The value in braces, as ODBC writes values that may contain its own special characters."""
    return value if re.fullmatch(r"[\w.-]*", value) else "{" + value.replace("}", "}}") + "}"
