"""Exports as their users run them: dispositions, watermarks, refusals, and what is killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest

from command import finish, start, windlass
from exporting import export, files, rows, spec_file
from killing import kill
from paths import DOCS
from servers import PASSWORD, Database
from windlass import ExportSpec, read_spec
from windlass.errors import WindlassError

SHOP = (
    "create schema shop",
    "create table shop.orders (id int primary key, at timestamptz not null, note text)",
    "insert into shop.orders select n, timestamptz '2024-01-01 00:00Z' + n * interval '1 s', 'new'"
    " from generate_series(1, 100) n",
)

# somebody reads one of the slow views
SLEEPING = (
    "select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()"
    """ and query ~* 'copy .*"(slow|waiting)"'"""
)

HOLDERS = "select count(*) from pg_stat_activity where application_name = 'windlass snapshot'"


@pytest.fixture
def shop(database: Callable[[int], Database]) -> Database:
    source = database(16)
    source.run(*SHOP)
    return source


def table(folder: Path, name: str = "orders") -> list[tuple[Any, ...]]:
    return rows(folder, f"select id, note from {name} order by id, note")


# what arrives


def test_files_go_once_they_are_loaded(shop: Database, tmp_path: Path) -> None:
    ran = export(shop, tmp_path, relations="shop.orders").expect(0)
    assert ran.result["rows"] == 100 and ran.result["verified"] == "rows"
    assert len(table(tmp_path)) == 100
    assert files(tmp_path) == []


def test_a_run_that_is_named_is_told_whether_it_goes_on(shop: Database, tmp_path: Path) -> None:
    words = {"relations": "shop.orders", "keep_files": True}
    for told in ("has left nothing to resume", "what it has not read yet"):
        ran = export(shop, tmp_path, "--run", "monday", **words).expect(0)
        assert any(told in notice for notice in ran.result["notices"])


def test_files_are_kept_on_request_and_cut_by_size(shop: Database, tmp_path: Path) -> None:
    shop.run(
        "create table shop.long as select n, repeat(md5(n::text), 30) as text"
        " from generate_series(1, 60000) n"
    )
    for form in ("parquet", "csv"):
        words = {"relations": "shop.long", "format": form, "file_size": "64kB"}
        export(shop, tmp_path, **words, compression="none", keep_files=True).expect(0)
        assert rows(tmp_path, "select count(*), sum(n) from long") == [(60000, 1800030000)]
    found = files(tmp_path)
    assert found.count("shop.long/part-00003.parquet") == 1
    assert found.count("shop.long/part-00003.csv") == 1
    assert found.count("shop.long/manifest.json") == 2


def test_a_query_is_a_table_under_its_own_name(shop: Database, tmp_path: Path) -> None:
    query = "select id % 2 as half, count(*) as orders, sum(1.50)::numeric(9,2) as worth" \
        " from shop.orders group by 1"  # fmt: skip
    export(shop, tmp_path, relations={"name": "halves", "query": query}).expect(0)
    assert [row[:2] for row in rows(tmp_path, "select * from halves order by half")] == [
        (0, 50), (1, 50),
    ]  # fmt: skip


def test_a_partitioned_relation_is_one_table(shop: Database, tmp_path: Path) -> None:
    shop.run(
        "create table shop.parts (id int, note text) partition by range (id)",
        "create table shop.parts_1 partition of shop.parts for values from (1) to (3)",
        "create table shop.parts_2 partition of shop.parts for values from (3) to (9)",
        "insert into shop.parts select n, 'x' from generate_series(1, 5) n",
    )
    export(shop, tmp_path, relations="shop.part*").expect(0)
    assert len(table(tmp_path, "parts")) == 5
    assert rows(
        tmp_path, "select count(*) from duckdb_tables() where table_name like 'parts%'"
    ) == [(1,)]


def test_all_relations_are_read_in_one_snapshot(shop: Database, tmp_path: Path) -> None:
    """Somebody writes while the first is being read: the second shows nothing of it."""
    shop.run(
        "create table shop.slow as select n as id from generate_series(1, 500) n",
        "create view shop.waiting as select id, pg_sleep(0.001) is null as woke from shop.slow",
    )
    second = {"name": "orders", "query": "select * from shop.orders"}
    path = spec_file(tmp_path, relations=["shop.waiting", second], jobs=1)
    process = start("export", "--json", "-f", str(path), env={"WINDLASS_SOURCE": shop.url})
    until(lambda: shop.value(SLEEPING))
    shop.run("update shop.orders set note = 'later'; delete from shop.orders where id = 1")
    finish(process).expect(0)
    assert rows(tmp_path, "select note, count(*) from orders group by 1") == [("new", 100)]


def test_an_empty_relation_is_a_result_unless_rows_are_required(
    shop: Database, tmp_path: Path
) -> None:
    shop.run("delete from shop.orders")
    for form in ("parquet", "csv"):
        export(shop, tmp_path, relations="shop.orders", format=form).expect(0)
        assert table(tmp_path) == []
    ran = export(shop, tmp_path, relations="shop.orders", require_rows=True).expect(4)
    assert "shop.orders has no rows" in ran.result["message"]
    assert files(tmp_path) == []


# dispositions


def test_truncate_replaces_append_keeps(shop: Database, tmp_path: Path) -> None:
    for disposition, count in (("truncate", 100), ("truncate", 100), ("append", 200)):
        words = {"relations": "shop.orders", "disposition": disposition}
        export(shop, tmp_path, **words).expect(0)
        assert len(table(tmp_path)) == count


def test_the_same_run_again_loads_nothing_twice(shop: Database, tmp_path: Path) -> None:
    for _ in range(2):
        words = {"relations": "shop.orders", "disposition": "append"}
        ran = export(shop, tmp_path, "--run", "monday", **words).expect(0)
        assert len(table(tmp_path)) == 100
    assert any("nothing is loaded again" in notice for notice in ran.result["notices"])
    for _ in range(2):
        ran = export(
            shop, tmp_path, "--run", "files", relations="shop.orders", warehouse=None
        ).expect(0)
    assert any("written before" in notice for notice in ran.result["notices"])


@pytest.mark.parametrize("name", ["../x", "a/b"])
def test_a_run_whose_name_is_no_folder_is_refused(
    name: str, shop: Database, tmp_path: Path
) -> None:
    ran = export(shop, tmp_path, "--run", name, relations="shop.orders").expect(2)
    assert "is not one word of letters" in ran.result["message"]


MERGE: dict[str, Any] = {
    "relations": {"name": "shop.orders", "watermark": "at"},
    "disposition": "merge",
}


def test_merge_reads_only_what_has_changed(shop: Database, tmp_path: Path) -> None:
    export(shop, tmp_path, **MERGE).expect(0)
    shop.run(
        "insert into shop.orders values (101, '2024-02-01 00:00Z', 'more')",
        "update shop.orders set note = 'changed', at = '2024-02-01 00:00Z' where id = 7",
        "update shop.orders set note = 'not stamped' where id = 8",
    )
    ran = export(shop, tmp_path, **MERGE).expect(0)
    assert ran.result["rows"] == 3  # and the one whose stamp was the last
    found = dict(table(tmp_path))
    assert len(found) == 101
    assert (found[7], found[8], found[101]) == ("changed", "new", "more")
    marks = rows(tmp_path, "select watermark from _windlass_loads order by number")
    assert marks == [("2024-01-01 00:01:40+00",), ("2024-02-01 00:00:00+00",)]


def test_an_overlap_reads_what_was_committed_late(shop: Database, tmp_path: Path) -> None:
    words = {**MERGE, "relations": {**MERGE["relations"], "overlap-seconds": 30}}
    export(shop, tmp_path, **words).expect(0)
    shop.run("insert into shop.orders values (0, '2024-01-01 00:01:20Z', 'late')")
    export(shop, tmp_path, **words).expect(0)
    assert dict(table(tmp_path))[0] == "late"


def test_nothing_new_is_merged_and_the_watermark_stays(shop: Database, tmp_path: Path) -> None:
    export(shop, tmp_path, **MERGE).expect(0)
    shop.run("delete from shop.orders")
    export(shop, tmp_path, **MERGE).expect(0)
    assert len(table(tmp_path)) == 100
    assert rows(tmp_path, "select distinct watermark from _windlass_loads") == [
        ("2024-01-01 00:01:40+00",)
    ]


def test_a_table_that_was_dropped_or_emptied_is_merged_whole(
    shop: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    there = database(18)
    for words in ({}, {"warehouse": there.url}):
        export(shop, tmp_path, **MERGE, **words).expect(0)
    for change in ("drop table orders", "delete from orders"):
        there.run(change)
        with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
            connection.execute(change)
        for words in ({}, {"warehouse": there.url}):
            assert export(shop, tmp_path, **MERGE, **words).expect(0).result["rows"] == 100
    assert len(table(tmp_path)) == there.value("select count(*) from orders") == 100


def test_changes_alone_do_not_fill_a_table_that_was_dropped_meanwhile(
    shop: Database, tmp_path: Path
) -> None:
    """A run was killed before its load; by the time it goes on, the table is gone."""
    export(shop, tmp_path, **MERGE).expect(0)
    shop.run("update shop.orders set note = 'changed', at = '2024-02-01 00:00Z' where id = 7")
    export(shop, tmp_path, "--run", "monday", keep_files=True, **MERGE).expect(0)
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute("drop table orders; delete from _windlass_loads where run = 'monday'")
    export(shop, tmp_path, "--run", "monday", **MERGE).expect(0)
    assert len(table(tmp_path)) == 100


def test_a_table_that_was_replaced_by_others_is_merged_whole(
    shop: Database, tmp_path: Path
) -> None:
    export(shop, tmp_path, **MERGE).expect(0)
    few = {"name": "few", "query": "select * from shop.orders where id < 3", "table": "orders"}
    export(shop, tmp_path, relations=few).expect(0)
    assert len(table(tmp_path)) == 2
    export(shop, tmp_path, **MERGE).expect(0)
    assert len(table(tmp_path)) == 100


@pytest.mark.parametrize("warehouse", ["duckdb", "postgres"])
def test_each_source_has_a_watermark_of_its_own(
    warehouse: str, shop: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    """Two sources, and two conditions, merge into one table; their runs have one name."""
    other, there = database(16), database(18)
    other.run(*SHOP, "update shop.orders set id = id + 500, at = at - interval '1 year'")
    words = {**MERGE, **({"warehouse": there.url} if warehouse == "postgres" else {})}
    export(shop, tmp_path, "--run", "monday", **words).expect(0)
    export(other, tmp_path, "--run", "monday", **words).expect(0)
    some = {**MERGE["relations"], "where": "id < 510"}
    assert export(other, tmp_path, **{**words, "relations": some}).expect(0).result["rows"] == 9
    for source in (shop, other):
        assert export(source, tmp_path, **words).expect(0).result["rows"] == 1
    query = "select count(*) from orders"
    found = there.rows(query) if warehouse == "postgres" else rows(tmp_path, query)
    assert found == [(200,)]


def test_rows_that_are_still_being_written_are_not_passed_by(
    shop: Database, tmp_path: Path
) -> None:
    """Stamped before others, committed after them; and there is no overlap."""
    with shop.connect() as writer:
        writer.execute("begin; insert into shop.orders values (200, now(), 'late')")
        shop.run("insert into shop.orders values (201, now(), 'soon')")
        export(shop, tmp_path, **MERGE).expect(0)
        assert 201 in dict(table(tmp_path)) and 200 not in dict(table(tmp_path))
        writer.execute("commit")
    export(shop, tmp_path, **MERGE).expect(0)
    assert dict(table(tmp_path))[200] == "late"


def test_who_may_not_see_the_writers_is_told(shop: Database, tmp_path: Path) -> None:
    """Since when a session of another role has been writing is for few to know."""
    shop.run(
        f"create role export_reader login password '{PASSWORD}'",
        "grant usage on schema shop to export_reader; grant select on shop.orders to export_reader",
    )
    try:
        with shop.connect() as writer:
            writer.execute("begin; insert into shop.orders values (200, now(), 'late')")
            env = {"WINDLASS_SOURCE": shop.url_for("export_reader")}
            words = {**MERGE, "env": env}
            ran = export(shop, tmp_path, **words).expect(0)
            assert any("grant pg_read_all_stats" in notice for notice in ran.result["notices"])
            words["relations"] = {**MERGE["relations"], "overlap-seconds": 60}
            assert export(shop, tmp_path, **words).expect(0).result["notices"] == []
    finally:
        shop.run("drop owned by export_reader; drop role export_reader")


def test_infinity_and_the_future_do_not_end_the_increments(shop: Database, tmp_path: Path) -> None:
    types = ("timestamptz", "timestamp", "date")
    for type_ in types:
        shop.run(
            f"create table shop.with_{type_} (id int primary key, at {type_})",
            f"insert into shop.with_{type_} values (1, '2024-01-01'), (2, 'infinity'),"
            " (3, now() + '9 years'), (4, null)",
        )
    words = {"relations": {"name": "shop.with_*", "watermark": "at"}, "disposition": "merge"}
    export(shop, tmp_path, **words).expect(0)
    shop.run(*(f"insert into shop.with_{type_} values (5, now())" for type_ in types))
    export(shop, tmp_path, **words).expect(0)
    for type_ in types:
        found = rows(tmp_path, f"select id from with_{type_} order by id")
        assert found == [(n,) for n in range(1, 6)], type_


def test_watermarks_of_other_types(shop: Database, tmp_path: Path) -> None:
    """And rows that have none are read each time."""
    marks = {"bigint": ("9", "10"), "text": ("'a'", "'b'"), "numeric": ("9.5", "10")}
    for type_, (first, _) in marks.items():
        shop.run(
            f"create table shop.by_{type_} (id int primary key, mark {type_}, note text)",
            f"insert into shop.by_{type_} values (0, null, 'none'), (1, {first}, 'one'),"
            f" (2, {first}, 'two')",
        )
    relation: dict[str, Any] = {"name": "shop.by_*", "watermark": "mark"}
    words = {"relations": relation, "disposition": "merge", "format": "csv"}
    export(shop, tmp_path, **words).expect(0)
    for type_, (_, second) in marks.items():
        shop.run(f"update shop.by_{type_} set mark = {second}, note = 'changed' where id = 1")
    assert export(shop, tmp_path, **words).expect(0).result["rows"] == 3 * 3
    shop.run(*(f"update shop.by_{type_} set note = 'still none' where id = 0" for type_ in marks))
    assert export(shop, tmp_path, **words).expect(0).result["rows"] == 2 * 3
    for type_ in marks:
        found = table(tmp_path, f"by_{type_}")
        assert found == [(0, "still none"), (1, "changed"), (2, "two")], type_
    relation["overlap-seconds"] = 60
    problems = export(shop, tmp_path, **words).expect(3).result["problems"]
    assert len(problems) == 3 and "not a time or date" in problems[0]["message"]


def test_csv_merges_into_postgres(
    shop: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    there = database(18)
    words = {**MERGE, "warehouse": there.url, "format": "csv"}
    export(shop, tmp_path, **words).expect(0)
    shop.run("update shop.orders set note = null, at = '2024-02-01 00:00Z' where id = 7")
    assert export(shop, tmp_path, **words).expect(0).result["rows"] == 2
    assert there.rows("select count(*), count(note) from orders") == [(100, 99)]


def test_rows_that_a_key_does_not_tell_apart_are_not_merged(shop: Database, tmp_path: Path) -> None:
    words = {"relations": {"name": "shop.orders", "key": "note"}, "disposition": "merge"}
    ran = export(shop, tmp_path, **words).expect(4)
    assert "the same key (note)" in ran.result["message"]
    assert rows(tmp_path, "from duckdb_tables()") == []


# PostgreSQL as the warehouse


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_postgres_takes_the_sources_own_types(
    form: str, shop: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    there = database(18)
    shop.run(
        "create table shop.v (id int, n numeric(12,2), d date, t timestamp, tz timestamptz, u uuid,"
        " j jsonb, b bytea, a int[], i interval, r int4range, f real, e text, ti time, c char(3))",
        """insert into shop.v values
           (1, 1.10, 'infinity', '-infinity', '2024-06-01 12:00:00.000001+05:30',
            '00000000-0000-0000-0000-0000000000ff', '{"a": [1.10]}', '\\x00ff', '{1,NULL}',
            '1 mon -2 days 3.5 s', '[1,5)', 1.1, '', '24:00', 'x'),
           (2, -0.01, '0044-03-15 BC', '1969-12-31 23:59:59.999999', 'infinity', null,
            'null', '', '{}', null, 'empty', 'NaN', E'a,"b"\\n', '00:00:00.000001', null),
           (3, null, null, null, null, null, null, null, null, null, null, null, null, null, null)
        """,
    )
    export(shop, tmp_path, relations="shop.v", warehouse=there.url, format=form).expect(0)
    query = "select row_to_json(v)::text from {} v order by id"
    assert there.rows(query.format("public.v")) == shop.rows(query.format("shop.v"))
    types = (
        "select attname, format_type(atttypid, atttypmod) from pg_attribute where attnum > 0"
        " and attrelid = '{}'::regclass order by attnum"
    )
    assert there.rows(types.format("public.v")) == shop.rows(types.format("shop.v"))


def test_postgres_merges_by_a_watermark(
    shop: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    there = database(18)
    export(shop, tmp_path, **MERGE, warehouse=there.url).expect(0)
    shop.run("update shop.orders set note = 'changed', at = '2024-02-01 00:00Z' where id = 7")
    ran = export(shop, tmp_path, **MERGE, warehouse=there.url).expect(0)
    assert ran.result["rows"] == 2
    assert there.rows("select note, count(*) from orders group by 1 order by 1") == [
        ("changed", 1), ("new", 99),
    ]  # fmt: skip
    assert there.value("select count(*) from _windlass_loads") == 2


def test_a_load_into_postgres_that_fails_changes_nothing(
    shop: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    there = database(18)
    export(shop, tmp_path, relations="shop.orders", warehouse=there.url).expect(0)
    there.run("alter table orders add constraint few check (id < 150)")
    shop.run("insert into shop.orders values (200, now(), 'too far')")
    ran = export(shop, tmp_path, relations="shop.orders", warehouse=there.url).expect(4)
    assert "few" in ran.result["message"]
    assert there.value("select count(*) from orders") == 100
    assert files(tmp_path) == []


@pytest.mark.parametrize("disposition", ["append", "merge"])
def test_rows_that_a_trigger_discards_are_missed(
    disposition: str, shop: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    there = database(18)
    there.run(
        "create table orders (id int, at timestamptz, note text)",
        "create function few() returns trigger language plpgsql as"
        " $$begin if new.id > 90 then return null; end if; return new; end$$",
        "create trigger few before insert on orders for each row execute function few()",
    )
    words = {"relations": "shop.orders", "disposition": disposition, "warehouse": there.url}
    ran = export(shop, tmp_path, **words).expect(4)
    assert "100 rows were read, 90 have arrived in orders" in ran.result["message"]
    assert there.value("select count(*) from orders") == 0


def test_loads_of_other_tables_do_not_wait(
    shop: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    """A load holds its own table until it is committed."""
    there = database(18)
    export(shop, tmp_path, relations="shop.orders", warehouse=there.url).expect(0)
    with there.connect() as other:
        other.execute("begin; lock table orders")
        query = {"name": "some", "query": "select 1 as a"}
        words = {"relations": [query, "shop.orders"], "warehouse": there.url, "jobs": 2}
        path = spec_file(tmp_path, **words)
        process = start("export", "--json", "-f", str(path), env={"WINDLASS_SOURCE": shop.url})
        until(lambda: there.value("select count(*) from pg_tables where tablename = 'some'"))
        assert process.poll() is None
    finish(process).expect(0)


def test_a_source_is_not_loaded_into_itself(shop: Database, tmp_path: Path) -> None:
    shop.run("create view shop.few as select * from shop.orders where id < 3", "create schema lake")
    words = {"warehouse": shop.url, "into": "shop", "disposition": "append"}
    query = {"name": "orders", "query": "select * from shop.orders"}
    for relation in ("shop.orders", query, {"name": "shop.few", "table": "orders"}):
        (problem,) = (
            export(shop, tmp_path, relations=relation, **words).expect(3).result["problems"]
        )
        assert "the source's own shop.orders" in problem["message"]
    assert shop.value("select count(*) from shop.orders") == 100
    words["into"] = "lake"
    for count in (100, 200):
        export(shop, tmp_path, relations="shop.orders", **words).expect(0)
        assert shop.value("select count(*) from lake.orders") == count


def test_our_own_tables_are_no_part_of_a_source(
    shop: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    there = database(16)
    export(shop, tmp_path, relations="shop.orders", warehouse=there.url).expect(0)
    ran = export(there, tmp_path, relations="public.*").expect(0)
    assert [one["source"] for one in ran.result["relations"]] == ["public.orders"]
    named = {"name": "public._windlass_loads"}
    (problem,) = export(there, tmp_path, relations=named).expect(3).result["problems"]
    assert "a name of windlass's own" in problem["message"]
    export(there, tmp_path, relations={**named, "table": "loads"}).expect(0)


# refusals: everything at once, and nothing is written


def test_everything_that_is_wrong_is_told_at_once(shop: Database, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute("create table orders (id bigint, note int, must int not null)")
    words: dict[str, Any] = {
        "relations": [
            "shop.orders",
            "shop.nothing",
            {"name": "broken", "query": "select * from shop.missing"},
            {"name": "shop.o*", "columns": ["nope"], "table": "other"},
        ]
    }
    words["relations"][3] = {"name": "named", "query": "select 1 as a", "columns": ["nope"]}
    ran = export(shop, tmp_path, **words).expect(3)
    told = "\n".join(f"{one['object']}: {one['message']}" for one in ran.result["problems"])
    assert "shop.nothing: names no relation" in told
    assert 'broken: relation "shop.missing" does not exist' in told
    assert "named: columns: there is no column nope" in told
    assert "id is BIGINT, not INTEGER" in told
    assert "at (TIMESTAMP WITH TIME ZONE) is missing" in told
    assert "note is INTEGER, not VARCHAR" in told
    assert "must is NOT NULL without a default" in told
    assert files(tmp_path) == []


def test_words_that_would_hide_something_and_name_nothing_are_refused(
    shop: Database, tmp_path: Path
) -> None:
    words: dict[str, Any] = {
        "relations": ["shop.orders", {"name": "named", "query": "select 1 as a"}],
        "exclude": ["tmp", "shop.temp_*"],
        "mask": ["pasword", "orders.nots", "shop.orders.note", "note", "named.a"],
        "leave_out": "*.secret",
    }
    ran = export(shop, tmp_path, **words).expect(3)
    assert [one["object"] for one in ran.result["problems"]] == [
        "exclude: tmp", "exclude: shop.temp_*", "mask: pasword", "mask: orders.nots",
        "leave-out: *.secret",
    ]  # fmt: skip
    export(shop, tmp_path, **words, unmatched="ignore").expect(0)
    assert rows(tmp_path, "select distinct note, a from orders, named") == [("***", "***")]


def test_a_bare_name_is_one_everywhere(shop: Database, tmp_path: Path) -> None:
    shop.run("create table shop.tmp as select 1 as id, 'x' as orders")
    export(shop, tmp_path, exclude="tmp", mask="note", leave_out="orders.at").expect(0)
    assert rows(tmp_path, "select distinct columns(* exclude id) from orders") == [("***",)]
    export(shop, tmp_path, relations=["orders", "tm?"], mask="orders", warehouse=None).expect(0)
    assert rows(tmp_path, "select count(*) from duckdb_tables() where table_name = 'tmp'") == [(0,)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"formt": "csv"}, "unknown key 'formt'; did you mean 'format'?"),
        ({"relations": [{"name": "a", "colums": ["x"]}]}, "did you mean 'columns'?"),
        ({"to": "ftp://x"}, "not the URL of a folder in an object store"),
        ({"warehouse": "oracle://x"}, "not a warehouse"),
        ({"format": "csv", "compression": "zstd"}, "csv files can have gzip, none"),
        ({"warehouse": "bigquery://p/d"}, "BigQuery loads from gs:// only"),
        ({"relations": [{"name": "a", "watermark": "at"}]}, "which only merge"),
        ({"relations": [{"name": "q", "query": "select 1"}], "disposition": "merge"}, "its key"),
    ],
)
def test_words_that_are_wrong_are_refused(words: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = spec_file(tmp_path, **words)
    ran = windlass("export", "-f", str(path), env={"WINDLASS_SOURCE": "postgresql://nowhere/x"})
    assert said in ran.expect(2).stderr


def test_a_source_that_is_not_there_may_be_there_later(tmp_path: Path) -> None:
    path = spec_file(tmp_path)
    env = {"WINDLASS_SOURCE": "postgresql://u@127.0.0.1:1/x"}
    ran = windlass("export", "--json", "-f", str(path), env=env).expect(4)
    assert ran.result["problems"][0]["object"] == "source"


def test_a_folder_where_nothing_may_be_written_is_refused(shop: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = export(shop, tmp_path, to=f"file://{tmp_path}/file/below").expect(3)
    assert "below" in ran.said


# faults


class FullDisk:
    """What a store does where its copies have no space."""

    def place(self, path: str) -> str:
        return f"s3://lake/{path}"

    @contextmanager
    def local(self, path: str) -> Iterator[Path]:
        with Path("/dev/full").open("wb", buffering=0) as copy:
            copy.write(b"rows")
        yield Path(copy.name)


def test_a_machine_without_space_for_a_copy_says_so() -> None:
    from windlass.engines.objects.store import fetched

    full: Any = FullDisk()
    with (
        pytest.raises(WindlassError, match="no space left on this machine") as told,
        fetched(full, "part-00001.parquet"),
    ):
        pass
    assert "TMPDIR" in told.value.hint


def test_objects_that_vanish_between_steps_are_missed(shop: Database, tmp_path: Path) -> None:
    """The extract's manifest is there, its file is not."""
    words = {"relations": "shop.orders", "keep_files": True}
    folder = extracted(shop, tmp_path, **words)
    (folder / "part-00001.parquet").unlink()
    ran = export(shop, tmp_path, "--run", "one", **words).expect(4)
    assert "part-00001.parquet has vanished" in ran.result["message"]
    (folder / "manifest.json").unlink()
    export(shop, tmp_path, "--run", "one", **words).expect(0)
    assert len(table(tmp_path)) == 100


