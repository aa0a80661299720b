"""What goes wrong around a migration from or into each engine: a source that others write to,
sessions and servers that are lost, accounts that lack rights."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from command import REFUSED, environment, windlass
from killed_into_postgres import IntoPostgres
from killed_way import Way
from killed_ways import INTO_POSTGRES, OUT_OF_POSTGRES, Servers, make_way
from mariadb_server import MariaServer
from mongo_server import MongoServer
from needs import needs_program, needs_root
from proxy import Proxy
from servers import PASSWORD, QUOTED_PASSWORD, Server
from windlass import api
from windlass.model.event import BytesCopied, Event, ItemFinished
from windlass.model.outcome import Outcome, State
from windlass.model.report import LossClass
from windlass.spec.migrate import Spec

WAYS = (*INTO_POSTGRES, *OUT_OF_POSTGRES)
FILES = ("from-sqlite", "from-duckdb", "into-sqlite", "into-duckdb")
SERVED = [
    *((name, "source") for name in WAYS if name not in FILES[:2]),
    *((name, "target") for name in WAYS if name not in FILES[2:]),
]
NOBODY = 65534
Made = Callable[[str], Way]


@pytest.fixture
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Made]:
    """On the servers of the run, with an empty target."""
    get = request.getfixturevalue
    servers = Servers(lambda: get("server")(16), lambda: get("mariadb"), lambda: get("mongodb"))
    with ExitStack() as stack:

        def of_name(name: str) -> Way:
            way = make_way(name, servers, tmp_path, stack)
            way.renew()
            return way

        yield of_name


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Made]:
    """On servers that only this test sees."""
    found: dict[Callable[[], Any], Any] = {}
    with ExitStack() as stack:

        def started(kind: Callable[[], Any]) -> Any:
            if kind not in found:
                found[kind] = kind()
                stack.callback(found[kind].remove)
                found[kind].start()
            return found[kind]

        postgres = partial(Server, 16)
        servers = Servers(*(partial(started, one) for one in (postgres, MariaServer, MongoServer)))

        def of_name(name: str) -> Way:
            way = make_way(name, servers, tmp_path, ExitStack())
            way.renew()
            return way

        yield of_name


def migrate(way: Way, act: Callable[[], None], **urls: str) -> Outcome:
    """In this process; `act` is called once some rows have been copied, before the next ones."""
    given = {"source": way.source_url, "target": way.target_url, **urls}
    words = dict(zip(way.words[1::2], way.words[2::2], strict=True))
    accepted = [
        LossClass(one) for at, one in enumerate(way.words) if way.words[at - 1] == "--accept"
    ]
    types = [one.split("=") for at, one in enumerate(way.words) if way.words[at - 1] == "--type"]
    more: dict[str, Any] = {"chunk_size": 64 << 10, "jobs": 2} if "--jobs" in words else {}
    spec = Spec(
        source=SecretStr(given["source"]), target=SecretStr(given["target"]),
        accept=tuple(accepted), types=dict(types), **more,
    )  # fmt: skip
    left = [act]

    def emit(event: Event) -> None:
        is_copy = isinstance(event, ItemFinished) and event.step.startswith("copy_")
        if left and (is_copy or isinstance(event, BytesCopied)):
            left.pop()()

    return api.migrate(spec, emit)


@pytest.mark.parametrize("name", WAYS)
def test_what_others_write_to_the_source_changes_nothing_that_is_read(
    made: Made, name: str
) -> None:
    way = made(name)
    wrote: list[str] = []

    def write() -> None:
        if name == "from-duckdb":  # it lets nobody write to a file that is read
            words = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('delete from Items')"
            path = way.source_url.removeprefix("duckdb://")
            done = subprocess.run(
                [sys.executable, "-c", words, path], capture_output=True, text=True, check=False
            )
            assert done.returncode and "lock" in done.stderr
        else:
            way.change()
        wrote.append(name)

    found = migrate(way, write)
    assert wrote
    if name == "from-mongodb" and found.state is State.DIFFERENT:
        return  # the tests' server has no snapshots: what the run has found out is all that counts
    assert (found.state, found.proof.verified) == (State.DONE, "full"), found.reason
    assert name == "from-mongodb" or way.rows() == way.source_rows


@pytest.mark.parametrize(("name", "side"), SERVED)
def test_connections_that_are_cut_cost_nothing_but_time(made: Made, name: str, side: str) -> None:
    way = made(name)
    server = getattr(way, f"{side}_server")
    url: str = getattr(way, f"{side}_url")
    with Proxy(server.port) as proxy:
        through = url.replace(str(server.port), str(proxy.port))
        if name == "from-mongodb" and side == "source":
            through += "?directConnection=true"  # or it asks the server where it is
        found = migrate(way, proxy.cut, **{side: through})
        assert proxy.cuts
        assert found.state in (State.DONE, State.STOPPED), found.reason
        again = migrate(way, lambda: None, **{side: through})
    assert again.state is State.DONE and again.proof.verified == "full", again.reason
    assert way.rows() == way.source_rows


def stop(way: Way, side: str) -> Callable[[], None]:
    """Stop its server; returns what starts it again."""
    server = getattr(way, f"{side}_server")
    server.stop()
    return server.restart if isinstance(server, Server) else server.start


@pytest.mark.full
@pytest.mark.parametrize(("name", "side"), SERVED)
def test_a_server_that_is_restarted_costs_nothing_but_time(
    alone: Made, name: str, side: str
) -> None:
    way = alone(name)
    with ThreadPoolExecutor(1) as pool:  # a server ends with the thread that has started it
        restarts: list[object] = []

        def restart() -> None:
            restarts.append(pool.submit(lambda: stop(way, side)()).result())

        found = migrate(way, restart)
        assert restarts
        assert found.state in (State.DONE, State.STOPPED), found.reason
        again = migrate(way, lambda: None)
        assert again.state is State.DONE and again.proof.verified == "full", again.reason
        assert way.rows() == way.source_rows


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "side"),
    [
        *((name, "source") for name in ("from-mariadb", "from-odbc", "into-mariadb")),
        *((name, "target") for name in ("from-sqlite", "into-mariadb")),
    ],
)
def test_a_server_that_stays_away_stops_the_run_which_is_resumed_later(
    alone: Made, name: str, side: str
) -> None:
    way = alone(name)
    start: list[Callable[[], None]] = []
    found = migrate(way, lambda: start.append(stop(way, side)))
    assert found.state is State.STOPPED and found.reason.hint, found.reason
    start[0]()
    again = migrate(way, lambda: None)
    assert again.state is State.DONE and again.proof.verified == "full", again.reason
    assert way.rows() == way.source_rows


@pytest.mark.parametrize(
    ("name", "side"), [one for one in SERVED if one != ("from-mongodb", "source")]
)
def test_a_wrong_password_is_named_and_not_shown(made: Made, name: str, side: str) -> None:
    way = made(name)
    url: str = getattr(way, f"{side}_url")
    wrong = url.replace(QUOTED_PASSWORD, "wr0ng-Secret").replace(PASSWORD, "wr0ng-Secret")
    assert wrong != url
    env = {**way.env, f"WINDLASS_{side.upper()}": wrong}
    ran = windlass(*way.words, "--json", env=env).expect(REFUSED)
    (problem,) = ran.result["problems"]
    assert problem["object"] == side
    assert "password" in f"{problem['message']} {problem['hint']}"
    assert "wr0ng-Secret" not in ran.said
    assert way.is_empty()


@pytest.mark.full
@pytest.mark.parametrize("name", OUT_OF_POSTGRES)
def test_a_table_of_postgresql_that_cannot_be_read_is_named(made: Made, name: str) -> None:
    way = made(name)
    assert isinstance(way.source_server, Server)
    admin = way.source_server.admin
    admin.run(f"create role few login password '{PASSWORD}'")
    try:
        url = way.source_url.replace("postgres:", "few:")
        ran = windlass(*way.words, "--json", env={**way.env, "WINDLASS_SOURCE": url})
        assert ran.code == REFUSED, ran.why
        assert "items" in ran.said and ("SELECT" in ran.said or "permission" in ran.said)
        assert way.is_empty()
    finally:
        admin.run("drop role few")


@pytest.mark.full
@pytest.mark.parametrize("name", INTO_POSTGRES)
def test_a_database_in_which_nothing_can_be_created_is_named(made: Made, name: str) -> None:
    way = made(name)
    assert isinstance(way, IntoPostgres)
    admin = way.target_server.admin
    admin.run(f"create role few login password '{PASSWORD}'")
    try:
        url = way.target_url.replace("postgres:", "few:")
        ran = windlass(*way.words, "--json", env={**way.env, "WINDLASS_TARGET": url})
        assert ran.code == REFUSED, ran.why
        assert "CREATE" in ran.said
        assert way.is_empty()
    finally:
        admin.run("drop role few")


@pytest.mark.full
@pytest.mark.parametrize("rights", ["select (Id)", "insert"])
@pytest.mark.parametrize("name", ["from-mariadb", "from-odbc"])
def test_a_table_of_mariadb_that_cannot_be_read_whole_is_named(
    made: Made, name: str, rights: str
) -> None:
    """Its catalog hides columns that an account may not read."""
    way = made(name)
    assert isinstance(way, IntoPostgres) and isinstance(way.source_server, MariaServer)
    server, database = way.source_server, way.source.schema
    server.run(
        "mysql",
        f"create user few@'127.0.0.1' identified by '{PASSWORD}'",
        f"grant select on {database}.Customers to few@'127.0.0.1'",
        f"grant {rights} on {database}.Items to few@'127.0.0.1'",
    )
    try:
        url = way.source_url.replace("app:", "few:").replace("UID=app", "UID=few")
        ran = windlass(*way.words, "--json", env={**way.env, "WINDLASS_SOURCE": url})
        assert ran.code == REFUSED, ran.why
        assert "Items" in ran.said
        assert way.is_empty()
    finally:
        server.run("mysql", "drop user few@'127.0.0.1'")


@pytest.mark.full
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_the_account_may_not_use_is_named(made: Made, name: str) -> None:
    needs_root("can give a file to another account")
    needs_program("setpriv")
    way, is_source = made(name), name in FILES[:2]
    scheme, _, place = (way.source_url if is_source else way.target_url).partition("://")
    with tempfile.TemporaryDirectory() as found:
        folder = Path(found)
        path = folder / Path(place).name
        if is_source:
            shutil.copy(place, path)
            path.chmod(0o600)
        url = {f"WINDLASS_{'SOURCE' if is_source else 'TARGET'}": f"{scheme}://{path}"}
        folder.chmod(0o755)
        for one in (folder, *folder.iterdir()):
            os.chown(one, NOBODY, NOBODY)
        ran = subprocess.run(
            ["setpriv", "--bounding-set=-dac_override,-dac_read_search", sys.executable,
             "-m", "windlass", *way.words, "--json"],
            env=environment(None, {**way.env, **url}),
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert "Traceback" not in ran.stderr
        assert ran.returncode == REFUSED, ran.stdout + ran.stderr[-2000:]
        (problem,) = json.loads(ran.stdout)["problems"]
        assert path.name in problem["message"]
        said = f"{problem['message']} {problem['hint']}".lower()
        assert "permission" in said or "file and its folder" in said, problem
        assert [one.name for one in folder.iterdir()] == ([path.name] if is_source else [])
