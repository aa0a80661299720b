"""What DAGs do with past runs: list them, undo one, remove what they left, repair a target.

An act that changes something has two halves. The first finds out what it would do, for a person to
approve. The second does that, and refuses if that has changed. All of it happens
inside a worker; this module knows nothing of Airflow.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from windlass import api
from windlass.airflow.ending import WIDTH, block_lines
from windlass.airflow.findings import MOST_SHOWN, rollback_text
from windlass.airflow.work import log, log_event
from windlass.errors import ConnectionLost, Different, Refused, WindlassError
from windlass.flows.registry import RESTORE, ROLLBACK, flow_named
from windlass.model.flow import Result, Words
from windlass.model.outcome import A_COMMAND, Outcome, StartedBy, State
from windlass.model.repair import Change, Forecast, Repairing
from windlass.model.report import Problem
from windlass.run.hints import SAME
from windlass.run.past_text import forecast_text, left_rows, left_text
from windlass.run.runs_text import detail_text, statuses_text
from windlass.run.summary import Elsewhere, table

if TYPE_CHECKING:
    from windlass.model.past import Left

# keys of every result: the text for people; whether there is nothing to do
TEXT, NEEDLESS = "text", "needless"
_CHANGED = "what this would do has changed since it was approved"
_AGAIN = "trigger a new run, and review it again"


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody requests in a form. `where` is the database, or a spec. `foreseen` is the
    result of the act's first half, which a person has approved; {} if nobody was asked."""

    params: Mapping[str, Any]
    where: Any
    foreseen: Result = field(default_factory=dict)
    started_by: StartedBy = A_COMMAND

    @property
    def run(self) -> str:
        return str(self.params.get("run") or "").strip()


class Stopped(ConnectionLost):
    """The act stopped halfway; running it again finishes it."""


def list_runs(order: Order) -> Result:
    """All known runs, or one in detail."""
    if order.run:
        detail = api.read_run(order.where, order.run)
        text = detail_text(detail, rollback=rollback_text, width=WIDTH, elsewhere=Elsewhere())
        found = {**detail.status.as_dict(), "target": detail.target}
        return {TEXT: text, "runs": [found]}
    statuses = api.status(order.where)
    text = statuses_text(statuses, rollback=rollback_text, width=WIDTH)
    return {TEXT: text, "runs": [one.as_dict() for one in statuses[:MOST_SHOWN]]}


def foresee_rollback(order: Order) -> Result:
    """Raises:
    Refused: there is no such run, it cannot be undone, or what others wrote since would be lost.
    """
    params, run = order.params, order.run
    asked = [name for name in ("force", "skip_changed", "into") if params.get(name)]
    if len(asked) > 1:
        raise WindlassError(f"{' and '.join(asked)} exclude each other", hint="choose one")
    if into := params.get("into"):
        api.read_run(order.where, run)
        return {TEXT: f"Restores rows of run {run} in the new table {into}.", NEEDLESS: False}
    foreseen = api.foresee_rollback(order.where, run)
    if foreseen is None:
        return {TEXT: f"Run {run} is rolled back already.", NEEDLESS: True}
    skips = bool(params.get("skip_changed"))
    foreseen.refuse(force=bool(params.get("force")) or skips)
    lost = "".join(f"; {one.object}: {one.message}" for one in foreseen.written)
    if lost and skips:
        lost = ", except those that others have changed or deleted since"
    return {TEXT: f"Rolling back run {run} {foreseen.summary}{lost}.", NEEDLESS: False}


def roll_back(order: Order) -> Result:
    """Raises:
    Refused: it would do something else than what was approved, or cannot; nothing was changed.
    """
    params, run = order.params, order.run
    if into := params.get("into"):
        return _ended(api.restore(order.where, run, into, log_event), RESTORE)
    is_begun = api.read_run(order.where, run).status.is_half_undone
    if order.foreseen and not is_begun:
        now = foresee_rollback(order)
        if not now[NEEDLESS] and now[TEXT] != order.foreseen[TEXT]:
            raise Refused([Problem(f"run {run}", f"{_CHANGED}: now it {now[TEXT]}", _AGAIN)])
    force, skips = bool(params.get("force")), bool(params.get("skip_changed"))
    outcome = api.rollback(order.where, run, log_event, force=force, skip_changed=skips)
    return _ended(outcome, ROLLBACK)


def foresee_clean(order: Order) -> Result:
    """What ended runs left there, or one of them."""
    left = api.read_left(order.where, order.run)
    if not left:
        return {TEXT: "Nothing to remove.", NEEDLESS: True, "runs": []}
    last = "This is removed for good, and these runs can no longer be rolled back."
    text = "\n".join([*table(left_rows(left), right={4}), "", last])
    return {TEXT: text, NEEDLESS: False, "runs": [_of_left(one) for one in left]}


