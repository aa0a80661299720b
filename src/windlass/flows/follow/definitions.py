"""Definitions that change on the source while it is followed.

Its event trigger notes each statement in the transaction that it belongs to. Before that
transaction is applied, the target must fit what the statement left. Without an event trigger, the
description of a relation that precedes its rows shows the change. In addition, both catalogs are
compared every few seconds, so that a change without rows is noticed too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import psycopg

from windlass.engines.postgres.errors import explain, explaining
from windlass.engines.postgres.replication.lsn import text
from windlass.engines.postgres.replication.shapes import Noted, read_shapes
from windlass.engines.postgres.session import Connection
from windlass.errors import SchemaChanged
from windlass.flows.follow.unfollowed import new_on_source
from windlass.following.additive import addition
from windlass.following.changes import Batch
from windlass.following.definitions import (
    APART,
    NEW,
    UNPUBLISHED,
    Correspondence,
    after,
    differences,
    made_again,
)
from windlass.following.noted import for_target, shown
from windlass.following.routes import BY_REPAIR, Routes
from windlass.journal.following import read_noted
from windlass.model.plan import Arrival, Plan
from windlass.model.relation import Name

log = logging.getLogger(__name__)
POLL_SECONDS = 5.0
_SHARE = 20  # comparisons take at most one in so many parts of the time
_MOST_NAMED = 20
TRIGGERS = "event_triggers"  # whether the source has some of the run
SEEN = "ddl"  # statements that the event triggers noted


def correspondence(plan: Plan) -> Correspondence:
    return Correspondence(
        {item.relation.name: item.target for item in plan.relations},
        dict(plan.schemas),
        frozenset(one.relation.name for one in plan.relations if one.arrival is Arrival.FILL),
    )


def prepare_target(
    session: Connection,
    batch: Batch,
    known: Correspondence,
    routes: Routes,
    applied: Callable[[str], None] | None = None,
) -> None:
    """Check that the target fits what the statements of a transaction left, inside the transaction
    that is about to apply them. With `applied`, statements that only add something are first run on
    the target, and `applied` is called with each.

    Raises:
        SchemaChanged: it does not, or nobody can tell.
    """
    noted = [Noted.from_text(one.objects) for one in batch.schema_changes]
    shapes, gone = after(noted)
    names = [known.target_of(name) for name in (*shapes, *gone)]
    called = {shape.oid: name for name, shape in shapes.items()}
    lasting = [*made_again(noted, shapes), *routes.exchanged(called)]

    def look() -> list[str]:
        targets = read_shapes(session, names, side="target")
        routes.read(session)
        apart = differences(shapes, gone, targets, known)
        return [*lasting, *apart, *routes.left_behind(called)]

    found = look()
    if applied is not None and (found or not shapes.keys().isdisjoint(known.names)):
        fault = _add(session, batch, noted, known, is_needed=bool(found), applied=applied)
        if fault and not found:  # without an index it fits as well
            log.warning("not applied: %s", fault)
        found = found and ([*found, fault] if fault else look())
    if found:
        raise _changed(batch, noted, found, known, lasts=bool(lasting))
    routes.rename(called)
    routes.change({name: known.target_of(name) for name in shapes})
    routes.read(session)


def _add(
    session: Connection,
    batch: Batch,
    noted: list[Noted],
    known: Correspondence,
    *,
    is_needed: bool,
    applied: Callable[[str], None],
) -> str:
    """Run statements that only add something on the target, all or none; returns why they could not
    be run. Without `is_needed`, what the rows do not need, such as an index, is left out."""
    found = [
        addition(change.statement, change.tag, what, known)
        for change, what in zip(batch.schema_changes, noted, strict=True)
    ]
    additions = [one for one in found if one is not None and (is_needed or one.makes)]
    if is_needed and None in found:
        return "it does not only add what can be applied to the target as it is"
    try:
        with session.transaction():
            for one in additions:
                if one.makes is None or not _exists(session, one.makes):
                    session.execute(
                        "select set_config('search_path', %s, true)", (_quoted(one.schema),)
                    )
                    session.execute(one.statement.encode(), prepare=False)
            session.execute("select set_config('search_path', '', true)")
    except psycopg.Error as error:
        fault = explain(error, "running it", side="target")
        return f"it could not be applied to the target: {fault}"
    for one in additions:
        applied(one.statement)
    return ""


def _exists(session: Connection, name: Name) -> bool:
    row = session.execute(
        "select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = %s and c.relname = %s)",
        (name.schema, name.name),
    ).fetchone()
    return bool(row and row[0])


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _changed(
    batch: Batch, noted: list[Noted], found: list[str], known: Correspondence, *, lasts: bool
) -> SchemaChanged:
    """`lasts`: the stream would stop here again, whatever the target has."""
    statements = [
        shown(one.statement, one.tag, what.objects)
        for one, what in zip(batch.schema_changes, noted, strict=True)
    ]
    theirs = [for_target(one.statement, one.tag, known.schemas) for one in batch.schema_changes]
    what = "make the same change"
    if all(theirs) and set(theirs) - set(statements):
        what = f"run {'; '.join(dict.fromkeys(filter(None, theirs)))}"
    at, statement = text(batch.commit_lsn), "; ".join(dict.fromkeys(statements))
    return SchemaChanged(
        f"the source was changed at {at}: {statement} ({'; '.join(found)})",
        hint=f"{what} on the target, then {BY_REPAIR if lasts else 'run the same command again'}",
        lsn=at,
        tag=batch.schema_changes[0].tag,
        objects=", ".join(dict.fromkeys(one for what in noted for one in what.objects)),
        statement=statement,
    )


class Comparing:
    """Compares both catalogs at intervals."""

    def __init__(self, plan: Plan, detail: Mapping[str, Any]) -> None:
        """`detail` is what the journal knew about the run when it began to follow."""
        self._plan, self._detail = plan, detail
        self._due_at = 0.0

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._due_at

    def compare(self, source: Connection, target: Connection) -> Mapping[str, list[str]]:
        """What differs, as details of the run."""
        started = time.monotonic()
        try:
            new = new_on_source(source, target, self._plan, self._detail)
            return {
                SEEN: _seen(source, self._plan.run),
                APART: differ(source, target, self._plan, is_published=True),
                NEW: [*new.missing[:_MOST_NAMED]],
            }
        finally:
            took = time.monotonic() - started
            self._due_at = time.monotonic() + max(POLL_SECONDS, _SHARE * took)


def differ(source: Connection, target: Connection, plan: Plan, *, is_published: bool) -> list[str]:
    """How definitions of followed tables differ now, on whichever side they were changed; and, if
    it `is_published`, which tables of the source no longer are."""
    known = correspondence(plan)
    there = read_shapes(source, known.names, side="source")
    here = read_shapes(target, known.names.values(), side="target")
    apart = differences(there, known.names.keys() - there.keys(), here, known)
    apart += _unpublished(source, plan.run, there) if is_published else ()
    return sorted(apart)[:_MOST_NAMED]


_PUBLISHED = (
    "select schemaname::text, tablename::text from pg_publication_tables where pubname = %s"
)


def _unpublished(source: Connection, run: str, there: Iterable[Name]) -> list[str]:
    """Relations that the source no longer publishes."""
    with explaining("reading publications", side="source"):
        rows: Any = source.execute(_PUBLISHED, (f"windlass_{run}_forward",)).fetchall()
        unlogged: Any = source.execute(
            "select n.nspname::text, c.relname::text from pg_class c"
            " join pg_namespace n on n.oid = c.relnamespace where c.relpersistence = 'u'"
        ).fetchall()
    known = {Name(*row) for row in (*rows, *unlogged)}
    return [f"{name}: {UNPUBLISHED}" for name in there if name not in known]


def _seen(source: Connection, run: str) -> list[str]:
    with explaining("reading statements", side="source"):
        rows = read_noted(source, run, _MOST_NAMED)
    found = (shown(statement, tag, Noted.from_text(what).objects) for tag, what, statement in rows)
    return [*dict.fromkeys(found)]