def extracted(source: Database, folder: Path, **words: Any) -> Path:
    """Where the files of run `one` are. It is as if it had been killed before the load."""
    export(source, folder, "--run", "one", **words).expect(0)
    (folder / "w.duckdb").unlink()
    (found,) = (folder / "files").glob("*/one-*")
    return found


def test_a_file_that_was_cut_short_is_noticed(shop: Database, tmp_path: Path) -> None:
    words = {"relations": "shop.orders", "keep_files": True}
    file = extracted(shop, tmp_path, **words) / "part-00001.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    ran = export(shop, tmp_path, "--run", "one", **words).expect(4)
    assert "were written" in ran.result["message"]


def test_two_exports_at_once_both_end_right(shop: Database, tmp_path: Path) -> None:
    """Both hold their snapshots before either can read: the table is locked until then."""
    path = spec_file(tmp_path, relations="shop.orders", disposition="append")
    env = {"WINDLASS_SOURCE": shop.url}
    with shop.connect() as holder:
        holder.execute("begin; lock table shop.orders")
        both = [start("export", "--json", "-f", str(path), env=env) for _ in range(2)]
        until(lambda: shop.value(HOLDERS) == 2)
    for process in both:
        finish(process).expect(0)
    assert len(table(tmp_path)) == 200
    assert files(tmp_path) == []


