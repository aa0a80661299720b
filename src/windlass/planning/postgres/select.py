"""Which relations and which archive entries are part of a migration."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.engines.postgres.archive import PARTS, RELATION_KINDS, Entry
from windlass.engines.postgres.catalog import Catalog
from windlass.engines.postgres.relation import CatalogRelation
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass, Problem
from windlass.planning.patterns import matches


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of a spec that select."""

    schemas: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    may_be_unmatched: bool = False  # whether patterns of `exclude` may match nothing
    # names that patterns refer to, if they are not the real ones
    called: Mapping[Name, Name] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Wanted:
        """Those of a plan, by the keys of a spec file."""
        schemas, include, exclude = (
            tuple(options.get(key, ())) for key in ("schema", "include", "exclude")
        )
        return cls(schemas, include, exclude)

    @property
    def is_everything(self) -> bool:
        return not (self.schemas or self.include or self.exclude)


def select_relations(catalog: Catalog, wanted: Wanted) -> tuple[CatalogRelation, ...]:
    """The relations that the options select, of every kind."""
    return tuple(found for found in catalog.relations if is_wanted(found.name, wanted))


def is_wanted(name: Name, wanted: Wanted) -> bool:
    """Whether the options select a relation or sequence of this name."""
    name = wanted.called.get(name, name)
    if wanted.schemas and name.schema not in wanted.schemas:
        return False
    if wanted.include and not any(matches(name, pattern) for pattern in wanted.include):
        return False
    return not any(matches(name, pattern) for pattern in wanted.exclude)


def selection_problems(
    catalog: Catalog, schemas: Collection[str], wanted: Wanted, mapped: Iterable[str]
) -> list[Problem]:
    """Options that select nothing, with the nearest names that would."""
    problems = []
    for schema in wanted.schemas:
        if schema not in schemas:
            hint = _nearest(schema, schemas)
            problems.append(Problem(f"schema {schema}", "does not exist on the source", hint))
    for schema in mapped:
        if schema not in schemas:
            hint = _nearest(schema, schemas)
            message = "is mapped to another name but does not exist on the source"
            problems.append(Problem(f"schema {schema}", message, hint))
    names = names_called(catalog, wanted)
    problems += unmatched(names, wanted.include)
    return problems if wanted.may_be_unmatched else problems + unmatched(names, wanted.exclude)


def names_called(catalog: Catalog, wanted: Wanted) -> list[Name]:
    """Of all relations, as patterns name them."""
    return [wanted.called.get(one.name, one.name) for one in catalog.relations]


def unmatched(names: Sequence[Name], patterns: Iterable[str]) -> list[Problem]:
    """Patterns that match nothing, with the nearest names."""
    known = [name.plain for name in names]
    return [
        Problem(f"pattern {pattern}", "matches no relation", _nearest(pattern, known))
        for pattern in patterns
        if not any(matches(name, pattern) for name in names)
    ]


