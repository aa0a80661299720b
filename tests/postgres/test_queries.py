"""Every catalog query can be prepared unchanged on every version."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from servers import Database
from windlass.engines.postgres.queries import folder, load

NAMES = sorted(file.name.removesuffix(".sql") for file in folder().iterdir())


def test_there_are_catalog_queries() -> None:
    assert "columns" in NAMES


def since(name: str) -> int:
    """The first version whose catalogs have what a query reads; its first line says so."""
    found = re.search(r"^-- .*since version (\d+)\.$", load(name).as_string(), re.MULTILINE)
    return int(found[1]) if found else 12


@pytest.mark.parametrize("version", [12, 13, 14, 15, 16, 17, 18])
def test_a_server_of_each_version_understands_every_query(
    database: Callable[[int], Database], version: int
) -> None:
    with database(version).connect() as connection:
        connection.execute("set search_path = ''")
        for name in (name for name in NAMES if since(name) <= version):
            connection.execute(b"prepare this as " + load(name).as_bytes())
            connection.execute("deallocate this")


@pytest.mark.parametrize("name", NAMES)
def test_a_query_begins_with_what_it_is_for(name: str) -> None:
    assert load(name).as_string().startswith("-- ")
