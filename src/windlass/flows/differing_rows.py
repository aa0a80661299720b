"""Rows of two engines that differ, by key, or by all their values where there is none. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from windlass.model.report import Difference, DifferenceKind
from windlass.model.translation import Field, Row, Sort

MOST_NAMED = 1_000  # of a table
_WHERE = {
    DifferenceKind.MISSING: "on the source only",
    DifferenceKind.EXTRA: "on the target only",
    DifferenceKind.CHANGED: "with other values",
}


@dataclass(frozen=True, slots=True)
class Compared:
    """A table whose rows were compared: its name and columns on the target, in the order of
    `fields`; `key` are names of fields."""

    name: str
    targets: Sequence[str]
    fields: Sequence[Field]
    key: Sequence[str]


def differing_rows(
    compared: Compared, ours: Sequence[Row], theirs: Sequence[Row], *, show_values: bool
) -> Iterator[Difference]:
    """Of the rows of the source and of the target."""
    if compared.key:
        yield from _keyed(compared, ours, theirs, show_values=show_values)
    else:
        yield from _unkeyed(compared, ours, theirs)


def named(
    found: Iterable[Difference], name: str, on_difference: Callable[[Difference], None] | None
) -> Iterator[Difference]:
    """The first of a table's rows, then how many more of each kind. `on_difference` gets all."""
    more: Counter[DifferenceKind] = Counter()
    for number, one in enumerate(found):
        if on_difference is not None:
            on_difference(one)
        if number < MOST_NAMED:
            yield one
        else:
            more[one.kind] += one.rows or 1
    for kind, count in sorted(more.items()):
        yield Difference(kind, name, f"and {count:,} more {_WHERE[kind]}", rows=count)


def _keyed(
    compared: Compared, ours: Sequence[Row], theirs: Sequence[Row], *, show_values: bool
) -> Iterator[Difference]:
    name, targets = compared.name, compared.targets
    here, there = ({one.key: one.texts for one in rows} for rows in (ours, theirs))
    fields = [one.name for one in compared.fields]
    key_fields = [compared.fields[fields.index(one)] for one in compared.key]
    keys = [targets[fields.index(one)] for one in compared.key]
    for key in sorted({*here, *there}, key=str):
        shown = {
            column: _shown(field, text) or "NULL"
            for column, field, text in zip(keys, key_fields, key, strict=True)
        }
        if key not in there:
            yield Difference(DifferenceKind.MISSING, name, "is missing on the target", shown)
        elif key not in here:
            yield Difference(DifferenceKind.EXTRA, name, "is on the target only", shown)
        elif here[key] != there[key]:
            at = [i for i in range(len(targets)) if here[key][i] != there[key][i]]
            columns = tuple(targets[i] for i in at)
            message = f"differs in {', '.join(columns)}"
            one = Difference(DifferenceKind.CHANGED, name, message, shown, columns)
            if show_values:
                source, target = (
                    {targets[i]: _shown(compared.fields[i], texts[key][i]) for i in at}
                    for texts in (here, there)
                )
                one = replace(one, source=source, target=target)
            yield one


def _shown(field: Field, text: str | None) -> str | None:
    """A value for people: a text without the length that is hashed with it."""
    has_length = field.type.sort in (Sort.TEXT, Sort.ENUM)
    return text.partition(":")[2] if text is not None and has_length else text


def _unkeyed(
    compared: Compared, ours: Sequence[Row], theirs: Sequence[Row]
) -> Iterator[Difference]:
    here, there = Counter(one.texts for one in ours), Counter(one.texts for one in theirs)
    for kind, lacking, where in (
        (DifferenceKind.MISSING, here - there, "missing on the target"),
        (DifferenceKind.EXTRA, there - here, "on the target only"),
    ):
        if rows := lacking.total():
            verb = "is" if rows == 1 else "are"
            message = f"{rows:,} {'row' if rows == 1 else 'rows'} without a key {verb} {where}"
            yield Difference(kind, compared.name, message, rows=rows)
