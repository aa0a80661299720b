"""Cuts a collection into ranges of `_id`, in MongoDB's order of values of any type.

Bounds are Extended JSON, so that each keeps its type.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from windlass.engines.mongodb.session import Session
from windlass.engines.mongodb.values import ID
from windlass.model.chunk import KeyRange, Range, Whole

_SAMPLED = 50  # values for each range
MOST_SAMPLED = 20_000


def cut(session: Session, name: str, count: int) -> Sequence[Range]:
    """About `count` ranges. Any values of `_id` can be bounds: every document is in exactly one
    range."""
    if count < 2:
        return [Whole()]
    sampled = session.sample(name, min(count * _SAMPLED, MOST_SAMPLED))
    bounds = list(dict.fromkeys(map(_written, _chosen(sampled, count))))
    if not bounds:
        return [Whole()]
    edges = [None, *((one,) for one in bounds), None]
    return [KeyRange((ID,), low, high) for low, high in pairwise(edges)]


def bound(written: tuple[str, ...] | None) -> Any:
    """A bound as a tuple of one value, because the value may be null; None if there is no bound."""
    from bson import json_util

    return None if written is None else (json_util.loads(written[0], json_options=_options()),)


def _chosen(sampled: Sequence[Any], count: int) -> Iterator[Any]:
    for number in range(1, count):
        at = number * len(sampled) // count
        if 0 < at < len(sampled):
            yield sampled[at]


def _written(value: Any) -> str:
    from bson import json_util

    return json_util.dumps(value, json_options=_options())


def _options() -> Any:
    from bson.codec_options import DatetimeConversion
    from bson.json_util import JSONMode, JSONOptions

    return JSONOptions(
        json_mode=JSONMode.CANONICAL, datetime_conversion=DatetimeConversion.DATETIME_MS
    )
