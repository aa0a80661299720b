"""A server's lock table is small: what fits into it is migrated, what cannot fit is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from command import DONE, REFUSED, migrate, windlass
from servers import FAST, Database, Pair, Server

# room for 200 locks by the manual's reckoning, for some more in fact
SMALL = {
    **FAST,
    "max_connections": "20",
    "max_locks_per_transaction": "10",
    "max_prepared_transactions": "0",
}
MANY_SECONDS = 900.0  # for thousands of tables, on a machine that others use as well
DEFAULTS = {**FAST, "max_connections": "100", "max_prepared_transactions": "0"}


def partitioned(database: Database, count: int) -> None:
    database.run(
        "create table pt (id bigint, k int, v text, primary key (id, k)) partition by list (k)",
        "create index on pt (v)",
    )
    with database.connect() as connection:
        for number in range(count):
            connection.execute(
                f"create table pt_{number} partition of pt for values in ({number})".encode()
            )
            connection.execute(f"insert into pt_{number} values ({number}, {number}, 'x')".encode())


def with_serials(database: Database, count: int) -> None:
    with database.connect() as connection:
        for number in range(count):
            connection.execute(f"create table s_{number} (id serial primary key)".encode())
            connection.execute(f"insert into s_{number} default values".encode())


@pytest.fixture
def small(own_server: Callable[..., Server]) -> Pair:
    return Pair(own_server(16, SMALL).create_database(), own_server(18, SMALL).create_database())


def test_more_partitions_than_the_settings_promise_room_for_are_migrated(small: Pair) -> None:
    partitioned(small.source, 200)
    done = migrate(small, "--jobs", "2").expect(DONE).result
    assert done["losses"] == []
    assert small.target.value("select count(*) from pt") == 200
    estimated = "select count(*) from pg_class where relkind = 'r' and reltuples = 1"
    assert small.target.value(f"{estimated} and relname ~ '^pt_'") == 200
    windlass("rollback", done["run"], "--yes", pair=small).expect(DONE)
    assert small.target.value("select to_regclass('pt')") is None


def test_more_serials_than_the_settings_promise_room_for_are_migrated(small: Pair) -> None:
    with_serials(small.source, 250)
    assert migrate(small, "--jobs", "2").expect(DONE).result["sequences"] == 250
    assert small.target.value("select nextval('s_249_id_seq')") == 2


def refused(pair: Pair) -> dict[str, tuple[str, str]]:
    problems = migrate(pair).expect(REFUSED).result["problems"]
    return {one["object"]: (one["message"], one["hint"]) for one in problems}


def test_a_target_without_room_is_refused_with_its_setting_and_the_value_to_set(
    own_server: Callable[..., Server], database: Callable[[int], Database]
) -> None:
    pair = Pair(database(16), own_server(18, SMALL).create_database())
    with_serials(pair.source, 1500)
    message, hint = refused(pair)["target"]
    assert "pg_dump locks 1,500 tables at once" in message
    assert "max_locks_per_transaction 10" in message
    assert hint == "set max_locks_per_transaction = 83 on the target and restart it"


def test_a_source_without_room_for_pg_dump_is_refused(
    own_server: Callable[..., Server], database: Callable[[int], Database]
) -> None:
    pair = Pair(own_server(16, SMALL).create_database(), database(18))
    with_serials(pair.source, 1500)
    message, hint = refused(pair)["source"]
    assert "pg_dump locks 1,500 tables at once" in message
    assert hint == "set max_locks_per_transaction = 83 on the source and restart it"


@pytest.mark.full
@pytest.mark.parametrize(("fill", "count"), [(partitioned, 5_000), (with_serials, 10_000)])
def test_what_pg_dump_can_dump_by_default_settings_is_migrated(
    own_server: Callable[..., Server], fill: Callable[[Database, int], None], count: int
) -> None:
    pair = Pair(
        own_server(16, DEFAULTS).create_database(), own_server(18, DEFAULTS).create_database()
    )
    fill(pair.source, count)
    done = windlass("migrate", "--json", pair=pair, seconds=MANY_SECONDS).expect(DONE)
    assert done.result["losses"] == []
