"""Errors travel between processes whole, and repeat what a driver said without what it showed."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import asyncpg
import psycopg
import pytest

from windlass.airflow import acts
from windlass.airflow.pools import NoSlot
from windlass.airflow.project import Stopped
from windlass.cli.spelling import as_option
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.syntax import SyntaxProblem
from windlass.engines.web.client import Failed
from windlass.errors import (
    AlreadyDone,
    AlreadyFinished,
    BadRecord,
    BadSpec,
    CannotResume,
    Conflict,
    ConnectionLost,
    ConstraintViolated,
    Different,
    GaveWay,
    Interrupted,
    Refused,
    RowsRefused,
    RunLost,
    SchemaChanged,
    ServerStarting,
    SlotLost,
    SnapshotLost,
    TakenBack,
    TargetFull,
    Unreachable,
    WindlassError,
)
from windlass.model.load import BadValue
from windlass.model.outcome import Outcome, Reason, State
from windlass.model.relation import Name
from windlass.model.report import Difference, DifferenceKind, Problem
from windlass.model.wording import spelled

# the tree

SAMPLES = [
    WindlassError("it broke", hint="mend it", side="target", relation=Name("shop", "orders")),
    BadSpec(["jobs: no number", "unknown key 'jbos'"], hint="see windlass migrate --help"),
    Unreachable([Problem("target", "Connection refused", "check that it is up")]),
    Refused([Problem("target", "is older", "use a newer one"), Problem("role app", "is missing")]),
    RowsRefused([Problem("orders.csv", "line 3: not an integer")], hint="correct it"),
    BadRecord([BadValue("orders.csv", 2, "not an integer", 3, "total")], hint="correct it"),
    ConnectionLost("hung up", hint="wait", side="source", chunk=3),
    SnapshotLost("it is gone", hint="--restart"),
    RunLost("it is taken over", side="target"),
    ServerStarting("it starts", side="source"),
    GaveWay("others wait", hint="let them", side="source"),
    RunLost("the target restarted"),
    TakenBack("a writer stayed", hint="end it", stopped_by="late_write"),
    TargetFull("no space left", hint="make space", side="target"),
    AlreadyDone("done", item="shop.orders/0"),
    AlreadyFinished(Outcome("20261121_0653_7f3a", State.DONE, reason=Reason("finished"))),
    SlotLost("the source no longer keeps it", hint="compare", side="source", slot="windlass_x"),
    CannotResume("the source has changed", hint="begin again"),
    Different([Difference(DifferenceKind.CHANGED, "shop.orders", "not the same", {"id": "7"})]),
    ConstraintViolated("rows violate it", side="target"),
    SchemaChanged("shop.orders has changed: no column total", hint="change it", index=3),
    Conflict("no row to update", relation="shop.orders", key="(id)=(7)", lsn="0/16B3748"),
    Interrupted("stopped on request"),
    NoSlot("no task of it has started", hint="make the pool"),
    Failed("the server answers with 503"),
    Stopped("the project's process ended", hint="see its log"),
    acts.Stopped("the roll back stopped halfway", hint="run it again"),
    SyntaxProblem('syntax error at or near "form"'),
]


def kinds(kind: type[WindlassError]) -> Iterator[type[WindlassError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from kinds(below)


def test_every_error_of_ours_has_a_sample_here() -> None:
    ours = {kind for kind in kinds(WindlassError) if kind.__module__.startswith("windlass.")}
    assert {type(sample) for sample in SAMPLES} == ours


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_is_the_same_in_another_process(error: WindlassError, protocol: int) -> None:
    found = pickle.loads(pickle.dumps(error, protocol))
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert found.args == error.args
    assert (found.hint, found.where) == (error.hint, error.where)
    assert vars(found) == vars(error)


def test_only_a_lost_connection_is_worth_another_try() -> None:
    assert {kind for kind in kinds(WindlassError) if kind.retryable} == set(kinds(ConnectionLost))


# drivers' errors


def psycopg_error(state: str | None, message: str = "it broke", **more: str) -> psycopg.Error:
    """As the driver raises it for a server's message."""

    class Told(psycopg.Error):
        sqlstate = state
        diag: Any = SimpleNamespace(message_primary=message, **more)

    lines = [message, *(f"{word.removeprefix('message_').upper()}: {more[word]}" for word in more)]
    return Told("\n".join(lines))


