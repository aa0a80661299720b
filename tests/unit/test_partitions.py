"""Folders of partitions, as Hive names them."""

from __future__ import annotations

import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa

from windlass.transfer.hashing import Hasher
from windlass.transfer.partitions import NULL, folder_of, split


@pytest.mark.parametrize(
    ("value", "folder"),
    [
        ("2024-01-31", "day=2024-01-31"),
        (None, f"day={NULL}"),
        ("", "day="),
        ("a/b=c", "day=a%2Fb%3Dc"),
        ("100%", "day=100%25"),
        ("größe 1", "day=größe 1"),
        ("a\nb", "day=a%0Ab"),
        ("[x]{y}^", "day=%5Bx%5D%7By%7D%5E".replace("%7D", "}")),
    ],
)
def test_values_are_escaped_as_hive_does(value: str | None, folder: str) -> None:
    assert folder_of("day", value) == folder


def test_every_row_is_in_exactly_one_folder() -> None:
    days = ["a", None, "b", "a", "", "b", None]
    batch = pa.record_batch({"n": list(range(7)), "day": days, "yes": [True] * 6 + [None]})
    found = {folder: rows.to_pydict() for folder, rows in split(batch, ["yes", "day"])}
    assert found == {
        "yes=true/day=a": {"n": [0, 3]},
        f"yes=true/day={NULL}": {"n": [1]},
        "yes=true/day=b": {"n": [2, 5]},
        "yes=true/day=": {"n": [4]},
        f"yes={NULL}/day={NULL}": {"n": [6]},
    }


def test_a_hash_is_the_same_for_the_same_value_and_key() -> None:
    """RFC 4231, test case 2."""
    assert Hasher("Jefe").text("what do ya want for nothing?") == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )
    texts = pa.array(["a", None, "b", "a"])
    first, nothing, second, third = Hasher("k" * 16).array(texts).to_pylist()
    assert first == third != second and nothing is None
    assert Hasher("k" * 16).id != Hasher("l" * 16).id
