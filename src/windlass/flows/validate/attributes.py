"""The part of `validate_schema` that dumps do not cover: attributes, and the content of
materialised views."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from windlass.engines.postgres.attributes import Attribute, Value, read_attributes
from windlass.engines.postgres.catalog import Existing, read_existing
from windlass.engines.postgres.mapped_reading import readers_of
from windlass.engines.postgres.materialised import (
    EMPTY,
    read_changing,
    read_content,
    read_foreign_code,
    read_fresh_content,
)
from windlass.flows.sides import Sides
from windlass.flows.validate.pairing import filled
from windlass.model.plan import Plan, Purpose
from windlass.model.relation import Kind, Name
from windlass.model.report import Difference, DifferenceKind, LossClass
from windlass.planning.naming import target_name
from windlass.planning.postgres.inputs import wanted
from windlass.spec.choices import Extent, Verify
from windlass.verifying.postgres.attributes import differing_attributes, renamed
from windlass.verifying.postgres.schema import Key

_VIEW = "MATERIALIZED VIEW"
# losses by which the target differs: reported as losses, not as differences
ALTERING = {LossClass.CONSTRAINTS, LossClass.OBJECTS, LossClass.VALUES}


def attribute_differences(run: Sides) -> list[Difference]:
    """The differences in attributes, except those that are already losses."""
    source = read_attributes(run.sessions().source(run.snapshot.id), side="source")
    target = read_attributes(run.sessions().target(), side="target")
    existing = read_existing(run.sessions().target())
    here = _as_mapped(run.plan, renamed(source, run.plan.schemas))
    found = differing_attributes(
        here,
        target,
        compared=_compared(run, existing) - _new_schemas(run.plan, here),
        may_be=_may_be(run, existing),
    )
    lost = {loss.object for loss in run.losses() if loss.kind in ALTERING}
    return [one for one in found if one.object not in lost]


def _as_mapped(plan: Plan, attributes: Mapping[Attribute, Value]) -> Mapping[Attribute, Value]:
    """The attributes under the names that mapped tables have on the target."""
    moved = {
        target_name(item.relation.name, plan.schemas): item.target
        for item in plan.relations
        if item.mapping
    }
    if not moved:
        return attributes
    return {
        replace(key, name=moved.get(key.name, key.name)) if key.kind == "TABLE" else key: value
        for key, value in attributes.items()
    }


def _new_schemas(plan: Plan, source: Mapping[Attribute, Value]) -> set[Key]:
    """Schemas that a mapping introduces, which the source does not have."""
    known = {one.name for one in source if one.kind == "SCHEMA"}
    brought = {Name("", item.target.schema) for item in plan.relations if item.mapping}
    return {("SCHEMA", name) for name in brought - known}


def _compared(run: Sides, existing: Existing) -> set[Key]:
    kept = set() if run.purpose is Purpose.COMPARE else filled(run.plan)
    names = {item.target for item in run.plan.relations} - kept
    found: set[Key] = {("TABLE", name) for name in names}
    if run.spec.extent is not Extent.SCHEMA:
        found |= {(_VIEW, target) for _, target in _views(run)}
    return found | {("SCHEMA", Name("", name)) for name in _schemas(run) & existing.schemas}


def _schemas(run: Sides) -> set[str]:
    """The schemas whose attributes are compared. A migration leaves existing schemas as they are; a
    schema that is only partly selected may have another owner."""
    if run.purpose is not Purpose.COMPARE:
        made = {"SCHEMA", "SCHEMA OWNER"}
        return {one.name.name for one in run.plan.statements if one.kind in made}
    return set() if wanted(run.spec).include else set(run.plan.schemas.values())


def _may_be(run: Sides, existing: Existing) -> Callable[[str], bool]:
    server = run.plan.target

    def may_be(role: str) -> bool:
        able = existing.roles if server.superuser else existing.memberships | {server.user}
        return role in able

    return may_be


def _views(run: Sides) -> Iterator[tuple[Name, Name]]:
    """Materialised views, by their names on both sides."""
    label = str(Kind.MATERIALIZED_VIEW)
    return ((name, there) for kind, name, there in run.plan.objects.others if kind == label)


def view_differences(run: Sides) -> tuple[list[Difference], list[str]]:
    """Differences of materialised views with other content, and notices for those that may only
    seem different."""
    differences: list[Difference] = []
    notices: list[str] = []
    if run.spec.verify_ is not Verify.FULL or run.spec.extent is Extent.SCHEMA:
        return differences, notices
    mapped = _reading_mapped(run)
    for name, there in _views(run):
        label = f"materialized view {there}"
        if name in mapped:
            notices.append(f"{label}: its content is not compared, as it reads mapped tables")
            continue
        is_different, message = _compare_view(run, name, there)
        if is_different:
            differences.append(Difference(DifferenceKind.SCHEMA, label, message))
        elif message:
            notices.append(f"{label}: {message}")
    return differences, notices


def _reading_mapped(run: Sides) -> set[Name]:
    """Views over mapped tables: their rows differ because those of the tables do."""
    tables = [item.relation.name for item in run.plan.relations if item.mapping]
    if not tables:
        return set()
    return readers_of(run.sessions().source(run.snapshot.id), tables)


def _compare_view(run: Sides, name: Name, there: Name) -> tuple[bool, str]:
    """Whether it has other content than on the source, and a message about it."""
    source, target = run.sessions().source(run.snapshot.id), run.sessions().target()
    expected = read_content(source, name, side="source")
    found = read_content(target, there, side="target")
    if EMPTY in (expected, found):
        # otherwise reported elsewhere: not populated as an attribute, missing as a difference
        is_different = run.spec.extent is Extent.DATA and expected != found
        side = "source" if expected == EMPTY else "target"
        message = f"holds nothing on the {side}, as it is missing or not populated there"
        return is_different, message if is_different else ""
    if expected is None or found is None:
        return False, "its content is not compared, as it may not be read"
    if expected == found:
        return False, ""
    if code := read_foreign_code(source).get(name):
        was_refreshed = (
            run.purpose is not Purpose.COMPARE and there in run.plan.objects.materialized_views
        )
        not_tried = "whether it is stale there was not tried, as its query runs"
        return not was_refreshed, f"holds other rows than on the source; {not_tried} {code}"
    if read_fresh_content(source, name) == found:
        return False, "is stale on the source, and is not on the target"
    if name in read_changing(source):
        asks = "its query asks for the time, the session or a random number"
        return False, f"its content is not compared, as {asks}"
    if expected[0] == found[0]:
        return True, "holds other rows than on the source"
    return True, f"holds {expected[0]:,} rows on the source and {found[0]:,} on the target"
