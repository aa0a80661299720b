"""What a table has to hold after a load, in plain Python: rows are tuples, and the first column is
the key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from windlass.model.past import Others

Row = tuple[int | None, int | None]  # id, and a number; either may be NULL
Kept = tuple[int | None, int | None, bool]  # with its mark


class Refuses(Exception):
    """The load has to be refused."""


def last_of_each(records: Sequence[Row]) -> list[Row]:
    return list({one[0]: one for one in records}.values())


def unique(records: Sequence[Row]) -> dict[int, int | None]:
    """Raises:
    Refuses: keys are NULL or doubled.
    """
    found = {key: number for key, number in records if key is not None}
    if len(found) < len(records):
        raise Refuses
    return found


def keyed(word: str, rows: Sequence[Kept], records: Sequence[Row]) -> list[Kept]:
    """Of a table with a primary key, a number and a mark that is false by default."""
    there: dict[int | None, Kept] = {one[0]: one for one in rows}
    if word == "replace":
        return [(key, number, False) for key, number in unique(records).items()]
    new = unique(records)
    if word == "refuse" and new.keys() & there.keys():
        raise Refuses
    made = dict(there)
    for key, number in new.items():
        if key not in there:
            made[key] = (key, number, False)
        elif word != "insert":
            made[key] = (key, number, there[key][2] and word != "mark")
    for gone in there.keys() - new.keys():
        if word == "mirror":
            del made[gone]
        elif word == "mark":
            made[gone] = (*there[gone][:2], True)
    return list(made.values())


def keyless(word: str, rows: Sequence[Row], records: Sequence[Row], below: int) -> list[Row]:
    """Of a table without a key. A slice is the rows whose number is below a bound."""
    if word == "append":
        return [*rows, *records]
    if word == "replace":
        return list(records)
    if not all(number is not None and number < below for _, number in records):
        raise Refuses
    return [*(one for one in rows if one[1] is None or one[1] >= below), *records]


Version = tuple[int, int | None, bool]  # key, number, whether it is open


def history(rows: Sequence[Version], records: Sequence[Row]) -> list[Version]:
    """Of versions; when one was closed is not looked at."""
    new = unique(records)
    open_rows = {key: number for key, number, is_open in rows if is_open}
    same = {key for key, number in open_rows.items() if key in new and new[key] == number}
    kept: list[Version] = [(key, number, is_open and key in same) for key, number, is_open in rows]
    return [*kept, *((key, number, True) for key, number in new.items() if key not in same)]


Known = dict[int, int | None]


def undone(before: Known, made: Known, now: Known, others: Others) -> tuple[Known, set[int]]:
    """What a table holds after an undo, and the keys of rows that others have changed since. A row
    that others have put back themselves is no matter; one that they have deleted is theirs."""
    touched = {key for key in before.keys() | made.keys() if _of(before, key) != _of(made, key)}
    changed = {key for key in touched if _is_others(before, made, now, key)}
    if changed and others is Others.REFUSE:
        return now, changed
    wanted = dict(now)
    for key in touched if others is Others.LOSE else touched - changed:
        wanted.pop(key, None)
        if key in before:
            wanted[key] = before[key]
    return wanted, changed


def _is_others(before: Known, made: Known, now: Known, key: int) -> bool:
    is_back = key in now and _of(now, key) == _of(before, key)
    return _of(now, key) != _of(made, key) and not is_back


def _of(rows: Known, key: int) -> tuple[int | None, ...]:
    return (rows[key],) if key in rows else ()


def counted(rows: Sequence[tuple[object, ...]]) -> Counter[tuple[object, ...]]:
    """As a table has no order."""
    return Counter(rows)
