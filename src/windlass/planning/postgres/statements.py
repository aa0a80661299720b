"""Archive entries into statements for this target: phase, owner, names, and what cannot be kept."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from psycopg import sql

from windlass.engines.postgres.archive import RELATION_KINDS, Entry, owner_statement, phases, script
from windlass.engines.postgres.catalog import Existing, ForeignKey, KeyConstraint
from windlass.engines.postgres.grants import holders
from windlass.engines.postgres.older import in_older_words
from windlass.engines.postgres.rename import quote_identifier, rename_schemas
from windlass.engines.postgres.syntax import Node, parse, split, to_text, tree_of, walk
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.statement import Phase, Statement
from windlass.planning.postgres.select import describe, is_called_after


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of the target and of the spec bends statements."""

    existing: Existing
    user: str  # who owns what is made, unless it is given away
    schemas: Mapping[str, str]  # renamed ones only
    superuser: bool
    major: int = 18  # the version of the server


@dataclass(frozen=True, slots=True)
class Written:
    statements: tuple[Statement, ...]
    losses: tuple[Loss, ...]
    problems: tuple[Problem, ...]
    reowned: frozenset[str] = frozenset()  # grants on what gets another owner, as statements say
    owners: Mapping[str, str] = field(default_factory=dict)  # of what grants are on, by the same


def write_statements(
    entries: Sequence[Entry],
    around: Surroundings,
    *,
    skip: Collection[int] = (),
    apart: Mapping[int, KeyConstraint] = MappingProxyType({}),
    foreign_keys: Mapping[int, ForeignKey] = MappingProxyType({}),
) -> Written:
    """Statements in the archive's order.

    `skip` are entries for which the target has something already. `apart` gives, by constraint
    oid, the key constraints whose index is built first and attached afterwards; `foreign_keys`
    those that are added first and validated afterwards.
    """
    entries = _with_schemas(entries, around)
    roles = _Roles(around, entries)
    when = phases(entries)
    island_of = islands(entries, when)
    by_id = {entry.id: entry for entry in entries}
    access_methods = _access_methods(entries, around.existing)
    made: list[Statement] = []
    losses: list[Loss] = []
    for entry in entries:
        if entry.id not in when or entry.id in skip:
            continue
        if _exists_anyway(entry, around):
            made += roles.take_over(entry)
            continue
        text = roles.without_strangers(entry)
        if text is None:
            continue
        text = _without_passwords(entry, text, losses) + roles.let_in(entry)
        text = in_older_words(text, kind=entry.kind, major=around.major)
        text = _as_compressed(entry, text, around.existing.compressions, losses)
        tablespace = not entry.tablespace or entry.tablespace in around.existing.tablespaces
        if not tablespace:
            message = f"tablespace {entry.tablespace} does not exist on the target"
            losses.append(Loss(describe(entry), message, LossClass.STORAGE))
        access_method = entry.access_method in ("", *access_methods)
        if not access_method:
            message = f"access method {entry.access_method} does not exist on the target"
            losses.append(Loss(describe(entry), message, LossClass.STORAGE))
        for part in _parts(replace(entry, definition=text), apart, foreign_keys):
            made.append(
                Statement(
                    id=entry.id,
                    kind=part.kind,
                    name=Name(entry.schema, entry.tag),
                    sql=script(
                        part,
                        owner=roles.may_own(part),
                        tablespace=tablespace,
                        access_method=access_method,
                    ),
                    drop=part.drop,
                    phase=Phase.VALIDATE if part.kind == VALIDATION else when[entry.id],
                    relation=_relation(entry, by_id),
                    island=island_of.get(entry.id, 0),
                )
            )
    renamed, more = _rename(made, around.schemas)
    owners = {entry.id: entry.owner for entry in entries if entry.kind == "ACL"}
    lost = {entry.id for entry in entries if entry.id in owners and not roles.keeps_owner(entry)}
    return Written(
        tuple(renamed),
        (*losses, *roles.losses(), *more),
        tuple(roles.problems()),
        frozenset(str(statement) for statement in renamed if statement.id in lost),
        {str(one): owners[one.id] for one in renamed if one.id in owners},
    )


