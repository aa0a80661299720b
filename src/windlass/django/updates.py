"""The setting WINDLASS as updates: which input goes into which table. Pure; knows no models."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from windlass.errors import BadSpec
from windlass.spec.load import LoadSpec, OneLoad
from windlass.spec.model import validated, word_of

METRICS = ("metrics-file", "pushgateway", "metrics-name")
KEYS = ("updates", "database", *METRICS)
_OWN = ("url", "table")
_NOT_HERE = ("from", "into", "create", "census", "types", "function", "frame")


@dataclass(frozen=True, slots=True)
class Update:
    """One input for one table. `wanted` has the options of its load, as the project gives them."""

    table: str  # "shop.Customer", "shop.Product.tags" or a table's name
    wanted: OneLoad
    place: str  # the place in the setting, for people: "updates.0"

    @property
    def source(self) -> str:
        """For people, without secrets."""
        return self.wanted.inputs_described


@dataclass(frozen=True, slots=True)
class Configured:
    """The content of the setting."""

    updates: tuple[Update, ...] = ()
    database: str = ""  # an alias; empty: the routers', or the default one
    faults: tuple[str, ...] = field(default=())
    metrics: Mapping[str, str] = field(default_factory=dict)  # as in a spec: where they go


def read_setting(value: object) -> Configured:
    """The setting, with every fault of it."""
    if not isinstance(value, Mapping):
        return Configured(faults=("is not a dict with the keys updates and database",))
    words = {str(key).replace("_", "-"): one for key, one in value.items()}
    faults = [_unknown(key, KEYS) for key in words if key not in KEYS]
    database = words.get("database") or ""
    if not isinstance(database, str):
        faults.append("database: is not the alias of a database, a string")
        database = ""
    updates: tuple[Update, ...] = ()
    metrics = {key: str(words[key]) for key in METRICS if words.get(key)}
    try:
        updates = read_updates(words.get("updates", ()))
        validated(LoadSpec, {"target": "-", "from": "-", "into": "-", **metrics})
    except BadSpec as error:
        faults += error.faults
    return Configured(updates, database, tuple(faults), metrics)


def read_updates(value: object) -> tuple[Update, ...]:
    """A list of updates.

    Raises:
        BadSpec: with every fault of every update.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
        raise BadSpec(["updates: is not a list"])
    found, faults = [], []
    for number, one in enumerate(value):
        place = f"updates.{number}"
        try:
            found.append(_update(one, place))
        except BadSpec as error:
            faults += [f"{place}: {fault}" for fault in error.faults]
    if faults:
        raise BadSpec(faults)
    return tuple(found)


def _update(value: object, place: str) -> Update:
    if not isinstance(value, Mapping):
        raise BadSpec(["is not a dict with url and table"])
    words = {str(key).replace("_", "-"): one for key, one in value.items()}
    faults = [*_missing(words), *_misplaced(words)]
    given = {key: one for key, one in words.items() if key not in (*_OWN, *_NOT_HERE)}
    given["from"], given["into"] = _inputs(words.get("url")), str(words.get("table", ""))
    try:
        wanted = validated(OneLoad, given)
    except BadSpec as error:
        faults += [fault.replace("from", "url", 1) if fault.startswith("from") else fault
                   for fault in error.faults]  # fmt: skip
    if faults:
        raise BadSpec(faults)
    return Update(str(words["table"]), _with_empty_as_null(wanted), place)


def _missing(words: Mapping[str, Any]) -> Iterator[str]:
    for key in _OWN:
        if not words.get(key):
            yield f"{key}: not given"
    if words.get("table") and not isinstance(words["table"], str):
        yield "table: is not the name of a model or table"


def _misplaced(words: Mapping[str, Any]) -> Iterator[str]:
    for key in words:
        if key in _NOT_HERE:
            yield f"{key}: is not for updates: the model says it"


def _inputs(value: object) -> object:
    many = list(value) if isinstance(value, list | tuple) else [value]
    return [str(one) if isinstance(one, Path) else one for one in many if one]


def _with_empty_as_null(wanted: OneLoad) -> OneLoad:
    """An empty field of a CSV file means no value, as in Django's forms. If a model wants text, it
    becomes an empty text again."""
    if "null" in wanted.csv.model_fields_set:
        return wanted
    csv = wanted.csv.model_copy(update={"null": ("",)})
    return wanted.model_copy(update={"csv": csv})


def _unknown(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word_of(key), known, n=1)
    return f"unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
