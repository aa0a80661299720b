"""What a repair reads of a source of another engine: its rows, staged on the target."""

from __future__ import annotations

from contextlib import suppress

import psycopg

from windlass.engines.origin import Origin
from windlass.engines.postgres.fingerprint import Pair
from windlass.engines.postgres.foreign.staged import TEMPORARY, stage, staged_pair
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.model.chunk import Whole
from windlass.model.plan import RelationPlan, Server
from windlass.model.relation import Name


class Staging:
    """Temporary tables of a session on the target. Each relation is staged once."""

    def __init__(self, address: Address, target: Server, origin: Origin) -> None:
        self._address, self._target, self._origin = address, target, origin
        self._session: Connection | None = None
        self._pairs: dict[Name, Pair] = {}

    def pair(self, item: RelationPlan) -> tuple[Connection, Pair]:
        """The session that has the rows of a relation, and how they are compared.

        Raises:
            WindlassError: a side cannot be reached or read.
        """
        if self._session is None:
            self._session = self._address.connect(Role.TARGET, "windlass staging")
        if item.target not in self._pairs:
            assert item.reading is not None, "planned by another flow"
            table = Name(TEMPORARY, f"windlass_{len(self._pairs) + 1}")
            stage(self._session, item, table, self._origin.lines(item.reading, Whole()))
            self._pairs[item.target] = staged_pair(item, self._target, table)
        return self._session, self._pairs[item.target]

    def close(self) -> None:
        if self._session is not None:
            with suppress(psycopg.Error):
                self._session.close()
        self._session, self._pairs = None, {}
