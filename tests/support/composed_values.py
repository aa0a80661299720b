"""Values that are made of others: arrays, ranges, multiranges and rows, as texts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

Random = random.Random
Maker = Callable[[Random], Iterator[str]]


def quoted(text: str) -> str:
    """As an element of an array, a field or a bound of a range takes any text."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def arrays_of(element: Maker, delimiter: str = ",") -> Maker:
    def make(source: Random) -> Iterator[str]:
        yield "{}"
        values = element(source)
        while len(held := [quoted(one) for one in islice(values, 4)]) == 4:
            a, b, c, d = held
            for form in _ARRAYS:
                yield form.replace(",", delimiter).format(a=a, b=b, c=c, d=d)

    return make


_ARRAYS = (
    "{{{a}}}", "{{{a},{b}}}", "{{{b},{a}}}", "[0:1]={{{a},{b}}}", "{{{{{a}}},{{{b}}}}}",
    "{{{a},NULL}}", "{{NULL,{a}}}", "{{{{{a},{b}}}}}", "{{{a},{b},{c},{d}}}",
    "{{{{{a},{b}}},{{{c},{d}}}}}",
)  # fmt: skip


def ranges_of(subtype: Maker, order: Callable[[str], object]) -> Maker:
    """`order` of a text is that of the values."""

    def make(source: Random) -> Iterator[str]:
        yield from ("empty", "(,)")
        for low, high in _bounds(subtype(source), order):
            yield from (f"[{low},{high})", f"[{low},{high}]", f"({low},{high}]", f"({low},{high})")
            yield from (f"[{low},)", f"(,{high})", f"[{low},{low}]", f"[{high},{high}]")

    return make


def multiranges_of(subtype: Maker, order: Callable[[str], object]) -> Maker:
    def make(source: Random) -> Iterator[str]:
        yield from ("{}", "{(,)}")
        bounds = _bounds(subtype(source), order)
        while True:
            (a, b), (c, d) = islice(bounds, 2)
            yield from (f"{{[{a},{b})}}", f"{{[{a},{b}]}}", f"{{[{a},{b}),[{c},{d})}}")
            yield from (f"{{[{a},{b}),({c},)}}", f"{{(,{a}),[{b},)}}")

    return make


def _bounds(values: Iterator[str], order: Callable[[str], Any]) -> Iterator[tuple[str, str]]:
    for one in values:
        with_other = sorted((one, next(values)), key=order)
        if order(with_other[0]) != order(with_other[1]):
            yield quoted(with_other[0]), quoted(with_other[1])


def composites_of(first: Maker, second: Maker) -> Maker:
    def make(source: Random) -> Iterator[str]:
        yield "(,)"
        for one, other in zip(first(source), second(source), strict=False):
            a, b = quoted(one), quoted(other)
            yield from (f"({a},{b})", f"({a},)", f"(,{b})")

    return make
