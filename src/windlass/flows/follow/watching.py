"""Watches the server that a stream is read from: its slot, the log that it keeps, who it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from windlass.engines.postgres.catalog import read_server
from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.replication import slots
from windlass.engines.postgres.replication.slots import SlotState
from windlass.engines.postgres.session import Connection
from windlass.errors import SlotLost, WindlassError
from windlass.flows.follow.removal import drop_slot
from windlass.model.units import bytes_text
from windlass.model.wording import word

WARNED_SHARE = 0.5  # a person should know when this share of the room is used


def read_log_end(session: Connection, *, side: str) -> int:
    """The end of the server's log, as a number."""
    with explaining("reading the end of the log", side=side):
        row: Any = session.execute("select (pg_current_wal_lsn() - '0/0')::bigint").fetchone()
    return int(row[0])


def check_timeline(session: Connection, timeline: int | None, *, side: str) -> int:
    """The timeline that the server is on. Must be `timeline`, if one is given.

    Raises:
        WindlassError: a standby has taken over, which may lack the end of what the other one had
            committed, or never had the slot.
    """
    _, standing = read_server(session)
    if timeline is not None and standing.timeline != timeline:
        raise WindlassError(
            f"the {side} is on timeline {standing.timeline}, and was on {timeline}: another server"
            " has taken over, and changes may be missing",
            side=side,
            stopped_by="timeline",
        )
    return standing.timeline


@dataclass(slots=True)
class SlotWatch:
    """One slot, whose log is limited to `most_bytes` (0: only by its server)."""

    name: str
    side: str
    most_bytes: int
    notice: Callable[[str], None]
    has_warned: bool = False

    def look(self, session: Connection) -> SlotState:
        """Raises:
        SlotLost: the slot is gone or useless; or it kept too much, and is dropped.
        """
        state = slots.read_slot(session, self.name, side=self.side)
        if state is None or state.is_lost:
            what = "is gone" if state is None else "has lost the log that it needs"
            raise slot_lost(self.name, what, self.side)
        if self.most_bytes and state.retained_bytes > self.most_bytes:
            drop_slot(session, self.name, side=self.side)
            kept, most = bytes_text(state.retained_bytes), bytes_text(self.most_bytes)
            option = word("max-retained-wal", most)
            what = f"kept {kept} of WAL, and was dropped ({option})"
            raise slot_lost(self.name, what, self.side)
        self._warn(state)
        return state

    def room_of(self, state: SlotState) -> int | None:
        """How many more bytes the slot may keep, by the server's limit and ours; None if there is
        no limit."""
        left = [state.room_bytes] if state.room_bytes is not None else []
        left += [self.most_bytes - state.retained_bytes] if self.most_bytes else []
        return max(min(left), 0) if left else None

    def _warn(self, state: SlotState) -> None:
        """Warn once when more than half of the room is used; again if it was less in between."""
        room = self.room_of(state)
        if room is None:
            return
        is_much = state.retained_bytes > WARNED_SHARE * (state.retained_bytes + room)
        if is_much and not self.has_warned:
            self.notice(
                f"slot {self.name} keeps {bytes_text(state.retained_bytes)} of WAL on the"
                f" {self.side}, and may keep {bytes_text(room)} more"
            )
        self.has_warned = is_much


def slot_lost(name: str, what: str, side: str) -> SlotLost:
    return SlotLost(
        f"slot {name} {what}: what was written to the {side} since cannot be read",
        side=side,
        slot=name,
        stopped_by="slot_lost",
    )
