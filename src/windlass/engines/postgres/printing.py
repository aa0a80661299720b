"""Whether two texts mean the same: the target parses both, and what it prints of them is compared.

PostgreSQL prints what it has parsed, and may print it otherwise once that has been parsed again
(``(ARRAY['x'::varchar])::text[]`` becomes ``ARRAY[('x'::varchar)::text]``), or on another version.
Two texts that one server prints alike are the same definition.

What is made for that is temporary and rolled back: views, over the very relations that the texts
are about, a function, a rule on an empty twin. PostgreSQL only parses these: no function is run, no
row is read, nothing is locked but against being dropped or altered in the meantime.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from pglast import ast
from pglast.parser import scan
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.meaning import (
    Doubt,
    Printed,
    Statement,
    expression_text,
)
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.rename import quote_identifier
from windlass.engines.postgres.session import Connection

OURS = "windlass_definition"
_TWIN = "windlass_twin"
_SECONDS = 10  # for what a server does in a millisecond
_LOCK_SECONDS = 2
_UNABLE = (
    "42501",
    "55P03",
    "57014",
    "25006",
    "0A000",
    "54",
)  # rights, locks, time, standby, limits


_SETTINGS: LiteralString = (
    "select set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true),"
    " case when current_setting('is_superuser') = 'on'"
    " then set_config('session_replication_role', 'replica', true) end"
)


class CannotPrint(Exception):
    """Why the target cannot be asked."""


class Printing:
    """Asks the target. Owned by one thread, whose session it uses."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._obstacle: str | None = None

    def is_same(self, doubt: Doubt) -> bool:
        """Raises:
        CannotPrint: nobody can say.
        """
        self._check()
        printer = _PRINTERS[doubt.left.printed_as]
        with self._prepared():
            there = self._printed(printer, doubt, 1)
            if isinstance(there, psycopg.Error):  # what the target has, it can make
                raise CannotPrint(_first_line(there))
            expected = self._printed(printer, doubt, 0)
        return bool(expected == there)

    def _check(self) -> None:
        if self._obstacle is None:
            (found,) = self._connection.execute(load("printing")).fetchall()
            self._obstacle = str(found[0] or "")
        if self._obstacle:
            raise CannotPrint(self._obstacle)

    @contextmanager
    def _prepared(self) -> Iterator[None]:
        """A transaction in which things can be made, of which nothing stays."""
        connection = self._connection
        try:
            with connection.transaction(force_rollback=True):
                connection.execute(_SETTINGS, [f"{_SECONDS}s", f"{_LOCK_SECONDS}s"])
                yield
        except psycopg.Error as error:
            if (error.sqlstate or "").startswith(_UNABLE):
                raise CannotPrint(_first_line(error)) from None
            raise explain(error, "comparing definitions", side="target") from error

    def _printed(self, printer: Callable[..., list[Any]], doubt: Doubt, side: int) -> Any:
        """What the server prints; its error where it does not take the text for what it is."""
        statement = (doubt.left, doubt.right)[side]
        try:
            with self._connection.transaction(force_rollback=True):
                return printer(self._connection, statement, [p[side] for p in doubt.expressions])
        except psycopg.Error as error:
            state = error.sqlstate or ""
            if state.startswith(("22", "42")) and state != "42501":
                return error
            raise


def _first_line(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error)).partition("\n")[0]


def _row(connection: Connection, query: sql.SQL | sql.Composed) -> list[Any]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return list(row)


def _view(connection: Connection, query: str) -> list[Any]:
    """As the server prints it when it has parsed its own words: from then on they stay."""
    for number in range(2):
        name = f"{OURS}_{number}"
        connection.execute(f"create temporary view {name} as {query}".encode())
        (query,) = _row(connection, sql.SQL("select pg_get_viewdef({}::regclass)").format(name))
    return [query]


def _query(connection: Connection, statement: Statement, _: list[Any]) -> list[Any]:
    return _view(connection, _query_text(statement))


def _query_text(statement: Statement) -> str:
    """Of CREATE VIEW ... AS ..., without what is said before and after it."""
    text, depth = statement.text, 0
    for token in scan(text):
        if token.name in ("ASCII_40", "ASCII_41"):  # brackets
            depth += 1 if token.name == "ASCII_40" else -1
        elif token.name == "AS" and not depth:
            text = text[token.end + 1 :]
            break
    for ending in ("WITH NO DATA", "WITH LOCAL CHECK OPTION", "WITH CASCADED CHECK OPTION"):
        text = text.rstrip().removesuffix(ending)
    return text


