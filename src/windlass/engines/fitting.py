"""How a table differs from what will be loaded into it, and which differences the load may change;
the export's `schema` decides. Pure.

Whether a type holds all values of another is decided by PostgreSQL's names for types; an engine
translates its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from windlass.model.export import Export
from windlass.model.fit import Fit, TableColumn
from windlass.model.report import Problem

Widens = Callable[[str, str], bool]  # whether the second type holds every value of the first


def fit(
    export: Export,
    types: Sequence[str],
    there: Mapping[str, TableColumn],
    widens: Widens,
    *,
    loaded: Collection[str] = (),
    faults: Sequence[Problem] = (),
    by_case: bool = True,
) -> Fit:
    """`types` are the types with which the export's columns would be created, `there` the table's
    columns, `loaded` the columns that earlier loads have filled, `faults` other problems of the
    table. `by_case`: names that differ only by case are different."""
    wanted = dict(zip([one.name for one in export.columns], types, strict=True))
    added = {name: type_ for name, type_ in wanted.items() if name not in there}
    others = {
        name: (there[name].type, type_)
        for name, type_ in wanted.items()
        if name in there and there[name].type != type_
    }
    rest = {name: column for name, column in there.items() if name not in wanted}
    kept = tuple(name for name in rest if name in loaded)
    if export.rules.schema == "replace":
        dropped = {name: column.type for name, column in rest.items()}
        return Fit(export.name, export.table, tuple(faults), added, others, dropped)
    if not by_case and (alike := _alike(added, rest)):
        written = " and ".join(f"{name} exists as {other}" for name, other in alike.items())
        hint = "`rename` them to the names that they have there, or alter or drop the table"
        faults = [*faults, Problem(export.table, f"{written}: only their case differs", hint)]
        added = {name: type_ for name, type_ in added.items() if name not in alike}
    wider = {name: pair for name, pair in others.items() if widens(*pair)}
    narrower = {name for name, (old, new) in others.items() if widens(new, old)}
    stuck = {name: pair for name, pair in others.items() if name not in {*wider, *narrower}}
    needed = [name for name, column in rest.items() if column.is_needed]
    if export.rules.schema == "add":
        misfits = list(_misfits({}, stuck, needed))
    else:
        misfits = list(_misfits(added, others, needed))
    if misfits:
        can_add = export.rules.schema == "refuse" and not stuck and not needed
        message = f"the table does not fit: {'; '.join(misfits)}"
        faults = [*faults, Problem(export.table, message, _hint(export, can_add=can_add))]
    if faults or export.rules.schema != "add":
        return Fit(export.name, export.table, tuple(faults), kept=kept)
    return Fit(export.name, export.table, (), added, wider, kept=kept)


def _alike(added: Iterable[str], rest: Iterable[str]) -> dict[str, str]:
    """The names of the table's columns that differ from these only by case."""
    there = {name.casefold(): name for name in rest}
    return {name: there[name.casefold()] for name in added if name.casefold() in there}


def _misfits(
    missing: Mapping[str, str], others: Mapping[str, tuple[str, str]], needed: Sequence[str]
) -> Iterator[str]:
    yield from (f"{name} ({type_}) is missing" for name, type_ in missing.items())
    yield from (f"{name} is {old}, not {new}" for name, (old, new) in others.items())
    for name in needed:
        yield f"{name} is NOT NULL without a default and is not exported"


def _hint(export: Export, *, can_add: bool) -> str:
    ways = ["alter or drop the table", "load into another: `table` of the relation"]
    if can_add:
        ways.append("let the load alter it: `schema: add`")
    elif export.disposition == "truncate":
        ways.append("replace its columns: `schema: replace`")
    return ", or ".join([", ".join(ways[:-1]), ways[-1]])


# which types hold all values of another

_TYPE = re.compile(r"([a-z ]+?)(?:\((\d+)(?:, ?(-?\d+))?\))?( with(?:out)? time zone)?(\[\])*")
_DIGITS = {"smallint": 5, "integer": 10, "bigint": 19}
_TEXTS = ("character varying", "text")


def holds_all(old: str, new: str) -> bool:
    """Whether a column of type `new` holds every value of type `old`, exactly."""
    if old.endswith("[]") and new.endswith("[]"):
        return holds_all(old.removesuffix("[]"), new.removesuffix("[]"))
    before, after = _TYPE.fullmatch(old), _TYPE.fullmatch(new)
    if before is None or after is None or before[5] or after[5]:
        return False
    (name, zone), (other, other_zone) = (before[1], before[4]), (after[1], after[4])
    if name in _DIGITS or name == "numeric":
        return _holds_numbers(before, after)
    if (name, other) == ("real", "double precision"):
        return True
    if name in _TEXTS and other in _TEXTS:
        return _holds(before[2], after[2] if other != "text" else None)
    is_sized = name in ("character", "timestamp", "time", "bit varying")
    return is_sized and (name, zone) == (other, other_zone) and _holds(before[2], after[2])


def _holds(old: str | None, new: str | None) -> bool:
    """Whether a length holds another; no length means no limit."""
    return new is None or (old is not None and int(old) <= int(new))


def _holds_numbers(before: re.Match[str], after: re.Match[str]) -> bool:
    if after[1] in _DIGITS:
        return before[1] in _DIGITS and _DIGITS[before[1]] <= _DIGITS[after[1]]
    if after[1] != "numeric":
        return False
    if after[2] is None:
        return True
    if before[1] in _DIGITS:
        whole, scale = _DIGITS[before[1]], 0
    elif before[2] is None:
        return False
    else:
        scale = int(before[3] or 0)
        whole = int(before[2]) - scale
    room = int(after[3] or 0)
    return scale <= room and whole <= int(after[2]) - room
