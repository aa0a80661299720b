"""Operators for users' own DAGs: each does in one task what a command does, through the Python API.

Decides how the end of a run becomes the end of a task. `windlass.airflow.groups` has whole flows as
groups of tasks, which use all workers.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.sdk.exceptions import AirflowSkipException

from windlass.airflow.board import small, started_by
from windlass.airflow.checking import (
    PLACED,
    SpecLike,
    check_ids,
    checked,
    checked_export,
    read_spec,
)
from windlass.airflow.clouds import WAREHOUSE
from windlass.airflow.findings import MOST_SHOWN, difference_lines, lines_of
from windlass.airflow.form import as_key
from windlass.airflow.lineage import Traced, arrived_of
from windlass.airflow.links import ReportLink
from windlass.airflow.operators import WindlassOperator, give_up, push_problems, read_words
from windlass.airflow.params import STANDING
from windlass.airflow.plan_documents import push_plan
from windlass.errors import BadSpec, Refused, WindlassError
from windlass.flows.registry import FLOWS, ROLLBACK, entries_of, flow_named
from windlass.model.flow import Flow, Words
from windlass.model.outcome import Outcome, State
from windlass.model.wording import all_spelled, spelled
from windlass.run.hints import RESUME

if TYPE_CHECKING:
    from airflow.sdk import Context

    from windlass.model.plan import Plan
    from windlass.spec.model import SpecModel

log = logging.getLogger(__name__)
_GOOD = (State.DONE, State.ROLLED_BACK, State.ABANDONED)
# no retry helps these, nor a run that stopped because of something that needs a person
_OVER = (State.REFUSED, State.DIFFERENT, State.LOSSY, State.TAKEN_BACK)
_RESUME = "the next try resumes it; without retries, clear the task"


class CommandOperator(WindlassOperator):
    """A command in one task. `connections` maps words of the spec to ids of Airflow connections, or
    to ``variable:NAME``. Both `spec` and `connections` may contain Jinja.

    Raises:
        BadSpec: an address is given in place of a connection.
    """

    template_fields: Sequence[str] = ("spec", "connections")
    operator_extra_links = (ReportLink(),)
    words: ClassVar[Words] = ROLLBACK

    def __init__(
        self,
        *,
        connections: Mapping[str, str],
        spec: Mapping[str, Any] | None = None,
        report_folder: str = "",
        report_url: str = "",
        **kwargs: Any,
    ) -> None:
        check_ids(connections)
        super().__init__(**kwargs)
        self.connections, self.spec = dict(connections), dict(spec or {})
        self.report_folder, self.report_url = report_folder, report_url


class RunOperator(CommandOperator):
    """A run in one task. The task's result is the run's result as JSON: ``run``, ``state``,
    ``rows`` and everything else that ``--json`` prints.

    A retry resumes the run. A task that is cleared after it has succeeded returns what that run
    did.
    """

    def execute(self, context: Context) -> Any:
        with self._explained(context):
            outcome = self._command(context)
        hint = outcome.reason.hint.replace(RESUME, _RESUME)
        reason = replace(outcome.reason, hint=hint)
        return self._result(context, replace(outcome, reason=reason))

    @abstractmethod
    def _command(self, context: Context) -> Outcome:
        """Execute the command.

        Raises:
            WindlassError: it was not even begun.
        """

    # the end of the task

    def _result(self, context: Context, outcome: Outcome) -> Any:
        """The result, if the run ended well. Otherwise the result is pushed, and the task fails."""
        from windlass.run.published import outcome_json

        whole = all_spelled(small(outcome_json(outcome)), as_key)
        lines = [spelled(line, as_key) for line in self._lines(outcome)]
        for line in lines:
            log.info("%s", line)
        result = {**whole, "differences": whole["differences"][:MOST_SHOWN]}
        if outcome.state in _GOOD:
            self._report(context, whole, outcome)
            return result
        context["ti"].xcom_push(key="return_value", value=result)
        try:
            self._report(context, whole, outcome)
        except Exception:  # how the run ended matters more than a report that cannot be written
            log.exception("the report could not be written into %s", self.report_folder)
        self._fail(context, outcome)

    def _lines(self, outcome: Outcome) -> Iterator[str]:
        from windlass.airflow.ending import block_lines

        return iter(()) if outcome.reason.problems else block_lines(outcome, self.words)

    def _report(self, context: Context, result: Mapping[str, Any], outcome: Outcome) -> None:
        from windlass.airflow.reports import keep_report

        name = getattr(self, "flow_name", "")
        keep_report(
            context, outcome, result, self.report_folder, self.report_url, spelling=as_key,
            flow=flow_named(name) if name else None, part=_part(context),
        )  # fmt: skip

    def _problems(self, outcome: Outcome) -> list[str]:
        return [spelled(one, as_key) for one in _problems(outcome, repairs=self.words.repairs)]

    def _fail(self, context: Context, outcome: Outcome) -> NoReturn:
        problems = self._problems(outcome)
        if outcome.state in _OVER or outcome.reason.stopped_by:
            give_up(context, problems)
        raise WindlassError(push_problems(context, problems))


def _problems(outcome: Outcome, *, repairs: bool) -> list[str]:
    """One line for each problem."""
    reason, differences = outcome.reason, outcome.proof.differences
    if reason.problems:
        return list(lines_of(Refused(reason.problems)))
    if differences or outcome.state is State.LOSSY:
        found = difference_lines(differences, outcome.losses, repairs=repairs)
        return found if differences else [reason.message, *found]
    return list(lines_of(WindlassError(reason.message or str(outcome.state), hint=reason.hint)))


def _part(context: Context) -> str:
    """The task, with its index if it is mapped."""
    ti = context["ti"]
    index = ti.map_index
    return f"{ti.task_id}[{index}]" if index is not None and index >= 0 else str(ti.task_id)


class SpecOperator(Traced, RunOperator):
    """A run of a flow with a spec. Options of the spec may also be given by name:
    ``schema="shop"``."""

    flow_name: ClassVar[str]

    def _read_spec(self) -> SpecModel:
        """The rendered spec, with addresses and credentials."""
        return read_with_connections(flow_named(self.flow_name), self.spec, self.connections)

    def _command(self, context: Context) -> Outcome:
        from windlass.airflow.metrics import Metrics
        from windlass.airflow.work import log_event
        from windlass.api import run_spec

        ti = context["ti"]
        flow, opened = flow_named(self.flow_name), list[Any]()
        metrics = Metrics(flow, ti.dag_id)
        outcome = run_spec(
            self._read_spec(),
            metrics.counting(log_event),
            started_by=started_by(ti, _part(context)),
            opened=opened.append,
            **self._given(),
        )
        metrics.end(outcome)
        if opened:
            self._keep(context, opened[-1], outcome)
        return outcome

    def _keep(self, context: Context, ran: Any, outcome: Outcome) -> None:
        """Keep what others need to know about a run. `ran` is its context, which may be closed."""
        self.arrived = arrived_of(flow_named(self.flow_name), ran, outcome)

    def _given(self) -> dict[str, Any]:
        """More arguments for the flow's context."""
        return {}


