"""Tables of another engine: which parts of their definitions can be made there, proven by values,
and which cannot, with their text. Pure: the caller reads rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from windlass.engines.destination import Destination, folded
from windlass.model.conversion import (
    Carried,
    ColumnPlan,
    Counter,
    DraftColumn,
    Extent,
    Made,
    PgColumn,
    PgConstraint,
    PgIndex,
    PgTable,
    TableConversion,
    TableDraft,
    Tried,
)
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass
from windlass.model.translation import Check, ForeignKey, Index, IndexPart, Key
from windlass.planning.postgres.converted.columns import Arriving
from windlass.planning.postgres.converted.scope import Scope

Prove = Callable[[PgTable, Sequence[ColumnPlan], Sequence[Tried]], Sequence[int]]
"""For each expression, the number of rows for which it gives something else; -1 if it cannot be
computed."""
Value = Callable[[str, str], Any]
"""A constant of the source's SQL as the value that a template takes."""

_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_METHODS = ("btree", "hash")
_NAME = 56  # characters, before a number that makes a name unique: MySQL takes 64


@dataclass(frozen=True, slots=True)
class Asking:
    """What a plan asks the source. Without `prove` nothing is proven, because nothing will be
    made."""

    value: Value
    prove: Prove | None
    is_ordered: Callable[[PgTable, PgConstraint], bool] | None = None
    """Whether rows can be inserted after those that they refer to by a key to the same table."""


