"""One load into one table of a model, which is fitted to the model once the input's fields are
known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import connections
from pydantic import ConfigDict, PrivateAttr

from windlass.django.absent import absent_columns
from windlass.django.expected import expectations
from windlass.django.filled import as_expectation
from windlass.django.headers import Looked, Matched, match
from windlass.django.inputs import Filling, ModelInput
from windlass.django.keys import asked_key, key_of, key_paths
from windlass.django.lookups import looked_problems
from windlass.django.tables import Model, ModelField, Part
from windlass.errors import BadSpec, Refused
from windlass.model.report import Problem
from windlass.spec.choices import LoadName
from windlass.spec.columns import ColumnSpec
from windlass.spec.load import OneLoad
from windlass.spec.model import validated

_WITHOUT_KEY = (LoadName.APPEND, LoadName.REPLACE, LoadName.SLICE)
_ONE_TABLE_ONLY = (*_WITHOUT_KEY[1:], LoadName.MIRROR, LoadName.HISTORY)


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a load is for: one table of a model, in one database.

    A second load of the same input fills what the first one leaves out: foreign keys `closing` a
    cycle, and foreign keys to the same table that are found by natural keys. The first load fills
    `left_out`.
    """

    model: Model
    parts: tuple[Part, ...]
    at: int  # index of the part
    alias: str
    place: str = ""  # the place of its update in the setting
    closing: tuple[ModelField, ...] = ()
    is_second: bool = False
    left_out: dict[str, tuple[ModelField, ...]] = field(
        default_factory=dict, hash=False
    )  # by table

    @property
    def part(self) -> Part:
        return self.parts[self.at]


class ModelLoad(OneLoad):
    """A load as the user wrote it, until it is `fitted`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    _purpose: Purpose | None = PrivateAttr(None)

    @classmethod
    def made(cls, wanted: OneLoad, purpose: Purpose) -> ModelLoad:
        values = {name: getattr(wanted, name) for name in OneLoad.model_fields}
        values["into"] = purpose.part.into
        load = cls.model_construct(_fields_set=wanted.model_fields_set | {"into"}, **values)
        load._purpose = purpose
        return load

    @property
    def purpose(self) -> Purpose:
        assert self._purpose is not None
        return self._purpose

    def fitted(self, inputs: Sequence[Any]) -> tuple[OneLoad, Sequence[Any]]:
        names = [one.name for one in inputs[0].fields]
        fitting = Fitting(self, self.purpose, names)
        wanted = fitting.wanted()
        return wanted, [ModelInput(one, fitting.filling) for one in inputs]


class FittedLoad(OneLoad):
    """A load into the columns of its table. The options alone do not say which fields fill them,
    and those of the first and the second load of an input may be equal."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    _fitting: tuple[tuple[str, ...], ...] = PrivateAttr(())

    @classmethod
    def made(
        cls, values: Mapping[str, Any], given: set[str], fitting: Sequence[tuple[str, ...]]
    ) -> FittedLoad:
        load = cls.model_construct(_fields_set=given, **values)
        load._fitting = tuple(fitting)
        return load

    @property
    def fitting(self) -> Sequence[Sequence[str]]:
        return self._fitting


