"""What a plan from another engine rests on: the source's structure, the target's catalog, and the
Django project whose models decide about both, if there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from windlass.engines.postgres.catalog import Catalog
from windlass.engines.postgres.relation import CatalogRelation
from windlass.flows.translate.hold import TranslateHold
from windlass.model.plan import Plan, Purpose
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.translation import SourceSchema, SourceTable, SourceView
from windlass.model.units import several
from windlass.model.wording import word
from windlass.planning.postgres.inputs import Request
from windlass.planning.postgres.notices import UNMAPPED
from windlass.planning.postgres.select import is_wanted
from windlass.planning.postgres.translated.archive import Archive, Fitted, Trials
from windlass.planning.postgres.translated.mapped import MappedTables, map_tables
from windlass.planning.postgres.translated.modelled import (
    Described,
    orphans_of,
    problems_of,
    with_fields,
    with_tables,
)
from windlass.planning.postgres.translated.naming import folded, folded_name, naming_problems
from windlass.planning.postgres.translated.source import archive_of
from windlass.planning.postgres.translated.ways import way_of
from windlass.spec.choices import Existing
from windlass.spec.migrate import Spec
from windlass.transfer.hashing import hasher_of_environment

MOST_NAMED = 10
_TYPES = word("types")[:-2]  # how an option for a column's type begins


@dataclass(frozen=True, slots=True)
class Standing:
    """Tables that the target already has, by name, and a pattern for types that decide."""

    tables: Mapping[Name, CatalogRelation] = field(default_factory=dict)
    map_schema: Mapping[str, str] = field(default_factory=dict)
    decides: re.Pattern[str] = re.compile("(?!)")

    def types(self, table: SourceTable, name: Name) -> dict[str, str]:
        """The types of the columns of the target's table with this name."""
        found = self.tables.get(Name(self.map_schema.get(name.schema, name.schema), name.name))
        types = {one.name: one.type for one in found.columns} if found else {}
        return {
            column.name: type_
            for column in table.columns
            if (type_ := types.get(folded(column.name), "")) and self.decides.fullmatch(type_)
        }


_NUMERIC = r"numeric\(\d+,\d+\)"
# For these types the comparison depends on the number of decimals kept. For others only the text
# matters.
_COMPARED = re.compile(_NUMERIC)
# For these types, values that a column cannot hold or would change are counted before anything is
# written.
_FILLED = re.compile(rf"{_NUMERIC}|smallint|integer|bigint|boolean|uuid|character varying\(\d+\)")


