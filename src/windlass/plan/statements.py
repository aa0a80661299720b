"""Archive entries into statements for this target: phase, owner, names, and what cannot be kept."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from psycopg import sql

from windlass.engines.postgres.archive import RELATION_KINDS, Entry, phases, script
from windlass.engines.postgres.catalog import Existing, ForeignKey, KeyConstraint
from windlass.engines.postgres.rename import quote_identifier, rename_schemas
from windlass.model.relation import Name
from windlass.model.report import Loss, Problem
from windlass.model.statement import Phase, Statement
from windlass.plan.select import describe


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of the target and of the spec bends statements."""

    existing: Existing
    user: str  # who owns what is made, unless it is given away
    schemas: Mapping[str, str]  # renamed ones only
    superuser: bool


@dataclass(frozen=True, slots=True)
class Written:
    statements: tuple[Statement, ...]
    losses: tuple[Loss, ...]
    problems: tuple[Problem, ...]
    reowned: frozenset[str] = frozenset()  # grants on what gets another owner, as statements say


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
    roles = _Roles(around)
    entries = _with_schemas(entries, around)
    when = phases(entries)
    by_id = {entry.id: entry for entry in entries}
    made: list[Statement] = []
    losses: list[Loss] = []
    for entry in entries:
        if entry.id not in when or entry.id in skip or _exists_anyway(entry, around):
            continue
        text = roles.without_strangers(entry)
        if text is None:
            continue
        text = _without_passwords(entry, text, losses)
        tablespace = not entry.tablespace or entry.tablespace in around.existing.tablespaces
        if not tablespace:
            losses.append(Loss(describe(entry), f"tablespace {entry.tablespace} does not exist"))
        for part in _parts(replace(entry, definition=text), apart, foreign_keys):
            made.append(
                Statement(
                    id=entry.id,
                    kind=part.kind,
                    name=Name(entry.schema, entry.tag),
                    sql=script(part, owner=roles.may_own(part), tablespace=tablespace),
                    drop=part.drop,
                    phase=Phase.VALIDATE if part.kind == VALIDATION else when[entry.id],
                    relation=_relation(entry, by_id),
                )
            )
    renamed, more = _rename(made, around.schemas)
    lost = {entry.id for entry in entries if entry.kind == "ACL" and not roles.keeps_owner(entry)}
    return Written(
        tuple(renamed),
        (*losses, *roles.losses(), *more),
        tuple(roles.problems()),
        frozenset(str(statement) for statement in renamed if statement.id in lost),
    )


def _with_schemas(entries: Sequence[Entry], around: Surroundings) -> Sequence[Entry]:
    """The entries, with one for each schema that they need, and that no text of theirs makes.

    pg_dump counts on `public` to be there: it has no entry, or one that is only a remark.
    """
    made = {entry.tag for entry in entries if _makes_schema(entry)}
    needed = {entry.schema for entry in entries if entry.schema} - made
    first = min((entry.id for entry in entries), default=1)
    ours = [
        _schema_entry(first - number, name)
        for number, name in enumerate(sorted(needed & {"public", *around.schemas}), start=1)
        if around.schemas.get(name, name) not in around.existing.schemas
    ]
    return (*ours, *entries) if ours else entries


def _makes_schema(entry: Entry) -> bool:
    return entry.kind == "SCHEMA" and not entry.definition.startswith("--")


def _schema_entry(id_: int, name: str) -> Entry:
    quoted = sql.Identifier(name).as_string(None)
    return Entry(
        id=id_,
        kind="SCHEMA",
        schema="",
        tag=name,
        owner="",
        definition=f"CREATE SCHEMA {quoted};\n",
        drop=f"DROP SCHEMA {quoted};\n",
        tablespace="",
        access_method="",
        catalog=0,
        oid=0,
        depends_on=(),
    )


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
    for id_ in entry.depends_on:
        found = by_id.get(id_)
        if found and found.kind in RELATION_KINDS and found.kind != "SEQUENCE":
            return Name(found.schema, found.tag)
    return None


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
    import pglast

    _, *rest = pglast.split(entry.definition)
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
        losses += [Loss(str(statement), loss) for loss in renamed.losses]
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
    if name.schema:
        return replace(name, name=target_tag(name.name, schemas))
    if kind == "SCHEMA":
        return replace(name, name=schemas.get(name.name, name.name))
    for old, new in schemas.items():
        if name.name == f"SCHEMA {quote_identifier(old)}":
            return replace(name, name=f"SCHEMA {quote_identifier(new)}")
    return name


