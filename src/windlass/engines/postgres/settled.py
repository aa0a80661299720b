"""Up to which moment a time watermark is complete: who is still writing, and since when."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Address, Role
from windlass.model.units import several

_TIME = re.compile(r"timestamp|date$")  # types of a watermark that a moment can be compared with
_FLOAT, _NUMERIC = re.compile(r"real$|double precision$"), re.compile(r"numeric")


def endless(mark: sql.Composable, type_: str, version: int) -> sql.Composed | None:
    """A condition for infinity and NaN, after or before which nothing can come; None if the type
    has neither."""
    infinities = ["infinity", "-infinity"]
    if _TIME.match(type_):
        values = infinities
    elif _FLOAT.match(type_):
        values = ["NaN", *infinities]
    elif _NUMERIC.match(type_):
        values = ["NaN", *(infinities if version >= 140000 else ())]
    else:
        return None
    return sql.SQL("{} in ({})").format(mark, sql.SQL(", ").join(map(sql.Literal, values)))


@dataclass(frozen=True, slots=True)
class Settled:
    """A moment. No transaction that is still running then can have stamped rows with an earlier
    time that a later snapshot does not show."""

    moment: str = ""
    zone: str = "UTC"  # of stamps without one
    is_blind: bool = False  # others' transactions could not be seen
    untracked: Sequence[str] = ()  # roles of sessions with track_activities = off
    is_standby: bool = False

    def notices(self, overlaps: Sequence[float | None]) -> list[str]:
        """Notices of what watermarks may miss, if some have no overlap. None stands for a watermark
        that cannot have one."""
        if all(overlaps):
            return []
        cure = "give overlap-seconds" if 0 in overlaps else "use merge with overlap-seconds"
        return [
            f"watermarks: {unseen} cannot be seen: a row that is committed later than it was"
            f" stamped may be missed; {', or '.join([cure, *others])}"
            for unseen, others in self._unseen()
        ]

    def _unseen(self) -> Iterator[tuple[str, Sequence[str]]]:
        """What cannot be seen, and what helps instead."""
        if self.is_standby:
            yield "who writes to a standby's primary", ["read the primary"]
            return
        if self.is_blind:
            yield "since when others write", ["grant pg_read_all_stats"]
        if self.untracked:
            roles = several(self.untracked)
            unseen = f"since when sessions of {roles} write, whose track_activities is off,"
            yield unseen, ["set it to on"]

    def highest(
        self, mark: sql.Identifier, type_: str, item: sql.Composed, version: int, *, once: bool
    ) -> sql.Composed:
        """The query for a column's highest watermark. `once`: the highest one below which no more
        rows will appear. The conditions are in WHERE, so that an index can still be used."""
        most: sql.Composable = sql.SQL("max({})").format(mark)
        where: sql.Composable = sql.SQL("")
        if _TIME.match(type_):
            settled = sql.SQL("{}::timestamptz").format(sql.Literal(self.moment))
            if not type_.endswith("with time zone"):
                settled = sql.SQL("({} at time zone {})").format(settled, sql.Literal(self.zone))
            if once:  # a stamp may be rounded down to its second or day
                settled = sql.SQL("pg_catalog.date_trunc('second', {})").format(settled)
                where = sql.SQL(" where {} < ({})::{}").format(mark, settled, sql.SQL(type_))
            else:
                text = "case when {0} is not null then least({0}, {1}::{2}) end"
                most = sql.SQL(text).format(most, settled, sql.SQL(type_))
        elif is_endless := endless(mark, type_, version):
            where = sql.SQL(" where not {}").format(is_endless)
        return sql.SQL("select ({})::text from {}{}").format(most, item, where)


def read_settled(address: Address) -> Settled:
    """Called before the snapshot is taken.

    Raises:
        WindlassError: the source cannot be read.
    """
    try:
        with address.connect(Role.SOURCE, "windlass watermark") as connection:
            row = connection.execute(load("settled")).fetchone()
    except psycopg.Error as error:
        raise explain(error, "reading who is writing", side="source") from error
    assert row is not None
    moment, zone, is_blind, untracked, is_standby = row
    assert isinstance(untracked, list)
    return Settled(str(moment), str(zone), bool(is_blind), sorted(untracked), bool(is_standby))
