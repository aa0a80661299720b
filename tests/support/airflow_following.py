"""A run of the DAG `follow` on a real Airflow, as tests await and answer what it asks."""

from __future__ import annotations

from dataclasses import dataclass

import psutil
import psycopg

from airflow_runs import Ended, client, until
from demo.airflow.local import LocalAirflow
from servers import Pair


@dataclass(frozen=True)
class Following:
    """A run of the DAG `follow` of a real Airflow."""

    airflow: LocalAirflow
    pair: Pair
    run_id: str

    @property
    def place(self) -> str:
        return f"/dags/follow/dagRuns/{self.run_id}"

    def state(self, task: str) -> tuple[str, int]:
        found = self.airflow.client.api("GET", f"{self.place}/taskInstances/{task}")
        return str(found["state"]), int(found["try_number"])

    def until_asked(self, task: str, heard: int = 1) -> str:
        """Until a person is asked; returns what is shown. `heard`: how often the scheduler has to
        hear of the task before, which is when it is parked and when it is answered, but not when it
        is cleared."""
        self.until_state(task, "awaiting_input")
        # a blocker to what the answer may begin: on a busy machine nothing may come for seconds
        until(lambda: applied_lately(self.pair), "changes are applied")
        log = self.airflow.folder / "logs" / "components" / "scheduler.log"
        # an answer that comes before the scheduler has heard of the parked task is lost on it
        line = (
            "Received executor event with state success for task instance TaskInstanceKey("
            f"dag_id='follow', task_id='{task}', run_id='{self.run_id}'"
        )
        until(lambda: log.read_text().count(line) >= heard, "the scheduler has heard of it")
        asked = self.airflow.client.api("GET", f"{self.place}/hitlDetails")["hitl_details"]
        return str(next(one["body"] for one in asked if one["task_instance"]["task_id"] == task))

    def answer(self, task: str, choice: str) -> None:
        words = {"chosen_options": [choice], "params_input": {}}
        task = f"{self.place}/taskInstances/{task}/-1/hitlDetails"
        self.airflow.client.api("PATCH", task, words)

    def until_state(self, task: str, state: str) -> None:
        other = {"failed", "upstream_failed", "success"} - {state}

        def has_come() -> bool:
            now = self.state(task)[0]
            assert now not in other, f"{task} is {now}, not {state}: {self.why()}"
            return now == state

        until(has_come, f"{task} is {state}", seconds=400)

    def why(self) -> str:
        ended = Ended(self.airflow, "follow", self.run_id, "")
        return f"{ended.states()} {ended.why()}"

    def clear(self, task: str) -> None:
        words = {
            "dry_run": False,
            "dag_run_id": self.run_id,
            "task_ids": [task],
            "include_downstream": True,
            "only_failed": False,
            "reset_dag_runs": False,
        }
        self.airflow.client.api("POST", "/dags/follow/clearTaskInstances", words)

    def process(self, name: str) -> psutil.Process:
        """The process that has a session of this name on the target."""
        query = (
            "select host(client_addr), client_port from pg_stat_activity"
            f" where application_name like '{name}' and datname = current_database()"
        )
        host, port = until(lambda: self.pair.target.rows(query), f"a session {name}")[0]
        found: psutil.Process = until(lambda: client(host, port), "its process")
        return found


def applied_lately(pair: Pair) -> bool:
    """Whether the stream that applies now has done so in the last seconds."""
    side, way = (pair.source, "back") if phase(pair) == "switched" else (pair.target, "forward")
    age = "select extract(epoch from clock_timestamp() - at) < 2 from windlass.applied"
    return bool(side.value(f"{age} where direction = %s", (way,)))


def phase(pair: Pair) -> str:
    try:
        return str(pair.target.value("select phase from windlass.following"))
    except psycopg.errors.UndefinedTable:
        return ""