def target_tag(tag: str, schemas: Mapping[str, str]) -> str:
    """The tag of a routine or operator with the schemas of its argument types renamed."""
    name, bracket, arguments = tag.partition("(")
    quoted = {quote_identifier(old): quote_identifier(new) for old, new in schemas.items()}
    if not bracket or not quoted:
        return tag
    some = "|".join(map(re.escape, quoted))
    renamed = re.sub(rf'(?<![\w$."])({some})(?=\.)', lambda found: quoted[found[1]], arguments)
    return f"{name}({renamed}"


def target_name(name: Name, schemas: Mapping[str, str]) -> Name:
    return Name(schemas.get(name.schema, name.schema), name.name)


def _without_passwords(entry: Entry, text: str, losses: list[Loss]) -> str:
    """A user mapping without its password: it would end in the plan and in the journal."""
    if entry.kind != "USER MAPPING" or "password" not in text.lower():
        return text
    from pglast import ast, parse_sql
    from pglast.stream import RawStream

    (parsed,) = parse_sql(text)
    mapping = parsed.stmt
    assert isinstance(mapping, ast.CreateUserMappingStmt)
    mapping.options = (
        tuple(option for option in mapping.options or () if option.defname.lower() != "password")
        or None
    )
    losses.append(Loss(describe(entry), "its password is not carried over: set it again"))
    return f"{RawStream()(mapping)};\n"


class _Roles:
    """Which roles the target has, and what is said of those it lacks: once for each role."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._owned: dict[str, list[str]] = defaultdict(list)
        self._granted: dict[str, list[str]] = defaultdict(list)
        self._needed: dict[str, list[str]] = defaultdict(list)

    def keeps_owner(self, entry: Entry) -> bool:
        """Whether the object's owner is the same on both sides."""
        return entry.owner in ("", self._around.user) or self._may_give(entry.owner)

    def _may_give(self, role: str) -> bool:
        existing = self._around.existing
        return role in existing.roles and (self._around.superuser or role in existing.memberships)

    def may_own(self, entry: Entry) -> bool:
        """Whether ALTER ... OWNER TO can be run; the creator keeps it otherwise."""
        if entry.owner in ("", self._around.user):
            return False
        if self._may_give(entry.owner):
            return True
        if entry.drop and entry.kind not in ("CONSTRAINT", "INDEX"):
            self._owned[entry.owner].append(describe(entry))
        return False

    def without_strangers(self, entry: Entry) -> str | None:
        """The entry's text without grants to roles that the target lacks. None: nothing is left."""
        if entry.kind not in ("ACL", "DEFAULT ACL", "POLICY", "USER MAPPING"):
            return entry.definition
        import pglast

        if entry.kind not in ("ACL", "DEFAULT ACL"):
            for role in self._strangers(entry.definition):
                self._needed[role].append(describe(entry))
            return entry.definition
        kept = []
        for statement in pglast.split(entry.definition):
            strangers = self._strangers(statement)
            for role in strangers:
                self._granted[role].append(describe(entry))
            if not strangers:
                kept.append(f"{statement};\n")
        return "".join(kept) or None

    def _strangers(self, statement: str) -> set[str]:
        from pglast import ast, parse_sql
        from pglast.visitors import Visitor

        found: set[str] = set()

        class Names(Visitor):
            def visit_RoleSpec(self, _ancestors: object, node: ast.RoleSpec) -> None:
                if node.rolename:
                    found.add(node.rolename)

        Names()(parse_sql(statement))
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
            yield Loss(f"role {role}", f"{why}: {user} will own {_some(objects)}")
        for role, objects in sorted(self._granted.items()):
            message = f"does not exist on the target: its grants are lost on {_some(objects)}"
            yield Loss(f"role {role}", message)

    def problems(self) -> Iterable[Problem]:
        for role, objects in sorted(self._needed.items()):
            yield Problem(
                f"role {role}",
                f"does not exist on the target, and is needed by {_some(objects)}",
                f"CREATE ROLE {sql.Identifier(role).as_string(None)}",
            )


def _some(objects: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(objects))
    if len(distinct) <= 3:
        return ", ".join(distinct)
    return f"{', '.join(distinct[:3])} and {len(distinct) - 3} more"
