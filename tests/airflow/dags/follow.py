"""A migration that follows; the file `lead_to` gets the port of the database that is written to."""

from datetime import timedelta

from airflow.sdk import Param

from quick import QUICK
from windlass.airflow import follow_dag

FILE = "'{{ params.lead_to }}"
LEAD = f"echo $WINDLASS_PORT > {FILE}.new' && mv {FILE}.new' {FILE}'"

dag = follow_dag(
    "follow",
    spec={"schema": "ledger", "jobs": 2},
    cutover={"max_lag": "30s", "max_freeze": "90s", "on_switch": LEAD},
    tuning=QUICK,
    params={"lead_to": Param("", type="string")},
    dagrun_timeout=timedelta(minutes=30),
)