class Drafting:
    """Drafts one table."""

    def __init__(
        self, table: PgTable, scope: Scope, arriving: Arriving, target: Destination, ask: Asking
    ) -> None:
        self._table, self._scope, self._target, self._ask = table, scope, target, ask
        self._plans = arriving.of(table)
        self._named = arriving.named(table)
        self.losses: list[Loss] = []

    def made(self, taken: set[str], known: dict[Name, TableDraft]) -> TableConversion:
        """`taken` are the names of the target's objects, as it folds them; `known` tables that this
        one may refer to, of which it becomes one."""
        table, scope, target = self._table, self._scope, self._target
        name = scope.names[table.name]
        proven = self._proven()
        columns = tuple(
            self._column(column, plan, proven)
            for column, plan in zip(table.columns, self._plans, strict=True)
        )
        draft = TableDraft(
            name,
            columns,
            self._primary_key(),
            tuple(_referred_keys(table, scope.tables)) if target.enforces_keys else (),
            tuple(self._foreign_keys()),
            tuple(self._checks(proven)),
            table.comment,
        )
        draft, lost = self._target.fitted(draft, known)
        for sentence, kind in lost:
            self._lose(sentence, kind)
        known[name] = draft
        before, after = self._target.beside(draft)
        late = None if _is_referred(table, scope.tables) else self._target.late_key(draft)
        indexes = (*([late] if late else ()), *self._indexes(draft, proven, taken))
        return TableConversion(
            source=table.name,
            target=name,
            columns=tuple(one.plan for one in columns),
            key=table.primary_key or self._unique_key(),
            create=self._target.create(replace(draft, primary_key=None) if late else draft),
            indexes=indexes,
            keys=tuple(self._target.foreign_keys(draft)),
            before=tuple(before),
            after=tuple(after),
            needs=_needs(draft) if target.enforces_keys else (),
            itself=_to_itself(draft) if target.enforces_keys else (),
            counter=self._counter(draft),
            is_partitioned=table.is_partitioned,
            extent=Extent(table.rows, table.size_bytes),
        )

    def _lose(self, message: str, kind: LossClass) -> None:
        self.losses.append(Loss(str(self._table.name), message, kind))

    def _unique_key(self) -> tuple[str, ...]:
        not_null = {one.name for one in self._table.columns if one.not_null}
        for one in self._table.constraints:
            if one.kind == "u" and set(one.columns) <= not_null:
                return one.columns
        return ()

    def _counter(self, draft: TableDraft) -> Counter | None:
        for one in self._table.columns:
            made = draft.column(one.name)
            if made.counts_up and one.sequence is not None and self._can_count(one):
                return Counter(one.name, one.sequence, made.increment)
        return None

    def _can_count(self, column: PgColumn) -> bool:
        is_key = self._table.primary_key == (column.name,)
        return self._target.counts_up(self._named[column.name][1], is_key=is_key)

    # expressions, proven together in one pass over the rows

    def _proven(self) -> Mapping[str, str]:
        """The target's expressions, by the source's, that give the same for every row."""
        tried: dict[str, Tried] = {}
        for text, column, is_condition in self._expressions():
            carried = self._named[column][1] if column else None
            made = self._target.translated(text, self._named)
            if made is not None and text not in tried and not _has_own_text(carried):
                tried[text] = Tried(made, text, self._read_by(made), column, carried, is_condition)
        if not tried:
            return {}
        if self._ask.prove is None:
            return {text: one.expression for text, one in tried.items()}
        wrong = self._ask.prove(self._table, self._plans, list(tried.values()))
        return {
            text: one.expression
            for (text, one), count in zip(tried.items(), wrong, strict=True)
            if not count
        }

    def _read_by(self, made: str) -> tuple[str, ...]:
        quoted = ((one.source, self._target.quoted(one.target)) for one in self._plans)
        return tuple(name for name, text in quoted if text in made)

    def _expressions(self) -> Iterator[tuple[str, str, bool]]:
        """Of the source, each with the column that it computes, or whether it is a condition."""
        for column, plan in zip(self._table.columns, self._plans, strict=True):
            if column.generated:
                yield column.generated, plan.source, False
        for one in self._table.constraints:
            if one.kind == "c":
                yield one.expression, "", True
        for index in self._table.indexes:
            if index.condition:
                yield index.condition, "", True
            for expression in index.expressions:
                if expression:
                    yield expression, "", False

    # parts

    def _column(self, column: PgColumn, plan: ColumnPlan, proven: Mapping[str, str]) -> DraftColumn:
        if column.generated:
            made = proven.get(column.generated)
            if made is not None:
                generated = replace(plan, is_generated=True)
                return DraftColumn(
                    generated, generated=made, is_stored=column.is_stored, comment=column.comment
                )
            message = f"column {column.name} is not computed, but has its values"
            self._lose(f"{message}: {column.generated}", LossClass.BEHAVIOUR)
            return DraftColumn(plan, comment=column.comment)
        if column.counts_up:
            sequence = column.sequence.name if column.sequence else ""
            return DraftColumn(
                plan,
                counts_up=True,
                increment=column.increment or 1,
                sequence=sequence,
                comment=column.comment,
            )
        return DraftColumn(plan, default=self._default(column, plan), comment=column.comment)

    def _default(self, column: PgColumn, plan: ColumnPlan) -> str:
        text = column.default
        if not text:
            return ""
        found = self._target.default(text, column, plan.carried)
        if found is not None:
            return found
        if not column.type.checks and self._target.is_constant(text, plan.carried):
            value = self._ask.value(f"({text})::{column.type.text}", plan.carried.text)
            return "" if value is None else self._target.literal(value, plan.carried)
        message = f"column {column.name} has no default on the target: {text}"
        self._lose(message, LossClass.BEHAVIOUR)
        return ""

    def _primary_key(self) -> Key | None:
        for one in self._table.constraints:
            if one.kind == "p" and not self._is_temporal(one):
                if one.is_deferrable:
                    self._lose(f"{one.name} is not deferrable", LossClass.BEHAVIOUR)
                self._check_equal(one.name, one.columns)
                return Key(one.name, one.columns)
        return None

    def _is_temporal(self, one: PgConstraint) -> bool:
        if "WITHOUT OVERLAPS" not in one.definition:
            return False
        message = f"constraint {one.name} is not enforced: {one.definition}"
        self._lose(message, LossClass.CONSTRAINTS)
        return True

    def _foreign_keys(self) -> Iterator[ForeignKey]:
        for one in self._table.constraints:
            if one.kind != "f" or one.refers_to is None:
                continue
            there = self._scope.names.get(one.refers_to)
            if why := self._unmade(one, there):
                message = f"foreign key {one.name} is not enforced, as {why}: {one.definition}"
                self._lose(message, LossClass.CONSTRAINTS)
                continue
            assert there is not None
            pairs = self._paired(one)
            yield ForeignKey(
                one.name,
                tuple(ours for ours, _ in pairs),
                there,
                tuple(theirs for _, theirs in pairs),
                _ACTIONS[one.on_update],
                _ACTIONS[one.on_delete],
                one.is_deferrable,
                one.is_deferred,
            )

    def _paired(self, one: PgConstraint) -> Sequence[tuple[str, str]]:
        """Its columns in the order of the key that it refers to, as some engines need it."""
        pairs = list(zip(one.columns, one.referred, strict=True))
        parent = next((each for each in self._scope.tables if each.name == one.refers_to), None)
        keys = [each.columns for each in parent.constraints if each.kind in "pu"] if parent else []
        keys += [each.columns for each in parent.indexes if each.is_unique] if parent else []
        key = next((each for each in keys if set(each) == set(one.referred)), one.referred)
        return sorted(pairs, key=lambda pair: key.index(pair[1]))

    def _unmade(self, one: PgConstraint, there: Name | None) -> str:
        if there is None:
            return f"{one.refers_to} is not migrated"
        if "NOT ENFORCED" in one.definition:
            return "it is not on the source"
        if self._target.enforces_keys and (why := _unordered(self._table, one, self._ask)):
            return why
        if not one.is_validated:
            return "it was never validated on the source"
        if one.matches_full and len(one.columns) > 1:
            return f"{self._target.engine} has no MATCH FULL"
        if "PERIOD" in one.definition:
            return "it is about periods"
        if " SET NULL (" in one.definition or " SET DEFAULT (" in one.definition:
            return "it sets only some of its columns"
        return ""

    def _checks(self, proven: Mapping[str, str]) -> Iterator[Check]:
        for one in self._table.constraints:
            if one.kind == "c":
                made = proven.get(one.expression)
                if made is not None and "NOT ENFORCED" not in one.definition:
                    yield Check(one.name, made)
                else:
                    message = f"check {one.name} is not enforced: {one.definition}"
                    self._lose(message, LossClass.CONSTRAINTS)
            elif one.kind == "x":
                message = f"constraint {one.name} is not enforced: {one.definition}"
                self._lose(message, LossClass.CONSTRAINTS)

    def _indexes(
        self, draft: TableDraft, proven: Mapping[str, str], taken: set[str]
    ) -> Iterator[Made]:
        """Indexes, including unique constraints: a unique index that is built after the rows is
        equivalent."""
        for constraint in self._table.constraints:
            if constraint.kind == "u" and not self._is_temporal(constraint):
                if constraint.is_deferrable:
                    self._lose(f"{constraint.name} is not deferrable", LossClass.BEHAVIOUR)
                self._check_nulls(constraint.definition)
                self._check_equal(constraint.name, constraint.columns)
                if any(one.name == constraint.name for one in draft.uniques):
                    continue
                parts = tuple(IndexPart(one) for one in constraint.columns)
                yield from self._index(draft, Index(constraint.name, parts, True), taken, "")
        for one in self._table.indexes:
            made = self._translated(one, proven)
            if isinstance(made, str):
                kind = LossClass.CONSTRAINTS if one.is_unique else LossClass.OBJECTS
                self._lose(f"index {one.name} is not made, as {made}: {one.definition}", kind)
                continue
            self._check_nulls(one.definition)
            if one.is_unique:
                self._check_equal(one.name, one.columns)
            yield from self._index(draft, made, taken, one.definition)

    def _check_equal(self, name: str, columns: Sequence[str]) -> None:
        """A key is weaker if equal values can have different texts."""
        for column in columns:
            if column and (two := self._named[column][1].distinct):
                message = f"key {name} is less strict: {two} are two values of {column}"
                self._lose(message, LossClass.CONSTRAINTS)

    def _check_nulls(self, definition: str) -> None:
        if "NULLS NOT DISTINCT" in definition:
            message = f"NULLs are distinct in {self._target.engine}: {definition}"
            self._lose(message, LossClass.CONSTRAINTS)

    def _translated(self, one: PgIndex, proven: Mapping[str, str]) -> Index | str:
        if not one.is_valid:
            return "it is not valid on the source"
        if one.method not in _METHODS:
            return f"{self._target.engine} has no {one.method}"
        if one.condition and one.condition not in proven:
            return "its condition has no counterpart"
        if any(text and text not in proven for text in one.expressions):
            return "its expression has no counterpart"
        parts = tuple(
            IndexPart(column, proven.get(text, ""), descends=down)
            for column, text, down in zip(one.columns, one.expressions, one.descends, strict=True)
        )
        return Index(one.name, parts, one.is_unique, proven.get(one.condition, ""))

    def _folded(self, draft: TableDraft, name: str) -> str:
        return folded(self._target, Name(draft.name.schema, name))

    def _index(self, draft: TableDraft, one: Index, taken: set[str], text: str) -> Iterator[Made]:
        name, number = one.name, 1
        while self._folded(draft, name) in taken or self._target.name_problem(name):
            number += 1
            name = f"{self._table.name.name}_{one.name}"[:_NAME] + f"_{number}"
        taken.add(self._folded(draft, name))
        made = self._target.index(draft, replace(one, name=name))
        if isinstance(made, Made):
            if made.loss:
                self._lose(f"index {one.name}: {made.loss}", LossClass.BEHAVIOUR)
            yield made
            return
        kind = LossClass.CONSTRAINTS if one.is_unique else LossClass.OBJECTS
        self._lose(f"index {one.name} is not made, as {made}: {text}", kind)


