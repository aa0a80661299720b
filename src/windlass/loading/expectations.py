"""What users expect of the rows, from their spec into the nouns that engines check. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from windlass.loading.columns import literal
from windlass.model.load import Assigned, Expect, Expectation
from windlass.spec.inputs import ExpectSpec
from windlass.spec.load import OneLoad


def expectations_of(spec: OneLoad, assigned: Sequence[Assigned] = ()) -> tuple[Expectation, ...]:
    """The user's, and that every row has a watermark, because the next load would miss a row
    without one. The target itself checks those of a key or a slice."""
    found = [made for one in spec.expect for made in _of(one)]
    for one in assigned:
        if spec.since and one.field == spec.since and not one.mask:
            found.append(Expectation(Expect.NOT_NULL, (one.column,)))
    return tuple(dict.fromkeys(found))


def _of(one: ExpectSpec) -> Iterator[Expectation]:
    warns = one.severity == "warn"
    for column in one.not_null:
        yield Expectation(Expect.NOT_NULL, (column,), warns=warns)
    if one.unique:
        yield Expectation(Expect.UNIQUE, one.unique, warns=warns)
    for column, (low, high) in one.range.items():
        yield Expectation(Expect.RANGE, (column,), low=_text(low), high=_text(high), warns=warns)
    for column, values in one.accepted.items():
        texts = tuple(map(_text, values))
        yield Expectation(Expect.ACCEPTED, (column,), accepted=texts, warns=warns)
    for column, other in one.foreign_key.items():
        yield Expectation(Expect.FOREIGN_KEY, (column,), refers_to=other, warns=warns)
    if one.rows:
        low, high = one.rows
        yield Expectation(Expect.ROWS, low=_text(low), high=_text(high), warns=warns)
    if one.sql:
        yield Expectation(Expect.SQL, sql=one.sql, warns=warns)


def _text(value: object) -> str:
    """As the target reads it; empty for none."""
    if value is None:
        return ""
    return str(value) if isinstance(value, str) else literal(value)
