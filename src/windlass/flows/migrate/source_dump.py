"""pg_dump of the source, which starts before the catalog is read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from windlass.engines.postgres import catalog
from windlass.engines.postgres.archive import Dumping
from windlass.engines.postgres.link import is_slow
from windlass.engines.postgres.pg_dump import find_pg_dump
from windlass.engines.postgres.session import Address, Connection
from windlass.model.relation import Name, Relation


class SourceDump:
    """pg_dump may nearly always read everything. If the catalog shows otherwise, it is restarted
    with exclusions. Use as a context manager, which ends a running pg_dump."""

    def __init__(
        self, address: Address, source: Connection, snapshot_id: str, target: Connection
    ) -> None:
        self._majors = tuple(one.info.server_version // 10000 for one in (source, target))
        self._access = address.program_access(source)
        self._snapshot_id = snapshot_id
        self._is_slow = is_slow(source)
        self._worker = ThreadPoolExecutor(1, "windlass-pg-dump")
        self._early: Future[Dumping | None] | None = None
        self._started: list[Dumping] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self._worker.shutdown()
        for dumping in self._started:
            dumping.close()

    def start(self) -> None:
        """In a thread: every pg_dump that is installed is asked for its version first."""
        self._early = self._worker.submit(self._start)

    def of(self, read: catalog.Catalog, chosen: Sequence[Relation]) -> Dumping | None:
        """The running pg_dump. None if it was not started, if no pg_dump can read the source, or if
        it would only repeat the plan's problems."""
        if self._early is None or (early := self._early.result()) is None:
            return None
        names = {relation.name for relation in chosen}
        schemas = {name.schema for name in names}
        if read.unreadable & names or read.unreachable_schemas & schemas:
            early.close()
            return None
        if not (leave_out := out_of_reach(read) - names):
            return early
        early.close()
        return self._start(leave_out)

    def _start(self, leave_out: Collection[Name] = ()) -> Dumping | None:
        source, target = self._majors
        pg_dump = find_pg_dump(source, target, in_few_trips=self._is_slow)
        if pg_dump is None:
            return None
        dumping = Dumping(pg_dump, self._access, self._snapshot_id, leave_out)
        self._started.append(dumping)
        return dumping


def out_of_reach(source: catalog.Catalog) -> set[Name]:
    """The relations that pg_dump could not even lock."""
    schemas = source.unreachable_schemas
    hidden = {one.name for one in source.relations if one.name.schema in schemas}
    return hidden | source.unreadable
