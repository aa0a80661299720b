"""Converts an input's values to what a model's field stores, where the database would read them
differently or would not check them. Each converter is a function from text to text that raises
`Unfit`."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import (
    BaseValidator,
    DecimalValidator,
    MaxLengthValidator,
    MaxValueValidator,
    MinLengthValidator,
    MinValueValidator,
    ProhibitNullCharactersValidator,
)
from django.db import models
from django.utils.dateparse import parse_datetime, parse_duration
from django.utils.timezone import get_default_timezone

from windlass.django.tables import ModelField

Convert = Callable[[str], str]
# validators that expectations or the column's type check for all rows at once
BY_THE_DATABASE = (
    MaxLengthValidator,
    MaxValueValidator,
    MinLengthValidator,
    MinValueValidator,
    ProhibitNullCharactersValidator,
)
_MICROSECONDS = 1_000_000


class Unfit(ValueError):
    """Why a value does not fit the field; does not show the value."""


def converter(field: ModelField, connection: Any) -> Convert | None:
    """A function that converts a field's texts; None if they are stored unchanged."""
    checks = [one for one in field.validators if not _is_for_database(one, connection)]
    convert = _conversion(field, connection)
    if not checks:
        return convert
    check = _checking(field, checks)
    if convert is None:
        return check
    return lambda text: convert(check(text))


def _is_for_database(validator: Any, connection: Any) -> bool:
    if isinstance(validator, DecimalValidator):
        return bool(connection.vendor == "postgresql")  # its type has the digits
    plain = type(validator).__module__ == "django.core.validators"
    return bool(plain and isinstance(validator, BY_THE_DATABASE))


def is_limit(validator: Any) -> bool:
    """Whether an expectation can check it."""
    return isinstance(validator, BaseValidator) and _is_for_database(validator, None)


def _checking(field: ModelField, checks: Sequence[Callable[[Any], None]]) -> Convert:
    known: set[str] = set()  # texts of this batch that are known to be valid

    def check(text: str) -> str:
        if text in known or (text == "" and field.blank):
            return text
        value = _python(field, text)
        for one in checks:
            try:
                one(value)
            except ValidationError as error:
                raise Unfit(_reason(one, error)) from None
        if len(known) < _MOST_KNOWN:
            known.add(text)
        return text

    return check


_MOST_KNOWN = 100_000


def _reason(check: Any, error: ValidationError) -> str:
    """Which rule a value breaks. The error's own text might show the value."""
    name = getattr(check, "__name__", type(check).__name__)
    code = getattr(error, "code", "") or ""
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", name).replace("_", " ").lower()
    return f"does not pass {words.strip()}" + (f" ({code})" if code else "")


def _python(field: ModelField, text: str) -> Any:
    try:
        return field.to_python(text)
    except (ValidationError, ValueError, TypeError):
        raise Unfit(f"not a value of {type(field).__name__}") from None


def _conversion(field: ModelField, connection: Any) -> Convert | None:
    if not _is_plain(field):
        return lambda text: _saved(field, text, connection)
    features = connection.features
    if isinstance(field, models.UUIDField) and not features.has_native_uuid_field:
        return _uuid
    if isinstance(field, models.DurationField) and not features.has_native_duration_field:
        return _microseconds
    if isinstance(field, models.ForeignKey) and not features.has_native_uuid_field:
        return _uuid if isinstance(field.target_field, models.UUIDField) else None
    if isinstance(field, models.DateTimeField):
        return _moment(connection)
    return None


def _is_plain(field: ModelField) -> bool:
    """Whether it stores what it is given, as Django's own fields do; those of other packages may
    change it."""
    meant = ("to_python", "get_prep_value", "get_db_prep_value", "get_db_prep_save", "pre_save")
    for name in meant:
        owner = next(one for one in type(field).__mro__ if name in vars(one))
        if not owner.__module__.startswith("django."):
            return False
    return True


def _saved(field: ModelField, text: str, connection: Any) -> str:
    value = field.get_db_prep_save(_python(field, text), connection)
    if isinstance(value, bytes | memoryview):
        return "\\x" + bytes(value).hex()
    if not isinstance(value, str | int | float) and type(value).__module__.startswith("psycopg"):
        raise Unfit(f"{type(field).__name__} stores it as no text")
    return str(value)


def _uuid(text: str) -> str:
    try:
        return uuid.UUID(text).hex
    except ValueError:
        raise Unfit("not a UUID") from None


def _microseconds(text: str) -> str:
    try:
        found = parse_duration(text)
    except ValueError:
        found = None
    if found is None:
        raise Unfit("not a duration such as 1 02:30:00")
    whole = found.days * 86_400 + found.seconds
    return str(whole * _MICROSECONDS + found.microseconds)


def _moment(connection: Any) -> Convert | None:
    """A moment. A time without a zone is in TIME_ZONE, as for Django."""
    ours: tzinfo = get_default_timezone()
    is_file = connection.vendor == "sqlite"
    kept = kept_zone(connection)
    if _is_utc(ours) and (not is_file or _is_utc(kept)):
        return None

    def convert(text: str) -> str:
        moment = _parsed(text)
        if moment is None:
            return text  # the database will say what is wrong
        if moment.tzinfo is None:
            moment = _placed(moment, ours)
        if is_file:
            return moment.astimezone(kept).replace(tzinfo=None).isoformat(sep=" ")
        return moment.astimezone(UTC).isoformat(sep=" ")

    return convert


def kept_zone(connection: Any) -> tzinfo:
    """The zone of times in a database whose types have none."""
    here: tzinfo = get_default_timezone()
    return connection.timezone if settings.USE_TZ and connection.timezone else here


def _parsed(text: str) -> datetime | None:
    try:
        found: datetime | None = parse_datetime(text)
        return found
    except ValueError:
        return None


def _placed(moment: datetime, zone: tzinfo) -> datetime:
    """Place a local time in a zone.

    Raises:
        Unfit: clocks showed that time twice, or never.
    """
    first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        raise Unfit("a time that clocks showed twice or never: give its zone")
    return first


def _is_utc(zone: tzinfo) -> bool:
    return str(zone) == "UTC"
