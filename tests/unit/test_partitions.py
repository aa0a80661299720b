"""Folders of partitions, as Hive names them."""

from __future__ import annotations

from decimal import Decimal

import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa

from windlass.errors import WindlassError
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


def test_a_decimal_is_written_in_full() -> None:
    values = [Decimal("0.0000001"), Decimal("0E-7"), Decimal("-12.5000000"), None]
    column = pa.array(values, pa.decimal128(12, 7))
    batch = pa.record_batch({"n": list(range(4)), "d": column})
    assert [folder for folder, _ in split(batch, ["d"])] == [
        "d=0.0000001", "d=0.0000000", "d=-12.5000000", f"d={NULL}",
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["l" * 254, "ü" * 127])
def test_a_value_that_is_too_long_for_a_name_is_refused_and_not_shown(value: str) -> None:
    batch = pa.record_batch({"n": [1], "t": [value]})
    with pytest.raises(WindlassError, match="256 bytes") as caught:
        list(split(batch, ["t"]))
    assert value not in f"{caught.value} {caught.value.hint}"
    assert list(split(pa.record_batch({"n": [1], "t": [value[:-1]]}), ["t"]))


def test_a_number_has_one_hash_whatever_its_type_and_scale() -> None:
    hasher = Hasher("k" * 16)
    (wanted,) = hasher.array(pa.array(["5"]), "integer").to_pylist()
    for text, type_ in [("5.00", "numeric(10,2)"), ("5", "numeric"), ("5.0", "DOUBLE")]:
        assert hasher.array(pa.array([text]), type_).to_pylist() == [wanted]
    (zero,) = hasher.array(pa.array(["0"]), "bigint").to_pylist()
    (large,) = hasher.array(pa.array(["1.50e+20"]), "numeric").to_pylist()
    assert hasher.array(pa.array(["-0", "0.000", "-0.0"]), "numeric").to_pylist() == [zero] * 3
    assert large == hasher.text("150000000000000000000")
    small = hasher.array(pa.array(["1e-07", "1.0E-7", "0.0000001"]), "double precision")
    assert set(small.to_pylist()) == {hasher.text("0.0000001")}
    infinite = hasher.array(pa.array(["inf", "Infinity"]), "double precision").to_pylist()
    assert infinite == [hasher.text("Infinity")] * 2
    assert hasher.array(pa.array(["5.00", "v1.0"]), "text").to_pylist() == [
        hasher.text("5.00"), hasher.text("v1.0"),
    ]  # fmt: skip
