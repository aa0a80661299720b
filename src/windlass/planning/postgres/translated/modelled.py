"""The tables of a Django project as the target of a source of another engine: which of the source's
tables they take, and with which types. The project's migrations make them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from windlass.engines.postgres.relation import CatalogRelation
from windlass.model.plan import Plan
from windlass.model.relation import Column, Kind, Name
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.translation import Fit, SourceTable
from windlass.model.units import several
from windlass.planning.postgres.translated.naming import folded

MIGRATIONS = "django_migrations"
# tables that migrations fill: in a new project their rows were written by migrations
REFILLED = (MIGRATIONS, "django_content_type", "auth_permission", "django_site")
MOST_NAMED = 10
UTC = ("UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu")


@dataclass(frozen=True, slots=True)
class ModelColumn:
    name: str
    field: str  # shop.Order.created
    type: str  # as the target's format_type prints it, if the target knows the type
    not_null: bool = False
    is_generated: bool = False
    fills_itself: bool = False
    refers: str = ""  # a table


@dataclass(frozen=True, slots=True)
class ModelTable:
    name: str
    model: str  # shop.Order
    columns: tuple[ModelColumn, ...]
    is_made: bool = True  # by a migration


@dataclass(frozen=True, slots=True)
class Described:
    """What a project reports about the target. `there` are tables that exist on the target.
    `is_making`: migrations were interrupted while they filled them."""

    schema: str
    zone: str  # of times without one, on the source
    behind: tuple[str, ...]  # migrations that the source lacks
    migrations: tuple[str, ...]  # that the target lacks
    is_making: bool
    tables: Mapping[str, ModelTable] = field(default_factory=dict)
    there: frozenset[str] = frozenset()

    def name(self, table: str) -> Name:
        return Name(self.schema, table)

    @property
    def filled(self) -> list[ModelTable]:
        """Tables that exist or will be created."""
        return [one for one in self.tables.values() if one.is_made or one.name in self.there]

    def table(self, source: SourceTable) -> ModelTable | None:
        """The table that takes a table's rows."""
        found = self.tables.get(source.name.name)
        return found if found in self.filled else None

    def types(self, source: SourceTable) -> dict[str, str]:
        """The type of each column, in the words that people choose types with."""
        table = self.table(source)
        columns = {one.name: one for one in table.columns} if table else {}
        found = {}
        for column in source.columns:
            if column.name in columns:
                found[column.name] = self._zoned(columns[column.name].type)
        return found

    def _zoned(self, type_: str) -> str:
        is_instant = type_ == "timestamp with time zone" and self.zone not in UTC
        return f"timestamptz in {self.zone}" if is_instant else type_

    def is_accepted(self, name: Name) -> bool:
        """Whether the rows of a table of the target may be replaced, because migrations have
        written them."""
        return name.schema == self.schema and (
            self.is_making or name.name in REFILLED or name.name not in self.there
        )


def with_tables(
    relations: Iterable[CatalogRelation], described: Described
) -> tuple[CatalogRelation, ...]:
    """The target's relations, plus those that the migrations will create."""
    missing = [one for one in described.filled if one.name not in described.there]
    referred = {each.refers for one in described.filled for each in one.columns}
    made = [
        CatalogRelation(
            name=described.name(one.name),
            kind=Kind.TABLE,
            columns=tuple(
                Column(
                    name=each.name,
                    type=each.type,
                    not_null=each.not_null,
                    generated=each.is_generated,
                    has_default=each.fills_itself,
                )
                for each in one.columns
            ),
            has_triggers=one.name in referred or any(each.refers for each in one.columns),
        )
        for one in missing
    ]
    return tuple(sorted((*relations, *made), key=lambda one: one.name))


def problems_of(
    described: Described, tables: Sequence[SourceTable], chosen: Sequence[SourceTable]
) -> Iterator[Problem]:
    """Where the project and the source disagree. `tables` are all tables of the source."""
    if not described.schema:
        hint = "the first schema of its search_path is not there: create it, or set another one"
        yield Problem("target", "has no schema that the project's tables would be made in", hint)
    if described.behind:
        message = f"lacks migrations of the project: {several(described.behind, MOST_NAMED)}"
        hint = "apply them there first (manage.py migrate), or use the project's code as of then"
        yield Problem("source", message, hint)
    there = {one.name.name for one in tables}
    for one in described.filled:
        odd = [each for each in (one.name, *(c.name for c in one.columns)) if folded(each) != each]
        if odd:
            message = f"has names with capitals, which are not kept: {several(odd, MOST_NAMED)}"
            yield Problem(f"model {one.model}", message, "exclude the table, and load it with psql")
        if one.name not in there and one.is_made and not described.behind:
            message = f"its table {one.name} is not on the source"
            yield Problem(f"model {one.model}", message, "apply the project's migrations there")
    yield from _apart(described, {one.name.name for one in chosen})


def _apart(described: Described, chosen: Collection[str]) -> Iterator[Problem]:
    """Problems for tables that refer to each other if only some are selected: keys of the target
    would not hold, or rows that migrations made would exist twice."""
    for one in described.filled:
        for column in one.columns:
            other = column.refers
            if one.name in chosen and other in described.tables and other not in chosen:
                message = f"refers to {other}, which is not selected"
                yield Problem(column.field, message, "select both, or none of them")
    pair = [one for one in REFILLED[1:3] if one in described.tables]
    if 0 < sum(one in chosen for one in pair) < len(pair):
        message = "only one of them is selected, and their rows belong together"
        yield Problem(" and ".join(pair), message, "select both, or none of them")


def orphans_of(table: SourceTable, fit: Fit) -> Iterator[Problem]:
    """Problems for rows without a parent: foreign keys of the target are valid from the
    beginning."""
    for name in fit.orphaned:
        key = next(one for one in table.foreign_keys if one.name == name)
        message = f"some rows of {', '.join(key.columns)} refer to no row of {key.refers_to.name}"
        hint = "the target's foreign key holds: correct or delete them on the source"
        yield Problem(str(table.name), message, hint)


def losses_of(described: Described, wanted: Sequence[SourceTable]) -> Iterator[Loss]:
    """Tables that are not moved."""
    for table in wanted:
        if described.table(table) is not None:
            continue
        model = described.tables.get(table.name.name)
        message = (
            f"is not on the target, and no migration makes it ({model.model} is unmanaged)"
            if model
            else "is of no model"
        )
        yield Loss(f"table {table.name}", message, LossClass.OBJECTS)


def with_fields(plan: Plan, described: Described) -> Plan:
    """The plan with the model's field for each column."""
    fields = {
        (one.name, each.name): each.field
        for one in described.tables.values()
        for each in one.columns
    }
    relations = tuple(
        replace(
            item,
            columns=tuple(
                replace(each, field=fields.get((item.target.name, each.target), ""))
                for each in item.columns
            ),
        )
        for item in plan.relations
    )
    return replace(plan, relations=relations)
