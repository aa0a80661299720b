"""Compares large objects: which of the source's are missing on the target, or have other bytes."""

from __future__ import annotations

from collections.abc import Iterator

from windlass.engines.postgres.largeobjects import (
    Described,
    describe,
    may_give,
    read_digests,
    read_digests_after,
    read_oids_after,
    read_roles,
)
from windlass.engines.postgres.session import Connection
from windlass.model.report import Difference, DifferenceKind

_AT_ONCE = 1_000


def differing_large_objects(
    source: Connection, target: Connection
) -> Iterator[tuple[int, Difference]]:
    """The differences, by id. Large objects that only the target has are ignored: they may have
    existed before."""
    last, roles = 0, _Roles(target)
    while wanted := read_digests_after(source, last, _AT_ONCE):
        found = read_digests(target, wanted)
        expected = {one.oid: one for one in describe(source, list(wanted))}
        there = {one.oid: one for one in describe(target, list(found))}
        for oid, digest in wanted.items():
            if oid not in found:
                yield oid, _difference(oid, "is missing on the target")
            elif found[oid] != digest:
                yield oid, _difference(oid, "differs in its content")
            elif others := roles.differing(expected[oid], there[oid]):
                yield oid, _difference(oid, f"differs in its {others}")
        last = max(wanted)


def count_extra(source: Connection, target: Connection) -> int:
    """The number of large objects that only the target has."""
    count, last = 0, 0
    while oids := read_oids_after(target, last, _AT_ONCE):
        count += len(set(oids) - {one.oid for one in describe(source, oids)})
        last = max(oids)
    return count


def _difference(oid: int, how: str) -> Difference:
    return Difference(DifferenceKind.LARGE_OBJECT, f"large object {oid}", how)


class _Roles:
    """Which owners and grants a large object can have on the target."""

    def __init__(self, target: Connection) -> None:
        self._target, self._roles = target, read_roles(target)
        self._able: dict[str, bool] = {}

    def differing(self, expected: Described, found: Described) -> str:
        """Which of owner, comment and grants differ. Those that need roles missing on the target
        are losses."""
        differ = []
        if expected.owner != found.owner and self._may_own(expected.owner):
            differ.append("owner")
        if expected.comment != found.comment:
            differ.append("comment")
        granted = {one for one in expected.grants if one[0] in ("", *self._roles)}
        # an owner has every right anyway, so neither side lists grants to the owner
        more = {one for one in found.grants if one[0] != expected.owner}
        if {one for one in granted if one[0] != found.owner} != more:
            differ.append("grants")
        return ", ".join(differ)

    def _may_own(self, role: str) -> bool:
        if role not in self._able:
            self._able[role] = role in self._roles and may_give(self._target, role)
        return self._able[role]
