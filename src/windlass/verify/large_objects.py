"""Large objects: which of the source's are not on the target, or with other bytes."""

from __future__ import annotations

from collections.abc import Iterator

from windlass.engines.postgres.largeobjects import read_digests, read_digests_after
from windlass.engines.postgres.session import Connection
from windlass.model.report import Difference, DifferenceKind

_AT_ONCE = 1_000


def differing_large_objects(
    source: Connection, target: Connection
) -> Iterator[tuple[int, Difference]]:
    """By id. What only the target has is its own affair: it may have been there before."""
    last = 0
    while wanted := read_digests_after(source, last, _AT_ONCE):
        found = read_digests(target, wanted)
        for oid, digest in wanted.items():
            if found.get(oid) != digest:
                how = "differs in its content" if oid in found else "is missing on the target"
                yield oid, Difference(DifferenceKind.LARGE_OBJECT, f"large object {oid}", how)
        last = max(wanted)
