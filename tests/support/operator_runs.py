"""Operators that are run by hand, in a process of Airflow."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from airflow_runs import until


@dataclass
class Done:
    """What a task that was run by hand left behind."""

    result: Any = None
    failed: str = ""
    can_be_retried: bool = True
    pushed: dict[str, Any] = field(default_factory=dict)
    log: str = ""
    wrote: list[str] = field(default_factory=list)  # the datasets that OpenLineage hears of


@dataclass
class Task:
    """As much of a task instance as an operator needs."""

    task_id: str
    run_id: str = "tonight"
    map_index: int = -1
    dag_id: str = "theirs"
    pushed: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def xcom_pull(self, task_ids: list[str]) -> list[Any]:
        return []  # nobody was asked to approve anything


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def executed(
    kind: str,
    words: Mapping[str, Any],
    connections: Mapping[str, str],
    ti: Task | None = None,
    stop: str = "",
) -> Done:
    """One try of a task with this operator; its templates see `params.table`. With `stop`, the URL
    of a target, Airflow ends it in the middle of a copy."""
    from airflow.sdk import DAG
    from airflow.sdk.exceptions import AirflowFailException

    import windlass.airflow
    from windlass.errors import WindlassError

    for name, url in connections.items():
        os.environ[f"AIRFLOW_CONN_{name.upper()}"] = url.replace("postgresql://", "postgres://")
    with DAG("theirs"):
        task: Any = getattr(windlass.airflow, kind)(task_id=kind, **words)
    ti = ti or Task(kind)
    context: Any = {"ti": ti, "params": {"table": "item"}, "run_id": ti.run_id}
    task.render_template_fields(context)
    handler, ours, found = Lines(), logging.getLogger("windlass"), Done()
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        if stop:
            signal.signal(signal.SIGTERM, lambda *_: task.on_kill())
            threading.Thread(target=_stop_in_the_middle, args=(stop,)).start()
        found.result = task.execute(context)
    except AirflowFailException as error:
        found.failed, found.can_be_retried = str(error), False
    except WindlassError as error:
        found.failed = str(error)
    finally:
        ours.removeHandler(handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    found.pushed, found.log = ti.pushed, "\n".join(handler.lines)
    found.wrote = [one.target.name for one in getattr(task, "arrived", ())]
    return found


def _stop_in_the_middle(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        query = "select count(*) from pg_locks where not granted"
        until(lambda: connection.execute(query).fetchone() != (0,), "a copy waits")
    os.kill(os.getpid(), signal.SIGTERM)
