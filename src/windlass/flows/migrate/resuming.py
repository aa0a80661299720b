"""Checks whether a run can be resumed: its plan must still fit both databases."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from windlass.engines.postgres.catalog import Catalog
from windlass.engines.postgres.presence import Present
from windlass.engines.postgres.session import Connection
from windlass.errors import CannotResume, Refused
from windlass.flows.migrate.portions import CREATE_TABLES, SET_SEQUENCES, TRANSFERS, UNDOING, divide
from windlass.journal.records import Line, Lines
from windlass.model.hashing import HASH_KEY
from windlass.model.outcome import RelationOutcome
from windlass.model.plan import Arrival, Plan, RelationPlan
from windlass.model.relation import Column, Name, Relation
from windlass.model.report import Differs
from windlass.model.snapshot import Snapshot
from windlass.model.units import several
from windlass.model.wording import word
from windlass.trust.overloads import read_overloads

MOST_NAMED = 10
BEGIN_AGAIN = f"{word('restart')} undoes the run and starts over"
LARGE_OBJECTS = "copy_large_objects"


def check_source(plan: Plan, source: Catalog) -> None:
    """Raises:
    CannotResume: rows that are still to be read or compared have another definition now.
    """
    _refuse(plan, list(_source_changes(plan, source)), "the source has changed since the plan")


def check_key(plan: Plan) -> None:
    """Raises:
    CannotResume: the key of the environment is not the one that the run began with.
    """
    keys = {one.mapping.hash_key for one in plan.relations if one.mapping} - {""}
    if not keys:
        return
    from windlass.transfer.hashing import hasher_of_environment  # few migrations hash

    hasher = hasher_of_environment()
    if hasher is None or keys != {hasher.id}:
        raise CannotResume(
            f"{HASH_KEY} is not what it was when run {plan.run} began",
            hint=f"give it the value that it had; or {BEGIN_AGAIN}",
        )


def _source_changes(plan: Plan, source: Catalog) -> Iterator[str]:
    by_name = {relation.name: relation for relation in source.relations}
    by_identity = {relation.identity: relation for relation in source.relations}
    for planned in map(_as_given, plan.relations):
        now, same = by_name.get(planned.name), by_identity.get(planned.identity)
        if same is not None and same.name != planned.name:
            replaced = ", and another table has its name" if now else ""
            yield f"{planned.name} was renamed to {same.name}{replaced}"
        elif now is None:
            yield f"{planned.name} is gone"
        elif now.kind is not planned.kind:
            yield f"{planned.name} is a {now.kind} now"
        else:
            yield from (f"{planned.name}: {change}" for change in _column_changes(planned, now))
    sequences = {item.name for item in source.sequences}
    relations = {item.relation.name for item in plan.relations}
    for name, _ in plan.sequences:
        if name not in sequences and name not in relations:
            yield f"sequence {name} is gone"


def _as_given(item: RelationPlan) -> Relation:
    """The source's relation; a mapped one is planned with the columns that arrive."""
    given = item.mapping.given if item.mapping else item.relation.columns
    return replace(item.relation, columns=given)


def _column_changes(planned: Relation, now: Relation) -> Iterator[str]:
    then, there = ({one.name: one for one in relation.columns} for relation in (planned, now))
    yield from (f"column {name} is gone" for name in then if name not in there)
    yield from (f"column {name} is new" for name in there if name not in then)
    for name, column in then.items():
        if name in there and (change := _change(column, there[name])):
            yield f"column {name} {change}"


def _change(then: Column, now: Column) -> str:
    if then.type != now.type:
        return f"is {now.type} now, and was {then.type}"
    if then.generated != now.generated:
        return "is generated now" if now.generated else "is no longer generated"
    return ""


def check_target(plan: Plan, lines: Lines, present: Mapping[Name, Present]) -> None:
    """Raises:
    CannotResume: somebody, or a rollback, has removed what the run made or was to fill.
    """
    step, item = UNDOING
    if item in lines.get(step, {}):
        raise CannotResume(
            f"run {plan.run} is rolled back in part",
            hint=f"finish that: windlass rollback {plan.run}; or {BEGIN_AGAIN}",
        )
    made = {
        statement.name
        for portion in divide(plan)[CREATE_TABLES]
        if portion.item.id in lines.get(CREATE_TABLES, {})
        for statement in portion.statements
        if statement.kind == "TABLE"
    }
    filled = {item.target for item in plan.relations if item.arrival is Arrival.FILL}
    changes = [f"{name} is gone" for name in sorted((made | filled) - present.keys())]
    _refuse(plan, changes, "the target has changed since the run stopped")


