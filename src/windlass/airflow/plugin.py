"""Airflow's plugin: the page of `windlass serve` within Airflow, under its login and its roles.

Every process of Airflow imports plugins, so this module loads next to nothing; the page is made at
the first request, in the API server. The page only shows runs. Airflow's DAGs act on them, under
Airflow's rights.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/windlass"


class _Late:
    """The application, made at the first request."""

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            from windlass.airflow.page import make_page

            self._app = make_page()
        await self._app(scope, receive, send)


class WindlassPlugin(AirflowPlugin):
    """Registered by the entry point `airflow.plugins`."""

    name = "windlass"
    fastapi_apps = [{"name": "Windlass", "app": _Late(), "url_prefix": PREFIX}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Windlass",
            "href": f"{PREFIX}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "windlass",
        },
        {
            "name": "Windlass",
            "href": f"{PREFIX}/dag-run?dag={{DAG_ID}}&run={{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "windlass-run",
        },
    ]
