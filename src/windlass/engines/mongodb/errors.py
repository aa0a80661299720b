"""The driver's errors into ours, once. Numbers: mongo/src/mongo/base/error_codes.yml."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from windlass.errors import ConnectionLost, Interrupted, SnapshotLost, WindlassError

SIDE = "source"
NO_RIGHT, NO_SNAPSHOT, BAD_OPTIONS = 13, 246, 72
_TOO_OLD = {239, 246}  # SnapshotTooOld, SnapshotUnavailable
_LOST = {6, 7, 43, 89, 91, 189, 237, 262, 9001, 10107, 11600, 11602, 13435, 13436}
_INTERRUPTED = 11601
_HINTS = {
    8000: "check user and password in the URL, and that the address may connect",
    13: "grant the user the role `read` on the database",
    18: "check user and password in the URL; `@`, `:` and `/` in them are percent-encoded; a user"
    " of another database needs ?authSource=",
    26: "check the name of the database in the URL",
}
_OLD_HINT = (
    "raise minSnapshotHistoryWindowInSeconds on the server, which is five minutes by default; or,"
    " where nobody writes, read without a snapshot: ?snapshot=false in the URL"
)


@contextmanager
def explaining(doing: str, place: str) -> Iterator[None]:
    """Map the driver's errors to ours."""
    from bson.errors import BSONError
    from pymongo.errors import PyMongoError

    try:
        yield
    except (PyMongoError, BSONError) as error:
        raise explain(error, doing, place) from error


def explain(error: Exception, doing: str, place: str) -> WindlassError:
    """Our error for a driver's: the operation, the server's message, and a hint."""
    from pymongo.errors import ConfigurationError, ConnectionFailure

    number = code_of(error)
    message = f"{place}: {doing}: {_message(error)}"
    if number == _INTERRUPTED:
        return Interrupted("stopped on request")
    if number in _TOO_OLD:
        return SnapshotLost(message, hint=_OLD_HINT, side=SIDE)
    if number in _LOST or isinstance(error, ConnectionFailure):
        return ConnectionLost(message, hint="check that the server is up", side=SIDE)
    if isinstance(error, ConfigurationError):
        return WindlassError(message, hint="check the options in the URL", side=SIDE)
    return WindlassError(message, hint=_HINTS.get(number, ""), side=SIDE)


def code_of(error: BaseException) -> int:
    """The server's number for an error; 0: none."""
    found = getattr(error, "code", None)
    return found if isinstance(found, int) else 0


def _message(error: Exception) -> str:
    """Without the description of the topology, which is long."""
    details = getattr(error, "details", None)
    text = str((details or {}).get("errmsg") or error)
    for tail in (", Timeout: ", ", full error: ", ", Topology Description: "):
        text = text.partition(tail)[0]
    return " ".join(text.split()) or type(error).__name__