def test_a_table_that_is_dropped_meanwhile_waits_for_its_readers(
    shop: Database, tmp_path: Path
) -> None:
    """The snapshot's holder has locked what it has looked at."""
    shop.run(
        "create table shop.slow as select n as id from generate_series(1, 1500) n",
        "create view shop.waiting as select id, pg_sleep(0.001) is null as woke from shop.slow",
    )
    path = spec_file(tmp_path, relations=["shop.waiting", "shop.orders"], jobs=1)
    process = start("export", "--json", "-f", str(path), env={"WINDLASS_SOURCE": shop.url})
    until(lambda: shop.value(SLEEPING))
    shop.run("set lock_timeout = '20s'; drop table shop.orders")
    ran = finish(process).expect(0)
    assert len(table(tmp_path)) == 100 and ran.result["state"] == "done"


def until(is_so: Callable[[], Any], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.01)


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_csv_is_counted_whatever_its_values_look_like(
    compression: str, shop: Database, tmp_path: Path
) -> None:
    """Texts that begin like numbers, one that is longer than a reader's block, quotes and ends of
    lines within."""
    shop.run(
        'create table shop.v (code text, "a ""long"" one" text)',
        "insert into shop.v select n::text, 'x' from generate_series(1, 200000) n",
        "insert into shop.v values ('A17', repeat(E'a,\"\\n', 600000)), (null, null), ('', E'\\n')",
    )
    words = {"relations": "shop.v", "format": "csv", "compression": compression, "warehouse": None}
    ran = export(shop, tmp_path, **words).expect(0)
    assert ran.result["rows"] == 200_003


