"""Plans a migration whose tables are mapped on their way."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from psycopg import sql

from windlass.engines.postgres.census import Answer, Question, count_names, take_census
from windlass.engines.postgres.copy import select_range
from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.mapped_reading import (
    count_doubles,
    count_orphans,
    count_where,
    describe,
    users_of,
    volatile,
)
from windlass.engines.postgres.session import Connection
from windlass.flows.mapped.calling import is_late, read_columns
from windlass.model.chunk import Whole
from windlass.model.plan import Plan, RelationPlan
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.planning.postgres.inputs import Questions, Read, Request, wanted
from windlass.planning.postgres.make import make_plan
from windlass.planning.postgres.mapped.finish import as_read
from windlass.planning.postgres.mapped.keys import Counts
from windlass.planning.postgres.mapped.resolve import Resolved
from windlass.planning.postgres.mapped.source import Asked, Asking, MappedSource, mapped_source
from windlass.planning.postgres.notices import UNMAPPED
from windlass.planning.postgres.select import select_relations
from windlass.spec.migrate import Spec
from windlass.transfer.hashing import hasher_of_environment


def plan_mapped(request: Request, read: Read, found: Iterable[Problem], source: Connection) -> Plan:
    """Like `make_plan`, for mapped tables: they are planned in the form in which they arrive, and
    read through their mappings."""
    mapped = read_mapped(request.spec, read, source)
    if mapped.problems and not mapped.tables:  # nothing of it is known
        plan = make_plan(request, read, [*mapped.problems, *found])
        notices = (UNMAPPED, *plan.findings.notices)
        return replace(plan, findings=replace(plan.findings, notices=notices))
    request = replace(request, called=mapped.called)
    arriving = {one.mapping.into: one.arriving for one in mapped.tables.values()}
    pretended = replace(
        read,
        source=mapped.read,
        entries=mapped.entries,
        arriving=arriving,
        ask=_asking_rows(read.ask, source, mapped),
    )
    plan = make_plan(request, pretended, [*mapped.problems, *found])
    return as_read(plan, mapped, request)


def probed(plan: Plan, source: Connection, target: Connection) -> Plan:
    """With what trying functions and SQL of the target has found."""
    if not any(map(is_late, plan.relations)):
        return plan
    from windlass.flows.mapped.probing import ROWS, probe

    def lines(item: RelationPlan) -> bytes:
        columns = [one.source for one in read_columns(item)]
        chosen = select_range(item.relation, columns, Whole(), item.mapping)
        query = sql.SQL("copy ({} limit {}) to stdout").format(sql.SQL(chosen), sql.Literal(ROWS))
        reading = explaining(f"reading {item.relation.name}", side="source")
        with reading, source.cursor().copy(query) as copy:
            return b"".join(map(bytes, copy))

    return probe(plan, target, lines)


def read_mapped(spec: Spec, read: Read, source: Connection) -> MappedSource:
    hasher = hasher_of_environment()
    chosen = select_relations(read.source.catalog, wanted(spec))
    asked = Asked(
        spec.mapping,
        spec.map_schema,
        hasher.id if hasher else "",
        {one.name for one in chosen},
    )
    return mapped_source(asked, read.source, read.entries, _asking(source))


def _asking(source: Connection) -> Asking:
    return Asking(
        describe=partial(describe, source),
        volatile=partial(volatile, source),
        users_of=partial(users_of, source),
        counts=Counts(
            where=lambda one, test: count_where(source, one.name, one.mapping, test),
            doubles=lambda one, columns: count_doubles(source, one.name, one.mapping, columns),
            orphans=partial(count_orphans, source),
        ),
    )


def _asking_rows(ask: Questions, source: Connection, mapped: MappedSource) -> Questions:
    """The questions about rows, asked of mapped rows. Mapped tables are not cut by keys."""
    tables: Mapping[Name, Resolved] = {one.mapping.into: one for one in mapped.tables.values()}

    def census(name: Name, questions: Sequence[Question]) -> Sequence[Answer]:
        one = tables.get(name)
        if one is None:
            return ask.census(name, questions)
        return take_census(source, one.name, questions, one.mapping)

    def names(name: Name, columns: Sequence[str], schemas: Collection[str]) -> Sequence[int]:
        one = tables.get(name)
        if one is None:
            return ask.count_names(name, columns, schemas)
        return count_names(source, one.name, columns, schemas, one.mapping)

    return replace(
        ask,
        bounds=lambda relation, count: (
            () if relation.name in tables else ask.bounds(relation, count)
        ),
        census=census,
        count_names=names,
    )
