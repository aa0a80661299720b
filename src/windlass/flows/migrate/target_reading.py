"""Reads the target of a migration: what is there, and what planning may still ask it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from windlass.engines.postgres import catalog
from windlass.engines.postgres.archive import Dumping, Entry
from windlass.engines.postgres.database import read_properties
from windlass.engines.postgres.locale import read_locale
from windlass.engines.postgres.locks import read_lock_room
from windlass.engines.postgres.open_schemas import read_open_schemas
from windlass.engines.postgres.own_schemas import read_own_schemas
from windlass.engines.postgres.pg_dump import find_pg_dump, pg_dump_hint
from windlass.engines.postgres.references import Reference, read_references
from windlass.engines.postgres.session import Address as ServerAddress
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.states import read_states
from windlass.errors import Refused
from windlass.flows.migrate.source_dump import out_of_reach
from windlass.model.plan import Address
from windlass.model.report import Problem
from windlass.planning.postgres.inputs import TargetRead


def start_reading(
    beside: ThreadPoolExecutor, target: Connection, read: catalog.Catalog
) -> Callable[[], TargetRead]:
    """Start reading the target in parallel; the returned function waits for it."""
    existing = beside.submit(catalog.read_existing, target)
    large_objects = beside.submit(catalog.read_large_objects, target)
    may_silence_triggers = beside.submit(catalog.may_silence_triggers, target)
    wal_level = beside.submit(catalog.read_wal_level, target)
    properties = beside.submit(read_properties, target)
    open_schemas = beside.submit(read_open_schemas, target, side="target")
    foreign_keys = beside.submit(catalog.read_foreign_keys, target)
    locks = beside.submit(read_lock_room, target)
    locale = beside.submit(read_locale, target, side="target")
    own_schemas = beside.submit(read_own_schemas, target, side="target")
    return lambda: TargetRead(
        catalog=read,
        existing=existing.result(),
        foreign_keys=foreign_keys.result(),
        large_objects=large_objects.result(),
        properties=properties.result(),
        open_schemas=open_schemas.result(),
        locks=locks.result(),
        may_silence_triggers=may_silence_triggers.result(),
        logs_little=wal_level.result() == "minimal",
        own_schemas=own_schemas.result(),
        locale=locale.result(),
    )


def read_references_with_states(target: Connection, states: dict[Address, str]) -> list[Reference]:
    """References, with the present state of each referring object. The states are read before the
    definitions."""
    found = read_references(target)
    states.update(read_states(target, {one for each in found for one in (each.part, each.top)}))
    return found


def dump_target(
    address: ServerAddress, session: Connection, target: catalog.Catalog
) -> Sequence[Entry]:
    """Dump the target's definitions: some are compared, some recreated.

    Raises:
        Refused: no pg_dump can read them.
    """
    major = target.server.major
    pg_dump = find_pg_dump(major, major)
    if pg_dump is None:
        message = f"none is as new as the target ({major})"
        raise Refused([Problem("pg_dump", message, pg_dump_hint(major))])
    dumping = Dumping(
        pg_dump,
        address.program_access(session),
        leave_out=out_of_reach(target),
    )
    return dumping.entries()
