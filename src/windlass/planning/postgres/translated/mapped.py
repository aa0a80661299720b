"""Mapped tables of another engine, as they would be if the source already had the form in which
they arrive: names, columns, keys. What is read is a query over the table."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from windlass.model.hashing import LEAST_KEY, NO_KEY
from windlass.model.mapping import MappedColumn
from windlass.model.mapping import Mapping as Mapped
from windlass.model.mask import Mask
from windlass.model.relation import Column, Name
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.translation import (
    ForeignKey,
    Index,
    Key,
    Selected,
    SourceColumn,
    SourceSchema,
    SourceTable,
)
from windlass.planning.postgres.mapped.expressions import fault_of
from windlass.planning.postgres.mapped.resolve import called
from windlass.planning.postgres.mapped.rules import FUNCTION, TARGET_SQL, ruled
from windlass.planning.postgres.translated.expressions import columns_of
from windlass.planning.postgres.translated.naming import folded, folded_name
from windlass.planning.postgres.translated.ways import Way, plain
from windlass.spec.mapping import MappingSpec


@dataclass(slots=True)
class MappedTables:
    """The source's structure with mapped tables in their new form, and what is wrong or lost.
    `called` has the tables' real names, by the names under which they are planned."""

    schema: SourceSchema
    called: dict[Name, Name] = field(default_factory=dict)
    types: dict[Name, Mapping[str, str]] = field(default_factory=dict)  # answers, by table
    problems: list[Problem] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)


def map_tables(
    schema: SourceSchema,
    specs: Mapping[str, MappingSpec],
    way: Way,
    default: str,
    schemas: Mapping[str, str],
    key_id: str = "",
) -> MappedTables:
    """`default` is the schema of the target that takes the place of the source's; `schemas` are
    those that get another name; `key_id` identifies the key to hash with, empty: there is none."""
    found = MappedTables(schema)
    if not specs:
        return found
    tables: dict[Name, SourceTable] = {}
    for text, spec in specs.items():
        table = _table(text, schema, default, found.problems)
        if table is None:
            continue
        one = _Mapping(table, spec, way, default, schemas, key_id)
        if (mapped := one.mapped()) is not None:
            assert mapped.mapping is not None, "just mapped"
            tables[table.name] = mapped
            found.called[mapped.mapping.into] = folded_name(table.name, default)
            found.types[table.name] = spec.types
        found.problems += [Problem(str(table.name), *fault) for fault in one.faults]
        found.losses += one.losses
    found.problems += _meeting(schema, tables, default)
    if not found.problems:
        mapped_tables = [tables.get(one.name, one) for one in schema.tables]
        found.schema = replace(
            schema, tables=tuple(_referring(one, tables, found) for one in mapped_tables)
        )
    return found


