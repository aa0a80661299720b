"""The moment of the source that a run reads."""

from __future__ import annotations

from dataclasses import dataclass


class Lsn(int):
    """A position in the write-ahead log; ``str()`` is PostgreSQL's ``16/B374D848`` form."""

    @classmethod
    def parse(cls, text: str) -> Lsn:
        high, low = text.split("/")
        return cls((int(high, 16) << 32) + int(low, 16))

    def __str__(self) -> str:
        return f"{self >> 32:X}/{self & 0xFFFFFFFF:X}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An exported snapshot. `number` counts a run's snapshots from 1; more than one means that the
    first was lost during the run."""

    number: int  # to which a relation's `snapshots` refer
    id: str  # what SET TRANSACTION SNAPSHOT takes
    taken_at: str  # ISO 8601
    lsn: str  # the position in the write-ahead log; empty on a standby that does not report it

    @property
    def moment(self) -> str:
        """To the second, for a sentence."""
        return f"{self.taken_at[:19].replace('T', ' ')} UTC"
