"""Whether two sides are two databases, and whether the target is open for writing."""

from __future__ import annotations

from collections.abc import Iterator

from windlass.engines.postgres.catalog import Catalog
from windlass.model.report import Problem


def same_database(source: Catalog, target: Catalog) -> Iterator[Problem]:
    """Whether both are one database, under any names: a session in each is on the same server, or
    one is on a standby of the other's.

    A copy of a cluster has its identifiers, too. It is another database once it takes writes
    itself: a standby that was promoted is on another timeline.
    """
    here, there = source.standing, target.standing
    if here.instance == there.instance:
        yield from itself(source, target)
    elif (
        (here.standby or there.standby)
        and here.origin == there.origin
        and here.timeline == there.timeline
    ):
        standby, primary = ("source", "target") if here.standby else ("target", "source")
        yield Problem(
            "target",
            f"is the same database as the source: the {standby} is a standby of the {primary}"
            if here.standby != there.standby
            else "is the same database as the source: both are standbys of one server",
            "name another database",
        )


def itself(source: Catalog, target: Catalog) -> Iterator[Problem]:
    """A problem if both sides are the same database: there is nothing to compare, except between
    schemas. A standby may be compared."""
    if source.standing.instance == target.standing.instance:
        message = f"is the same database as the source: {target.server}"
        yield Problem("target", message, "name another database")


def read_only(target: Catalog) -> Iterator[Problem]:
    """A problem if somebody has closed the target for writing, perhaps because its disk is full."""
    if target.standing.opened_by:
        yield Problem(
            "target",
            f"database {target.server.database} is set default_transaction_read_only = on"
            f" for {target.server.user}",
            target.standing.opened_by,
        )