def check_overloads(plan: Plan, source: Connection, target: Connection) -> None:
    """Raises: Refused: since the run stopped, an untrusted role has made a routine on the target
    that objects still to be created could call.
    """
    if problems := read_overloads(source, target, plan.objects.owners, plan.schemas):
        raise Refused(problems)


def _refuse(plan: Plan, changes: Sequence[str], what: str) -> None:
    if changes:
        raise CannotResume(
            f"{what}: {several(changes, MOST_NAMED)}",
            hint=f"undo that change, then run the same command again; or {BEGIN_AGAIN}",
        )


def check_snapshot(plan: Plan, lines: Lines, before: Collection[Snapshot], now: str) -> None:
    """Check that the copy needs no second snapshot.

    Raises:
        CannotResume: it does, although one snapshot was requested.
    """
    if any(one.id == now for one in before):
        return
    copied = {item for step in TRANSFERS for item in lines.get(step, {})}
    objects = lines.get(LARGE_OBJECTS, {})
    if (copied or objects) and not (_all_in(plan, copied) and _all_objects_in(plan, objects)):
        raise CannotResume(
            f"the snapshot of run {plan.run} is gone, and one snapshot was asked for",
            hint=f"without {word('one-snapshot')} it resumes with a second snapshot; or"
            f" {BEGIN_AGAIN}",
        )


def _all_in(plan: Plan, copied: Collection[str]) -> bool:
    return all(chunk.id in copied for load in plan.loads for chunk in load.chunks)


def _all_objects_in(plan: Plan, done: Iterable[str]) -> bool:
    return not plan.objects.large_objects.count or plan.objects.large_objects.highest in map(
        int, done
    )


def snapshot_notice(
    relations: Sequence[RelationOutcome],
    lines: Lines,
    snapshots: Sequence[Snapshot],
    later: Collection[str] = (),
    *,
    as_copied: bool,
) -> str:
    """What was read from which snapshot, and which snapshot each relation was compared with; "" if
    there was only one. `later` names what was read in the last one at the end. `as_copied`: rows
    were compared with the fingerprints noted during the copy."""
    used = {number for one in relations for number in one.snapshots}
    objects = _numbers(lines.get(LARGE_OBJECTS, {}))
    last = () if as_copied else tuple(one.number for one in snapshots[-1:])
    compared = _compared_with(relations, {one.number: one.moment for one in snapshots}, last)
    if len(used | objects) > 1:
        mixed = [one.source for one in relations if len(one.snapshots) > 1]
        mixed += ["large objects"] if len(objects) > 1 else []
        within = f"; within one relation: {', '.join(mixed)}" if mixed else ""
        count = len(used | objects)
        return f"the rows were read from {count} snapshots, as the first was lost{within}{compared}"
    after = [
        what
        for what, numbers in (
            ("sequences", _numbers(lines.get(SET_SEQUENCES, {}))),
            *((what, {snapshots[-1].number}) for what in later if snapshots),
        )
        if used | objects and numbers - used - objects
    ]
    if not after:
        return ""
    return (
        "all rows were read from one snapshot, which was lost after that;"
        f" {' and '.join(after)} read the source in a later one, of {snapshots[-1].moment}"
        f"{compared}"
    )


def _compared_with(
    relations: Sequence[RelationOutcome], taken: Mapping[int, str], last: tuple[int, ...]
) -> str:
    """The snapshots that rows were compared with: those of the copy, or only the last one."""
    names: dict[tuple[int, ...], list[str]] = {}
    for one in relations:
        if one.snapshots and (one.verified or one.differs in (Differs.ROWS, Differs.DEFINITION)):
            names.setdefault(last or one.snapshots, []).append(one.source)
    groups = [
        f"{' and '.join(taken.get(one, '') for one in numbers)} ({several(some)})"
        for numbers, some in sorted(names.items())
    ]
    return f"; compared with the source as of {', '.join(groups)}" if groups else ""


def _numbers(lines: Mapping[str, Line]) -> set[int]:
    return {line.snapshot for line in lines.values() if line.snapshot is not None}
