"""What the page shows for a DAG run: its runs, its report, and the plan that a person approves.

A report or a plan is in Airflow as a file or an XCom, or else in the target's journal. Nothing is
read that the person who asks could not read in Airflow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from windlass.airflow.page_files import report_at
from windlass.airflow.page_links import CONNECTIONS, PLAN_KEY, SECTION
from windlass.airflow.page_rest import FORBIDDEN, NO_SUCH, UNAVAILABLE, Answer, Rest, dag_run_path
from windlass.airflow.page_rights import USER, may_see
from windlass.airflow.plan_documents import unpacked
from windlass.model.outcome import RunStatus
from windlass.report.page import plan_page
from windlass.web import views
from windlass.web.pages import whole_page
from windlass.web.reading import PATIENCE_SECONDS
from windlass.web.site import Site, fault, html, root_of, site_of
from windlass.web.threads import in_thread

_MARK = "airflow"  # the first word of a run's `external_run`: airflow DAG RUN [PART]
_EVERY = "~"  # Airflow's REST interface takes this for all DAGs, and for all runs


@dataclass(frozen=True, slots=True)
class DagRun:
    """The DAG run of a request, and the task whose link leads there, if it was one."""

    dag_id: str
    run_id: str
    task_id: str = ""

    @classmethod
    def of(cls, request: Request) -> DagRun:
        words = request.query_params
        return cls(words.get("dag", ""), words.get("run", ""), words.get("task", ""))

    @classmethod
    def that_started(cls, status: RunStatus) -> DagRun | None:
        """None if no DAG run has started this run."""
        words = status.started_by.external_run.split(" ")
        found = cls(words[1], words[2]) if len(words) > 2 and words[0] == _MARK else None
        return found if found and found.is_one else None

    @property
    def is_one(self) -> bool:
        """Whether it names a single DAG run."""
        return all((self.dag_id, self.run_id)) and _EVERY not in (self.dag_id, self.run_id)

    @property
    def path(self) -> str:
        return dag_run_path(self.dag_id, self.run_id)

    def started(self, status: RunStatus) -> bool:
        """Whether it has started this run."""
        return status.started_by.external_run.split(" ")[:3] == [_MARK, self.dag_id, self.run_id]

    def is_about(self, part: str) -> bool:
        """Whether this part of the DAG run, a task group or a task, has the task."""
        task = self.task_id
        return bool(part) and (task == part.partition("[")[0] or task.startswith(f"{part}."))


@dataclass(frozen=True, slots=True)
class Found:
    """A run that a DAG run has started, and its address on the page."""

    status: RunStatus
    key: str  # of its target
    title: str

    @property
    def path(self) -> str:
        return f"/runs/{self.key}/{quote(self.status.run)}"

    @property
    def line(self) -> views.RunLine:
        return views.run_line(self.status)

    @property
    def part(self) -> str:
        """The task group or the task that has started it; empty if that was the whole DAG run."""
        return " ".join(self.status.started_by.external_run.split(" ")[3:])


def dag_of(status: RunStatus) -> str:
    """The DAG that has started a run; empty if none has."""
    dag_run = DagRun.that_started(status)
    return dag_run.dag_id if dag_run else ""


async def dag_run(request: Request) -> Response:
    """Redirect to the run that a DAG run has started, or is about; list them if there are
    several."""
    asked = DagRun.of(request)
    if refusal := _refusal(request, asked):
        return refusal
    return await _led(request, asked, "") or _nothing(request, asked)


async def dag_run_report(request: Request) -> Response:
    """The report of a DAG run: the file that its last task has written, which also names who has
    triggered and who has approved it; or else made from the journal."""
    asked, lines = DagRun.of(request), list[str]()
    if refusal := _refusal(request, asked):
        return refusal
    for place in await _pushed(request, asked, "report"):
        page, reason = await in_thread(report_at, str(place), asked.dag_id, asked.run_id)
        if page:
            return whole_page(page)
        lines.append(reason)
    if answer := await _led(request, asked, "/report"):
        return answer
    if not lines:
        lines = ["There is no report yet: the last task of a run writes it."]
    hint = f"With its target in [{SECTION}] {CONNECTIONS}, its journal shows what it has done."
    return fault(request, NO_SUCH, "No report", " ".join(lines), hint)


async def dag_run_plan(request: Request) -> Response:
    """The plan that a person is asked to approve, before anything is written; or else the plan of
    the run."""
    asked = DagRun.of(request)
    if refusal := _refusal(request, asked):
        return refusal
    for one in await _pushed(request, asked, PLAN_KEY):
        document = unpacked(one)
        if document is not None:
            return whole_page(await in_thread(plan_page, document))
    if answer := await _led(request, asked, "/plan"):
        return answer
    says = "This DAG run has no plan yet, or its tasks have kept none."
    return fault(request, NO_SUCH, "No plan", says)


async def _led(request: Request, asked: DagRun, place: str) -> Response | None:
    """Redirect to `place` of the run; list the runs if there are several. None if there is none."""
    found = await _found(request, asked)
    if isinstance(found, Response):
        return found
    if len(found) == 1:
        return RedirectResponse(f"{root_of(request)}{found[0].path}{place}", 303)
    return html(request, "dag_run.html", {"asked": asked, "found": found}) if found else None


def _refusal(request: Request, asked: DagRun) -> Response | None:
    """Why nothing of this DAG run is shown; None if it may be."""
    if not asked.is_one:
        return fault(request, NO_SUCH, "Not found", "This address names no DAG run.")
    if not may_see(request.scope[USER], asked.dag_id):
        says = f"In Airflow you may not see the runs of {asked.dag_id}."
        return fault(request, FORBIDDEN, "Not allowed", says)
    return None


@dataclass(frozen=True, slots=True)
class Known:
    """All runs of the page's targets, and why some targets could not be read."""

    runs: tuple[Found, ...]
    faults: tuple[str, ...] = ()

    @classmethod
    async def read(cls, site: Site) -> Known:
        every = [site.reader.runs(watched, PATIENCE_SECONDS) for watched in site.targets]
        runs, faults = list[Found](), list[str]()
        for watched, read in zip(site.targets, await asyncio.gather(*every), strict=True):
            runs += [Found(one, watched.key, watched.title) for one in read.value or ()]
            faults += [f"{watched.title}: {read.fault}"] if read.fault else []
        return cls(tuple(runs), tuple(faults))

    def of(self, asked: DagRun) -> list[Found]:
        """Those that a DAG run has started: of them those that its task belongs to, if there are
        such."""
        found = [one for one in self.runs if asked.started(one.status)]
        return [one for one in found if asked.is_about(one.part)] or found


