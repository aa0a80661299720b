"""Values that a table's columns cannot keep exactly: each is named by line and column, and stops
the load or is set aside; none becomes another value."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pyarrow as pa
import pytest

from landings import Loads, Record, Records, Typed, load_of, words
from servers import Database
from windlass.errors import BadRecord
from windlass.model.export import Column, Kind
from windlass.model.load import Assigned, BadRules

VERSIONS = [12, 15, 16, 18]
TABLE = """
create type public.mood as enum ('good', 'bad');
create domain public.short as varchar(3);
create domain public.even as integer check (value % 2 = 0);
create domain public.born as date;
create domain public.moment as timestamp(3);
create domain public.note as jsonb;
create table public.kept (
    id integer not null, small smallint, total numeric(6,2), name varchar(4), code char(3),
    day date, at timestamp, zoned timestamptz(3), clock time, mood public.mood, even public.even,
    short public.short, doc jsonb, flag boolean, token uuid, raw bytea, since timestamptz,
    born public.born, moment public.moment, sums numeric(6,2)[], words varchar(3)[], days date[],
    moments timestamp[], span daterange, shift tsrange, wait interval, ratio real,
    zclock timetz, docs jsonb[], note public.note
);
"""
# column, good texts, bad texts, part of the reason
CASES: list[tuple[str, list[str], list[str], str]] = [
    ("small", ["1", " -5 "], ["", "1.5", "x"], "not a valid smallint"),
    ("small", ["32767"], ["32768"], "out of range for smallint"),
    ("total", ["1.50", "9999.99", "1.5000"], ["1.505"], "more digits after the point"),
    ("total", ["-9999.99"], ["10000"], "out of range for numeric(6,2)"),
    ("name", ["abcd", "", "ääää"], ["abcde", "ab   "], "too long for character varying(4)"),
    ("code", ["abc", "ab ", "a    "], ["abcd"], "too long for character(3)"),
    ("day", ["2024-02-29", "2024-02-29 00:00:00"], ["2024-02-29 10:00"], "a time of day"),
    ("day", ["infinity"], ["2024-02-30", "the first"], "date"),
    ("day", ["2024-02-29T00:00", "29 Feb 2024"], ["20240229T103000", "Feb 29 2024 1030"], "of day"),
    ("day", ["20240229", "2024/02/09"], ["01.02.2024", " 01/02/2024", "1-2-2024"], "exchanged"),
    ("at", ["2024/02/09 10:00", "9 Feb 2024 10:00"], ["01/02/2024 10:00"], "exchanged"),
    ("since", ["2024-02-09 10:00+02", "20240209T100000Z"], ["01.02.2024 10:00"], "exchanged"),
    ("at", ["2024-01-01 10:00:00.123456"], ["2024-01-01 10:00+02"], "time zone"),
    ("at", ["2024-01-01T10:00:00", "Jan 1 10:00 2024", "2024-01-01 10:00 PM"],
     ["2024-01-01T10:00:00Z", "2024-01-01 10:00 CET", "20240101T100000+02"], "time zone"),
    ("at", ["2024-01-01 10:00:00.1234560"], ["2024-01-01 10:00:00.1234567"], "6 digits of"),
    ("since", ["2024-01-01 10:00:00.1234560Z"], ["2024-01-01 10:00:00.1234567Z"], "6 digits"),
    ("clock", ["10:00:00.123456"], ["10:00:00.1234567"], "6 digits of a second"),
    ("wait", ["1.5 s", "1 day"], ["1.1234567 s"], "6 digits of a second"),
    ("born", ["2024-02-29"], ["2024-02-29 10:00"], "a time of day"),
    ("born", [], ["01.02.2024"], "exchanged"),
    ("moment", ["2024-01-01 10:00:00.123"], ["2024-01-01 10:00:00.1234"], "digits of seconds"),
    ("moment", [], ["2024-01-01 10:00+02"], "time zone"),
    ("sums", ["{1.230,NULL}", "{}"], ["{1.5,1.234}"], "would change"),
    ("words", ["{abc,NULL}"], ["{abcd}"], "would change"),
    ("days", ["{2024-02-29,2400-01-01}"], ["{2024-02-29 10:00}", '{"Feb 29 2024 2300"}'], "of day"),
    ("days", ["{2024-02-29,NULL}"], ["{2024-02-29,01.02.2024}"], "exchanged"),
    ("moments", ['{"2024-01-01 10:00",NULL}'], ['{"2024-01-01 10:00+02"}'], "time zone"),
    ("span", ["[2024-01-01,2024-02-01)", "empty"], ["[2024-01-01 10:00,2024-02-01)"], "of day"),
    ("shift", ["[2024-01-01 10:00,)"], ["[2024-01-01 10:00+02,)"], "time zone"),
    ("zoned", ["2024-01-01 10:00:00.123+02"], ["2024-01-01 10:00:00.1234+02"], "digits of seconds"),
    ("clock", ["10:00", "24:00"], ["10:00+02"], "a time zone"),
    ("at", ["2024-01-01 23:59:59", "1 Jan 2400", "Jan 1 2400 10:00", "2400-01-01 10:24:00"],
     ["2024-01-01 24:00:00", "2024-01-01T24:00", "20240101T240000", "20240101 2400",
      "1 Jan 2024 24:00", "2024-01-01 240000", "2024-01-01 24:0:0"],
     "24:00, which becomes the next day"),
    ("at", ["2024-01-01 10:00:06", "2024-01-01 235906", "20240101T100006"],
     ["2024-01-01 23:59:60", "20240101T235960", "2024-01-01 235960", "20240101 235960.5"],
     "a second 60"),
    ("since", ["2024-01-01 23:59:59Z", "2024-01-01 10:00:00+01:06"],
     ["2024-01-01 24:00:00Z", "20240101T240000Z"], "24:00, which"),
    ("since", [], ["2024-01-01 23:59:60Z", "2024-01-01 23:59:60-08:00"], "a second 60"),
    ("zoned", ["2024-01-01 00:00:00.5+02"], ["2024-01-01 24:00:00+02"], "24:00, which"),
    ("moment", [], ["2024-01-01 23:59:60"], "a second 60"),
    ("moments", [], ['{NULL,"2024-01-01 24:00"}'], "24:00, which"),
    ("shift", [], ["[2024-01-01 10:00,2024-01-01 24:00]"], "24:00, which"),
    ("at", [], ["2024-01-01 12:34.5"], "without hours"),
    ("clock", ["10:00 PM", "100000"], ["23:59:60", "235960", "T235960"], "a second 60"),
    ("clock", [], ["12:34.5"], "without hours"),
    ("clock", ["10:00:00.1234560"], ["2024-01-01 10:00", "2024/01/01 10:00"],
     "a day, which"),
    ("zclock", ["10:00:00.5-02", "24:00+00"], ["2024-01-01 10:00+02"], "a day, which"),
    ("zclock", [], ["23:59:60+00"], "a second 60"),
    ("zclock", ["10:00:00 MART", "10:00 NOVT"], ["01-March-2024 10:00+02"], "a day, which"),
    ("at", ["100060-01-01 00:00:00", "2024-01-01 100059"], ["2024-01-01 100060"], "a second 60"),
    ("at", ["Mon Jan 1 10:00 2400", "10:00 Jan 1 2400", "Jan 1 2024 2359", "2400 Jan 1 10:00"],
     ["Jan 1 2024 2400", "1 Jan 2024 240000", "2024 January 1 2400", "Jan 1, 2024, 2400"], "24:00"),
    ("at", [], ["01-Jan-2024 2400", "J2460311 2400", "2024-01-01 at 2400"], "24:00, which"),
    ("at", ["2024-01-01 1030"], ["2024-01-01 1030+02", "Jan 1 2024 1030+02"], "a time zone"),
    ("shift", ["[2024-01-01, 2400 Jan 1)"], ["[2024-01-01, Jan 1 2024 2400)"], "24:00, which"),
    ("mood", ["good"], ["Good"], "not a valid"),
    ("even", ["2"], ["3"], "check constraint"),
    ("short", ["abc"], ["abcd"], "too long"),
    ("doc", ['{"a": 1}'], ["{a: 1}"], "not a valid jsonb"),
    ("doc", ['{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}', '{"a": "\\"a\\":", "b": "\\u0022:"}'],
     ['{"a": 1, "a": 2}', '[0, {"b": [{"a": 1, "\\u0061": 1}]}]',
      '{"b": "\\u0022:", "a": 1, "a": 2}', '{"b": "\\u003A", "a": 1, "a": 2}'],
     "a key twice in one object"),
    ("doc", ['"\\u0001"'], ['"\\u0000"'], "Unicode escape"),
    ("docs", ['{"{\\"a\\": {\\"a\\": 1}}",NULL}', "{{1},{2}}", "{}"],
     ['{"{\\"a\\": 1, \\"a\\": 2}"}', '{{1},{"[{\\"a\\": 1, \\"a\\": 1}]"}}'], "a key twice"),
    ("docs", [], ["{a}"], "not a valid jsonb[]"),
    ("note", ['{"a": {"a": 1}}'], ['{"a": 1, "a": 2}'], "a key twice"),
    ("note", [], ["{a: 1}"], "not a valid"),
    ("flag", ["yes", "f"], ["2"], "not a valid boolean"),
    ("token", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], ["a0ee"], "not a valid uuid"),
    ("raw", ["\\x00ff"], ["\\x0"], "hexadecimal"),
    ("id", ["1"], ["99999999999"], "out of range for integer"),
]  # fmt: skip


@pytest.fixture
def loads(database: Callable[[int], Database], request: pytest.FixtureRequest) -> Iterator[Loads]:
    made = database(getattr(request, "param", 16))
    made.run(TABLE)
    with Loads(made) as found:
        yield found


NAMES = ("id", "small", "total", "name", "code", "day", "at", "zoned", "clock", "mood", "even",
         "short", "doc", "flag", "token", "raw", "since", "born", "moment", "sums", "words",
         "days", "moments", "span", "shift", "wait", "zclock",
         "docs", "note")  # fmt: skip


def _record(column: str, text: str) -> Record:
    values: dict[str, str | None] = {**dict.fromkeys(NAMES), "id": "1", column: text}
    return tuple(values.values())


@pytest.mark.parametrize("loads", VERSIONS, indirect=True)
def test_a_value_that_a_column_cannot_keep_is_named_by_line_and_column(loads: Loads) -> None:
    bad = [(column, text, why) for column, _, texts, why in CASES for text in texts]
    records = [
        record for column, text, _ in bad for record in (_record("id", "1"), _record(column, text))
    ]
    load = load_of(
        loads.table("public.kept"),
        words("append"),
        Records(NAMES, records),
        bad=BadRules(most=len(bad) - 1),
    )
    with pytest.raises(BadRecord) as caught:
        loads.landing.stage(loads.begin(), load, 0, Records(NAMES, records))
    found = {one.record: one for one in caught.value.bad}
    assert "".join(one.value for one in found.values()) == "", "only shown if that is asked for"
    load = replace(load, bad=BadRules(most=len(bad)))
    run = loads.begin()
    staged = loads.landing.stage(run, load, 0, Records(NAMES, records))
    assert (staged.rows, staged.refused) == (len(bad), len(bad))
    (name,) = loads.database.rows("select relname from pg_class where relname like 'refused%'")[0]
    table = f'select record, field, reason from windlass."{name}" order by record'
    aside = loads.database.rows(table)
    for at, ((column, text, why), (record, field, reason)) in enumerate(
        zip(bad, aside, strict=True)
    ):
        assert (record, field) == (2 * at + 2, column), text
        assert why in reason, (column, text)


@pytest.mark.parametrize("loads", VERSIONS, indirect=True)
def test_good_values_arrive_as_they_are(loads: Loads) -> None:
    good = [(column, text) for column, texts, _, _ in CASES for text in texts if column != "id"]
    records = [_record(column, text) for column, text in good]
    for is_raw in (False, True):
        loads.run("public.kept", words("append"), Records(NAMES, records, is_raw=is_raw))
        for at, (column, text) in enumerate(good):
            found = f"select {column}::text from public.kept order by ctid offset {at} limit 1"
            wanted = f"select (%s::{_type(loads, column)})::text"
            assert loads.database.value(found) == loads.database.value(wanted, [text]), text
        loads.database.run("truncate public.kept")


def _type(loads: Loads, column: str) -> str:
    return str(
        loads.database.value(
            "select format_type(atttypid, atttypmod) from pg_attribute"
            " where attrelid = 'public.kept'::regclass and attname = %s",
            [column],
        )
    )


@pytest.mark.parametrize("is_raw", [False, True])
@pytest.mark.parametrize("loads", [15, 18], indirect=True)
def test_up_to_so_many_rows_are_set_aside_with_their_reasons(loads: Loads, is_raw: bool) -> None:
    records: list[Record] = [
        ("1", "a", "1"), ("x", "b", "2"), ("3", "toolong", "3"), ("4", "d", "y"), (None, "e", "5"),
        ("6", "f", "6"), ("7", "g", "1.005"),
    ]  # fmt: skip
    source = Records(("id", "name", "total"), records, is_raw=is_raw)
    loaded = loads.run(
        "public.kept", words("append"), source, bad=BadRules(most=5, shows_values=True)
    )
    assert loads.database.rows("select id, name from public.kept order by id") == [
        (1, "a"),
        (6, "f"),
    ]
    assert (loaded.counts.read, loaded.counts.inserted, loaded.counts.refused) == (7, 2, 5)
    assert loaded.staged[0].refused == 5
    (table,) = loads.database.rows(
        "select relname from pg_class where relname like 'refused%' and relkind = 'r'"
    )
    found = loads.database.rows(
        f"select record, field, fields->>'total' from windlass.\"{table[0]}\" order by record"
    )
    wanted = [
        (2, "id", "2"),
        (3, "name", "3"),
        (4, "total", "y"),
        (5, "id", "5"),
        (7, "total", "1.005"),
    ]
    assert found == wanted
    assert [(one.record, one.line, one.value) for one in loaded.staged[0].bad][:2] == [
        (2, 3, "x"),
        (3, 4, "toolong"),
    ]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("day", "2024-02-29 10:00"),
        ("day", "01.02.2024"),
        ("at", "2024-02-29 10:00+02"),
        ("since", "2024-02-29 10:00:00.1234567"),
    ],
)
def test_a_text_of_a_database_is_looked_at_as_one_of_a_file(
    column: str, text: str, loads: Loads
) -> None:
    columns = [Column("id", "", Kind.INT32), Column(column, "", Kind.TEXT)]
    batch = pa.record_batch({"id": pa.array([1], pa.int32()), column: pa.array([text])})
    for at_once in (False, True):
        with pytest.raises(BadRecord) as caught:
            loads.run("public.kept", words("append"), Typed(columns, batch), at_once=at_once)
        assert [one.column for one in caught.value.bad] == [column]
    assert loads.database.value("select count(*) from public.kept") == 0


@pytest.mark.parametrize("is_raw", [False, True])
def test_dates_of_which_a_setting_would_choose_the_day_are_refused(
    is_raw: bool, loads: Loads
) -> None:
    """Also if rows are only added, by one COPY into the table, and whatever the role prefers."""
    loads.database.run(f"alter database {loads.database.name} set datestyle = 'ISO, DMY'")
    for column in ("day", "at", "since"):
        source = Records(("id", column), [("1", "2024-02-01"), ("2", "01.02.2024")], is_raw=is_raw)
        with pytest.raises(BadRecord) as caught:
            loads.run("public.kept", words("append"), source, at_once=True)
        (bad,) = caught.value.bad
        assert (bad.record, bad.column) == (2, column)
        assert "exchanged" in bad.reason
    assert loads.database.value("select count(*) from public.kept") == 0


def test_what_may_be_set_aside_is_of_all_inputs_together(loads: Loads) -> None:
    sources = [Records(("id", "name"), [("x", "a"), (str(at), "b")]) for at in range(3)]
    with pytest.raises(BadRecord):
        loads.run("public.kept", words("append"), *sources, bad=BadRules(most=2))
    counts = loads.run("public.kept", words("append"), *sources, bad=BadRules(most=3)).counts
    assert (counts.inserted, counts.refused) == (3, 3)


def test_inputs_that_are_staged_side_by_side_set_aside_no_more_together(loads: Loads) -> None:
    """Neither finds the other's in the journal when it begins."""
    begun = threading.Barrier(2, timeout=60)

    class Beside(Records):
        def batches(self) -> Iterator[pa.RecordBatch]:
            yield from super().batches()
            if begun.n_waiting or not begun.broken:
                with suppress(threading.BrokenBarrierError):
                    begun.wait()
                begun.abort()  # the second reading, as texts, waits for nobody

    sources = [Beside(("id", "name"), [("x", "a"), ("1", "b")], place=at) for at in "ab"]
    load = load_of(loads.table("public.kept"), words("append"), sources[0], bad=BadRules(most=1))
    load = replace(load, inputs=("a", "b"))
    run = loads.begin()
    with ThreadPoolExecutor(2) as pool:
        staged = [pool.submit(loads.landing.stage, run, load, at, sources[at]) for at in range(2)]
        failures = [one.exception() for one in staged]
    (failure,) = [one for one in failures if one is not None]
    assert isinstance(failure, BadRecord) and "max-bad=2" in failure.hint


