"""Notes what a run grants and revokes on objects that existed before it, and reverts that.

What it makes is dropped by a rollback, with every grant on it. Schema `public`, what belongs to an
extension or to PostgreSQL itself, and whatever else the target had already, stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from windlass.aside.objects import GONE
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name
from windlass.model.statement import Statement

Privilege = tuple[str, str, bool]  # grantee ("" is PUBLIC), privilege, with grant option


@dataclass(frozen=True, slots=True)
class Privileges:
    """By object, as GRANT names it: what is in force, and what would be without any grant. The
    name's object is the one with that OID: a relation that was set aside has had the same name."""

    oids: Mapping[str, int] = field(default_factory=dict)
    granted: Mapping[str, frozenset[Privilege]] = field(default_factory=dict)
    usual: Mapping[str, frozenset[Privilege]] = field(default_factory=dict)


def grants_on_others(statements: Iterable[Statement], made: Collection[tuple[str, Name]]) -> bool:
    """Whether a grant is on something that the run does not create: `made` has kinds and names of
    what it creates."""
    names = {name for _, name in made}
    return any(one.kind == "ACL" and _granted_on(one) not in names for one in statements)


def _granted_on(statement: Statement) -> Name:
    """An entry's tag begins with the kind; for a column it names the relation."""
    if statement.relation:
        return statement.relation
    return Name(statement.name.schema, statement.name.name.partition(" ")[2])


def read_privileges(connection: Connection, oids: Collection[int] = ()) -> Privileges:
    """The privileges on everything that has any grant, and on the objects `oids`."""
    known: dict[str, int] = {}
    granted: dict[str, set[Privilege]] = defaultdict(set)
    usual: dict[str, set[Privilege]] = defaultdict(set)
    try:
        cursor = psycopg.RawCursor(connection)
        rows: list[Any] = cursor.execute(load("privileges"), [list(oids)]).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading privileges", side="target") from error
    for oid, name, privilege, grantee, grantable, is_usual in rows:
        known[name] = oid
        if privilege is not None:
            (usual if is_usual else granted)[name].add((grantee, privilege, grantable))
    return Privileges(known, _frozen(granted), _frozen(usual))


def _frozen(found: Mapping[str, set[Privilege]]) -> dict[str, frozenset[Privilege]]:
    return {name: frozenset(some) for name, some in found.items()}


def note_changes(before: Privileges, after: Privileges) -> list[list[Any]]:
    """For the journal: each object with its OID, and what was granted and revoked on it."""
    changes = []
    for name in sorted(after.granted.keys() | before.granted.keys()):
        now = after.granted.get(name, frozenset())
        then = before.granted.get(name, after.usual.get(name, frozenset()))
        if now != then:
            oid = after.oids.get(name, before.oids.get(name))
            changes.append([name, oid, sorted(now - then), sorted(then - now)])
    return changes


def take_back(connection: Connection, changes: Sequence[Sequence[Any]]) -> list[str]:
    """Revert noted changes, the last one first, inside the caller's transaction. Returns what could
    not be reverted: others may have granted it as well, or have passed it on."""
    oids = [oid for _, oid, _, _ in changes]
    known = read_privileges(connection, oids).oids if changes else {}
    changes = [one for one in changes if known.get(one[0]) == one[1]]
    for name, _, granted, revoked in reversed(changes):
        for grantee, privilege, _ in granted:
            _try(connection, _statement(_REVOKE, name, grantee, privilege))
        for grantee, privilege, grantable in revoked:
            form = _GRANT_ON if grantable else _GRANT
            _try(connection, _statement(form, name, grantee, privilege))
    return list(_still_changed(read_privileges(connection), changes)) if changes else []


def _still_changed(now: Privileges, changes: Iterable[Sequence[Any]]) -> Iterator[str]:
    for name, _, granted, revoked in changes:
        held = now.granted.get(name)
        if held is None:
            continue
        then = {tuple(one) for one in revoked}
        for grantee, privilege, grantable in granted:
            one = (grantee, privilege, grantable)
            if one in held and one not in then:
                yield f"grant of {privilege} on {name} to {grantee or 'PUBLIC'} stays: {_PASSED_ON}"
        for grantee, privilege, _ in then - held:
            yield f"revoke of {privilege} on {name} from {grantee or 'PUBLIC'} stays: {_NOT_OWNER}"


def _try(connection: Connection, statement: sql.Composed) -> None:
    """Does nothing if the object or the role no longer exists, or the user may not act as that
    role."""
    try:
        with connection.transaction():  # a savepoint
            connection.execute(statement)
    except (*GONE, *_UNABLE):
        pass
    except psycopg.Error as error:
        raise explain(error, "restoring grants", side="target") from error


_PASSED_ON = "another role has granted it as well, or it was passed on"
_NOT_OWNER = "only the owner may undo it"
_UNABLE = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.DependentObjectsStillExist,
    psycopg.errors.InvalidGrantOperation,
)
_REVOKE = sql.SQL("revoke {} on {} from {}")
_GRANT = sql.SQL("grant {} on {} to {}")
_GRANT_ON = sql.SQL("grant {} on {} to {} with grant option")


def _statement(form: sql.SQL, name: str, grantee: str, privilege: str) -> sql.Composed:
    """The keywords for object and privilege come from the server, which has quoted the names in
    them."""
    to = sql.Identifier(grantee) if grantee else sql.SQL("public")
    return form.format(sql.SQL(privilege), sql.SQL(name), to)
