"""Airflow's plugin: the page of `windlass serve` within Airflow, under its login and its roles; and
links from tasks to it.

Every process of Airflow imports plugins, so this module loads next to nothing; the page is made at
the first request, in the API server.
"""

from __future__ import annotations

import time
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

AGAIN_SECONDS = 10.0
"""After so long the next request reads connections again: passwords change, and targets move. A tab
that only watches makes none."""


class _Late:
    """The application, made at the first request, and again when its connections have changed. If
    they cannot be read, at the next request."""

    def __init__(self) -> None:
        self._app: Any = None
        self._shown: Any = None  # what it was made of
        self._read_at = 0.0
        self._without_targets: Any = None  # as long as it cannot be made

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from windlass.errors import WindlassError

        try:
            if self._app is None or time.monotonic() - self._read_at > AGAIN_SECONDS:
                await self._read()
            app = self._app
        except WindlassError as error:
            from windlass.airflow.page import make_page, unmade

            self._forget()
            if self._without_targets is None:
                self._without_targets = make_page()
            needs_target = not scope["path"].endswith((PLAN, REPORT))
            app = unmade(error) if needs_target else self._without_targets
        await app({**scope, OUTER: scope.get("app")}, receive, send)

    async def _read(self) -> None:
        from windlass.airflow.page import make_page, read_shown
        from windlass.web.threads import in_thread

        self._read_at = time.monotonic()  # others get the present one until this is read
        shown = await in_thread(read_shown)
        if self._app is None or shown != self._shown:
            self._forget()
            self._app, self._shown = make_page(shown), shown

    def _forget(self) -> None:
        from windlass.airflow.page import end_streams

        if self._app is not None:
            end_streams(self._app)
        self._app = self._shown = None


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
