"""Operators that do in one task what a command does: run by hand, in a process of Airflow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from command import DONE, windlass
from operator_runs import Done, Task, executed
from oracle import content_difference
from reading_dags import Read, serialized
from servers import PASSWORD, Database, Pair
from steps import Work, step
from windlass.airflow.work import log_event
from windlass.errors import BadSpec, ConnectionLost
from windlass.model.event import ItemFinished, ItemRetried
from windlass.model.flow import Flow, Item, Result
from windlass.run import local

SHOP = (
    "create schema shop",
    "create table shop.item (id int primary key, note text)",
    "insert into shop.item select n, md5(n::text) from generate_series(1, 1000) n",
)
SIDES = {"source_conn_id": "old_shop", "target_conn_id": "new_shop"}


def sides(pair: Pair) -> dict[str, str]:
    return {"old_shop": pair.source.url, "new_shop": pair.target.url}


@pytest.fixture
def shop(pair: Pair) -> Pair:
    pair.source.run(*SHOP)
    return pair


def test_a_migration_between_two_tasks_and_the_rollback_of_what_it_returned(
    process: Executor, shop: Pair, tmp_path: Path
) -> None:
    words = {**SIDES, "spec": {"schema": "shop"}, "include": ["shop.{{ params.table }}"]}
    words["metrics_file"] = f"{tmp_path}/windlass.prom"
    done = process.submit(executed, "MigrateOperator", words, sides(shop)).result()
    assert not done.failed, done.failed
    assert (done.result["state"], done.result["rows"]) == ("done", 1000)
    assert done.result["verified"] == "full"
    assert done.wrote == [f"{shop.target.name}.shop.item"]
    assert "Migrated" in done.log and PASSWORD not in done.log + repr(done)
    assert content_difference(shop.source, shop.target) == []
    assert "windlass_rows_total{" in (tmp_path / "windlass.prom").read_text()

    # cleared after it has succeeded, it returns what that run did
    again = process.submit(executed, "MigrateOperator", words, sides(shop)).result()
    assert (again.result["run"], again.result["rows"]) == (done.result["run"], 1000)
    assert shop.target.value("select count(*) from windlass.run") == 1

    # another run finds what is there, and no retry would help
    later = Task("MigrateOperator", run_id="tomorrow")
    refused = process.submit(executed, "MigrateOperator", words, sides(shop), later).result()
    assert "shop.item" in refused.failed and not refused.can_be_retried

    words = {"run": done.result, "target_conn_id": "new_shop"}
    undone = process.submit(executed, "RollbackOperator", words, sides(shop)).result()
    assert undone.result["state"] == "rolled back"
    assert shop.target.value("select to_regclass('shop.item')") is None
    undone = process.submit(executed, "RollbackOperator", words, sides(shop)).result()
    assert undone.result["already"] is True


def at_an_address(words: Mapping[str, Any], connections: Mapping[str, str]) -> list[Done]:
    """A rewrite and an export, where Airflow knows its own address."""
    os.environ["AIRFLOW__API__BASE_URL"] = "https://airflow.example.com/"
    try:
        return [executed(kind, words[kind], connections) for kind in words]
    finally:
        del os.environ["AIRFLOW__API__BASE_URL"]


def test_a_run_is_listed_with_the_address_of_its_dag_run(
    process: Executor, shop: Pair, tmp_path: Any
) -> None:
    change = {"schema": "shop", "table": "item", "select": "id <= 10", "id": "id"}
    words = {
        "MigrateOperator": {**SIDES, "schema": "shop"},
        "RewriteOperator": {
            "db_conn_id": "new_shop",
            "spec": {**change, "set": {"note": {"sql": "note || 'x'"}}},
        },
        "ExportOperator": {
            "source_conn_id": "old_shop",
            "relations": ["shop.item"],
            "to": f"file://{tmp_path}",
        },
    }
    done = process.submit(at_an_address, words, sides(shop)).result()
    assert not any(one.failed for one in done), done
    url = "https://airflow.example.com/dags/theirs/runs/tonight"
    assert shop.target.rows("select caller_url from windlass.run") == [(url,), (url,)]
    assert windlass("status", pair=shop).expect(DONE).stdout.count(url) == 2
    assert url in windlass("status", "--to", f"file://{tmp_path}").expect(DONE).stdout


def test_a_plan_that_was_made_before_is_the_only_one_carried_out(
    process: Executor, shop: Pair
) -> None:
    words = {**SIDES, "schema": "shop"}
    planned = process.submit(executed, "PlanOperator", words, sides(shop)).result()
    assert [one["source"] for one in planned.result["relations"]] == ["shop.item"]
    assert "shop.item" in planned.pushed["markdown"]
    assert shop.target.value("select to_regnamespace('windlass')") is None
    shop.source.run("alter table shop.item add column more int")
    words["fingerprint"] = planned.result["fingerprint"]
    refused = process.submit(executed, "MigrateOperator", words, sides(shop)).result()
    assert "is not the one that was made before" in refused.failed
    assert not refused.can_be_retried
    for nothing in ("", "{{ none }}"):
        words["fingerprint"] = nothing
        refused = process.submit(executed, "MigrateOperator", words, sides(shop)).result()
        assert "fingerprint is empty" in refused.failed and not refused.can_be_retried
    assert shop.target.value("select to_regclass('shop.item')") is None


def test_differences_make_a_comparison_red_with_their_keys_and_a_repair_mends_them(
    process: Executor, shop: Pair
) -> None:
    shop.target.run(*SHOP, "update shop.item set note = 'else' where id = 7")
    words = {**SIDES, "schema": "shop"}
    red = process.submit(executed, "VerifyOperator", words, sides(shop)).result()
    assert "shop.item (id = 7): differs in note" in red.log
    assert not red.can_be_retried
    assert red.pushed["return_value"]["state"] == "different"
    assert "else" not in red.log + repr(red.pushed["return_value"])
    repairing = {**words, "repair": True}
    mended = process.submit(executed, "VerifyOperator", repairing, sides(shop)).result()
    assert mended.result["state"] == "done", mended.failed
    assert content_difference(shop.source, shop.target) == []
    started = "select caller from windlass.run where flow = 'repair'"
    assert shop.target.value(started) == "airflow theirs tonight VerifyOperator"


def test_a_migration_that_airflow_stops_is_resumed_by_the_next_try(
    process: Executor, shop: Pair
) -> None:
    shop.target.run(*SHOP[:2])
    words = {**SIDES, "schema": "shop", "existing": "fill"}
    with psycopg.connect(shop.target.url) as connection:
        connection.execute("lock table shop.item in share mode")
        stopped = process.submit(
            executed, "MigrateOperator", words, sides(shop), None, shop.target.url
        ).result()
    assert "clear the task" in stopped.failed and stopped.can_be_retried
    assert shop.target.value("select state from windlass.run") == "interrupted"
    done = process.submit(executed, "MigrateOperator", words, sides(shop)).result()
    assert done.result["state"] == "done", done.failed
    assert done.result["resumed"] is True
    assert shop.target.value("select count(*) from windlass.run") == 1
    assert content_difference(shop.source, shop.target) == []


def test_a_rewrite_and_an_export_that_are_cleared_do_nothing_again(
    process: Executor, database: Any, tmp_path: Any
) -> None:
    shop: Database = database(16)
    shop.run(*SHOP)
    spec = {"schema": "shop", "table": "item", "select": "id <= 10", "id": "id"}
    rewriting = {
        "db_conn_id": "old_shop",
        "spec": {**spec, "set": {"note": {"sql": "note || 'x'"}}},
    }
    exporting = {
        "source_conn_id": "old_shop",
        "relations": ["shop.item"],
        "to": f"file://{tmp_path}",
    }
    conns = {"old_shop": shop.url}
    for _ in range(2):
        done = process.submit(executed, "RewriteOperator", rewriting, conns).result()
        assert done.result["state"] == "done", done.failed
        assert shop.value("select count(*) from shop.item where length(note) = 33") == 10
        done = process.submit(executed, "ExportOperator", exporting, conns).result()
        assert (done.result["state"], done.result["rows"]) == ("done", 1000), done.failed
        assert done.wrote == [f"{tmp_path}/shop.item"]
        assert len(list(tmp_path.rglob("*.parquet"))) == 1


def undone_of_nothing(run: Any) -> str:
    from airflow.sdk import DAG
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    from windlass.airflow import MigrateOperator, RollbackOperator

    with DAG("theirs"):
        one = MigrateOperator(task_id="one")
        undo: Any = RollbackOperator(task_id="undo", run=one.output if run is None else run)
    undo.run = run  # as Airflow renders it
    try:
        undo.execute({"ti": Task("undo")})
    except AirflowSkipException:
        return "skipped"
    except AirflowFailException as error:
        return str(error)
    return "done"


def test_a_task_that_has_begun_no_run_leaves_nothing_to_undo(process: Executor) -> None:
    assert process.submit(undone_of_nothing, None).result() == "skipped"
    for text in ("", "None"):
        assert "no run to roll back" in process.submit(undone_of_nothing, text).result()


def test_the_files_of_an_export_are_removed_by_a_rollback_that_names_their_place(
    process: Executor, shop: Pair, tmp_path: Any
) -> None:
    to = f"file://{tmp_path}"
    words = {"source_conn_id": "old_shop", "relations": ["shop.item"], "to": to}
    done = process.submit(executed, "ExportOperator", words, sides(shop)).result()
    assert (tmp_path / "latest.json").exists(), done.failed
    words = {"run": done.result, "to": to}
    undone = process.submit(executed, "RollbackOperator", words, sides(shop)).result()
    assert undone.result["state"] == "rolled back", undone.failed
    assert not (tmp_path / "latest.json").exists()


def test_an_address_in_place_of_a_connection_is_refused_and_not_shown(process: Executor) -> None:
    words = {**SIDES, "source_conn_id": "{{ 'postgresql:' }}//me:s3cret@db/shop", "schema": "shop"}
    red = process.submit(executed, "VerifyOperator", words, {"new_shop": "postgresql://x"}).result()
    assert "an address was given in place of a connection" in red.failed
    assert "s3cret" not in red.failed + red.log


def test_every_connection_that_is_missing_is_named_at_once(process: Executor) -> None:
    words = {"source_conn_id": "nowhere", "target_conn_id": "neither", "schema": "shop"}
    red = process.submit(executed, "VerifyOperator", words, {}).result()
    assert "there is no Airflow connection 'nowhere'" in red.failed
    assert "there is no Airflow connection 'neither'" in red.failed


def addresses() -> list[str]:
    from airflow.sdk import DAG

    from windlass.airflow import (
        MigrateOperator,
        MigrateTaskGroup,
        RollbackOperator,
        migration_dag,
        rewrite_dag,
    )

    url, words = "postgresql://me:s3cret@db/shop", "host=db password=s3cret"
    rewrite: Any = {"table": "t", "select": "true", "id": "id", "set": {"a": {"sql": "1"}}}
    found = []
    for make in (
        lambda: MigrateOperator(task_id="a", source_conn_id=url),
        lambda: RollbackOperator(task_id="a", run="r", target_conn_id=words),
        lambda: MigrateTaskGroup("a", target_conn_id=words),
        lambda: migration_dag("a", source_conn_id=url),
        lambda: rewrite_dag("a", spec=rewrite, db_conn_id=url),
    ):
        try:
            with DAG("theirs"):
                make()
            found.append("")
        except BadSpec as error:
            found.append(str(error))
    return found


def test_an_address_in_a_dag_file_is_an_import_error_as_airflow_would_store_and_show_it(
    process: Executor,
) -> None:
    found = process.submit(addresses).result()
    assert all("an address was given in place of a connection" in one for one in found), found
    assert "s3cret" not in "".join(found)


def faults() -> list[str]:
    from windlass.airflow import (
        ExportOperator,
        MigrateOperator,
        PlanOperator,
        RewriteOperator,
        RollbackOperator,
    )

    found = []
    for make in (
        lambda: MigrateOperator(task_id="a", shcema="shop"),
        lambda: MigrateOperator(task_id="a", spec={"shcema": "{{ params.schema }}"}),
        lambda: MigrateOperator(task_id="a", jobs="many", schema="{{ params.schema }}"),
        lambda: ExportOperator(task_id="a", to="{{ params.to }}", warehouse="postgresql://a:b@c/d"),
        lambda: PlanOperator(task_id="a"),
        lambda: RollbackOperator(task_id="a", run="r", spec={"to": "s3://lake"}),
        lambda: RollbackOperator(task_id="a", run="r", store_conn_id="lake"),
        lambda: RewriteOperator(task_id="a", spec="specs/reviews.yaml"),
    ):
        try:
            make()
            found.append("")
        except (BadSpec, TypeError) as error:
            found.append(str(error))
    return found


def test_what_is_wrong_in_a_dag_file_is_an_import_error(process: Executor) -> None:
    found = process.submit(faults).result()
    typo, in_spec, number, secret, nowhere, undone, lake, relative = found
    assert "shcema" in typo
    assert in_spec == "unknown key 'shcema'; did you mean 'schema'?"
    assert number.startswith("jobs: ") and "schema" not in number
    assert "holds a password" in secret
    assert nowhere == "connections: source: not given; connections: target: not given"
    assert undone.startswith("spec: a rollback has none")
    assert lake.startswith("store_conn_id: ")
    assert relative.endswith('give Path(__file__).with_name("reviews.yaml")')


def mapped() -> str:
    from airflow.sdk import DAG

    from windlass.airflow import MigrateOperator, RollbackOperator

    with DAG("theirs") as dag:
        moved = MigrateOperator.partial(task_id="move", **SIDES).expand(
            spec=[{"schema": "shop"}, {"schema": "stock"}]
        )
        one = MigrateOperator(task_id="one", schema="{{ ds }}")
        moved >> one
        RollbackOperator(task_id="undo", run=one.output, trigger_rule="one_failed")
    return serialized(dag)


def test_operators_are_mapped_and_wired_like_any_others(process: Executor) -> None:
    read = Read.of(process.submit(mapped).result())
    assert read.mapped == {"move"}
    assert read.just_before("undo") == {"one"}


def without_obstore(task: Any, ti: Task) -> Done:
    """One try of a task on a worker where obstore is not installed."""
    import sys

    from airflow.sdk.exceptions import AirflowFailException

    using = [name for name in sys.modules if name.startswith("windlass.flows.export.")]
    with pytest.MonkeyPatch.context() as patch:
        for name in (*using, "windlass.engines.objects.store"):
            patch.delitem(sys.modules, name, raising=False)
        patch.setitem(sys.modules, "obstore", None)
        with pytest.raises(AirflowFailException) as failed:
            task.execute({"ti": ti, "params": dict(task.dag.params), "run_id": ti.run_id})
    return Done(failed=str(failed.value), pushed=ti.pushed)


def export_somewhere(kind: str) -> Done:
    from airflow.sdk import DAG

    from windlass.airflow import ExportOperator, export_dag

    os.environ["AIRFLOW_CONN_OLD_SHOP"] = "postgres://nobody@127.0.0.1:1/none"
    given: Any = {"spec": {"to": "file:///tmp/none"}, "source_conn_id": "old_shop"}
    if kind == "task":
        return without_obstore(export_dag("lake", **given).get_task("read_source"), Task("x"))
    with DAG("theirs"):
        return without_obstore(ExportOperator(task_id="x", **given), Task("x"))


@pytest.mark.parametrize("kind", ["task", "operator"])
def test_a_library_that_a_worker_lacks_is_named_with_its_extra_and_nothing_is_retried(
    process: Executor, kind: str
) -> None:
    done = process.submit(export_somewhere, kind).result()
    assert done.failed == "obstore is not installed (pip install 'windlass-db[export]')"
    assert done.pushed["problems"] == [done.failed]


def test_a_table_that_does_not_fit_an_export_is_named_with_what_helps_there_and_nothing_else(
    process: Executor, shop: Pair, tmp_path: Path
) -> None:
    with duckdb.connect(tmp_path / "w.duckdb") as warehouse:
        warehouse.execute("create table item (id int)")
    shop.source.run("create table shop.sale (id int)")
    to = {"to": f"file://{tmp_path}/files", "warehouse": f"duckdb:///{tmp_path}/w.duckdb"}
    words = {"source_conn_id": "old_shop", "spec": {**to, "relations": "shop.*"}}
    done = process.submit(executed, "ExportOperator", words, sides(shop)).result()
    (item,) = done.pushed["problems"]
    assert not done.can_be_retried
    assert item.startswith("shop.item: is not exported: item: the table does not fit: note")
    assert "`schema: add`" in item
    assert "  ✗ definition differs" in done.log and "shop.item →" not in done.log


def test_a_line_of_the_log_has_no_words_without_a_value(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "windlass.airflow.work"):
        log_event(ItemFinished("validate_content", "shop.item", "", 1.0))
        log_event(ItemFinished("copy_tables", "shop.item", "", 1.0, rows=7, size_bytes=2048))
        log_event(ItemRetried("extract_source_schema", "", 1, "target: connection refused", 0.1))
    assert caplog.messages == [
        "step=validate_content item=shop.item state=done seconds=1.00",
        "step=copy_tables item=shop.item state=done rows=7 bytes=2.00 kB seconds=1.00",
        "step=extract_source_schema attempt=1 target: connection refused",
    ]


def test_a_retry_is_one_line_of_a_task_s_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "FIRST_WAIT_SECONDS", 0.0)
    tries: list[int] = []

    def fail_once(_: Work, __: Item) -> Result:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionLost("source: the server hung up")
        return {}

    with caplog.at_level("INFO", "windlass"):
        flow = Flow("test", (step("copy", items="shop.item", do=fail_once),))
        local.run_flow(flow, Work(), jobs=1, emit=log_event)
    lines = [one for one in caplog.messages if "hung up" in one]
    assert lines == ["step=copy item=shop.item attempt=1 source: the server hung up"]