def _access_methods(entries: Sequence[Entry], existing: Existing) -> set[str]:
    """Those that tables can have: what is there, what is made, and whatever an extension brings."""
    found = {name for kind, _, name, _ in existing.objects if kind == "ACCESS METHOD"} | {"heap"}
    found |= {entry.tag for entry in entries if entry.kind == "ACCESS METHOD"}
    if any(entry.kind == "EXTENSION" and entry.tag not in existing.extensions for entry in entries):
        found |= {entry.access_method for entry in entries}
    return found


def _with_schemas(entries: Sequence[Entry], around: Surroundings) -> Sequence[Entry]:
    """The entries, with one for each schema that they need, and that no text of theirs makes.

    pg_dump counts on `public` to be there: it has no entry, or one that is only a remark.
    """
    made = {entry.tag for entry in entries if _makes_schema(entry)}
    needed = {entry.schema for entry in entries if entry.schema} - made
    owners = {entry.tag: entry.owner for entry in entries if entry.kind == "SCHEMA"}
    first = min((entry.id for entry in entries), default=1)
    ours = [
        _schema_entry(first - number, name, owners.get(name, ""))
        for number, name in enumerate(sorted(needed & {"public", *around.schemas}), start=1)
        if around.schemas.get(name, name) not in around.existing.schemas
    ]
    return (*ours, *entries) if ours else entries


def _makes_schema(entry: Entry) -> bool:
    return entry.kind == "SCHEMA" and not entry.definition.startswith("--")


def _schema_entry(id_: int, name: str, owner: str) -> Entry:
    quoted = sql.Identifier(name).as_string(None)
    return Entry(
        id=id_,
        kind="SCHEMA",
        schema="",
        tag=name,
        owner=owner,
        definition=f"CREATE SCHEMA {quoted};\n",
        drop=f"DROP SCHEMA {quoted};\n",
        tablespace="",
        access_method="",
        catalog=0,
        oid=0,
        depends_on=(),
    )


# relations and their parts: what an island may consist of
_ISLANDERS = {"TABLE", "SEQUENCE", "SEQUENCE OWNED BY", "DEFAULT", "COMMENT", "SECURITY LABEL"}


def islands(entries: Sequence[Entry], when: Mapping[int, Phase]) -> dict[int, int]:
    """Entries of the phase TABLES by the island they are on: what no dependency ties together.

    Relations on separate islands are made side by side, which pays off for thousands of them.
    An island with anything but relations on it (a view, a function) is left in the archive's order.
    """
    parent = {entry.id: entry.id for entry in entries if when.get(entry.id) is Phase.TABLES}

    def root(id_: int) -> int:
        while parent[id_] != id_:
            parent[id_] = parent[parent[id_]]
            id_ = parent[id_]
        return id_

    for entry in entries:
        for need in entry.depends_on:
            if entry.id in parent and need in parent:
                parent[root(entry.id)] = root(need)
    others = {root(e.id) for e in entries if e.id in parent and e.kind not in _ISLANDERS}
    others |= {root(id_) for id_ in _contested(entries) if id_ in parent}
    return {id_: root(id_) for id_ in parent if root(id_) not in others}


# of version 18, where pg_dump leaves out the name that the server would choose
_NAMED_NOT_NULL = re.compile(r' CONSTRAINT ("(?:[^"]|"")+"|[\w$]+) NOT NULL')


def _contested(entries: Sequence[Entry]) -> set[int]:
    """Tables of which one names a constraint as the server would name another's: who comes first
    gets the name, so they keep the archive's order."""
    tables = {(entry.schema, entry.tag): entry.id for entry in entries if entry.kind == "TABLE"}
    found: set[int] = set()
    for entry in entries:
        if entry.kind != "TABLE":
            continue
        for quoted in _NAMED_NOT_NULL.findall(entry.definition):
            name = quoted.strip('"')
            beginnings = (name[:at] for at, letter in enumerate(name) if letter == "_")
            others = {tables.get((entry.schema, one), entry.id) for one in beginnings} - {entry.id}
            if others:
                found |= {entry.id, *others}
    return found


