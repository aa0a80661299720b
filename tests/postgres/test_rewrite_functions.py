"""Python functions over batches of rows: every type is returned unchanged, and errors are named."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

import windlass
from functions import Call, calling
from rewrites import STEPS, done, fill, problems, rows, run, step
from servers import Database
from windlass.errors import WindlassError
from windlass.model.outcome import State

pytest.importorskip("pyarrow")
pytest.importorskip("adbc_driver_postgresql")

Make = Callable[[int], Database]
ALL = {"select": "true", "stamp": None}


@pytest.fixture
def messages(database: Make) -> Database:
    return fill(database(16))


@pytest.fixture
def call() -> Iterator[Call]:
    with calling() as given:
        yield given


def upper_pandas(frame: Any) -> Any:
    frame["body"] = frame["body"].str.upper()
    return frame


def upper_polars(frame: Any) -> Any:
    import polars as pl

    return frame.with_columns(pl.col("body").str.to_uppercase())


def upper_arrow(table: Any) -> Any:
    import pyarrow.compute as pc

    place = table.column_names.index("body")
    return table.set_column(place, "body", pc.utf8_upper(table["body"]))


@pytest.mark.parametrize(
    ("frame", "function"),
    [("pandas", upper_pandas), ("polars", upper_polars), ("arrow", upper_arrow)],
)
def test_a_function_changes_rows_in_batches(
    frame: str, function: Any, messages: Database, call: Call
) -> None:
    sizes: list[int] = []

    def counted(rows: Any) -> Any:
        sizes.append(len(rows))
        return function(rows)

    outcome = done(messages, call(counted, frame, batch_rows=7))
    assert sizes == [7, 7, 6]
    assert outcome.totals.counts["written"] == outcome.totals.counts["stamped"] == 20
    assert rows(messages, "message_id", "body = upper(body)") == [(n,) for n in range(2, 41, 2)]


def test_a_function_that_changes_no_row_writes_none_and_keeps_the_backup(
    messages: Database, call: Call
) -> None:
    before = done(messages, call(upper_pandas, "pandas", **ALL))
    versions = rows(messages, "message_id, xmin::text, ctid::text", "true")
    outcome = done(messages, call(lambda frame: frame, "pandas", **ALL))
    assert outcome.totals.counts["selected"] == len(versions)
    assert outcome.totals.counts["written"] == outcome.totals.counts["backed up"] == 0
    assert "has changed no row: nothing was written" in outcome.notices[0]
    assert rows(messages, "message_id, xmin::text, ctid::text", "true") == versions
    windlass.rollback(messages.url, before.run)  # its backup is there


def test_rows_that_a_function_leaves_as_they_are_are_not_written(
    messages: Database, call: Call
) -> None:
    def some(frame: Any) -> Any:
        pairs = zip(frame["message_id"], frame["body"], strict=True)
        return frame.assign(body=[body.upper() if id_ % 2 == 0 else body for id_, body in pairs])

    odd = "message_id % 2 = 1"
    before = rows(messages, "message_id, xmin::text, ctid::text, body", odd)
    outcome = done(messages, call(some, "pandas", backup="touched", **ALL))
    assert rows(messages, "message_id, xmin::text, ctid::text, body", odd) == before
    upper = "body = upper(body)"
    assert len(rows(messages, "message_id", upper)) == 20
    counts = {name: count for name, count in outcome.totals.counts.items() if count}
    assert counts == {"selected": 40, "backed up": 20, "written": 20, "unchanged": 20}
    assert windlass.rollback(messages.url, outcome.run).state is State.ROLLED_BACK
    assert rows(messages, "message_id", upper) == []


def test_set_and_add_come_before_the_function(messages: Database, call: Call) -> None:
    def function(frame: Any) -> Any:
        return frame[["message_id"]].assign(note=frame["body"] + "!", total=frame["total"] * 2)

    words = call(
        function, "pandas",
        set={"body": {"value": "hello"}},
        add={"note": {"type": "varchar(20)"}, "product_id": {"value": "ABCD"}},
        select="message_id = 7",
    )  # fmt: skip
    done(messages, words)
    found = rows(messages, "body, note, total, product_id", "message_id = 7")
    assert found == [("hello", "hello!", Decimal("2.00"), "ABCD")]


TYPES = """
create type mood as enum ('good', 'bad');
create type pair as (a int, b text);
create domain positive as int check (value > 0);
create domain short as numeric(6, 3);
create table message (message_id int primary key, base text, exported_at timestamptz,
    a smallint, b int, c bigint, d real, e double precision, f numeric, g numeric(12, 3), h boolean,
    i char(5), j varchar(9), k bytea, l date, m time, n timetz, o timestamp, p timestamptz,
    q interval, r uuid, s json, t jsonb, u xml, v inet, w cidr, x macaddr, y bit(3), z varbit,
    aa int[], ab text[], ac numeric[], ad timestamptz[], ae mood, af pair, ag positive, ah short,
    ai int4range, aj tsvector, ak point, al mood[], am money, an name, ao jsonb[], ap "char",
    aq boolean[], ar double precision[], "As" text, "a b" text, at numeric(5, 2)[]);