def asyncpg_error(state: str, message: str = "it broke", **more: str) -> asyncpg.PostgresError:
    """As the driver makes it of the fields of a server's message (protocol: error fields)."""
    codes = {"message_detail": "D", "message_hint": "H", "context": "W"}
    codes |= {"schema_name": "s", "constraint_name": "n"}
    fields = {"S": "ERROR", "C": state, "M": message} | {codes[k]: v for k, v in more.items()}
    error = asyncpg.PostgresError.new(fields)
    assert isinstance(error, asyncpg.PostgresError)
    return error


DRIVERS = [psycopg_error, asyncpg_error]
STATES = [
    # server said so: what it becomes, and a word of the hint
    ("08000", ConnectionLost, "server is up"),
    ("08003", ConnectionLost, "server is up"),
    ("08006", ConnectionLost, "server is up"),
    ("57P01", ConnectionLost, "server is up"),  # shut down, or pg_terminate_backend
    ("57P02", ConnectionLost, "server is up"),
    ("57P03", ServerStarting, "server is up"),  # starting up
    ("57P05", ConnectionLost, "server is up"),
    ("25P03", ConnectionLost, "server is up"),
    ("25P04", ConnectionLost, "server is up"),
    ("57014", ConnectionLost, ""),  # cancelled
    ("40001", ConnectionLost, ""),
    ("40P01", ConnectionLost, ""),
    ("55P03", ConnectionLost, ""),
    ("53300", ConnectionLost, "--jobs"),
    ("53200", ConnectionLost, "max_locks_per_transaction"),
    ("58030", ConnectionLost, ""),
    ("53100", TargetFull, "make space"),
    ("23502", ConstraintViolated, ""),
    ("23503", ConstraintViolated, ""),
    ("23505", ConstraintViolated, ""),
    ("23514", ConstraintViolated, ""),
    ("23P01", ConstraintViolated, ""),
    ("28P01", WindlassError, "password"),
    ("28000", WindlassError, "pg_hba.conf"),
    ("3D000", WindlassError, "database name"),
    ("42501", WindlassError, "grant"),
    ("42P01", WindlassError, ""),
    ("42601", WindlassError, ""),
    ("57P04", WindlassError, ""),  # the database was dropped
    ("XX000", WindlassError, ""),
]


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(("state", "kind", "hint"), STATES)
def test_a_server_s_error_becomes_ours(
    driver: Any, state: str, kind: type[WindlassError], hint: str
) -> None:
    found = explain(driver(state), "copying shop.orders", side="target")
    assert type(found) is kind
    assert str(found).endswith("copying shop.orders: it broke")
    assert hint in spelled(found.hint, as_option)
    assert found.where["side"] == "target"


LIMITS = [
    ('too many connections for role "app"', 'ALTER ROLE "app" CONNECTION LIMIT'),
    ('too many connections for database "the shop"', 'ALTER DATABASE "the shop" CONNECTION LIMIT'),
    ("sorry, too many clients already", "raise max_connections"),
]


@pytest.mark.parametrize(("message", "hint"), LIMITS)
def test_it_is_said_whose_limit_is_reached(message: str, hint: str) -> None:
    """Also where libpq, which has no SQLSTATE for a refused connection, quotes the server."""
    quoted = psycopg.OperationalError(f'connection to "h", port 5432 failed: FATAL:  {message}')
    for error in (psycopg_error("53300", message), asyncpg_error("53300", message), quoted):
        assert hint in spelled(explain(error, "connecting", side="target").hint, as_option)


def test_a_server_without_memory_is_not_said_to_lack_locks() -> None:
    for message, hint in (("out of memory", "fewer --jobs"), ("out of shared memory", "max_locks")):
        for driver in DRIVERS:
            found = explain(driver("53200", message), "building an index", side="target")
            assert hint in spelled(found.hint, as_option)
    assert "max_locks" not in explain(psycopg_error("53200", "out of memory"), "", side="s").hint