def _exists_anyway(entry: Entry, around: Surroundings) -> bool:
    """Schemas and extensions may be there already; a comment on an extension is its own."""
    existing = around.existing
    if entry.kind == "SCHEMA":
        return around.schemas.get(entry.tag, entry.tag) in existing.schemas or not _makes_schema(
            entry
        )
    if entry.kind == "EXTENSION":
        return entry.tag in existing.extensions
    extension = entry.tag.removeprefix("EXTENSION ").strip('"')
    return (
        entry.kind == "COMMENT"
        and entry.tag.startswith("EXTENSION ")
        and extension in existing.extensions
    )


def _relation(entry: Entry, by_id: Mapping[int, Entry]) -> Name | None:
    if entry.kind in RELATION_KINDS:
        return Name(entry.schema, entry.tag)
    needs = [by_id[id_] for id_ in entry.depends_on if id_ in by_id]
    relations = [one for one in needs if one.kind in RELATION_KINDS and one.kind != "SEQUENCE"]
    own = [one for one in relations if is_called_after(entry, one)]  # not what a foreign key is to
    return next((Name(one.schema, one.tag) for one in own or relations), None)


VALIDATION = "FK VALIDATION"


def _parts(
    entry: Entry, apart: Mapping[int, KeyConstraint], foreign_keys: Mapping[int, ForeignKey]
) -> Iterable[Entry]:
    if entry.kind == "CONSTRAINT" and (constraint := apart.get(entry.oid)):
        return _apart(entry, constraint)
    if entry.kind == "FK CONSTRAINT" and (foreign_key := foreign_keys.get(entry.oid)):
        return _validated_later(entry, foreign_key)
    return (entry,)


def _validated_later(entry: Entry, foreign_key: ForeignKey) -> Iterable[Entry]:
    """NOT VALID first: that takes no time under its lock, and validations run side by side.

    A partitioned relation takes no NOT VALID foreign key before version 18.
    """
    if not foreign_key.validated or foreign_key.is_partitioned:
        yield entry
        return
    yield replace(entry, definition=entry.definition.rstrip().removesuffix(";") + " NOT VALID;\n")
    validate = sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {};\n").format(
        sql.Identifier(foreign_key.relation.schema, foreign_key.relation.name),
        sql.Identifier(foreign_key.name),
    )
    yield replace(entry, kind=VALIDATION, definition=validate.as_string(None), drop="")


def _apart(entry: Entry, constraint: KeyConstraint) -> Iterable[Entry]:
    """The unique index, then the constraint that takes it over, with whatever else the entry says.

    ALTER TABLE ... ADD CONSTRAINT holds the relation exclusively while it builds; CREATE INDEX
    does not, so a relation's indexes are built side by side.
    """
    _, *rest = split(entry.definition)
    add = sql.SQL("ALTER TABLE ONLY {} ADD CONSTRAINT {} {} USING INDEX {}").format(
        sql.Identifier(constraint.relation.schema, constraint.relation.name),
        sql.Identifier(constraint.name),
        sql.SQL("PRIMARY KEY" if constraint.is_primary else "UNIQUE"),
        sql.Identifier(constraint.name),
    )
    lines = [f"{add.as_string(None)}{constraint.timing}", *rest]
    yield replace(entry, kind="UNIQUE INDEX", definition=f"{constraint.definition};\n", drop="")
    yield replace(entry, definition="".join(f"{line};\n" for line in lines), tablespace="")


def _rename(
    statements: Iterable[Statement], schemas: Mapping[str, str]
) -> tuple[list[Statement], list[Loss]]:
    if not schemas:
        return list(statements), []
    found, losses = [], []
    for statement in statements:
        renamed = rename_schemas(statement.sql, schemas)
        losses += [Loss(str(statement), why, LossClass.BEHAVIOUR) for why in renamed.losses]
        name, relation = _rename_tag(statement.kind, statement.name, schemas), statement.relation
        found.append(
            replace(
                statement,
                sql=renamed.sql,
                drop=rename_schemas(statement.drop, schemas).sql if statement.drop else "",
                name=target_name(name, schemas),
                relation=target_name(relation, schemas) if relation else None,
            )
        )
    return found, losses


