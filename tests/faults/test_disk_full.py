"""The target's disk fills up: the run stops clearly, and with free space the same command
resumes."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg import sql

from command import DONE, STOPPED, migrate
from landings import Loads, Records, words
from needs import needs, needs_root
from oracle import content_difference, schema_difference
from paths import BUSY
from servers import FAST, Database, Pair, Server

LITTLE_WAL = {"min_wal_size": "32MB", "max_wal_size": "48MB", "shared_buffers": "16MB"}


@dataclass
class Disk:
    """A file system in memory that is as small as we say."""

    path: Path

    def resize(self, megabytes: int) -> None:
        subprocess.run(
            ["mount", "-o", f"remount,size={megabytes}m", self.path],
            check=True,
            capture_output=True,
        )


@pytest.fixture
def disk() -> Iterator[Disk]:
    """A disk of 400 MB, to be made smaller. Mounting needs root, and the right to mount."""
    needs_root("can mount a small disk")
    path = Path(tempfile.mkdtemp(prefix="windlass-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=400m,mode=0755", "windlass-test", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        path.rmdir()
        needs(False, "this root may not mount a small disk")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", path], check=False, capture_output=True)
        path.rmdir()


def used_megabytes(disk: Disk) -> int:
    status = os.statvfs(disk.path)
    return (status.f_blocks - status.f_bfree) * status.f_frsize >> 20


@pytest.fixture
def source(database: Callable[[int], Database]) -> Database:
    made = database(16)
    made.load(BUSY, scale=2)
    return made


def assert_goes_on(pair: Pair, message: str) -> None:
    migrate(pair).expect(DONE)
    assert "space" in message or "full" in message, message
    assert schema_difference(pair.source, pair.target) == []
    assert content_difference(pair.source, pair.target) == []


def test_a_full_tablespace_stops_the_move_until_there_is_space(
    own_server: Callable[..., Server], source: Database, disk: Disk
) -> None:
    server = own_server(18)
    os.chown(disk.path, *_owner(server))
    server.admin.run(f"create tablespace small location '{disk.path}'")
    server.admin.run("create database small template template0 tablespace small")
    pair = Pair(source, Database(server, "small"))
    disk.resize(used_megabytes(disk) + 25)
    ran = migrate(pair).expect(STOPPED)
    disk.resize(400)
    assert_goes_on(pair, ran.result["message"].lower())


def test_a_full_data_folder_stops_the_move_until_there_is_space(
    own_server: Callable[..., Server], source: Database, disk: Disk
) -> None:
    """Its write-ahead log finds no space either, so the server itself may go down."""
    data = disk.path / "data"
    server = own_server(18, {**FAST, **LITTLE_WAL}, data)
    pair = Pair(source, server.create_database())
    disk.resize(used_megabytes(disk) + 30)
    ran = migrate(pair).expect(STOPPED)
    disk.resize(400)
    server.restart()
    assert ran.result["message"]
    assert_goes_on(pair, "space")


def test_a_merge_needs_no_more_shared_memory_than_there_is(
    own_server: Callable[..., Server], disk: Disk
) -> None:
    """Containers often have 64 MB of it, which is too little for a hash that processes share."""
    server = own_server(16, {**FAST, "dynamic_shared_memory_type": "mmap"})
    server.stop()
    os.chown(disk.path, *_owner(server))
    (server.data / "pg_dynshmem").rmdir()
    (server.data / "pg_dynshmem").symlink_to(disk.path)
    server.start()
    made = server.create_database()
    made.run(
        "create schema shop",
        "create table shop.orders as select id, 0 as n, repeat('x', 100) as note"
        " from generate_series(1, 300000) id",
        "alter table shop.orders add primary key (id)",
        "analyze shop.orders",
    )
    disk.resize(2)
    records = Records(("id", "n"), [(str(id), "1") for id in range(150_000)], batch_rows=50_000)
    with Loads(made) as loads:
        counts = loads.run("shop.orders", words("merge", "id"), records).counts
    assert "could not resize shared memory segment" in server.log()
    assert (counts.updated, counts.inserted) == (149_999, 1)
    assert made.value("select sum(n) from shop.orders") == 150_000


def _owner(server: Server) -> tuple[int, int]:
    status = server.data.stat()
    return status.st_uid, status.st_gid


def test_a_statement_that_is_too_big_for_temporary_files_stops_clearly(pair: Pair) -> None:
    """temp_file_limit gives the server's own words for a lack of space, for an index build."""
    pair.source.run(
        "create table t (a text)",
        "insert into t select md5(i::text) || md5((-i)::text) from generate_series(1, 200000) i",
        "create index on t (a)",
    )
    limit = sql.SQL("alter database {} set temp_file_limit = '100kB'").format(
        sql.Identifier(pair.target.name)
    )
    more = sql.SQL("alter database {} set maintenance_work_mem = '1MB'").format(
        sql.Identifier(pair.target.name)
    )
    pair.target.run(limit.as_string(), more.as_string())
    ran = migrate(pair, "--accept", "settings")
    assert ran.code in (DONE, STOPPED), ran.said
    pair.target.run(
        sql.SQL("alter database {} reset temp_file_limit")
        .format(sql.Identifier(pair.target.name))
        .as_string()
    )
    if ran.code == STOPPED:
        assert "temp" in ran.result["message"].lower(), ran.result["message"]
        migrate(pair, "--accept", "settings").expect(DONE)
    assert schema_difference(pair.source, pair.target) == []
