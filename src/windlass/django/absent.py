"""Columns that an input lacks, filled as Django fills them for a new object: Python defaults, empty
texts, `auto_now`, `auto_now_add`. Existing rows keep their values.

Written as the target's SQL over the staged row. Database defaults and generated columns are left to
the database.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models.fields import NOT_PROVIDED
from django.utils import timezone

from windlass.django.converting import kept_zone
from windlass.django.tables import ModelField, Part
from windlass.errors import Refused
from windlass.model.report import Problem

_CALLS = 20  # calls of a default; if all results are equal, they count as one value
_UUID_OF_SQLITE = (
    "lower(hex(randomblob(6)) || '4' || substr(hex(randomblob(2)), 2)"
    " || substr('89ab', 1 + (abs(random()) % 4), 1) || substr(hex(randomblob(8)), 2))"
)


def absent_columns(
    part: Part, filled: Sequence[str], ruled: Sequence[str], key: Sequence[str], connection: Any
) -> tuple[dict[str, dict[str, Any]], tuple[Problem, ...]]:
    """Rules by column, as in a spec, and the fields that nothing can fill. `filled` are the columns
    that the input fills, `ruled` those that the setting has rules for, `key` those by which rows
    are found; an empty key means that all rows are new."""
    found: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    for field in part.fields:
        if field.column in (*filled, *ruled) or _is_the_databases(field):
            continue
        try:
            value = _new_value(field, connection)
        except Refused as error:
            problems += error.problems
            continue
        if value is None:
            continue
        if getattr(field, "auto_now", False):
            found[field.column] = {"sql": value, "compare": False}
        else:
            found[field.column] = {"sql": _kept_or(part, field, key, value, connection)}
    return found, tuple(problems)


def _is_the_databases(field: ModelField) -> bool:
    is_counted = isinstance(field, models.AutoField | models.BigAutoField | models.SmallAutoField)
    has_default = getattr(field, "db_default", NOT_PROVIDED) is not NOT_PROVIDED
    return is_counted or has_default or bool(getattr(field, "generated", False))


def _new_value(field: ModelField, connection: Any) -> str | None:
    """SQL for the value in a new row; None if it is NULL, or set by the database.

    Raises:
        Refused: it is needed, or Python computes another one for each row.
    """
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return _now(field, connection)
    if field.has_default():
        return _default(field, connection)
    if field.null:
        return None
    if field.empty_strings_allowed and field.blank:
        return "''"
    message = f"field {field.name} is needed, and the input lacks it"
    hint = f'give it a field, or a value: "columns": {{"{field.name}": {{"value": ...}}}}'
    raise Refused([Problem(field.model._meta.label, message, hint)])


def _default(field: ModelField, connection: Any) -> str | None:
    given = field.default
    if given is uuid.uuid4:
        return "gen_random_uuid()" if connection.vendor == "postgresql" else _UUID_OF_SQLITE
    if given in (timezone.now, datetime.now, datetime.utcnow, date.today):
        return _now(field, connection)
    values = [field.get_default() for _ in range(_CALLS if callable(given) else 1)]
    if any(one != values[0] for one in values):
        message = f"the default of field {field.name} is different for each row"
        hint = "give it a field, or a db_default that the database computes"
        raise Refused([Problem(field.model._meta.label, message, hint)])
    return None if values[0] is None else literal(field, values[0], connection)


def _now(field: ModelField, connection: Any) -> str:
    zone = timezone.get_default_timezone()
    if connection.vendor == "postgresql":
        here = f"(now() at time zone {_quoted(str(zone))})"
        if isinstance(field, models.DateTimeField):
            return "now()"
        return f"{here}::{'date' if isinstance(field, models.DateField) else 'time'}"
    if isinstance(field, models.DateTimeField):
        return _now_in(kept_zone(connection))
    here = _now_in(zone)
    is_date = isinstance(field, models.DateField)
    return f"substr({here}, 1, 10)" if is_date else f"substr({here}, 12)"


def _now_in(zone: tzinfo) -> str:
    """The present time in a zone, in the same text for every run: a text that contains the time
    would make each run a different load."""
    if str(zone) == "UTC":
        return "strftime('%Y-%m-%d %H:%M:%f', 'now')"
    return f"windlass_now({_quoted(str(zone))})"  # windlass.engines.sqlite.landing.session


def literal(field: ModelField, value: Any, connection: Any) -> str:
    """A Python value as the field's SQL."""
    if isinstance(field, models.JSONField):
        return _quoted(json.dumps(value, cls=field.encoder))
    made = field.get_db_prep_save(value, connection)
    match made:
        case None:
            return "null"
        case bool():
            return ("false", "true")[made] if connection.vendor == "postgresql" else str(int(made))
        case int() | float() | Decimal():
            return str(made)
        case datetime() if made.tzinfo is not None:
            return _quoted(made.astimezone(UTC).isoformat(sep=" "))
        case str() | date() | time() | uuid.UUID():
            return _quoted(str(made))
    message = f"the default of field {field.name} cannot be written as SQL"
    hint = "give it a field, or a db_default"
    raise Refused([Problem(field.model._meta.label, message, hint)])


def _kept_or(part: Part, field: ModelField, key: Sequence[str], value: str, connection: Any) -> str:
    """The value in the existing row with the same key, or this value if there is no such row."""
    if not key:
        return value
    name = connection.ops.quote_name
    row = ", ".join(f"{name(one)} as w{at}" for at, one in enumerate(key))
    tests = [f"t.{name(one)} = w.w{at}" for at, one in enumerate(key)]
    # the row is given an alias, because in a subquery the columns of the table would hide its own
    source = f"from {name(part.table)} t, (select {row}) w where {' and '.join(tests)}"
    if not field.null:
        return f"coalesce((select t.{name(field.column)} {source}), {value})"
    return (
        f"case when exists (select 1 {source}) then (select t.{name(field.column)} {source})"
        f" else {value} end"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