def test_one_bad_row_too_many_stops_and_all_of_them_are_named(loads: Loads) -> None:
    records: list[Record] = [("1", "a"), ("x", "b"), ("y", "c"), ("2", "abcde")]
    with pytest.raises(BadRecord) as caught:
        loads.run(
            "public.kept", words("append"), Records(("id", "name"), records), bad=BadRules(most=1)
        )
    assert [one.record for one in caught.value.bad] == [2, 3, 4]
    assert "max-bad=3" in caught.value.hint
    tables = "select count(*) from pg_class where relname ~ '^(stage|refused)_' and relkind = 'r'"
    assert loads.database.value(tables) == 0


@pytest.mark.parametrize(
    ("column", "text"),
    [("doc", "{a: 1}"), ("doc", '"\\u0000"'), ("docs", '{"\\"\\\\u0000\\""}'), ("moment", "soon")],
)
@pytest.mark.parametrize("loads", [15, 18], indirect=True)
def test_more_bad_values_than_are_looked_for_are_refused_as_few_are(
    loads: Loads, column: str, text: str
) -> None:
    """The others cannot be checked: it would fail, and name no record."""
    source = Records(("id", column), [(str(at), text) for at in range(30)])
    with pytest.raises(BadRecord) as caught:
        loads.run("public.kept", words("append"), source)
    assert [one.record for one in caught.value.bad] == list(range(1, 21))
    assert {one.column for one in caught.value.bad} == {column}
    assert "there may be more" in caught.value.hint


