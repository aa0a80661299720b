"""Where a MySQL or MariaDB server is, by its URL. Decides how to connect, but does not connect."""

from __future__ import annotations

import getpass
from dataclasses import dataclass, field
from ssl import CERT_NONE, SSLContext, create_default_context
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from windlass.errors import BadSpec

PORT = 3306
_SSL = ("disabled", "required", "verify-ca", "verify-identity")
_OPTIONS = {"ssl", "ssl-ca", "ssl-cert", "ssl-key", "socket", "connect-timeout"}
_FORM = "mysql://user:password@host:port/database"


@dataclass(frozen=True, slots=True)
class Address:
    """A database on a server. `ssl` is one of the words of MySQL's ``--ssl-mode``."""

    host: str
    port: int
    user: str
    database: str
    password: bytes = field(default=b"", repr=False)
    socket: str = ""
    ssl: str = "disabled"
    ssl_ca: str = ""
    ssl_cert: str = ""
    ssl_key: str = ""
    connect_seconds: int = 10
    pads: tuple[bytes, bytes] = field(default=(b"", b""), repr=False)  # a secret to hash with

    @property
    def place(self) -> str:
        """For people, without secrets."""
        return self.socket or f"{self.host}:{self.port}"

    def arguments(self) -> dict[str, Any]:
        """For the driver.

        Raises:
            OSError: a certificate cannot be read.
        """
        where = {"unix_socket": self.socket} if self.socket else {"port": self.port}
        context = self._context()
        return {
            **where,
            "host": self.host,
            "user": self.user,
            "password": self.password,
            "database": self.database,
            "connect_timeout": self.connect_seconds,
            **({"ssl": context} if context else {}),
        }

    def _context(self) -> SSLContext | None:
        if self.ssl == "disabled":
            return None
        context = create_default_context(cafile=self.ssl_ca or None)
        context.check_hostname = self.ssl == "verify-identity"
        if self.ssl == "required":
            context.verify_mode = CERT_NONE
        if self.ssl_cert:
            context.load_cert_chain(self.ssl_cert, self.ssl_key or None)
        return context


def read_address(url: str, side: str = "source") -> Address:
    """The address that a URL gives. Options have hyphens or underscores.

    Raises:
        BadSpec: it is none. The message does not repeat the URL, which may contain a password.
    """
    try:
        parts = urlsplit(url)
        options = {
            name.lower().replace("_", "-"): value
            for name, value in parse_qsl(parts.query, keep_blank_values=True)
        }
        port = parts.port or PORT
        seconds = int(options.get("connect-timeout", "10"))
    except ValueError:
        raise _bad(side, f"the URL cannot be read; write it as {_FORM}") from None
    database = unquote(parts.path.lstrip("/"))
    faults = _faults(options, database, seconds)
    if faults or parts.fragment:
        raise _bad(side, "; ".join(faults) or "`#` is written %23")
    mode = options.get("ssl", "required" if options.get("ssl-cert") else "disabled")
    return Address(
        host=parts.hostname or "localhost",
        port=port,
        user=unquote(parts.username or "") or getpass.getuser(),
        database=database,
        password=unquote(parts.password or "").encode(),
        socket=options.get("socket", ""),
        ssl=_mode(mode),
        ssl_ca=options.get("ssl-ca", ""),
        ssl_cert=options.get("ssl-cert", ""),
        ssl_key=options.get("ssl-key", ""),
        connect_seconds=seconds,
    )


def _faults(options: dict[str, str], database: str, seconds: int) -> list[str]:
    faults = []
    if not database or "/" in database:
        faults.append(f"the URL names no database; write it as {_FORM}")
    if unknown := sorted(set(options) - _OPTIONS):
        known = ", ".join(sorted(_OPTIONS))
        faults.append(f"unknown option {', '.join(unknown)} in the URL; known are {known}")
    if "ssl" in options and _mode(options["ssl"]) not in _SSL:
        faults.append(f"ssl is one of {', '.join(_SSL)}")
    if options.get("ssl-key") and not options.get("ssl-cert"):
        faults.append("ssl-key is given without ssl-cert")
    if not 0 < seconds <= 3600:
        faults.append("connect-timeout is a number of seconds from 1 to 3600")
    return faults


def _mode(word: str) -> str:
    mode = word.lower().replace("_", "-")
    return {"true": "required", "1": "required", "false": "disabled", "0": "disabled"}.get(
        mode, mode
    )


def _bad(side: str, message: str) -> BadSpec:
    return BadSpec([f"{side}: {message}"])
