"""Hides values by a hash on their way into a load, as exports do: no target sees them.

The field is replaced by its hashes. Where something else of the load reads it too, the hashes are
another field beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from windlass.engines.aside import Aside, setting_aside
from windlass.engines.landing import Input, RawCsv
from windlass.loading.made import LoadPlan
from windlass.model.export import Column, Kind
from windlass.model.hashing import LEAST_KEY, NO_KEY
from windlass.model.load import BadValue, Field, Identity, Load
from windlass.model.mask import Mask
from windlass.model.report import Problem
from windlass.spec.load import OneLoad
from windlass.transfer.hashing import Hasher, hasher_of_environment
from windlass.transfer.text import plain_texts

if TYPE_CHECKING:
    import pyarrow as pa

_FRACTIONS = (Kind.DECIMAL, Kind.FLOAT32, Kind.FLOAT64)


def key_id(one: OneLoad) -> str:
    """Identifies the key that a load hashes with; empty if it hashes nothing, or has no key."""
    if not any(rule.mask is Mask.HASH for rule in one.columns.values()):
        return ""
    hasher = hasher_of_environment()
    return hasher.id if hasher else ""


def with_hashes(plan: LoadPlan, inputs: Sequence[Input]) -> tuple[LoadPlan, Sequence[Input]]:
    """The plan and its inputs with hashes for the values that a mask hides."""
    masked = [one for one in plan.load.assigned if one.mask is Mask.HASH]
    if not masked or not inputs:
        return plan, inputs
    hasher = hasher_of_environment()
    problems = list(_faults(plan, {one.field for one in masked}))
    if hasher is None:
        columns = ", ".join(one.column for one in masked)
        hint = f"set it to a secret of {LEAST_KEY} characters or more, the same for every process"
        problems.append(Problem(plan.name, f"mask: hash of {columns}: {NO_KEY}", hint))
    if hasher is None or problems:
        return replace(plan, problems=(*plan.problems, *problems)), inputs
    names = _names(plan.load, [one.field for one in masked])
    made = [Hashed(one, names, hasher) for one in inputs]
    assigned = (
        replace(one, field=names[one.field], mask=None) if one in masked else one
        for one in plan.load.assigned
    )
    load = replace(plan.load, fields=tuple(made[0].fields), assigned=tuple(assigned))
    return replace(plan, load=load, hash_key=hasher.id), made


def _faults(plan: LoadPlan, masked: set[str]) -> Iterator[Problem]:
    for one in plan.load.fields:
        column = one.column
        if one.name in masked and column and (column.is_list or column.inside):
            message = f"field {one.name} is {column.described}, of which there is no hash"
            yield Problem(plan.name, message, "read a query that casts it to text")


def _names(load: Load, masked: Sequence[str]) -> dict[str, str]:
    """For each field, the name of the field that has its hashes."""
    names = {one.name for one in load.fields}
    found = {}
    for name in masked:
        found[name] = name
        while _is_read(load, name) and found[name] in names:
            found[name] += " hash"
    return found


def _is_read(load: Load, name: str) -> bool:
    """Whether anything except the mask needs the value itself."""
    if name in (load.watermark, load.words.last_by):
        return True
    texts = [one.sql.lower() for one in load.assigned]
    given = [one.field for one in load.assigned if one.mask is None]
    return name in given or any(name.lower() in text for text in texts)


@dataclass(slots=True)
class _Untold(Aside):
    """An `Aside` that keeps no text of a record: it may have values that are hidden."""

    def take(self, bad: BadValue, text: str) -> None:
        Aside.take(self, bad, "")


class Hashed:
    """An input with hashes: `names` are the fields that have them, by the fields that they are
    of."""

    def __init__(self, source: Input, names: Mapping[str, str], hasher: Hasher) -> None:
        self._types = {one.name: one.column for one in source.fields if one.name in names}
        self._in_place = [one for one in names if names[one] == one]
        self._source = _as_text(source, self._in_place)
        self._beside = {of: name for of, name in names.items() if of != name}
        self._hasher = hasher
        self.place = source.place
        self.fields: Sequence[Field] = (
            *(Field(one.name) if one.name in self._in_place else one for one in source.fields),
            *(Field(name) for name in self._beside.values()),
        )

    def setting_aside(self, aside: Aside) -> Hashed:
        """See `windlass.engines.aside`."""
        made = copy(self)
        made._source = setting_aside(self._source, _Untold(aside.most, aside.found))
        return made

    @property
    def identity(self) -> Identity:
        return self._source.identity

    def raw(self) -> RawCsv | None:
        return None

    def line_of(self, record: int) -> int:
        return self._source.line_of(record)

    def batches(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        places = {one.name: at for at, one in enumerate(self._source.fields)}
        for batch in self._source.batches():
            arrays = list(batch.columns)
            for name in self._in_place:
                arrays[places[name]] = self._hashes(name, arrays[places[name]])
            arrays += [self._hashes(name, arrays[places[name]]) for name in self._beside]
            yield pa.RecordBatch.from_arrays(arrays, names=[one.name for one in self.fields])

    def _hashes(self, name: str, array: Any) -> Any:
        """Hashes of values, or of the texts that the source has made of them."""
        import pyarrow as pa

        column = self._types[name]
        if column is None:
            return self._hasher.array(array.cast(pa.string()))
        is_cast = pa.types.is_string(array.type) and column.kind is not Kind.TEXT
        texts = array if is_cast else plain_texts(array, column)
        return self._hasher.array(texts, _type_of(column))


def _type_of(column: Column) -> str:
    return "numeric" if column.kind in _FRACTIONS else column.type


def _as_text(source: Input, names: Sequence[str]) -> Input:
    """The input with these fields as text, if its database can cast them, as in an export."""
    made = getattr(source, "as_text", None)
    return cast("Input", made(names)) if made else source
