"""Windlass inside a DAG of others: two groups and operators, between two tasks."""

from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, TaskGroup

from quick import QUICK
from windlass.airflow import (
    MigrateOperator,
    MigrateTaskGroup,
    RollbackOperator,
    Tuning,
)

words: dict[str, Any] = {
    "source_conn_id": "{{ params.source_conn_id }}",
    "target_conn_id": "{{ params.target_conn_id }}",
}
tuning = Tuning(
    retries=QUICK.retries,
    retry_delay=QUICK.retry_delay,
    retry_exponential_backoff=0,
    patience=QUICK.patience,
    pool="windlass",
    hold_in="triggerer",
)
chunks = {"min_chunk_rows": 30_000, "chunk_threshold": 100_000, "chunk_by": "ctid"}
texts = {
    "source_conn_id": Param("", type="string"),
    "target_conn_id": Param("", type="string"),
    "last": Param("extra", type="string"),
}

with DAG("within", schedule=None, is_paused_upon_creation=False, params=texts) as dag:
    before, after = EmptyOperator(task_id="before"), EmptyOperator(task_id="after")
    with TaskGroup("outer"):
        shop = MigrateTaskGroup("shop", spec={"schema": "shop", **chunks}, tuning=tuning, **words)
    stock = MigrateTaskGroup("stock", spec={"schema": "stock"}, tuning=tuning, **words)
    extra = MigrateOperator(task_id="extra", schema="{{ params.last }}", **words)
    undo = RollbackOperator(
        task_id="undo", run=extra.output, target_conn_id="{{ params.target_conn_id }}"
    )
    before >> shop >> stock >> extra >> undo >> after
