"""Which model an update means, and the tables that it fills: with multi-table inheritance one for
each concrete model, parents first. Only reads models."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist

from windlass.errors import Refused
from windlass.model.report import Problem

Model = Any  # a class of django.db.models.Model, which carries no types
ModelField = Any


@dataclass(frozen=True, slots=True)
class Part:
    """One table of a model. `link` is the column with the parent's key; None if it has no
    parent."""

    model: Model
    fields: tuple[ModelField, ...]  # whose columns are in this table
    link: ModelField | None = None

    @property
    def table(self) -> str:
        return str(self.model._meta.db_table)

    @property
    def bare(self) -> str:
        """The table's name without a schema."""
        return self.table.strip('"').rpartition('"."')[2]

    @property
    def into(self) -> str:
        """The table's name in the form that a load needs."""
        return self.table if "." not in self.table and '"' not in self.table else _quoted(self)

    @property
    def label(self) -> str:
        return str(self.model._meta.label)

    @property
    def parent(self) -> Model | None:
        return self.link.remote_field.model._meta.concrete_model if self.link else None


def _quoted(part: Part) -> str:
    if '"."' in part.table:  # the usual way to name a schema in Django
        return f'"{part.table}"' if not part.table.startswith('"') else part.table
    return '"{}"'.format(part.table.replace('"', '""'))


def find_model(text: str) -> Model:
    """The concrete model for ``app.Model``, for ``app.Model.field`` (the table of a many-to-many
    field), or for a table's name.

    Raises:
        Refused: there is none.
    """
    names = text.split(".")
    try:
        if len(names) == 2:
            return apps.get_model(text)._meta.concrete_model
        if len(names) == 3:
            return _through(apps.get_model(names[0], names[1]), names[2], text)
    except LookupError:
        if len(names) == 3:
            raise _unknown(text) from None
    tables = {one._meta.db_table: one for one in _models()}
    if text not in tables:
        raise _unknown(text)
    return tables[text]._meta.concrete_model


def _models() -> Iterator[Model]:
    for one in apps.get_models(include_auto_created=True):
        if not one._meta.proxy:
            yield one


def _through(model: Model, name: str, text: str) -> Model:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        raise _unknown(text) from None
    if not field.many_to_many or field.auto_created:
        hint = f"give the model itself, {model._meta.label}"
        raise Refused([Problem(text, "is not a many-to-many field", hint)])
    return field.remote_field.through


def _unknown(text: str) -> Refused:
    labels = [one._meta.label for one in _models()]
    tables = [one._meta.db_table for one in _models()]
    near = difflib.get_close_matches(text, [*labels, *tables], n=1)
    hint = f"did you mean {near[0]}?" if near else "write it as shop.Customer"
    return Refused([Problem(text, "is neither a model nor the table of one", hint)])


def parts_of(model: Model) -> tuple[Part, ...]:
    """The tables of a model, parents first."""
    chain = _chain(model)
    return tuple(
        Part(one, tuple(one._meta.local_concrete_fields), _link(one, chain)) for one in chain
    )


def _chain(model: Model) -> list[Model]:
    found: list[Model] = []
    for parent, link in model._meta.parents.items():
        if link is not None:
            found += [one for one in _chain(parent._meta.concrete_model) if one not in found]
    return [*found, model]


def _link(model: Model, chain: list[Model]) -> ModelField | None:
    links = [link for link in model._meta.parents.values() if link in model._meta.local_fields]
    if len(links) > 1:
        message = "inherits from several tables, which one update cannot fill"
        raise Refused([Problem(model._meta.label, message, "give each table an update")])
    return links[0] if links else None


def references(model: Model) -> set[Model]:
    """Models that foreign keys of its tables refer to, except itself."""
    found = {
        field.remote_field.model._meta.concrete_model
        for part in parts_of(model)
        for field in part.fields
        if field.is_relation and field.remote_field
    }
    return found - {part.model for part in parts_of(model)}
