"""Owners and grants on the target, and which of the source's cannot be kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from psycopg import sql

from windlass.engines.postgres.archive import Entry, owner_statement
from windlass.engines.postgres.grants import holders
from windlass.engines.postgres.syntax import Node, parse, split, walk
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.statement import Phase, Statement
from windlass.model.units import several
from windlass.planning.postgres.needed_schemas import makes_schema
from windlass.planning.postgres.select import describe
from windlass.planning.postgres.surroundings import Surroundings


class Roles:
    """The target's roles, and a loss for each missing one, reported once per role."""

    def __init__(self, around: Surroundings, entries: Iterable[Entry]) -> None:
        self._around = around
        self._makers = {} if around.superuser else _makers(entries)
        self._barred: dict[str, list[str]] = defaultdict(list)
        self._unfit: dict[str, list[str]] = defaultdict(list)
        self._unable: dict[str, list[str]] = defaultdict(list)
        self._owned: dict[str, list[str]] = defaultdict(list)
        self._granted: dict[str, list[str]] = defaultdict(list)
        self._needed: dict[str, list[str]] = defaultdict(list)
        self._kept: dict[str, list[str]] = defaultdict(list)

    def keeps_owner(self, entry: Entry) -> bool:
        """Whether the object's owner is the same on both sides."""
        return entry.owner in ("", self._around.user) or (
            self._may_act_as(entry.owner)
            and self._may_create(entry.owner, entry.schema)
            and self._may_hold(entry)
        )

    def _may_hold(self, entry: Entry) -> bool:
        """Whether the owner may own the object: some kinds need a superuser."""
        return entry.owner in self._around.existing.superusers or not for_superusers(entry)

    def _may_act_as(self, role: str) -> bool:
        existing = self._around.existing
        return role in existing.roles and (self._around.superuser or role in existing.memberships)

    def _may_create(self, role: str, schema: str) -> bool:
        """An object's new owner must be allowed to create it there."""
        around = self._around
        if around.superuser or not schema:
            return True
        target = around.schemas.get(schema, schema)
        if target in around.existing.schemas:
            return (target, role) in around.existing.creators
        return schema not in self._makers or any(
            role == maker or (role, maker) in around.existing.heirs
            for maker in self._makers[schema]
        )

    def take_over(self, entry: Entry) -> list[Statement]:
        """Statements that give an existing schema, such as `public`, its owner, each with the one
        that undoes it."""
        existing, user = self._around.existing, self._around.user
        name = self._around.schemas.get(entry.tag, entry.tag)
        there = existing.schema_owners.get(name, "")
        if entry.kind != "SCHEMA" or not entry.owner or entry.owner == there or not there:
            return []
        may = self._around.superuser or {there, entry.owner} <= existing.memberships | {user}
        if entry.owner not in existing.roles or not may or makes_schema(entry):
            self._kept[entry.owner].append(f"schema {name}, which {there} owns")
            return []
        return [
            Statement(
                id=entry.id,
                kind="SCHEMA OWNER",
                name=Name("", entry.tag),
                sql=_owned(entry.tag, entry.owner),
                drop=_owned(entry.tag, there),
                phase=Phase.LAST,
            )
        ]

    def let_in(self, entry: Entry) -> str:
        """Grants of CREATE on a schema. They must precede all other grants, because the future
        owners of objects in it need them."""
        if entry.kind != "SCHEMA" or self._around.superuser:
            return ""
        return "".join(
            sql.SQL("GRANT CREATE ON SCHEMA {} TO {};\n")
            .format(sql.Identifier(entry.tag), sql.Identifier(role))
            .as_string(None)
            for role in sorted(self._makers[entry.tag] & self._around.existing.roles)
            if role not in (entry.owner, self._around.user)
        )

    def may_own(self, entry: Entry) -> bool:
        """Whether ALTER ... OWNER TO can be run; otherwise the creator remains the owner."""
        if entry.owner in ("", self._around.user) or not owner_statement(entry):
            return False
        if self.keeps_owner(entry):
            return True
        of = self._owned
        if self._may_act_as(entry.owner):
            of = self._barred if self._may_hold(entry) else self._unfit
        of[entry.owner].append(describe(entry))
        return False

    def grantable(self, entry: Entry) -> str | None:
        """The entry's text without grants to roles that the target lacks. None: no grant is
        left."""
        if entry.kind not in ("ACL", "DEFAULT ACL", "POLICY", "USER MAPPING"):
            return entry.definition
        if entry.kind not in ("ACL", "DEFAULT ACL"):
            for role in self._missing(entry.definition):
                self._needed[role].append(describe(entry))
            return entry.definition
        kept, acting_as = [], ""
        for statement in split(entry.definition):
            before, acting_as = acting_as, _session_role(statement, acting_as)
            speaker = acting_as or before  # a RESET goes with the statement that it ends
            missing = self._missing(statement)
            for role in missing:
                self._granted[role].append(_granted_on(entry))
            actors = {speaker} if speaker else _acts_for(statement)
            unable = {role for role in actors if not self._may_grant_as(role, bool(speaker))}
            for role in unable - missing:
                self._unable[role].append(_granted_on(entry))
            if not missing and not unable:
                kept.append(f"{statement};\n")
        return "".join(kept) or None

    def _may_grant_as(self, role: str, by_session: bool) -> bool:
        """SET SESSION AUTHORIZATION requires a superuser, whatever roles the user is a member
        of."""
        if by_session:
            return self._around.superuser and role in self._around.existing.roles
        return role == self._around.user or self._may_act_as(role)

    def _missing(self, statement: str) -> set[str]:
        found = {
            node.rolename
            for parsed in parse(statement)
            for _, node in walk(parsed.tree)
            if isinstance(node, Node) and node.tag == "RoleSpec" and node.rolename
        }
        return found - self._around.existing.roles

    def losses(self) -> Iterable[Loss]:
        user = self._around.user
        for role, objects in sorted(self._owned.items()):
            why = (
                f"exists, but {user} is not a member (GRANT {sql.Identifier(role).as_string(None)}"
                f" TO {sql.Identifier(user).as_string(None)})"
                if role in self._around.existing.roles
                else "does not exist on the target"
            )
            yield Loss(f"role {role}", f"{why}: {user} will own {_some(objects)}", LossClass.OWNERS)
        for role, objects in sorted(self._kept.items()):
            yield Loss(f"role {role}", f"does not get {_some(objects)}", LossClass.OWNERS)
        for role, objects in sorted(self._barred.items()):
            why = f"may not create in the schema: {user} will own {_some(objects)}"
            yield Loss(f"role {role}", why, LossClass.OWNERS)
        for role, objects in sorted(self._unfit.items()):
            why = f"is no superuser, as their owner has to be: {user} will own {_some(objects)}"
            yield Loss(f"role {role}", why, LossClass.OWNERS)
        for role, objects in sorted(self._unable.items()):
            there = role in self._around.existing.roles
            why = f"{user} may not act as it" if there else "does not exist on the target"
            message = f"{why}: its grants on {_some(objects)} are lost"
            yield Loss(f"role {role}", message, LossClass.GRANTS)
        for role, objects in sorted(self._granted.items()):
            message = f"does not exist on the target: its grants on {_some(objects)} are lost"
            yield Loss(f"role {role}", message, LossClass.GRANTS)

    def problems(self) -> Iterable[Problem]:
        for role, objects in sorted(self._needed.items()):
            yield Problem(
                f"role {role}",
                f"does not exist on the target, and is needed by {_some(objects)}",
                f"CREATE ROLE {sql.Identifier(role).as_string(None)}",
            )


