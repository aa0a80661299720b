"""Embedded servers, as users of `windlass demo` rely on them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg
import pytest

from needs import needs_root
from windlass.engines.postgres import embedded
from windlass.engines.postgres.embedded import EmbeddedServer, Version
from windlass.errors import WindlassError


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where any account may go, unlike pytest's own temporary folders."""
    with TemporaryDirectory(prefix="windlass-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedServer]:
    made = EmbeddedServer.create(18, folder / "server")
    made.start()
    yield made
    made.remove()


def kill_server(server: EmbeddedServer) -> None:
    """End it as a power cut would: SIGKILL to all its processes at once."""
    postmaster = psutil.Process(int((server.data / "postmaster.pid").read_text().split()[0]))
    # suspended first, or it would answer the death of a child by ending the others itself
    postmaster.suspend()
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)


def value(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row
    return row[0]


@pytest.mark.parametrize("version", [16, 18])
def test_a_server_of_each_version_starts_with_the_settings_it_was_given(
    folder: Path, version: Version
) -> None:
    server = EmbeddedServer.create(version, folder / "server", {"log_line_prefix": r"it's \ me"})
    try:
        server.start()
        assert str(value(server.url(), "show server_version")).startswith(f"{version}.")
        assert value(server.url(), "show log_line_prefix") == r"it's \ me"
    finally:
        server.remove()


def test_two_servers_run_side_by_side(folder: Path, server: EmbeddedServer) -> None:
    other = EmbeddedServer.create(16, folder / "other")
    try:
        other.start()
        assert value(server.url(), "select 1") == value(other.url(), "select 1")
        assert server.port != other.port
    finally:
        other.remove()


def test_nobody_gets_in_without_the_password(server: EmbeddedServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://postgres:guess@127.0.0.1:{server.port}/postgres")
    password = server.folder / "password"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert password.read_text().strip() not in repr(server)


def test_only_loopback_is_listened_on(server: EmbeddedServer) -> None:
    assert value(server.url(), "show listen_addresses") == "127.0.0.1"
    assert value(server.url(), "show unix_socket_directories") == ""


def test_port_and_rows_are_the_same_after_a_stop_and_a_start(server: EmbeddedServer) -> None:
    url = server.create_database("Shop of mine")
    with psycopg.connect(url) as connection:
        connection.execute("create table kept as select 42 as answer")
    server.stop()
    assert not server.running
    server.start()
    assert value(url, "select answer from kept") == 42


def test_committed_rows_survive_a_kill(server: EmbeddedServer) -> None:
    url = server.create_database("shop")
    with psycopg.connect(url) as connection:
        connection.execute("create table kept as select generate_series(1, 1000)")
    kill_server(server)
    assert not server.running
    server.start()
    assert value(url, "select count(*) from kept") == 1000


def test_a_server_outlives_the_process_that_started_it(folder: Path) -> None:
    place = folder / "server"
    code = (
        "import sys; from pathlib import Path;"
        "from windlass.engines.postgres.embedded import EmbeddedServer as E;"
        "E.create(16, Path(sys.argv[1])).start()"
    )
    subprocess.run([sys.executable, "-c", code, place], check=True, start_new_session=True)
    server = EmbeddedServer.open(place)
    try:
        assert server.running
        assert value(server.url(), "select 1") == 1
    finally:
        server.remove()


def test_starting_stopping_and_making_a_database_twice_does_no_harm(
    server: EmbeddedServer,
) -> None:
    server.start()
    assert server.create_database("shop") == server.create_database("shop")
    server.stop()
    server.stop()
    assert not server.running


def test_a_password_in_our_environment_does_not_reach_the_server(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret")
    monkeypatch.setenv("PGPORT", "1")
    server = EmbeddedServer.create(18, folder / "server")
    try:
        server.start()
        pid = (server.data / "postmaster.pid").read_text().split()[0]
        assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()
    finally:
        server.remove()


def test_nothing_is_left_of_a_removed_server(folder: Path) -> None:
    server = EmbeddedServer.create(18, folder / "server")
    server.start()
    server.remove()
    assert not server.running
    assert list(folder.iterdir()) == []


def test_a_taken_port_is_named(folder: Path, server: EmbeddedServer) -> None:
    late = EmbeddedServer.create(16, folder / "late", {"port": str(server.port)})
    with pytest.raises(WindlassError, match="could not bind"):
        late.start()
    late.remove()


def test_a_setting_that_the_server_refuses_is_named(folder: Path) -> None:
    server = EmbeddedServer.create(16, folder / "server", {"shared_buffer": "64MB"})
    with pytest.raises(WindlassError, match='unrecognized configuration parameter "shared_buffer"'):
        server.start()


def test_a_folder_with_something_in_it_is_left_alone(folder: Path) -> None:
    (folder / "mine.txt").write_text("precious")
    with pytest.raises(WindlassError, match="not empty"):
        EmbeddedServer.create(16, folder)
    assert (folder / "mine.txt").read_text() == "precious"


def test_a_folder_without_a_server_is_refused(folder: Path) -> None:
    with pytest.raises(WindlassError, match="no embedded server"):
        EmbeddedServer.open(folder)


def test_a_missing_wheel_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda _: None)
    with pytest.raises(WindlassError, match="no embedded PostgreSQL 16") as caught:
        embedded.bin_directory(16)
    assert "windlass-db[demo]" in caught.value.hint


def test_a_folder_closed_to_the_servers_account_is_refused_and_stays_closed(folder: Path) -> None:
    needs_root("drops to another account")
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(WindlassError, match="cannot get into"):
        EmbeddedServer.create(16, closed / "server")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert list(closed.iterdir()) == []


def test_root_may_have_the_wheel_where_nobody_else_can_look(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_root("drops to another account")
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    package = embedded.bin_directory(16).parents[1]
    parts = [package, package.with_name(f"{package.name}.libs")]
    subprocess.run(["cp", "-a", *parts, closed], check=True)
    programs = closed / package.name / "pginstall" / "bin"
    monkeypatch.setattr(embedded, "bin_directory", lambda _: programs)
    monkeypatch.setattr(embedded, "home", lambda: folder / "home")
    old_mask = os.umask(0o077)
    try:
        server = EmbeddedServer.create(16, folder / "servers" / "source")
        server.start()
        assert value(server.url(), "select 1") == 1
        server.remove()
    finally:
        os.umask(old_mask)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