def test_what_the_server_says_while_rows_are_read_decides_about_another_try(
    shop: Database,
) -> None:
    from windlass.engines.postgres.arrow import ArrowReader
    from windlass.engines.postgres.describing import column_of
    from windlass.engines.postgres.session import Address, Role
    from windlass.engines.postgres.snapshot import SnapshotHolder
    from windlass.errors import WindlassError
    from windlass.model.export import Export

    shop.run(
        "create function shop.boom(n int, code text) returns int language plpgsql as $$ begin"
        """ if n > 90 then raise exception 'no value "%"', 'hidden' using errcode = code; end if;"""
        " return n; end $$"
    )
    address = Address.parse("source", shop.url)
    said = {"40001": True, "40P01": True, "57014": True, "53100": False, "22012": False}
    column = column_of("n", "integer", 23, -1)
    holder = SnapshotHolder(address, "test")
    with closing(holder), address.connect(Role.SOURCE, "test") as like:
        for code, helps in said.items():
            rows_of = f"(select shop.boom(id, '{code}') as n from shop.orders) as v"
            reader = ArrowReader(address, like, holder.numbered(1).id, "test")
            with pytest.raises(WindlassError) as error:
                list(reader.batches(Export("v", "v", rows_of, (column,), "truncate")))
            reader.close()
            assert error.value.retryable is helps and "hidden" not in str(error.value), code