def for_superusers(entry: Entry) -> bool:
    """Whether its owner has to be a superuser."""
    if entry.kind == "PUBLICATION":
        return is_of_all(entry.definition)
    return entry.kind in ("EVENT TRIGGER", "FOREIGN DATA WRAPPER")


def is_of_all(text: str) -> bool:
    """Whether a publication is for all tables."""
    return " FOR ALL " in text.partition(" WITH (")[0]


def _owned(schema: str, owner: str) -> str:
    statement = sql.SQL("ALTER SCHEMA {} OWNER TO {};\n")
    return statement.format(sql.Identifier(schema), sql.Identifier(owner)).as_string(None)


def _granted_on(entry: Entry) -> str:
    """What the grants are on, in words for people: ``table shop.orders``."""
    if entry.kind != "ACL":
        return describe(entry)
    kind, _, name = entry.tag.partition(" ")
    return f"{kind.lower()} {entry.schema}{entry.schema and '.'}{name}"


def _makers(entries: Iterable[Entry]) -> dict[str, frozenset[str]]:
    """For each schema that an entry creates, who may create in it afterwards."""
    owners = {entry.id: (entry.tag, entry.owner) for entry in entries if makes_schema(entry)}
    found = {tag: frozenset({owner}) for tag, owner in owners.values()}
    for entry in entries:
        if entry.kind != "ACL" or not entry.tag.startswith("SCHEMA "):
            continue
        for tag, _ in (owners[id_] for id_ in entry.depends_on if id_ in owners):
            found[tag] |= holders(entry.definition, "CREATE")
    return found


def _session_role(statement: str, before: str) -> str:
    """The role under which the following statements run: pg_dump sets the grantor of each grant."""
    parsed = parse(statement)[0].tree
    if parsed.tag != "VariableSetStmt" or parsed.name != "session_authorization":
        return before
    return str(parsed.args[0].val.sval) if parsed.args else ""


def _acts_for(statement: str) -> set[str]:
    """The role whose default privileges it alters."""
    parsed = parse(statement)[0].tree
    if parsed.tag != "AlterDefaultPrivilegesStmt":
        return set()
    named = (option.arg for option in parsed.options or () if option.defname == "roles")
    return {role.rolename for roles in named for role in roles if role.rolename}


def _some(objects: Sequence[str]) -> str:
    return several(list(dict.fromkeys(objects)), 3)
