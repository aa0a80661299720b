"""How columns with nested values are exported to a target, and what it cannot keep. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from windlass.engines.base import Facts, Nesting
from windlass.model.export import Column, Kind, Nested


def nested_form(column: Column, target: Facts) -> Column:
    """A list or nested column in the form that files for this target hold."""
    if target.nesting is Nesting.OWN:
        kind = Kind.JSON if column.inside and column.inside.has_fields else Kind.TEXT
        return replace(column, kind=kind, is_list=False, inside=None, is_cast=True)
    if target.nesting is Nesting.REPEATED and column.is_list:
        of = Column("element", column.type.removesuffix("[]"), column.kind)
        inside = Nested(dimensions=1, of=of)
        return replace(column, kind=Kind.NESTED, is_list=False, inside=inside)
    return column


def nested_faults(
    columns: Sequence[Column],
    described: Sequence[Column],
    dimensions: Mapping[str, int],
    used: Mapping[str, Sequence[str]],
    target: Facts,
) -> Iterator[str]:
    """`used` are the columns that rows are compared by, under the spec's key that names them."""
    nested = [one for one in columns if one.inside]
    for word, names in used.items():
        for one in nested:
            if one.origin in names:
                yield f"{word}: {one.origin} is {one.type}, whose values cannot be compared"
    are_lists = {one.name for one in described if one.is_list or (one.inside and one.inside.of)}
    for one in described:
        if one.name in dimensions and one.name not in are_lists:
            yield f"dimensions: {one.name} is {one.type}, not an array"
    if target.nesting is Nesting.REPEATED:
        for one in nested:
            if any(map(_holds_lists, _all_in(one))):
                yield (
                    f"{one.name} has lists of lists, which {target.label} cannot hold:"
                    f" give `text: [{one.origin}]`"
                )
    if not target.naming.columns_by_case:
        for one in nested:
            for some in _all_in(one):
                yield from _alike(one.name, some, target)


def nested_notice(name: str, columns: Sequence[Column], target: Facts) -> Iterator[str]:
    """What happens to lists that the target cannot hold."""
    lists = [one.name for one in columns if one.inside and any(some.of for some in _all_in(one))]
    if target.nesting is Nesting.REPEATED and lists:
        yield (
            f"{name}: {', '.join(lists)}: {target.label} has no NULL lists, which become empty;"
            " a NULL inside of a list stops the export of the relation"
        )


def _all_in(column: Column) -> Iterator[Nested]:
    if column.inside:
        yield column.inside
        for one in column.inside.parts:
            yield from _all_in(one)


def _holds_lists(inside: Nested) -> bool:
    below = inside.of.inside if inside.of else None
    return inside.dimensions > 1 or bool(below and below.of)


def _alike(column: str, inside: Nested, target: Facts) -> Iterator[str]:
    seen: dict[str, str] = {}
    for one in inside.fields:
        other = seen.setdefault(one.name.casefold(), one.name)
        if other != one.name:
            yield (
                f"{column}: fields {other} and {one.name} have one name in {target.label},"
                f" which ignores case: give `text: [{column}]`"
            )
