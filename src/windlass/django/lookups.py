"""Finds the rows that foreign keys refer to by natural keys, with one query for many distinct keys
of a batch, so that memory does not depend on the size of the other table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q

from windlass.django.headers import Looked, Path, field_named, unique_sets
from windlass.django.tables import Model
from windlass.model.report import Problem

AT_ONCE = 500  # keys per query: older versions of SQLite take 999 values
Key = tuple[str | None, ...]


def looked_problems(model: Model, looked: Looked) -> Iterator[Problem]:
    """A lookup must find at most one row."""
    other = looked.field.remote_field.model
    roots = {path[0] for path in looked.paths}
    fields = {field_named(other, name) for name in roots}
    if not any(set(one) <= fields for one in _all_unique(other)):
        names = ", ".join(".".join(path) for path in looked.paths)
        message = f"{', '.join(looked.by.values())} does not tell rows of {other._meta.label} apart"
        hint = f"{names} is not unique there; use a unique field, or the primary key"
        yield Problem(model._meta.label, message, hint)


def _all_unique(model: Model) -> Iterator[tuple[Any, ...]]:
    yield from unique_sets(model)
    for parent, link in model._meta.parents.items():
        if link is not None:
            yield from _all_unique(parent._meta.concrete_model)


def find_keys(looked: Looked, keys: Iterable[Key], alias: str) -> dict[Key, str]:
    """The foreign key's value for each natural key; keys without a row are missing."""
    other = looked.field.remote_field.model
    target = looked.field.target_field
    names = ["__".join(path) for path in looked.paths]
    manager = other._base_manager.using(alias)
    found: dict[Key, str] = {}
    remaining = iter(keys)
    while some := list(islice(remaining, AT_ONCE)):
        wanted: dict[tuple[Any, ...], list[Key]] = defaultdict(list)
        for key in some:
            wanted[_typed(other, looked.paths, key)].append(key)
        wanted.pop((), None)
        if not wanted:
            continue
        query = manager.filter(_condition(names, list(wanted)))
        for value, *parts in query.values_list(target.attname, *names):
            for key in wanted.get(tuple(parts), ()):
                found[key] = str(value)
    return found


def _condition(names: Sequence[str], keys: Sequence[tuple[Any, ...]]) -> Q:
    if len(names) == 1:
        return Q(**{f"{names[0]}__in": [key[0] for key in keys]})
    condition = Q()
    for key in keys:
        condition |= Q(**dict(zip(names, key, strict=True)))
    return condition


def _typed(model: Model, paths: Sequence[Path], key: Key) -> tuple[Any, ...]:
    """The key's texts as values of their fields; empty if a text is no valid value, so that no row
    matches."""
    values = []
    for path, text in zip(paths, key, strict=True):
        field = _field_at(model, path)
        try:
            values.append(field.to_python(text))
        except (ValidationError, ValueError, TypeError):
            return ()
    return tuple(values)


def _field_at(model: Model, path: Path) -> Any:
    field: Any = field_named(model, path[0])
    if len(path) == 1:
        return field.target_field if field.is_relation else field
    return _field_at(field.remote_field.model, path[1:])
