"""What a field of an input means to a model: a field of the model, or a value by which the row of a
foreign key is found, such as ``country.code``. Only reads models."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.core.exceptions import FieldDoesNotExist

from windlass.django.tables import Model, ModelField, Part
from windlass.model.report import Problem
from windlass.spec.columns import ColumnSpec

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """A column that gets the values of one input field."""

    field: ModelField
    source: str  # the name in the input

    @property
    def column(self) -> str:
        return str(self.field.column)


@dataclass(frozen=True, slots=True)
class Looked:
    """The column of a foreign key, whose row is found by fields of the other model."""

    field: ModelField
    by: Mapping[Path, str]  # paths of fields from the other model, to names in the input

    @property
    def column(self) -> str:
        return str(self.field.column)

    @property
    def paths(self) -> list[Path]:
        return list(self.by)


@dataclass(frozen=True, slots=True)
class Matched:
    """The input's fields, by meaning."""

    given: tuple[Given, ...]
    looked: tuple[Looked, ...]
    extra: tuple[str, ...]  # fields that rules use, although no column gets them
    problems: tuple[Problem, ...]

    @property
    def fields(self) -> list[ModelField]:
        return [*(one.field for one in self.given), *(one.field for one in self.looked)]


def match(
    model: Model, parts: Sequence[Part], names: Sequence[str], rules: Mapping[str, ColumnSpec]
) -> Matched:
    """The meaning of each input field. `rules` are the update's `columns`."""
    given: list[Given] = []
    looked: dict[ModelField, dict[Path, str]] = defaultdict(dict)
    extra: list[str] = []
    problems: list[Problem] = []
    used = {rule.from_ for rule in rules.values() if rule.from_}
    fields = {field: part for part in parts for field in part.fields}
    for name in names:
        rule = rules.get(name)
        if rule is not None and rule.drop:
            continue
        meant = rule.to if rule is not None and rule.to else name
        field, path = _resolve(model, meant)
        if field is None:
            if name in used:
                extra.append(name)
                continue
            problems.append(_unknown(model, name, meant))
        elif field not in fields:
            message = f"field {name} is {meant}, which is not in the model's tables"
            problems.append(Problem(model._meta.label, message, _drop(name)))
        elif path:
            looked[field][path] = name
        else:
            given.append(Given(field, name))
    for name, rule in rules.items():
        if (rule.to or rule.drop) and name not in names:
            near = _near(name, names)
            message = f"columns names field {name}, which the input lacks"
            problems.append(Problem(model._meta.label, message, near))
    found = tuple(Looked(field, by) for field, by in looked.items())
    problems += _twice(model, given, found)
    return Matched(tuple(given), found, tuple(extra), tuple(problems))


def _resolve(model: Model, name: str) -> tuple[ModelField | None, Path]:
    """The field that a name means, and the path to it from the referenced model."""
    if (field := field_named(model, name)) is not None:
        return field, ()
    first, *rest = name.replace("__", ".").split(".")
    field = field_named(model, first)
    if field is None or not rest or not field.is_relation:
        return None, ()
    if _end(field.remote_field.model, rest) is None:
        return None, ()
    return field, tuple(rest)


def field_named(model: Model, name: str) -> ModelField | None:
    """A concrete field by its name, its attribute's name, or its column's name."""
    meta = model._meta
    if name == "pk":
        return meta.pk
    try:
        found = meta.get_field(name)
        if getattr(found, "column", None) and found.concrete:
            return found
    except FieldDoesNotExist:
        pass
    return next((one for one in meta.concrete_fields if name in (one.attname, one.column)), None)


def _end(model: Model, path: Sequence[str]) -> ModelField | None:
    """The field at the end of a path of foreign keys."""
    field = field_named(model, path[0])
    if field is None or len(path) == 1:
        return field
    return _end(field.remote_field.model, path[1:]) if field.is_relation else None


def _twice(model: Model, given: Sequence[Given], looked: Sequence[Looked]) -> Iterator[Problem]:
    by_field: dict[ModelField, list[str]] = defaultdict(list)
    for one in given:
        by_field[one.field].append(one.source)
    for found in looked:
        by_field[found.field] += [", ".join(found.by.values())]
    for field, sources in by_field.items():
        if len(sources) > 1:
            message = f"{field.name} is given by several fields: {'; '.join(sources)}"
            yield Problem(model._meta.label, message, _drop(sources[-1]))


def _unknown(model: Model, name: str, meant: str) -> Problem:
    known = [one.name for one in model._meta.concrete_fields]
    what = f"field {name}" if name == meant else f"field {name}, {meant},"
    near = _near(meant, known)
    hint = f"{near} " if near else ""
    return Problem(model._meta.label, f"{what} is no field of the model", hint + _drop(name))


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else ""


def _drop(name: str) -> str:
    return f'to leave it out: "columns": {{"{name}": None}}'


def unique_sets(model: Model) -> Iterator[tuple[ModelField, ...]]:
    """Sets of fields that identify the rows of a model's own table; the primary key first."""
    meta = model._meta
    local = meta.local_concrete_fields
    yield (meta.pk,)
    for field in local:
        if field.unique and not field.primary_key:
            yield (field,)
    for one in meta.total_unique_constraints:
        if getattr(one, "deferrable", None) is None:
            yield tuple(meta.get_field(name) for name in one.fields)
    for names in meta.unique_together:
        yield tuple(meta.get_field(name) for name in names)
