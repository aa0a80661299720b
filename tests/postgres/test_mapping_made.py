"""Columns that Python, or SQL of the target, makes of the rows on their way: what arrives is made
again to be proven, and what cannot be proven is refused or said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from command import DIFFERENT, DONE, REFUSED, STOPPED, Ran, migrate, verify, windlass
from killing import kill
from servers import Pair

ROWS = 3_000


@pytest.fixture
def shop(pair: Pair) -> Pair:
    pair.source.run(
        "create schema shop",
        "create type shop.mood as enum ('sad', 'happy')",
        "create table shop.users (id int primary key, name text not null, phone text, age int,"
        " mood shop.mood default 'happy', total numeric(10, 2), born date, seen timestamptz,"
        " shout text generated always as (upper(name)) stored)",
        "insert into shop.users (id, name, phone, age, total, born, seen)"
        " select i, E'n\\t' || i, nullif('0' || i, '05'), nullif(i % 90, 0), i * 1.25,"
        " date '2000-01-01' + i, timestamptz '2020-02-02 00:00:00.5+02' + i * interval '1 hour'"
        f" from generate_series(1, {ROWS}) i",
    )
    return pair


@pytest.fixture
def spec(tmp_path: Path) -> Any:
    def write(users: dict[str, Any], **words: Any) -> str:
        path = tmp_path / "migrate.yaml"
        path.write_text(
            yaml.safe_dump({"flow": "migrate", "mapping": {"shop.users": users}, **words})
        )
        return str(path)

    return write


def by(function: str, **words: Any) -> dict[str, Any]:
    return {"columns": {"phone": {"function": f"mapping_functions:{function}"}}, **words}


def problems(ran: Ran) -> str:
    found = ran.expect(REFUSED).result["problems"]
    return "\n".join(f"{one['object']}: {one['message']}" for one in found)


MADE: dict[str, Any] = {
    "columns": {
        "phone": {"function": "mapping_functions:phone"},
        "age": {"function": "mapping_functions:next_year"},
        "initial": {"target-sql": "upper(left(name, 1))"},
        "total": {"target-sql": "age * 1.5"},
        "day": {"target-sql": "to_char(born, 'FMDay')"},
    },
    "types": {"initial": "varchar(1)"},
}


def test_what_is_made_on_the_way_is_made_again_and_proven(shop: Pair, spec: Any) -> None:
    path = spec(MADE)
    done = migrate(shop, "-f", path).expect(DONE).result
    assert done["verified"] == "full"
    assert shop.target.rows(
        "select phone, age, initial, total::text, day, shout, name from shop.users where id = 17"
    ) == [("01…3", 18, "N", "27.00", "Tuesday", "N\t17", "n\t17")]
    assert shop.target.value("select count(*) from shop.users where phone is null") == 1
    names = "select string_agg(attname, ' ' order by attnum) from pg_attribute"
    assert shop.target.value(f"{names} where attrelid = 'shop.users'::regclass and attnum > 0") == (
        "id name phone age mood total born seen shout day initial"
    )
    verify(shop, "-f", path).expect(DONE)
    shop.target.run(
        "update shop.users set phone = 'x' where id = 7",
        "update shop.users set total = 0 where id = 8",
        "delete from shop.users where id = 9",
        f"insert into shop.users (id, name) values ({ROWS + 1}, 'y')",
    )
    found = verify(shop, "-f", path).expect(DIFFERENT).result["differences"]
    named = {(one["object"], one["key"].get("id"), tuple(one["columns"])) for one in found}
    assert named >= {
        ("shop.users", "7", ("phone",)),
        ("shop.users", "8", ("total",)),
        ("shop.users", "9", ()),
        ("shop.users", str(ROWS + 1), ()),
    }
    assert not any("other values" in one["message"] for one in found)
    windlass("rollback", done["run"], "--yes", "--force", pair=shop).expect(DONE)
    assert not shop.target.rows("select 1 from pg_namespace where nspname = 'shop'")


@pytest.mark.parametrize("frame", ["arrow", "polars"])
def test_each_kind_of_frame_makes_the_same(shop: Pair, spec: Any, frame: str) -> None:
    users = {"where": "id <= 20", **by(f"phone_of_{frame}", frame=frame)}
    assert migrate(shop, "-f", spec(users)).expect(DONE).result["verified"] == "full"
    assert shop.target.value("select phone from shop.users where id = 12") == "01…3"


def test_the_plan_names_what_makes_a_column_and_shows_rows_if_asked(shop: Pair, spec: Any) -> None:
    ran = windlass("plan", "-f", spec(MADE), pair=shop).expect(DONE)
    assert "mapping_functions:phone" in ran.stdout and "upper(left(name, 1))" in ran.stdout
    assert "01…" not in ran.said and "'01'" not in ran.said
    ran = windlass("plan", "-f", spec({**MADE, "samples": 2}), pair=shop).expect(DONE)
    assert "row 1: phone '01' → '01…2'" in ran.said
    assert "initial NULL → 'N'" in ran.said and "row 3" not in ran.said
    found = windlass("plan", "--json", "-f", spec(MADE), pair=shop).expect(DONE).result
    (users,) = found["relations"]
    columns = {one["target"]: one for one in users["columns"]}
    assert columns["phone"]["how"] == "function"
    assert columns["phone"]["expression"] == "mapping_functions:phone"
    assert columns["day"]["how"] == "target-sql" and columns["day"]["source"] is None


@pytest.mark.parametrize("how", ["at_random", "by_hash", "by_batch", "by_process", "by_moment"])
def test_a_function_that_is_not_steady_is_refused_in_the_plan(
    shop: Pair, spec: Any, how: str
) -> None:
    found = problems(migrate(shop, "-f", spec(by(how))))
    assert "gave other values for the same rows" in found and how in found
    assert not shop.target.rows("select 1 from pg_namespace where nspname in ('shop', 'windlass')")


def test_a_function_that_is_not_steady_beyond_the_first_rows_is_never_verified(
    shop: Pair, spec: Any
) -> None:
    path = spec(by("late_at_random"))
    found = migrate(shop, "-f", path).expect(DIFFERENT).result
    assert found["state"] != "done"
    said = [one["message"] for one in found["differences"]]
    assert any(
        "gave other values for the same rows when it was called again" in one for one in said
    )
    verify(shop, "-f", path).expect(DIFFERENT)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("fails", "ValueError in mapping_functions.py"),
        ("missing", "cannot be imported here"),
        ("constant", "is not a function"),
        ("other_column", "has changed column name, which is not its to change"),
        ("nothing", "gave no column phone"),
        ("other_order", "in another order"),
    ],
)
def test_what_a_function_must_not_do_is_refused_without_a_value(
    shop: Pair, spec: Any, function: str, expected: str
) -> None:
    ran = migrate(shop, "-f", spec(by(function)))
    assert expected in problems(ran)
    assert "secret" not in ran.said and "fault in windlass" not in ran.said


def test_what_cannot_be_proven_of_made_columns_is_refused_or_left_out(
    shop: Pair, spec: Any
) -> None:
    shop.source.run(
        "alter table shop.users add constraint aged check (age < 91)",
        "create unique index on shop.users (phone, id)",
        "create table shop.children (id int, parent_phone text)",
        "create view shop.grown as select id, phone from shop.users where age > 18",
    )
    ran = migrate(shop, "-f", spec(MADE))
    found = problems(ran)
    for expected in (
        "users_phone_id_idx: is over column phone, whose values are made once the rows are read",
        "check aged is left out: values of its columns are made once the rows are read",
    ):
        assert expected in found, f"{expected} is not in\n{found}"
    shop.source.run("drop index shop.users_phone_id_idx")
    columns = {
        "a": {"target-sql": "random()"},
        "b": {"target-sql": "nope(name)"},
        "c": {"target-sql": "now()::text"},
        "d": {"target-sql": "name); drop table x; select (1"},
        "e": {"target-sql": "mood"},
        "f": {"target-sql": "1 / (id - 3)"},
    }
    found = problems(migrate(shop, "-f", spec({"columns": columns})))
    assert "column a calls random()" in found and "column c calls now()" in found
    assert "column d is not one expression" in found
    del columns["a"], columns["c"], columns["d"]
    found = problems(migrate(shop, "-f", spec({"columns": columns})))
    for expected in (
        "column b: function nope(text) does not exist",
        'column e: column "mood" does not exist',
        "column f: cannot be computed for one of the first 100 rows",
    ):
        assert expected in found, f"{expected} is not in\n{found}"
    assert not shop.target.rows("select 1 from pg_namespace where nspname in ('shop', 'windlass')")


def test_a_value_that_its_column_would_change_stops_the_run(shop: Pair, spec: Any) -> None:
    columns = {"total": {"function": "mapping_functions:precise"}}
    found = problems(migrate(shop, "-f", spec({"columns": columns})))
    assert "column total: more digits than numeric(10,2) keeps" in found
    shop.source.run("alter table shop.users alter total set not null")
    without = {"phone": {"function": "mapping_functions:without_value"}}
    shop.source.run(
        "update shop.users set phone = '1' where phone is null",
        "alter table shop.users alter phone set not null",
    )
    assert "column phone: NULL, and it is NOT NULL" in problems(
        migrate(shop, "-f", spec({"columns": without}))
    )


def test_an_error_in_a_late_row_stops_the_run_and_the_same_command_resumes(
    shop: Pair, spec: Any
) -> None:
    columns = {"part": {"target-sql": "1000 / (id - 2000)"}}
    path = spec({"columns": columns, "types": {"part": "int"}})
    stopped = migrate(shop, "-f", path).expect(STOPPED)
    assert "division by zero" in stopped.said and "shop.users" in stopped.said
    shop.source.run("delete from shop.users where id = 2000")
    assert migrate(shop, "-f", path).expect(DONE).result["verified"] == "full"


def test_made_columns_survive_a_kill_and_are_cut_into_chunks(shop: Pair, spec: Any) -> None:
    shop.source.run(
        "alter table shop.users add fill text", "update shop.users set fill = repeat('x', 900)"
    )
    path = spec(MADE, **{"chunk-size": "512kB", "max-chunks": 5, "jobs": 2})
    words = ("migrate", "--json", "-f", path)
    sides = {"WINDLASS_SOURCE": shop.source.url, "WINDLASS_TARGET": shop.target.url}
    kill("call windlass.flows.migrate.rows._land 3", words, sides)
    kill("call windlass.flows.validate.steps.source_sum 2", words, sides)
    done = windlass(*words, pair=shop).expect(DONE).result
    assert done["verified"] == "full"
    assert shop.target.rows("select count(*), count(distinct id), sum(age) from shop.users") == (
        [(ROWS, ROWS, shop.source.value("select sum(age + 1) from shop.users"))]
    )
