"""Collections as tables: one row for each document, and one column for each path that users select.
Decides which indexes can be made over columns, and names what is left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from windlass.engines.mongodb.errors import NO_RIGHT, code_of
from windlass.engines.mongodb.session import Session
from windlass.engines.mongodb.values import DOC, ID
from windlass.errors import WindlassError
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass
from windlass.model.translation import (
    Index,
    IndexPart,
    Key,
    SourceColumn,
    SourceSchema,
    SourceTable,
)
from windlass.model.wording import word

_SPECIAL = {"text": "full-text", "hashed": "hashed", "2d": "spatial", "2dsphere": "spatial"}
_VIEW = "view"
_UNASKED = {"v", "key", "name", "ns", "unique", "sparse", "background", "hidden", "clustered"}


@dataclass(frozen=True, slots=True)
class Found:
    """`unsafe` are collections that the server cannot read in a snapshot. `whole` are those without
    an index on `_id`, by which ranges could be read."""

    schema: SourceSchema
    losses: Mapping[str, Sequence[Loss]] = field(default_factory=dict)
    unsafe: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()


def read_catalog(session: Session, types: Mapping[str, str]) -> Found:
    """`types` are the user's answers, by `collection.path`: each path becomes a column."""
    database = session.address.database
    with session.explaining("listing the collections"):
        listed = list(session.client[database].list_collections())
    collections = sorted(
        (one for one in listed if not one["name"].startswith("system.")),
        key=lambda one: one["name"],
    )
    kept = [one for one in collections if one["type"] != _VIEW]
    paths = _paths([one["name"] for one in kept], database, types)
    tables, losses = [], {}
    for one in kept:
        table, losses[one["name"]] = _table(session, one, paths[one["name"]])
        tables.append(table)
    special = [one for one in kept if _is_times(one) or one["options"].get("capped")]
    return Found(
        SourceSchema(
            tuple(tables),
            others=tuple(
                ("view", Name(database, one["name"])) for one in collections if one not in kept
            ),
        ),
        losses,
        frozenset(one["name"] for one in special if not session.can_snapshot(one["name"])),
        frozenset(one["name"] for one in kept if _is_unordered(one)),
    )


def _is_times(one: Mapping[str, Any]) -> bool:
    return one["type"] == "timeseries" or "timeseries" in one["options"]


def _is_unordered(one: Mapping[str, Any]) -> bool:
    return _is_times(one) or "clusteredIndex" in one["options"]


def _paths(
    names: Sequence[str], database: str, types: Mapping[str, str]
) -> Mapping[str, Sequence[str]]:
    """The paths that the user names, by collection. Names of collections may contain dots, so the
    longest name that the word begins with counts."""
    found: dict[str, list[str]] = {name: [] for name in names}
    for given in types:
        fits = [
            (name, given[len(head) :])
            for name in names
            for head in (f"{name}.", f"{database}.{name}.")
            if given.lower().startswith(head.lower()) and len(given) > len(head)
        ]
        if fits:
            name, path = min(fits, key=lambda pair: len(pair[1]))
            if path not in (ID, DOC, *found[name]):
                found[name].append(path)
    return found


def _table(
    session: Session, one: Mapping[str, Any], paths: Sequence[str]
) -> tuple[SourceTable, list[Loss]]:
    name, options = Name(session.address.database, one["name"]), one["options"]
    rows, size = _size(session, one["name"])
    is_keyed = not _is_times(one)
    lifted = [SourceColumn(_column(path), f"value at {path}", path=path) for path in paths]
    table = SourceTable(
        name,
        (
            SourceColumn(ID, "any type", not_null=is_keyed),
            SourceColumn(DOC, "document", True),
            *lifted,
        ),
        primary_key=Key("", (ID,)) if is_keyed else None,
        rows=rows,
        size_bytes=size,
        pages_by=() if _is_unordered(one) else (ID,),
    )
    found = [Loss(str(name), message, kind) for message, kind in _left(one, options)]
    with session.explaining(f"listing the indexes of {one['name']}"):
        listed = list(session.client[name.schema][one["name"]].list_indexes())
    columns = {ID: ID, **{path: _column(path) for path in paths}}
    for index in listed:
        if tuple(index["key"]) != (ID,):
            made, lost = _index(index, columns)
            table = replace(table, indexes=(*table.indexes, made))
            found += [Loss(str(name), message, LossClass.BEHAVIOUR) for message in lost]
    return table, found


def _column(path: str) -> str:
    return path.replace(".", "_")


def _size(session: Session, name: str) -> tuple[int, int]:
    """About how many documents there are, and how many bytes."""
    steps: list[dict[str, Any]] = [{"$collStats": {"storageStats": {}}}]
    try:
        with session.explaining(f"reading the size of {name}"):
            found = list(session.collection(name, in_snapshot=False).aggregate(steps))
    except WindlassError as error:
        if error.__cause__ is None or code_of(error.__cause__) != NO_RIGHT:
            raise
        return -1, 0
    stats = [one.get("storageStats", {}) for one in found]  # one for each shard
    count = sum(int(one.get("count", 0)) for one in stats)
    return count, sum(int(one.get("size", 0)) for one in stats)


def _left(one: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[tuple[str, LossClass]]:
    """What a collection does that its table will not."""
    if options.get("capped"):
        message = "a capped collection discards its oldest documents, the table does not"
        yield message, LossClass.BEHAVIOUR
    if _is_times(one):
        message = (
            "a time-series collection becomes a table without a key: its `_id` need not be unique,"
            " and nothing expires"
        )
        yield message, LossClass.BEHAVIOUR
    elif "expireAfterSeconds" in options:
        yield "its documents expire, the rows of the table do not", LossClass.BEHAVIOUR
    if options.get("validator"):
        text = json.dumps(options["validator"], default=str)
        yield f"its rules of validation are not enforced: {text}", LossClass.CONSTRAINTS
    if collation := options.get("collation"):
        how = f"{collation.get('locale')}, strength {collation.get('strength')}"
        yield f"compares texts by a collation ({how}), the table does not", LossClass.BEHAVIOUR


def _index(index: Mapping[str, Any], columns: Mapping[str, str]) -> tuple[Index, list[str]]:
    """The index over columns, and what it loses; or one of a kind that cannot be made."""
    name, keys = index["name"], dict(index["key"])
    special = {_SPECIAL[word] for word in keys.values() if word in _SPECIAL}
    kind, lost = ", ".join(sorted(special)), []
    missing = [path for path in keys if path not in columns]
    more = set(index) - _UNASKED - {"expireAfterSeconds"}
    if not kind and any("$**" in path for path in keys):
        kind = "wildcard"
    if not kind and missing:
        kind = f"over {', '.join(missing)}: no column, unless {word('types')} names it"
    if not kind and more:
        kind = f"with {', '.join(sorted(more))}"
    if kind:
        unique = "unique, " if index.get("unique") else ""
        return Index(name, (), bool(index.get("unique")), kind=f"{unique}{kind}"), []
    if "expireAfterSeconds" in index:
        lost.append(f"index {name} lets documents expire, the table's does not")
    if index.get("unique"):
        allowed = "" if index.get("sparse") else ", and of documents without any value only one"
        lost.append(
            f"index {name} is unique{allowed}: to PostgreSQL rows with a NULL in it never collide"
        )
    parts = tuple(
        IndexPart(columns[path], descends=isinstance(way, int | float) and way < 0)
        for path, way in keys.items()
    )
    return Index(name, parts, bool(index.get("unique"))), lost
