"""PostgreSQL as the warehouse of an export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from awaiting import until
from command import finish, start
from export_shop import MERGE, shop
from exporting import export, files, rows, spec_file
from servers import Database

__all__ = ["shop"]  # fixtures


def test_csv_merges_into_postgres(
    shop: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    there = database(18)
    words = {**MERGE, "warehouse": there.url, "format": "csv"}
    export(shop, tmp_path, **words).expect(0)
    shop.run("update shop.orders set note = null, at = '2024-02-01 00:00Z' where id = 7")
    assert export(shop, tmp_path, **words).expect(0).result["rows"] == 2
    assert there.rows("select count(*), count(note) from orders") == [(100, 99)]


def test_rows_that_a_key_does_not_distinguish_are_not_merged(
    shop: Database, tmp_path: Path
) -> None:
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
