"""Checks after a repair: whether foreign keys still hold, and whether the repaired objects are
unchanged since. Triggers do not fire while rows are repaired, so foreign keys are not checked
automatically."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from psycopg import sql

from windlass.engines.postgres.largeobjects import read_digests
from windlass.engines.postgres.referrers import count_orphans, read_referrers
from windlass.engines.postgres.sequences import read_sequences
from windlass.engines.postgres.session import Connection
from windlass.flows.validate.context import Comparison
from windlass.journal import records
from windlass.model.flow import Item, Result
from windlass.model.relation import Name
from windlass.model.report import Difference, DifferenceKind, Problem
from windlass.model.units import plural
from windlass.model.wording import word

KEYS = "check_foreign_keys"
_FORCE = f"roll back with {word('force')}"


def read_oid(connection: Connection, name: Name) -> int:
    """0 if there is no relation of this name."""
    table = sql.Identifier(name.schema, name.name).as_string(connection)
    row: Any = connection.execute(
        "select coalesce(pg_catalog.to_regclass(%s::text)::oid, 0)::bigint", (table,)
    ).fetchone()
    return int(row[0])


def check_keys(run: Comparison, repaired: str) -> None:
    """Violations, as differences of the comparison after a repair, which may have deleted rows that
    uncompared tables refer to."""
    lines = records.read_lines(run.control, repaired)
    oids = {(line.note or {}).get("table", 0) for line in lines}
    found = [
        Difference(
            DifferenceKind.SCHEMA,
            name,
            f"{plural(rows, 'row')} refer to rows that no longer exist since the repair:"
            f" repair both tables together, or undo it: windlass rollback {repaired}",
        )
        for name, rows in _broken(run.control, oids)
    ]
    run.collect(KEYS, Item(""), {"differences": [one.to_json() for one in found]})


def broken_keys(connection: Connection, oids: Collection[int]) -> Iterator[Problem]:
    """Foreign keys from or to these tables that would not hold after an undo."""
    for name, rows in _broken(connection, oids):
        message = f"{plural(rows, 'row')} would refer to rows that no longer exist"
        yield Problem(name, message, f"change those rows first, or {_FORCE}")


def _broken(connection: Connection, oids: Collection[int]) -> Iterator[tuple[str, int]]:
    """The foreign keys that do not hold, of those that are enforced. A partition's rows count for
    its roots too."""
    row: Any = connection.execute(
        "select coalesce(array_agg(distinct tree.relid::oid::bigint), '{}') from"
        " unnest(%s::bigint[]) as given (oid) cross join lateral ("
        "select given.oid::oid as relid"
        " union all select relid from pg_catalog.pg_partition_tree(given.oid::oid)"
        " union all select relid from pg_catalog.pg_partition_ancestors(given.oid::oid)) tree",
        (list(oids),),
    ).fetchone()
    touched = set(row[0])
    for one in read_referrers(connection):
        ends = {read_oid(connection, one.relation), read_oid(connection, one.to)}
        if one.is_valid and ends & touched and (rows := count_orphans(connection, one)):
            yield str(one), rows


def changed_sequences(
    connection: Connection, note: Result, *, but: Collection[Name] = ()
) -> Iterator[Problem]:
    """Sequences that moved since the repair set them. Restoring them would give the values drawn
    since once more. `but` are those that the repair set again later."""
    were = [one for one in note.get("set", ()) if Name(*one[:2]) not in but]
    for was, now in zip(were, _read(connection, were), strict=True):
        if list(was) != now:
            message = "was used since the run ended, and would give the same values again"
            yield Problem(f"sequence {Name(*was[:2])}", message, _FORCE)


def _read(connection: Connection, wanted: Iterable[Sequence[Any]]) -> list[list[Any]]:
    states = read_sequences(connection, [Name(*one[:2]) for one in wanted], side="target")
    return [[one.name.schema, one.name.name, one.last_value, one.is_called] for one in states]


def changed_object(connection: Connection, note: Result) -> Iterator[Problem]:
    """A problem if a large object's bytes differ from those that the repair copied."""
    oid, was = note["oid"], note.get("digest")
    if was is not None and read_digests(connection, [oid]).get(oid) != was:
        message = "was changed or removed since the run ended"
        yield Problem(f"large object {oid}", message, _FORCE)
