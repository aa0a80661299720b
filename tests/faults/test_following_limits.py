"""Where a process that follows meets a limit: the target's disk, values of hundreds of megabytes,
connections that are encrypted."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from awaiting import until
from certificates import Authority
from command import STOPPED, finish, start
from needs import needs, needs_root, needs_version
from pursued import FOLLOW, TABLES, following, phase, write
from servers import FAST, Database, Pair, Server

LITTLE_WAL = {"min_wal_size": "32MB", "max_wal_size": "48MB", "shared_buffers": "16MB"}
MEGABYTES = 300


@pytest.fixture
def disk() -> Iterator[Path]:
    """Of 60 MB. Mounting needs root, and the right to mount."""
    needs_root("can mount a small disk")
    path = Path(tempfile.mkdtemp(prefix="windlass-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=60m,mode=0777", "windlass-test", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        path.rmdir()
        needs(False, "this root may not mount a small disk")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=False, capture_output=True)
        path.rmdir()


def resize(disk: Path, megabytes: int) -> None:
    words = ["mount", "-o", f"remount,size={megabytes}m", str(disk)]
    subprocess.run(words, check=True, capture_output=True)


def equal(pair: Pair, table: str = "shop.transfers") -> bool:
    query = f"select count(*), md5(string_agg(t::text, ',' order by id)) from {table} t"
    return pair.source.rows(query) == pair.target.rows(query)


@pytest.mark.full
def test_a_full_disk_of_the_target_stops_it_and_with_space_nothing_is_lost(
    own_server: Callable[..., Server], logical: Callable[[int], Database], disk: Path
) -> None:
    server = own_server(18, {**FAST, **LITTLE_WAL})
    owner = server.data.stat()
    os.chown(disk, owner.st_uid, owner.st_gid)
    server.admin.run(
        f"create tablespace small location '{disk}'",
        "create database small template template0 tablespace small",
    )
    pair = Pair(logical(16), Database(server, "small"))
    pair.source.run(*TABLES)
    with following(pair) as follower:
        pair.source.run(
            "insert into shop.accounts select n, repeat(md5(n::text), 20), 0"
            " from generate_series(200001, 300000) n"
        )
        write(pair.source, 1)
        ran = finish(follower).expect(STOPPED)
        assert "space" in ran.result["message"], ran.why
    assert pair.target.value("select count(*) from shop.accounts where id > 200000") == 0
    resize(disk, 400)
    with following(pair):
        write(pair.source, 2)
        until(lambda: equal(pair) and equal(pair, "shop.accounts"), "equal sides")


@pytest.mark.full
def test_a_value_of_300_megabytes_arrives(logical: Callable[[int], Database]) -> None:
    pair = Pair(logical(16), logical(18))
    pair.source.run(
        "create table big (id int primary key, note int, text text)",
        "alter table big alter column text set storage external",
    )
    with following(pair):
        pair.source.run(
            f"insert into big values (1, 0, repeat(md5('a'), {MEGABYTES << 15}))",
            "update big set note = 1",  # the value itself is not in the stream
        )
        query = "select note, octet_length(text), md5(text) from big"
        until(lambda: pair.target.rows("select note from big") == [(1,)], "the value", 240)
    assert pair.source.rows(query) == pair.target.rows(query)
    assert pair.target.value("select octet_length(text) from big") == MEGABYTES << 20


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    """A server that lets nobody in without TLS, and the certificate of its authority."""
    needs_version(15)  # Debian's; the wheel's are built without TLS
    authority, server = Authority(tmp_path, "ours"), Server(15)
    try:
        found = authority.certify("localhost", "127.0.0.1")
        for name, path in (("crt", found.certificate), ("key", found.key)):
            place = server.data / f"server.{name}"
            place.write_bytes(path.read_bytes())
            place.chmod(0o600)
            server._hand_over(place)
        with (server.data / "postgresql.conf").open("a") as conf:
            conf.write("ssl = on\n")
        (server.data / "pg_hba.conf").write_text(
            "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
        )
        yield server.start(), authority.root
    finally:
        server.remove()


@pytest.mark.full
def test_servers_that_only_speak_tls_are_followed_and_verified(
    encrypted: tuple[Server, Path],
) -> None:
    server, root = encrypted
    pair = Pair(server.create_database("old"), server.create_database("new"))
    pair.source.run(*TABLES)

    def verified(database: Database) -> str:
        return database.url_for(sslmode="verify-full", sslrootcert=str(root))

    env = {"WINDLASS_SOURCE": verified(pair.source), "WINDLASS_TARGET": verified(pair.target)}
    follower = start(*FOLLOW, env=env)
    try:
        until(lambda: phase(pair) == "following" or follower.poll() is not None, "following")
        write(pair.source, 1)
        until(lambda: equal(pair) or follower.poll() is not None, "equal sides")
        assert follower.poll() is None, follower.said()
        count, is_encrypted = server.admin.rows(
            "select count(*), bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid)"
            " where application_name like 'windlass%'"
        )[0]
        assert count > 3 and is_encrypted
    finally:
        follower.kill()
        follower.wait()
