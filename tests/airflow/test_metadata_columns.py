"""What is exported in clear of Airflow's own database, in every version of it.

The database of the installed version is made for real, with a secret in every column that may hold
one.

`recorded/metadata_columns.json` holds the tables and the types of their columns as Airflow's own
migrations make them on PostgreSQL, a version each: `python tests/airflow/recorded/columns.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from exporting import export
from reading_dags import airflow_process
from servers import Database
from windlass.airflow.presets.metadata_columns import HARMLESS
from windlass.airflow.presets.metadata_tables import tables_of
from windlass.planning.patterns import is_matched_last

RECORDED = Path(__file__).parent / "recorded" / "metadata_columns.json"
# types that hold whatever somebody puts there; what is in clear nevertheless was looked at
FREE = ("json", "jsonb", "bytea", "text")
LOOKED_AT = {
    "dag.allowed_run_types",  # of Airflow's four kinds of runs
    "dag.schedule_interval",  # a cron expression
    "dag.timetable_summary",
    "dag_schedule_asset_reference.allow_producer_teams",
    "log_template.elasticsearch_id",  # of airflow.cfg
    "log_template.filename",
    "task_instance.external_executor_id",  # of Celery, or a pod
    "task_instance_history.external_executor_id",
    "task_outlet_asset_reference.allow_consumer_teams",
}
SECRET = [
    "ab_register_user.registration_hash", "ab_user.email", "ab_user.password", "asset.extra",
    "asset.name", "asset.uri", "asset_event.extra", "asset_state_store.value",
    "backfill.dag_run_conf", "callback.data", "callback.output", "callback_request.callback_data",
    "connection.description", "connection.extra", "connection.host", "connection.login",
    "connection.password", "connection_test_request.login", "connection_test_request.token",
    "dag.description", "dag_bundle.signed_url_template", "dag_code.source_code",
    "dag_pickle.pickle", "dag_run.conf", "dag_run.partition_key", "dag_run_note.content",
    "dag_warning.message", "dataset.uri", "dataset_event.extra", "deadline.callback_kwargs",
    "hitl_detail.body", "hitl_detail.chosen_options", "hitl_detail.defaults", "hitl_detail.params",
    "hitl_detail.params_input", "hitl_detail.subject", "hitl_detail_history.body",
    "import_error.stacktrace", "log.extra", "rendered_task_instance_fields.rendered_fields",
    "revoked_token.jti", "serialized_dag.data",
    "task_instance.executor_config", "task_instance.next_kwargs",
    "task_instance.rendered_map_index", "task_instance_note.content", "trigger.kwargs",
    "variable.val", "xcom.value",
]  # fmt: skip


@cache
def recorded() -> dict[str, dict[str, dict[str, str]]]:
    found: dict[str, dict[str, dict[str, str]]] = json.loads(RECORDED.read_text())
    return found


def masks(table: str, *patterns: Sequence[str]) -> list[str]:
    from windlass.airflow.presets import metadata_export  # late: it imports Airflow

    return metadata_export.masks(table, *patterns)


def is_clear(table: str, column: str, *include: str) -> bool:
    return not is_matched_last(f"public.{table}", column, masks(table, include))


def clear(version: str) -> dict[str, str]:
    """The types of columns in clear."""
    return {
        f"{table}.{column}": kind
        for table, columns in recorded()[version].items()
        for column, kind in columns.items()
        if is_clear(table, column)
    }


@pytest.mark.parametrize("version", ["2.7", "2.8", "2.9", "2.10", "3.0", "3.1", "3.2", "3.3"])
def test_nothing_that_people_or_tasks_write_is_in_clear(version: str) -> None:
    found = clear(version)
    assert {name for name, kind in found.items() if kind in FREE} <= LOOKED_AT
    assert not set(found) & set(SECRET)


def test_every_secret_that_is_named_here_is_one_of_some_version() -> None:
    there = {
        f"{table}.{column}"
        for tables in recorded().values()
        for table, columns in tables.items()
        for column in columns
    }
    assert set(SECRET) <= there


def test_what_is_harmless_is_in_clear() -> None:
    found = clear("3.3")
    for name in ("dag_run.run_id", "task_instance.state", "xcom.key", "log.event", "job.hostname"):
        assert name in found, name
    columns = sum(map(len, recorded()["3.3"].values()))
    assert len(found) > columns * 0.7


# the installed version's own database


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    with airflow_process(tmp_path_factory.mktemp("airflow")) as found:
        yield found


def make_tables(url: str) -> list[str]:
    """In Airflow's process."""
    from airflow.models import import_all_models
    from airflow.models.base import Base
    from sqlalchemy import create_engine

    importing: Any = import_all_models
    importing()
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    Base.metadata.create_all(engine)
    engine.dispose()
    return sorted(Base.metadata.tables)