@dataclass(frozen=True, slots=True)
class Both:
    """`default` is the schema of the target that replaces the source's; `there` has the tables that
    the target has, or that the project's migrations will make."""

    schema: SourceSchema
    there: Catalog
    default: str
    project: Described | None = None
    standing: Standing = field(default_factory=Standing)
    mapped: MappedTables | None = None  # whose schema this is

    @property
    def called(self) -> Mapping[Name, Name]:
        """The real names of mapped tables."""
        return self.mapped.called if self.mapped else {}

    def takes(self, table: SourceTable) -> bool:
        """Whether the target can take a table's rows."""
        return self.project is None or self.project.table(table) is not None

    def types(self, table: SourceTable) -> dict[str, str]:
        """The types of columns for which they are already decided."""
        if self.project is not None:
            return self.project.types(table)
        name = folded_name(table.name, self.default)
        found = self.standing.types(table, table.mapping.into if table.mapping else name)
        if self.mapped and (types := self.mapped.types.get(table.name)):
            asked = {folded(name): type_ for name, type_ in types.items()}
            names = [one.name for one in table.columns]
            found |= {name: asked[folded(name)] for name in names if folded(name) in asked}
        return found

    def is_refilled(self, name: Name) -> bool:
        """Whether the rows of a table of the target are replaced."""
        return self.project is not None and self.project.is_accepted(name)

    def problems(
        self, wanted: Sequence[SourceTable], views: Sequence[SourceView]
    ) -> Iterator[Problem]:
        yield from naming_problems(wanted, views)
        if self.mapped is not None:
            yield from self.mapped.problems
            chosen_names = {one.name for one in wanted}
            for one in self.schema.tables:
                if one.mapping is not None and one.name not in chosen_names:
                    hint = "select it as well, or leave it out of mapping"
                    yield Problem(str(one.name), "is mapped and not selected", hint)
        if self.project is not None:
            chosen = [one for one in wanted if self.takes(one)]
            yield from problems_of(self.project, self.schema.tables, chosen)

    def misfits(self, one: Fitted) -> Iterator[Problem]:
        if self.project is None:
            yield from one.fit.problems
            return
        for problem in one.fit.problems:
            if problem.hint.startswith(_TYPES):
                hint = "the model decides the type: correct them on the source"
                problem = replace(problem, hint=hint)
            yield problem
        yield from orphans_of(one.table, one.fit)

    def losses_of(self, one: Fitted) -> Iterator[Loss]:
        """The losses of a table. For a Django project, keys that rows break are problems instead,
        see `misfits`."""
        for loss in one.fit.losses:
            if self.project is None or loss.kind is not LossClass.CONSTRAINTS:
                yield loss

    def archive(
        self,
        fits: Sequence[Fitted],
        dialect: str,
        owner: str,
        trials: Trials,
        views: Sequence[SourceView],
    ) -> Archive:
        """Empty for a Django project, as its migrations make the tables."""
        if self.project is not None:
            return Archive(dialect, owner, trials)
        return archive_of(fits, dialect, owner, trials, views, self.default)

    def views(self, request: Request) -> list[SourceView]:
        """Those that are to be made."""
        if self.project is not None or not request.creates:
            return []
        return [
            one
            for one in self.schema.views
            if is_wanted(folded_name(one.name, self.default), request.wanted)
        ]

    def labelled(self, plan: Plan) -> Plan:
        return with_fields(plan, self.project) if self.project else plan

    def notices(self) -> Iterator[str]:
        if self.mapped is not None and self.mapped.problems:
            yield UNMAPPED
        if self.project is None:
            return
        if self.project.migrations:
            some = several(self.project.migrations, MOST_NAMED)
            yield f"the project's migrations are applied to the target first: {some}"
        views = [f"view {one.name.name}" for one in self.schema.views]
        others = [*views, *(f"{kind} {name.name}" for kind, name in self.schema.others)]
        if others:
            yield (
                f"not moved, as migrations make what a project needs: {several(others, MOST_NAMED)}"
            )


def look_at(spec: Spec, hold: TranslateHold, there: Catalog, purpose: Purpose) -> Both:
    """Raises:
    BadSpec, Refused, WindlassError: the project cannot be asked, or refuses.
    """
    schema, default = hold.schema(), hold.origin.schema
    if not spec.django:
        standing = _standing(spec, there, purpose)
        mapped = _mapped(spec, hold) if spec.mapping else None
        known = mapped.schema if mapped else schema
        return Both(known, there, default, standing=standing, mapped=mapped)
    from windlass.flows.translate.project import describe  # no other source needs it

    project = describe(spec, hold, schema, there)
    relations = with_tables(there.relations, project)
    return Both(schema, replace(there, relations=relations), project.schema, project)


def _mapped(spec: Spec, hold: TranslateHold) -> MappedTables:
    hasher = hasher_of_environment()
    return map_tables(
        hold.schema(),
        spec.mapping,
        way_of(hold.origin.maps_as, hold.origin.dialect),
        hold.origin.schema,
        spec.map_schema,
        hasher.id if hasher else "",
    )


def _standing(spec: Spec, there: Catalog, purpose: Purpose) -> Standing:
    if purpose is Purpose.COMPARE:
        decides = _COMPARED
    elif spec.existing is Existing.FILL:
        decides = _FILLED
    else:
        return Standing()
    return Standing({one.name: one for one in there.relations}, spec.map_schema, decides)
