"""Which field goes into which column of the table, and what does not fit. Pure.

Names are compared exactly: one that differs in case only is refused, with the nearest right one.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from windlass.loading.kinds import cannot_hold
from windlass.model.export import Kind
from windlass.model.load import Assigned, Field, Table, TableColumn
from windlass.model.mask import Mask
from windlass.model.report import Problem
from windlass.model.wording import word
from windlass.spec.choices import LoadSchema
from windlass.spec.columns import ColumnSpec
from windlass.spec.load import OneLoad


@dataclass(frozen=True, slots=True)
class Fitted:
    """The fields of an input, fitted to a table's columns."""

    assigned: tuple[Assigned, ...] = ()
    adds: tuple[TableColumn, ...] = ()
    dropped: tuple[str, ...] = ()  # fields
    meant: tuple[str, ...] = ()  # columns that fields without one are probably for
    without: tuple[TableColumn, ...] = ()  # columns that get their default, or NULL
    problems: tuple[Problem, ...] = ()


Types = Mapping[str, str]
"""The target's type for fields that a column is created for, and for `HASHES`."""
HASHES = ""
HASH_CHARACTERS = 64


def fit(
    spec: OneLoad, fields: Sequence[Field], table: Table, types: Types, *, creates: bool = False
) -> Fitted:
    """Fit the fields to the columns of a table, which has none if the load `creates` it."""
    fitting = _Fitting(spec, fields, table, types, creates)
    assigned = tuple(fitting.assigned())
    fitting.look_for_faults(assigned)
    taken = {one.column for one in assigned}
    taken |= set(fitting.meant)
    without = tuple(one for one in table.columns if one.name not in taken and not one.generated)
    for one in without:
        if one.not_null and not one.has_default and one.name not in _set_by_load(spec):
            fitting.complain(
                f"column {one.name} is NOT NULL without a default, and the input lacks it",
                _field_hint(one.name, fitting.loose),
            )
    return Fitted(
        assigned,
        tuple(fitting.added),
        fitting.dropped,
        tuple(fitting.meant),
        without,
        tuple(fitting.problems),
    )


def _set_by_load(spec: OneLoad) -> set[str]:
    """Columns that the load itself sets."""
    return {spec.mark, spec.valid_from, spec.valid_to}


