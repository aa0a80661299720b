"""What an input says arrives in a table as it is, on every target, or is refused by file, record
and column. Never cut, rounded, or NULL in its place."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines import never
from landing_targets import (
    TARGETS,
    Target,
    begin,
    duckdb_target,
    load,
    new_run,
    over_targets,
    planned,
    postgres_target,
    sqlite_target,
    words_of,
)
from landings import Records, Typed
from rooms import make_room
from servers import Database
from windlass.errors import BadRecord
from windlass.model.export import Column, Kind
from windlass.model.load import BadRules, Expect, Expectation


@pytest.fixture
def target(request: pytest.FixtureRequest, database: Callable[[int], Database]) -> Iterator[Target]:
    if request.param == "postgresql":
        yield postgres_target(database(18))
        return
    room = make_room()
    make = sqlite_target if request.param == "sqlite" else duckdb_target
    yield make(room)
    shutil.rmtree(room)


GOOD: dict[str, list[tuple[str, str]]] = {  # and how the target writes them
    "int": [("0", "0"), ("-9223372036854775808", "-9223372036854775808"), ("+7", "7")],
    "decimal": [("1.50", "1.5"), ("-0.01", "-0.01"), ("999999.99", "999999.99"), ("7", "7"),
                ("0.0000", "0"), ("1.0000", "1")],
    "float": [("0.1", "0.1"), ("-1e300", "-1e+300"), ("5", "5.0")],
    "text": [("", ""), ("  a ", "  a "), ("007", "007"), ("NULL", "NULL"), ("1e5", "1e5"),
             ("line\nbreak, \"quoted\" 'x' ü€😀", "line\nbreak, \"quoted\" 'x' ü€😀")],
    "bool": [("true", "1"), ("f", "0"), ("TRUE", "1"), ("0", "0")],
    "date": [("2024-02-29", "2024-02-29")],
    "moment": [("2024-02-29 23:59:59.123456", "2024-02-29 23:59:59.123456"),
               ("2024-01-01T00:00:00", "2024-01-01 00:00:00")],
    "time": [("23:59:59", "23:59:59")],
}  # fmt: skip
SHOWN = {  # a value's text, the same on every target
    "decimal": "rtrim(rtrim(cast({} as {text}), '0'), '.')",
    "bool": "case when {} then '1' else '0' end",
}


@over_targets()
@pytest.mark.parametrize("type_", GOOD)
def test_a_value_arrives_as_it_is(type_: str, target: Target) -> None:
    target.fresh("kept", f"id {{int}}, v {{{type_}}}")
    values = GOOD[type_]
    source = Records(("id", "v"), [(str(at), text) for at, (text, _) in enumerate(values)])
    with target.open() as landing:
        load(landing, new_run(), planned(landing, "kept", words_of("append"), source), source)
    found = [str(value) for _, value in sorted(target.rows("select id, v from kept"))]
    assert [_plain(type_, one) for one in found] == [wanted for _, wanted in values]


def _plain(type_: str, shown: str) -> str:
    """As Python writes it, however the driver gives it."""
    if type_ == "decimal" and "." in shown:
        return shown.rstrip("0").rstrip(".")
    return {"True": "1", "False": "0"}.get(shown, shown) if type_ == "bool" else shown


BAD = {
    "int": ["1.0", "1.5", "", " 1", "1_000", "1e3", "0x1f", "9223372036854775808", "abc"],
    "decimal": ["1.005", "1000000", "1,5", "", "abc", "1.2.3"],
    "float": ["", "abc", "1e999", "1,5"],
    "bool": ["2", "", "truth"],
    "date": ["2024-02-30", "2024-01-01 12:00", "01.02.2024", "2024-13-01", ""],
    "moment": ["2024-02-30 00:00", "yesterday-ish", "2024-01-01 25:00", "", "x"],
    "time": ["25:00:00", "", "noonish"],
    "uuid": ["abc", ""],
    "json": ["{", "nope"],
    "short": ["123456", "äöüßéx"],
}
LAX = {  # what PostgreSQL reads, as its COPY does, without a loss
    ("int", " 1"), ("int", "1_000"), ("int", "0x1f"), ("bool", "truth"),
}  # fmt: skip


def _takes(target: str, type_: str, value: str) -> bool:
    if target == "duckdb":
        return type_ == "short"  # it has no lengths of texts
    return target == "postgresql" and (type_, value) in LAX


@pytest.mark.parametrize(
    ("type_", "value", "target"),
    [
        (type_, value, name)
        for type_, values in BAD.items()
        for value in values
        for name in TARGETS
        if not _takes(name, type_, value)
    ],
    indirect=["target"],
)
def test_a_bad_value_is_refused_by_file_record_and_column(
    type_: str, value: str, target: Target
) -> None:
    target.fresh("kept", f"id {{int}}, v {{{type_}}}")
    source = Records(("id", "v"), [("1", None), ("2", value), ("3", None)], "bad.csv")
    with target.open() as landing:
        run = new_run()
        begin(landing, run)
        what = planned(landing, "kept", words_of("append"), source)
        with pytest.raises(BadRecord) as caught:
            landing.stage(run, what, 0, source)
        (bad,) = caught.value.bad
        assert (bad.place, bad.record, bad.line, bad.column) == ("bad.csv", 2, 3, "v")
        assert not value or len(value) < 4 or value not in str(caught.value)
    assert target.rows("select * from kept") == []


@over_targets()
def test_a_null_where_none_can_be_is_a_bad_value(target: Target) -> None:
    target.fresh("kept", "id {int} primary key, v {int} not null")
    source = Records(("id", "v"), [("1", "1"), ("2", None)])
    with target.open() as landing:
        run = new_run()
        begin(landing, run)
        what = planned(landing, "kept", words_of("append"), source)
        with pytest.raises(BadRecord) as caught:
            landing.stage(run, what, 0, source)
    assert [(one.record, one.column) for one in caught.value.bad] == [(2, "v")]


@over_targets()
def test_up_to_a_number_of_bad_records_are_set_aside(target: Target) -> None:
    target.fresh("kept", "id {int}, v {int}")
    first = Records(("id", "v"), [("1", "1"), ("x", "y"), ("3", "3")], "a.csv")
    second = Records(("id", "v"), [("4", "4"), ("5", "?")], "b.csv")
    with target.open() as landing:
        what = planned(landing, "kept", words_of("append"), first, second)
        two = replace(what, bad=BadRules(most=2, shows_values=True))
        counts = load(landing, new_run(), two, first, second)
        assert (counts.read, counts.inserted, counts.refused) == (5, 3, 2)
    assert sorted(target.rows("select id, v from kept")) == [(1, 1), (3, 3), (4, 4)]


@over_targets()
def test_one_bad_record_too_many_of_all_inputs_stops_the_load(target: Target) -> None:
    target.fresh("kept", "id {int}")
    first, second = Records(("id",), [("x",)], "a.csv"), Records(("id",), [("y",)], "b.csv")
    with target.open() as landing:
        rules = BadRules(most=1)
        what = planned(landing, "kept", words_of("append"), first, second, bad=rules)
        run = new_run()
        begin(landing, run)
        assert landing.stage(run, what, 0, first).refused == 1
        with pytest.raises(BadRecord):
            landing.stage(run, what, 1, second)
        landing.clean_up(run, what)


@over_targets()
def test_values_of_another_type_arrive_exactly_or_not_at_all(target: Target) -> None:
    target.fresh("kept", "id {int}, v {int}, t {text}")

    def typed(values: list[float], kind: Kind, type_: pa.DataType) -> Typed:
        columns = [Column("id", "", Kind.INT64), Column("v", "", kind), Column("t", "", Kind.TEXT)]
        numbers = pa.array(range(len(values)), pa.int64())
        texts = pa.array(["x"] * len(values), pa.string())
        batch = pa.record_batch([numbers, pa.array(values, type_), texts], names=["id", "v", "t"])
        return Typed(columns, batch)

    with target.open() as landing:
        good = typed([1, -5], Kind.INT16, pa.int16())
        load(landing, new_run(), planned(landing, "kept", words_of("append"), good), good)
        for wrong in ([1.5], [1e300]):
            bad = typed(wrong, Kind.FLOAT64, pa.float64())
            run = new_run()
            begin(landing, run)
            what = planned(landing, "kept", words_of("append"), bad)
            with pytest.raises(BadRecord):
                landing.stage(run, what, 0, bad)
    assert sorted(target.rows("select id, v, t from kept")) == [(0, 1, "x"), (1, -5, "x")]


some_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@over_targets()
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=settings().max_examples // 4,
)
@given(
    rows=st.lists(
        st.tuples(
            some_text,
            st.floats(allow_nan=False, allow_infinity=False),
            st.decimals("-999999.99", "999999.99", places=2),
            st.integers(-(2**63), 2**63 - 1),
            st.dates(),
        ),
        max_size=8,
    )
)
def test_any_value_of_a_type_comes_back(target: Target, rows: list[Any]) -> None:
    target.fresh("kept", "id {int}, t {text}, f {float}, d {decimal}, i {int}, day {date}")
    records = [
        (str(at), text, repr(number), format(exact, "f"), str(whole), day.isoformat())
        for at, (text, number, exact, whole, day) in enumerate(rows)
    ]
    source = Records(("id", "t", "f", "d", "i", "day"), records)
    with target.open() as landing:
        load(landing, new_run(), planned(landing, "kept", words_of("append"), source), source)
    found = [row[1:] for row in sorted(target.rows("select id, t, f, d, i, day from kept"))]
    assert [(t, f, i, str(day)) for t, f, _, i, day in found] == [
        (t, f, i, day.isoformat()) for t, f, _, i, day in rows
    ]
    assert [round(float(d) * 100) for _, _, d, _, _ in found] == [
        int(d * 100) for _, _, d, _, _ in rows
    ]


@over_targets(duckdb=never("no length of a text is kept"))
def test_a_length_is_that_of_characters(target: Target) -> None:
    target.fresh("kept", "id {int}, v {short}")
    source = Records(("id", "v"), [("1", "äöüßé")])
    with target.open() as landing:
        table = landing.table("kept")
        assert table is not None
        column = table.column("v")
        assert column is not None and column.longest == 5
        load(landing, new_run(), planned(landing, "kept", words_of("append"), source), source)
    assert target.rows("select v from kept") == [("äöüßé",)]


@over_targets()
def test_rows_that_fail_are_kept_on_wish(target: Target) -> None:
    target.fresh("kept", "id {int}, v {int}")
    source = Records(("id", "v"), [("1", "1"), ("2", "-2")])
    expect = [Expectation(Expect.RANGE, ("v",), low="0")]
    with target.open() as landing:
        what = planned(
            landing, "kept", words_of("append"), source, expect=expect,
            bad=BadRules(keeps_failing=True),
        )  # fmt: skip
        run = new_run()
        begin(landing, run)
        landing.stage(run, what, 0, source)
        assert [one.rows for one in landing.check(run, what)] == [1]
        landing.clean_up(run, what)
    assert len(_failing(target)) == 1


def _failing(target: Target) -> list[tuple[Any, ...]]:
    if target.name != "postgresql":
        return target.rows("select fields from _windlass_failing")
    ((table,),) = target.rows(
        "select relname from pg_class where relname like 'refused_%_expected'"
    )
    return target.rows(f"select * from windlass.{table}")
