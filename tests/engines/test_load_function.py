"""A Python function over the batches of an input, as `windlass load` calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from load_targets import LoadTarget, make_orders

MERGE = ("--into", "orders", "--load", "merge", "--key", "id")


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadTarget:
    monkeypatch.chdir(tmp_path)
    made = LoadTarget("sqlite", tmp_path)
    make_orders(made)
    made.file("orders.csv", "id,total,note\n3,33,cc\n4,40,d\n5,50,drop\n")
    return made


@pytest.mark.parametrize("frame", ["arrow", "pandas", "polars"])
def test_what_it_returns_is_loaded(target: LoadTarget, frame: str) -> None:
    words = ("--function", f"load_functions:{frame}", "--frame", frame)
    found = target.counts("orders.csv", *MERGE, *words)
    assert found == {"read": 2, "inserted": 1, "updated": 1}
    assert target.orders() == ["1 10 a", "2 20 b", "3 66 cc", "4 80 d"]


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        ("fails", "ValueError in load_functions.py"),
        ("number", "gave a int"),
        ("nested", "gave column total of type list"),
        ("precise", "more precise than a database keeps"),
        ("missing", "cannot be imported"),
    ],
)
def test_what_it_cannot_do_is_named_without_a_value(
    target: LoadTarget, function: str, fault: str
) -> None:
    ran = target.windlass("load", "orders.csv", *MERGE, "--function", f"load_functions:{function}")
    assert ran.code in (3, 4) and fault in ran.said
    assert "secret" not in ran.said and "Traceback" not in ran.said
    assert "fault in windlass" not in ran.said
    assert target.orders() == ["1 10 a", "2 20 b", "3 30 c"]
