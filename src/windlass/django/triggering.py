"""Starts the DAG `quarterly_data_update` from a project through Airflow's REST API: for views and
for Celery beat, if Airflow does the work."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from windlass.errors import BadSpec, ConnectionLost, WindlassError

DAG_ID = "quarterly_data_update"
URL, TOKEN = "AIRFLOW_API_URL", "AIRFLOW_API_TOKEN"
_HINTS = {
    401: f"{TOKEN} is not valid, or not any more",
    403: "the token's user may not trigger this DAG",
    404: "there is no such DAG there",
}


def trigger_update(
    dag_id: str = DAG_ID, conf: Mapping[str, Any] | None = None, *, timeout_seconds: float = 30
) -> str:
    """Start a run; returns its id. Airflow's address and a token are in the environment.

    Raises:
        BadSpec: the address or the token is missing.
        ConnectionLost: Airflow cannot be reached.
        WindlassError: Airflow refuses.
    """
    lacking = [f"{name} is not set" for name in (URL, TOKEN) if not os.environ.get(name)]
    url = os.environ.get(URL, "").rstrip("/")
    if not lacking and urlsplit(url).scheme not in ("http", "https"):
        lacking.append(f"{URL} is not an http address")
    if lacking:
        raise BadSpec(lacking)
    request = Request(
        f"{url}/api/v2/dags/{quote(dag_id, safe='')}/dagRuns",
        json.dumps({"logical_date": None, "conf": dict(conf or {})}).encode(),
        {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {os.environ[TOKEN]}",
        },
    )
    try:
        with urlopen(request, timeout=timeout_seconds) as answer:
            return str(json.load(answer)["dag_run_id"])
    except HTTPError as error:
        message = f"Airflow answers with {error.code} {error.reason} for the DAG {dag_id}"
        raise WindlassError(message, hint=_HINTS.get(error.code, "")) from None
    except (URLError, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        host = urlsplit(url).hostname
        raise ConnectionLost(f"Airflow at {host} cannot be reached: {reason}") from None
