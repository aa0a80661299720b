"""What following needs of a server and of tables: every lack is named, each with its remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from servers import Database
from windlass.engines.postgres.readiness import (
    OldTransaction,
    Readiness,
    StreamServer,
    read_readiness,
)
from windlass.engines.postgres.session import Address, Role
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.planning.postgres.following import publishing_problems, stream_problems

READY = StreamServer(
    wal_level="logical",
    is_standby=False,
    max_slots=10,
    used_slots=0,
    max_senders=10,
    used_senders=0,
    wal_kept_at_most="-1",
    is_superuser=True,
    may_replicate=True,
    owns_database=True,
    may_create=True,
    may_end_sessions=True,
    service="",
)


def readiness(
    waiting: tuple[OldTransaction, ...] = (), refusal: str = "", **lacks: object
) -> Readiness:
    return Readiness(replace(READY, **lacks), {}, waiting, refusal)  # type: ignore[arg-type]


def found(read: Readiness) -> list[Problem]:
    return list(stream_problems("source", "app", read))


def test_a_server_that_has_all_is_not_refused() -> None:
    assert found(readiness()) == []


@pytest.mark.parametrize(
    ("lacks", "message", "hint"),
    [
        ({"wal_level": "replica"}, "wal_level = replica", "ALTER SYSTEM SET wal_level = logical"),
        ({"wal_level": "replica", "service": "rds"}, "wal_level", "rds.logical_replication = 1"),
        ({"wal_level": "replica", "service": "cloudsql"}, "wal_level", "cloudsql.logical_decoding"),
        ({"wal_level": "replica", "service": "azure"}, "wal_level", "server parameter wal_level"),
        ({"wal_level": "replica", "service": "neon"}, "wal_level", "cannot be switched off again"),
        ({"is_standby": True}, "is a standby", "name its primary"),
        ({"used_slots": 10}, "0 free replication slots, and 1 are needed", "max_replication_slots"),
        ({"used_senders": 10}, "0 free WAL senders", "max_wal_senders"),
        ({"may_replicate": False}, "app may not replicate", 'ALTER ROLE "app" REPLICATION'),
        ({"may_replicate": False, "service": "rds"}, "not replicate", 'rds_replication TO "app"'),
        ({"may_create": False}, "needs CREATE on the database", "GRANT CREATE ON DATABASE"),
        ({"refusal": "unsupported startup parameter: replication"}, "refuses", "not of a pooler"),
        (
            {"waiting": (OldTransaction(7, "", "batch", "nightly", 7200.0, "update t"),)},
            "open for 2 h 00 min (pid 7, nightly), and a slot waits until it ends: update t",
            "pg_terminate_backend(7)",
        ),
        (
            {"waiting": (OldTransaction(0, "it's", "batch", "", 1.0, ""),)},
            "transaction it's of batch was prepared",
            "ROLLBACK PREPARED 'it''s'",
        ),
    ],
)
def test_each_lack_is_named_with_its_remedy(
    lacks: Mapping[str, object], message: str, hint: str
) -> None:
    (problem,) = found(readiness(**lacks))  # type: ignore[arg-type]
    assert message in problem.message
    assert hint in problem.hint


def test_all_lacks_are_named_at_once() -> None:
    read = readiness(wal_level="replica", used_slots=10, may_replicate=False, refusal="no")
    assert len(found(read)) == 4


def test_a_transaction_of_minutes_is_waited_for_and_not_refused() -> None:
    assert found(readiness((OldTransaction(7, "", "app", "", 600.0, ""),))) == []


TABLES = (
    "create table keyed (id int primary key, t text)",
    "create table indexed (id int not null, t text)",
    "create unique index indexed_id on indexed (id)",
    "create table keyless (t text)",
    "create table none_with_key (id int primary key)",
    "alter table none_with_key replica identity nothing",
    "create table whole (t text, n int generated always as (length(t)) stored)",
    "alter table whole replica identity full",
    "create table full_row (t text)",
    "alter table full_row replica identity full",
    "create table later (id int primary key deferrable)",
    "create table nullable (id int)",
    "create unique index nullable_id on nullable (id)",
)


def read(database: Database) -> Readiness:
    address = Address.parse("source", database.url)
    with address.connect(Role.SOURCE, "windlass test") as connection:
        return read_readiness(connection, address)


@pytest.mark.parametrize("version", [15, 18])
def test_a_table_whose_rows_the_stream_could_not_name_is_refused(
    version: int, database: Callable[[int], Database]
) -> None:
    source = database(version)
    source.run(*TABLES)
    there = read(source)
    names = sorted(there.relations)
    problems = {one.object: one for one in publishing_problems("postgres", names, there)}
    assert set(problems) == {
        "public.indexed",
        "public.keyless",
        "public.none_with_key",
        "public.later",
        "public.nullable",
        "public.whole",
    }
    assert 'USING INDEX "indexed_id"' in problems["public.indexed"].hint
    assert "REPLICA IDENTITY FULL" in problems["public.keyless"].hint
    assert "REPLICA IDENTITY DEFAULT" in problems["public.none_with_key"].hint
    assert "generated column" in problems["public.whole"].message


def test_a_role_without_rights_is_told_each_of_them(database: Callable[[int], Database]) -> None:
    source = database(16)
    source.run(
        "create table t (id int primary key)",
        "do $$ begin create role streamless login password 'x'; exception when others then end $$",
        "grant select on t to streamless",
    )
    with Address.parse("source", source.url).connect(Role.SOURCE, "windlass test") as connection:
        connection.execute("set role streamless")
        there = read_readiness(connection, Address.parse("source", source.url))
    assert not there.server.may_replicate
    problems = publishing_problems("streamless", [Name("public", "t")], there)
    assert [one.hint for one in problems] == ['GRANT "postgres" TO "streamless"']


def test_a_prepared_transaction_is_read_from_the_server(
    database: Callable[[int], Database],
) -> None:
    source = database(16)
    source.run("create table t (id int primary key)")
    with source.connect() as connection:
        connection.autocommit = False
        connection.execute("insert into t values (1)")
        connection.execute("prepare transaction 'left'")
        connection.commit()
        there = read(source)
        connection.execute("select 1")
        connection.rollback()
        connection.autocommit = True
        connection.execute("rollback prepared 'left'")
    assert [one.prepared for one in there.waiting] == ["left"]
    assert (there.server.wal_level, there.refusal) == ("logical", "")
