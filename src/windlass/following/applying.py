"""Apply batches to the target: the net change of a batch first, and in the source's order where
that does not fit.

Works inside the caller's transaction, and decides nothing about positions or commits.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import psycopg

from windlass.engines.postgres.errors import explain, explaining
from windlass.engines.postgres.replication import lsn
from windlass.engines.postgres.replication.messages import (
    Delete,
    Insert,
    Relation,
    Row,
    Truncate,
    Update,
)
from windlass.engines.postgres.session import Connection
from windlass.errors import Conflict, ConnectionLost, SchemaChanged, TargetFull, WindlassError
from windlass.following.changes import Batch, Change
from windlass.following.net import Contradiction, InOrder, Net, reduce
from windlass.following.ordered import Ordered
from windlass.following.routes import Route, Routes
from windlass.following.sending import Rejected, Unfit, run
from windlass.following.staging import Stagings

log = logging.getLogger(__name__)

_MANY = 50  # rows from which COPY and one statement are faster than prepared statements
_SHOWN = 100  # characters of a key's value in a message

_SAVE = b"savepoint windlass_batch"
_RELEASE = b"release savepoint windlass_batch"
_BACK = b"rollback to savepoint windlass_batch"

_SETTINGS = {
    "default_transaction_read_only": "off",  # the database's may be on around a cutover
    "row_security": "off",  # a row that a policy hides is an error
    # Rows are found by an index, however many or few a batch has: a plan is kept for all batches.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "temp_buffers": "32MB",
}
_REPLICA = "session_replication_role"


def settle(session: Connection) -> bool:
    """Set up a session that applies changes, in addition to the settings of a target's session. It
    is in autocommit, and no transaction is open.

    Returns False if triggers and foreign keys of the target stay in force, because the user may not
    set session_replication_role.
    """
    with explaining("settings of the session", side="target"):
        for name, value in _SETTINGS.items():
            session.execute("select set_config(%s, %s, false)", (name, value))
        session.prepared_max = 1000
        with suppress(psycopg.errors.InsufficientPrivilege):
            session.execute("select set_config(%s, 'replica', false)", (_REPLICA,))
            return True
        return False


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows that were changed on the target for a batch."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    truncated: int = 0  # statements
    in_order: bool = False  # net changes did not fit

    def of(self, change: Insert | Update | Delete) -> Counts:
        """The counts with one more change."""
        if isinstance(change, Insert):
            return replace(self, inserted=self.inserted + 1)
        if isinstance(change, Update):
            return replace(self, updated=self.updated + 1)
        return replace(self, deleted=self.deleted + 1)


class Applier:
    """Applies batches through a session that `settle` prepared. `in_order` applies every change in
    the source's order: for a target whose triggers and foreign keys stay in force."""

    def __init__(self, session: Connection, routes: Routes, *, in_order: bool = False) -> None:
        self._session, self._routes, self._in_order = session, routes, in_order
        self._stagings = Stagings(session)
        self._ordered = Ordered(session, routes.route)
        self._sending: set[Route] = set()  # relations whose changes the sender may still hold

    def apply(self, batch: Batch) -> Counts:
        """Apply a batch in the transaction that is open. All of it, or nothing.

        Raises:
            SchemaChanged: a relation of the source is not what the target's was made from. Nothing
                was sent; `where` has the index of the change and its lsn.
            Conflict: a change does not fit. Its batch was rolled back, and the transaction is still
                open; `where` has relation, key, lsn, and the index of the change.
            WindlassError: the target failed.
        """
        if batch.schema_changes:
            self._ordered.forget()
        self._check_relations(batch)
        if batch.opens:
            self._stagings.begin()
        try:
            run(self._session, _SAVE)
            counts = None if self._in_order else self._attempt(batch.changes)
            if counts is None:
                counts = self._apply_in_order(batch)
            run(self._session, _RELEASE)
        except Rejected as error:  # from a statement that is no change of a row
            raise explain(error.error, "applying changes", side="target") from error
        except psycopg.Error as error:
            raise explain(error, "applying changes", side="target") from error
        if batch.closes:
            self._routes.settle()
        return counts

    def _attempt(self, changes: Sequence[Change]) -> Counts | None:
        """Apply the net change; None if that does not fit, and was rolled back."""
        try:
            return self._apply_net(changes)
        except (Contradiction, Unfit) as error:
            self._check_passing(error)
            log.debug("a net change does not fit: %s", error)
            self._roll_back()
            # the target may have changed since its catalog was read
            self._routes.read(self._session)
            self._ordered.forget()
            return None

    def _check_passing(self, error: Exception) -> None:
        """Raise an error that no other order of changes could avoid."""
        if isinstance(error, Rejected):
            found = explain(error.error, "applying changes", side="target")
            if isinstance(found, ConnectionLost | TargetFull):
                raise found from error

    def _roll_back(self) -> None:
        run(self._session, _BACK)
        self._ordered.sender.forget()
        self._sending.clear()
        self._stagings.forget()

    # the net change

    def _apply_net(self, changes: Sequence[Change]) -> Counts:
        counts = Counts()
        for piece in reduce(changes, self._routes.route):
            if isinstance(piece, Net):
                counts = self._apply_piece(piece, counts)
            elif isinstance(piece, InOrder):
                self._sending.add(piece.route)
                for change in piece.changes:
                    self._ordered.add(piece.route, change)
                    counts = counts.of(change)
            else:
                self._ordered.truncate(piece)
                counts = replace(counts, truncated=counts.truncated + 1)
        self._flush()
        return counts

    def _apply_piece(self, net: Net, counts: Counts) -> Counts:
        route = net.route
        self._delete(route, [*net.deletes])
        for sent, rows in net.shapes().items():
            if len(rows) < _MANY or not self._stagings.may():
                self._sending.add(route)
                for row in rows:
                    self._ordered.update_net(route, row, sent)
            else:
                self._before_copy(route)
                self._stagings.update(route, rows, sent)
        inserts = [*net.inserts.values(), *net.appended]
        if len(inserts) < _MANY or not route.columns:
            self._sending.add(route)
            for row in inserts:
                self._ordered.insert(route, row)
        else:
            self._before_copy(route)
            self._stagings.insert(route, inserts)
        return replace(
            counts,
            inserted=counts.inserted + len(inserts),
            updated=counts.updated + len(net.updates),
            deleted=counts.deleted + len(net.deletes),
        )

    def _delete(self, route: Route, keys: Sequence[object]) -> None:
        rows: list[Row] = [key if isinstance(key, tuple) else (key,) for key in keys]
        if len(rows) >= _MANY and self._stagings.may():
            self._before_copy(route)
            self._stagings.delete(route, rows)
            return
        self._sending.add(route)
        for row in rows:
            found = dict(zip(route.key_positions, row, strict=True))
            old = tuple(found.get(at) for at in range(route.width))
            self._ordered.delete(route, old)

    def _before_copy(self, route: Route) -> None:
        """Send what must come before a COPY of the relation's rows."""
        if route in self._sending:
            self._flush()

    def _flush(self) -> None:
        self._ordered.sender.flush()
        self._sending.clear()

    # the source's order

    def _apply_in_order(self, batch: Batch) -> Counts:
        try:
            self._ordered.apply(batch.changes)
        except Unfit as error:
            self._check_passing(error)
            self._roll_back()
            index = error.tag or 0  # each change is sent with its own
            commit = lsn.text(batch.commit_of(index))
            raise self._failure(error, batch.changes[index], commit) from error
        return self._count(batch.changes)

    def _count(self, changes: Sequence[Change]) -> Counts:
        found = Counter(
            type(change)
            for change in changes
            if isinstance(change, Insert | Update | Delete)
            and self._routes.route(change.relation) is not None
        )
        truncated = sum(isinstance(change, Truncate) for change in changes)
        return Counts(found[Insert], found[Update], found[Delete], truncated, in_order=True)

    def _failure(self, error: Unfit, change: Change, commit: str) -> WindlassError:
        relation = change.relations[0] if isinstance(change, Truncate) else change
        if isinstance(relation, Insert | Update | Delete):
            relation = relation.relation
        route = self._routes.route(relation)
        assert route is not None  # as what is not followed is not applied
        name, key = str(route.target), _key(route, change)
        doing = f"{name}: cannot {_VERBS[type(change)]}{f' the row {key}' if key else ''}"
        doing += f", at {commit}"
        where = {"relation": name, "key": key, "lsn": commit, "index": error.tag}
        if not isinstance(error, Rejected):
            return Conflict(f"{doing}: {error}", hint=_HINT, **where)
        explained = explain(error.error, doing, side="target")
        if (error.error.sqlstate or "")[:2] not in _OF_ROWS:
            return explained
        return Conflict(str(explained), hint=_HINT, **where)

    def _check_relations(self, batch: Batch) -> None:
        for index, change in enumerate(batch.changes):
            if type(change) is Relation:
                try:
                    self._routes.route(change)
                except SchemaChanged as error:
                    commit = lsn.text(batch.commit_of(index))
                    error.where |= {"index": index, "lsn": commit}
                    raise


_VERBS = {Insert: "insert", Update: "update", Delete: "delete", Truncate: "truncate"}
_OF_ROWS = {"22", "23", "44", "P0"}  # classes of errors that a row's values cause
_HINT = (
    "compare the table on both sides and correct the target's rows, then run the same command again"
)


def _key(route: Route, change: Change) -> str:
    """The key of a change, for people; empty if no key identifies a row."""
    if not route.key or isinstance(change, Truncate | Relation):
        return ""
    row = change.new if isinstance(change, Insert) else change.old
    if row is None and isinstance(change, Update):
        row = change.new
    assert row is not None  # a Delete has the old one
    values = [_shown(row[at]) for at in route.key_positions]
    names = [column.name for column in route.key]
    return f"({', '.join(names)}) = ({', '.join(values)})"


def _shown(value: object) -> str:
    if not isinstance(value, bytes):
        return "NULL" if value is None else "?"
    text = value.decode("utf-8", "replace")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
