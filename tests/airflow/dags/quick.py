"""How tests want their DAGs: quick to retry, and with a recipient of notifications. One DAG in each
of the files beside this one, as every task reads its file."""

from datetime import timedelta
from pathlib import Path

from windlass.airflow import Ending, Notices, Tuning

QUICK = Tuning(
    retries=2,
    retry_delay=timedelta(seconds=1),
    retry_exponential_backoff=False,
    patience=timedelta(seconds=60),
    pool="windlass",
)
TOLD = Ending(
    notices=Notices(email=("dba@example.com",), smtp_conn_id="post", webhook_conn_id="chat"),
    report_folder=str(Path(__file__).parent / "reports"),
    report_url="https://reports.example",
)