def _nearest(word: str, words: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else ""


@dataclass(frozen=True, slots=True)
class Selection:
    """Entries to run, in archive order, and selected entries that cannot run."""

    entries: tuple[Entry, ...]
    stranded: tuple[Loss, ...] = ()
    needed: frozenset[int] = frozenset()  # ids of entries that nobody selected


# whether an entry can use the target's object in place of one that it needs
Uses = Callable[[Entry, Entry], bool]


def select_entries(
    entries: Sequence[Entry],
    names: Collection[Name],
    wanted: Wanted,
    owned_by: Mapping[Name, Name],
    present: Uses = lambda _, __: False,
) -> Selection:
    """Selected are: the relations; without `include`, also everything else in a selected schema;
    whatever these need, directly or not; and what belongs to a kept entry (keys, triggers,
    comments, grants), if everything that it refers to is kept, or `present` on the target.

    `owned_by` maps a sequence to the relation whose column it feeds, which it goes with.
    """
    if wanted.is_everything:
        return Selection(tuple(entries))
    picking = _Picking(entries, names, wanted, owned_by, present)
    for _ in range(2):  # what belongs to an entry may need another, to which something belongs
        picking.add_what_is_needed()
        picking.add_what_belongs()
    picking.add_what_is_needed()
    return picking.result()


class _Picking:
    def __init__(
        self,
        entries: Sequence[Entry],
        names: Collection[Name],
        wanted: Wanted,
        owned_by: Mapping[Name, Name],
        present: Uses,
    ) -> None:
        self._entries, self._names, self._wanted = entries, names, wanted
        self._owned_by, self._present = owned_by, present
        self._by_id = {entry.id: entry for entry in entries}
        self._kept = {entry.id for entry in entries if self._is_root(entry)}
        self._needed: set[int] = set()

    def _is_root(self, entry: Entry) -> bool:
        if entry.kind in PARTS:
            return False
        if entry.kind in RELATION_KINDS:
            return not self._is_left(entry) and self._is_asked_for(entry)
        if entry.kind == "SCHEMA":
            narrowed = self._wanted.schemas or self._wanted.include
            named = entry.tag in self._wanted.schemas or not narrowed
            return named or any(name.schema == entry.tag for name in self._names)
        if entry.kind == "EXTENSION":
            return True  # the archive does not say which of its types are used
        inside = entry.schema in self._wanted.schemas or not self._wanted.schemas
        return inside and not self._wanted.include

    def _is_asked_for(self, entry: Entry) -> bool:
        name = Name(entry.schema, entry.tag)
        return entry.kind != "SEQUENCE" or name in self._owned_by or is_wanted(name, self._wanted)

    def _is_left(self, entry: Entry) -> bool:
        """Whether it is a relation that is not selected. Sequences without an owner follow whatever
        needs them."""
        name = Name(entry.schema, entry.tag)
        if entry.kind == "SEQUENCE":
            return name in self._owned_by and self._owned_by[name] not in self._names
        return entry.kind in RELATION_KINDS and name not in self._names

    def _is_left_out(self, entry: Entry) -> bool:
        """Whether it is a relation that is not selected, or a key of one."""
        if entry.kind not in PARTS:
            return self._is_left(entry)
        owners = [one for one in self._needs(entry) if one.kind in RELATION_KINDS]
        return bool(owners) and all(map(self._is_left, owners))

    def _needs(self, entry: Entry) -> list[Entry]:
        return [self._by_id[id_] for id_ in entry.depends_on if id_ in self._by_id]

    def add_what_is_needed(self) -> None:
        todo = list(self._kept)
        while todo:
            for need in self._needs(self._by_id[todo.pop()]):
                if need.id not in self._kept and not self._is_left_out(need):
                    self._kept.add(need.id)
                    self._needed.add(need.id)
                    todo.append(need.id)

    def add_what_belongs(self) -> None:
        for entry in self._entries:  # what an entry belongs to comes before it
            if entry.kind in PARTS:
                ties = self._ties(entry)
                if ties and all(self._is_there(entry, tie) for tie in ties):
                    self._kept.add(entry.id)

    def _is_there(self, entry: Entry, tie: Entry) -> bool:
        """Whether it is kept, or exists on the target without being the entry's own relation."""
        if tie.id in self._kept or self._comes_along(tie):
            return True
        return self._is_torn_off(entry) and self._present(entry, tie)

    def _comes_along(self, entry: Entry) -> bool:
        """Whether it is a sequence without an owner, which `add_what_is_needed` adds."""
        return entry.kind == "SEQUENCE" and not self._is_left(entry)

    def _ties(self, entry: Entry) -> list[Entry]:
        """What it belongs to, without functions and types that it merely uses."""
        needs = self._needs(entry)
        if entry.kind in ("COMMENT", "ACL", "SECURITY LABEL"):
            return needs
        if entry.kind == "USER MAPPING":  # the archive gives it no dependency
            servers = (one for one in self._entries if one.kind == "SERVER")
            return [one for one in servers if entry.tag.endswith(f" SERVER {one.tag}")]
        anchors = {*RELATION_KINDS, *PARTS, "PUBLICATION", "DOMAIN"}
        return [need for need in needs if need.kind in anchors]

    def result(self) -> Selection:
        stranded: dict[int, Loss] = {}
        for entry in self._entries:
            missing = [
                need
                for need in self._needs(entry)
                if (need.id not in self._kept or need.id in stranded)
                and not self._present(entry, need)
            ]
            kept = entry.id in self._kept
            if missing and (kept or self._is_torn_off(entry)):
                stranded[entry.id] = left_out(entry, missing)
        kept_ids = self._kept - set(stranded)
        entries = tuple(entry for entry in self._entries if entry.id in kept_ids)
        return Selection(entries, tuple(stranded.values()), frozenset(self._needed & kept_ids))

    def _is_torn_off(self, entry: Entry) -> bool:
        """Whether it is a part of a selected relation: its tag begins with the relation's name."""
        return entry.kind in _TORN_OFF and any(
            need.id in self._kept and is_called_after(entry, need) for need in self._needs(entry)
        )


def is_called_after(part: Entry, relation: Entry) -> bool:
    """Whether a part's tag begins with the relation's name. Then the part belongs to the relation,
    rather than just needing it."""
    return part.schema == relation.schema and f"{part.tag} ".startswith(f"{relation.tag} ")


# parts that may need another relation than the one they belong to
_TORN_OFF = {"DEFAULT", "FK CONSTRAINT", "POLICY", "RULE", "TRIGGER"}


def left_out(entry: Entry, missing: Iterable[Entry]) -> Loss:
    """The loss of an entry that needs these missing ones."""
    needs = ", ".join(map(describe, missing))
    message = f"left out: it needs {needs}, which is not selected"
    return Loss(describe(entry), message, _LEFT_OUT.get(entry.kind, LossClass.OBJECTS))


# the class of loss for a missing entry that is not a separate object
_LEFT_OUT = {
    "ACL": LossClass.GRANTS,
    "CHECK CONSTRAINT": LossClass.CONSTRAINTS,
    "CONSTRAINT": LossClass.CONSTRAINTS,
    "DEFAULT": LossClass.BEHAVIOUR,
    "DEFAULT ACL": LossClass.GRANTS,
    "FK CONSTRAINT": LossClass.CONSTRAINTS,
}


def describe(entry: Entry) -> str:
    """An entry in words for people: ``view shop.sales``."""
    where = f"{entry.schema}." if entry.schema else ""
    return f"{entry.kind.lower()} {where}{entry.tag.removeprefix(entry.kind).strip()}"
