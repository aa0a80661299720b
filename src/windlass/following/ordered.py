"""Changes applied one after the other, in the source's order.

Slower than net changes, but always correct: for rows that can only be found by all of their values,
for changes of keys, and where net changes did not fit. Decides which statement a change becomes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from windlass.engines.postgres.replication.messages import (
    UNCHANGED,
    Delete,
    Insert,
    Relation,
    Row,
    Truncate,
    Update,
)
from windlass.engines.postgres.session import Connection
from windlass.following.changes import Change
from windlass.following.net import RouteOf, completed, key_of
from windlass.following.routes import Route
from windlass.following.sending import Rejected, Sender, Unfit, run
from windlass.following.statements import (
    Positions,
    Statement,
    delete,
    delete_one,
    insert,
    move,
    move_one,
    truncate,
    update,
    update_one,
)

# prepared statements that are kept: rows found by all their values need one for each set of NULLs
_STATEMENTS = 2000

RowChange = Insert | Update | Delete


class Unidentified(Unfit):
    """The source did not send the values by which the row is found."""


class Ordered:
    """Applies changes through a session, inside the caller's transaction."""

    def __init__(self, session: Connection, route_of: RouteOf) -> None:
        self._session, self._route_of = session, route_of
        self.sender = Sender(session)
        self._statements: dict[object, Statement] = {}

    def apply(self, changes: Sequence[Change]) -> None:
        """Apply them all.

        Raises:
            Unfit: one of them does not fit; its tag is the index of the change.
            psycopg.OperationalError: the session is gone.
        """
        for index, change in enumerate(changes):
            if isinstance(change, Relation):
                self._route_of(change)
            elif isinstance(change, Truncate):
                self.truncate(change, index)
            elif (route := self._route_of(change.relation)) is not None:
                self.add(route, change, index)
        self.sender.flush()

    def add(self, route: Route, change: RowChange, tag: int | None = None) -> None:
        """Send the statement for one change, now or later."""
        try:
            if isinstance(change, Insert):
                self.insert(route, change.new, tag)
            elif isinstance(change, Delete):
                self.delete(route, change.old, change.is_key_only, tag)
            else:
                self.update(route, change, tag)
        except Unidentified as error:
            self.sender.flush()  # an earlier change may not fit either
            error.tag = tag
            raise

    def insert(self, route: Route, new: Row, tag: int | None = None) -> None:
        statement = self._statement(insert, route)
        self.sender.add(statement.query, statement.values((), new), tag)

    def delete(
        self, route: Route, old: Row, is_key_only: bool = True, tag: int | None = None
    ) -> None:
        if route.key:
            statement = self._statement(delete, route)
        else:
            self._check_full(route, old, is_key_only=is_key_only)
            statement = self._statement(delete_one, route, _nulls(old))
        self.sender.add(statement.query, statement.values(old, ()), tag)

    def update(self, route: Route, change: Update, tag: int | None = None) -> None:
        new = change.new
        old = new if change.old is None else change.old
        if route.key:
            if change.old is not None and UNCHANGED in new:
                new = completed(route, old, change.is_key_only, new)
            statement = self._update_by_key(route, old, new)
        else:
            self._check_full(route, change.old, is_key_only=change.is_key_only)
            statement = self._update_by_all(route, old, new)
        self.sender.add(statement.query, statement.values(old, new), tag)

    def update_net(self, route: Route, new: Row, sent: Positions) -> None:
        """Update a row that keeps its key."""
        statement = self._statement(update, route, sent, with_key=False)
        self.sender.add(statement.query, statement.values(new, new))

    def truncate(self, change: Truncate, tag: int | None = None) -> None:
        """Empty the followed relations, in one statement."""
        found = [self._route_of(relation) for relation in change.relations]
        routes = [route for route in found if route is not None]
        self.sender.flush()
        if not routes:
            return
        query = truncate(routes, restarts_identity=change.restarts_identity)
        try:
            run(self._session, query)
        except Rejected as error:
            error.tag = tag
            raise

    def _update_by_key(self, route: Route, old: Row, new: Row) -> Statement:
        if any(old[at] is UNCHANGED for at in route.key_positions):
            raise Unidentified("a long value of its key was not sent, as it did not change")
        take = key_of(route.key_positions)
        sent = _sent(route, new)
        if take(old) == take(new):
            if not any(column.is_settable for column in route.columns):
                return self._statement(move, route, sent)
            return self._statement(update, route, sent, with_key=False)
        if all(column.is_settable for column in route.key):
            return self._statement(update, route, sent, with_key=True)
        return self._statement(move, route, sent)

    def _update_by_all(self, route: Route, old: Row, new: Row) -> Statement:
        sent, nulls = _sent(route, new), _nulls(old)
        fixed = [column.position for column in route.columns if not column.is_settable]
        if len(fixed) == len(route.columns) or any(old[at] != new[at] for at in fixed):
            return self._statement(move_one, route, sent, nulls)
        return self._statement(update_one, route, sent, nulls)

    def _check_full(self, route: Route, old: Row | None, *, is_key_only: bool) -> None:
        if route.identity != "f":
            raise Unidentified("the source has no replica identity for it")
        if old is None or is_key_only:
            raise Unidentified("a partition has another replica identity than its root")

    def _statement(
        self, make: Callable[..., Statement], route: Route, *shape: Positions, **how: bool
    ) -> Statement:
        key = (make, route, shape, *how.values())
        found = self._statements.get(key)
        if found is None:
            if len(self._statements) >= _STATEMENTS:
                self._statements.clear()
            found = self._statements[key] = make(route, *shape, **how)
        return found

    def forget(self) -> None:
        """Forget statements of routes that may have changed."""
        self._statements.clear()


def _sent(route: Route, new: Row) -> Positions:
    if UNCHANGED not in new:
        return route.positions
    return tuple(at for at in route.positions if new[at] is not UNCHANGED)


def _nulls(old: Row) -> Positions:
    if None not in old:
        return ()
    return tuple(at for at, value in enumerate(old) if value is None)