async def _found(request: Request, asked: DagRun) -> Response | list[Found]:
    """The runs that it has started, or else the one that it is about, which its configuration
    names; or why they are not known."""
    known = await Known.read(site_of(request))
    if found := known.of(asked):
        return found
    if known.faults:
        return fault(request, UNAVAILABLE, "Not known just now", "; ".join(known.faults))
    answer = await Rest(request.scope).get(asked.path)
    if not answer.is_good:
        return fault(request, answer.status, "This DAG run cannot be shown", answer.fault)
    run = (answer.body.get("conf") or {}).get("run")
    return [one for one in known.runs if run and one.status.run == run]


def _nothing(request: Request, asked: DagRun) -> Response:
    site = site_of(request)
    names = ", ".join(one.title for one in site.targets)
    says = (
        f"No run of {asked.dag_id} {asked.run_id} is known in {names}. A run is recorded in its"
        " target when it begins to write."
        if names
        else "This page shows no target yet."
    )
    hint = f"Targets are named in [{SECTION}] {CONNECTIONS}."
    return fault(request, NO_SUCH, "No run yet", says, hint)


async def _pushed(request: Request, asked: DagRun, key: str) -> list[Any]:
    """The XComs that tasks of the DAG run have pushed, the newest first: of the task, or of those
    that its group has, if there are such."""
    rest, task = Rest(request.scope), asked.task_id
    path = f"{asked.path}/taskInstances/~/xcomEntries?xcom_key={key}&limit=100"
    answer = await rest.get(path)
    entries = list(_entries(answer))
    group = task.rpartition(".")[0]
    for narrow in (
        [one for one in entries if one["task_id"] == task],
        [one for one in entries if group and one["task_id"].startswith(f"{group}.")],
        entries,
    ):
        if narrow:
            return [await _value(rest, asked, key, one) for one in narrow]
    return []


def _entries(answer: Answer) -> Iterator[Mapping[str, Any]]:
    if answer.is_good:
        found = answer.body["xcom_entries"]
        yield from sorted(found, key=lambda one: str(one["timestamp"]), reverse=True)


async def _value(rest: Rest, asked: DagRun, key: str, entry: Mapping[str, Any]) -> Any:
    task = quote(entry["task_id"], safe="")
    answer = await rest.get(
        f"{asked.path}/taskInstances/{task}/xcomEntries/{quote(key)}?map_index={entry['map_index']}"
    )
    return answer.body["value"] if answer.is_good else None