class Fitting:
    """Turns the user's options for one load, and an input's fields, into the options of `windlass
    load`."""

    def __init__(self, load: OneLoad, purpose: Purpose, names: Sequence[str]) -> None:
        """Match the input's fields with the model.

        Raises:
            Refused: with every problem of the fields.
        """
        self.load, self.purpose, self.part = load, purpose, purpose.part
        self.connection = connections[purpose.alias]
        matched = match(purpose.model, purpose.parts, names, load.columns)
        problems = [*matched.problems]
        for one in matched.looked:
            problems += looked_problems(purpose.model, one)
        if problems:
            raise Refused(problems)
        self.matched = matched
        self.later = self._left_out()
        self.filling, self.key = self._of_part()

    def _left_out(self) -> tuple[ModelField, ...]:
        """Foreign keys of this table that only the second load fills."""
        purpose = self.purpose
        if purpose.is_second:
            return ()
        own = {one.model for one in purpose.parts}
        to_itself = [
            one.field
            for one in self.matched.looked
            if one.field is not self.part.link
            and one.field.remote_field.model._meta.concrete_model in own
        ]
        wanted = [*purpose.closing, *to_itself]
        found = tuple(one for one in self.part.fields if one in wanted)
        purpose.left_out[self.part.table] = tuple(
            one for one in found if one in self.matched.fields
        )
        return found

    def _of_part(self) -> tuple[Filling, tuple[str, ...]]:
        """What goes into this table, and the columns by which its rows are found."""
        mine = [one for one in self.part.fields if one not in self.later]
        given = tuple(one for one in self.matched.given if one.field in mine)
        looked = tuple(one for one in self.matched.looked if one.field in mine)
        link = self.part.link
        if link is None or link in self.matched.fields:
            own = replace(self.matched, given=given, looked=looked)
            return self._filling(own), self._key(self.part, own)
        parent = next(one for one in self.purpose.parts if one.model is self.part.parent)
        by = self._parent_key(parent)
        looked = (Looked(link, by), *looked)
        return self._filling(replace(self.matched, given=given, looked=looked)), (link.column,)

    def _filling(self, own: Matched) -> Filling:
        return Filling(own.given, own.looked, own.extra, self.purpose.alias)

    def _key(self, part: Part, own: Matched) -> tuple[str, ...]:
        if self.load.load in (LoadName.APPEND, LoadName.SLICE):
            return ()
        if self.load.key:
            return asked_key(part, self.load.key, own)
        found = key_of(part, [one.column for one in own.fields])
        return () if self.load.load is LoadName.REPLACE else found

    def _parent_key(self, parent: Part) -> Mapping[tuple[str, ...], str]:
        """How rows of the parent's table are found, by fields of the input."""
        fields = {one.field.column: one.source for one in self.matched.given
                  if one.field in parent.fields}  # fmt: skip
        names = [one for one in self.load.key if one in fields.values()]
        given = replace(self.matched, looked=())
        key = asked_key(parent, self.load.key, given) if names else key_of(parent, fields)
        if not key:
            message = f"the input has no key of {parent.label}, so its rows cannot be found"
            raise Refused([Problem(self.part.label, message, "add a unique field to the input")])
        by_path = zip(key_paths(key, parent), key, strict=True)
        return {path: fields[name] for path, name in by_path}

    def wanted(self) -> OneLoad:
        """The options of the load.

        Raises:
            Refused: with every problem of the table.
        """
        load = self.load
        filled = [one.column for one in self._output]
        columns, problems = self._columns(filled)
        problems += self._word_problems()
        if problems:
            raise Refused(problems)
        name = load.load or (LoadName.MERGE if self.key else LoadName.APPEND)
        if name is LoadName.MERGE and set(filled) | set(columns) <= set(self.key):
            name = LoadName.INSERT  # there are no other columns to update
        computed = [one for one in columns if one not in filled]
        own = {one.model for one in self.purpose.parts}
        more = [*expectations(self.part, {*filled, *computed}, self.key, own, self.connection)]
        if load.load is None and not self.key:
            more.append(as_expectation(self.part.table, self.connection))
        update = {"columns": columns, "key": self.key, "load": name,
                  "expect": (*load.expect, *_made("expect", more))}  # fmt: skip
        plain = {one: getattr(load, one) for one in OneLoad.model_fields}
        given = load.model_fields_set | update.keys()
        return FittedLoad.made({**plain, **update}, set(given), self._fields_of_columns())

    def _fields_of_columns(self) -> list[tuple[str, ...]]:
        """Each column with the fields of the input that fill it; empty if the options say it: the
        input is loaded once, and its header has the names of the model."""
        if not (self.purpose.is_second or self.later or self.load.columns):
            return []
        given = [(one.column, one.source) for one in self.filling.given]
        looked = [
            (one.column, *(f"{'.'.join(path)} {name}" for path, name in one.by.items()))
            for one in self.filling.looked
        ]
        return sorted([*given, *looked])

    @property
    def _output(self) -> list[ModelField]:
        given = [one.field for one in self.filling.given]
        return [*given, *(one.field for one in self.filling.looked)]

    def _columns(self, filled: Sequence[str]) -> tuple[dict[str, ColumnSpec], list[Problem]]:
        """The user's rules for this table's columns, and the rules for columns that the input
        lacks."""
        sources = {one.source: one.column for one in self.filling.given}
        rules: dict[str, ColumnSpec] = {}
        by_name = {name: one for one in self.part.fields for name in (one.name, one.attname)}
        problems = []
        for name, rule in self.load.columns.items():
            if rule.to or rule.drop:
                continue
            field_ = by_name.get(name)
            if field_ is None:
                if not any(name in (it.name, it.attname) for one in self.purpose.parts
                           for it in one.fields):  # fmt: skip
                    message = f"columns names {name}, which is no field of the model"
                    problems.append(Problem(self.part.label, message))
                continue
            if rule.from_ in sources:
                rule = rule.model_copy(update={"from_": sources[rule.from_]})
            rules[field_.column] = rule
        later = [one.column for one in self.later]
        absent, more = absent_columns(
            self.part, filled, [*rules, *later], self.key, self.connection
        )
        rules |= _made("columns", absent)
        return rules, [*problems, *more]

    def _word_problems(self) -> list[Problem]:
        found = []
        label, name = self.part.label, self.load.load
        if len(self.purpose.parts) > 1 and name in _ONE_TABLE_ONLY:
            message = f"load {name} is for one table, and the model's rows are in several"
            found.append(Problem(label, message, "leave out load"))
        if name and name not in _WITHOUT_KEY and not self.key:
            message = f"load {name} finds rows by a key, and the input has no unique field"
            found.append(Problem(label, message, "give key, or add a unique field to the input"))
        needed = [one for one in self.later if one in self.matched.fields]
        if needed and not self.key:
            message = f"field {needed[0].name} refers to rows of the same refresh, and needs a key"
            found.append(Problem(label, message, "give key, or add a unique field to the input"))
        found += [Problem(label, f"field {one.name} refers to rows of the same input, and may not"
                          " be empty", "give the primary key of that row instead")
                  for one in needed if not one.null]  # fmt: skip
        return found


def _made(key: str, value: Any) -> Any:
    """Read it as part of a spec.

    Raises:
        Refused: the load that was made from a model is not valid.
    """
    try:
        return getattr(validated(OneLoad, {"from": "-", "into": "-", key: value}), key)
    except BadSpec as error:
        raise Refused([Problem("model", one) for one in error.faults]) from error
