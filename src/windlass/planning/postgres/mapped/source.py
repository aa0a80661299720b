"""A source as it would be if its tables already had the form in which they arrive: its catalog and
its definitions. So everything else is planned as for any source; `finish` restores the real
names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from windlass.engines.postgres.archive import Entry
from windlass.engines.postgres.catalog import ForeignKey, KeyConstraint, SequenceOwner
from windlass.engines.postgres.mapped_reading import Refused
from windlass.model.mapping import Mapping as Mapped
from windlass.model.relation import Name
from windlass.model.report import Loss, Problem
from windlass.model.units import plural
from windlass.planning.postgres.inputs import SourceRead
from windlass.planning.postgres.mapped.entries import (
    Rewriting,
    UsersOf,
    rewritten_text,
)
from windlass.planning.postgres.mapped.expressions import Volatile
from windlass.planning.postgres.mapped.keys import (
    Counts,
    foreign_key_losses,
    key_findings,
    null_problems,
)
from windlass.planning.postgres.mapped.resolve import Describe, Resolved, resolve
from windlass.planning.postgres.mapped.tables import Broken
from windlass.planning.postgres.mapped.trees import Names, Unmapped
from windlass.planning.postgres.needed_schemas import schema_entry
from windlass.planning.postgres.select import describe
from windlass.spec.mapping import MappingSpec


@dataclass(frozen=True, slots=True)
class Asking:
    """What a mapping may ask the source, in the snapshot."""

    describe: Describe
    volatile: Volatile
    users_of: UsersOf
    counts: Counts


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user wants of which tables."""

    mapping: Mapping[str, MappingSpec]
    schemas: Mapping[str, str]  # schemas that are renamed
    hash_key: str  # identifies the key of the environment; empty: there is none
    chosen: Collection[Name]  # identifies the key in the environment; empty if there is none


@dataclass(frozen=True, slots=True)
class MappedSource:
    """The source in its new form. `called` has the real names of the tables, and of the sequences
    that go with them."""

    read: SourceRead
    entries: Sequence[Entry]
    tables: Mapping[Name, Resolved] = field(default_factory=dict)  # by their real names
    called: Mapping[Name, Name] = field(default_factory=dict)
    losses: Sequence[Loss] = ()
    problems: Sequence[Problem] = ()
    left_out: Sequence[str] = ()  # as `Objects.left_out` names them


def mapped_source(
    asked: Asked, read: SourceRead, entries: Sequence[Entry], asking: Asking
) -> MappedSource:
    """The source in its new form. If the mapping itself is wrong, the source stays as it is."""
    found = resolve(
        asked.mapping,
        read.catalog,
        asked.schemas,
        asking.describe,
        asking.volatile,
        asked.hash_key,
    )
    problems = [*found.problems, *_unchosen(found.tables, asked.chosen)]
    if problems:
        return MappedSource(read, entries, problems=problems)
    tables = found.tables
    for one in tables.values():
        problems += null_problems(one, asking.counts)
    lost = []
    for finding in key_findings(entries, tables, asking.counts):
        if isinstance(finding, Problem):
            problems.append(finding)
        else:
            lost.append(finding)
    lost += foreign_key_losses(entries, tables, asked.chosen, asking.counts)
    left = {entry.id for entry, _ in lost}
    mappings = {name: one.mapping for name, one in tables.items()}
    owners = {one.name: one.owner for one in read.catalog.sequences if one.owner}
    sequences = moved_sequences(owners, mappings)
    rewriting = Rewriting(mappings, sequences, _broken(tables, asking.counts))
    done = rewriting.rewrite([one for one in entries if one.id not in left], asking.users_of)
    renamed = {name: one.mapping.into for name, one in tables.items()} | sequences
    kept = _sequences(done.entries)
    gone = {one for one in _sequences(entries) if sequences.get(one, one) not in kept}
    return MappedSource(
        read=_read(read, tables, renamed, rewriting.names, gone),
        entries=[*_new_schemas(done.entries, mappings.values()), *done.entries],
        tables=tables,
        called={new: old for old, new in renamed.items()},
        losses=[*(loss for _, loss in lost), *done.losses],
        problems=[*problems, *done.problems],
        left_out=[*(describe(entry) for entry, _ in lost), *done.left_out],
    )


