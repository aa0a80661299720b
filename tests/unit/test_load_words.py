"""The words of a load: short names stand for them, and what cannot be right is refused, all at
once, with what would be."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.errors import BadSpec
from windlass.loading.words import SHORT, contradictions, in_sentences, short_name, words_of
from windlass.model.load_words import Duplicates, Matched, Missing, Take
from windlass.model.wording import spelled
from windlass.spec.choices import LoadName
from windlass.spec.load import LoadSpec, OneLoad

QUERY = {"source": "sqlite:///srv/shop.db", "query": "select * from orders"}


def one(**words: Any) -> OneLoad:
    given = {"from": "orders.csv", "into": "shop.orders", "target": "sqlite:///x.db", **words}
    (found,) = LoadSpec.of(**given).wanted
    return found


def faults(**words: Any) -> str:
    return spelled("; ".join(problem.text for problem in contradictions(one(**words))))


RIGHT: dict[LoadName, dict[str, Any]] = {
    LoadName.APPEND: {},
    LoadName.INSERT: {"key": "id"},
    LoadName.MERGE: {"key": "id"},
    LoadName.REPLACE: {},
    LoadName.MIRROR: {"key": "id"},
    LoadName.SLICE: {"slice": "day = '2026-01-31'"},
    LoadName.HISTORY: {"key": "id"},
}


@pytest.mark.parametrize("name", LoadName)
def test_a_short_name_is_a_set_of_words_that_stands_for_it(name: LoadName) -> None:
    words = words_of(one(load=name, **RIGHT[name]))
    assert faults(load=name, **RIGHT[name]) == ""
    assert short_name(words) is name
    assert bool(words.key) is SHORT[name].keyed


@pytest.mark.parametrize("name", LoadName)
def test_each_load_says_in_sentences_what_becomes_of_the_rows(name: LoadName) -> None:
    assert all(in_sentences(words_of(one(load=name, **RIGHT[name]))))


def test_words_one_by_one_are_what_they_say() -> None:
    words = words_of(one(key=["a", "b"], matched="skip", missing="delete", last_by="at"))
    assert (words.take, words.key) == (Take.ALL, ("a", "b"))
    assert (words.matched, words.missing) == (Matched.SKIP, Missing.DELETE)
    assert (words.duplicates, words.last_by) == (Duplicates.LAST, "at")


def test_a_mirror_with_a_column_for_marks_marks() -> None:
    assert words_of(one(load="mirror", key="id", mark="gone_at")).missing is Missing.MARK


def test_a_history_closes_missing_rows_only_if_all_rows_are_read() -> None:
    whole = {"load": "history", "key": "id", "from": [QUERY]}
    assert words_of(one(**whole)).missing is Missing.DELETE
    assert words_of(one(**whole, since="at")).missing is Missing.KEEP


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "it is not specified what happens to the rows"),
    ({"load": "merge"}, "finds rows by a key, and none is given"),
    ({"load": "history"}, "finds rows by a key, and none is given"),
    ({"load": "append", "key": "id"}, "does not look for rows, so a key has no meaning"),
    ({"load": "append", "missing": "delete"}, "means missing keep, not delete"),
    ({"load": "merge", "key": "id", "matched": "skip"}, "means matched update, not skip"),
    ({"load": "merge", "key": "id", "history": True}, "keeps no history"),
    ({"load": "slice"}, "replaces the rows of a slice, and none is given"),
    ({"load": "merge", "key": "id", "slice": "a"}, ""),
    ({"load": "mirror", "key": "id", "slice": "a"}, "takes all, not where"),
    ({"load": "mirror", "key": "id", "from": [QUERY], "since": "at"}, "needs all rows"),
    ({"key": "id", "missing": "delete", "from": [QUERY], "since": "at"}, "with a watermark"),
    ({"load": "append", "from": [QUERY], "since": "at"}, "would be added twice"),
    (
        {"load": "append", "from": [QUERY], "since": "at", "overlap_seconds": 60},
        "an overlap reads rows again",
    ),
    ({"load": "merge", "key": "id", "since": "at"}, "a file is read wholly"),
    ({"load": "merge", "key": "id", "overlap_seconds": 60}, "no watermark to overlap"),
    ({"load": "merge", "key": "id", "take": "since"}, "since a watermark, and none is given"),
    ({"matched": "update"}, "finds rows by a key, and none is given"),
    ({"key": "id", "missing": "mark"}, "are marked, and no column is given"),
    ({"load": "merge", "key": "id", "mark": "gone"}, "missing rows are kept"),
    ({"load": "append", "duplicates": "last"}, "without a key no rows are duplicates"),
    ({"load": "merge", "key": "id", "duplicates": "refuse", "last_by": "at"}, "last one by"),
    ({"load": "merge", "key": ["id", "id"]}, "names id twice"),
    ({"history": True}, "a history finds rows by a key"),
    ({"load": "history", "key": "id", "missing": "mark"}, "means missing delete or keep, not mark"),
]


@pytest.mark.parametrize(("words", "fault"), WRONG)
def test_what_cannot_be_right_is_refused(words: dict[str, Any], fault: str) -> None:
    assert fault in faults(**words)
    assert bool(faults(**words)) is bool(fault)


def test_all_that_is_wrong_is_said_at_once() -> None:
    text = faults(load="append", key="id", missing="delete", overlap_seconds=5)
    assert text.count(";") >= 2
    assert "key" in text and "missing" in text and "overlap" in text


BAD: list[tuple[dict[str, Any], str]] = [
    ({"load": "merg"}, "did you mean 'merge'?"),
    ({"csv": {"delimter": ";"}}, "unknown key 'csv.delimter'; did you mean 'delimiter'?"),
    ({"csv": {"delimiter": "ab"}}, "is one character"),
    ({"csv": {"encoding": "utf9"}}, "'utf9' is not one that Python knows"),
    ({"csv": {"header": False}}, "without a header, give the fields' names"),
    ({"csv": {"delimiter": '"'}}, "are different characters"),
    ({"columns": {"a": {"sqll": "x"}}}, "unknown key 'columns.a.sqll'; did you mean 'sql'?"),
    ({"columns": {"a": {"sql": "x", "to": "y"}}}, "is one of to, drop, sql and value"),
    ({"expect": [{"not-nul": "a"}]}, "did you mean 'not-null'?"),
    ({"expect": [{"unique": "a", "sql": "b"}]}, "is one of not-null, unique"),
    ({"from": ["postgresql://a/b"]}, "a database is given as {source: URL, query: SELECT}"),
    ({"from": [{"source": "sqlite:///x"}]}, "a source needs either query or relation"),
    ({"from": [{"query": "select 1"}]}, "give a path, a source with a query or relation, or an"),
    ({"from": [{"api": {"url": "ftp://x"}}]}, "from.0.api.url"),
    ({"from": []}, "from: not given"),
    ({"into": ""}, "into: not given"),
    ({"loads": [{"into": "b"}]}, "loads.0.from: not given"),
    ({"loads": [{"intoo": "b"}]}, "unknown key 'loads.0.intoo'; did you mean 'into'?"),
]


@pytest.mark.parametrize(("words", "fault"), BAD)
def test_a_mistake_in_the_spec_is_named_with_the_nearest_right_word(
    words: dict[str, Any], fault: str
) -> None:
    with pytest.raises(BadSpec) as caught:
        one(**words)
    assert fault in "; ".join(caught.value.faults)


def test_loads_of_a_file_have_what_the_file_says_for_all() -> None:
    spec = LoadSpec.of(
        target="sqlite:///x.db",
        load="merge",
        key="id",
        loads=[
            {"from": "a.csv", "into": "a"},
            {"from": "b.csv", "into": "b", "load": "append", "key": []},
        ],
    )
    assert [(it.into, it.load, it.key) for it in spec.wanted] == [
        ("a", "merge", ("id",)),
        ("b", "append", ()),
    ]


def test_what_yaml_reads_as_no_value_is_the_word_null() -> None:
    found = one(csv={None: [""]}, columns={"a": None, "b": {"mask": None}})
    assert found.csv.null == ("",)
    assert found.columns["a"].drop and found.columns["b"].mask == "null"


def test_a_run_is_told_apart_without_secrets() -> None:
    url = "https://me:secret@example.com/a.csv?token=hidden"
    source = {"source": "postgresql://me:secret@db/shop", "relation": "shop.orders"}
    text = str(LoadSpec.of(**{"target": "x", "into": "a", "from": [url, source]}).config())
    assert "secret" not in text and "hidden" not in text
    assert "https://example.com/a.csv" in text and "shop.orders" in text
