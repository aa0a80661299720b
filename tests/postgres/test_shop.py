"""The sample shop, as the demo and the tests that use it rely on it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest

from windlass.demo import shop
from windlass.engines.postgres.embedded import EmbeddedServer, Version, bin_directory
from windlass.errors import WindlassError

SCALE = 0.01
OURS = """::regnamespace::text in ('shop', 'warehouse', '"Back Office"')"""


class Shop:
    """A filled shop on a separate server."""

    def __init__(self, server: EmbeddedServer, database: str) -> None:
        self.server, self.url = server, server.create_database(database)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(psycopg.connect(self.url, autocommit=True)) as connection:
            return connection.execute(query.encode()).fetchall()

    def column(self, query: str) -> set[Any]:
        return {value for (value,) in self.rows(query)}

    def value(self, query: str) -> Any:
        return self.rows(query)[0][0]

    def count(self) -> int:
        return sum(rows for rows, _ in self.fingerprints().values())

    def relations(self) -> set[str]:
        """All that have rows themselves, as SQL writes their names."""
        return self.column(
            f"select oid::regclass::text from pg_class where relkind = 'r' and relnamespace{OURS}"
        )

    def fingerprints(self) -> dict[str, tuple[int, int]]:
        return {
            name: self.rows(
                f"select count(*), sum(hashtextextended(t::text, 0)) from only {name} as t"
            )[0]
            for name in self.relations()
        }


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[Version, EmbeddedServer]]:
    quick = {"fsync": "off", "max_wal_size": "2GB", "autovacuum": "off"}
    made: dict[Version, EmbeddedServer] = {}
    with TemporaryDirectory(prefix="windlass-test-") as name:
        Path(name).chmod(0o755)
        try:
            for version in (16, 18):
                made[version] = EmbeddedServer.create(version, Path(name) / str(version), quick)
                made[version].start()
            yield made
        finally:
            for server in made.values():
                server.remove()


@pytest.fixture(scope="module")
def on_16(servers: dict[Version, EmbeddedServer]) -> Shop:
    made = Shop(servers[16], "small")
    shop.fill(made.url, SCALE)
    return made


@pytest.fixture(scope="module")
def on_18(servers: dict[Version, EmbeddedServer]) -> Shop:
    made = Shop(servers[18], "small")
    shop.fill(made.url, SCALE)
    return made


@pytest.fixture(params=[16, 18])
def any_shop(request: pytest.FixtureRequest) -> Shop:
    made = request.getfixturevalue(f"on_{request.param}")
    assert isinstance(made, Shop)
    return made


def test_the_whole_shop_has_about_a_million_and_a_half_rows(
    servers: dict[Version, EmbeddedServer],
) -> None:
    whole = Shop(servers[16], "whole")
    shop.fill(whole.url)
    assert whole.count() == pytest.approx(shop.ROWS, rel=0.05)


def test_two_fillings_are_equal_on_both_versions(on_16: Shop, on_18: Shop) -> None:
    assert on_16.fingerprints() == on_18.fingerprints()


def test_a_pg_dump_of_the_shop_restores_into_the_newer_version(
    on_16: Shop, on_18: Shop, tmp_path: Path
) -> None:
    programs, dump = bin_directory(18), tmp_path / "shop.dump"
    subprocess.run([programs / "pg_dump", "-Fc", "-f", dump, on_16.url], check=True)
    restored = Shop(on_18.server, "restored")
    subprocess.run([programs / "pg_restore", "-e", "-d", restored.url, dump], check=True)
    assert restored.fingerprints() == on_18.fingerprints()


def test_a_second_filling_is_refused_and_changes_nothing(any_shop: Shop) -> None:
    before = any_shop.count()
    with pytest.raises(WindlassError, match='schema "shop" already exists'):
        shop.fill(any_shop.url, SCALE)
    assert any_shop.count() == before


@pytest.mark.parametrize("scale", [0, 0.0001, 0.003])
def test_the_smallest_shops_are_whole_ones(
    servers: dict[Version, EmbeddedServer], scale: float
) -> None:
    made = Shop(servers[18], f"tiny {scale}")
    shop.fill(made.url, scale)
    empty = {name for name, (rows, _) in made.fingerprints().items() if rows == 0}
    assert not {name for name in empty if not name.startswith("shop.orders_")}


def test_there_are_relations_of_every_shape(any_shop: Shop) -> None:
    assert len(any_shop.relations()) >= 12
    shapes = any_shop.column(
        f"select distinct relkind::text from pg_class where relnamespace{OURS}"
    )
    assert shapes >= {"r", "p", "v", "m", "i", "I", "S", "c"}
    heirs = "select inhrelid::regclass::text from pg_inherits"
    assert '"Back Office".invoice' in any_shop.column(heirs)


def test_there_are_columns_of_every_family_of_types(any_shop: Shop) -> None:
    found = any_shop.column(
        "select distinct t.typname::text"
        "  from pg_attribute as a join pg_type as t on t.oid = a.atttypid"
        "  join pg_class as c on c.oid = a.attrelid"
        f" where a.attnum > 0 and c.relnamespace{OURS}"
    )
    assert found >= {
        *("bool", "int2", "int4", "int8", "float4", "numeric"),
        *("text", "varchar", "bpchar", "bytea", "uuid", "jsonb", "tsvector"),
        *("date", "time", "timestamptz", "interval", "inet", "cidr", "point"),
        *("daterange", "tstzrange", "datemultirange", "weight"),
        *("_text", "_int2", "_channel", "_contact"),
        *("order_status", "email", "country", "amount", "dimensions"),
    }


def test_there_are_identity_serial_and_generated_columns(any_shop: Shop) -> None:
    assert any_shop.column("select distinct attidentity::text from pg_attribute") >= {"a", "d"}
    assert any_shop.value("select count(*) from pg_attribute where attgenerated = 's'") == 3
    assert any_shop.value("select count(*) from pg_attribute where attisdropped") == 1


def test_there_are_constraints_of_every_kind_and_all_are_valid(any_shop: Shop) -> None:
    found = any_shop.column("select distinct contype::text from pg_constraint where convalidated")
    assert found >= {"c", "f", "p", "u", "x"}
    assert any_shop.value("select count(*) from pg_constraint where not convalidated") == 0


def test_foreign_keys_run_in_circles(any_shop: Shop) -> None:
    edges = any_shop.rows(
        "select distinct conrelid::regclass::text, confrelid::regclass::text"
        "  from pg_constraint where contype = 'f'"
    )
    assert {("shop.customer", "shop.address"), ("shop.address", "shop.customer")} <= set(edges)
    assert ("shop.category", "shop.category") in edges


def test_there_is_code_and_there_are_comments(any_shop: Shop) -> None:
    kinds = any_shop.column(f"select distinct prokind::text from pg_proc where pronamespace{OURS}")
    assert kinds == {"f", "p", "a"}
    assert any_shop.value("select count(*) from pg_trigger where not tgisinternal") == 3
    assert any_shop.value("select count(*) from pg_description as d where objoid >= 16384") >= 12


def test_some_names_need_quotes(any_shop: Shop) -> None:
    assert any_shop.value('select max("Wage €/h") from "Back Office"."Shift Plan"') > 0
    assert any_shop.rows('select "Revenue €" from "Back Office"."Revenue by Category" limit 1')


def test_business_continues_where_the_rows_end(any_shop: Shop) -> None:
    with closing(psycopg.connect(any_shop.url)) as connection:
        added = connection.execute(
            "insert into shop.customer (name, email) values ('New', 'new@example.org') returning id"
        ).fetchone()
        ordered = connection.execute(
            "insert into shop.orders (customer_id, address_id) values (1, 1)"
            " returning id, tableoid::regclass::text"
        ).fetchone()
        connection.rollback()
    assert added == (any_shop.value("select max(id) + 1 from shop.customer"),)
    assert ordered is not None
    assert ordered[0] > any_shop.value("select max(id) from shop.orders")
    assert ordered[1] == "shop.orders_later"


def test_a_changed_customer_is_stamped(any_shop: Shop) -> None:
    with closing(psycopg.connect(any_shop.url)) as connection:
        changed = connection.execute(
            "update shop.customer set name = name || '!' where id = 1 returning changed_at = now()"
        ).fetchone()
        connection.rollback()
    assert changed == (True,)


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("insert into shop.price values (1, '[2025-01-01,2025-02-01)', 1)", "one_price_a_day"),
        ("update shop.customer set email = 'nowhere'", "looks_like_an_address"),
        ("update shop.review set stars = 6", "five_stars_at_most"),
        ("delete from shop.product", "foreign key constraint"),
        (
            "insert into warehouse.stock_movement (depot_id, product_id, quantity, reason)"
            " values (1, 1, -1000000, 'sale')",
            "too little of product",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(any_shop: Shop, statement: str, complaint: str) -> None:
    with pytest.raises(psycopg.Error, match=complaint):
        any_shop.rows(statement)


def test_every_view_can_be_read_and_every_report_refreshed(any_shop: Shop) -> None:
    any_shop.value("select count(*) from shop.offer")
    assert any_shop.value("select sum(total) from shop.order_total") > 0
    with closing(psycopg.connect(any_shop.url, autocommit=True)) as connection:
        connection.execute('call "Back Office".refresh_reports()')
    assert any_shop.value("select shop.longest(name) from shop.customer")
