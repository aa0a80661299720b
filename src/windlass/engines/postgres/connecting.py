"""Why a server refused the connection, in one line, and whether retrying can help.

A refused connection has no SQLSTATE in psycopg: libpq's text is all there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from windlass.engines.postgres.errors import explain
from windlass.errors import ConnectionLost, ServerStarting, WindlassError
from windlass.model.wording import PASSWORD, word

# what retrying does not change, and what it may, each with a hint
_FINAL = {
    "password authentication failed|no password supplied": (
        f"check the password in {word(PASSWORD)}"
    ),
    "no pg_hba.conf entry|requires a valid client certificate|certificate authentication failed": (
        "the server's pg_hba.conf does not allow this user from this host"
    ),
    'database ".*" does not exist': "check the database name",
    'role ".*" does not exist|is not permitted to log in|authentication failed for user': (
        "check the user name"
    ),
    "not currently accepting connections|permission denied for database": (
        "name another database, or GRANT CONNECT ON DATABASE"
    ),
    "(failed to resolve host|could not translate host name)(?!.*(Temporary|EAI_AGAIN))": (
        "check the host's name"
    ),
    "unsupported startup parameter": (
        "that is a connection pooler: name the server itself, or leave the options of the"
        " connection out"
    ),
    "channel binding|authentication method|requirepeer|peer authentication": (
        "the server does not offer what the connection requires"
    ),
    "certificate|does not support SSL|SSL negotiation|unsupported protocol|protocol version": (
        "check sslmode and the certificates"
    ),
    "invalid [a-z_ ]*value|invalid (connection|port)|bad value for|could not match": (
        "see docs/connections.md"
    ),
}
_PASSING = {
    "too many|remaining connection slots": "wait, or raise max_connections",
    "Temporary failure in name resolution": "the name server does not answer: try again later",
}
_UP = "check that the server is up, and host and port"
_NO_SERVICE = re.compile('definition of service "([^"]*)" not found')
_PLACE = re.compile(
    r'connection to server (?:at|on socket) "[^"]*"(?: \([^)]*\))?(?:, port \d+)? failed: '
)


def explain_connecting(error: BaseException, place: str, *, side: str) -> WindlassError:
    """Our error for an attempt to connect to `place`."""
    found = explain(error, place, side=side)
    message = _shortened(str(found))
    if service := _NO_SERVICE.search(message):
        return WindlassError(
            f"there is no service {service[1]}",
            hint=f"for a host: postgresql://{service[1]}/DATABASE; services are in"
            " ~/.pg_service.conf or the file that PGSERVICEFILE names",
            side=side,
        )
    if isinstance(found, ServerStarting):
        return ServerStarting(message, hint=found.hint, side=side)
    if hint := next(_hints(_FINAL, message), ""):
        return WindlassError(message, hint=hint, side=side)
    if isinstance(found, ConnectionLost):
        return ConnectionLost(message, hint=next(_hints(_PASSING, message), _UP), side=side)
    return found


def _hints(known: dict[str, str], message: str) -> Iterator[str]:
    return (hint for said, hint in known.items() if re.search(said, message))


def _shortened(message: str) -> str:
    """Without repeating the address, unless several were tried."""
    message = message.replace("connection failed: ", "").replace("connection is bad: ", "")
    if len(set(_PLACE.findall(message))) > 1:
        return message
    message = _PLACE.sub("", message)
    message = re.sub(r"; Is the server running [^;]*\?", "", message)
    return re.sub(r"(FATAL|FEHLER|ERROR):\s+", "", message)
