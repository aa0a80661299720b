"""What `--existing replace` sets aside on the target, what it leaves, and what it cannot set
aside."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from windlass.engines.postgres.archive import Entry
from windlass.engines.postgres.catalog import Catalog
from windlass.engines.postgres.meaning import Since, doubts
from windlass.engines.postgres.rename import rename_schemas
from windlass.model.plan import SetAside
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass, Problem
from windlass.planning.naming import backup_name
from windlass.planning.postgres.conflicts import Conflict, is_shell
from windlass.planning.postgres.select import describe

Archive = Callable[[], Sequence[Entry]]

# lives in no schema, and can be given another name
_RENAMED = {
    "EVENT TRIGGER", "FOREIGN DATA WRAPPER", "PROCEDURAL LANGUAGE", "PUBLICATION", "SERVER",
}  # fmt: skip
_IN_SCHEMA = "PUBLICATION TABLES IN SCHEMA"


@dataclass(frozen=True, slots=True)
class Aside:
    """What is set aside. `skip` are the ids of the source's entries for which the target keeps its
    own objects."""

    items: tuple[SetAside, ...] = ()
    skip: frozenset[int] = frozenset()
    losses: tuple[Loss, ...] = ()
    problems: tuple[Problem, ...] = ()


def plan_aside(
    run: str,
    found: Iterable[Conflict],
    entries: Iterable[Entry],
    target: Catalog,
    same: Collection[int],
) -> Aside:
    """`same` are the ids of entries that the target has with the same definition.

    A sequence that feeds a column moves with its relation. Objects that are in no schema are
    renamed, unless they are the same and nothing that they need is set aside.
    """
    found = [item for item in found if item.entry.kind != "SHELL TYPE"]  # the type has an entry too
    owners = {sequence.name: sequence.owner for sequence in target.sequences if sequence.owner}
    moving = {item.name for item in found}
    ids = {item.entry.id for item in found if item.entry.schema and not _is_left(item)}
    items: list[SetAside] = []
    losses: list[Loss] = []
    problems: list[Problem] = []
    left: set[int] = set()
    for item in found:
        if _is_left(item):
            left.add(item.entry.id)
        elif item.entry.schema and item.name in owners:
            problems += _owned_by_what_stays(item, owners[item.name], moving)
        elif item.entry.schema or _is_renamed(item, same, ids):
            backup = backup_name(run, item.name.schema or item.name.name)
            items.append(SetAside(item.kind, item.name, item.signature, backup, item.address))
            ids.add(item.entry.id)
        elif not _is_free(item, items, ids):
            left.add(item.entry.id)
            if item.entry.id not in same:
                message = "exists on the target and is left as it is there"
                losses.append(Loss(describe(item.entry), message, LossClass.OBJECTS))
    left |= {
        entry.id
        for entry in entries
        if entry.kind == _IN_SCHEMA and left.intersection(entry.depends_on)
    }
    return Aside(tuple(items), frozenset(left), tuple(losses), tuple(problems))


def _is_left(item: Conflict) -> bool:
    """Whether it is the shell of a type, which stays: ALTER TYPE refuses to move it, and the new
    one would be the same."""
    return item.kind == "SHELL TYPE" and is_shell(item.entry)


def _is_renamed(item: Conflict, same: Collection[int], moved: Collection[int]) -> bool:
    if item.kind not in _RENAMED:
        return False
    return item.entry.id not in same or any(id_ in moved for id_ in item.entry.depends_on)


def _is_free(item: Conflict, moved: Iterable[SetAside], ids: Collection[int]) -> bool:
    """Whether it need not be set aside, because it belongs to a server or a language that was
    renamed."""
    if item.entry.kind == "USER MAPPING":
        servers = (one.name.name for one in moved if one.kind == "SERVER")
        return any(item.entry.tag.endswith(f" SERVER {server}") for server in servers)
    languages = {one.name.name for one in moved if one.kind == "PROCEDURAL LANGUAGE"}
    return (
        bool(languages)
        and item.entry.kind == "TRANSFORM"
        and any(id_ in ids for id_ in item.entry.depends_on)
    )


def _owned_by_what_stays(
    item: Conflict, owner: Name | None, moving: Collection[Name]
) -> list[Problem]:
    if owner in moving:
        return []
    message = f"feeds a column of {owner} on the target, which is not replaced"
    return [
        Problem(describe(item.entry), message, f"select {owner} as well, or rename one of them")
    ]


def same_definitions(
    found: Iterable[Conflict], schemas: Mapping[str, str], archive: Archive, since: Since
) -> frozenset[int]:
    """The ids of the source's entries that the target has with the same definition."""
    found = list(found)
    if not found:
        return frozenset()
    there = {(one.catalog, one.oid): one for one in archive() if one.oid}
    renamed = {old: new for old, new in schemas.items() if old != new}
    return frozenset(
        item.entry.id
        for item in found
        if (other := there.get(item.address)) and _is_same(item.entry, other, renamed, since)
    )


def _is_same(entry: Entry, other: Entry, renamed: Mapping[str, str], since: Since) -> bool:
    text = rename_schemas(entry.definition, renamed).sql if renamed else entry.definition
    return text == other.definition or doubts(text, other.definition, since) == []
