"""What a person did with a run, from a page or a DAG."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Act:
    """What a person had done, from a page or a DAG. `result` is empty while it lasts, or if its
    process died during it."""

    run: str
    what: str  # such as "roll back"
    command: str  # without passwords; or the DAG run that does it
    who: str  # the name of the token, the user that a proxy named, or Airflow's user
    address: str  # of the client, as the page sees it; of a DAG: Airflow
    at: str = ""  # UTC
    ended_at: str = ""  # UTC
    result: str = ""  # how it ended: "exit code 0", "done"