def clean(order: Order) -> Result:
    """Remove it; if somebody has approved it, no more than that.

    Raises:
        Refused: what a run left has changed since, or something else depends on it.
    """
    left = api.read_left(order.where, order.run)
    if order.foreseen:
        left = _approved(left, order.foreseen["runs"])
    api.clean(order.where, left, log_event)
    return {TEXT: left_text(left), "runs": [_of_left(one) for one in left]}


def _approved(left: Sequence[Left], approved: Sequence[Mapping[str, Any]]) -> list[Left]:
    """The approved runs. Runs that ended since are left; runs that are gone were removed by an
    earlier try."""
    known = {one["run"]: one for one in approved}
    found = [one for one in left if one.run in known]
    changed = [one for one in found if _content(_of_left(one)) != _content(known[one.run])]
    if changed:
        raise Refused([Problem(f"run {one.run}", _CHANGED, _AGAIN) for one in changed])
    return found


def _of_left(left: Left) -> dict[str, Any]:
    found = dataclasses.asdict(left)
    return {**found, "backup": str(left.backup) if left.backup else ""}


def _content(left: Mapping[str, Any]) -> dict[str, Any]:
    """What would be removed, as XCom returns it: with lists for tuples."""
    found: dict[str, Any] = json.loads(json.dumps(left))
    return {key: value for key, value in found.items() if key not in ("size_bytes", "state")}


def foresee_repair(order: Order) -> Result:
    """Compare both sides, and count what a repair would change. Changes nothing.

    Raises:
        Different: they differ in what no repair changes.
    """
    found: list[Forecast] = []

    def note(forecast: Forecast) -> None:
        found.append(forecast)
        raise Refused([Problem("repair", "not approved yet")])

    outcome = _verify(order, note)
    if not found:
        return {**_ended(outcome, flow_named("validate").words), NEEDLESS: True}
    return {TEXT: forecast_text(found[0]), NEEDLESS: False, "forecast": _of_forecast(found[0])}


def repair(order: Order) -> Result:
    """Make the target match the source, and compare again.

    Raises:
        Refused: it would change others than what was approved; nothing was changed.
        Different: they still differ.
    """

    def check(forecast: Forecast) -> None:
        log_lines(forecast_text(forecast))
        if order.foreseen and (more := _beyond(_of_forecast(forecast), order.foreseen["forecast"])):
            raise Refused([Problem(one, _CHANGED, _AGAIN) for one in more])

    return _ended(_verify(order, check), flow_named("validate").words)


def _verify(order: Order, confirm: Callable[[Forecast], None]) -> Outcome:
    kinds = frozenset(Change(one) for one in order.params.get("kinds") or Change)
    how = Repairing(kinds, confirm, order.started_by)
    return api.verify(order.where, log_event, repair=how)


def _of_forecast(forecast: Forecast) -> dict[str, Any]:
    changes = {
        name: {str(kind): count for kind, count in found.items() if count}
        for name, found in forecast.relations.items()
    }
    return {
        "relations": {name: found for name, found in changes.items() if found},
        "digests": {name: forecast.digests[name] for name, found in changes.items() if found},
        "sequences": forecast.sequences,
        "large_objects": forecast.large_objects,
    }


def _beyond(now: Mapping[str, Any], approved: Mapping[str, Any]) -> list[str]:
    """Relations in which other rows would be changed than those that were approved, and kinds of
    objects of which more would be changed. What is already repaired counts as nothing."""
    known = approved.get("digests", {})
    others = [name for name, digest in now["digests"].items() if digest != known.get(name)]
    return others + [kind.replace("_", " ") for kind in ("sequences", "large_objects")
                     if now[kind] > approved[kind]]  # fmt: skip


def log_lines(text: str) -> None:
    """One entry per line, without colours, which the web UI does not show."""
    for line in click.unstyle(text).splitlines():
        log.info("%s", line)


def _ended(outcome: Outcome, words: Words) -> Result:
    """Raises:
    Refused, Different, Stopped: what was asked for is not done.
    """
    if outcome.reason.problems:
        raise Refused(outcome.reason.problems)
    if outcome.state in (State.DIFFERENT, State.LOSSY):
        known = {"run": outcome.run, "repaired": outcome.course.repaired}
        raise Different(outcome.proof.differences, known, losses=outcome.losses)
    if outcome.state not in (State.DONE, State.ROLLED_BACK):
        hint = outcome.reason.hint.replace(SAME, "clear this task")
        raise Stopped(outcome.reason.message or str(outcome.state), hint=hint)
    return {
        TEXT: "\n".join(block_lines(outcome, words)),
        "run": outcome.run,
        "state": str(outcome.state),
        "seconds": outcome.seconds,
        "repaired": outcome.course.repaired,
        "already": outcome.course.already,
        "message": outcome.reason.message,
        "counts": dict(outcome.totals.counts),
        "notices": list(outcome.notices),
    }
