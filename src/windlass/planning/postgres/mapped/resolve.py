"""A spec's mappings of tables, resolved: which columns of which types arrive under which names."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from windlass.engines.postgres.catalog import Catalog
from windlass.engines.postgres.mapped import hashed
from windlass.engines.postgres.mapped_reading import Refused
from windlass.engines.postgres.relation import CatalogRelation
from windlass.model.hashing import LEAST_KEY, NO_KEY
from windlass.model.mapping import MappedColumn
from windlass.model.mapping import Mapping as Mapped
from windlass.model.relation import Column, Kind, Name
from windlass.model.report import Problem
from windlass.planning.postgres.mapped.expressions import Volatile, fault_of, type_fault
from windlass.planning.postgres.mapped.rules import ruled
from windlass.spec.mapping import MappingSpec

Describe = Callable[[Name, str, Sequence[str]], Sequence[Column | Refused]]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A table's mapping, and the table as it is read through it. `arriving` has the types of the
    target's columns, if values are cast on the way."""

    mapping: Mapped
    relation: CatalogRelation
    arriving: CatalogRelation

    @property
    def name(self) -> Name:
        return self.mapping.relation

    @property
    def retyped(self) -> frozenset[str]:
        return retyped(self.mapping)


@dataclass(slots=True)
class Resolving:
    """The tables, by their names on the source, and what is wrong."""

    tables: dict[Name, Resolved] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def resolve(
    specs: Mapping[str, MappingSpec],
    catalog: Catalog,
    schemas: Mapping[str, str],
    describe: Describe,
    volatile: Volatile,
    hash_key: str,
) -> Resolving:
    """`schemas` are those that get another name; `hash_key` identifies the key, empty: there is
    none."""
    found = Resolving()
    for text, spec in specs.items():
        relation, problem = _relation(text, catalog)
        if relation is None:
            found.problems.append(problem)
            continue
        into, fault = _into(spec.into, relation.name, schemas)
        faults = [(fault, "name the schema as it is on the target")] if fault else []
        if spec.hashes and not hash_key:
            hint = f"set it to a secret of {LEAST_KEY} characters or more, for every process"
            faults.append((f"mask: hash: {NO_KEY}", hint))
        one = _Table(relation, spec, describe, volatile)
        resolved = one.resolve(into, hash_key if spec.hashes else "")
        faults += one.faults
        found.problems += [Problem(str(relation.name), *each) for each in faults]
        if resolved is not None:
            found.tables[relation.name] = resolved
    found.problems += _meeting(found.tables, catalog)
    return found


