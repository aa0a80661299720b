"""The privileges that a sequence of GRANT and REVOKE leaves, whatever version dumped it.

pg_dump writes an object's privileges as what differs from those that it is made with: all of them
for its owner, and for PUBLIC what `_OF_PUBLIC` has. So what a script does not say is known as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from windlass.engines.postgres.syntax import Node, parse

PUBLIC = "public"  # not a valid role name
_ROUTINE, _TYPE = frozenset({"EXECUTE"}), frozenset({"USAGE"})
_OF_PUBLIC = {
    "OBJECT_AGGREGATE": _ROUTINE,
    "OBJECT_DATABASE": frozenset({"CONNECT", "TEMPORARY"}),
    "OBJECT_DOMAIN": _TYPE,
    "OBJECT_FUNCTION": _ROUTINE,
    "OBJECT_LANGUAGE": _TYPE,
    "OBJECT_PROCEDURE": _ROUTINE,
    "OBJECT_ROUTINE": _ROUTINE,
    "OBJECT_TYPE": _TYPE,
}
_ALL = {
    **_OF_PUBLIC,
    "OBJECT_DATABASE": frozenset({"CONNECT", "CREATE", "TEMPORARY"}),
    "OBJECT_SCHEMA": frozenset({"CREATE", "USAGE"}),
    "OBJECT_SEQUENCE": frozenset({"SELECT", "UPDATE", "USAGE"}),
    "OBJECT_TABLE": frozenset(
        {"INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"}
    ),
    "OBJECT_LARGEOBJECT": frozenset({"SELECT", "UPDATE"}),
    "OBJECT_FDW": frozenset({"USAGE"}),
    "OBJECT_FOREIGN_SERVER": frozenset({"USAGE"}),
}
_OF_A_COLUMN = frozenset({"SELECT", "INSERT", "UPDATE", "REFERENCES"})
_SINCE_17 = frozenset({"MAINTAIN"})
_WITH_GRANT_OPTION = " with grant option"


@dataclass(frozen=True, slots=True)
class Place:
    """What a privilege is on: a column ("" for the whole object), or the objects of default
    privileges."""

    kind: str  # of object, as in "OBJECT_TABLE"
    column: str = ""
    scope: str = ""  # of default privileges: the role that makes the objects, and their schema
    has_defaults: bool = True  # those of one schema are added to those of the whole database


Key = tuple[str, Place]  # a role (with its grant option), and on what
Privileges = dict[Key, frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Change:
    key: Key
    is_grant: bool
    privileges: frozenset[str]


def same_privileges(
    one: str, other: str, *, maintain: bool, apart_from: Collection[str] = ()
) -> bool:
    """Whether the two sides' scripts for an object leave the same privileges.

    `maintain`: both servers know MAINTAIN. `apart_from`: roles that do not count, as an owner who
    is another on the other side.
    """
    changes = [list(_changes(script)) for script in (one, other)]
    before = _before(changes)
    left, right = (_apply(some, before) for some in changes)
    ignored = frozenset() if maintain else _SINCE_17
    return all(
        left.get(key, _at_first(key, before)) - ignored
        == right.get(key, _at_first(key, before)) - ignored
        for key in left.keys() | right.keys()
        if key[0].removesuffix(_WITH_GRANT_OPTION) not in apart_from
    )


def holders(script: str, privilege: str) -> frozenset[str]:
    """The roles to which an object's archive entry leaves a privilege on it."""
    changes = list(_changes(script))
    held = _apply(changes, _before([changes]))
    return frozenset(
        role.removesuffix(_WITH_GRANT_OPTION)
        for (role, _), some in held.items()
        if privilege in some
    )


def _before(scripts: Iterable[Iterable[_Change]]) -> Privileges:
    """The privileges before the scripts, as far as they show: those that the scripts revoke first.

    The owner had all of them, as nobody else has privileges without a grant.
    """
    found: Privileges = {}
    for changes in scripts:
        granted: set[Key] = set()
        for change in changes:
            role, place = change.key
            if change.is_grant:
                granted.add(change.key)
            elif change.key not in granted:
                taken = change.privileges if role == PUBLIC else _all(place)
                found[change.key] = _at_first(change.key, found) | taken
    return found


def _at_first(key: Key, before: Privileges) -> frozenset[str]:
    role, place = key
    if role != PUBLIC or place.column or not place.has_defaults:
        return before.get(key, frozenset())
    return before.get(key, frozenset()) | _OF_PUBLIC.get(place.kind, frozenset())


def _apply(changes: Iterable[_Change], before: Privileges) -> Privileges:
    held: Privileges = {}
    for change in changes:
        mine = held.get(change.key, _at_first(change.key, before))
        some = change.privileges
        held[change.key] = mine | some if change.is_grant else mine - some
    return held


def _all(place: Place) -> frozenset[str]:
    return _OF_A_COLUMN if place.column else _ALL.get(place.kind, frozenset())


def _changes(script: str) -> Iterator[_Change]:
    for statement in parse(script):
        match statement.tree:
            case Node("GrantStmt") as grant:
                yield from _of_grant(grant, "", True)
            case Node("AlterDefaultPrivilegesStmt", action=grant, options=options):
                said: dict[str, Any] = {one.defname: one.arg for one in options or ()}
                roles = sorted(one.rolename for one in said.get("roles", ()))
                schemas = sorted(one.sval for one in said.get("schemas", ()))
                yield from _of_grant(grant, f"{roles} {schemas}", not schemas)


def _of_grant(grant: Node, scope: str, has_defaults: bool) -> Iterator[_Change]:
    kind, option = grant.objtype, _WITH_GRANT_OPTION if grant.grant_option else ""
    for role in grant.grantees or ():
        public = role.roletype == "ROLESPEC_PUBLIC"
        who = f"{PUBLIC if public else role.rolename or role.roletype}{option}"
        for privilege in grant.privileges or (Node("AccessPriv"),):
            for column in privilege.cols or (None,):
                place = Place(kind, column.sval if column else "", scope, has_defaults)
                name = privilege.priv_name.upper()
                yield _Change((who, place), grant.is_grant, _named(name) or _all(place))


def _named(privilege: str) -> frozenset[str]:
    return frozenset({"TEMPORARY" if privilege == "TEMP" else privilege} if privilege else ())
