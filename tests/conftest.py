"""Servers that live as long as the test run, and pairs of fresh databases on them.

A server starts when the first test asks for its version. Under pytest-xdist each worker has its
own. What is changed on a server as a whole (settings, a kill, a full disk) belongs on a server
that the test makes itself, with `own_server`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from servers import CORPUS, FAST, Database, Pair, Server, bin_folder

Versions = tuple[int, int]

# A shell that starts us in the background has Ctrl-C ignored, and every process of ours with it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def needs_version(version: int) -> None:
    """Skip where a version is not installed; on CI everything is, so there it is a failure."""
    if bin_folder(version) is None:
        reason = f"PostgreSQL {version} is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


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
def pair(request: pytest.FixtureRequest, database: Callable[[int], Database]) -> Pair:
    """An empty source and an empty target: 16 to 18, or the versions that a test is given
    with ``@pytest.mark.parametrize("pair", [(15, 18)], indirect=True)``."""
    source, target = getattr(request, "param", (16, 18))
    return Pair(database(source), database(target))
