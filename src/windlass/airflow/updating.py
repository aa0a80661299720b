"""The tasks that update the tables of a Django project; each is a step of
`windlass.airflow.project`.

The list of updates is read from a Variable when a run begins, and stays the same during the run.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk.exceptions import AirflowRescheduleException

from windlass.airflow.assets import publish_assets
from windlass.airflow.board import Board, small
from windlass.airflow.checking import has_password
from windlass.airflow.lineage import Traced
from windlass.airflow.operators import WindlassOperator
from windlass.airflow.project import Answer, Project
from windlass.errors import BadSpec, WindlassError
from windlass.model.lineage import Arrived, Dataset, asset_dataset

if TYPE_CHECKING:
    from airflow.sdk import Context

POLL_SECONDS = 5.0
_COUNTS = ("inserted", "updated", "unchanged", "deleted", "refused")
log = logging.getLogger(__name__)


class ProjectOperator(WindlassOperator):
    """A step in a project. `conn_id` is an Airflow connection of type Postgres, or
    ``variable:NAME``; if it is empty, the database of the project's settings is used."""

    def __init__(
        self, *, project: Mapping[str, Any], step: str, conn_id: str, variable: str, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.project, self.step = dict(project), step
        self.conn_id, self.variable = conn_id, variable

    def execute(self, context: Context) -> Any:
        with self._explained(context):
            answer = self._ask({"updates": read_updates(self.variable)})
            for one in answer.get("migrations", ()):
                log.info("migration=%s state=applied", one)
            return small(answer)

    def _ask(self, request: Mapping[str, Any]) -> Answer:
        from windlass.airflow.connections import address_of

        project = Project(**self.project)
        conninfo = address_of(self.conn_id) if self.conn_id else ""
        words = {"step": self.step, "database": project.database, **request}
        return project.ask(words, conninfo)


class SetUpOperator(ProjectOperator):
    """Checks the project, its database and all updates. Its result has one item for each load, in
    order: the name, the updates, and the positions of the items that must come before."""

    def execute(self, context: Context) -> Any:
        with self._explained(context):
            updates = read_updates(self.variable)
            answer = self._ask({"updates": updates})
            for key, value in answer["versions"].items():
                log.info("%s=%s", key, value)
            context["ti"].xcom_push(key="versions", value=answer["versions"])
            context["ti"].xcom_push(key="databases", value=answer["databases"])
            if not updates:
                log.warning("the Variable %s has no updates", self.variable)
            items = [
                {**one, "updates": [updates[at] for at in one["updates"]]}
                for one in answer["items"]
            ]
            return items


class ItemOperator(ProjectOperator):
    """A step for one item of `SetUpOperator`'s result."""

    NAME = "{{ task.step }}_{{ task.item['name'] }}"  # for `map_index_template`
    template_fields: Sequence[str] = ("item",)

    def __init__(self, *, item: Any, files: str, **kwargs: Any) -> None:
        """`files` is a folder for downloads."""
        super().__init__(**kwargs)
        self.item, self.files = item, files

    def execute(self, context: Context) -> Any:
        with self._explained(context):
            ti = context["ti"]
            place = Path(self.files or _cache(), ti.dag_id, ti.run_id, str(ti.map_index))
            answer = self._ask({"updates": self.item["updates"], "folder": str(place),
                                **self._more(context)})  # fmt: skip
            self._log(answer)
            return small(self._done(context, answer))

    def _more(self, context: Context) -> Mapping[str, Any]:
        """More keys for the request."""
        return {}

    def _log(self, answer: Answer) -> None:
        for one in answer.get("files", ()):
            log.info("file=%s bytes=%s sha256=%s", one["from"], one["size_bytes"], one["sha256"])
        for one in answer.get("created", ()):
            log.info("table=%s state=created", one)

    def _done(self, context: Context, answer: Answer) -> Answer:
        return answer


class UpdateOperator(Traced, ItemOperator):
    """Loads the updates of one item, after those that it refers to. Loaded tables are assets.

    All loads of a DAG run are one refresh in the journal, which ``manage.py windlass_refresh
    --undo`` undoes as a whole.
    """

    def _more(self, context: Context) -> Mapping[str, Any]:
        from windlass.airflow.web_ui import run_url

        self._wait(context)
        ti = context["ti"]
        return {"refresh": f"{ti.dag_id}/{ti.run_id}", "url": run_url(ti.dag_id, ti.run_id)}

    def _wait(self, context: Context) -> None:
        """Give up the slot until the items before this one are loaded.

        Raises:
            WindlassError: one has failed.
        """
        if not self.item["after"]:
            return
        states = Board(context["ti"]).states([self.task_id])
        before = {at: states.get(f"{self.task_id}_{at}") for at in self.item["after"]}
        if failed := [at for at, one in before.items() if one in ("failed", "upstream_failed")]:
            names = ", ".join(map(str, failed))
            raise WindlassError(
                f"{self.item['name']} refers to a table whose {self.task_id} has failed: map index"
                f" {names}",
                hint="clear both",
            )
        if any(one != "success" for one in before.values()):
            log.info("waiting for map index %s", ", ".join(map(str, before)))
            raise AirflowRescheduleException(datetime.now(UTC) + timedelta(seconds=POLL_SECONDS))

    def _done(self, context: Context, answer: Answer) -> Answer:
        for one in answer["tables"]:
            counts = " ".join(f"{key}={one['counts'].get(key, 0)}" for key in _COUNTS)
            state = "unchanged" if one["unchanged"] else "loaded"
            log.info("model=%s table=%s state=%s %s run=%s", one["model"], one["table"], state,
                     counts, one["run"])  # fmt: skip
        for text in answer.get("notices", ()):
            log.warning("%s", text)
        loaded = [one for one in answer["tables"] if not one["unchanged"]]
        assets = [{**one["asset"], **one["counts"], "rows": one["counts"].get("read", 0),
                   "run": one["run"]} for one in loaded if one.get("asset")]  # fmt: skip
        publish_assets(context, self.outlets, {"assets": assets})
        self.arrived = [found for one in loaded if (found := _arrived(one))]
        return answer


def _arrived(one: Mapping[str, Any]) -> Arrived | None:
    target = asset_dataset(one["asset"]) if one.get("asset") else None
    if target is None:
        return None
    parts = [urlsplit(place) for place in str(one["from"]).split(", ")]
    sources = tuple(Dataset(f"{it.scheme}://{it.netloc}", it.path.strip("/"))
                    for it in parts if it.scheme and it.netloc)  # fmt: skip
    return Arrived(sources, target, (), rows=one["counts"].get("read", 0))


def read_updates(variable: str) -> list[dict[str, Any]]:
    """The list of updates in a Variable.

    Raises:
        WindlassError: there is no such Variable.
        BadSpec: it is not a list, or one of its addresses holds a password: XCom would show it.
    """
    from airflow.sdk import Variable

    text = Variable.get(variable, default=None)
    if text is None:
        example = '[{"url": "https://example.com/data1.csv", "table": "table1"}]'
        hint = f"make it under Admin, Variables, such as {example}"
        raise WindlassError(f"there is no Airflow variable {variable!r}", hint=hint)
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except json.JSONDecodeError as error:
        raise BadSpec([f"{variable}: is not JSON: {error}"]) from None
    if not isinstance(found, list):
        raise BadSpec([f"{variable}: is not a list"])
    secret = [
        f"{variable}: updates.{number}: url holds a password or token"
        for number, one in enumerate(found)
        if isinstance(one, Mapping) and any(map(has_password, _urls(one.get("url"))))
    ]
    if secret:
        raise BadSpec(secret)
    return found


def _urls(given: Any) -> list[str]:
    many = given if isinstance(given, list) else [given]
    return [one for one in many if isinstance(one, str)]


def _cache() -> str:
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return str(Path(cache).expanduser() / "windlass" / "updates")
