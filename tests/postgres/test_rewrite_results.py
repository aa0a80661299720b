"""What a function returned is in the table as it was returned, in the rows that it was for; or it
is refused, and the error names function, batch, column and row, and shows no value."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions import Call, calling
from rewrites import done, fill, problems, rows, run
from servers import Database
from windlass.model.outcome import Outcome, State

pytest.importorskip("pyarrow")
pytest.importorskip("adbc_driver_postgresql")

Make = Callable[[int], Database]
CODES = """
create domain positive as int check (value > 0);
alter table message add qty int default 1, add ratio double precision default 1.5,
    add code varchar(3) default 'a', add moment timestamp(0) default '2026-01-01',
    add at timestamptz default '2026-01-01', add few positive default 1;
"""


@pytest.fixture
def messages(database: Make) -> Database:
    found = fill(database(16))
    found.run(CODES)
    return found


@pytest.fixture
def call() -> Iterator[Call]:
    with calling() as given:
        yield given


def refused(database: Database, words: dict[str, Any]) -> Outcome:
    """The run stops before a row has changed."""
    before = rows(database)
    outcome = run(database, words)
    assert outcome.state is State.STOPPED, outcome
    assert "function functions_of_a_test:function" in outcome.reason.message
    assert rows(database) == before
    return outcome


@pytest.mark.parametrize(
    ("frame", "function"),
    [
        ("pandas", lambda f: f.sort_values("total").iloc[::-1].reset_index(drop=True)[["body"]]),
        ("polars", lambda f: f.sort("body", descending=True).select("body")),
        ("arrow", lambda t: t.sort_by([("body", "descending")]).select(["body"])),
    ],
)
def test_values_never_move_to_other_rows(
    frame: str, function: Any, messages: Database, call: Call
) -> None:
    outcome = refused(messages, call(function, frame, batch_rows=12))
    assert "batch 1: it cannot be known which of its rows is which" in outcome.reason.message
    assert "return message_id too" in outcome.reason.hint
    assert "order: trusted" in outcome.reason.hint


def test_a_spec_may_trust_the_order_of_a_function(messages: Database, call: Call) -> None:
    def function(table: Any) -> Any:
        return table.select(["body"])

    assert done(messages, call(function, order="trusted")).totals.counts["written"] == 20


@pytest.mark.parametrize("frame", ["pandas", "polars", "arrow"])
def test_without_an_id_the_rows_numbers_are_proof(
    frame: str, messages: Database, call: Call
) -> None:
    def function(rows: Any) -> Any:
        if frame == "pandas":
            return rows[["body"]] + "!"
        kept = rows.select(["windlass_row", "body"])
        assert kept["windlass_row"].to_pylist() if frame == "arrow" else True
        return kept

    words = {"id": None, "stamp": None, "select": "message_id <= 10"}
    outcome = done(messages, {**call(function, frame, batch_rows=4), **words})
    is_changed = frame == "pandas"
    assert outcome.totals.counts["written"] == (10 if is_changed else 0)
    assert outcome.totals.counts.get("unchanged", 0) == (0 if is_changed else 10)
    wanted = [(f"body {n}" + ("!" if frame == "pandas" else ""),) for n in range(1, 11)]
    assert rows(messages, "body", "message_id <= 10") == wanted


def late(column: str, value: object) -> Callable[[Any], Any]:
    """Changes one value, in the third row of the second batch: of message 20, the tenth."""

    def function(frame: Any) -> Any:
        kept = frame[["message_id", column]].astype({column: object})
        kept.loc[kept["message_id"] == 20, column] = value
        return kept.astype({column: type(value)}) if isinstance(value, float) else kept

    return function


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("qty", 1.6, "batch 2: column qty: double that integer cannot hold unchanged, in row 10"),
        ("ratio", float("nan"), "batch 2: column ratio: NaN that may mean NULL, in row 10"),
        ("qty", 2**40, "column qty: int64 that integer cannot hold unchanged, in row 10"),
        ("total", 987.654, "column total, row 10: more digits or blanks than numeric(10,2) keeps"),
        ("code", "wxyz", "column code, row 10: value too long"),
        ("code", "xy   ", "column code, row 10: more digits or blanks than character varying(3)"),
        ("moment", "2026-01-01 12:34:56.789", "column moment, row 10: more digits or blanks"),
        ("few", -77, "column few, row 10: value for domain positive violates"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_row(
    column: str, value: object, said: str, messages: Database, call: Call
) -> None:
    outcome = refused(messages, call(late(column, value), "pandas", batch_rows=7))
    assert said in outcome.reason.message
    assert str(value) not in outcome.reason.message + outcome.reason.hint
    assert "has the ordinal 10 in windlass.rewrite_" in outcome.reason.hint


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda f: f.assign(qty=f["qty"] > 0), "column qty: bool, where the column is integer"),
        (lambda f: f.assign(at=f["at"].astype("datetime64[us, UTC]").dt.tz_localize(None)),
         "column at: timestamp[us], where the column is timestamp with time zone"),
        (lambda f: f.assign(code=5), "column code: int64, where the column is character varying"),
    ],
)  # fmt: skip
def test_values_of_another_type_are_refused(
    function: Any, said: str, messages: Database, call: Call
) -> None:
    assert said in refused(messages, call(function, "pandas")).reason.message


def test_nan_that_was_there_before_stays(messages: Database, call: Call) -> None:
    messages.run("update message set ratio = 'NaN' where message_id in (2, 4)")
    messages.run("update message set ratio = null where message_id = 6")

    def function(frame: Any) -> Any:
        return frame.assign(ratio=frame["ratio"].astype("float64"), body="new")

    done(messages, call(function, "pandas"))
    found = rows(messages, "ratio::text", "message_id in (2, 4, 6, 8)")
    assert found == [("NaN",), ("NaN",), (None,), ("1.5",)]


def test_floats_with_noise_of_binary_arithmetic_fit_a_scale(messages: Database, call: Call) -> None:
    words = call(lambda frame: frame.assign(total=1.1 * 3), "pandas", select="message_id = 2")
    done(messages, words)
    assert rows(messages, "total::text", "message_id = 2") == [("3.30",)]


def leaves(_: Any) -> Any:
    sys.exit(3)


def interrupts(_: Any) -> Any:
    raise KeyboardInterrupt


def twice(frame: Any) -> Any:
    return frame[["message_id", "body", "body"]]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (leaves, "batch 1: SystemExit in test_rewrite_results.py, line "),
        (interrupts, "batch 1: KeyboardInterrupt in test_rewrite_results.py, line "),
        (twice, "batch 1: gave a column twice: body"),
        (lambda frame: (row for row in frame), "batch 1: gave a generator, not a frame"),
        (lambda frame: None, "batch 1: gave a NoneType, not a frame"),
        (lambda frame: frame["body"], "batch 1: gave a Series, not a frame"),
    ],
)
def test_a_function_that_ends_otherwise_is_named(
    function: Any, said: str, messages: Database, call: Call
) -> None:
    assert said in refused(messages, call(function, "pandas")).reason.message


def test_a_module_that_leaves_when_it_is_imported_is_refused(
    messages: Database, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaves_at_once.py").write_text("import sys\nsys.exit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    said = problems(messages, {"function": "leaves_at_once:clean"})
    assert "cannot be imported: SystemExit" in said


def test_a_column_may_have_the_name_of_the_rows_numbers_or_of_ours(
    messages: Database, call: Call
) -> None:
    messages.run("alter table message add ordinal int default 5, add windlass_row text default 'a'")

    def function(table: Any) -> Any:
        assert table.column_names[-1] == "windlass_row_"
        assert set(table["ordinal"].to_pylist()) == {5}
        return table

    assert done(messages, call(function)).totals.counts["written"] == 20