def _table(
    text: str, schema: SourceSchema, default: str, problems: list[Problem]
) -> SourceTable | None:
    names: dict[str, SourceTable] = {}
    for one in schema.tables:
        for name in (one.name.name, one.name.plain, f"{default}.{one.name.name}"):
            names[name.lower()] = one
    found = names.get(text.lower())
    if found is None:
        near = difflib.get_close_matches(text.lower(), list(names), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "name it as the source does"
        problems.append(Problem(f"mapping {text}", "is no table of the source", hint))
    return found


def _meeting(
    schema: SourceSchema, tables: Mapping[Name, SourceTable], default: str
) -> Iterator[Problem]:
    taken: dict[Name, list[str]] = {}
    for one in schema.tables:
        mapping = tables[one.name].mapping if one.name in tables else None
        into = mapping.into if mapping else folded_name(one.name, default)
        taken.setdefault(into, []).append(str(one.name))
    for into, names in taken.items():
        if len(names) > 1 and any(Name.read(one) in tables for one in names):
            message = f"{' and '.join(sorted(names))} would both go into it"
            yield Problem(str(into), message, "give one of them another name with into")


class _Mapping:
    """The mapping of one table."""

    def __init__(
        self,
        table: SourceTable,
        spec: MappingSpec,
        way: Way,
        default: str,
        schemas: Mapping[str, str],
        key_id: str,
    ) -> None:
        self._table, self._spec, self._way, self._key_id = table, spec, way, key_id
        self._into = _into(spec.into, folded_name(table.name, default), schemas)
        self.faults: list[tuple[str, str]] = []
        self.losses: list[Loss] = []

    def mapped(self) -> SourceTable | None:
        table = self._table
        given = tuple(Column(one.name, one.type, one.not_null) for one in table.columns)
        hashes = any(rule.mask is Mask.HASH for rule in self._spec.columns.values())
        if hashes and not self._key_id:
            hint = f"set it to a secret of {LEAST_KEY} characters or more, for every process"
            self.faults.append((f"mask: hash: {NO_KEY}", hint))
        rules = ruled(given, self._spec.columns, self._way.hashed)
        self.faults += [(text, hint or self._way.unknown_hint()) for text, hint in rules.faults]
        specs = self._spec.columns
        columns = [plain(one, specs.get(one.target), self._way) for one in rules.columns]
        self.faults += self._unreadable(columns)
        for one in columns:
            if one.finish and (fault := fault_of(one.finish, lambda _: set())):
                self.faults.append((f"column {one.target} {fault}", "give SQL of the target"))
        names = {folded(one.target) for one in columns}
        for name in self._spec.types:
            if folded(name) not in names:
                hint = "types are of columns of the target, by their names there"
                self.faults.append((f"types: no column {name} arrives", hint))
        if self.faults:
            return None
        where = self._spec.where.strip()
        key = self._key_id if hashes else ""
        how = called(self._spec)
        mapping = Mapped(table.name, self._into, tuple(columns), given, where, key, *how)
        made = replace(
            table,
            columns=tuple(self._column(mapping, one) for one in columns),
            selected=self._selected(columns, where),
            mapping=mapping,
            **self._rest(mapping),
        )
        return None if self.faults else made

    def _unreadable(self, columns: Iterable[MappedColumn]) -> Iterator[tuple[str, str]]:
        """What the source could not read."""
        where = self._spec.where.strip()
        if where and (fault := self._way.condition_fault(where)):
            yield f"where {fault[0]}", fault[1]
        for one in columns:
            if one.how == "sql" and (fault := self._way.expression_fault(one.expression)):
                yield f"column {one.target} {fault[0]}", fault[1]

    def _selected(self, columns: Sequence[MappedColumn], where: str) -> Selected:
        way, rules = self._way, self._spec.columns
        fixed = [
            (one.target, rules[one.target].value if one.how == "value" else None)
            for one in columns
            if way.is_fixed_apart and one.how in ("value", "null", TARGET_SQL)
        ]
        hashed = [one.target for one in columns if way.hashes_apart and one.how == "hash"]
        read = tuple(way.selected(one, self._read_as(one)) for one in columns)
        return Selected(read, where, tuple(fixed), tuple(hashed))

    def _column(self, mapping: Mapped, one: MappedColumn) -> SourceColumn:
        before = next((each for each in self._table.columns if each.name == one.source), None)
        if before is None:
            return SourceColumn(one.target, self._type(one))
        if not one.is_changed:
            if before.generated:
                self._check_generated(mapping, before)
            return replace(before, name=one.target)
        if one.how == "null" and before.not_null:
            message = f"column {one.target} is NOT NULL: it cannot be masked with null"
            self.faults.append((message, f"give column {one.target} a value, or drop it"))
        if before.default or before.counts_up:
            message = f"column {one.target} has no default, as its values are replaced"
            self._lose(message, LossClass.BEHAVIOUR)
        type_ = {"sql": self._type(one), "hash": self._way.type_of_hash()}.get(one.how, before.type)
        if one.how in ("sql", TARGET_SQL) and before.not_null:
            message = f"column {one.target} may be NULL on the target, as it is computed"
            self._lose(message, LossClass.CONSTRAINTS)
        return SourceColumn(
            one.target,
            type_,
            not_null=before.not_null and one.how in ("value", "hash", FUNCTION),
            collation=before.collation if type_ == before.type else self._way.collation,
            comment=before.comment,
            path=before.path,
        )

    def _read_as(self, one: MappedColumn) -> str:
        """The source's type of what is selected: of a value in place of a column, the column's."""
        if one.source and one.how in ("value", "null", TARGET_SQL):
            return next(each.type for each in self._table.columns if each.name == one.source)
        return self._type(one)

    def _type(self, one: MappedColumn) -> str:
        """The type of a computed column."""
        return self._way.computed(self._spec.types.get(one.target, ""))

    def _check_generated(self, mapping: Mapped, column: SourceColumn) -> None:
        used = columns_of(column.generated, self._way.dialect)
        kept = {old.lower() for old in mapping.names if old not in mapping.changed}
        if used is None or not used <= kept:
            message = f"column {column.name} is generated from what is dropped or replaced"
            hint = f"drop it as well, or give it sql: {column.name} keeps the source's values"
            self.faults.append((message, hint))

    def _rest(self, mapping: Mapped) -> dict[str, Any]:
        """Keys, indexes and the like with the new names. Expressions keep the old names, under
        which they are translated later."""
        table, names = self._table, mapping.names
        # hashes identify rows just as their values do
        changed = {old for old in mapping.changed if mapping.column(names[old]).how != "hash"}
        keys = [self._key(key, names, changed) for key in table.uniques]
        primary = self._key(table.primary_key, names, changed) if table.primary_key else None
        indexes = [self._index(one, names, changed) for one in table.indexes]
        foreign = [self._foreign_key(one, names, changed) for one in table.foreign_keys]
        pages = self._pages(names, mapping.changed)
        return {
            "primary_key": primary,
            "uniques": tuple(one for one in keys if one),
            "indexes": tuple(one for one in indexes if one),
            "foreign_keys": tuple(one for one in foreign if one),
            "pages_by": pages,
            "next_number": table.next_number,
        }

    def _pages(self, names: Mapping[str, str], changed: set[str]) -> tuple[str, ...]:
        pages = self._table.pages_by
        if self._way.has_own_ranges:
            return pages
        kept = all(one in names and one not in changed for one in pages)
        return tuple(names[one] for one in pages) if kept else ()

    def _key(self, key: Key, names: Mapping[str, str], changed: set[str]) -> Key | None:
        if gone := [one for one in key.columns if one not in names]:
            self._lose(
                f"key {key.name} ({', '.join(key.columns)}) is left out: column {gone[0]} is"
                " dropped",
                LossClass.CONSTRAINTS,
            )
            return None
        if other := [one for one in key.columns if one in changed]:
            message = f"column {other[0]} is part of key {key.name}: its values cannot be replaced"
            self.faults.append((message, "leave it as it is, or drop it"))
        ignoring = key.ignoring_case
        return replace(
            key,
            columns=tuple(names[one] for one in key.columns),
            ignoring_case=None if ignoring is None else tuple(names[one] for one in ignoring),
        )

    def _index(self, one: Index, names: Mapping[str, str], changed: set[str]) -> Index | None:
        used = {part.column for part in one.parts if part.column}
        gone = sorted(used - names.keys())
        if gone or (one.is_unique and used & changed):
            why = f"column {gone[0]} is dropped" if gone else "values of its columns are replaced"
            kind = LossClass.CONSTRAINTS if one.is_unique else LossClass.OBJECTS
            self._lose(f"index {one.name} is left out: {why}", kind)
            return None
        parts = (
            replace(part, column=names[part.column]) if part.column else part for part in one.parts
        )
        return replace(one, parts=tuple(parts))

    def _foreign_key(
        self, one: ForeignKey, names: Mapping[str, str], changed: set[str]
    ) -> ForeignKey | None:
        gone = [each for each in one.columns if each not in names]
        if gone or changed & set(one.columns):
            why = f"column {gone[0]} is dropped" if gone else "values of its columns are replaced"
            self._lose(f"foreign key {one.name} is left out: {why}", LossClass.CONSTRAINTS)
            return None
        return replace(one, columns=tuple(names[each] for each in one.columns))

    def _lose(self, message: str, kind: LossClass) -> None:
        self.losses.append(Loss(str(self._table.name), message, kind))


def _into(text: str, name: Name, schemas: Mapping[str, str]) -> Name:
    schema, dot, table = text.rpartition(".")
    if not dot:
        return Name(name.schema, table or name.name)
    return Name({new: old for old, new in schemas.items()}.get(schema, schema), table)


def _referring(
    table: SourceTable, tables: Mapping[Name, SourceTable], found: MappedTables
) -> SourceTable:
    """The table with the new names of columns that it refers to, and without foreign keys that
    cannot hold."""
    parents = tuple(tables[one.refers_to] for one in table.foreign_keys if one.refers_to in tables)
    if not parents and table.mapping is None:
        return table
    keys = []
    for key in table.foreign_keys:
        mapping = tables[key.refers_to].mapping if key.refers_to in tables else None
        names = mapping.names if mapping else {one: one for one in key.referred}
        theirs = [names.get(one, "") for one in key.referred]
        if "" in theirs:
            why = "it refers to a column that is dropped"
        elif _hows(table.mapping, key.columns) != _hows(mapping, theirs):
            why = "the values of its two sides change in different ways: give both the same mask"
        else:
            keys.append(replace(key, referred=tuple(theirs)))
            continue
        message = f"foreign key {key.name} is left out: {why}"
        found.losses.append(Loss(str(table.name), message, LossClass.CONSTRAINTS))
    return replace(table, foreign_keys=tuple(keys), parents=_once(parents))


def _hows(mapping: Mapped | None, columns: Iterable[str]) -> list[str]:
    return [mapping.column(one).how if mapping else "" for one in columns]


def _once(tables: Iterable[SourceTable]) -> tuple[SourceTable, ...]:
    by_name: Mapping[Name, SourceTable] = {one.name: one for one in tables}
    return tuple(by_name.values())