def _expressions(connection: Connection, statement: Statement, expressions: list[Any]) -> list[Any]:
    texts = []
    for one in expressions:
        text = expression_text(one)
        if text is None:
            raise CannotPrint("an expression in it cannot be written again")
        texts.append(text)
    listed = ", ".join(f"({text}) as e{at}" for at, text in enumerate(texts))
    return _view(connection, f"select {listed}{_context(statement.tree)}")


def _context(tree: Any) -> str:
    """Where an expression of the statement finds its columns."""
    match tree:
        case ast.CreateDomainStmt():
            base = expression_text(
                ast.TypeCast(arg=ast.A_Const(isnull=True), typeName=tree.typeName)
            )
            return f" from (select {base} as value) as value_of"
        case ast.CreateTrigStmt():
            name = _named(tree.relation)
            return f" from {name} as old, {name} as new"
        case _:
            of = next((of for kind, of in _RELATION_OF if isinstance(tree, kind)), None)
            if of is None:
                raise CannotPrint("no expression of such a statement can be compared")
            return f" from {_named(of(tree))}"


_RELATION_OF: list[tuple[Any, Callable[[Any], Any]]] = [
    ((ast.CreateStmt, ast.AlterTableStmt, ast.IndexStmt), lambda tree: tree.relation),
    (ast.CreateForeignTableStmt, lambda tree: tree.base.relation),
    (ast.CreatePolicyStmt, lambda tree: tree.table),
    (ast.CreateStatsStmt, lambda tree: tree.relations[0]),
    (ast.AlterPublicationStmt, lambda tree: tree.pubobjects[0].pubtable.relation),
]


def _named(relation: Any) -> str:
    return _qualified(relation.schemaname, relation.relname)


def _qualified(*names: str) -> str:
    return ".".join(map(quote_identifier, names))


def _routine(connection: Connection, statement: Statement, _: list[Any]) -> list[Any]:
    tree = statement.tree
    kind = "PROCEDURE" if tree.is_procedure else "FUNCTION"
    names = [str(one.sval) for one in tree.funcname]
    own, ours = _qualified(*names), _qualified("pg_temp", names[-1])  # which its body may say
    text = _instead(statement.text, f"CREATE {kind} {own}(", f"CREATE {kind} {ours}(")
    connection.execute(text.encode())
    return _row(
        connection,
        sql.SQL(
            "select pg_get_functiondef(oid) from pg_proc"
            " where proname = {} and pronamespace = pg_my_temp_schema()"
        ).format(names[-1]),
    )


def _rule(connection: Connection, statement: Statement, _: list[Any]) -> list[Any]:
    tree = statement.tree
    relation = _named(tree.relation)
    connection.execute(f"create temporary table {_TWIN} (like {relation})".encode())
    event = {2: "UPDATE", 3: "INSERT", 4: "DELETE"}.get(int(tree.event), "")
    head = f"CREATE RULE {quote_identifier(tree.rulename)} AS\n    ON {event} TO "
    text = _instead(statement.text, f"{head}{relation}", f"{head}pg_temp.{_TWIN}")
    connection.execute(text.encode())
    return _row(
        connection,
        sql.SQL("select pg_get_ruledef(oid) from pg_rewrite where ev_class = {}::regclass").format(
            _TWIN
        ),
    )


def _collation(connection: Connection, statement: Statement, _: list[Any]) -> list[Any]:
    own = f"CREATE COLLATION {_qualified(*(one.sval for one in statement.tree.defnames))} "
    connection.execute(_instead(statement.text, own, f"CREATE COLLATION pg_temp.{OURS} ").encode())
    (found,) = _row(
        connection,
        sql.SQL(
            "select to_jsonb(c) from pg_collation c"
            " where collname = {} and collnamespace = pg_my_temp_schema()"
        ).format(OURS),
    )
    return sorted(
        (key, value) for key, value in found.items() if key not in ("oid", "collnamespace")
    )


def _instead(text: str, own: str, ours: str) -> str:
    """The statement about something of ours; pg_dump begins all of a kind alike."""
    if not text.startswith(own):
        raise CannotPrint("it does not begin as expected")
    return ours + text.removeprefix(own)


_PRINTERS: dict[Printed, Callable[[Connection, Statement, list[Any]], list[Any]]] = {
    Printed.QUERY: _query,
    Printed.RULE: _rule,
    Printed.ROUTINE: _routine,
    Printed.COLLATION: _collation,
    Printed.EXPRESSIONS: _expressions,
}
