"""The report of a run as files: one page for people, always; and JSON for programs, in a folder of
reports that Airflow's object storage can reach."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from windlass.airflow.board import started_by
from windlass.model.wording import Spelling, all_spelled
from windlass.run.published import outcome_json

if TYPE_CHECKING:
    from airflow.sdk import Context

    from windlass.model.flow import Flow
    from windlass.model.outcome import Outcome

log = logging.getLogger(__name__)
APPROVAL = "approve_migration"  # the task that asks a person for the plan's approval
_LAST = ("each_relation", "differences", "assets")  # in the JSON, as they are long


class Unfinished(Protocol):
    """What is known of a run whose tasks have failed: a task's part in it, for example."""

    @property
    def flow(self) -> Flow[Any]: ...
    @property
    def outcome(self) -> Outcome | None: ...


def keep_report(
    context: Context,
    outcome: Outcome | None,
    result: Mapping[str, Any],
    folder: str,
    url: str,
    *,
    spelling: Spelling,
    flow: Flow[Any] | None = None,
    part: str = "",
) -> None:
    """Write the report of a run's end into the folder of reports, or beside the task's log, and
    push its location. `result` is its JSON; `part` is the group or the task of the DAG run that it
    is about, if not all of it."""
    page = page_of(context, outcome, spelling, flow, part) if outcome else ""
    if folder:
        places = write_report(context, result, page, folder, url, part)
    else:
        places = write_page(context, page) if page else {}
    for key, place in places.items():
        log.info("%s=%s", key, place)
        context["ti"].xcom_push(key=key, value=place)


def keep_unfinished(
    context: Context, part: Unfinished, reports: Sequence[str], spelling: Spelling, group: str
) -> None:
    """The same for a run whose tasks have failed, if it has begun. What the report says is in the
    failed tasks' logs as well, so it never changes how the run ends."""
    if part.outcome is None:
        return
    folder, url = reports
    try:
        keep_report(
            context, part.outcome, outcome_json(part.outcome), folder, url,
            spelling=spelling, flow=part.flow, part=group,
        )  # fmt: skip
    except Exception:
        log.exception("the report could not be written into %s", folder)


def page_of(
    context: Context,
    outcome: Outcome,
    spelling: Spelling,
    flow: Flow[Any] | None = None,
    part: str = "",
) -> str:
    """The page of a run's end. `part` is the group or the task of the DAG run that it is about, if
    not all of it."""
    from windlass.airflow.findings import rollback_text
    from windlass.report.page import run_page
    from windlass.run.reporting import with_commands

    attributed = _attributed(context, outcome, part)
    if flow:
        undo = rollback_text(outcome.run)
        attributed = with_commands(attributed, flow, again="", repair="", undo=undo)
    return run_page(all_spelled(outcome_json(attributed), spelling))


def _attributed(context: Context, outcome: Outcome, part: str) -> Outcome:
    """The outcome, with what Airflow knows: who started the DAG run, and who approved its plan."""
    scheduled, dag_run = started_by(context["ti"], part), context.get("dag_run")
    by = replace(
        outcome.account.by,
        external_run=scheduled.external_run,
        external_url=scheduled.external_url,
        scheduler_user=getattr(dag_run, "triggering_user_name", None) or "",
    )
    asked = replace(outcome.account.asked, approved_by=_approved_by(context, part))
    account = replace(outcome.account, by=by, asked=asked)
    return replace(outcome, account=account)


def _approved_by(context: Context, part: str) -> str:
    """Who approved the plan; empty if nobody was asked."""
    tasks = [APPROVAL, f"{part}.{APPROVAL}"]
    for answer in context["ti"].xcom_pull(task_ids=tasks) or ():
        user = answer.get("responded_by_user") if isinstance(answer, Mapping) else None
        if user and user.get("name"):
            return str(user["name"])
    return ""


def write_page(context: Context, page: str) -> dict[str, str]:
    """Write a page beside the log of its task, if there is no folder of reports: a new try of the
    task replaces it. Returns what to push to XCom."""
    from airflow.sdk.configuration import conf

    ti = context["ti"]
    index = [f"map_index={ti.map_index}"] if (getattr(ti, "map_index", -1) or 0) > 0 else []
    names = [f"dag_id={ti.dag_id}", f"run_id={ti.run_id}", f"task_id={ti.task_id}", *index]
    folder = Path(conf.get("logging", "base_log_folder"), *names)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.html").write_text(page, encoding="utf-8")
    except OSError as error:  # the log may only be elsewhere; this fails nothing
        log.warning("the report could not be written into %s: %s", folder, error.strerror)
        return {}
    return {"report": str(folder / "report.html")}


def file_name(dag_id: str, run_id: str, part: str = "") -> str:
    """The name of both files, without its end."""
    return re.sub(r"[^\w.-]+", "_", "_".join(filter(None, (dag_id, run_id, part))))


def write_report(
    context: Context,
    result: Mapping[str, Any],
    page: str,
    folder: str,
    public_url: str = "",
    part: str = "",
) -> dict[str, str]:
    """Write both into a folder: a path, or s3://, gs:// and the like. `part` is the group or the
    task of the DAG run that it is about, if not all of it.

    Returns what to push to XCom: `report`, where the JSON is, and `report_url`, the page below
    `public_url`. Without that there is no link: a browser can open neither a worker's path nor
    s3://.
    """
    from airflow.sdk import ObjectStoragePath

    ti = context["ti"]
    name = file_name(ti.dag_id, ti.run_id, part)
    path = ObjectStoragePath(folder)
    path.mkdir(parents=True, exist_ok=True)
    ordered = {key: result[key] for key in sorted(result, key=lambda key: (key in _LAST, key))}
    (path / f"{name}.json").write_text(json.dumps(ordered, indent=2) + "\n")
    if page:
        (path / f"{name}.html").write_text(page)
    url = {"report_url": f"{public_url.rstrip('/')}/{name}.html"} if public_url else {}
    return {"report": str(path / f"{name}.json"), **url}
