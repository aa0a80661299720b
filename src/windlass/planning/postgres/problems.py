"""Why a plan cannot be carried out: every problem, in the order in which people read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from windlass.model.report import Loss, Problem, loss_problems
from windlass.planning.naming import target_name
from windlass.planning.postgres.access import (
    large_object_problems,
    reading_problems,
    schema_problems,
    standby_problems,
)
from windlass.planning.postgres.build import build_problems
from windlass.planning.postgres.conflicts import conflict_problems, taken_names, unmovable
from windlass.planning.postgres.decided import Decided
from windlass.planning.postgres.locks import locked_tables, target_lock_problems
from windlass.planning.postgres.object_names import name_problems
from windlass.planning.postgres.refusals import (
    collision_problems,
    emptiness_problems,
    find_problems,
    missing_extensions,
)
from windlass.planning.postgres.removed import removed_problems
from windlass.planning.postgres.scope import merged_schemas, schema_names
from windlass.planning.postgres.select import selection_problems
from windlass.planning.postgres.standing import itself, same_database
from windlass.planning.postgres.superusers import superuser_problems
from windlass.spec.choices import Existing as OnExisting
from windlass.spec.choices import Extent


def plan_problems(
    decided: Decided, found: Iterable[Problem], losses: Sequence[Loss]
) -> tuple[Problem, ...]:
    """All problems, including those `found` while reading, and losses that were not accepted."""
    request, scope = decided.request, decided.scope
    source, target = decided.read.source.catalog, decided.read.target.catalog
    if request.migrates and (same := [*same_database(source, target)]):
        return tuple(dict.fromkeys(same))  # everything that exists there is the source's own
    problems = [*found, *_selecting(decided), *_standing(decided)]
    stranded = _stranded_relations(scope.selection.stranded)
    if request.migrates:
        problems += _filling(decided, stranded)
    if request.migrates and request.copies_rows:
        problems += name_problems(decided.relations, scope.renamed, decided.read.ask.count_names)
    if request.creates:
        problems += _creating(decided)
    problems += _reading(decided)
    problems += decided.properties.problems
    if request.migrates:
        problems += loss_problems(_without(losses, stranded), request.spec.accept)
    return tuple(dict.fromkeys(problems))


def _selecting(decided: Decided) -> Iterator[Problem]:
    scope, source = decided.scope, decided.read.source.catalog
    mapped = decided.request.spec.map_schema
    names = schema_names(scope.archive, source)
    yield from selection_problems(source, names, scope.wanted, mapped=mapped)
    yield from reading_problems(scope.sides)
    yield from merged_schemas(scope.schemas)


def _standing(decided: Decided) -> Iterator[Problem]:
    """A database must not be compared with itself, except for different schemas."""
    if not decided.request.migrates and not decided.scope.renamed:
        yield from itself(decided.read.source.catalog, decided.read.target.catalog)


def _filling(decided: Decided, stranded: Iterable[Problem]) -> Iterator[Problem]:
    yield from find_problems(decided.request.spec, decided.scope.sides)
    yield from emptiness_problems(decided.read.ask.empty(decided.filled()))
    yield from stranded
    yield from decided.definitions.written.problems
    yield from _firing(decided)
    yield from decided.tables.problems


def _firing(decided: Decided) -> Iterator[Problem]:
    if decided.read.target.may_silence_triggers:
        return
    user = decided.read.target.catalog.server.user
    for name in decided.filled_with_triggers():
        yield Problem(
            str(name),
            f"has triggers or foreign keys on the target, and {user} may not switch them off",
            f"GRANT SET ON PARAMETER session_replication_role TO {user} (since 15), or a superuser",
        )


def _creating(decided: Decided) -> Iterator[Problem]:
    """What prevents statements from running."""
    definitions, target = decided.definitions, decided.read.target
    yield from missing_extensions(definitions.entries, target.existing)
    yield from _running(decided)
    existing = decided.request.existing
    if existing is OnExisting.REFUSE:
        yield from conflict_problems(definitions.conflicts)
    if existing is OnExisting.REPLACE:
        yield from unmovable(definitions.conflicts)
    yield from (*definitions.aside.problems, *definitions.repointing.problems)
    yield from taken_names(decided.written, definitions.conflicts, target.existing)


def _running(decided: Decided) -> Iterator[Problem]:
    request, scope, read = decided.request, decided.scope, decided.read
    both = read.source.catalog.server, read.target.catalog.server
    bars = superuser_problems(decided.written, both[1])
    yield from bars
    barred = {bar.object for bar in bars}
    able = [one for one in decided.written if str(one) not in barred]
    yield from _locking(decided)
    yield from schema_problems(decided.written, scope.sides)
    copied = scope.relations if request.spec.extent is Extent.ALL else ()
    yield from build_problems(able, copied, scope.renamed, read.ask.try_out)
    yield from removed_problems(able, *both, read.ask.try_out)


def _locking(decided: Decided) -> Iterator[Problem]:
    scope, target = decided.scope, decided.read.target
    made = {target_name(name, scope.renamed) for name in locked_tables(scope.relations)}
    tables = len(made | locked_tables(target.catalog.relations))
    yield from target_lock_problems(tables, target.locks, decided.read.ask.try_out)


def _reading(decided: Decided) -> Iterator[Problem]:
    """What cannot be read from the source, and large objects that exist already."""
    request, read = decided.request, decided.read
    if request.copies_rows:
        yield from standby_problems(read.source.catalog, decided.scope.relations)
    if not decided.large_objects.count:
        return
    yield from large_object_problems(decided.scope.sides)
    if request.migrates and read.target.large_objects.count:
        user = read.target.catalog.server.user
        yield from collision_problems(read.ask.collisions(), user, request.existing)


def _stranded_relations(stranded: Iterable[Loss]) -> list[Problem]:
    return [
        Problem(loss.object, loss.message.removeprefix("left out: "), "select it as well")
        for loss in stranded
        if loss.object.startswith(("table ", "foreign table "))
    ]


def _without(losses: Iterable[Loss], problems: Iterable[Problem]) -> list[Loss]:
    """Leaves out losses that a problem reports already."""
    named = {problem.object for problem in problems}
    return [loss for loss in losses if loss.object not in named]