@dataclass
class _Fitting:
    spec: OneLoad
    fields: Sequence[Field]
    table: Table
    types: Types
    creates: bool
    added: list[TableColumn] = field(default_factory=list)
    meant: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def complain(self, message: str, hint: str = "") -> None:
        self.problems.append(Problem(str(self.table.name), message, hint))

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.fields]

    @property
    def loose(self) -> list[str]:
        """Fields without a column of the same name in the table."""
        return [one for one in self.names if self.table.column(one) is None]

    @property
    def dropped(self) -> tuple[str, ...]:
        rules = self.spec.columns
        return tuple(one for one in self.names if one in rules and rules[one].drop)

    @property
    def computed(self) -> dict[str, ColumnSpec]:
        """By column: rules that say how it gets its values."""
        rules = self.spec.columns.items()
        return {name: rule for name, rule in rules if not rule.to and not rule.drop}

    def assigned(self) -> Iterator[Assigned]:
        computed = self.computed
        used = {rule.from_ for rule in computed.values() if rule.from_}
        used |= {name for name, rule in computed.items() if rule.mask and not rule.from_}
        for one in self.fields:
            rule = self.spec.columns.get(one.name)
            if rule is not None and rule.to:
                yield from self._given(one, rule.to, compared=rule.compare)
            elif one.name not in (*self.dropped, *computed, *used):
                yield from self._given(one, one.name)
        for name, rule in computed.items():
            yield from self._computed(name, rule)

    def _given(self, one: Field, name: str, *, compared: bool = True) -> Iterator[Assigned]:
        column = self._column(name, one, one.name)
        if column is None:
            return
        if one.column and (why := cannot_hold(column, one.column)):
            self.complain(
                f"field {one.name} is {one.column.described}, and column {name} is"
                f" {column.type}, {why}",
                f"convert it in {word('columns')}: {{{name}: {{sql: ...}}}}",
            )
        yield Assigned(name, column.type, field=one.name, compared=compared)

    def _computed(self, name: str, rule: ColumnSpec) -> Iterator[Assigned]:
        source = rule.from_ or name
        if (rule.from_ or rule.mask) and source not in self.names and rule.mask is not Mask.NULL:
            self.complain(f"column {name} comes from field {source}, which the input lacks",
                          _near(source, self.names))  # fmt: skip
            return
        found = next((one for one in self.fields if one.name == source), None)
        typed = HASHES if rule.mask is Mask.HASH else source
        column = self._column(name, found if not rule.sql else None, typed)
        if column is None:
            return
        if rule.sql or "value" in rule.model_fields_set:
            value = rule.sql or literal(rule.value)
            yield Assigned(name, column.type, sql=value, compared=rule.compare)
        elif rule.mask is Mask.NULL:
            yield Assigned(name, column.type, mask=Mask.NULL, compared=rule.compare)
        else:
            if rule.mask is Mask.HASH and not _holds_hashes(column):
                self.complain(
                    f"column {name} is {column.type}, and a hash is a text of {HASH_CHARACTERS}"
                    " characters",
                    "mask it with null, or hash into a column that is text",
                )
            yield Assigned(name, column.type, field=source, mask=rule.mask, compared=rule.compare)

    def _column(self, name: str, one: Field | None, typed: str) -> TableColumn | None:
        """The table's column; one that is added, with the type for `typed`, if the table lacks it
        and may get it."""
        if (column := self.table.column(name)) is not None:
            if column.generated:
                self.complain(
                    f"column {name} is computed by the target, and the input has it",
                    f"leave it out: {_drop(one.name if one else name)}",
                )
                return None
            return column
        if not (self.creates or self.spec.schema_ is LoadSchema.ADD):
            self._lacks(name, one)
            return None
        if _twin(name, self.table) and not self.creates:
            self._lacks(name, one)
            return None
        type_ = self.spec.types.get(name) or (self.types.get(typed, "") if one else "")
        if not type_:
            self.meant.append(name)
            self.complain(
                f"column {name} would be created, and its type is not known",
                f"give it: {word('types', f'{name}=TYPE')}, or {word('census')} to read all values",
            )
            return None
        self.added.append(TableColumn(name, type_))
        return self.added[-1]

    def _lacks(self, name: str, one: Field | None) -> None:
        """No column has this name."""
        subject = (
            f"field {one.name} has" if one else f"{word('columns')} names {name}, and there is"
        )
        if twin := _twin(name, self.table):
            self.meant.append(twin)
            self.complain(
                f"{subject} no column: {twin} differs from {name} in case only",
                f"to use it: {_rename(one.name, twin)}" if one else f"write {twin}",
            )
            return
        near = difflib.get_close_matches(name, [it.name for it in self.table.columns], n=1)
        ways = [f"did you mean {near[0]}?"] if near else []
        if one:
            self.meant += near
            ways = [f"{_rename(one.name, near[0])}, if that is meant"] if near else []
            ways += [f"{_drop(one.name)} to leave it out", f"{word('schema', 'add')} to add it"]
        self.complain(f"{subject} no column in the table", "; ".join(ways))

    def look_for_faults(self, assigned: Sequence[Assigned]) -> None:
        since = self.spec.since
        if since and since not in [one.field for one in assigned if not one.mask]:
            lacks = "is in no column of the table" if since in self.names else "is not in the input"
            self.complain(
                f"the watermark {since} {lacks}, so that rows without one would not be noticed",
                _near(since, self.names) or f"load it: {_rename(since, 'COLUMN')}",
            )
        for name in _twice(self.names):
            self.complain(f"two fields of the input are called {name}", "rename one of them")
        for name in _twice([one.column for one in assigned]):
            self.complain(f"column {name} would be filled by two fields", _drop("FIELD"))
        for name, rule in self.spec.columns.items():
            if (rule.to or rule.drop) and name not in self.names:
                self.complain(
                    f"{word('columns')} names field {name}, which the input lacks",
                    _near(name, self.names),
                )
        for name in self.spec.types:
            known = [one.name for one in (*self.table.columns, *self.added)]
            if name not in known:  # an existing column keeps its type
                self.complain(
                    f"{word('types')} names {name}, which is no column of the table or the input",
                    _near(name, known),
                )


def _holds_hashes(column: TableColumn) -> bool:
    """Whether it can hold hashes. A column of a type that Windlass does not know may: the target
    decides."""
    is_long = not column.longest or column.longest >= HASH_CHARACTERS
    return column.kind is None or (column.kind is Kind.TEXT and is_long)


def literal(value: object) -> str:
    """A value of the user's as SQL that all engines read alike."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"


def _twice(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _twin(name: str, table: Table) -> str:
    found = (one.name for one in table.columns if one.name.lower() == name.lower())
    return next(found, "")


def _near(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"it has {', '.join(names[:20])}" if names else ""


def _rename(name: str, column: str) -> str:
    return word("columns", f"{name}={column}")


def _drop(name: str) -> str:
    return word("columns", f"{name}=")


def _field_hint(name: str, loose: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, loose, n=1)
    rename = f"{_rename(near[0], name)}, or " if near else ""
    return f"{rename}give it a value in {word('columns')}: {{{name}: {{value: ...}}}}"
