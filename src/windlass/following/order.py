"""The order that a cutover carries out, and the two sessions that do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from windlass.engines.postgres.pgbouncer import Pool
from windlass.following.fence import Fence
from windlass.following.reopening import FORTH, Leaving
from windlass.following.sequences import Pairs
from windlass.model.relation import Name
from windlass.spec.choices import Fencing

Session = Connection[Any]


@dataclass(frozen=True, slots=True)
class Order:
    """The order for a cutover of one run in one direction."""

    run: str
    way: Leaving
    relations: Sequence[Name]  # with rows, on the side that is closed
    sequences: Pairs  # from the side that is closed to the other
    fencing: Fencing = Fencing.AUTO
    pool: Pool | None = None
    spare: tuple[str, ...] = ()  # roles whose sessions are not ended
    leads: bool = False  # whether the command redirects applications to the side that is opened

    @property
    def closes(self) -> bool:
        """Whether the side that is left gets a read-only default."""
        return self.fencing is not Fencing.NONE


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two sessions that may write: one on the side that is closed, one on the side that is
    opened."""

    closed: Session
    opened: Session
    way: Leaving

    @property
    def journal(self) -> Session:
        """The session on the target, which also holds the lock of cutovers."""
        return self.opened if self.way is FORTH else self.closed

    def fence(self, order: Order) -> Fence:
        return Fence(self.closed, order.run, order.spare)