STEPS = ("read_source", "extract", "check_objects", "load", "check_rows", "clean_up")
WRITING = "call windlass.transfer.files:_Counted.write 6"
PLACES = (
    *(f"{when} {step}" for step in STEPS for when in ("before", "after")),
    WRITING,
    "call windlass.flows.export.manifests:Manifests.write",
    "duckdb insert into .*_windlass_loads",  # the rows are there, and not committed
    "duckdb ^commit",
)


@pytest.mark.parametrize("place", PLACES)
def test_a_run_that_was_killed_goes_on(place: str, shop: Database, tmp_path: Path) -> None:
    """Nothing is lost, nothing doubled, and no file stays, not even one that was begun."""
    words: dict[str, Any] = {"relations": "shop.orders", "disposition": "append"}
    path = spec_file(tmp_path, **words)
    command = ["export", "--json", "-f", str(path), "--run", "monday"]
    kill(place, command, {"WINDLASS_SOURCE": shop.url})
    if place == WRITING:
        assert any("#" in name for name in files(tmp_path)), "nothing was begun"
    ran = export(shop, tmp_path, "--run", "monday", **words).expect(0)
    assert ran.result["verified"] == "rows"
    assert len(table(tmp_path)) == 100
    assert files(tmp_path) == []


@pytest.mark.parametrize("disposition", ["append", "truncate"])
@pytest.mark.parametrize("place", ["postgres insert into .*_windlass_loads", "after load"])
def test_a_run_that_was_killed_while_postgres_was_loaded_goes_on(
    place: str,
    disposition: str,
    shop: Database,
    database: Callable[[int], Database],
    tmp_path: Path,
) -> None:
    there = database(18)
    words = {"relations": "shop.orders", "warehouse": there.url, "disposition": disposition}
    export(shop, tmp_path, "--run", "sunday", **words).expect(0)
    shop.run("insert into shop.orders values (101, now(), 'more')")
    path = spec_file(tmp_path, **words)
    command = ["export", "--json", "-f", str(path), "--run", "monday"]
    kill(place, command, {"WINDLASS_SOURCE": shop.url})
    export(shop, tmp_path, "--run", "monday", **words).expect(0)
    expected = 201 if disposition == "append" else 101
    assert there.value("select count(*) from orders") == expected
    assert files(tmp_path) == []


