"""Applies many rows of one shape through COPY: inserts go straight into their relation, updates and
deletes through a temporary relation and one statement.

A temporary relation is made once for each shape and emptied by COMMIT.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from windlass.engines.postgres.replication.messages import Row
from windlass.engines.postgres.session import Connection
from windlass.following.lines import blocks
from windlass.following.routes import Route
from windlass.following.sending import Missed, run, run_copy
from windlass.following.statements import (
    Positions,
    Staging,
    copy_into,
    stage_deletes,
    stage_updates,
)

# COMMIT truncates all of them, including those that the transaction did not use
_KEPT = 32


class Stagings:
    """The temporary relations of a session."""

    def __init__(self, session: Connection) -> None:
        self._session = session
        self._made: dict[object, Staging] = {}  # those used last come last
        self._used: set[object] = set()  # in this transaction
        self._copies: dict[Route, bytes] = {}
        self._number = 0
        self._may: bool | None = None

    def may(self) -> bool:
        """Whether the user may make temporary relations."""
        if self._may is None:
            row = self._session.execute(
                "select has_database_privilege(current_database(), 'TEMP')"
            ).fetchone()
            self._may = bool(row and row[0])
        return self._may

    def begin(self) -> None:
        """A transaction begins: all of them are empty."""
        self._used.clear()

    def forget(self) -> None:
        """Forget the temporary relations: they may be gone after a rollback."""
        self._made.clear()
        self._used.clear()
        self._copies.clear()
        self._number = 0

    def insert(self, route: Route, rows: Sequence[Row]) -> None:
        """Insert rows with all of their values."""
        query = self._copies.get(route)
        if query is None:
            query = self._copies[route] = copy_into(route)
        self._copy(query, rows, route.positions, route.width)

    def update(self, route: Route, rows: Sequence[Row], sent: Positions) -> None:
        """Update the rows with these keys to the values at the positions `sent`."""
        self._apply((route, sent), lambda name: stage_updates(route, sent, name), rows, route.width)

    def delete(self, route: Route, keys: Sequence[Row]) -> None:
        """Delete the rows with these keys."""
        self._apply((route,), lambda name: stage_deletes(route, name), keys, len(route.key))

    def _apply(
        self, shape: object, make: Callable[[str], Staging], rows: Sequence[Row], width: int
    ) -> None:
        staging = self._staging(shape, make)
        positions = range(width) if len(staging.positions) == width else staging.positions
        self._copy(staging.copy, rows, positions, width)

    def _staging(self, shape: object, make: Callable[[str], Staging]) -> Staging:
        """A temporary relation that is empty."""
        staging = self._made.pop(shape, None)
        if staging is None:
            if len(self._made) >= _KEPT:
                self._drop_oldest()
            self._number += 1
            staging = make(f"windlass_staged_{self._number}")
            run(self._session, staging.create)
        elif shape in self._used:
            run(self._session, staging.empty)
        self._made[shape] = staging
        self._used.add(shape)
        return staging

    def _drop_oldest(self) -> None:
        shape = next(iter(self._made))
        run(self._session, self._made.pop(shape).drop)
        self._used.discard(shape)

    def _copy(
        self, query: bytes, rows: Sequence[Row], positions: Sequence[int], width: int
    ) -> None:
        """Run the statements; each must affect as many rows as there are."""
        for count in run_copy(self._session, query, blocks(rows, positions, width)):
            if count != len(rows):
                raise Missed(count)
