"""What errors of Snowflake's connector mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from snowflake.connector import errors as faults

from windlass.errors import ConnectionLost, WindlassError
from windlass.model.text import first_line

# numbers of errors: the connector's `errorcode` and `network` modules, and Snowflake's messages
MISSING = (2003, 2043)  # or this role may not see it
_LOCKED = 625
_NO_WAREHOUSE = 606
_NO_PRIVILEGE = 3001
_NOT_REACHED = (250001, 250003)  # also for logins that are refused
_REFUSED = re.compile(r"password|JWT|token|credential|authenticat|user .* disabled", re.IGNORECASE)
_HTTP = tuple(
    getattr(faults, name)
    for name in (
        "BadGatewayError", "GatewayTimeoutError", "InternalServerError", "MethodNotAllowed",
        "OtherHTTPRetryableError", "RequestTimeoutError", "ServiceUnavailableError",
        "TooManyRequests",
    )
    if hasattr(faults, name)
)  # fmt: skip


@contextmanager
def explaining(place: str, doing: str) -> Iterator[None]:
    """Raises:
    ConnectionLost: retrying can help. What was in flight is rolled back, or the record of the
        load shows that it was committed.
    """
    try:
        yield
    except faults.Error as error:
        raise _explained(f"{place}: {doing}", error) from None
    except OSError as error:
        raise ConnectionLost(f"{place}: {doing}: {first_line(error)}") from error


def is_missing(error: BaseException) -> bool:
    return isinstance(error, faults.ProgrammingError) and error.errno in MISSING


def _explained(doing: str, error: faults.Error) -> WindlassError:
    message, number = f"{doing}: {said(error)}", error.errno
    if number in _NOT_REACHED and _REFUSED.search(str(error.msg)):
        hint = "check user, account and password, key or token, and the authenticator"
        return WindlassError(message, hint=hint)
    if isinstance(error, faults.ForbiddenError):
        return WindlassError(message, hint="check the account's name in the warehouse's URL")
    if number == _LOCKED:
        hint = "others write the table: trying again can help; `show locks` names them"
        return ConnectionLost(message, hint=hint)
    if isinstance(error, (faults.OperationalError, faults.InterfaceError, *_HTTP)):
        return ConnectionLost(message, hint="see the status of Snowflake, and the network")
    if number == _NO_WAREHOUSE:
        hint = "give one that computes: `?warehouse=...` in the warehouse's URL"
        return WindlassError(message, hint=hint)
    if number in MISSING:
        return WindlassError(message, hint="make it, or let the role use it: `?role=...`")
    if number == _NO_PRIVILEGE:
        return WindlassError(message, hint="grant it to the role, or give another: `?role=...`")
    return WindlassError(message)


def said(error: faults.Error) -> str:
    """The message in one line, without values of rows, which messages about data put in quotes."""
    text = re.sub(r"\s+", " ", str(error.msg or "")).strip() or first_line(error)
    if str(error.sqlstate or "").startswith("22"):
        text = re.sub(r"'[^']*'", "'...'", text)
    return text[:300]
