"""Finds objects of the target with the names of objects that a run will create."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from windlass.engines.postgres.archive import RELATION_KINDS, Entry
from windlass.engines.postgres.catalog import Existing, Signed
from windlass.model.plan import Address
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.statement import Statement
from windlass.model.wording import word
from windlass.planning.postgres.select import describe
from windlass.planning.postgres.target_names import target_tag


@dataclass(frozen=True, slots=True)
class Conflict:
    """An archive entry whose object the target has already."""

    entry: Entry
    kind: str  # of the target's object, which may be a view where a table is to be created
    name: Name  # on the target
    signature: str  # what ALTER takes after the name
    address: Address = (0, 0)


def find_conflicts(
    entries: Sequence[Entry], schemas: Mapping[str, str], existing: Existing
) -> list[Conflict]:
    """Entries of any kind that CREATE would refuse because the name is taken.

    Relations of all kinds and types share one name space.
    """
    taken = {_taken(signed): signed for signed in existing.objects}
    found = []
    for entry in entries:
        name, signature = _signed(entry, schemas)
        schema = schemas.get(entry.schema, entry.schema)
        there = taken.get((_space(entry.kind), schema, name, signature))
        if entry.kind in CREATED and there:
            found.append(
                Conflict(
                    entry,
                    there[0],
                    Name(schema, there[2]),
                    existing.identities.get(there, ""),
                    existing.addresses.get(there, (0, 0)),
                )
            )
    return found


def _taken(signed: Signed) -> Signed:
    """A key that identifies an object. The name of a routine may itself contain brackets."""
    kind, schema, name, signature = signed
    if kind in _ROUTINES:
        return _space(kind), schema, f"{name}({signature})", ""
    return _space(kind), schema, name, signature if kind in _SIGNED else ""


def without_freed(items: Sequence[Conflict]) -> list[Conflict]:
    """Leave out objects that no longer conflict once the types that they belong to are set
    aside."""
    moved = {item.entry.id for item in items if _space(item.kind) == "relation"}
    return [
        item
        for item in items
        if item.entry.kind not in ("CAST", "TRANSFORM")
        or not moved.intersection(item.entry.depends_on)
    ]


_ROUTINES = {"FUNCTION", "PROCEDURE", "AGGREGATE"}

_TYPES = {"TYPE", "DOMAIN", "SHELL TYPE"}

_BY_METHOD = {"OPERATOR CLASS", "OPERATOR FAMILY"}

_SIGNED = {*_ROUTINES, *_BY_METHOD, "OPERATOR"}

CREATED = {
    *RELATION_KINDS, *_SIGNED, *_TYPES, "ACCESS METHOD", "CAST", "COLLATION", "CONVERSION",
    "EVENT TRIGGER", "FOREIGN DATA WRAPPER", "PROCEDURAL LANGUAGE", "PUBLICATION", "SERVER",
    "STATISTICS", "TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "TEXT SEARCH PARSER",
    "TEXT SEARCH TEMPLATE", "TRANSFORM", "USER MAPPING",
}  # fmt: skip


def _signed(entry: Entry, schemas: Mapping[str, str]) -> tuple[str, str]:
    """Name and signature on the target. The signature of an operator is only in its DROP, not in
    its tag."""
    if entry.kind in _ROUTINES:
        tag = target_tag(entry.tag, schemas)
        of_all = entry.kind == "AGGREGATE" and tag.endswith("(*)")
        return tag.removesuffix("*)") + ")" if of_all else tag, ""
    if entry.kind == "USER MAPPING":
        return f"USER MAPPING {entry.tag.removeprefix('USER MAPPING ')}", ""
    if entry.kind == "OPERATOR":
        _, _, arguments = target_tag(entry.drop.strip(), schemas).rpartition(f"{entry.tag} (")
        return entry.tag, arguments.removesuffix(";").removesuffix(")")
    if entry.kind in _BY_METHOD:
        return entry.tag, entry.drop.strip().removesuffix(";").rpartition(" USING ")[2]
    return target_tag(entry.tag, schemas), ""


def _space(kind: str) -> str:
    if kind in _ROUTINES:
        return "routine"
    return "relation" if kind in RELATION_KINDS | _TYPES else kind


def unmovable(items: Iterable[Conflict]) -> list[Problem]:
    """What `replace` cannot set aside, because no ALTER can move it."""
    return [
        Problem(
            describe(item.entry),
            "exists on the target, and a shell type cannot be set aside",
            "drop or rename it there",
        )
        for item in items
        if item.kind == "SHELL TYPE" and not is_shell(item.entry)
    ]


def is_shell(entry: Entry) -> bool:
    """Whether only the type's name is known, for good or until its functions exist."""
    bare = entry.kind == "TYPE" and "(" not in entry.definition and " AS " not in entry.definition
    return bare or entry.kind == "SHELL TYPE"


def taken_names(
    statements: Iterable[Statement], conflicts: Iterable[Conflict], existing: Existing
) -> list[Problem]:
    """Names of indexes to be created that an index or a relation of the target already has: both
    share one name space."""
    gone = {item.name for item in conflicts}
    taken: dict[Name, str] = {}
    for kind, schema, name, of in existing.objects:
        if kind == "INDEX" and Name(schema, of) not in gone:
            taken[Name(schema, name)] = f"an index of {schema}.{of}"
        elif kind in RELATION_KINDS and Name(schema, name) not in gone:
            taken[Name(schema, name)] = f"a {kind.lower()}"
    wanted = {own: str(one) for one in statements if (own := _relation_name(one))}
    return [
        Problem(
            statement,
            f"its name is that of {taken[name]} on the target",
            f"rename that, or this on the source, or drop it: {name}",
        )
        for name, statement in wanted.items()
        if name in taken
    ]


def _relation_name(statement: Statement) -> Name | None:
    """The name that it takes in the name space of relations and indexes."""
    name = statement.name
    if statement.kind in RELATION_KINDS | {"INDEX"}:
        return name
    keyed = statement.kind == "CONSTRAINT" and re.search(_KEYED, statement.sql)
    if keyed and statement.relation:
        return Name(name.schema, name.name.removeprefix(f"{statement.relation.name} "))
    return None


_KEYED = r"\b(PRIMARY KEY|UNIQUE|EXCLUDE)\b"


def conflict_problems(found: Iterable[Conflict]) -> list[Problem]:
    """The conflicts except those of relations, which have their own problems."""
    return [
        Problem(
            describe(item.entry),
            "exists on the target",
            f"{word('existing', 'replace')} sets it aside, {word('existing', 'fill')} keeps it",
        )
        for item in found
        if item.entry.kind not in RELATION_KINDS - {"SEQUENCE"} | {"SHELL TYPE"}
    ]