@pytest.mark.parametrize("compression", ["snappy", "gzip", "none"])
def test_parquet_is_compressed_as_asked(compression: str, shop: Database, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    words = {"relations": "shop.orders", "compression": compression, "keep_files": True}
    export(shop, tmp_path, **words).expect(0)
    (file,) = (tmp_path / "files").rglob("*.parquet")
    found = pq.ParquetFile(file).metadata.row_group(0).column(0).compression
    assert found == {"none": "UNCOMPRESSED"}.get(compression, compression.upper())
    assert len(table(tmp_path)) == 100


def test_a_run_that_is_interrupted_cleans_up(shop: Database, tmp_path: Path) -> None:
    shop.run(
        "create table shop.long as select n as id, md5(n::text) from generate_series(1, 300000) n",
        "create view shop.slow as select *, pg_sleep(0.001) is null as woke from shop.long",
    )
    path = spec_file(tmp_path, relations="shop.slow", file_size="64kB")
    process = start("export", "--json", "-f", str(path), env={"WINDLASS_SOURCE": shop.url})
    until(lambda: shop.value(SLEEPING))
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGINT)
    ended = finish(process).expect(130)
    assert [one["source"] for one in ended.result["relations"]] == ["shop.slow"]
    assert files(tmp_path) == []
    until(lambda: not shop.value(SLEEPING))


def test_a_source_that_hangs_up_is_read_again_in_a_new_snapshot(
    shop: Database, tmp_path: Path
) -> None:
    shop.run(
        "create table shop.long as select n as id from generate_series(1, 1500) n",
        "create view shop.slow as select *, pg_sleep(0.001) is null as woke from shop.long",
    )
    path = spec_file(tmp_path, relations="shop.slow")
    process = start("export", "--json", "-f", str(path), env={"WINDLASS_SOURCE": shop.url})
    until(lambda: shop.value(SLEEPING))
    shop.run("select pg_terminate_backend(pid) from pg_stat_activity"
             " where application_name like 'windlass%'")  # fmt: skip
    ran = finish(process).expect(0)
    assert any("new snapshot" in notice for notice in ran.result["notices"])
    assert rows(tmp_path, "select count(*) from slow") == [(1500,)]


def test_the_example_in_the_documentation_loads(tmp_path: Path) -> None:
    page = (DOCS / "export.md").read_text()
    file = tmp_path / "export.yaml"
    file.write_text(page.split("```yaml\n")[1].split("```")[0])
    spec = read_spec(file)
    assert isinstance(spec, ExportSpec) and spec.relations