insert into message values (1, 'a', '9999-12-31', -32768, -2147483648, -9223372036854775808,
    0.1, 0.1, 12345678901234567890123456789012345678901234567890.123, -0.100, true,
    'ab', 'it''s', '\\x00ff', '0001-01-01', '24:00', '10:00+05:30', '9999-12-31 23:59:59.999999',
    '2026-01-01 00:00:00.000001+02', '1 mon -2 days 03:04:05.6',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"b": 1,  "a": 1.0}', '{"b": 1, "a": 1.00}', null,
    '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03', '101', '1', '{1,null,3}',
    '{a,NULL,"b,c","",null}', '{1.50,NaN}', '{2026-01-01}', 'bad', '(1,"x,y")', 5, 1.5,
    '[1,5)', 'a:1 b', '(1,2)', '{good}', 1.5, 'n', '{"{\\"a\\": 1}"}', 'c', '{t,f}', '{0.1}',
    'é𝄞', '', '{1.50}');
insert into message values (2, 'a', '9999-12-31', 1, 1, 1, 'NaN', '-Infinity', 'NaN', 'NaN', false,
    '', '', '', 'infinity', '00:00', '00:00Z', '-infinity', 'infinity', '-1 year', null, 'null',
    'null', null, '::1', null, null, null, '', '{{1,2},{3,4}}', '{}', '{}', '{infinity}', null,
    '(,)', null, 'NaN', 'empty', '', null, '{}', null, '', '{}', '', '{}', '{NaN,-0}', null, null,
    '{}');
