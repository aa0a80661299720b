"""Every catalog query can be prepared on every version, as it stands."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from servers import Database
from windlass.engines.postgres.queries import folder, load

NAMES = sorted(file.name.removesuffix(".sql") for file in folder().iterdir())


def test_there_are_catalog_queries() -> None:
    assert "columns" in NAMES


@pytest.mark.parametrize("version", [15, 16, 18])
def test_a_server_of_each_version_understands_every_query(
    database: Callable[[int], Database], version: int
) -> None:
    with database(version).connect() as connection:
        connection.execute("set search_path = ''")
        for name in NAMES:
            connection.execute(b"prepare this as " + load(name).as_bytes())
            connection.execute("deallocate this")


@pytest.mark.parametrize("name", NAMES)
def test_a_query_begins_with_what_it_is_for(name: str) -> None:
    assert load(name).as_string().startswith("-- ")
