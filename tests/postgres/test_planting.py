"""Every kind of structural change is found, by name, and nothing equal is reported."""

from __future__ import annotations

import pytest

from command import DIFFERENT, DONE, migrate, verify
from copying import restore
from paths import DOCS
from planting import Plant, listed, plants
from servers import Pair


def made(pair: Pair) -> list[Plant]:
    """Every kind that both sides know, on the source."""
    found = plants(min(pair.source.server.version, pair.target.server.version))
    pair.source.run("create schema p", *(one.made for one in found))
    return found


def unlike(found: set[str], planted: list[Plant]) -> list[str]:
    """What was not found, and what was without having been planted."""
    missed = [
        f"{one.kind}: {name} is not reported"
        for one in planted
        for name in one.objects
        if name not in found
    ]
    more = found - {name for one in planted for name in one.objects}
    return missed + [f"{name} is reported, and is equal" for name in sorted(more)]


def test_the_list_is_long_and_names_no_kind_twice() -> None:
    kinds = [one.kind for one in plants(18)]
    assert len(kinds) >= 150
    assert len(set(kinds)) == len(kinds)


MORE = [(15, 15), (18, 18), (12, 18), (14, 17)]


@pytest.mark.parametrize(
    "pair",
    [(15, 18), *(pytest.param(one, marks=pytest.mark.full) for one in MORE)],
    indirect=True,
)
def test_each_kind_of_change_is_found_and_nothing_else(pair: Pair) -> None:
    planted = made(pair)
    restore(pair)
    assert verify(pair).expect(DONE).result["differences"] == []
    for one in planted:
        pair.target.run(one.change)
    differences = verify(pair).expect(DIFFERENT).result["differences"]
    assert "\n".join(unlike({one["object"] for one in differences}, planted)) == ""


@pytest.mark.full
@pytest.mark.parametrize("pair", [(15, 18), *MORE], indirect=True)
def test_a_migration_has_no_difference(pair: Pair) -> None:
    made(pair)
    migrate(pair).expect(DONE)
    assert verify(pair).expect(DONE).result["differences"] == []


def test_the_page_lists_every_kind() -> None:
    page = DOCS / "what-is-compared.md"
    assert page.read_text().endswith(f"\n\n{listed()}\n")
