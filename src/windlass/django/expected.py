"""A model's requirements for its rows, as expectations that the database checks for all of them at
once: choices, limits, lengths, uniqueness, check constraints, and that referenced rows exist."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, time
from typing import Any

from django.core.validators import (
    MaxLengthValidator,
    MaxValueValidator,
    MinLengthValidator,
    MinValueValidator,
)
from django.db import models

from windlass.django.converting import is_limit
from windlass.django.headers import unique_sets
from windlass.django.tables import Model, ModelField, Part
from windlass.model.relation import Name

# limits of integer types, which the column's type enforces itself
_OF_TYPES = {sign * (1 << bits) - (sign > 0) for bits in (15, 31, 63) for sign in (1, -1)}
Expected = dict[str, Any]  # as in a spec: {"not-null": [...]}


def expectations(
    part: Part,
    filled: Collection[str],
    key: Sequence[str],
    own: Collection[Model],
    connection: Any,
) -> Iterator[Expected]:
    """Expectations for the filled columns. `own` are the model's tables: references between rows of
    the same input are checked by the database's constraints."""
    for field in part.fields:
        if field.column in filled:
            yield from _of_field(field, connection)
            if _refers(field) and _other(field) not in own:
                yield {"foreign-key": {field.column: _place(field, connection)}}
    for fields in unique_sets(part.model):
        columns = [one.column for one in fields]
        if set(columns) <= set(filled) and set(columns) != set(key):
            yield {"unique": columns}
    for constraint in part.model._meta.constraints:
        if isinstance(constraint, models.CheckConstraint):
            yield from _of_constraint(part.model, constraint, filled, connection)


def _of_field(field: ModelField, connection: Any) -> Iterator[Expected]:
    if field.choices is not None and (accepted := _choices(field)):
        yield {"accepted": {field.column: accepted}}
    low, high, lengths = None, None, []
    for one in field.validators:
        if not is_limit(one):
            continue
        limit = one.limit_value() if callable(one.limit_value) else one.limit_value
        if isinstance(one, MinLengthValidator):
            lengths.append(f"length({_name(field, connection)}) >= {int(limit)}")
        elif isinstance(one, MaxLengthValidator) and limit != field.max_length:
            lengths.append(f"length({_name(field, connection)}) <= {int(limit)}")
        elif isinstance(one, MinValueValidator) and limit not in _OF_TYPES:
            low = limit if low is None else max(low, limit)
        elif isinstance(one, MaxValueValidator) and limit not in _OF_TYPES:
            high = limit if high is None else min(high, limit)
    if low is not None or high is not None:
        yield {"range": {field.column: [_text(low), _text(high)]}}
    if field.empty_strings_allowed and not field.blank and not field.is_relation:
        lengths.append(f"{_name(field, connection)} <> ''")
    yield from ({"sql": one} for one in lengths)


def _choices(field: ModelField) -> list[Any]:
    found = [value for value, _ in field.flatchoices if value is not None]
    if field.empty_strings_allowed and field.blank and "" not in found:
        found.append("")
    return [_text(getattr(one, "value", one)) for one in found]


def _text(limit: Any) -> Any:
    match limit:
        case None | bool() | int() | float() | str():
            return limit
        case datetime() | date() | time():
            return limit.isoformat()
    return str(limit)


def _refers(field: ModelField) -> bool:
    return bool(field.is_relation and getattr(field, "db_constraint", False))


def _other(field: ModelField) -> Model:
    return field.remote_field.model._meta.concrete_model


def _place(field: ModelField, connection: Any) -> str:
    """schema.table.column of the referenced row."""
    target = field.target_field
    table = target.model._meta.db_table
    if connection.vendor == "sqlite":
        return f"{Name('main', table)}.{target.column}"
    with connection.cursor() as cursor:
        cursor.execute(
            "select n.nspname from pg_catalog.pg_class c join pg_catalog.pg_namespace n"
            " on n.oid = c.relnamespace where c.oid = to_regclass(%s)",
            [connection.ops.quote_name(table)],
        )
        row = cursor.fetchone()
    schema = row[0] if row else "public"
    return f"{Name(schema, table)}.{target.column}"


def _of_constraint(
    model: Model, constraint: Any, filled: Collection[str], connection: Any
) -> Iterator[Expected]:
    """The expectation for a constraint whose columns are all filled; the database checks the others
    when rows are loaded."""
    condition = constraint._get_check_sql(model, connection.schema_editor())
    known = {one.column for one in model._meta.local_concrete_fields}
    used = set(re.findall(r'"([^"]+)"', condition)) & known
    if used and used <= set(filled):
        yield {"sql": condition}


def _name(field: ModelField, connection: Any) -> str:
    return str(connection.ops.quote_name(field.column))
