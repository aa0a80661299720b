"""Turns archive entries into statements for this target: phase, owner, names, and what cannot be
kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from windlass.engines.postgres.archive import RELATION_KINDS, Entry, phases, script
from windlass.engines.postgres.catalog import ForeignKey, KeyConstraint
from windlass.model.relation import Name
from windlass.model.report import Loss, Problem
from windlass.model.statement import Phase, Statement
from windlass.planning.postgres.adapted import Adapted, access_methods, adapt
from windlass.planning.postgres.components import components
from windlass.planning.postgres.needed_schemas import makes_schema, with_schemas
from windlass.planning.postgres.roles import Roles
from windlass.planning.postgres.select import is_called_after
from windlass.planning.postgres.surroundings import Surroundings
from windlass.planning.postgres.target_names import rename_statements
from windlass.planning.postgres.two_steps import VALIDATION, in_steps


@dataclass(frozen=True, slots=True)
class Written:
    """Statements, and what they cannot keep from the source."""

    statements: tuple[Statement, ...]
    losses: tuple[Loss, ...]
    problems: tuple[Problem, ...]
    # grants on objects that get another owner, as named in statements
    reowned: frozenset[str] = frozenset()
    # owners of the objects of grants, by the same names
    owners: Mapping[str, str] = field(default_factory=dict)


def write_statements(
    entries: Sequence[Entry],
    around: Surroundings,
    *,
    skip: Collection[int] = (),
    apart: Mapping[int, KeyConstraint] = MappingProxyType({}),
    foreign_keys: Mapping[int, ForeignKey] = MappingProxyType({}),
) -> Written:
    """Statements in archive order.

    `skip` are entries for which the target keeps its own object. `apart` has, by constraint oid,
    the key constraints whose index is built first and attached afterwards; `foreign_keys` those
    that are added first and validated afterwards.
    """
    entries = with_schemas(entries, around)
    roles = Roles(around, entries)
    writing = _Writing(entries, around)
    made: list[Statement] = []
    losses: list[Loss] = []
    for entry in entries:
        if entry.id not in writing.when or entry.id in skip:
            continue
        if _exists_anyway(entry, around):
            made += roles.take_over(entry)
        elif (text := roles.grantable(entry)) is not None:
            granting = replace(entry, definition=text + roles.let_in(entry))
            adapted = adapt(granting, around, writing.access_methods)
            losses += adapted.losses
            for part in in_steps(adapted.entry, apart, foreign_keys):
                made.append(writing.statement(part, adapted, owner=roles.may_own(part)))
    renamed, more = rename_statements(made, around.schemas)
    return _written(entries, roles, renamed, (*losses, *roles.losses(), *more))


class _Writing:
    """What a statement needs from all entries together."""

    def __init__(self, entries: Sequence[Entry], around: Surroundings) -> None:
        self.when = phases(entries)
        self.access_methods = access_methods(entries, around.existing)
        self._components = components(entries, self.when)
        self._by_id = {entry.id: entry for entry in entries}

    def statement(self, part: Entry, adapted: Adapted, *, owner: bool) -> Statement:
        """The statement of an entry, or of one step of it."""
        entry = adapted.entry
        return Statement(
            id=entry.id,
            kind=part.kind,
            name=Name(entry.schema, entry.tag),
            sql=script(
                part,
                owner=owner,
                tablespace=adapted.tablespace,
                access_method=adapted.access_method,
            ),
            drop=part.drop,
            phase=Phase.VALIDATE if part.kind == VALIDATION else self.when[entry.id],
            relation=_relation(entry, self._by_id),
            component=self._components.get(entry.id, 0),
        )


def _written(
    entries: Sequence[Entry],
    roles: Roles,
    statements: Sequence[Statement],
    losses: tuple[Loss, ...],
) -> Written:
    owners = {entry.id: entry.owner for entry in entries if entry.kind == "ACL"}
    lost = {entry.id for entry in entries if entry.id in owners and not roles.keeps_owner(entry)}
    return Written(
        tuple(statements),
        losses,
        tuple(roles.problems()),
        frozenset(str(statement) for statement in statements if statement.id in lost),
        {str(one): owners[one.id] for one in statements if one.id in owners},
    )


def _exists_anyway(entry: Entry, around: Surroundings) -> bool:
    """Whether it may exist already, like a schema or an extension; the comment on an extension is
    its own."""
    existing = around.existing
    if entry.kind == "SCHEMA":
        return around.schemas.get(entry.tag, entry.tag) in existing.schemas or not makes_schema(
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