insert into message (message_id) values (3);
create table before as select * from message;
"""


@pytest.mark.parametrize("frame", ["pandas", "polars", "arrow"])
@pytest.mark.parametrize("which", ["message_id <> 2", "true"])
def test_every_type_comes_back_as_it_went(
    frame: str, which: str, database: Make, call: Call
) -> None:
    """Also what Arrow has no place for. That all columns are really written is made sure of by
    a text that differs by a blank, or by calling them changed."""
    messages = database(16)
    messages.run(TYPES)
    seen: list[Any] = []

    def same(rows: Any) -> Any:
        seen.append(rows)
        return rows

    done(messages, {**ALL, **call(same, frame), "select": which})
    assert len(seen) == 1
    changed = messages.value("select note -> 'changed' from windlass.line where item = 'function'")
    assert changed == []
    differing = messages.value(
        "select count(*) from message this join before that using (message_id)"
        " where this::text <> that::text"
    )
    assert differing == 0


def test_numbers_and_times_are_what_they_are_and_the_rest_is_text(
    database: Make, call: Call
) -> None:
    messages = database(16)
    messages.run(TYPES)
    seen: dict[str, str] = {}

    def same(table: Any) -> Any:
        seen.update({field.name: str(field.type) for field in table.schema})
        return table

    done(messages, {**ALL, **call(same), "select": "message_id <> 2"})
    wanted = {
        "a": "int16", "c": "int64", "e": "double", "f": "string", "g": "decimal128(12, 3)",
        "h": "bool", "k": "binary", "l": "date32[day]", "o": "timestamp[us]",
        "p": "timestamp[us, tz=UTC]", "aa": "list<item: int32>", "t": "string", "r": "string",
    }  # fmt: skip
    assert {name: seen[name] for name in wanted} == wanted


def test_a_null_stays_a_null_beside_numbers_in_pandas(messages: Database, call: Call) -> None:
    messages.run("alter table message add n int", "update message set n = 1 where message_id < 9")
    done(messages, {**ALL, **call(lambda frame: frame.assign(n=frame["n"] + 1), "pandas")})
    assert rows(messages, "n", "message_id in (8, 9)") == [(2,), (None,)]


def test_a_column_without_values_in_the_first_batch_is_no_obstacle(
    messages: Database, call: Call
) -> None:
    def function(frame: Any) -> Any:
        late = [None if number < 30 else number for number in frame["message_id"]]
        return frame[["message_id"]].assign(extra=late)

    words = call(function, "pandas", batch_rows=5, add={"extra": {"type": "int"}})
    done(messages, {**ALL, **words})
    assert rows(messages, "extra", "message_id in (29, 30)") == [(None,), (30,)]


def test_documents_may_be_given_as_such(messages: Database, call: Call) -> None:
    def function(frame: Any) -> Any:
        return frame[["message_id"]].assign(extra=[{"n": [1, 2]}] * len(frame))

    done(messages, call(function, "pandas", add={"extra": {"type": "jsonb"}}))
    assert rows(messages, "distinct extra, message_id", "message_id = 2") == [({"n": [1, 2]}, 2)]


def test_only_columns_that_change_are_written(messages: Database, call: Call) -> None:
    messages.run(
        "alter table message add twice int generated always as (message_id * 2) stored,"
        " add number bigint generated always as identity",
        "create table told (what text)",
        "create function tell() returns trigger language plpgsql as"
        " $$ begin insert into told values ('total'); return new; end $$",
        "create trigger told before update of total on message"
        " for each row execute function tell()",
    )
    done(messages, call(upper_pandas, "pandas"))
    assert messages.value("select count(*) from told") == 0


def stopped(database: Database, words: dict[str, Any]) -> str:
    before = rows(database)
    outcome = run(database, words)
    assert outcome.state is State.STOPPED, outcome
    assert rows(database) == before
    assert "functions_of_a_test:function" in outcome.reason.message
    return outcome.reason.message


@pytest.mark.parametrize(
    ("frame", "function", "said"),
    [
        ("pandas", lambda frame: frame[1:].reset_index(drop=True), "gave 6 rows for 7"),
        ("pandas", lambda frame: frame[::-1], "in another order, or under another index"),
        ("arrow", lambda table: table.take(list(range(6, -1, -1))), "in another order"),
        ("polars", lambda frame: frame.reverse(), "in another order"),
        ("arrow", lambda table: None, "gave a NoneType"),
        ("arrow", lambda table: table.rename_columns([f"{n}_" for n in table.column_names]),
         "does not have: message_id_"),
        ("pandas", lambda frame: frame.assign(total="much"), "total"),
        ("pandas", lambda frame: frame.assign(exported_at=None), "has changed exported_at"),
        ("pandas", lambda frame: 1 / 0, "ZeroDivisionError in "),
        ("pandas", lambda frame: frame[[]], "gave no columns"),
    ],
)  # fmt: skip
def test_a_function_that_does_not_do_as_it_has_to_is_named(
    frame: str, function: Any, said: str, messages: Database, call: Call
) -> None:
    assert said in stopped(messages, call(function, frame, batch_rows=7))


def test_a_function_that_fails_in_a_later_batch_is_called_again(
    messages: Database, call: Call
) -> None:
    calls: list[int] = []

    def fails_once(table: Any) -> Any:
        calls.append(table.num_rows)
        if len(calls) == 2:
            raise KeyError("secret value")
        return upper_arrow(table)

    words = call(fails_once, batch_rows=7)
    said = stopped(messages, words)
    assert "KeyError in test_rewrite_functions.py, line " in said
    assert "secret value" not in said
    assert done(messages, words).totals.counts["written"] == 20
    assert calls == [7, 7, 7, 7, 6]


def test_a_function_that_another_worker_lacks_is_reported(messages: Database, call: Call) -> None:
    words = call(upper_arrow)
    step(messages, STEPS[0], words)
    del sys.modules["functions_of_a_test"].function
    with pytest.raises(WindlassError, match="cannot be imported here: AttributeError"):
        step(messages, STEPS[1], words)


def test_a_frame_without_its_library_is_reported_before_anything_is_written(
    messages: Database, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "polars" else found(name)
    )
    assert "windlass-db[frames]" in problems(messages, call(upper_polars, "polars"))