def _relation(text: str, catalog: Catalog) -> tuple[CatalogRelation | None, Problem]:
    names = {one.name.plain: one for one in catalog.relations}
    names |= {str(one.name): one for one in catalog.relations}
    found = names.get(text)
    if found is None:
        near = difflib.get_close_matches(text, list(names), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "name it as schema.table"
        return None, Problem(f"mapping {text}", "is no table of the source", hint)
    why = ""
    if found.kind is not Kind.TABLE:
        why = f"is a {found.kind}: only ordinary tables can be mapped"
    elif found.partition_of is not None or found.family.root is not None:
        why = "is a partition, whose rows and columns are those of its parent: it cannot be mapped"
    elif found.family.has_children:
        why = "has child tables, which have its columns: it cannot be mapped"
    hint = "leave it out of mapping; a view on the target can show it in another form"
    return (None if why else found), Problem(str(found.name), why, hint)


def _into(text: str, name: Name, schemas: Mapping[str, str]) -> tuple[Name, str]:
    """The new name, with the schema's name before schemas are renamed."""
    if not text:
        return name, ""
    schema, dot, table = text.rpartition(".")
    if not dot:
        return Name(name.schema, text), ""
    before = {new: old for old, new in schemas.items()}
    if schema in schemas and schema not in before:
        return name, f"into {text}: schema {schema} is called {schemas[schema]} on the target"
    return Name(before.get(schema, schema), table), ""


def _meeting(tables: Mapping[Name, Resolved], catalog: Catalog) -> Iterator[Problem]:
    """Two tables, or a table and anything else with rows, that would have the same name."""
    moved = {name for name, one in tables.items() if one.mapping.into != name}
    taken: dict[Name, list[str]] = {}
    for relation in catalog.relations:
        if relation.name not in moved:
            taken.setdefault(relation.name, []).append(str(relation.name))
    for name in moved:
        taken.setdefault(tables[name].mapping.into, []).append(str(name))
    for into, names in taken.items():
        if len(names) > 1:
            message = f"{' and '.join(sorted(names))} would both go into it"
            yield Problem(str(into), message, "give one of them another name with into")


class _Table:
    """One table's mapping."""

    def __init__(
        self, relation: CatalogRelation, spec: MappingSpec, describe: Describe, volatile: Volatile
    ) -> None:
        self._relation, self._spec = relation, spec
        self._describe, self._volatile = describe, volatile
        self.faults: list[tuple[str, str]] = []

    def resolve(self, into: Name, hash_key: str) -> Resolved | None:
        """None if something is wrong: then `faults` says what."""
        relation, spec = self._relation, self._spec
        rules = ruled(relation.columns, spec.columns, partial(hashed, key_id=hash_key))
        self.faults += rules.faults
        rules.columns = [_typed(one, spec.types) for one in rules.columns]
        where = spec.where.strip()
        expressions = [
            (f"column {one.target}", one.expression) for one in rules.columns if one.how == "sql"
        ]
        expressions += [(f"column {one.target}", one.finish) for one in rules.columns]
        for what, text in [("where", where), *expressions]:
            if text and (fault := fault_of(text, self._volatile)):
                self.faults.append((f"{what} {fault}", "give SQL over the table's columns"))
        types = self._types([one.target for one in rules.columns])
        if self.faults:
            return None
        computed = [one for one in rules.columns if one.expression]
        asked = [one.expression for one in computed] + [
            f"null::{type_}" for type_ in types.values()
        ]
        found = self._described(where, computed, types, asked)
        if self.faults:
            return None
        held = dict(zip((one.target for one in computed), found, strict=False))
        takes = dict(zip(types, found[len(computed) :], strict=True))
        columns = tuple(self._column(one, held) for one in rules.columns)
        arrive = tuple(_cast(one, takes.get(one.name)) for one in columns)
        typed = tuple(
            replace(one, type=now.type) for one, now in zip(rules.columns, arrive, strict=True)
        )
        mapping = Mapped(
            relation.name, into, typed, relation.columns, where, hash_key, *called(spec)
        )
        self._check_generated(mapping)
        if self.faults:
            return None
        pretended = replace(relation, name=into, columns=columns, **_keys(relation, mapping))
        return Resolved(mapping, pretended, replace(pretended, columns=arrive))

    def _types(self, targets: Sequence[str]) -> dict[str, str]:
        for name, type_ in self._spec.types.items():
            if name not in targets:
                hint = "types are of columns of the target, by their names there"
                self.faults.append((f"types: no column {name} arrives", hint))
            elif fault := type_fault(type_):
                self.faults.append((f"types: {name}: {type_} {fault}", "give a type of the source"))
        return dict(self._spec.types)

    def _described(
        self,
        where: str,
        computed: Sequence[MappedColumn],
        types: Mapping[str, str],
        asked: Sequence[str],
    ) -> list[Column]:
        condition, *others = self._describe(self._relation.name, where, asked)
        whats = [f"column {one.target}" for one in computed]
        whats += [f"types: {name}" for name in types]
        found = []
        for what, one in zip(["where", *whats], [condition, *others], strict=True):
            if isinstance(one, Refused):
                self.faults.append((f"{what}: {one.message}", "correct it; see docs/mapping.md"))
            else:
                found.append(one)
        if not isinstance(condition, Refused) and condition.type != "boolean":
            message = f"where is {condition.type}, and no condition"
            self.faults.append((message, "give a condition"))
        return found[1:]

    def _column(self, one: MappedColumn, held: Mapping[str, Column]) -> Column:
        """The column as it is read, with the type of the source's values or of the computed
        ones."""
        before = next((each for each in self._relation.columns if each.name == one.source), None)
        if not one.is_changed:
            assert before is not None
            return replace(before, name=one.target)
        now = replace(held[one.target], name=one.target)
        if before is None:
            return now
        keeps = now.type == before.type
        return replace(
            now,
            not_null=before.not_null,
            has_default=before.has_default and keeps,
            default=before.default if keeps else "",
        )

    def _check_generated(self, mapping: Mapped) -> None:
        """Refuse generated columns whose inputs change: the target would compute other values."""
        names = mapping.names
        for column in mapping.given:
            if column.generated and names.get(column.name) in self._spec.types:
                message = f"column {column.name} is generated: it cannot be cast"
                self.faults.append((message, f"give it sql: {column.name}"))


def called(spec: MappingSpec) -> tuple[str, int, int]:
    """How its functions are called, if it has any; and how many rows are shown."""
    frame, rows = (str(spec.frame), spec.batch_rows) if spec.has_functions else ("", 0)
    return frame, rows, spec.samples


def _typed(one: MappedColumn, types: Mapping[str, str]) -> MappedColumn:
    """What the target computes has the type that is asked for; until then it is NULL."""
    if not one.finish or one.target not in types:
        return one
    return replace(one, expression=f"null::{types[one.target]}")


def retyped(mapping: Mapped) -> frozenset[str]:
    """Columns of the source that get another type, which objects that use them cannot take."""
    names = mapping.names
    return frozenset(
        one.name
        for one in mapping.given
        if one.name in names and not _same_kind(one.type, mapping.column(names[one.name]).type)
    )


_NUMBERS = {"smallint", "integer", "bigint"}


def recounted(mapping: Mapped) -> frozenset[str]:
    """Columns of the source that are whole numbers before and after."""
    names = mapping.names
    return frozenset(
        one.name
        for one in mapping.given
        if one.name in names and {one.type, mapping.column(names[one.name]).type} <= _NUMBERS
    )


_TEXTS = ("text", "character varying")


def _same_kind(one: str, other: str) -> bool:
    """Whether what uses a column works with either type."""
    return one == other or all(each.startswith(_TEXTS) and "[" not in each for each in (one, other))


def _cast(column: Column, takes: Column | None) -> Column:
    if takes is None:
        return column
    keeps = {column.type, takes.type} <= _NUMBERS
    return replace(
        takes,
        name=column.name,
        not_null=column.not_null,
        generated=column.generated,
        identity=column.identity if keeps else "",
        has_default=column.has_default and keeps,
        default=column.default if keeps else "",
    )


def _keys(relation: CatalogRelation, mapping: Mapped) -> dict[str, Any]:
    """Identifying columns still identify rows if they are kept or hashed; not if their values may
    have become equal."""
    names = mapping.names
    lost = {old for old, new in names.items() if mapping.column(new).how not in ("", "hash")}
    kept = all(one in names and one not in lost for one in relation.keyset)
    keyset = tuple(names[one] for one in relation.keyset) if kept else ()
    unique = (key for key in relation.unique if all(one in names for one in key))
    return {
        "keyset": keyset,
        "key": (),
        "unique": tuple(tuple(names[one] for one in key) for key in unique),
    }
