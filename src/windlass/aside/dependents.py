"""Makes objects that refer to set-aside ones refer to the new ones, and back again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import psycopg

from windlass.aside.objects import GONE, Move, set_aside
from windlass.engines.postgres.catalog import read_existing
from windlass.engines.postgres.ddl import run_statements
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.references import read_references
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.states import read_states
from windlass.errors import ConnectionLost, TargetFull, WindlassError
from windlass.model.plan import Address, Dependent, SetAside
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass


class Repointed:
    """What was recreated: the moves that made way for it, and what could not be created."""

    def __init__(self) -> None:
        self.moves: list[Move] = []
        self.objects: list[str] = []
        self.losses: list[Loss] = []


def repoint(
    connection: Connection, dependents: Sequence[Dependent], aside: Collection[Address]
) -> Repointed:
    """Recreate each in a savepoint of the caller's transaction. The new object replaces the old
    one; or the old one stays as it is, which is a loss.

    An object that was dropped or moved since the plan was made is left as it is, even if another
    one has its name. So is one that was altered since: recreated from the plan's definition, it
    would lose the change. `aside` has what was set aside.
    """
    done = Repointed()
    states = read_states(connection, {one.address for one in dependents if one.state})
    changed = {one.address for one in dependents if one.state != states.get(one.address, "")}
    altered = changed & states.keys()
    still = _refer_to(connection, {*aside, *(one.address for one in dependents)}) if altered else ()
    for dependent in dependents:
        if dependent.address in changed:
            if dependent.address in still:
                done.losses.append(_left(dependent, "it was altered after the plan was made"))
            continue
        try:
            with connection.transaction():
                moves = _let_go(connection, dependent)
                if moves is None:
                    continue
                run_statements(connection, dependent.statements)
                if dependent.refresh:
                    _run(connection, dependent.refresh, dependent)
        except WindlassError as error:
            if error.retryable or isinstance(error, ConnectionLost | TargetFull):
                raise
            done.losses.append(_left(dependent, str(error)))
        else:
            done.moves += moves
            done.objects.append(dependent.object)
    return done


def _refer_to(connection: Connection, objects: Collection[Address]) -> set[Address]:
    """The objects that refer to any of those, each with all of its parts that do."""
    found = [one for one in read_references(connection) if one.to in objects]
    return {address for one in found for address in (one.top, one.part)}


def _left(dependent: Dependent, why: str) -> Loss:
    where = ", ".join(dependent.refers_to)
    message = f"still refers to what {where} was before, which is set aside: {why}"
    return Loss(dependent.object, message, LossClass.BEHAVIOUR)


def _let_go(connection: Connection, dependent: Dependent) -> list[Move] | None:
    """Set the old one aside, or drop it. None: it no longer exists."""
    if dependent.aside:
        current = _as_it_is(connection, dependent.aside)
        return set_aside(connection, [current]) if current else None
    if dependent.drop:
        try:
            with connection.transaction():
                connection.execute(dependent.drop.encode())
        except GONE:
            return None
        except psycopg.Error as error:
            raise explain(error, f"dropping {dependent.object}", side="target") from error
    return []


def _as_it_is(connection: Connection, planned: SetAside) -> SetAside | None:
    """The object with its present signature, because types in it may have moved."""
    existing = read_existing(connection)
    for signed, address in existing.addresses.items():
        kind, schema, name, _ = signed
        if address == planned.address and Name(schema, name) == planned.name:
            return replace(planned, kind=kind, signature=existing.identities.get(signed, ""))
    return None


def restore(
    connection: Connection, dependents: Iterable[Dependent], objects: Sequence[str]
) -> list[str]:
    """Recreate what was dropped of those objects, after what it refers to has been restored. What
    cannot be recreated is returned, with the reason: new rows may violate a foreign key."""
    failed = []
    for dependent in dependents:
        if dependent.object not in objects or not dependent.restore:
            continue
        for script in filter(None, (dependent.restore, dependent.validate)):
            try:
                with connection.transaction():
                    _run(connection, script, dependent)
            except WindlassError as error:
                if error.retryable or isinstance(error, ConnectionLost | TargetFull):
                    raise
                is_back = script == dependent.validate
                what = "is back, but not valid" if is_back else "could not be restored"
                failed.append(f"{dependent.object} {what}: {error}")
                break
    return failed


def _run(connection: Connection, script: str, dependent: Dependent) -> None:
    try:
        connection.execute(script.encode())
    except psycopg.Error as error:
        raise explain(error, f"creating {dependent.object}", side="target") from error
