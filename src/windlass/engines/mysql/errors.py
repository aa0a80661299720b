"""The driver's errors into ours, once. Numbers: mysqld_error.h and errmsg.h of both servers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from windlass.errors import (
    ConnectionLost,
    ConstraintViolated,
    Interrupted,
    ServerStarting,
    SnapshotLost,
    TargetFull,
    WindlassError,
)
from windlass.model.wording import word

NO_RIGHT = {1044, 1045, 1142, 1143, 1227, 1370, 1449, 1698}
LOCKED = 1205  # lock wait timeout
_STOPPED = {1317, 1028}  # query execution was interrupted
_LOST = {
    2002, 2003, 2006, 2013, 2055,  # no connection, or it is gone
    1040, 1129, 1130, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1226,  # refused or aborted
    1205, 1213,  # lock wait timeout, deadlock
    1927, 3024, 1969, 4031,  # killed, ran too long, idle too long
}  # fmt: skip
_FINAL = {1129, 1130}  # trying again does not help
_DOWN = {1053}  # shutdown in progress
_CHANGED = {1412, 1146, 1051}  # definition has changed, or the table is gone
# a duplicate, a row without its parent, a check, and keys that the server does not take
_VIOLATED = {1062, 1451, 1452, 3819, 4025, 1005, 1215, 1822, 1826, 3780, 3823}
_FULL = {1021, 1114}  # no space on the disk, the table is full
_TARGET_HINTS = {
    1044: "grant the user ALL PRIVILEGES on the database, and check its name",
    1142: "grant the user ALL PRIVILEGES on the database",
    1143: "grant the user ALL PRIVILEGES on the database",
    1153: "raise max_allowed_packet on the server",
    1290: "the server is read-only: give the URL of the one that takes writes",
    1370: "grant the user EXECUTE on the routine",
    1836: "the server is read-only: give the URL of the one that takes writes",
}
_HINTS = {
    1040: f"lower {word('jobs')}, or raise max_connections",
    1044: "grant the user SELECT on the database, and check its name",
    1045: "check user and password in the URL; `@`, `:` and `/` in them are percent-encoded; a"
    " server that takes only encrypted connections needs ?ssl=required",
    1049: "check the name of the database in the URL",
    1129: "run `flush hosts` on the server",
    1130: "the server admits nobody from this host: create the user for this host",
    1142: "grant the user SELECT on the table",
    1143: "grant the user SELECT on the column",
    1203: f"lower {word('jobs')}, or raise max_user_connections",
    1205: "another session has it locked: wait until that has finished",
    1226: f"lower {word('jobs')}, or raise the user's limits",
    1356: "the view refers to objects that are gone, or that its definer may not read",
    1370: "grant the user EXECUTE on the routine",
    1698: "the server does not authenticate this user by password: use another user",
    1827: "the password's hash on the server has another format",
    2005: "check the host name",
    3024: "raise max_execution_time on the server",
    1969: "raise max_statement_time on the server",
    3159: "the server takes only encrypted connections: add ?ssl=required to the URL",
}


def explain(error: BaseException, doing: str, place: str, side: str = "source") -> WindlassError:
    """Our error for a driver's: the operation, the server's message, and a hint."""
    number = number_of(error)
    message = f"{place}: {doing}: {_message(error)}"
    if number in _STOPPED:
        return Interrupted("stopped on request")
    if number in _DOWN:
        return ServerStarting(message, hint="wait until the server is up", side=side)
    hint = _HINTS.get(number, "")
    if "certificate verify failed" in message:
        hint = "check the host's name in the URL, and ssl-ca: who has signed its certificate"
    if side == "target":
        hint = _TARGET_HINTS.get(number, hint)
        if number in _VIOLATED:
            return ConstraintViolated(message, hint=hint, side=side)
        if number in _FULL:
            return TargetFull(message, hint="make space, then run the same command", side=side)
    elif number in _CHANGED:
        return SnapshotLost(
            message, hint="the table was changed, emptied or dropped: run again", side=side
        )
    if number in _LOST - _FINAL or (not number and isinstance(error, OSError | EOFError)):
        return ConnectionLost(message, hint=hint or "check that the server is up", side=side)
    return WindlassError(message, hint=hint, side=side)


@contextmanager
def explaining(doing: str, place: str, side: str = "source") -> Iterator[None]:
    """Map the driver's errors to ours."""
    from asyncmy import errors

    try:
        yield
    except (errors.MySQLError, OSError, EOFError) as error:
        raise explain(error, doing, place, side) from error


def number_of(error: BaseException) -> int:
    """The server's number for an error, or the client library's; 0: neither."""
    first = error.args[0] if error.args else 0
    return first if isinstance(first, int) and not isinstance(error, OSError) else 0


def _message(error: BaseException) -> str:
    """Without values of rows, which some of the server's messages quote."""
    if number_of(error) in (0, 2003) and isinstance(error.__cause__, OSError):
        error = error.__cause__
        return error.strerror or str(error) or type(error).__name__
    text = str(error.args[1] if len(error.args) > 1 else error).strip().replace("\n", " ")
    if number_of(error) in (1292, 1366, 1062, 1264, 3140, 3141):
        text = re.sub(r"'(?:[^']|'')*'", "'…'", text, count=1)
    return text or type(error).__name__
