"""Airflow connections of other engines as URLs: what Airflow's own hooks know is understood, or
refused, and no password is shown."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest

from operator_runs import Task, executed
from servers import PASSWORD, Database
from translating import CUSTOMERS, sqlite_shop

MYSQL = {"conn_type": "mysql", "host": "old", "login": "a@b", "password": "p/w", "schema": "shop"}
GOOD = [
    ({"port": 3307}, "mysql://a%40b:p%2Fw@old:3307/shop"),
    ({"extra": {"charset": "utf8mb4", "cursor": "sscursor"}}, "mysql://a%40b:p%2Fw@old/shop"),
    (
        {"extra": {"ssl": {"ca": "/ca.pem", "cert": "/c.pem", "key": "/k.pem"}}},
        "mysql://a%40b:p%2Fw@old/shop?ssl=verify-ca&ssl-ca=%2Fca.pem&ssl-cert=%2Fc.pem"
        "&ssl-key=%2Fk.pem",
    ),
    (
        {"extra": {"ssl_mode": "VERIFY_IDENTITY"}},
        "mysql://a%40b:p%2Fw@old/shop?ssl=verify-identity",
    ),
    ({"extra": {"unix_socket": "/s"}}, "mysql://a%40b:p%2Fw@old/shop?socket=%2Fs"),
    ({"password": None, "host": "::1"}, "mysql://a%40b@[::1]/shop"),
    ({"conn_type": "sqlite", "host": "/data/a b.db", "schema": ""}, "sqlite:///data/a%20b.db"),
]
BAD = [
    ({"schema": ""}, "names no database"),
    ({"extra": {"ssl_mode": "PREFERRED"}}, "may do without TLS"),
    ({"extra": {"ssl": {"ca": "/ca.pem", "cipher": "x"}}}, "extras that are not known: ssl"),
    ({"extra": {"init_command": "x"}}, "extras that are not known: init_command"),
    ({"extra": {"iam": True}, "password": None}, "cloud token"),
    ({"conn_type": "sqlite", "host": "shop.db", "schema": ""}, "whole path"),
    ({"conn_type": "oracle"}, "is of type oracle"),
]


def address(words: dict[str, Any]) -> str:
    from windlass.airflow.connections import address_of
    from windlass.errors import WindlassError

    os.environ["AIRFLOW_CONN_OTHER"] = json.dumps(words)
    try:
        return address_of("other")
    except WindlassError as error:
        return f"{error} ({error.hint})"


@pytest.mark.parametrize(("words", "url"), GOOD)
def test_a_connection_is_a_url(process: Executor, words: dict[str, Any], url: str) -> None:
    assert process.submit(address, {**MYSQL, **words}).result() == url


@pytest.mark.parametrize(("words", "why"), BAD)
def test_what_a_url_cannot_keep_is_refused(
    process: Executor, words: dict[str, Any], why: str
) -> None:
    said = process.submit(address, {**MYSQL, **words}).result()
    assert why in said
    assert "p/w" not in said


def test_operators_plan_migrate_compare_and_undo_a_file_of_sqlite(
    process: Executor, tmp_path: Path, database: Callable[[int], Database]
) -> None:
    sqlite_shop(tmp_path / "shop.db", items=200)
    target = database(16)
    old = json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "shop.db")})
    connections = {"old_shop": old, "new_shop": target.url}
    sides = {"source_conn_id": "old_shop", "target_conn_id": "new_shop"}

    def ran(kind: str, **words: Any) -> Any:
        done = process.submit(executed, kind, words, connections).result()
        assert done.failed == ""
        assert PASSWORD not in repr(done)
        return done.result

    plan = ran("PlanOperator", **sides)
    moved = ran("MigrateOperator", **sides, fingerprint=plan["fingerprint"])
    assert (moved["state"], moved["verified"]) == ("done", "full")
    assert target.value("select count(*) from public.customers") == CUSTOMERS
    assert ran("VerifyOperator", **sides)["differences"] == []
    target.run("update public.customers set name = 'x' where id = 1")
    done = process.submit(executed, "VerifyOperator", sides, connections).result()
    assert "customers" in done.failed and not done.can_be_retried
    ran("RollbackOperator", run=moved["run"], target_conn_id="new_shop", force=True)
    assert target.value("select to_regclass('public.customers')") is None


CUSTOMER = {"phone": {"from": "Name", "function": "mapping_functions:phone"},
            "shout": {"target-sql": "upper(phone)"}, "Email": {"mask": "hash"}}  # fmt: skip
MAPPED = {"Customers": {"into": "people", "where": "Id <= 20", "columns": CUSTOMER},
          "Items": {"where": "Customer <= 20"}}  # fmt: skip


def has_key(key: str) -> None:
    os.environ["WINDLASS_HASH_KEY"] = key


def _pulled(results: dict[str, Any], task_ids: str | list[str]) -> Any:
    """As Airflow gives them: of one task, or of each that has a result."""
    if isinstance(task_ids, str):
        return results[task_ids]
    return [results[one] for one in task_ids if one in results]


def tasks_of_one_dag(
    spec: dict[str, Any], connections: Mapping[str, str], key: str
) -> dict[str, Any]:
    """The results of a DAG's tasks, one after the other."""
    from windlass.airflow import translation_dag

    has_key(key)
    for name, url in connections.items():
        os.environ[f"AIRFLOW_CONN_{name.upper()}"] = url.replace("postgresql://", "postgres://")
    dag = translation_dag("mapped", spec=spec, source_conn_id="old_shop", target_conn_id="new_shop")
    results: dict[str, Any] = {}
    for name in ("plan_migration", "migrate_in_one_task"):
        ti: Any = Task(name, dag_id="mapped")
        ti.xcom_pull = lambda task_ids, key="return_value": _pulled(results, task_ids)
        task: Any = dag.get_task(name)
        params = {"source_conn_id": "old_shop", "target_conn_id": "new_shop"}
        context: Any = {"ti": ti, "params": params, "run_id": ti.run_id}
        task.render_template_fields(context)
        results[name] = task.execute(context)
    has_key("")
    return results


def test_a_dag_with_a_mapping_migrates_and_proves_what_it_declares(
    process: Executor, tmp_path: Path, database: Callable[[int], Database]
) -> None:
    sqlite_shop(tmp_path / "shop.db", items=200)
    target, key = database(16), "correct horse battery staple"
    old = json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "shop.db")})
    connections = {"old_shop": old, "new_shop": target.url}
    spec = {"mapping": MAPPED, "accept": ["constraints"]}
    results = process.submit(tasks_of_one_dag, spec, connections, key).result()
    done = results["migrate_in_one_task"]
    assert (done["state"], done["verified"]) == ("done", "full")
    assert PASSWORD not in repr(results) and key not in repr(results)
    assert target.rows("select phone, shout, length(email) from people where id = 7") == [
        ("n7…2", "N7…2", 64)
    ]
    assert target.value("select count(*) from people") == 20
    words = {"spec": spec, "source_conn_id": "old_shop", "target_conn_id": "new_shop"}
    target.run("update people set shout = 'x' where id = 1")
    process.submit(has_key, key).result()
    found = process.submit(executed, "VerifyOperator", words, connections).result()
    process.submit(has_key, "").result()
    assert "differs in shout" in found.failed + found.log + repr(found.result), found
