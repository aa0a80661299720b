"""JSON files: every value is the exact text that the file has, and what is not JSON is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windlass.engines.inputs import open_inputs
from windlass.engines.landing import Input
from windlass.errors import BadRecord
from windlass.model.inputs import FilesFrom, Json

MANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def opened(
    folder: Path, data: str | bytes, name: str = "rows.jsonl", keys: tuple[str, ...] = ()
) -> Input:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    (one,) = open_inputs(FilesFrom((str(path),), json=Json(keys)))
    return one


def rows(source: Input) -> list[dict[str, str | None]]:
    return [row for batch in source.batches() for row in batch.to_pylist()]


def fault(folder: Path, data: str | bytes, name: str, **given: Any) -> tuple[int, str, str]:
    with pytest.raises(BadRecord) as caught:
        rows(opened(folder, data, name, **given))
    bad = caught.value.bad[0]
    return bad.line, bad.column, bad.reason


def in_both(data: str, *rest: str) -> list[tuple[str, str]]:
    """The same objects as lines, and as an array."""
    return [("rows.jsonl", "\n".join([data, *rest])), ("rows.json", f"[{','.join([data, *rest])}]")]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1.10", "1.10"),
        ("12345678901234567890.5", "12345678901234567890.5"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("1E400", "1E400"),
        ("-0", "-0"),
        ("-0.0", "-0.0"),
        ("true", "true"),
        ("null", None),
        ('""', ""),
        ('"null"', "null"),
        ('"1.10"', "1.10"),
        (r'"a\"b\\c\nd\/é\u00e9\ud83d\ude00"', 'a"b\\c\nd/éé😀'),
        ('[1, 2.50, "x"]', '[1, 2.50, "x"]'),
        (r'{"a": {"b": [1.0, "\n"]}}', r'{"a": {"b": [1.0, "\n"]}}'),
        ('": \\"quoted\\""', ': "quoted"'),
        (r'"\\u0000"', "\\u0000"),
    ],
)
def test_a_value_is_the_text_that_the_file_has(
    written: str, expected: str | None, tmp_path: Path
) -> None:
    for name, data in in_both(f'{{"v": {written}, "w":1}}'):
        assert rows(opened(tmp_path, data, name)) == [{"v": expected, "w": "1"}]


def test_the_fields_are_the_keys_of_all_objects(tmp_path: Path) -> None:
    for name, data in in_both('{"a": 1}', '{"b": 2, "a": null}', *['{"a": 3}'] * 1000, '{"c": 4}'):
        source = opened(tmp_path, data, name)
        assert [field.name for field in source.fields] == ["a", "b", "c"]
        assert rows(source)[-1] == {"a": None, "b": None, "c": "4"}


def test_several_files_have_the_keys_of_all_of_them(tmp_path: Path) -> None:
    for name, data in (("1.jsonl", '{"a":1}'), ("2.jsonl", '{"b":2}')):
        (tmp_path / name).write_text(data)
    found = open_inputs(FilesFrom((f"{tmp_path}/*.jsonl",)))
    assert [rows(one) for one in found] == [[{"a": "1", "b": None}], [{"a": None, "b": "2"}]]


def test_keys_that_are_listed_are_the_fields(tmp_path: Path) -> None:
    assert rows(opened(tmp_path, '{"b":1}', keys=("a", "b"))) == [{"a": None, "b": "1"}]
    found = fault(tmp_path, '{"a":1}\n{"c":1}\n', "rows.jsonl", keys=("a", "b"))
    assert found == (2, "c", "a key that is not one of the fields")


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("rows.jsonl", '{"a":1}\n{"a":}\n', (2, "", "not valid JSON: invalid character (byte 5)")),
        ("rows.jsonl", '{"a":1}\n{"a":1\n', (2, "", "not valid JSON: Input data was truncated")),
        ("rows.jsonl", '{"a":1}\n[1]\n', (2, "", "not an object")),
        ("rows.jsonl", '{"a":NaN}\n', (1, "", "not valid JSON: invalid character (byte 5)")),
        ("rows.jsonl", '\n{"a":1,"b":2,"a":3}\n', (2, "a", "the object has this key twice")),
        ("rows.jsonl", r'{"a":1,"\u0061":3}', (1, "a", "the object has this key twice")),
        ("rows.jsonl", '{"a:b":1,"a:b":3}', (1, "a:b", "the object has this key twice")),
        ("rows.jsonl", r'{"a":"x\u0000"}', (1, "a", "NUL in text")),
        ("rows.jsonl", b'{"a":1}\n{"a":"\xe9"}', (2, "", "not valid utf-8")),
        ("rows.json", '{"a":1}\n{"a":}\n', (2, "", "not valid JSON: Expecting value")),
        ("rows.json", '[{"a":1},\n 1]', (2, "", "not an object")),
        ("rows.json", '[{"a":1}\n,\n]', (3, "", "not an object")),
        ("rows.json", '[{"a":1}\n{"a":2}]', (2, "", "a comma is missing between two objects")),
        ("rows.json", '[{"a":1},\n', (2, "", "the array is not closed")),
        ("rows.json", '[{"a":1}]\n{"a":1}', (2, "", "something follows the array")),
        ("rows.json", '[,{"a":1}]', (1, "", "not an object")),
        ("rows.json", '[\n{"a":1,\n"a":2}]', (2, "a", "the object has this key twice")),
    ],
)
def test_what_is_not_right_is_named_by_its_line(
    name: str, data: str | bytes, expected: tuple[int, str, str], tmp_path: Path
) -> None:
    assert fault(tmp_path, data, name) == expected


def test_two_objects_on_a_line_are_refused(tmp_path: Path) -> None:
    line, _, reason = fault(tmp_path, '{"a":1}\n{"a":1} {"a":2}\n', "rows.jsonl")
    assert (line, reason[:14]) == (2, "not valid JSON")


@pytest.mark.parametrize("data", [r'{"a":"\ud800"}', r'{"a":"\udc00x"}', r'{"a":["\ud800"]}'])
def test_half_a_surrogate_pair_is_refused_in_text(data: str, tmp_path: Path) -> None:
    assert fault(tmp_path, f'{{"a":1}}\n{data}', "rows.jsonl")[0] == 2


@pytest.mark.parametrize("data", ["", "\n", "[]", " [ ] "])
def test_no_objects_are_no_rows(data: str, tmp_path: Path) -> None:
    assert rows(opened(tmp_path, data, "rows.json")) == []


def test_objects_one_after_another_may_span_lines(tmp_path: Path) -> None:
    data = '\ufeff{\n "a": [1,\n 2]\n}\n\n{"a": "x"}{"a":3}'
    source = opened(tmp_path, data, "rows.json")
    assert [json.loads(row["a"] or "") if row["a"] != "x" else "x" for row in rows(source)] == [
        [1, 2],
        "x",
        3,
    ]
    assert [source.line_of(record) for record in range(1, 5)] == [1, 6, 6, 0]


def test_a_record_of_json_lines_is_found_by_its_line(tmp_path: Path) -> None:
    source = opened(tmp_path, '{"a":1}\r\n\r\n{"a":2}\n')
    assert rows(source) == [{"a": "1"}, {"a": "2"}]
    assert [source.line_of(record) for record in range(1, 4)] == [1, 3, 0]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab:", max_size=2), inner, max_size=3)
    ),
    max_leaves=5,
)
objects = st.lists(
    st.dictionaries(st.text('abé:"', min_size=1, max_size=2), values, max_size=4), max_size=6
)


@MANY
@given(objects, st.booleans(), st.sampled_from([None, 1]))
def test_what_another_writer_wrote_is_read_back(
    tmp_path: Path, table: list[dict[str, Any]], ascii_only: bool, indent: int | None
) -> None:
    def text(value: Any) -> str:
        return json.dumps(value, ensure_ascii=ascii_only, indent=indent)

    def meant(value: Any) -> Any:
        return value if value is None or isinstance(value, str) else json.dumps(value)

    names = list(dict.fromkeys(name for row in table for name in row))
    expected = [{name: meant(row.get(name)) for name in names} for row in table] if names else []
    whole = opened(tmp_path, text(table), "rows.json")
    found = [[dict(row) for row in rows(whole)]]
    if indent is None:
        found.append(rows(opened(tmp_path, "\n".join(map(text, table)))))
    for one in found:
        for row, want in zip(one, expected, strict=True):
            for name, value in row.items():
                is_text = value is None or value == want[name]
                assert is_text or json.loads(value or "") == json.loads(want[name] or "")


def test_objects_across_blocks_arrive_in_order(tmp_path: Path) -> None:
    table = [{"id": at, "text": "x" * (at % 300), "list": [at, "y"]} for at in range(12_000)]
    large = {"id": -1, "text": "é\n" * 1_000_000, "list": None}
    for name, data in (
        ("rows.json", json.dumps([*table, large, *table])),
        ("rows.jsonl", "\n".join(json.dumps(row) for row in [*table, large, *table])),
    ):
        found = rows(opened(tmp_path, data, name))
        assert [row["id"] for row in found] == [str(row["id"]) for row in [*table, large, *table]]
        assert found[12_000]["text"] == large["text"]
