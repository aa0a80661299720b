"""Whether two texts mean the same: the target parses both, and the forms that it prints are
compared.

PostgreSQL prints what it has parsed. When that is parsed again it may be printed differently
(``(ARRAY['x'::varchar])::text[]`` becomes ``ARRAY[('x'::varchar)::text]``), and so may other
versions. Two texts that one server prints alike are the same definition.

The objects created for this are temporary and rolled back: views over the relations in question, a
function, a rule on an empty copy of the table. PostgreSQL only parses them: no function runs, no
row is read, and relations are only locked against DROP and ALTER.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.meaning import (
    Doubt,
    Printed,
    Statement,
    expression_text,
)
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.quoting import quote_identifier
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.syntax import Node, scan

OURS = "windlass_definition"
_TWIN = "windlass_twin"
_SECONDS = 10  # for what normally takes a millisecond
_LOCK_SECONDS = 2
# privileges, locks, time-outs, a standby, unsupported features, limits
_UNABLE = ("42501", "55P03", "57014", "25006", "0A000", "54")
_IMPATIENT = ("55P03", "57014")
_MOST_FAILURES = 5  # locks and time-outs: then nothing more is asked
_SETTINGS = sql.SQL(
    "select set_config('statement_timeout', {}, true), set_config('lock_timeout', {}, true),"
    " set_config('standard_conforming_strings', 'on', true),"
    " case when current_setting('is_superuser') = 'on'"
    " then set_config('session_replication_role', 'replica', true) end"
).format(f"{_SECONDS}s", f"{_LOCK_SECONDS}s")
_VIEWS = sql.SQL("create temporary view {left} as {one}; create temporary view {right} as {other}")
_ALIKE = sql.SQL("pg_get_viewdef({left}::regclass) = pg_get_viewdef({right}::regclass)")


class CannotPrint(Exception):
    """Why the target cannot be asked."""


class Printing:
    """Asks the target. Owned by one thread, and uses its session."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._obstacle: str | None = None
        self._failures = 0

    def are_alike(self, doubts: Sequence[Doubt]) -> list[bool]:
        """Whether the two sides of each pair are printed alike; one round trip, which suffices for
        most. False if they are not, or if it cannot be decided this way."""
        asked = {at: pair for at, one in enumerate(doubts) if (pair := _as_queries(one))}
        if asked and self._has_obstacle():
            asked = {}
        alike = dict(zip(asked, self._alike(list(asked.values())), strict=True))
        return [alike.get(at, False) for at in range(len(doubts))]

    def _alike(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """Compare pairs; if something fails, split them in halves until that is isolated."""
        if not pairs:
            return []
        try:
            found = self._ask(pairs)
        except psycopg.Error as error:
            if self._connection.closed:
                raise explain(error, "comparing definitions", side="target") from error
            self._connection.rollback()
            if len(pairs) == 1 or error.sqlstate in _IMPATIENT:  # each would take long
                return [False] * len(pairs)
            half = len(pairs) // 2
            return self._alike(pairs[:half]) + self._alike(pairs[half:])
        return found

    def _ask(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        views, questions = [], []
        for at, (one, other) in enumerate(pairs):
            left, right = f"{OURS}_left_{at}", f"{OURS}_right_{at}"
            views.append(
                _VIEWS.format(
                    left=sql.Identifier(left),
                    right=sql.Identifier(right),
                    one=sql.SQL(one),  # parsed as one query, by `meaning`
                    other=sql.SQL(other),
                )
            )
            questions.append(_ALIKE.format(left=left, right=right))
        asked = sql.SQL("select array[{}] as alike").format(sql.SQL(", ").join(questions))
        parts = [sql.SQL("begin"), _SETTINGS, *views, asked, sql.SQL("rollback")]
        cursor = self._connection.execute(sql.SQL(";\n").join(parts), prepare=False)
        while not (cursor.description and cursor.description[0].name == "alike"):
            if not cursor.nextset():
                raise AssertionError("the server has not answered")
        row: Any = cursor.fetchone()
        return [bool(one) for one in row[0]]

    def is_same(self, doubt: Doubt) -> bool:
        """Raises:
        CannotPrint: the target cannot decide.
        """
        if self._has_obstacle():
            raise CannotPrint(str(self._obstacle))
        return self._is_same(doubt)

    def _is_same(self, doubt: Doubt) -> bool:
        """Print each side separately, to find which one the target refuses."""
        printer = _PRINTERS[doubt.left.printed_as]
        with self._prepared():
            there = self._printed(printer, doubt, 1)
            # the target can certainly create what it already has
            if isinstance(there, psycopg.Error):
                raise CannotPrint(_first_line(there))
            expected = self._printed(printer, doubt, 0)
        return bool(expected == there)

    def _has_obstacle(self) -> bool:
        if self._obstacle is None:
            (found,) = self._connection.execute(load("printing")).fetchall()
            self._obstacle = str(found[0] or "")
        return bool(self._obstacle)

    @contextmanager
    def _prepared(self) -> Iterator[None]:
        """A transaction for temporary objects, which is rolled back."""
        connection = self._connection
        try:
            with connection.transaction(force_rollback=True):
                connection.execute(_SETTINGS)
                yield
        except psycopg.Error as error:
            if error.sqlstate in _IMPATIENT:
                self._failures += 1
                if self._failures >= _MOST_FAILURES:
                    self._obstacle = _first_line(error)
            if (error.sqlstate or "").startswith(_UNABLE):
                raise CannotPrint(_first_line(error)) from None
            raise explain(error, "comparing definitions", side="target") from error

    def _printed(self, printer: Callable[..., list[Any]], doubt: Doubt, side: int) -> Any:
        """What the server prints, or its error if it refuses the text."""
        statement = (doubt.left, doubt.right)[side]
        try:
            with self._connection.transaction(force_rollback=True):
                return printer(self._connection, statement, [p[side] for p in doubt.expressions])
        except psycopg.Error as error:
            state = error.sqlstate or ""
            if state.startswith(("22", "42")) and state != "42501":
                return error
            raise


def _as_queries(doubt: Doubt) -> tuple[str, str] | None:
    """Both sides as queries; None if they are not printed as views."""
    select = _SELECTS.get(doubt.left.printed_as)
    if select is None:
        return None
    left, right = zip(*doubt.expressions, strict=True)
    try:
        return select(doubt.left, list(left)), select(doubt.right, list(right))
    except CannotPrint:
        return None


def _first_line(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error)).partition("\n")[0]


def _row(connection: Connection, query: sql.SQL | sql.Composed) -> list[Any]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return list(row)


def _view(connection: Connection, query: str) -> list[Any]:
    """A view as the server prints it after parsing its own output; from then on it is stable."""
    for number in range(2):
        name = f"{OURS}_{number}"
        connection.execute(f"create temporary view {name} as {query}".encode())
        (query,) = _row(connection, sql.SQL("select pg_get_viewdef({}::regclass)").format(name))
    return [query]


def _query(connection: Connection, statement: Statement, some: list[Any]) -> list[Any]:
    return _view(connection, _query_text(statement, some))


def _query_text(statement: Statement, _: list[Any]) -> str:
    """The query of CREATE VIEW ... AS ..., without what surrounds it."""
    text, depth = statement.text, 0
    for token in scan(text):
        if token.kind in ("ASCII_40", "ASCII_41"):  # brackets
            depth += 1 if token.kind == "ASCII_40" else -1
        elif token.kind == "AS" and not depth:
            text = text[token.end :]
            break
    for ending in ("WITH NO DATA", "WITH LOCAL CHECK OPTION", "WITH CASCADED CHECK OPTION"):
        text = text.rstrip().removesuffix(ending)
    return text


def _expressions(connection: Connection, statement: Statement, some: list[Any]) -> list[Any]:
    return _view(connection, _select(statement, some))


def _select(statement: Statement, expressions: list[Any]) -> str:
    """A query with these expressions as its columns."""
    texts = []
    for one in expressions:
        text = expression_text(one)
        if text is None:
            raise CannotPrint("an expression in it cannot be written again")
        texts.append(text)
    listed = ", ".join(f"({text}) as e{at}" for at, text in enumerate(texts))
    return f"select {listed}{_context(statement.tree)}"


def _context(tree: Any) -> str:
    """The FROM clause that gives a statement's expression its columns."""
    match tree:
        case Node("CreateDomainStmt"):
            null = Node("A_Const", isnull=True)
            base = expression_text(Node("TypeCast", arg=null, typeName=tree.typeName))
            return f" from (select {base} as value) as value_of"
        case Node("CreateTrigStmt"):
            name = _named(tree.relation)
            return f" from {name} as old, {name} as new"
        case _:
            if tree.tag not in _RELATION_OF:
                raise CannotPrint("no expression of such a statement can be compared")
            return f" from {_named(_RELATION_OF[tree.tag](tree))}"


_RELATION_OF: dict[str, Callable[[Node], Any]] = {
    "AlterPublicationStmt": lambda tree: tree.pubobjects[0].pubtable.relation,
    "AlterTableStmt": lambda tree: tree.relation,
    "CreateForeignTableStmt": lambda tree: tree.base.relation,
    "CreatePolicyStmt": lambda tree: tree.table,
    "CreateStatsStmt": lambda tree: tree.relations[0],
    "CreateStmt": lambda tree: tree.relation,
    "IndexStmt": lambda tree: tree.relation,
}


def _named(relation: Any) -> str:
    return _qualified(relation.schemaname, relation.relname)


def _qualified(*names: str) -> str:
    return ".".join(map(quote_identifier, names))


def _routine(connection: Connection, statement: Statement, _: list[Any]) -> list[Any]:
    tree = statement.tree
    kind = "PROCEDURE" if tree.is_procedure else "FUNCTION"
    names = [str(one.sval) for one in tree.funcname]
    own, ours = _qualified(*names), _qualified("pg_temp", names[-1])  # its body may use these names
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
    event = tree.event.removeprefix("CMD_")
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
    """The statement for our temporary object; pg_dump starts all of a kind the same way."""
    if not text.startswith(own):
        raise CannotPrint("it does not begin as expected")
    return ours + text.removeprefix(own)


_SELECTS: dict[Printed, Callable[[Statement, list[Any]], str]] = {
    Printed.QUERY: _query_text,
    Printed.EXPRESSIONS: _select,
}
_PRINTERS: dict[Printed, Callable[[Connection, Statement, list[Any]], list[Any]]] = {
    Printed.QUERY: _query,
    Printed.RULE: _rule,
    Printed.ROUTINE: _routine,
    Printed.COLLATION: _collation,
    Printed.EXPRESSIONS: _expressions,
}
