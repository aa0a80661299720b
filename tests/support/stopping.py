"""A stopped migration, and the ways to finish it."""

from __future__ import annotations

import pytest

from command import STOPPED, migrate
from servers import Pair

OPTIONS = ("--jobs", "1")


BETTER = (
    "create or replace function picky(i int) returns int immutable language plpgsql as"
    " $$ begin return 1; end $$"
)


@pytest.fixture
def stopped(pair: Pair) -> Pair:
    """A run that stopped at an index, whose function fails on the newer server."""
    pair.source.run(
        "create table t (id int primary key)",
        "create table u (id int primary key)",
        "insert into u select generate_series(1, 10)",
        "create function picky(i int) returns int immutable language plpgsql as $$ begin"
        " return 1 / (case when current_setting('server_version_num')::int < 170000 then 1 else 0"
        " end); end $$",
        "create index picky on u (picky(id))",
    )
    migrate(pair, *OPTIONS).expect(STOPPED)
    return pair


def run_of(pair: Pair) -> str:
    found = pair.target.value("select run from windlass.run")
    assert isinstance(found, str)
    return found
