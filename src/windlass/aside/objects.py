"""Moves existing objects into a backup schema by changing only their names, and back again.

ALTER ... SET SCHEMA and RENAME write catalog rows only: they take no longer for a terabyte than for
a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.own_schemas import make_schema_aside
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.errors import Refused
from windlass.model.plan import SetAside
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.statement import Phase, Statement

# dropped with what they belong to; some cannot be dropped alone (a partition's attached index)
_GOES_ALONG = {"INDEX", "UNIQUE INDEX", "INDEX ATTACH", "CONSTRAINT"}
GONE = (
    psycopg.errors.UndefinedObject,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.InvalidSchemaName,
)
# others may have started to use them
STAYS_IF_USED = {"SCHEMA", "EXTENSION"}


@dataclass(frozen=True, slots=True)
class Move:
    """An object that was moved, with the arguments that ALTER took then. They are also valid for
    moving it back, in the exact reverse order, when every type is where it was."""

    kind: str
    schema: str  # "" for what lives in none
    name: str
    signature: str
    backup: str
    state: str = ""  # of an event trigger, which is switched off: as pg_event_trigger has it

    @classmethod
    def of(cls, item: SetAside) -> Move:
        """As planned."""
        name = item.name
        return cls(item.kind, name.schema, name.name, item.signature, item.backup_schema)

    def __str__(self) -> str:
        where = f"{self.schema}." if self.schema else ""
        return f"{self.kind.lower()} {where}{self.name}"


def _make_schema(connection: Connection, schema: str) -> None:
    """Create the schema, unless this run has created it before.

    Raises:
        Refused: it is another role's, who could drop what is set aside.
    """
    row = connection.execute(
        "select pg_get_userbyid(nspowner) = current_user from pg_namespace where nspname = %s",
        (schema,),
    ).fetchone()
    if row is None:
        make_schema_aside(connection, schema)
    elif not row[0]:
        raise Refused([Problem(f"schema {schema}", "is another role's", "drop it")])


def set_aside(connection: Connection, items: Sequence[SetAside]) -> list[Move]:
    """Move every item, inside the caller's transaction. Returns the moves in the order in which
    they were made.

    Routines come first: their signatures name types by their present schema.
    """
    for schema in sorted({item.backup_schema for item in items if item.name.schema}):
        _make_schema(connection, schema)
    moves = []
    for item in sorted(items, key=_order):
        for move in _with_companions(connection, Move.of(item)):
            moves.append(_go(connection, move))
    return moves


def _order(item: SetAside) -> tuple[bool, bool]:
    """Event triggers first, because they would fire on everything after them."""
    return item.kind != "EVENT TRIGGER", not item.signature


def put_back(connection: Connection, moves: Sequence[Move]) -> None:
    """Undo the moves, the last one first, inside the caller's transaction, and drop the backup
    schemas."""
    for move in reversed(moves):
        _come_back(connection, move)
    for schema in sorted({move.backup for move in moves if move.schema}):
        _drop_schema(connection, schema)


def _drop_schema(connection: Connection, schema: str) -> None:
    """Raises:
    Refused: others have put something into it.
    """
    try:
        connection.execute(sql.SQL("drop schema {}").format(sql.Identifier(schema)))
    except psycopg.errors.DependentObjectsStillExist as error:
        guests = (error.diag.message_detail or "").replace("\n", "; ")
        message = f"holds what the run did not put there: {guests}"
        raise Refused([Problem(f"schema {schema}", message, "move or drop them")]) from None
    except psycopg.Error as error:
        raise explain(error, f"dropping schema {schema}", side="target") from error


def note_of(moves: Iterable[Move]) -> list[list[str]]:
    """For the journal; `moves_of` reads it."""
    return [[one.kind, one.schema, one.name, one.signature, one.backup, one.state] for one in moves]


def moves_of(note: Mapping[str, Any], planned: Iterable[SetAside] = ()) -> list[Move]:
    """The moves in a journal's note; the planned ones if an earlier version noted none."""
    if "moves" not in note:
        return [Move.of(item) for item in sorted(planned, key=_order)]
    return [Move(*one) for one in note["moves"]]


def _go(connection: Connection, move: Move) -> Move:
    if move.kind == "EVENT TRIGGER":
        move = replace(move, state=_read_state(connection, move.name))
        _alter(connection, move, move.name, sql.SQL("disable"))
    _alter(connection, move, move.name, _to(move, move.backup), move.schema)
    return move


def _come_back(connection: Connection, move: Move) -> None:
    name, schema = (move.name, move.backup) if move.schema else (move.backup, "")
    _alter(connection, move, name, _to(move, move.schema or move.name), schema)
    if move.kind == "EVENT TRIGGER":
        _alter(connection, move, move.name, sql.SQL(_STATES[move.state]))


_STATES: dict[str, LiteralString] = {
    "O": "enable", "D": "disable", "R": "enable replica", "A": "enable always"
}  # fmt: skip