def read_with_connections(
    flow: Flow[Any], words: Mapping[str, Any], connections: Mapping[str, str]
) -> SpecModel:
    """A spec, with the addresses and the credentials that the connections hold.

    Raises:
        BadSpec: with every fault.
        WindlassError: there is no such connection.
    """
    from windlass.airflow.connections import addresses
    from windlass.airflow.inputs import with_connections

    found: SpecModel = read_words(flow.spec, with_connections({**words, **addresses(connections)}))
    return found


def spec_words(flow: str, spec: SpecLike | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The options of a spec, including those that are given as keyword arguments, which are removed
    there."""
    entries = entries_of(flow_named(flow if flow_named(flow).entries else "migrate"))
    keys = [entry.key for entry in entries.values() if entry.key in kwargs]
    given = {key.replace("-", "_"): value for key, value in read_spec(spec or {}).items()}
    return {**given, **{key: kwargs.pop(key) for key in keys}}


def _checked(flow: str, words: Mapping[str, Any], sides: Collection[str]) -> dict[str, Any]:
    """The same options, checked when the DAG file is parsed.

    Raises:
        BadSpec: with every fault.
    """
    placed = dict.fromkeys(sides, PLACED)
    if words.get("django") and "source" in placed:  # the source is of another engine
        placed["source"] = "sqlite:///placed"
    return checked(FLOWS[flow], words, list(sides), placed)


class _TwoSides(SpecOperator):
    def __init__(
        self,
        *,
        source_conn_id: str = "postgres_source",
        target_conn_id: str = "postgres_target",
        spec: SpecLike | None = None,
        **kwargs: Any,
    ) -> None:
        sides = {"source": source_conn_id, "target": target_conn_id}
        words = _checked(self.flow_name, spec_words(self.flow_name, spec, kwargs), sides)
        super().__init__(connections=sides, spec={**STANDING, **words}, **kwargs)


class MigrateOperator(_TwoSides):
    """A migration. With a `fingerprint` from a `PlanOperator`'s result, only that plan is carried
    out; the task fails if its template gives none. With ``follow=True`` it runs until somebody
    finishes or abandons the run: give it many retries, as each one resumes.

    Raises:
        BadSpec: with every fault of the spec.
    """

    flow_name = "migrate"
    words = flow_named("migrate").words
    template_fields = (*CommandOperator.template_fields, "fingerprint")

    def __init__(self, *, fingerprint: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fingerprint = fingerprint
        self.is_bound = fingerprint is not None

    def _given(self) -> dict[str, Any]:
        if not self.is_bound:
            return {}
        # Jinja renders a missing value as "None"
        if not self.fingerprint or self.fingerprint == "None":
            hint = "give that of the result of a PlanOperator, which has to come before this task"
            raise WindlassError("fingerprint is empty, so any plan would be accepted", hint=hint)
        return {"reviewed": _OnlyPlan(str(self.fingerprint))}


class _OnlyPlan:
    """Like `windlass.planning.reviewed.Reviewed`, for a plan of which only the fingerprint is
    known."""

    made_at = ""  # not known here

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    def changes(self, plan: Plan) -> Sequence[Any]:
        from windlass.model.report import Problem

        if plan.fingerprint == self.fingerprint:
            return ()
        hint = "clear the task that made the plan together with this one"
        return (Problem("plan", "is not the one that was made before", hint),)


class VerifyOperator(_TwoSides):
    """A comparison of both sides. Differences make the task fail, with their keys in the log. With
    `repair`, rows that differ are copied from the source again, then compared again.

    Raises:
        BadSpec: with every fault of the spec.
    """

    flow_name = "validate"
    words = flow_named("validate").words

    def __init__(self, *, repair: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.repair = repair

    def _command(self, context: Context) -> Outcome:
        from windlass.airflow.metrics import Metrics
        from windlass.airflow.work import log_event
        from windlass.api import verify
        from windlass.model.repair import Repairing

        spec: Any = self._read_spec()
        ti = context["ti"]
        how = Repairing(started_by=started_by(ti, _part(context)))
        outcome = verify(spec, log_event, repair=how if self.repair else None)
        Metrics(flow_named(self.flow_name), ti.dag_id).end(outcome)
        return outcome


class RewriteOperator(SpecOperator):
    """A rewrite of rows of a table in place.

    Raises:
        BadSpec: with every fault of the spec.
    """

    flow_name = "rewrite"
    words = flow_named("rewrite").words

    def __init__(
        self,
        *,
        db_conn_id: str = "postgres_default",
        spec: SpecLike | None = None,
        **kwargs: Any,
    ) -> None:
        sides = {"connection": db_conn_id}
        words = _checked("rewrite", spec_words("rewrite", spec, kwargs), sides)
        super().__init__(connections=sides, spec=words, **kwargs)


class ExportOperator(SpecOperator):
    """An export into files and a warehouse; for the connections see `windlass.airflow.export_dag`.

    Raises:
        BadSpec: with every fault of the spec.
    """

    flow_name = "export"
    words = flow_named("export").words

    def __init__(
        self,
        *,
        source_conn_id: str = "postgres_source",
        warehouse_conn_id: str = "",
        store_conn_id: str = "",
        spec: SpecLike | None = None,
        **kwargs: Any,
    ) -> None:
        words = spec_words("export", spec, kwargs)
        found = checked_export(words, warehouse_conn_id, store_conn_id)
        sides = {"source": source_conn_id}
        if warehouse_conn_id and WAREHOUSE not in found:
            sides["warehouse"] = found.pop("warehouse")
        super().__init__(connections=sides, spec=found, **kwargs)


class PlanOperator(CommandOperator):
    """What a run of a flow would do, as JSON; writes nothing. Problems make the task fail. The key
    `markdown` has a text for people.

    Raises:
        BadSpec: with every fault of the spec.
    """

    def __init__(
        self,
        *,
        flow: str = "migrate",
        source_conn_id: str = "",
        target_conn_id: str = "",
        connections: Mapping[str, str] | None = None,
        spec: SpecLike | None = None,
        **kwargs: Any,
    ) -> None:
        """`connections` are by the words of the flow's spec. Source and target also have their own
        arguments."""
        sides = {"source": source_conn_id, "target": target_conn_id, **(connections or {})}
        sides = {side: conn_id for side, conn_id in sides.items() if conn_id}
        entries = {one.key: one for one in entries_of(flow_named(flow)).values()}
        required = [key for key, one in entries.items() if one.variable and key not in sides]
        if required:
            raise BadSpec([f"connections: {key}: not given" for key in required])
        words = _checked(flow, spec_words(flow, spec, kwargs), sides)
        standing = {key: value for key, value in STANDING.items() if key in entries}
        super().__init__(connections=sides, spec={**standing, **words}, **kwargs)
        self.flow = flow

    def execute(self, context: Context) -> Any:
        from windlass.airflow.work import log_event
        from windlass.api import plan
        from windlass.model.planned import Style

        with self._explained(context):
            spec = read_with_connections(flow_named(self.flow), self.spec, self.connections)
            made = plan(spec, log_event)
            for line in made.as_text(Style()).splitlines():
                log.info("%s", spelled(line, as_key))
            text = spelled(made.as_markdown(Style()), as_key)
            context["ti"].xcom_push(key="markdown", value=text)
            if made.problems:
                raise Refused(made.problems)
            document = all_spelled(dict(small(made.as_json())), as_key)
            push_plan(context, document)
            return document


class RollbackOperator(RunOperator):
    """Undoes a run. `run` is its id, or the result of the operator that started it, such as
    ``migrate.output``; if that has started no run, there is nothing to undo, and the task is
    skipped. `target_conn_id` is the database that holds the run's journal: the target of a
    migration, the database of a rewrite. For an export, `to` is where its files are, and
    `store_conn_id` has the credentials.

    Raises:
        BadSpec: `force` and `skip_changed` are both given, or a spec is, which a rollback has not.
    """

    template_fields = (*CommandOperator.template_fields, "run", "to")

    def __init__(
        self,
        *,
        run: Any,
        target_conn_id: str = "postgres_target",
        to: str = "",
        store_conn_id: str = "",
        force: bool = False,
        skip_changed: bool = False,
        **kwargs: Any,
    ) -> None:
        faults = []
        if force and skip_changed:
            faults.append("force and skip_changed exclude each other")
        if "spec" in kwargs:
            faults.append("spec: a rollback has none; give target_conn_id, or `to` of an export")
        if store_conn_id and not to:
            faults.append("store_conn_id: is for the files of an export, and `to` is not given")
        if faults:
            raise BadSpec(faults)
        where = {"target_conn_id": target_conn_id}
        if to:
            where = {"store_conn_id": store_conn_id} if store_conn_id else {}
        super().__init__(connections=where, **kwargs)
        self.run, self.to = run, to
        self.is_of_task = hasattr(run, "iter_references")  # the result of another task
        self.force, self.skip_changed = force, skip_changed

    def _command(self, context: Context) -> Outcome:
        from windlass.airflow.past_forms import journal_of
        from windlass.airflow.work import log_event
        from windlass.api import rollback

        if self.run is None and self.is_of_task:
            raise AirflowSkipException("the task whose run it would undo has begun none")
        run = self.run.get("run") if isinstance(self.run, Mapping) else self.run
        if not run or run == "None":  # Jinja renders a missing value as "None"
            hint = "give the result of the task that made it, or the id that its summary has"
            raise WindlassError("no run to roll back", hint=hint)
        return rollback(
            journal_of({**self.connections, "to": self.to}, {}),
            str(run),
            log_event,
            force=self.force,
            skip_changed=self.skip_changed,
        )
