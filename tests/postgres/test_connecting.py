"""Every way of naming a database that libpq's users know; and the secrets in them stay secret."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from command import DONE, environment, finish, migrate, start, windlass
from oracle import content_difference
from paths import BUSY
from servers import PASSWORD, QUOTED_PASSWORD, Database, Pair, Server, tool


def conninfo(database: Database, *, password: bool = True) -> str:
    words = f"host=127.0.0.1 port={database.server.port} user=postgres dbname={database.name}"
    return f"{words} password='{PASSWORD}'" if password else words


@pytest.fixture
def small(pair: Pair) -> Pair:
    pair.source.run("create table t (id int primary key)", "insert into t values (1), (2)")
    return pair


def assert_moved(pair: Pair) -> None:
    assert content_difference(pair.source, pair.target) == []
    assert pair.target.value("select count(*) from t") == 2


def test_urls_as_options(small: Pair) -> None:
    urls = ("--source", small.source.url, "--target", small.target.url)
    windlass("migrate", *urls).expect(DONE)
    assert_moved(small)


def test_urls_of_the_other_scheme_with_options(small: Pair) -> None:
    urls = [
        side.url_for(connect_timeout="5", application_name="mine").replace("postgresql", "postgres")
        for side in (small.source, small.target)
    ]
    windlass("migrate", "--source", urls[0], "--target", urls[1]).expect(DONE)
    assert_moved(small)


def test_conninfo_strings(small: Pair) -> None:
    windlass(
        "migrate", "--source", conninfo(small.source), "--target", conninfo(small.target)
    ).expect(DONE)
    assert_moved(small)


def test_a_password_from_the_environment(small: Pair) -> None:
    windlass(
        "migrate",
        "--source",
        conninfo(small.source, password=False),
        "--target",
        conninfo(small.target, password=False),
        env={"PGPASSWORD": PASSWORD},
    ).expect(DONE)
    assert_moved(small)


def test_a_password_from_the_password_file(small: Pair, tmp_path: Path) -> None:
    file = tmp_path / "pass"
    file.write_text(f"127.0.0.1:*:*:postgres:{PASSWORD}\n")
    file.chmod(0o600)
    windlass(
        "migrate",
        "--source",
        conninfo(small.source, password=False),
        "--target",
        conninfo(small.target, password=False),
        env={"PGPASSFILE": str(file)},
    ).expect(DONE)
    assert_moved(small)


@pytest.mark.parametrize("form", ["service={}", "{}", "postgresql:///?service={}"])
def test_services(small: Pair, tmp_path: Path, form: str) -> None:
    file = tmp_path / "services"
    file.write_text(
        "".join(
            f"[{name}]\nhost=127.0.0.1\nport={side.server.port}\nuser=postgres\n"
            f"dbname={side.name}\npassword={PASSWORD}\n"
            for name, side in (("old", small.source), ("new", small.target))
        )
    )
    words = ("--source", form.format("old"), "--target", form.format("new"))
    windlass("migrate", *words, env={"PGSERVICEFILE": str(file)}).expect(DONE)
    assert_moved(small)


def test_a_unix_socket(small: Pair) -> None:
    sides = [
        f"host={side.server.folder} port={side.server.port} user=postgres dbname={side.name}"
        for side in (small.source, small.target)
    ]
    windlass("migrate", "--source", sides[0], "--target", sides[1]).expect(DONE)
    assert_moved(small)


def test_a_spec_file(small: Pair, tmp_path: Path) -> None:
    spec = tmp_path / "move.yaml"
    spec.write_text(f'source: "{conninfo(small.source)}"\ntarget: {small.target.url}\njobs: 1\n')
    windlass("migrate", "-f", str(spec)).expect(DONE)
    assert_moved(small)


def test_sslmode_is_honoured(small: Pair) -> None:
    """The servers here speak no TLS, so requiring it must fail and not fall back."""
    ran = migrate(small, env={"WINDLASS_SOURCE": small.source.url_for(sslmode="require")})
    assert ran.code != DONE
    assert "SSL" in ran.said
    migrate(small, env={"WINDLASS_SOURCE": small.source.url_for(sslmode="prefer")}).expect(DONE)


def test_a_database_with_an_odd_name(pair: Pair) -> None:
    source = pair.source.server.create_database('odd \' %s \\ "name" /?=&é')
    target = pair.target.server.create_database("dbname=odd host=x")
    try:
        source.server.admin.value("select 1")
        words = [
            f"host=127.0.0.1 port={side.server.port} user=postgres password='{PASSWORD}'"
            f" dbname='{name}'"
            for side, name in ((source, 'odd \\\' %s \\\\ "name" /?=&é'), (target, target.name))
        ]
        windlass("migrate", "--source", words[0], "--target", words[1]).expect(DONE)
    finally:
        for side in (source, target):
            side.server.admin.run(
                'drop database "{}" with (force)'.format(side.name.replace('"', '""'))
            )


def test_no_password_is_in_the_arguments_of_any_process_of_a_move(busy: Pair) -> None:
    seen: set[str] = set()
    process = subprocess.Popen(  # as a user's shell does
        [sys.executable, "-m", "windlass", "migrate", "--json", "--chunk-size", "64kB"],
        env=environment(busy, {"MARK_OF_THIS_TEST": "1"}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None:
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if b"MARK_OF_THIS_TEST" in (folder / "environ").read_bytes():
                    seen.add((folder / "cmdline").read_bytes().decode(errors="replace"))
    assert process.wait() == DONE
    assert any("-m\0windlass" in line for line in seen)
    assert any("pg_dump" in line for line in seen)
    assert [line for line in seen if PASSWORD in line or QUOTED_PASSWORD in line] == []


def test_no_password_is_in_the_journal_or_in_the_most_talkative_log(small: Pair) -> None:
    ran = windlass("migrate", "-vv", "--json", pair=small).expect(DONE)
    dump = subprocess.run(
        [tool("pg_dump"), "--schema", "windlass", "--inserts"],
        env=small.target.variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for secret in (PASSWORD, QUOTED_PASSWORD, PASSWORD.encode().hex()):
        assert secret not in dump
        assert secret not in ran.said


def test_sessions_say_who_they_are(busy: Pair) -> None:
    process = start("migrate", "--json", "--chunk-size", "64kB", pair=busy)
    names: set[str] = set()
    while process.poll() is None:
        names |= {
            name
            for (name,) in busy.source.rows(
                "select application_name from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
                " and state is not null"
            )
        }
    finish(process).expect(DONE)
    names.discard("")  # a session that has not read its own start-up packet yet
    assert names
    assert all(name.startswith(("windlass", "pg_dump")) for name in names), names


def test_of_several_hosts_all_sessions_use_the_same(
    own_server: Callable[..., Server], pair: Pair
) -> None:
    """Which one, chance decides for the first session."""
    other = own_server(16).create_database(pair.source.name)
    for place, database in enumerate((pair.source, other)):
        database.load(BUSY)
        database.run(f"create table place as select {place} as place")
    ports = f"{pair.source.server.port},{other.server.port}"
    source = (
        f"host=127.0.0.1,127.0.0.1 port={ports} user=postgres dbname={other.name}"
        f" password='{PASSWORD}' load_balance_hosts=random"
    )
    ran = migrate(pair, "--jobs", "4", "--chunk-size", "256kB", env={"WINDLASS_SOURCE": source})
    ran.expect(DONE)
    assert len(ran.result["snapshots"]) == 1
    reached = (pair.source, other)[pair.target.value("select place from place")]
    assert content_difference(reached, pair.target) == []
