"""Servers that live as long as the test run, and pairs of fresh databases on them.

A server starts when the first test asks for its version. Under pytest-xdist each worker has its
own. What is changed on a server as a whole (settings, a kill, a full disk) belongs on a server
that the test makes itself, with `own_server`.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from following import drop_slots
from needs import needs_version
from paths import BUSY, CORPUS, ROOT
from rewriting import rewrite_part
from sampling import SEED, choose_seed, left_to_full
from servers import FAST, Database, Pair, Server

if TYPE_CHECKING:
    from demo.airflow.local import LocalAirflow
    from mariadb_server import MariaServer
    from mongo_server import MongoServer
    from snowflake_fake import FakeSnowflake

# A busy machine is no fault of a test: how long an example takes says nothing.
# Other examples are chosen in each run: over time there are as many as in one long run.
settings.register_profile(
    "windlass", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("all", settings.get_profile("windlass"), max_examples=200)
settings.load_profile("windlass")

Versions = tuple[int, int]

# A shell that starts us in the background has Ctrl-C ignored, and every process of ours with it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Files that one worker runs, one after the other: they share an Airflow, which takes long to start.
# The last one stops it. Then the files that take longest, so that none of them is left to the end.
AIRFLOW = (
    "test_airflow_runs",
    "test_airflow_within",
    "test_rewrite_airflow",
    "test_export_airflow",
    "test_airflow_page",
    "test_airflow_follow",
    "test_airflow_update",
    "test_airflow_local",
    "test_airflow_translated",
)
LONG = (*AIRFLOW, "test_airflow_celery", "test_kill", "test_verify", "test_oracle", "test_wire")


@pytest.hookimpl(tryfirst=True)  # before what is not to run is taken out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    paths = [
        (config.invocation_params.dir / arg.partition("::")[0]).resolve() for arg in config.args
    ]
    asked = [path.relative_to(ROOT).as_posix() for path in paths if path.is_relative_to(ROOT)]
    left = left_to_full([item.nodeid for item in items], choose_seed(), asked)
    for item in items:
        if item.nodeid in left:
            item.add_marker(pytest.mark.full)

    def place(item: pytest.Item) -> int:
        return LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG)

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """What was imported stays: without searching it for garbage again and again, the tests in
    tests/unit take a tenth less."""
    gc.freeze()


def is_in_full(config: pytest.Config) -> bool:
    """Whether all variants run, as `make test-all` has them."""
    return bool(config.getoption("markexpr") == "full or not full")


def pytest_configure(config: pytest.Config) -> None:
    choose_seed()  # before xdist starts its workers, which inherit it
    if worker := getattr(config, "workerinput", None):
        rewrite_part(config, int(worker["workerid"].removeprefix("gw")), worker["workercount"])
    if is_in_full(config):
        settings.load_profile("all")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"variants were sampled with {SEED}={choose_seed()}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hands out files, in their order."""
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = Path(nodeid.partition("::")[0])
            if file.stem in AIRFLOW:
                return "airflow"
            reads_dags = file.parent.name == "airflow" and file.stem != "test_airflow_celery"
            return "reading DAGs" if reads_dags else file.stem  # by one process, as above

    return ByFile(config, log)


@pytest.fixture(scope="session")
def in_full(pytestconfig: pytest.Config) -> bool:
    """For tests that sample inside: whether to leave nothing out."""
    return is_in_full(pytestconfig)


@pytest.fixture(scope="session")
def server() -> Iterator[Callable[[int], Server]]:
    """The run's server of a version, with the roles of the corpora, started on first use."""
    found: dict[int, Server] = {}
    with ExitStack() as stack:

        def of_version(version: int) -> Server:
            needs_version(version)
            if version not in found:
                made = Server(version)
                stack.callback(made.remove)
                made.start().admin.load(CORPUS / "roles.sql")
                found[version] = made
            return found[version]

        yield of_version


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaServer]:
    """The run's MariaDB."""
    from mariadb_server import MariaServer

    made = MariaServer()
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture(scope="session")
def snowflake_server() -> Iterator[tuple[int, Any]]:
    """The port of one that plays Snowflake, and a session there."""
    from snowflake_fake import serving

    with serving() as found:
        yield found


