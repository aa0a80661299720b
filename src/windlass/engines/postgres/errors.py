"""Driver errors into ours, once. SQLSTATE classes: appendix A of the PostgreSQL manual."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from windlass.errors import (
    AlreadyDone,
    ConnectionLost,
    ConstraintViolated,
    ServerStarting,
    TargetFull,
    WindlassError,
)
from windlass.model.wording import PASSWORD, word

# retryable: the session or the server is gone, or two sessions conflicted
_PASSING = {
    "08000", "08001", "08003", "08004", "08006", "08P01",  # connection
    "57P01", "57P02", "57P03", "57P05",  # shut down, crashed, starting up, idle
    "57014",  # cancelled: by a person, or because this run stops
    "40001", "40P01", "55P03",  # serialization, deadlock, lock not available
    "53300", "53200", "58030",  # too many connections, out of memory, I/O error
    "25P03", "25P04",  # server-side transaction time-outs
}  # fmt: skip
_VIOLATED = {"23502", "23503", "23505", "23514", "23P01"}
_HINTS = {
    "28P01": f"check the password in {word(PASSWORD)}",
    "28000": "the server's pg_hba.conf does not allow this user from this host",
    "3D000": "check the database name",
    "22021": "correct the value on the source, or use a target that has the source's encoding",
    "22P05": "correct the value on the source, or use a target that has the source's encoding",
    "53100": "make space on the server",
    "53300": f"lower {word('jobs')}, or raise max_connections",
    "25006": "the server is a standby now, or the database or role has been set"
    " default_transaction_read_only = on: lift that",
    "42501": "grant what is missing",
    "55P03": "another session has it locked: wait until that has finished",
    "53200": f"raise max_locks_per_transaction there, or run with fewer {word('jobs')}",
}


def explain(error: BaseException, doing: str, *, side: str) -> WindlassError:
    """Our error for a driver's: the operation, the server's message, and a hint.

    Only the server's primary message is kept: its detail may show row values.
    """
    state = getattr(error, "sqlstate", None)
    message = f"{doing}: {without_values(state, _first_line(error))}"
    hint = _HINTS.get(state or "", "")
    if state == "53300":
        hint = _full_hint(message) or hint
    elif state == "53200" and "out of memory" in message:  # means memory, not shared memory
        hint = f"the server has no memory left: run with fewer {word('jobs')}"
    if state == "53100" or (state == "58030" and "No space left" in str(error)):
        return TargetFull(f"{side} has no space left: {message}", hint=_HINTS["53100"], side=side)
    if state == "23505" and _constraint(error) == ("windlass", "line_pkey"):
        return AlreadyDone(message, side=side)
    if state in _VIOLATED:
        return ConstraintViolated(message, side=side)
    if state == "57P03" or (state is None and _STARTING in str(error)):
        return ServerStarting(message, hint="wait until the server is up", side=side)
    if state is None and any(said in message for said in _FINAL):
        return WindlassError(message, hint=_connection_hint(message), side=side)
    if state in _PASSING or (state is None and _hung_up(error)):
        is_down = state is None or (state[:2] in ("08", "25", "57") and state != "57014")
        hint = hint or (_connection_hint(message) if is_down else "")
        return ConnectionLost(message, hint=hint, side=side)
    return WindlassError(message, hint=hint, side=side, sqlstate=state)


@contextmanager
def explaining(doing: str, *, side: str) -> Iterator[None]:
    """Map psycopg's errors to ours."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise explain(error, doing, side=side) from error


# a refused connection has no SQLSTATE in psycopg: libpq's text is all there is
_STARTING = "the database system is"
_FINAL = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
)
_LIMITED = re.compile(r'too many connections for (role|database) ("(?:[^"]|"")+")')
_SAID = {
    "password authentication failed": _HINTS["28P01"],
    "no password supplied": _HINTS["28P01"],
    "no pg_hba.conf entry": _HINTS["28000"],
    "could not translate host name": "check the host name",
    "does not exist": "check the name",
    "too many": f"wait, lower {word('jobs')}, or raise max_connections",
    "remaining connection slots": f"wait, lower {word('jobs')}, or raise max_connections",
    "SSL": "check sslmode and the certificates",
}


def _full_hint(message: str) -> str:
    """The hint for a limit of a role or a database rather than of the server."""
    found = _LIMITED.search(message)
    if found is None:
        return ""
    kind, name = found.groups()
    return f"lower {word('jobs')}, or ALTER {kind.upper()} {name} CONNECTION LIMIT"


def _connection_hint(message: str) -> str:
    if hint := _full_hint(message):
        return hint
    return next(
        (hint for said, hint in _SAID.items() if said in message), "check that the server is up"
    )


def without_values(state: str | None, text: str) -> str:
    """A data exception (class 22) quotes the value it stumbles over."""
    if state is None or not state.startswith("22"):
        return text
    return re.sub(r'(: |value )".*"', r'\1"…"', text, flags=re.DOTALL)


def _first_line(error: BaseException) -> str:
    diag = getattr(error, "diag", None)
    primary = getattr(diag, "message_primary", None) or getattr(error, "message", None)
    text = str(primary or error).strip() or type(error).__name__
    if primary:
        return text.replace("\n", " ")
    # libpq puts one line per address it tried; the last word of each says why
    return "; ".join(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def _constraint(error: BaseException) -> tuple[str | None, str | None]:
    """Schema and name; psycopg has them in a `diag`, asyncpg on the error itself."""
    where = getattr(error, "diag", None) or error
    return getattr(where, "schema_name", None), getattr(where, "constraint_name", None)


def _hung_up(error: BaseException) -> bool:
    import asyncpg
    import psycopg

    return isinstance(
        error,
        psycopg.OperationalError
        | psycopg.InterfaceError
        | asyncpg.InterfaceError
        | asyncpg.PostgresConnectionError
        | OSError
        | TimeoutError
        | EOFError,
    )