@pytest.mark.parametrize("is_raw", [False, True])
@pytest.mark.parametrize("at_once", [False, True])
def test_no_value_is_in_a_log_or_an_error(
    is_raw: bool, at_once: bool, loads: Loads, caplog: pytest.LogCaptureFixture
) -> None:
    for column, text in (("small", "s3cret"), ("total", "123.4567"), ("name", "s3crets")):
        source = Records(("id", column), [("1", text)], is_raw=is_raw)
        with pytest.raises(BadRecord) as caught:
            loads.run("public.kept", words("append"), source, at_once=at_once)
        assert text not in str(caught.value)
        assert text not in caplog.text


def test_a_computed_value_that_fails_is_named_by_its_record(loads: Loads) -> None:
    source = Records(("id", "small"), [("1", "1"), ("2", "0"), ("3", "5"), ("4", "0")])
    for sql, reason in (("10 / small", "division by zero"), ("nullif(small, 5)", "")):
        table = loads.table("public.kept")
        load = load_of(table, words("append"), source, sql={"small": sql}, skip=("small",))
        if reason:
            with pytest.raises(BadRecord) as caught:
                loads.run_load(load, source)
            assert [(one.record, one.reason) for one in caught.value.bad] == [
                (2, reason),
                (4, reason),
            ]
        else:
            loads.run_load(load, source)
    assert loads.database.rows("select small from public.kept order by id") == [
        (1,), (0,), (None,), (0,),
    ]  # fmt: skip