@pytest.fixture
def snowflake(snowflake_server: tuple[int, Any]) -> FakeSnowflake:
    from snowflake_fake import new_schema

    return new_schema(*snowflake_server)


@pytest.fixture(scope="session")
def mongodb() -> Iterator[MongoServer]:
    """The run's server for MongoDB's protocol."""
    from mongo_server import MongoServer

    made = MongoServer()
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture
def own_mariadb() -> Iterator[MariaServer]:
    """One that only this test sees."""
    from mariadb_server import MariaServer

    made = MariaServer()
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture
def maria_database(mariadb: MariaServer) -> Iterator[Callable[..., str]]:
    """Makes databases of the run's MariaDB with what some statements make; they are dropped
    afterwards."""
    with ExitStack() as stack:

        def make(*statements: str) -> str:
            made = mariadb.create_database(*statements)
            stack.callback(mariadb.drop_database, made)
            return made

        yield make


@pytest.fixture(scope="session")
def stopped_airflow() -> Iterator[LocalAirflow]:
    """The run's Airflow, in whatever state the test before has left it."""
    from airflow_server import shared_airflow

    with shared_airflow() as found:
        yield found


@pytest.fixture
def running(stopped_airflow: LocalAirflow) -> LocalAirflow:
    """The run's Airflow, started."""
    from airflow_server import up

    return up(stopped_airflow)


@pytest.fixture
def own_server() -> Iterator[Callable[..., Server]]:
    """Makes servers that only this test sees; they are gone afterwards."""
    with ExitStack() as stack:

        def make(
            version: int, settings: Mapping[str, str] = FAST, data: Path | None = None
        ) -> Server:
            needs_version(version)
            made = Server(version, settings, data)
            stack.callback(made.remove)
            made.start().admin.load(CORPUS / "roles.sql")
            return made

        yield make


@pytest.fixture(scope="session")
def template(server: Callable[[int], Server]) -> Callable[..., Database]:
    """The run's database of a version with what some files of SQL make. It is only ever copied."""
    found: dict[tuple[int, tuple[Path, ...]], Database] = {}

    def of_version(version: int, *files: Path) -> Database:
        if (version, files) not in found:
            made = server(version).create_database()
            made.load(*files)
            found[version, files] = made
        return found[version, files]

    return of_version


@pytest.fixture
def copied() -> Iterator[Callable[[Database], Database]]:
    """Makes copies of databases, beside them; they are dropped afterwards."""
    with ExitStack() as stack:

        def make(original: Database) -> Database:
            made = original.server.create_database(template=original)
            stack.callback(made.server.drop_database, made)
            return made

        yield make


@pytest.fixture
def database(server: Callable[[int], Server]) -> Iterator[Callable[[int], Database]]:
    """Makes empty databases on the run's servers; they are dropped afterwards."""
    with ExitStack() as stack:

        def make(version: int) -> Database:
            made = server(version).create_database()
            stack.callback(server(version).drop_database, made)
            return made

        yield make


@pytest.fixture
def logical(server: Callable[[int], Server]) -> Iterator[Callable[[int], Database]]:
    """Makes empty databases that may have replication slots; both are dropped afterwards."""
    with ExitStack() as stack:

        def make(version: int) -> Database:
            made = server(version).create_database()
            stack.callback(server(version).drop_database, made)
            stack.callback(drop_slots, made)
            return made

        yield make


@pytest.fixture
def pair(request: pytest.FixtureRequest, database: Callable[[int], Database]) -> Pair:
    """An empty source and an empty target: 16 to 18, or the versions that a test is given
    with ``@pytest.mark.parametrize("pair", [(15, 18)], indirect=True)``."""
    source, target = getattr(request, "param", (16, 18))
    return Pair(database(source), database(target))


@pytest.fixture
def busy(
    request: pytest.FixtureRequest,
    template: Callable[..., Database],
    copied: Callable[[Database], Database],
    database: Callable[[int], Database],
) -> Pair:
    """As `pair` is, with a source that takes a few seconds in small chunks."""
    source, target = getattr(request, "param", (16, 18))
    return Pair(copied(template(source, BUSY)), database(target))