def _new_schemas(entries: Sequence[Entry], tables: Iterable[Mapped]) -> list[Entry]:
    """CREATE SCHEMA entries for new schemas that tables go into. The owner of one of the tables
    owns the schema."""
    known = {entry.tag for entry in entries if entry.kind == "SCHEMA"} | {"public"}
    owners = {Name(one.schema, one.tag): one.owner for one in entries if one.kind == "TABLE"}
    wanted = {
        one.into.schema: owners.get(one.into, "")
        for one in sorted(tables, key=lambda one: one.into)
        if one.into.schema not in known
    }
    first = min((entry.id for entry in entries), default=1)
    return [
        schema_entry(first - number, name, owner)
        for number, (name, owner) in enumerate(wanted.items(), start=1)
    ]


def _sequences(entries: Sequence[Entry]) -> set[Name]:
    return {Name(one.schema, one.tag) for one in entries if one.kind == "SEQUENCE"}


def _unchosen(tables: Collection[Name], chosen: Collection[Name]) -> list[Problem]:
    hint = "select it as well, or leave it out of mapping"
    return [
        Problem(str(name), "is mapped and not selected", hint)
        for name in tables
        if name not in chosen
    ]


def _broken(tables: Mapping[Name, Resolved], counts: Counts) -> Broken:
    def broken(one: Mapped, name: str, test: str) -> str:
        found = counts.where(tables[one.relation], f"({test}) is false")
        if isinstance(found, Refused):
            return found.message
        return f"{plural(found, 'row')} would break it" if found else ""

    return broken


def moved_sequences(
    sequences: Mapping[Name, Name], tables: Mapping[Name, Mapped]
) -> dict[Name, Name]:
    """New names of sequences: one that a column owns follows its table's schema. `sequences` has
    the table of each."""
    return {
        name: Name(tables[owner].into.schema, name.name)
        for name, owner in sequences.items()
        if owner in tables and tables[owner].into.schema != name.schema
    }


def _read(
    read: SourceRead,
    tables: Mapping[Name, Resolved],
    renamed: Mapping[Name, Name],
    names: Mapping[Name, Names],
    gone: Collection[Name],
) -> SourceRead:
    catalog = read.catalog

    def called(name: Name) -> Name:
        return renamed.get(name, name)

    relations = [
        tables[one.name].relation if one.name in tables else one for one in catalog.relations
    ]
    return replace(
        read,
        catalog=replace(
            catalog,
            relations=tuple(sorted(relations, key=lambda one: one.name)),
            sequences=tuple(
                _sequence(one, called) for one in catalog.sequences if one.name not in gone
            ),
            unreadable=frozenset(map(called, catalog.unreadable)),
            hiding=frozenset(map(called, catalog.hiding)),
            forced=frozenset(map(called, catalog.forced)),
            unlogged=frozenset(map(called, catalog.unlogged)),
        ),
        key_constraints=[key for one in read.key_constraints if (key := _key(one, names))],
        foreign_keys=[_foreign_key(one, called) for one in read.foreign_keys],
    )


def _sequence(one: SequenceOwner, called: Callable[[Name], Name]) -> SequenceOwner:
    owner = called(one.owner) if one.owner else None
    users = frozenset(map(called, one.users))
    return replace(one, name=called(one.name), owner=owner, users=users)


def _key(one: KeyConstraint, names: Mapping[Name, Names]) -> KeyConstraint | None:
    """The key with the new names; None if it is lost."""
    if one.relation not in names:
        return one
    try:
        definition = rewritten_text(names, one.definition)
    except Unmapped:
        return None
    return replace(one, relation=names[one.relation].new, definition=definition)


def _foreign_key(one: ForeignKey, called: Callable[[Name], Name]) -> ForeignKey:
    return replace(one, relation=called(one.relation))
