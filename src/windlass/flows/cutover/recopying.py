"""Copies what no stream carries to the side that is opened.

A first time before the freeze, while applications still write: that shows how long it takes. Then
in the freeze, if that fits: what is copied there is exactly what the other side holds. If the
cutover is taken back, the other side only has newer copies than before.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from psycopg import sql

from windlass.engines.postgres.copy_in import send
from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.largeobjects import (
    apply_metadata,
    copy_large_object,
    describe,
    read_oids_after,
    read_roles,
    unlink_large_objects,
)
from windlass.errors import Refused, TakenBack, WindlassError
from windlass.flows.cutover.unstreamed import RECOPY, Objects, Table, Unstreamed, note_of
from windlass.following.limit import Limit
from windlass.following.order import Pairing, Session
from windlass.following.reopening import FORTH, Leaving
from windlass.journal import records
from windlass.model.relation import Name, Wire
from windlass.model.report import Problem
from windlass.model.units import seconds_text, several
from windlass.model.wording import word
from windlass.planning.postgres.unstreamed import SHARE
from windlass.verifying.postgres.large_objects import differing_large_objects

PATIENCE_SECONDS = 60.0  # for the first time
AT_ONCE = 32  # large objects in one transaction, each of which takes a lock
MOST_NAMED = 5
_FORMS = {Wire.BINARY: sql.SQL("binary"), Wire.TEXT: sql.SQL("text")}


@dataclass
class Recopying:
    """The copying for one cutover of one run. Its statements run in the sessions of `pair`."""

    run: str
    way: Leaving
    pair: Pairing
    what: Unstreamed
    views: list[Name] = field(default_factory=list)  # that are refreshed in the freeze
    seconds: float = 0.0  # that it is expected to take in the freeze
    objects: int = 0  # large objects that were changed or removed

    def leave_out(self) -> str:
        """Skip all recopying. Returns what is left out, for people; empty if nothing is."""
        found = " and ".join(
            filter(None, [self._named, *(one.object for one in self.what.problems)])
        )
        self.what = replace(self.what, tables=(), objects=None, problems=())
        if not found:
            return ""
        return f"not copied again: the other side keeps its present copies of {found}"

    def rehearse(self, limit: Limit, max_freeze_seconds: float) -> Iterator[str]:
        """Copy a first time, while both sides are in use. Yields notices for people.

        Raises:
            Refused: something cannot be brought over, or does not fit into the freeze.
        """
        if self.what.problems:
            raise Refused(list(self.what.problems))
        share = max_freeze_seconds / SHARE
        with self._bounded(limit):
            try:
                self._measure(limit, share)
            except TakenBack as error:
                if error.where.get("stopped_by") == "interrupted":
                    raise
                raise Refused([_too_long(self._named, limit.seconds, share)]) from error
            except WindlassError as error:
                if not limit.left_seconds:
                    raise Refused([_too_long(self._named, limit.seconds, share)]) from error
                raise Refused([_failed(self._named, error)]) from error
            if self.seconds > share:
                raise Refused([_too_long(self._named, self.seconds, share)])
            self._note_outside()
            if self._named:
                took = seconds_text(self.seconds)
                yield f"{self._named}: copied again while writers wait, which took {took} just now"
            yield from self._try_views(share)

    def again(self, limit: Limit) -> None:
        """In the freeze: nobody writes to what is read."""
        self._copy(limit)
        for name in self.views:
            limit.check(f"refreshing {name}")
            self._refresh(name)

    @property
    def left(self) -> Sequence[Name]:
        return [one.left for one in self.what.tables]

    def confirm(self, limit: Limit) -> None:
        """Compare large objects again: they cannot be locked.

        Raises:
            TakenBack: somebody has changed some since they were copied.
        """
        limit.check("comparing large objects")
        if late := self._late_objects():
            named = several([str(oid) for oid in late], MOST_NAMED)
            raise TakenBack(
                f"large objects were written to after they were copied: {named}",
                hint="find who writes to them, and run the same command again",
                stopped_by="late_write",
            )

    def _late_objects(self) -> list[int]:
        known = self.what.objects
        if known is None or not self._holds_objects():
            return []
        with explaining("comparing large objects", side=self._opens):
            differing = differing_large_objects(self.pair.closed, self.pair.opened)
            found = [oid for oid, _ in differing if oid not in known.outside]
            return found + list(_removed(self.pair.closed, self.pair.opened, known))

    @property
    def _named(self) -> str:
        names = [str(one.left) for one in self.what.tables]
        found = [f"unlogged {several(names, MOST_NAMED)}"] if names else []
        if self.what.objects is not None and self._holds_objects():
            found.append("large objects")
        return " and ".join(found)

    def _holds_objects(self) -> bool:
        return any(read_oids_after(one, 0, 1) for one in (self.pair.closed, self.pair.opened))

    def _measure(self, limit: Limit, share: float) -> None:
        """Copy and measure. If the first pass had much to do, which is done now, measure a second
        one."""
        for _ in range(2):
            before = self.objects
            started = time.monotonic()
            self._copy(limit)
            self._late_objects()  # as in the freeze
            self.seconds = time.monotonic() - started
            if self.seconds <= share or self.objects == before:
                return

    def _try_views(self, share: float) -> Iterator[str]:
        for name in self.what.views:
            started = time.monotonic()
            refresh = f"afterwards, REFRESH MATERIALIZED VIEW {name}"
            try:
                self._refresh(name)
            except WindlassError as error:
                yield f"materialized view {name} is not refreshed: {error}; {refresh}"
                continue
            took = time.monotonic() - started
            if self.seconds + took > share:
                yield (
                    f"materialized view {name} takes {seconds_text(took)} to refresh, too long for"
                    f" the freeze; {refresh}"
                )
                continue
            self.seconds += took
            self.views.append(name)
        if self.views:
            names = several([str(name) for name in self.views], MOST_NAMED)
            yield f"refreshed while writers wait: {names}"

    @contextmanager
    def _bounded(self, limit: Limit) -> Iterator[None]:
        """No statement takes longer than what is left of the limit."""
        milliseconds = f"{max(int(limit.left_seconds * 1000), 1)}ms"
        for session in (self.pair.closed, self.pair.opened):
            session.execute("select set_config('statement_timeout', %s, false)", (milliseconds,))
        yield
        for session in (self.pair.closed, self.pair.opened):
            session.execute("select set_config('statement_timeout', '0', false)")

    def _copy(self, limit: Limit) -> None:
        if self.what.tables:
            limit.check("copying unlogged tables")
            with explaining("copying unlogged tables", side=self._opens):
                copy_tables(self.pair.closed, self.pair.opened, self.what.tables)
        if self.what.objects is not None:
            with explaining("copying large objects", side=self._opens):
                if self._holds_objects():
                    self._copy_objects(self.what.objects, limit)

    @property
    def _opens(self) -> str:
        return self.way.opens.name.lower()

    def _refresh(self, name: Name) -> None:
        view = sql.Identifier(name.schema, name.name)
        with explaining(f"refreshing {name}", side=self._opens):
            self.pair.opened.execute(sql.SQL("refresh materialized view {}").format(view))

    def _copy_objects(self, known: Objects, limit: Limit) -> None:
        """Copy large objects that differ, and remove those that no longer exist."""
        closed, opened = self.pair.closed, self.pair.opened
        doing = "comparing large objects"
        differing = []
        for oid, _ in differing_large_objects(closed, opened):
            limit.check(doing)
            if oid not in known.outside:
                differing.append(oid)
        _check_ours(opened, differing, known, self._opens)
        removed = list(_removed(closed, opened, known))
        roles, user = read_roles(opened), opened.info.user
        self.objects += len(differing) + len(removed)
        for some in _slices(differing):
            limit.check("copying large objects")
            self._journal(some)
            with opened.transaction():
                unlink_large_objects(opened, some)
                for one in describe(closed, some):
                    copy_large_object(closed, opened, one)
                    apply_metadata(opened, one, roles, user)
        for some in _slices(removed):
            limit.check("removing large objects")
            with opened.transaction():
                unlink_large_objects(opened, some)
        copied = known.copied.union(differing)
        self.what = replace(self.what, objects=Objects(copied, known.outside))

    def _note_outside(self) -> None:
        """Before applications write to the target, note the large objects that the run has not
        made: a flip back leaves them out."""
        known = self.what.objects
        if known is not None and self.way is FORTH:
            there = _all_of(self.pair.opened)
            self._journal((), [oid for oid in there if oid not in known.copied])

    def _journal(self, copied: Sequence[int], outside: Sequence[int] | None = None) -> None:
        """Note which large objects belong to the run, before it makes them; or which do not."""
        at = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
        line = records.Line(RECOPY, at, note=note_of(copied, outside))
        self.pair.journal.execute(sql.SQL(records.line_statement(self.run, line)))


def copy_tables(left: Session, opened: Session, tables: Sequence[Table]) -> None:
    """Replace the rows of tables by those of the other side, in one transaction."""
    with opened.transaction():
        opened.execute("set local session_replication_role = replica")
        names = sql.SQL(", ").join(_named(one.opened) for one in tables)
        opened.execute(sql.SQL("truncate only {}").format(names))
        for one in tables:
            _copy_rows(left, opened, one)


def _copy_rows(left: Session, opened: Session, table: Table) -> None:
    form = _FORMS[table.wire]
    there, here = (
        sql.SQL(", ").join(sql.Identifier(pair[at]) for pair in table.columns) for at in (0, 1)
    )
    out = sql.SQL("copy {} ({}) to stdout (format {})").format(_named(table.left), there, form)
    into = sql.SQL("copy {} ({}) from stdin (format {})").format(_named(table.opened), here, form)
    with (
        left.cursor() as reads,
        opened.cursor() as writes,
        reads.copy(out) as blocks,
        writes.copy(into) as rows,
    ):
        for block in blocks:
            send(rows, block)


def _named(name: Name) -> sql.Identifier:
    return sql.Identifier(name.schema, name.name)


def _check_ours(opened: Session, oids: Sequence[int], known: Objects, side: str) -> None:
    """Raises:
    WindlassError: an id is that of a large object that others have made there.
    """
    present = [one.oid for one in describe(opened, oids)]
    if others := [oid for oid in present if oid not in known.copied]:
        named = several([str(oid) for oid in others], MOST_NAMED)
        raise WindlassError(
            f"the {side} has other large objects with the same ids: {named}",
            hint="remove them there with lo_unlink, if nobody needs them",
        )


def _removed(closed: Session, opened: Session, known: Objects) -> Iterator[int]:
    """Large objects of the run that exist only on the side that is opened."""
    for some in _slices(sorted(known.copied), 10_000):
        there = {one.oid for one in describe(closed, some)}
        yield from (one.oid for one in describe(opened, some) if one.oid not in there)


def _all_of(session: Session) -> Iterator[int]:
    last = 0
    while found := read_oids_after(session, last, 10_000):
        yield from found
        last = found[-1]


def _slices(oids: Sequence[int], most: int = AT_ONCE) -> Iterator[Sequence[int]]:
    for start in range(0, len(oids), most):
        yield oids[start : start + most]


def _too_long(what: str, seconds: float, share: float) -> Problem:
    return Problem(
        what,
        f"no stream carries it, and to copy it again takes more than {seconds_text(share)} of the"
        f" freeze: it took {seconds_text(seconds)}",
        f"{word('max-freeze')} {SHARE * seconds * 1.5:.0f}s, or {word('no-recopy')}: the other side"
        " keeps its present copy",
    )


def _failed(what: str, error: WindlassError) -> Problem:
    hint = f"{word('no-recopy')} leaves the other side as it is"
    return Problem(
        what, f"cannot be copied again: {error}", f"{error.hint}; or {hint}".lstrip("; ")
    )
