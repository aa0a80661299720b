"""The runs in a journal, each reported by its flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from windlass.engines.postgres.session import Connection
from windlass.errors import Refused
from windlass.flows.clean import read_sizes
from windlass.flows.registry import flow_named, journalled
from windlass.journal import audit, door, records
from windlass.journal import log as run_log
from windlass.model.account import Timeline
from windlass.model.flow import resolve
from windlass.model.logged import LogPart
from windlass.model.outcome import Outcome, RunDetail, RunStatus
from windlass.model.report import Problem
from windlass.planning.document.as_json import document
from windlass.run.accounting import timeline_of, utc_text
from windlass.run.recent import Recent, key_of

LAST_ENTRIES = 100  # of a run's log, with all else that is known of it


def read_statuses(connection: Connection) -> list[RunStatus]:
    """Every run, the newest first."""
    if not door.can_be_read(connection):
        return []
    sizes = read_sizes(connection)
    found = []
    for run in records.read_runs(connection, in_brief=True):
        status: RunStatus = resolve(journalled(run.flow).status)(connection, run)
        kept = replace(status.kept, set_aside_bytes=sizes.get(run.run, ((), 0))[1])
        found.append(replace(status, kept=kept))
    return found


def read_detail(connection: Connection, name: str) -> RunDetail:
    """Raises:
    Refused: no such run is in the journal.
    """
    run = _whole(connection, _find(connection, name))
    flow = journalled(run.flow)
    if flow.detail:
        detail: RunDetail = resolve(flow.detail)(connection, run)
    else:
        detail = RunDetail(resolve(flow.status)(connection, run), run.outcome)
    return replace(
        detail,
        timeline=_timeline(connection, run),
        acts=tuple(audit.read(connection, name)),
        log=run_log.read(connection, name, most=LAST_ENTRIES),
    )


def read_log(
    connection: Connection, name: str, start: int, most: int, *, with_items: bool
) -> LogPart:
    """A part of the log of a run, the newest entries first.

    Raises:
        Refused: no such run is in the journal.
    """
    _find(connection, name)
    return run_log.read(connection, name, start=start, most=most, with_items=with_items)


def _whole(connection: Connection, run: records.Run) -> records.Run:
    """With the relations of its outcome, which are read again only if it has ended once more."""
    if run.outcome is None:
        return run
    key = *key_of(connection, run), run.finished_at, run.state, str(run.epoch)
    if not run.finished_at or (outcome := _OUTCOMES.get(key)) is None:
        (found,) = records.read_runs(connection, run.run)
        if run.finished_at and found.finished_at == run.finished_at and found.outcome:
            _OUTCOMES.put(key, found.outcome)
        return found
    return replace(run, outcome=outcome)


_OUTCOMES: Recent[tuple[str, ...], Outcome] = Recent(20_000, lambda one: 1 + len(one.relations))


def _find(connection: Connection, name: str) -> records.Run:
    can_be_read = door.can_be_read(connection)
    found = records.read_runs(connection, name, in_brief=True) if can_be_read else []
    if not found:
        message = "is not in the target's journal"
        raise Refused([Problem(f"run {name}", message, "windlass status lists the runs")])
    return found[0]


def read_plan(connection: Connection, name: str) -> Mapping[str, Any] | None:
    """The plan of a migration as JSON; None of any other run.

    Raises:
        Refused: no such run is in the journal.
    """
    if _find(connection, name).flow not in records.MIGRATIONS:
        return None
    return document(records.read_plan(connection, name))


def _timeline(connection: Connection, run: records.Run) -> Timeline:
    """Of a run that has noted none itself: of its lines."""
    if run.outcome and run.outcome.account.timeline.steps:
        return run.outcome.account.timeline
    work = records.read_work(connection, run.run)
    ended = utc_text(run.finished_at) if run.finished_at else ""
    return timeline_of(flow_named(run.flow), work, utc_text(run.started_at), ended)
