"""Compares owners, for a user who could not assign them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from windlass.engines.postgres.archive import Entry, owner_statement
from windlass.model.report import Difference, DifferenceKind
from windlass.planning.postgres.select import describe
from windlass.planning.postgres.target_names import target_tag


def differing_owners(
    source: Iterable[Entry],
    target: Iterable[Entry],
    renamed: Mapping[str, str],
    *,
    user: str,
    roles: Collection[str],
) -> Iterator[Difference]:
    """The owners that differ, of objects on both sides. A role missing from the target's `roles` is
    a loss, and so is an object owned by `user` there: a migration leaves it to its creator."""
    there = {(one.kind, one.schema, one.tag): one.owner for one in target}
    for entry in source:
        schema = renamed.get(entry.schema, entry.schema)
        named = replace(entry, schema=schema, tag=target_tag(entry.tag, renamed))
        owner = there.get((named.kind, named.schema, named.tag), "")
        if owner in ("", user, entry.owner) or entry.owner not in roles:
            continue
        if owner_statement(entry):
            message = f"owner: source: {entry.owner}, target: {owner}"
            yield Difference(DifferenceKind.SCHEMA, describe(named), message)