def test_a_computed_value_is_cut_no_more_than_any_other(loads: Loads) -> None:
    source = Records(("id", "name"), [("1", "ab"), ("2", "abcd")])
    table = loads.table("public.kept")
    load = load_of(table, words("append"), source, sql={"name": "name || 'c'"}, skip=("name",))
    with pytest.raises(BadRecord) as caught:
        loads.run_load(load, source)
    assert [(one.record, one.column) for one in caught.value.bad] == [(2, "name")]
    load = load_of(table, words("append"), source, sql={"total": "round(1.005, 2)"}, skip=("name",))
    loads.run_load(load, source)
    assert loads.database.rows("select distinct total::text from public.kept") == [("1.01",)]


# column, an expression whose value it keeps, one whose value it would change, part of the reason
COMPUTED = [
    ("small", "2.0", "1.5", "a fraction, which smallint"),
    ("even", "2::float8", "2.4::float8", "a fraction, which"),
    ("ratio", "0.5::float8", "0.1::float8", "more digits than real"),
    ("total", "1.5::float8", "1.0000000000000002::float8", "more digits than numeric(6,2)"),
    ("day", "timestamp '2024-02-29'", "timestamp '2024-02-29 10:00'", "a time of day"),
    ("born", "timestamptz '2024-02-29 00:00Z'", "timestamptz '2024-02-29 10:00Z'", "a time of day"),
    ("moment", "timestamp '2024-02-29 10:00:00.123'", "timestamp '2024-02-29 10:00:00.1234'",
     "would change"),
    ("days", "array[timestamp '2024-02-29']", "array[timestamp '2024-02-29 10:00']",
     "a time of day"),
    ("sums", "array[1.5::float8]", "array[1.0000000000000002::float8]", "more digits"),
    ("doc", """'{"b": 1e0, "a": 1}'::json""", """'{"b": 1, "b": 1}'::json""", "a key twice"),
]  # fmt: skip