WITHOUT_STATE = [
    (psycopg.OperationalError("connection refused"), ConnectionLost),
    (psycopg.InterfaceError("the connection is closed"), ConnectionLost),
    (asyncpg.InterfaceError("connection is closed"), ConnectionLost),
    (asyncpg.ConnectionDoesNotExistError("connection was closed"), ConnectionLost),
    (ConnectionResetError("reset"), ConnectionLost),
    (BrokenPipeError("pipe"), ConnectionLost),
    (TimeoutError(), ConnectionLost),
    (EOFError(), ConnectionLost),
    (psycopg.ProgrammingError("a mistake of ours"), WindlassError),
    (psycopg.DataError("a mistake of ours"), WindlassError),
    (ValueError("a mistake of ours"), WindlassError),
]


@pytest.mark.parametrize(
    ("error", "kind"), WITHOUT_STATE, ids=lambda value: getattr(value, "__name__", repr(value))
)
def test_an_error_that_no_server_named_is_a_lost_connection_or_a_mistake(
    error: Exception, kind: type[WindlassError]
) -> None:
    assert type(explain(error, "copying", side="source")) is kind


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_full_disk_is_distinguished_from_a_broken_one(driver: Any) -> None:
    full = driver("58030", 'could not extend file "base/1/2": No space left on device')
    assert type(explain(full, "copying", side="target")) is TargetFull
    broken = driver("58030", 'could not read file "base/1/2": Input/output error')
    assert type(explain(broken, "copying", side="target")) is ConnectionLost


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_second_line_of_the_journal_means_that_the_work_is_done(driver: Any) -> None:
    error = driver("23505", schema_name="windlass", constraint_name="line_pkey")
    assert type(explain(error, "journalling", side="target")) is AlreadyDone


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    ("schema", "constraint"),
    [("windlass_shop", "line_pkey"), ("shop", "line_pkey"), ("windlass", "run_pkey"), ("", "")],
)
def test_a_second_row_of_any_other_relation_does_not(
    driver: Any, schema: str, constraint: str
) -> None:
    """Taken for done, its chunk would be missing."""
    error = driver("23505", schema_name=schema, constraint_name=constraint)
    assert type(explain(error, "copying", side="target")) is ConstraintViolated


SECRET = "hunter2"


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("state", ["23505", "23514", "22P04", "42501", "57P01", "53100"])
def test_only_the_server_s_first_message_is_reported(driver: Any, state: str) -> None:
    """Its detail, hint and context show rows, statements and passwords."""
    error = driver(
        state,
        "it broke",
        message_detail=f"Key (password)=({SECRET}) already exists.",
        message_hint=f"Do not use {SECRET}.",
        context=f'COPY users, line 1: "{SECRET}"',
    )
    found = explain(error, "copying shop.users", side="target")
    assert SECRET not in f"{found} {found!r} {found.hint} {found.where}"
    assert SECRET.encode() not in pickle.dumps(found)


VALUES = [
    ("22P02", f'invalid input syntax for type integer: "{SECRET}"'),
    ("22007", f'invalid input syntax for type date: "{SECRET}"'),
    ("22003", f'value "{SECRET}" is out of range for type integer'),
    ("22P02", f'invalid input value for enum shop.mood: "{SECRET}"'),
]


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(("state", "message"), VALUES)
def test_a_value_that_the_target_cannot_read_is_not_shown(
    driver: Any, state: str, message: str
) -> None:
    """`--existing fill` into other types: the server quotes the row's value first of all."""
    found = explain(driver(state, message), "copying shop.users", side="target")
    assert SECRET not in str(found)


def test_a_message_of_several_lines_is_one_line() -> None:
    found = explain(psycopg_error("XX000", "it broke\nbadly"), "copying", side="target")
    assert str(found) == "copying: it broke badly"


def test_each_address_that_was_tried_says_why_not_once() -> None:
    text = (
        "connection to ::1 failed: refused\n\tconnection to ::1 failed: refused\nto 127.0.0.1: no"
    )
    found = explain(psycopg.OperationalError(text), "source", side="source")
    assert str(found) == "source: connection to ::1 failed: refused; to 127.0.0.1: no"


def test_an_error_without_words_is_called_by_its_name() -> None:
    assert str(explain(TimeoutError(), "connecting", side="source")) == "connecting: TimeoutError"


def test_an_error_of_bigquery_s_without_a_text_can_be_retried() -> None:
    errors = pytest.importorskip("windlass.engines.bigquery.errors")
    with (
        pytest.raises(ConnectionLost, match=r"^BigQuery raw: loading orders: TimeoutError$"),
        errors.explaining("BigQuery raw", "loading orders"),
    ):
        raise TimeoutError
