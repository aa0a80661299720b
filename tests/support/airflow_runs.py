"""Runs of DAGs as tests inspect them: states, results, and secrets that must not appear."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psutil
import psycopg

from demo.airflow.local import LocalAirflow
from oracle import content_difference, schema_difference
from servers import PASSWORD, QUOTED_PASSWORD, Database, Pair

SECONDS = 120.0
SHOP = """
create schema shop;
create type shop.mood as enum ('good', 'bad');
create table shop.item (id bigint generated always as identity primary key, note text,
    mood shop.mood, price numeric(10, 2), raw bytea, at timestamptz default '2026-01-01');
create table shop.sale (id bigserial primary key,
    item bigint not null references shop.item, n int check (n > 0));
create index on shop.sale (item);
create view shop.sold as select item, sum(n) from shop.sale group by item;
insert into shop.item (note, mood, price, raw)
    select repeat(md5(n::text), 1 + n % 5), 'good', n / 7.0, decode(md5(n::text), 'hex')
    from generate_series(1, {items}) n;
insert into shop.sale (item, n) select 1 + n % 10, 1 + n % 9 from generate_series(1, {sales}) n;
analyze;
"""


def fill(source: Database, *, items: int = 120_000, sales: int = 5_000) -> None:
    source.run(SHOP.format(items=items, sales=sales))


@dataclass(frozen=True)
class Ended:
    """A run of a DAG that has ended."""

    airflow: LocalAirflow
    dag_id: str
    run_id: str
    state: str

    @cached_property
    def tasks(self) -> list[dict[str, Any]]:
        return self.airflow.client.task_instances(self.dag_id, self.run_id)

    def states(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for task in self.tasks:
            found.setdefault(task["task_id"], set()).add(task["state"])
        return found

    def failed(self) -> set[str]:
        return {task for task, states in self.states().items() if "failed" in states}

    def xcom(self, task: str, map_index: int = -1) -> dict[str, Any]:
        return self.airflow.client.xcoms(self.dag_id, self.run_id, task, map_index)

    def problems(self, task: str) -> str:
        return "\n".join(self.xcom(task)["problems"])

    def names(self, task: str) -> list[str]:
        """Of a mapped task's instances, as the page shows them."""
        return [one["rendered_map_index"] for one in self.tasks if one["task_id"] == task]

    def said(self) -> Iterator[tuple[str, str]]:
        """Everything that Airflow keeps, of this run and of others, by where it is."""
        with psycopg.connect(self.airflow.database) as connection:
            names = connection.execute(
                "select oid::regclass::text from pg_class"
                " where relkind = 'r' and relnamespace = 'public'::regnamespace"
            ).fetchall()
            for (name,) in names:
                rows = connection.execute(f"select t::text from {name} t").fetchall()
                yield f"table {name}", "\n".join(row[0] for row in rows)
        for file in (self.airflow.folder / "logs").rglob("*.log"):
            yield f"log {file.name}", file.read_text()

    def expect(self, state: str) -> Ended:
        reported = {task: sorted(map(str, states)) for task, states in self.states().items()}
        assert self.state == state, f"{self.state}, not {state}: {reported}\n{self.why()}"
        return self

    def why(self) -> str:
        return "\n".join(f"{task}: {self.xcom(task).get('problems')}" for task in self.failed())


def run_dag(
    airflow: LocalAirflow, dag_id: str, conf: Mapping[str, object], timeout: float = 240.0
) -> Ended:
    run_id = airflow.client.trigger(dag_id, conf)
    return wait(airflow, dag_id, run_id, timeout)


def wait(airflow: LocalAirflow, dag_id: str, run_id: str, timeout: float = 240.0) -> Ended:
    return Ended(airflow, dag_id, run_id, airflow.client.wait_for(dag_id, run_id, timeout))


def connect(airflow: LocalAirflow, pair: Pair, host: str = "127.0.0.1") -> dict[str, object]:
    """Make connections to a pair, under their own names: the params that name them."""
    names = {}
    for side, database in (("source", pair.source), ("target", pair.target)):
        name = f"{side}_{database.server.port}_{database.name}"
        uri = database.url.replace("postgresql://", "postgres://").replace("127.0.0.1", host)
        airflow.client.set_connection(name, uri)
        names[f"{side}_conn_id"] = name
    return dict(names)


def expect_equal(pair: Pair) -> None:
    assert content_difference(pair.source, pair.target) == []
    assert schema_difference(pair.source, pair.target) == []


def expect_no_secret(said: Iterator[tuple[str, str]]) -> None:
    for place, text in said:
        for secret in (PASSWORD, QUOTED_PASSWORD, json.dumps(PASSWORD)[1:-1]):
            assert secret not in text, f"a password is in {place}"


def journal_text(target: Database) -> Iterator[tuple[str, str]]:
    """All that the journal holds, its plans unpacked."""
    import zlib

    with psycopg.connect(target.url) as connection:
        for table in ("run", "snapshot", "line"):
            rows = connection.execute(f"select t::text from windlass.{table} t").fetchall()
            yield f"journal {table}", "\n".join(row[0] for row in rows)
        for (plan,) in connection.execute("select plan from windlass.run").fetchall():
            yield "journal plan", zlib.decompress(plan).decode()


def until(is_so: Callable[[], Any], what: str, every: float = 0.1, seconds: float = SECONDS) -> Any:
    """Wait for something that cannot call us back; `every` is in seconds."""
    deadline = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < deadline, f"not after {seconds} s: {what}"
        time.sleep(every)
    return found


def copying(target: Database) -> list[tuple[str, int]]:
    """Addresses and ports of clients that are in the middle of a chunk."""
    query = (
        "select host(client_addr), client_port from pg_stat_activity"
        " where query ~* '^copy' and state = 'active' and datname = current_database()"
    )
    return [(row[0], row[1]) for row in target.rows(query)]


@contextmanager
def stopped_copies(target: Database, *tables: str) -> Iterator[None]:
    """As soon as there are these, no chunk of them comes to its end: they wait for a lock."""
    names = ", ".join(tables or ("shop.item",))
    there = f"select every(to_regclass(name) is not null) from unnest('{{{names}}}'::text[]) name"
    until(lambda: target.value(there), "the relations are made")
    with psycopg.connect(target.url) as connection:
        connection.execute(f"lock table {names} in share mode")
        yield


def holding(source: Database) -> tuple[str, int] | None:
    """Address and port of the client that holds the snapshot."""
    query = (
        "select host(client_addr), client_port from pg_stat_activity"
        " where application_name = 'windlass snapshot' and datname = current_database()"
    )
    found = source.rows(query)
    return (found[0][0], found[0][1]) if found else None


def client(address: str, port: int) -> psutil.Process | None:
    """The process at the other end of a connection, in our own network."""
    for process in psutil.process_iter():
        try:
            if any(one.laddr == (address, port) for one in process.net_connections("tcp")):
                return process
        except psutil.Error:
            continue
    return None
