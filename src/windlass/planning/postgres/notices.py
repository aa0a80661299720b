"""Notices of a plan: facts that people should know although nothing is lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from windlass.model.plan import Dependent
from windlass.model.relation import Kind
from windlass.model.units import several
from windlass.planning.naming import target_name
from windlass.planning.postgres.decided import Decided
from windlass.planning.postgres.locale import locale_notices
from windlass.planning.postgres.own import kept_notices, own_notices
from windlass.planning.postgres.persistence import unlogged_tables
from windlass.planning.postgres.properties import closed_notices
from windlass.planning.postgres.refusals import odd_choices
from windlass.planning.postgres.select import names_called, unmatched
from windlass.planning.postgres.undumped import undumped_notices
from windlass.spec.choices import Extent

MOST_NAMED = 20
UNMAPPED = (
    "mapped tables are shown as they are on the source, until the problems of mapping are solved"
)


def _unmatched(decided: Decided) -> Iterator[str]:
    """Patterns that exclude nothing, where that does not refuse the plan."""
    wanted = decided.scope.wanted
    for one in unmatched(names_called(decided.read.source.catalog, wanted), wanted.exclude):
        if wanted.may_be_unmatched:
            yield f"exclude: {one.text}"


def plan_notices(decided: Decided) -> tuple[str, ...]:
    """The notices, one sentence each."""
    request, read = decided.request, decided.read
    source, target = read.source, read.target
    return (
        *_unmatched(decided),
        *_unlogged(decided),
        *_drawing(decided.definitions.repointing.dependents),
        *(odd_choices(request.spec, decided.scope.sides) if request.migrates else ()),
        *_left_with_database(decided),
        *_left_closed(decided),
        *(_left_stale(decided) if request.migrates else ()),
        *own_notices(source.own_schemas),
        *(kept_notices(source.kept_objects) if decided.large_objects.count else ()),
        *locale_notices(source.locale, target.locale),
        *(() if request.migrates else _undumped(decided)),
    )


def _unlogged(decided: Decided) -> Iterator[str]:
    """A crash of the target after the run empties its unlogged tables."""
    names = sorted(map(str, unlogged_tables(decided.written, decided.relations)))
    if names:
        yield (
            f"{several(names, MOST_NAMED)} {_are(names)} unlogged on the target, as on the source:"
            " a crash of the server empties unlogged tables"
        )


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _drawing(dependents: Iterable[Dependent]) -> Iterator[str]:
    """Defaults of existing tables, whose rows may have values that the source's sequence has not
    reached yet."""
    for one in dependents:
        if any(each.kind == "DEFAULT" and "nextval(" in each.sql for each in one.statements):
            yield (
                f"{one.object} draws from a sequence that is replaced and gets the source's state:"
                " set it past the values that this table has already"
            )


def _left_with_database(decided: Decided) -> Iterator[str]:
    values = decided.read.source.properties.values
    has_own = any(kind in ("setting", "limit", "comment") for kind, *_ in values)
    part = not decided.scope.wanted.is_everything
    if has_own and part and decided.request.spec.extent is not Extent.DATA:
        yield (
            "settings, connection limit, comment and grants of the database are not carried over,"
            " as only a part of it is selected"
        )


def _left_closed(decided: Decided) -> Iterable[str]:
    everything = decided.scope.wanted.is_everything
    if decided.request.spec.extent is Extent.DATA or not everything:
        return ()
    return closed_notices(decided.read.source.properties, decided.read.target.properties)


def _left_stale(decided: Decided) -> Iterator[str]:
    """If only rows are loaded, no materialised view is refreshed."""
    if decided.request.spec.extent is not Extent.DATA:
        return
    scope = decided.scope
    there = {
        one.name
        for one in decided.read.target.catalog.relations
        if one.kind is Kind.MATERIALIZED_VIEW
    }
    views = (one for one in scope.relations if one.is_populated_view)
    arriving = (target_name(one.name, scope.schemas) for one in views)
    if names := [str(name) for name in arriving if name in there]:
        yield f"{several(names, MOST_NAMED)} {_are(names)} not refreshed, as only rows are migrated"


def _undumped(decided: Decided) -> Iterator[str]:
    user = decided.read.source.catalog.server.user
    return undumped_notices(decided.undumped, decided.definitions.entries, user)
