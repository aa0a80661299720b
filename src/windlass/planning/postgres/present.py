"""Which needed objects the target has already, so that a partial selection need not include
them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property

from windlass.engines.postgres.archive import PARTS, RELATION_KINDS, Entry
from windlass.engines.postgres.catalog import Existing
from windlass.engines.postgres.meaning import Since
from windlass.planning.postgres.aside import same_definitions
from windlass.planning.postgres.conflicts import Conflict, find_conflicts


class Present:
    """Reads the target's definitions only when a needed object exists there by name."""

    def __init__(
        self,
        entries: Sequence[Entry],
        schemas: Mapping[str, str],
        existing: Existing,
        archive: Callable[[], Sequence[Entry]],
        since: Since,
    ) -> None:
        self._by_id = {entry.id: entry for entry in entries}
        self._entries, self._schemas = entries, schemas
        self._existing, self._archive, self._since = existing, archive, since
        self._same: dict[int, bool] = {}

    @cached_property
    def _there(self) -> Mapping[int, Conflict]:
        found = find_conflicts(self._entries, self._schemas, self._existing)
        return {item.entry.id: item for item in found}

    def __call__(self, entry: Entry, need: Entry) -> bool:
        """Whether `entry` can use what the target has for `need`.

        A foreign key can refer to any relation of that name. Whether that has the key, and the
        rows, shows when the foreign key is created. For all other uses the definition must be the
        same.
        """
        if need.kind in PARTS:  # such as a key: it exists if its relation does
            owners = [self._by_id[id_] for id_ in need.depends_on if id_ in self._by_id]
            relations = [one for one in owners if one.kind in RELATION_KINDS]
            return bool(relations) and all(self(entry, one) for one in relations)
        if need.id not in self._there:
            return False
        return entry.kind == "FK CONSTRAINT" or self.is_same(need)

    def is_same(self, need: Entry) -> bool:
        """Whether the target has the same definition."""
        if need.id not in self._same:
            item = self._there.get(need.id)
            some = [item] if item else []
            found = same_definitions(some, self._schemas, self._archive, self._since)
            self._same[need.id] = bool(found)
        return self._same[need.id]

    def shared(self, needed: Collection[int]) -> frozenset[int]:
        """The needed entries that the target has, with their parts. They are used as they are;
        except sequences, which have a state."""
        found = {
            id_
            for id_ in needed
            if self._by_id[id_].kind != "SEQUENCE"
            and id_ in self._there
            and self.is_same(self._by_id[id_])
        }
        return frozenset(_with_own_parts(found, self._entries))


def _with_own_parts(ids: Collection[int], entries: Iterable[Entry]) -> set[int]:
    found = set(ids)
    for entry in entries:
        if entry.kind in PARTS and entry.depends_on and found.issuperset(entry.depends_on):
            found.add(entry.id)
    return found if ids else set()
