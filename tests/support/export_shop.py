"""A small shop to export, and where it goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporting import rows
from servers import Database

SHOP = (
    "create schema shop",
    "create table shop.orders (id int primary key, at timestamptz not null, note text)",
    "insert into shop.orders select n, timestamptz '2024-01-01 00:00Z' + n * interval '1 s', 'new'"
    " from generate_series(1, 100) n",
)

# somebody reads one of the slow views
SLEEPING = (
    "select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()"
    """ and query ~* 'copy .*"(slow|waiting)"'"""
)


@pytest.fixture
def shop(database: Callable[[int], Database]) -> Database:
    source = database(16)
    source.run(*SHOP)
    return source


def table(folder: Path, name: str = "orders") -> list[tuple[Any, ...]]:
    return rows(folder, f"select id, note from {name} order by id, note")


MERGE: dict[str, Any] = {
    "relations": {"name": "shop.orders", "watermark": "at"},
    "disposition": "merge",
}
