"""Proves a table with computed columns: they are computed again from the source's rows, in another
process and in batches of other sizes, and the target compares the result with its own rows. This
finds functions whose results vary."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from psycopg import sql

from windlass.engines.postgres.copy import select_range
from windlass.engines.postgres.copy_in import send
from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.fingerprint import (
    Fingerprint,
    Pair,
    Side,
    read_fingerprints,
)
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.flows.mapped.apart import closable, through_another_process
from windlass.flows.mapped.calling import is_late, read_columns, work_of
from windlass.flows.mapped.landing import TEMPORARY, landed, landing_of, selected
from windlass.flows.sides import Sides
from windlass.flows.validate.pairing import row_pair
from windlass.model.chunk import Range, Whole
from windlass.model.plan import RelationPlan
from windlass.model.relation import Name
from windlass.model.report import Difference, DifferenceKind
from windlass.spec.choices import Verify
from windlass.verifying.postgres.content import find_differences

_READ, _MADE = Name(TEMPORARY, "windlass_read"), Name(TEMPORARY, "windlass_made")
_FIRST, _SECOND = 2, 3  # the batches of the two times are this many times smaller than in copying


@contextlib.contextmanager
def made_again(
    target: Address, item: RelationPlan, blocks: Iterator[bytes], *, smaller: int = _FIRST
) -> Iterator[tuple[Connection, Name]]:
    """The rows that lines of the source should have become, in a temporary table of a session with
    the target."""
    if work := work_of(item, computed=True):
        blocks = through_another_process(
            work.in_batches_of(work.batch_rows // smaller + 1), closable(blocks)
        )
    session = target.connect(Role.TARGET, "windlass proving")
    try:
        with explaining(f"making the rows of {item.target} again", side="target"):
            yield session, _staged(session, item, blocks)
    finally:
        session.close()


def _staged(session: Connection, item: RelationPlan, blocks: Iterable[bytes]) -> Name:
    names = [sql.Identifier(one.target) for one in read_columns(item)]
    making = sql.SQL("create temporary table {} as select {} from only {} where false").format(
        sql.Identifier(_READ.name),
        sql.SQL(", ").join(names),
        sql.Identifier(item.target.schema, item.target.name),
    )
    table = sql.Identifier(_READ.schema, _READ.name)
    with session.transaction():
        session.execute(making)
        with session.cursor().copy(sql.SQL("copy {} from stdin").format(table)) as copy:
            for block in blocks:
                send(copy, block)
        if landing_of(item) is None:
            return _READ
        # with the target's own types, as an INSERT would give them
        names = [sql.Identifier(one.target) for one in item.columns]
        session.execute(
            sql.SQL("create temporary table {} as select {} from only {} where false").format(
                sql.Identifier(_MADE.name),
                sql.SQL(", ").join(names),
                sql.Identifier(item.target.schema, item.target.name),
            )
        )
        session.execute(
            sql.SQL("insert into {} select {} from {}").format(
                sql.Identifier(_MADE.schema, _MADE.name),
                selected(item, computed=True),
                landed(item, _READ),
            )
        )
    return _MADE


# from PostgreSQL


def is_made_again(run: Sides, item: RelationPlan) -> bool:
    return is_late(item) and run.spec.verify_ is Verify.FULL


def source_sum(run: Sides, item: RelationPlan, range_: Range) -> Fingerprint:
    """The fingerprint of a range's rows, as they should have arrived."""
    with made_again(run.hold.target, item, _lines(run, item, range_)) as (session, table):
        return _sum(session, _side(run, item, table))


def _lines(run: Sides, item: RelationPlan, range_: Range) -> Iterator[bytes]:
    columns = [one.source for one in read_columns(item)]
    query = select_range(item.relation, columns, range_, item.mapping)
    return _copied(run.sessions().source(run.snapshot.id), item.relation.name, query)


def _copied(source: Connection, name: Name, query: str) -> Iterator[bytes]:
    """Read the blocks in whichever thread asks for them."""
    statement = sql.SQL("copy ({}) to stdout").format(sql.SQL(query))
    with explaining(f"reading {name}", side="source"), source.cursor().copy(statement) as copy:
        for block in copy:
            yield bytes(block)


def _side(run: Sides, item: RelationPlan, table: Name) -> Side:
    there = row_pair(run, item).target
    relation = replace(there.relation, name=table)
    return replace(there, relation=relation, with_partitions=False)


def _sum(session: Connection, side: Side) -> Fingerprint:
    (found,) = read_fingerprints(session, [(side, Whole())])
    return found


def differing_made_again(
    run: Sides, item: RelationPlan, first: Fingerprint, limit: int
) -> Iterator[Difference]:
    """The rows that differ from what is computed once more from the source's; and whether that
    differs from what was computed the first time."""
    lines = _lines(run, item, Whole())
    with made_again(run.hold.target, item, lines, smaller=_SECOND) as (session, table):
        side = _side(run, item, table)
        if _sum(session, side) != first:
            yield unsteady(item)
        name = str(item.relation.name)

        def every(one: Difference) -> None:
            if run.on_difference is not None:
                run.on_difference(replace(one, object=name))

        for one in find_differences(
            session,
            run.sessions().target(),
            Pair(side, row_pair(run, item).target),
            limit=limit,
            show_values=run.show_values,
            every=every if run.on_difference else None,
        ):
            yield replace(one, object=name)


def unsteady(item: RelationPlan) -> Difference:
    """The message about a function that gave two results for the same rows."""
    functions = sorted(item.mapping.functions) if item.mapping else []
    what = f"function {', '.join(functions)}" if functions else "SQL of the target"
    message = (
        f"{what} gave other values for the same rows when it was called again, in another process"
        " and in batches of another size: nothing that it makes can be proven"
    )
    return Difference(DifferenceKind.CONTENT, str(item.target), message)