def _rename_tag(kind: str, name: Name, schemas: Mapping[str, str]) -> Name:
    """The name with the schemas that its tag says, in pg_dump's quoting."""
    if kind == "PUBLICATION TABLES IN SCHEMA" and name.schema in schemas:
        head = name.name.removesuffix(name.schema)
        return replace(name, name=f"{head}{schemas[name.schema]}")
    if name.schema or "(" in name.name:  # a cast lives in no schema, but its types do
        return replace(name, name=target_tag(name.name, schemas))
    if name.name.startswith("TRANSFORM FOR "):
        return replace(name, name=renamed_text(name.name, schemas))
    if kind in ("SCHEMA", "SCHEMA OWNER"):
        return replace(name, name=schemas.get(name.name, name.name))
    for old, new in schemas.items():
        if name.name == f"SCHEMA {quote_identifier(old)}":
            return replace(name, name=f"SCHEMA {quote_identifier(new)}")
    return name


def target_tag(tag: str, schemas: Mapping[str, str]) -> str:
    """The tag of a routine or operator with the schemas of its argument types renamed."""
    name, bracket, arguments = tag.partition("(")
    return f"{name}({renamed_text(arguments, schemas)}" if bracket else tag


def renamed_text(text: str, schemas: Mapping[str, str]) -> str:
    """A text that names objects as PostgreSQL writes them, with their schemas renamed."""
    quoted = {quote_identifier(old): quote_identifier(new) for old, new in schemas.items()}
    if not quoted:
        return text
    some = "|".join(map(re.escape, quoted))
    return re.sub(rf'(?<![\w$."])({some})(?=\.)', lambda found: quoted[found[1]], text)


def target_name(name: Name, schemas: Mapping[str, str]) -> Name:
    return Name(schemas.get(name.schema, name.schema), name.name)


def _without_passwords(entry: Entry, text: str, losses: list[Loss]) -> str:
    """A user mapping without its password: it would end in the plan and in the journal."""
    if entry.kind != "USER MAPPING" or "password" not in text.lower():
        return text
    message = "its password is not carried over: set it again"
    losses.append(Loss(describe(entry), message, LossClass.SECRETS))
    mapping = tree_of(text)
    mapping.options = tuple(
        one for one in mapping.options or () if "password" not in one.defname.lower()
    )
    return f"{to_text(mapping)};\n"


# a separate line in pg_dump's text
_COMPRESSED = re.compile(
    r'^ALTER TABLE ONLY [^\n]+ ALTER COLUMN ("(?:[^"]|"")+"|[\w$]+) SET COMPRESSION (\w+);\n',
    re.MULTILINE,
)


def _as_compressed(
    entry: Entry, text: str, compressions: Collection[str], losses: list[Loss]
) -> str:
    """The text without compression methods that the server is not built with: it takes its own."""
    if entry.kind not in ("TABLE", "MATERIALIZED VIEW") or " SET COMPRESSION " not in text:
        return text
    lacking: list[tuple[str, str]] = [
        (column, method)
        for column, method in _COMPRESSED.findall(text)
        if method not in compressions
    ]
    for method in dict.fromkeys(method for _, method in lacking):
        columns = ", ".join(column for column, of in lacking if of == method)
        message = f"{columns} cannot be compressed by {method}: the target is built without it"
        losses.append(Loss(describe(entry), message, LossClass.STORAGE))
    return _COMPRESSED.sub(lambda found: found[0] if found[2] in compressions else "", text)