@pytest.mark.parametrize("loads", [12, 18], indirect=True)
def test_a_computed_value_that_its_column_would_change_is_refused(loads: Loads) -> None:
    expressions = {
        column: f"case id when 2 then {bad} else {good} end" for column, good, bad, _ in COMPUTED
    }
    good, both = (Records(("id",), [("1",), (last,)]) for last in ("3", "2"))
    load = load_of(loads.table("public.kept"), words("append"), both, sql=expressions)
    assert not loads.landing.survey([load])
    with pytest.raises(BadRecord) as caught:
        loads.run_load(load, both)
    found = {one.column: (one.record, one.reason) for one in caught.value.bad}
    assert list(found) == [column for column, *_ in COMPUTED]
    for column, _, _, why in COMPUTED:
        assert found[column][0] == 2 and why in found[column][1], column
    assert not loads.database.rows("select id from public.kept")
    loads.run_load(load, good)
    assert loads.database.rows(
        "select distinct small, even, ratio, total::text, day::text, born::text, moment::text,"
        " days::text, sums::text from public.kept"
    ) == [(2, 2, 0.5, "1.50", "2024-02-29", "2024-02-29",
           "2024-02-29 10:00:00.123", "{2024-02-29}", "{1.50}")]  # fmt: skip


def test_what_a_columns_type_always_loses_is_a_problem_of_the_plan(loads: Loads) -> None:
    """Of a value that is computed. A cast says that it is meant."""
    source = Records(("id",), [("1",)])
    lossy = {
        "at": "now()",
        "clock": "localtimestamp",
        "moments": "array[now()]",
        "moment": "now()",
        "since": "now()",
        "day": "now()",  # nothing at midnight
    }
    load = load_of(loads.table("public.kept"), words("append"), source, sql=lossy)
    found = {one.object: one.message for one in loads.landing.survey([load])}
    assert found == {
        "public.kept.at":
            "is computed with a time zone, which timestamp without time zone does not keep",
        "public.kept.clock":
            "is computed with a date, which time without time zone does not keep",
        "public.kept.moments":
            "is computed with a time zone, which timestamp without time zone[] does not keep",
        "public.kept.moment": "is computed with a time zone, which public.moment does not keep",
    }  # fmt: skip
    casts = {"at": "now()::timestamp", "clock": "now()::time", "moments": "null", "moment": "null"}
    load = load_of(loads.table("public.kept"), words("append"), source, sql=casts)
    assert not loads.landing.survey([load])


