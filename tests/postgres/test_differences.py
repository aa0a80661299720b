"""A search names the rows that differ, and only those, without holding the relation."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest

from comparing import open_sides
from servers import Pair as Databases
from servers import Server
from windlass.engines.postgres import rowdiff
from windlass.engines.postgres.fingerprint import Pair
from windlass.engines.postgres.hashing import Hashing, Method
from windlass.errors import WindlassError
from windlass.model.report import Difference, DifferenceKind
from windlass.verifying.postgres.repair import Repaired

MISSING, EXTRA, CHANGED = DifferenceKind.MISSING, DifferenceKind.EXTRA, DifferenceKind.CHANGED


@pytest.fixture(scope="module")
def databases(server: Callable[[int], Server]) -> Iterator[Databases]:
    """16 and 18, with the types of the keys below; each test makes its own relations."""
    made = [server(version).create_database() for version in (16, 18)]
    for database in made:
        database.run(
            "create schema s",
            "create type s.mood as enum ('a', 'b', 'c', 'd')",
            "create domain s.code as varchar(10)",
            "create type s.pair as (x int, y text)",
        )
    yield Databases(*made)
    for database in made:
        database.server.drop_database(database)


def both(databases: Databases, *statements: str) -> None:
    databases.source.run(*statements)
    databases.target.run(*statements)


def make(databases: Databases, rows: int = 1000) -> None:
    """The same relation with the key `id` on both sides."""
    both(
        databases,
        "drop table if exists s.t",
        "create table s.t (id int primary key, a text, b int)",
        f"insert into s.t select g, 'value ' || g, g from generate_series(1, {rows}) g",
    )


def keys(found: list[Difference], kind: DifferenceKind) -> list[str]:
    return [one.key["id"] for one in found if one.kind is kind]


def test_equal_relations_have_no_differences(databases: Databases) -> None:
    make(databases)
    with open_sides(databases) as sides:
        assert sides.differences(sides.pair("s.t")) == []


@pytest.mark.parametrize("method", Method)
def test_missing_extra_and_changed_rows_are_named_by_their_key(
    databases: Databases, method: Method
) -> None:
    make(databases)
    databases.target.run(
        "delete from s.t where id in (1, 500)",
        "insert into s.t values (-3, 'new', 1), (2000, 'new', null)",
        "update s.t set a = null where id = 20",
        "update s.t set a = 'x', b = -b where id = 100",
    )
    with open_sides(databases) as sides:
        pair = sides.pair("s.t")
        hashing = Hashing(method)
        found = sides.differences(
            Pair(replace(pair.source, hashing=hashing), replace(pair.target, hashing=hashing))
        )
    assert keys(found, MISSING) == ["1", "500"]
    assert keys(found, EXTRA) == ["-3", "2000"]
    assert keys(found, CHANGED) == ["20", "100"]
    columns = {one.key["id"]: one.columns for one in found if one.kind is CHANGED}
    assert columns == {"20": ("a",), "100": ("a", "b")}


def test_no_value_leaves_the_servers_unless_asked_for(databases: Databases) -> None:
    make(databases)
    databases.target.run("update s.t set a = 'secret' where id = 7", "delete from s.t where id = 8")
    with open_sides(databases) as sides:
        pair = sides.pair("s.t")
        silent = sides.differences(pair)
        spoken = sides.differences(pair, show_values=True)
    assert "secret" not in repr(silent) and "value" not in repr(silent)
    changed, missing = spoken
    assert (changed.source, changed.target) == ({"a": "value 7"}, {"a": "secret"})
    assert (missing.source, missing.target) == ({"id": "8", "a": "value 8", "b": "8"}, None)


KEYS = [
    ("bigint", ["-1", "4294967295", "9223372036854775807"]),
    ("numeric", ["1.5", "-1.5", "1e30"]),
    ("float8", ["0.1", "-7e300", "NaN"]),
    ("text", ["a", "A", "", "é 'quoted' \\ {,}", "NULL"]),
    ("char(5)", ["a", "b", "é"]),
    ("name", ["a", "b"]),
    ("uuid", ["00000000-0000-0000-0000-000000000001", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    ("date", ["2020-01-01", "infinity", "0044-03-15 BC"]),
    ("timestamptz", ["2020-01-01 00:00:00.000001+00", "-infinity"]),
    ("timestamp(3)", ["2020-01-01 00:00:00.001", "infinity"]),
    ("interval", ["1 day", "25:00:00", "-1 mon"]),
    ("bytea", [r"\x00", r"\xff"]),
    ("inet", ["10.0.0.1/8", "10.0.0.1"]),
    ("boolean", ["t", "f"]),
    ('"char"', ["a", "b"]),
    ("bit(3)", ["101", "010"]),
    ("int[]", ["{1,2}", "{{3,4}}"]),
    ("int4range", ["[1,2)", "empty"]),
    ("jsonb", ['{"a": 1}', "[]"]),
    ("s.mood", ["a", "c"]),
    ("s.code", ["x", "y"]),
    ("s.pair", ['(1,"a,b")', "(,)"]),
]


@pytest.mark.parametrize(("type_", "values"), KEYS)
def test_every_type_of_key_is_found_again(
    databases: Databases, type_: str, values: list[str]
) -> None:
    both(databases, "drop table if exists s.t", f"create table s.t (id {type_} primary key, a int)")
    insert = f"insert into s.t select v::{type_}, 1 from unnest(%s::text[]) v"
    for database in (databases.source, databases.target):
        with database.connect() as connection:
            connection.execute(insert.encode(), [values])
    databases.target.run("update s.t set a = 2")
    with open_sides(databases) as sides:
        found = sides.differences(sides.pair("s.t"), show_values=True)
        assert [one.columns for one in found] == [("a",)] * len(values)
        assert [one.source for one in found] == [{"a": "1"}] * len(values)
        sides.repair(sides.pair("s.t"))
        assert sides.differences(sides.pair("s.t")) == []


@pytest.mark.parametrize("pair", [(15, 15)], indirect=True)
def test_keys_that_do_not_mind_case_are_distinguished_by_it(pair: Databases) -> None:
    both(
        pair,
        "create schema s",
        "create extension citext schema s",
        "create collation s.blind (provider = icu, locale = 'und-u-ks-level2',"
        " deterministic = false)",
        "create table s.by_type (id s.citext primary key, v int)",
        "create table s.by_collation (id text collate s.blind primary key, v int)",
        "insert into s.by_type values ('Abc', 1), ('d', 2), ('e', 3)",
        "insert into s.by_collation values ('Abc', 1), ('d', 2), ('e', 3)",
    )
    for name in ("s.by_type", "s.by_collation"):
        pair.target.run(
            f"update {name} set id = 'aBC' where id = 'Abc'", f"update {name} set v = 0 where v = 2"
        )
        with open_sides(pair) as sides:
            found = sides.differences(sides.pair(name))
            assert (keys(found, MISSING), keys(found, EXTRA)) == (["Abc"], ["aBC"])
            assert keys(found, CHANGED) == ["d"]
            sides.repair(sides.pair(name))
            assert sides.differences(sides.pair(name)) == []


@pytest.mark.parametrize("pair", [(15, 15)], indirect=True)
def test_a_row_whose_key_only_equals_one_that_differs_is_left_alone(pair: Databases) -> None:
    both(
        pair,
        "create schema s",
        "create collation s.blind (provider = icu, locale = 'und-u-ks-level2',"
        " deterministic = false)",
        "create table s.t (id text collate s.blind not null, v int)",
        'create unique index on s.t (id collate "C")',
        "insert into s.t values ('Abc', 1), ('aBC', 2)",
    )
    pair.target.run("update s.t set v = 0 where v = 1")
    with open_sides(pair) as sides:
        assert sides.repair(sides.pair("s.t")) == Repaired(deleted_rows=1, copied_rows=1)


def test_a_composite_key_in_another_order_than_the_columns_names_its_row(
    databases: Databases,
) -> None:
    both(
        databases,
        "drop table if exists s.t",
        "create table s.t (v int, a text, b int, primary key (b, a))",
        "insert into s.t select 1, chr(64 + a), b from generate_series(1, 9) a,"
        " generate_series(1, 9) b",
    )
    databases.target.run("update s.t set v = 2 where a = 'C' and b = 4")
    with open_sides(databases) as sides:
        (found,) = sides.differences(sides.pair("s.t"))
    assert (found.key, found.columns) == ({"b": "4", "a": "C"}, ("v",))


def test_two_rows_that_swap_a_value_are_both_named(databases: Databases) -> None:
    make(databases)
    databases.target.run("update s.t set b = 30 - b where id in (10, 20)")
    with open_sides(databases) as sides:
        found = sides.differences(sides.pair("s.t"))
    assert [(one.key["id"], one.columns) for one in found] == [("10", ("b",)), ("20", ("b",))]


def test_rows_without_a_key_are_counted_by_content(databases: Databases) -> None:
    both(
        databases,
        "drop table if exists s.t",
        "create table s.t (a int, b text)",
        "insert into s.t select g % 10, null from generate_series(1, 100) g",
    )
    databases.target.run(
        "insert into s.t values (3, null), (3, null), (99, 'new')",
        "delete from s.t where a = 4",
    )
    with open_sides(databases) as sides:
        found = sides.differences(sides.pair("s.t"), show_values=True)
    said = {
        (one.source or one.target or {}).get("a"): (one.kind, one.message.partition(": ")[2])
        for one in found
    }
    assert said == {
        "3": (EXTRA, "10 on the source, 12 on the target"),
        "4": (MISSING, "10 on the source, 0 on the target"),
        "99": (EXTRA, "0 on the source, 1 on the target"),
    }


def test_a_key_that_the_target_does_not_enforce_may_be_there_twice(databases: Databases) -> None:
    make(databases)
    databases.target.run(
        "alter table s.t drop constraint t_pkey",
        "insert into s.t select * from s.t where id = 4",
        "insert into s.t values (5, 'another', 0)",
    )
    with open_sides(databases) as sides:
        found = sides.differences(sides.pair("s.t"))
    assert [(one.key["id"], one.message) for one in found] == [
        ("4", "rows with this key: 1 on the source, 2 on the target"),
        ("5", "rows with this key: 1 on the source, 2 on the target"),
    ]


def test_differences_past_the_limit_are_counted(databases: Databases) -> None:
    make(databases)
    databases.target.run("update s.t set b = 0 where id <= 300", "delete from s.t where id > 900")
    with open_sides(databases) as sides:
        found = sides.differences(sides.pair("s.t"), limit=50)
    assert len([one for one in found if one.key]) == 50
    counted = [one.message for one in found if not one.key]
    more = sum(int(message.split()[1].replace(",", "")) for message in counted)
    assert more == 350


def test_more_rows_than_a_server_should_sort_at_once_are_read_in_passes(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rowdiff, "ROWS_PER_PASS", 100)
    make(databases)
    databases.target.run("update s.t set b = -b")
    with open_sides(databases) as sides:
        found = sides.differences(sides.pair("s.t"))
    assert sorted(int(key) for key in keys(found, CHANGED)) == list(range(1, 1001))


def test_a_wide_relation_names_its_columns(databases: Databases) -> None:
    columns = ", ".join(f"c{at} real default 1" for at in range(1599))
    both(
        databases,
        "drop table if exists s.t",
        f"create table s.t (id int primary key, {columns})",
        "insert into s.t values (1), (2)",
    )
    databases.target.run("update s.t set c0 = 0, c800 = null, c1598 = -1 where id = 2")
    with open_sides(databases) as sides:
        (found,) = sides.differences(sides.pair("s.t"), show_values=True)
    assert found.columns == ("c0", "c800", "c1598")
    assert found.target == {"c0": "0", "c800": None, "c1598": "-1"}


def test_column_names_do_not_meet_ours(databases: Databases) -> None:
    """The names that our own queries use, and names that need quotes."""
    both(
        databases,
        "drop table if exists s.t",
        "create table s.t (key_0 int, wanted int, key_1 int, hash int, number int, copies int,"
        ' found int, rows int, "a ""b"" %s {} :x" int, primary key (key_1, wanted))',
        "insert into s.t select g, g, g, g, g, g, g, g, g from generate_series(1, 9) g",
    )
    databases.target.run('update s.t set hash = 0, "a ""b"" %s {} :x" = 0 where key_1 = 4')
    with open_sides(databases) as sides:
        (found,) = sides.differences(sides.pair("s.t"), show_values=True)
        assert found.key == {"key_1": "4", "wanted": "4"}
        assert found.columns == ("hash", 'a "b" %s {} :x')
        sides.repair(sides.pair("s.t"))
        assert sides.differences(sides.pair("s.t")) == []
    both(databases, "alter table s.t drop constraint t_pkey")
    databases.target.run("update s.t set hash = 0 where key_1 = 4")
    with open_sides(databases) as sides:
        sides.repair(sides.pair("s.t"))
        assert sides.differences(sides.pair("s.t")) == []


def test_what_is_held_does_not_grow_with_what_differs(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rowdiff, "BUCKETS", 1 << 11)  # so few that either number fills them all
    peaks = []
    for rows in (10_000, 30_000):
        make(databases, rows)
        databases.target.run("update s.t set b = -b")
        with open_sides(databases) as sides:
            pair = sides.pair("s.t")
            tracemalloc.start()
            sides.differences(pair, limit=10)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_the_source_stays_in_its_snapshot(databases: Databases) -> None:
    make(databases)
    with open_sides(databases) as sides:
        databases.source.run("delete from s.t")
        assert sides.differences(sides.pair("s.t")) == []
        assert sides.source.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS


def test_a_fault_names_the_relation_and_the_side(databases: Databases) -> None:
    make(databases)
    with open_sides(databases) as sides:
        pair = sides.pair("s.t")
        databases.target.run("drop table s.t")
        with pytest.raises(WindlassError, match=r"s\.t") as caught:
            sides.differences(pair)
    assert caught.value.where["side"] == "target"


def test_a_key_that_has_another_type_on_the_target_is_found_on_both(pair: Databases) -> None:
    pair.source.run("create schema s", "create table s.t (id text primary key, v int)",
                    "insert into s.t values ('007', 1), ('8', 2)")  # fmt: skip
    pair.target.run("create schema s", "create table s.t (id int primary key, v int)",
                    "insert into s.t values (7, 0), (8, 2)")  # fmt: skip
    with open_sides(pair) as sides:
        found = sides.differences(sides.pair("s.t"))
        # as text '007' is another value than 7, so these are two rows
        assert (keys(found, MISSING), keys(found, EXTRA)) == (["007"], ["7"])
        sides.repair(sides.pair("s.t"))
    assert pair.target.rows("select id, v from s.t order by id") == [(7, 1), (8, 2)]