class _Roles:
    """Which roles the target has, and what is said of those it lacks: once for each role."""

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
        """Of some kinds only a superuser may be made the owner."""
        return entry.owner in self._around.existing.superusers or not for_superusers(entry)

    def _may_act_as(self, role: str) -> bool:
        existing = self._around.existing
        return role in existing.roles and (self._around.superuser or role in existing.memberships)

    def _may_create(self, role: str, schema: str) -> bool:
        """An object's new owner must be one who could have made it there."""
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
        """What gives a schema that is there, as `public` is in every database, its owner; and the
        way back."""
        existing, user = self._around.existing, self._around.user
        name = self._around.schemas.get(entry.tag, entry.tag)
        there = existing.schema_owners.get(name, "")
        if entry.kind != "SCHEMA" or not entry.owner or entry.owner == there or not there:
            return []
        may = self._around.superuser or {there, entry.owner} <= existing.memberships | {user}
        if entry.owner not in existing.roles or not may or _makes_schema(entry):
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
        """Grants of CREATE on a schema that cannot wait for the other grants: who is going to own
        what is in it must have it before."""
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
        """Whether ALTER ... OWNER TO can be run; the creator keeps it otherwise."""
        if entry.owner in ("", self._around.user) or not owner_statement(entry):
            return False
        if self.keeps_owner(entry):
            return True
        of = self._owned
        if self._may_act_as(entry.owner):
            of = self._barred if self._may_hold(entry) else self._unfit
        of[entry.owner].append(describe(entry))
        return False

    def without_strangers(self, entry: Entry) -> str | None:
        """The entry's text without grants to roles that the target lacks. None: nothing is left."""
        if entry.kind not in ("ACL", "DEFAULT ACL", "POLICY", "USER MAPPING"):
            return entry.definition
        if entry.kind not in ("ACL", "DEFAULT ACL"):
            for role in self._strangers(entry.definition):
                self._needed[role].append(describe(entry))
            return entry.definition
        kept, acting_as = [], ""
        for statement in split(entry.definition):
            before, acting_as = acting_as, _session_role(statement, acting_as)
            speaker = acting_as or before  # a RESET goes with what it ends
            strangers = self._strangers(statement)
            for role in strangers:
                self._granted[role].append(_granted_on(entry))
            actors = {speaker} if speaker else _acts_for(statement)
            unable = {role for role in actors if not self._may_grant_as(role, bool(speaker))}
            for role in unable - strangers:
                self._unable[role].append(_granted_on(entry))
            if not strangers and not unable:
                kept.append(f"{statement};\n")
        return "".join(kept) or None

    def _may_grant_as(self, role: str, by_session: bool) -> bool:
        """SET SESSION AUTHORIZATION is for superusers, whoever is a member of what."""
        if by_session:
            return self._around.superuser and role in self._around.existing.roles
        return role == self._around.user or self._may_act_as(role)

    def _strangers(self, statement: str) -> set[str]:
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
    """Whether a publication is of all tables, and not of some."""
    return " FOR ALL " in text.partition(" WITH (")[0]


def _owned(schema: str, owner: str) -> str:
    statement = sql.SQL("ALTER SCHEMA {} OWNER TO {};\n")
    return statement.format(sql.Identifier(schema), sql.Identifier(owner)).as_string(None)


def _granted_on(entry: Entry) -> str:
    """What the grants are on, as people say it: ``table shop.orders``."""
    if entry.kind != "ACL":
        return describe(entry)
    kind, _, name = entry.tag.partition(" ")
    return f"{kind.lower()} {entry.schema}{entry.schema and '.'}{name}"


def _makers(entries: Iterable[Entry]) -> dict[str, frozenset[str]]:
    """For each schema that an entry makes, who may create in it from then on."""
    owners = {entry.id: (entry.tag, entry.owner) for entry in entries if _makes_schema(entry)}
    found = {tag: frozenset({owner}) for tag, owner in owners.values()}
    for entry in entries:
        if entry.kind != "ACL" or not entry.tag.startswith("SCHEMA "):
            continue
        for tag, _ in (owners[id_] for id_ in entry.depends_on if id_ in owners):
            found[tag] |= holders(entry.definition, "CREATE")
    return found


def _session_role(statement: str, before: str) -> str:
    """As whom the statements after this one run; pg_dump lets the grantor of each grant speak."""
    parsed = parse(statement)[0].tree
    if parsed.tag != "VariableSetStmt" or parsed.name != "session_authorization":
        return before
    return str(parsed.args[0].val.sval) if parsed.args else ""


def _acts_for(statement: str) -> set[str]:
    """Whose default privileges it alters."""
    parsed = parse(statement)[0].tree
    if parsed.tag != "AlterDefaultPrivilegesStmt":
        return set()
    named = (option.arg for option in parsed.options or () if option.defname == "roles")
    return {role.rolename for roles in named for role in roles if role.rolename}


def _some(objects: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(objects))
    if len(distinct) <= 3:
        return ", ".join(distinct)
    return f"{', '.join(distinct[:3])} and {len(distinct) - 3} more"
