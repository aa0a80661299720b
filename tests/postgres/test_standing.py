"""A source and a target are two databases, and the target is open for writing, or it is refused."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
import pytest

from command import DIFFERENT, DONE, REFUSED, Ran, migrate, windlass
from servers import Database, Pair, Server, _unprivileged

TABLE = ("create table t (a int)", "insert into t select generate_series(1, 1000)")


def problems(ran: Ran) -> str:
    return "\n".join(f"{one['message']} → {one['hint']}" for one in ran.result["problems"])


@dataclass
class Cluster:
    """A primary with a hot standby that streams from it."""

    primary: Server
    standby: Server

    def catch_up(self) -> None:
        """Until the standby has everything that the primary has now."""
        lsn = self.primary.admin.value("select pg_current_wal_lsn()::text")
        deadline = time.monotonic() + 60
        reached = f"select pg_last_wal_replay_lsn() >= '{lsn}'"
        while not self.standby.admin.value(reached):
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def cluster(own_server: Callable[..., Server]) -> Iterator[Cluster]:
    primary = own_server(15)
    standby = Server(15)
    try:
        shutil.rmtree(standby.data)
        subprocess.run(
            [
                *(primary.bin / "pg_basebackup", "-D", standby.data, "-R", "-c", "fast"),
                *("-h", primary.folder, "-p", str(primary.port), "-U", "postgres"),
            ],
            check=True,
            capture_output=True,
            cwd="/",
            **_unprivileged(),
        )
        yield Cluster(primary, standby.start())
    finally:
        standby.remove()


def on(server: Server, database: Database) -> Database:
    return Database(server, database.name)


@pytest.mark.parametrize("words", [(), ("--existing", "replace")])
def test_a_standby_is_no_source_for_its_own_primary(
    cluster: Cluster, words: tuple[str, ...]
) -> None:
    database = cluster.primary.create_database()
    database.run(*TABLE)
    cluster.catch_up()
    pair = Pair(on(cluster.standby, database), database)
    ran = migrate(pair, *words).expect(REFUSED)
    assert "the source is a standby of the target" in problems(ran)
    assert database.value("select count(*) from t") == 1000


def test_a_standby_may_be_the_source_for_another_database_of_its_primary(cluster: Cluster) -> None:
    source, target = cluster.primary.create_database(), cluster.primary.create_database()
    source.run(*TABLE)
    cluster.catch_up()
    migrate(Pair(on(cluster.standby, source), target)).expect(DONE)
    assert target.value("select count(*) from t") == 1000


def test_a_standby_that_was_promoted_is_another_database(cluster: Cluster) -> None:
    database = cluster.primary.create_database()
    database.run(*TABLE)
    cluster.catch_up()
    promoted = on(cluster.standby, database)
    promoted.value("select pg_promote()")
    database.run("insert into t values (0)")
    ran = migrate(Pair(database, promoted), "--existing", "replace").expect(DONE)
    assert ran.result["relations"]
    assert promoted.value("select count(*) from t") == 1001


CLOSED: list[tuple[str, str]] = [
    (
        "alter database {database} set default_transaction_read_only = on",
        "ALTER DATABASE {database} RESET default_transaction_read_only",
    ),
    (
        "alter role app set default_transaction_read_only = on",
        "ALTER ROLE app RESET default_transaction_read_only",
    ),
    (
        "alter role app in database {database} set default_transaction_read_only = true",
        "ALTER ROLE app IN DATABASE {database} RESET default_transaction_read_only",
    ),
]


@pytest.fixture
def written_by_app(pair: Pair) -> Iterator[Pair]:
    """With the password of everybody else: what is stored of it does not depend on the role."""
    pair.source.run(*TABLE)
    admin = pair.target.server.admin
    password = admin.value("select rolpassword from pg_authid where rolname = 'postgres'")
    admin.run(f"create role app login superuser password '{password}'")
    yield pair
    admin.run(
        f"alter role app in database {pair.target.name} reset all",
    )
    with pair.target.connect(options="-c default_transaction_read_only=off") as connection:
        connection.execute("reassign owned by app to postgres")
    admin.run("drop role app")


@pytest.mark.parametrize(("statement", "lifted"), CLOSED)
def test_a_target_that_is_closed_for_writing_is_refused(
    written_by_app: Pair, statement: str, lifted: str
) -> None:
    pair, env = written_by_app, {"WINDLASS_TARGET": written_by_app.target.url_for(user="app")}
    admin = pair.target.server.admin
    admin.run(statement.format(database=pair.target.name))
    ran = migrate(pair, env=env).expect(REFUSED)
    said = problems(ran)
    assert "default_transaction_read_only = on" in said
    assert lifted.format(database=pair.target.name) in said
    (problem,) = (one for one in ran.result["problems"] if one["object"] == "target")
    with psycopg.connect(env["WINDLASS_TARGET"], autocommit=True) as connection:
        for one in problem["hint"].split("; "):  # as it stands, in that very database
            connection.execute(one.encode())
    migrate(pair, env=env).expect(DONE)


def test_a_connection_that_asks_to_be_read_only_is_refused(pair: Pair) -> None:
    pair.source.run(*TABLE)
    url = pair.target.url_for(options="-c%20default_transaction_read_only%3Don")
    ran = migrate(pair, env={"WINDLASS_TARGET": url}).expect(REFUSED)
    assert "the options of the connection" in problems(ran)


def test_a_source_that_is_closed_for_writing_is_a_source(pair: Pair) -> None:
    pair.source.run(*TABLE)
    name = pair.source.name
    pair.source.run(f"alter database {name} set default_transaction_read_only = on")
    migrate(pair, "--accept", "settings").expect(DONE)
    pair.source.server.admin.run(f"alter database {name} reset all")


def test_a_target_that_is_closed_for_writing_can_be_compared(pair: Pair) -> None:
    pair.source.run(*TABLE)
    pair.target.run(*TABLE)
    name = pair.target.name
    pair.target.run(f"alter database {name} set default_transaction_read_only = on")
    (found,) = windlass("verify", "--json", pair=pair).expect(DIFFERENT).result["differences"]
    assert found["object"] == "setting default_transaction_read_only of the database"
    pair.target.server.admin.run(f"alter database {name} reset all")
