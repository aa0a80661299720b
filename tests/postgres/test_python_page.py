"""The page about Python does what it says: its examples run, in their order, on real servers."""

from __future__ import annotations

import re
from typing import Any

import pytest

import windlass
from paths import DOCS
from servers import Pair

PAGE = DOCS / "python.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_examples_of_the_page_run(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pair.source.run(
        "create schema shop",
        "create schema warehouse",
        "create table shop.item (id int primary key, name text)",
        "insert into shop.item select n, 'item ' || n from generate_series(1, 100) n",
    )
    monkeypatch.setenv("WINDLASS_SOURCE", pair.source.url)
    monkeypatch.setenv("WINDLASS_TARGET", pair.target.url)
    known: dict[str, Any] = {}
    for example in EXAMPLES:
        exec(example, known)
    said = capsys.readouterr().out
    assert known["outcome"].state is windlass.State.DONE
    assert known["undone"].state is windlass.State.ROLLED_BACK
    assert "100 rows in" in said
    assert pair.target.value("select to_regclass('store.item')") is None


def test_differences_are_given_to_python_as_they_are_found(pair: Pair) -> None:
    for side in (pair.source, pair.target):
        side.run("create table t (id int primary key)", "insert into t values (1), (2)")
    pair.target.run("delete from t where id = 2")
    spec = windlass.Spec.of(source=pair.source.url, target=pair.target.url)

    class Kept:
        def __init__(self) -> None:
            self.found: list[windlass.Difference] = []

        def add(self, difference: windlass.Difference) -> None:
            self.found.append(difference)

        def forget(self) -> None:
            self.found.clear()

    kept = Kept()
    outcome = windlass.verify(spec, differing=kept)
    assert outcome.state is windlass.State.DIFFERENT
    assert [(str(one.kind), dict(one.key)) for one in kept.found] == [("missing", {"id": "2"})]


def test_a_wrong_word_is_named_with_the_right_one() -> None:
    with pytest.raises(windlass.BadSpec, match="did you mean 'schema'"):
        windlass.Spec.of(source="a", target="b", shema=["shop"])
    with pytest.raises(windlass.BadSpec, match="unknown key 'chunk-size': here it is chunk_size"):
        windlass.Spec.of(source="a", target="b", **{"chunk-size": "1GB"})