def _read_state(connection: Connection, trigger: str) -> str:
    row: Any = connection.execute(
        "select evtenabled::text from pg_event_trigger where evtname = %s", (trigger,)
    ).fetchone()
    return str(row[0]) if row else "O"


def _to(move: Move, place: str) -> sql.Composed:
    words: LiteralString = "set schema {}" if move.schema else "rename to {}"
    return sql.SQL(words).format(sql.Identifier(place))


def _alter(
    connection: Connection, move: Move, name: str, how: sql.Composable, schema: str = ""
) -> None:
    statement = sql.SQL("alter {} {}{} {}").format(
        sql.SQL(move.kind),  # one of pg_dump's own words
        _qualified(move.kind, schema, name),
        sql.SQL(move.signature),  # as the server writes it
        how,
    )
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        raise explain(error, f"moving {move}", side="target") from error


def _qualified(kind: str, schema: str, name: str) -> sql.Composable:
    """An operator's name cannot be quoted, and never needs to be."""
    if kind == "OPERATOR":
        return sql.SQL("{}.{}").format(sql.Identifier(schema), sql.SQL(name))
    return sql.Identifier(schema, name) if schema else sql.Identifier(name)


def _with_companions(connection: Connection, move: Move) -> list[Move]:
    """The move, and those of the objects that were created with a range type and do not follow it:
    its multirange, and the constructor functions of both."""
    if move.kind != "TYPE" or connection.info.server_version < 140000:
        return [move]
    rows: list[Any] = connection.execute(load("companions")).fetchall()
    companions = [
        replace(move, kind=kind, name=name, signature=signature)
        for of_schema, of_type, kind, name, signature in rows
        if (of_schema, of_type) == (move.schema, move.name)
    ]
    # the functions' signatures name the types by the schema that these are still in
    return [*sorted(companions, key=lambda one: one.kind), move]


def drop_made(connection: Connection, statements: Iterable[Statement]) -> list[str]:
    """Drop what the statements created, in their order, inside the caller's transaction.

    The caller passes the last created first. An object that another of them still needs is tried
    again after that one.

    Never CASCADE. Schemas and extensions that others use now stay, and are returned by name.

    Raises:
        Refused: something made since depends on it; nothing is changed then.
    """
    waiting = [
        one
        for one in statements
        if one.drop and one.kind not in _GOES_ALONG and one.phase is not Phase.GRANTS
    ]
    while waiting:
        needed = {id(one): found for one in waiting if (found := _drop(connection, one))}
        if len(needed) == len(waiting):
            break
        waiting = [one for one in waiting if id(one) in needed]
    problems = [
        Problem(str(one), f"is in use: {needed[id(one)]}", _way_out(needed[id(one)]))
        for one in waiting
        if one.kind not in STAYS_IF_USED
    ]
    if problems:
        raise Refused(problems)
    return [str(one) for one in waiting]


def _way_out(dependent: str) -> str:
    """Rows that another run has set aside have the types of the table that they were in."""
    runs = re.findall(r"\bwindlass_(\d{8}_\d{4}_[0-9a-f]{4})_", dependent)
    if not runs:
        return "drop what depends on it"
    whose = " and ".join(f"run {one}" for one in dict.fromkeys(runs))
    return f"{whose} has set that aside: undo that run first, or windlass clean drops what it keeps"


def _drop(connection: Connection, statement: Statement) -> str:
    """Drop it, if it exists. Returns what still needs it, if that prevents it."""
    try:
        with connection.transaction():  # a savepoint
            connection.execute(statement.drop.encode())
    except psycopg.errors.DependentObjectsStillExist as error:
        return (error.diag.message_detail or str(error)).replace("\n", "; ")
    except GONE:
        pass  # already, with what it belonged to
    except psycopg.Error as error:
        is_inherited = isinstance(error, psycopg.errors.InvalidTableDefinition)
        if not (is_inherited and statement.kind == "CHECK CONSTRAINT"):  # goes with its parent's
            raise explain(error, f"dropping {statement}", side="target") from error
    return ""


def empty_filled(connection: Connection, names: Iterable[Name]) -> None:
    """Delete the rows of relations that existed before the run and were empty. A relation that
    others of them refer to is tried again after these."""
    waiting = list(names)
    while waiting:
        refused = {name: found for name in waiting if (found := _empty(connection, name))}
        if len(refused) == len(waiting):
            name, error = next(iter(refused.items()))
            raise explain(error, f"emptying {name}", side="target") from error
        waiting = list(refused)


def _empty(connection: Connection, name: Name) -> psycopg.Error | None:
    """Empty it. Returns the reason if rows elsewhere refer to its rows."""
    table = sql.Identifier(name.schema, name.name)
    try:
        with connection.transaction():  # a savepoint
            connection.execute(sql.SQL("delete from only {}").format(table))
    except psycopg.errors.ForeignKeyViolation as error:
        return error
    except psycopg.Error as error:
        raise explain(error, f"emptying {name}", side="target") from error
    return None