FILL = """
select format('insert into %%I values (%%s)', table_name, string_agg(replace(
    case when data_type in ('json', 'jsonb') then $$'{"a": "SECRET"}'$$
         when data_type = 'bytea' then $$'SECRET'$$
         when data_type = 'uuid' then 'gen_random_uuid()'
         when data_type = 'boolean' then 'true'
         when data_type like 'timestamp%%' then 'now()'
         when data_type in ('character', 'character varying', 'text') then $$'SECRET'$$
         else '7' end,
    case when table_name || '.' || column_name = any(%s) then 'SECRET' else '' end, 'plain'),
    ', ' order by ordinal_position))
from information_schema.columns where table_schema = 'public' group by table_name
"""


def test_no_secret_in_any_column_of_a_real_database_leaves_it(
    process: Executor, database: Callable[[int], Database], tmp_path: Path
) -> None:
    own = database(16)
    tables = process.submit(make_tables, own.url).result()
    assert {*tables, "alembic_version"} == set(tables_of("3.3"))
    harmless = [f"{table}.{one}" for table, columns in HARMLESS.items() for one in columns]
    with own.connect() as connection:
        connection.execute("set session_replication_role = replica")  # no foreign keys
        for (checked,) in connection.execute(
            "select format('alter table %s drop constraint %I', conrelid::regclass, conname)"
            " from pg_constraint where contype = 'c' and conrelid <> 0"
        ).fetchall():
            connection.execute(checked)
        for (insert,) in connection.execute(FILL, (harmless,)).fetchall():
            connection.execute(insert)
    words: dict[str, Any] = {
        "relations": [f"public.{table}" for table in tables],
        "mask": ["*", *(f"!{one}" for one in harmless)],
        "unmatched": "ignore", "format": "csv", "compression": "none", "warehouse": None,
    }  # fmt: skip
    export(own, tmp_path, **words).expect(0)
    written = {path: path.read_text() for path in (tmp_path / "files").rglob("*.csv")}
    assert len(written) == len(tables)
    assert not [path.parent for path, text in written.items() if "SECRET" in text]
    assert sum("plain" in text for text in written.values()) > 30
    assert sum("***" in text for text in written.values()) > 20


# what its migrations make of it


@pytest.mark.parametrize("version", ["2.7", "2.8", "2.9", "2.10", "3.0", "3.1", "3.2", "3.3"])
def test_the_tables_of_a_version_are_those_that_its_migrations_make(version: str) -> None:
    found, made = set(tables_of(version)), set(recorded()[version])
    # the FAB auth manager's tables have separate migrations; the first of Airflow's own leaves out
    # the other two
    elsewhere = {*(one for one in found | made if one.startswith("ab_")), "session", "sla_miss"}
    assert found - elsewhere == made - elsewhere


def test_no_table_is_listed_that_no_version_has() -> None:
    every = {table for version in recorded() for table in tables_of(version)}
    assert set(HARMLESS) == {*every, *tables_of("2.4"), *tables_of("3.3", fab=True)}


def test_a_column_of_a_newer_airflow_is_masked_and_so_is_a_plugin_s() -> None:
    assert not is_clear("dag_run", "something_new") and not is_clear("of_a_plugin", "id")


def test_what_is_asked_for_is_in_clear_and_nothing_else() -> None:
    assert is_clear("xcom", "value", "xcom.value") and is_clear("plugin", "id", "plugin.*")
    assert not is_clear("variable", "val", "xcom.value")
    assert is_clear("variable", "val", "*.val")


def test_one_more_pattern_to_mask_wins() -> None:
    patterns = masks("dag_run", ["dag_run.conf"], ["*.dag_id", "dag_run.conf"])
    assert is_matched_last("public.dag_run", "dag_id", patterns)
    assert is_matched_last("public.dag_run", "conf", patterns)
    assert not is_matched_last("public.dag_run", "run_id", patterns)