def test_a_constant_may_have_any_text_that_its_column_reads(loads: Loads) -> None:
    source = Records(("id",), [("1",)])
    token = "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"
    expressions = {
        "token": f"'{token}'", "flag": "'yes'", "doc": """'{"a":1}'""", "sums": "'{1, 2.5}'",
        "words": "'{a, b}'", "raw": "'abc'", "even": "'2'", "small": "' 7 '", "wait": "'1 day'",
    }  # fmt: skip
    load = load_of(loads.table("public.kept"), words("append"), source, sql=expressions)
    assert not loads.landing.survey([load])
    loads.run_load(load, source)
    assert loads.database.rows(
        "select token::text, flag, doc::text, sums::text, words::text, raw, small from public.kept"
    ) == [(token.lower(), True, '{"a": 1}', "{1.00,2.50}", "{a,b}", b"abc", 7)]


def test_a_cast_in_an_expression_is_what_the_user_means(loads: Loads) -> None:
    source = Records(("id",), [("1",), ("3",)])
    expressions = {
        "small": "round(1.5)::smallint", "even": "avg(id) over ()", "ratio": "0.1",
        "day": "(timestamp '2024-02-29 10:00')::date", "born": "'2024-02-29'",
        "at": "(timestamptz '2024-02-29 10:00Z')::timestamp",
    }  # fmt: skip
    load = load_of(loads.table("public.kept"), words("append"), source, sql=expressions)
    assert not loads.landing.survey([load])
    loads.run_load(load, source)
    assert loads.database.rows(
        "select distinct small, even, ratio::text, day::text, born::text, at::text from public.kept"
    ) == [(2, 2, "0.1", "2024-02-29", "2024-02-29", "2024-02-29 10:00:00")]


