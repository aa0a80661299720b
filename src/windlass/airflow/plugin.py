"""Airflow's plugin: the page of `windlass serve` within Airflow, under its login and its roles; and
links from tasks to it.

Every process of Airflow imports plugins, so this module loads next to nothing; the page is made at
the first request, in the API server.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from windlass.airflow.page_links import (
    DAG_RUN,
    OUTER,
    PLAN,
    PREFIX,
    REPORT,
    RunLink,
    RunReportLink,
    base_path,
)


class _Late:
    """The application, made at the first request; again at the next one if that fails."""

    def __init__(self) -> None:
        self._app: Any = None
        self._without_targets: Any = None  # as long as that cannot be made

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from windlass.errors import WindlassError

        if self._app is None:
            from windlass.airflow.page import make_page, unmade

            try:
                self._app = make_page()
            except WindlassError as error:
                if self._without_targets is None:
                    self._without_targets = make_page(with_targets=False)
                needs_target = not scope["path"].endswith((PLAN, REPORT))
                app: Any = unmade(error) if needs_target else self._without_targets
                await app({**scope, OUTER: scope.get("app")}, receive, send)
                return
        await self._app({**scope, OUTER: scope.get("app")}, receive, send)


class WindlassPlugin(AirflowPlugin):
    """Registered by the entry point `airflow.plugins`."""

    name = "windlass"
    fastapi_apps = [{"name": "Windlass", "app": _Late(), "url_prefix": PREFIX}]  # noqa: RUF012
    global_operator_extra_links = [RunLink(), RunReportLink()]  # noqa: RUF012

    @classmethod
    def on_load(cls, *_: Any, **__: Any) -> None:
        """Called by Airflow once. Frames need the path that Airflow's own address has."""
        at = f"{base_path()}{PREFIX}"
        cls.external_views = [
            {
                "name": "Windlass",
                "href": f"{at}/",
                "destination": "nav",
                "category": "browse",
                "url_route": "windlass",
            },
            {
                "name": "Windlass",
                "href": f"{at}{DAG_RUN}?dag={{DAG_ID}}&run={{RUN_ID}}",
                "destination": "dag_run",
                "url_route": "windlass-run",
            },
        ]