def _unordered(table: PgTable, one: PgConstraint, ask: Asking) -> str:
    """Why rows cannot be inserted, each after the one that it refers to."""
    if one.refers_to != table.name or ask.is_ordered is None:
        return ""
    if sum(other.refers_to == table.name for other in table.constraints) > 1:
        return "more than one key refers to the same table"
    by_name = {column.name: column.type for column in table.columns}
    if any("." in by_name[name].base for name in one.columns):
        return "its type is not one of PostgreSQL's own"
    if not one.is_validated or ask.is_ordered(table, one):
        return ""
    return "rows refer to themselves, to each other in a circle, or over more than 100 rows"


def _has_own_text(carried: Carried | None) -> bool:
    """Whether the target would compute another text of the same value."""
    return carried is not None and bool(carried.number or "bpcharout" in carried.text)


def _to_itself(draft: TableDraft) -> tuple[ForeignKey, ...]:
    return tuple(one for one in draft.foreign_keys if one.refers_to == draft.name)


def _needs(draft: TableDraft) -> tuple[Name, ...]:
    """Tables that it refers to."""
    names = (one.refers_to for one in draft.foreign_keys)
    return tuple(dict.fromkeys(one for one in names if one != draft.name))


def _is_referred(table: PgTable, tables: Sequence[PgTable]) -> bool:
    """Whether foreign keys refer to it."""
    return any(one.refers_to == table.name for other in tables for one in other.constraints)


def _referred_keys(table: PgTable, tables: Sequence[PgTable]) -> Iterator[Key]:
    """Unique constraints that foreign keys refer to."""
    referred = [
        one.referred for other in tables for one in other.constraints if one.refers_to == table.name
    ]
    for one in table.constraints:
        if one.kind == "u" and any(set(one.columns) == set(it) for it in referred):
            yield Key(one.name, one.columns)