@pytest.mark.parametrize(
    ("column", "sql", "reason"),
    [
        ("small", "case id when 1 then 1.5 else 40000 end", "out of range"),
        ("small", "39999 + id", "out of range"),
        ("even", "case id when 1 then 2.0 else 3.0 end", "check constraint"),
        ("day", "'2024-02-29 10:00'", "a time of day"),
        ("at", "'2024-02-29 10:00+02'", "a time zone"),
        ("zoned", "timestamp '2024-02-29 10:00:00.1234'", "digits of seconds"),
    ],
)
def test_a_computed_value_that_is_none_of_its_column_is_named(
    loads: Loads, column: str, sql: str, reason: str
) -> None:
    source = Records(("id",), [("2",)])
    load = load_of(loads.table("public.kept"), words("append"), source, sql={column: sql})
    with pytest.raises(BadRecord) as caught:
        loads.run_load(load, source)
    assert [one.record for one in caught.value.bad] == [1]
    assert reason in caught.value.bad[0].reason


def test_a_field_of_several_columns_is_cut_in_none_of_them(loads: Loads) -> None:
    fine, cut = (Records(("id", "at"), [("1", f"2024-02-29{time}")]) for time in ("", " 10:00"))
    load = load_of(loads.table("public.kept"), words("append"), fine)
    load = replace(load, assigned=(*load.assigned, Assigned("day", "date", field="at")))
    with pytest.raises(BadRecord) as caught:
        loads.run_load(load, cut)
    assert [(one.record, one.column) for one in caught.value.bad] == [(1, "day")]
    loads.run_load(load, fine)
    assert loads.database.rows("select at::text, day::text from public.kept") == [
        ("2024-02-29 00:00:00", "2024-02-29")
    ]
