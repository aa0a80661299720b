"""Addresses of DAG runs in Airflow's web UI.

The process that holds a run in the triggerer loads this, and must not load Airflow's classes: they
connect to Airflow's database, which the triggerer forbids.
"""

from __future__ import annotations

from urllib.parse import quote


def run_path(dag_id: str, run_id: str) -> str:
    """The path of a run in the web UI."""
    return f"/dags/{quote(dag_id)}/runs/{quote(run_id, safe=':+')}"


def run_url(dag_id: str, run_id: str) -> str:
    """The address of a run in the web UI; empty if Airflow's `base_url` is not set."""
    from airflow.sdk.configuration import conf

    base = conf.get("api", "base_url", fallback="") or ""
    return f"{base.rstrip('/')}{run_path(dag_id, run_id)}" if base else ""
