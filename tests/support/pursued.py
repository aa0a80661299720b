"""A pair that `windlass migrate --follow` keeps equal, and what is written to its source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import follow_runs
from command import Running
from follow_runs import FOLLOW as FOLLOW
from follow_runs import phase as phase
from servers import Database, Pair

TABLES = (
    "create schema shop",
    "create table shop.accounts (id bigint primary key, name text not null, balance numeric)",
    "create table shop.transfers (id bigint generated always as identity primary key,"
    " account bigint not null references shop.accounts, amount numeric not null,"
    " at timestamptz not null default clock_timestamp())",
    "create table shop.days (day date, total bigint, primary key (day)) partition by range (day)",
    "create table shop.days_1 partition of shop.days for values from ('2026-01-01')"
    " to ('2026-07-01')",
    "create table shop.days_2 partition of shop.days for values from ('2026-07-01')"
    " to ('2027-01-01')",
    "insert into shop.accounts select n, 'account ' || n, 100 from generate_series(1, 2000) n",
    "insert into shop.transfers (account, amount) select n, n from generate_series(1, 1000) n",
    "insert into shop.days select date '2026-01-01' + n, n from generate_series(0, 364) n",
)


@contextmanager
def following(pair: Pair, *words: str) -> Iterator[Running]:
    """A process that follows, from when it is in that phase."""
    with follow_runs.following(pair, *words) as follower:
        assert follower.poll() is None, follower.said()
        yield follower


def write(source: Database, seed: int) -> None:
    """Each kind of change of a row, in a few transactions."""
    with source.connect() as connection, connection.transaction():
        for statement in (
            f"insert into shop.transfers (account, amount) values ({seed % 2000 + 1}, {seed})",
            f"update shop.accounts set balance = balance + {seed} where id = {seed % 2000 + 1}",
            f"insert into shop.accounts values ({10_000 + seed}, 'new', 0)",
        ):
            connection.execute(statement.encode())
    source.run(
        f"update shop.days set total = {seed} where day = date '2026-01-01' + {seed % 365}",
        f"update shop.days set day = day + 365 where day = date '2026-01-01' + {seed % 365}"
        if seed < 0
        else f"delete from shop.transfers where id = {seed}",
    )
