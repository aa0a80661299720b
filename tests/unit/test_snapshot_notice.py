"""What a run says of the snapshots that it was read from, whenever one was lost."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from windlass.flows.migrate.resuming import snapshot_notice
from windlass.model.outcome import RelationOutcome
from windlass.model.snapshot import Snapshot

TAKEN = [
    Snapshot(number, f"0000-{number}", f"2026-01-0{number}T10:00:00+00:00", "") for number in (1, 2)
]
DEFINITIONS = "the comparison of definitions"


def read(name: str, *snapshots: int) -> RelationOutcome:
    return RelationOutcome(name, name, 1, 1, 1, 0.1, snapshots, verified="full")


def notice(relations: Sequence[RelationOutcome], later: Sequence[str] = ()) -> str:
    return snapshot_notice(relations, {}, TAKEN, later, as_copied=True)


def test_one_snapshot_is_nothing_to_speak_of() -> None:
    relations = [read("a", 1)]
    assert snapshot_notice(relations, {}, TAKEN[:1], [DEFINITIONS], as_copied=True) == ""


def test_rows_from_two_snapshots_are_named() -> None:
    said = notice([read("a", 1), read("b", 1, 2)])
    assert said.startswith("the rows were read from 2 snapshots, as the first was lost")
    assert "within one relation: b" in said


def test_a_snapshot_that_was_lost_when_all_copies_were_on_their_way_is_named_too() -> None:
    """They end in the first one; what was compared afterwards read the source in the second."""
    said = notice([read("a", 1), read("b", 1)], [DEFINITIONS])
    assert said.startswith("all rows were read from one snapshot, which was lost after that")
    assert f"{DEFINITIONS} read the source in a later one, of 2026-01-02 10:00:00 UTC" in said


@pytest.mark.parametrize("number", [1, 2])
def test_rows_are_compared_with_the_snapshot_that_they_were_copied_from(number: int) -> None:
    said = notice([read("a", number), read("b", 3 - number)])
    assert f"2026-01-0{number} 10:00:00 UTC (a)" in said
