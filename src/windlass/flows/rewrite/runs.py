"""Rewrites in the journal: their plans, what became of rows, and who is at work."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import read_columns
from windlass.engines.postgres.transaction import ONE_SNAPSHOT, working_in_place
from windlass.inplace.keeping import list_backups
from windlass.inplace.writing import Kind
from windlass.journal import door, records
from windlass.journal.records import Line, Lines, note_of
from windlass.model.flow import Result
from windlass.model.outcome import StartedBy
from windlass.model.rewrite import RewritePlan

FLOW = "rewrite"
KEPT_RUNS = 100  # of one table, in the journal: every five minutes is 288 a day
BETWEEN_STEPS_SECONDS = 60.0  # another run that is silent for longer counts as abandoned
_PLAN = TypeAdapter(RewritePlan)


def read_rewrite_plan(connection: Connection, run: str) -> RewritePlan:
    """The plan of a run of the flow `rewrite`, from the journal.

    Raises:
        WindlassError: another version began it, whose plans this one cannot read.
    """
    try:
        return _PLAN.validate_json(records.read_packed(connection, run))
    except ValidationError:
        raise records.unreadable(connection, run) from None


def begin_run(
    connection: Connection,
    plan: RewritePlan,
    origin: tuple[str, StartedBy],
    config: Mapping[str, Any],
    read: Callable[[Connection], Result],
) -> Line:
    """Journal a new run together with its first piece of work, `read`; returns the line of that.
    `origin` is the table, and what started the run."""
    started, step, (source, started_by) = time.perf_counter(), "read_rows", origin
    with working_in_place(connection, step, ONE_SNAPSHOT) as transaction:
        records.insert_any_run(
            connection,
            FLOW,
            plan.run,
            (source, plan.title),
            config,
            _PLAN.dump_json(plan),
            started_by,
        )
        _forget_old(connection, source, [one.run for one in list_backups(connection, plan)])
        result = read(connection)
        door.keep_private(connection)
        seconds = time.perf_counter() - started
        line = Line(step, "", str(plan.table), seconds=seconds, note=dict(result))
        transaction.last.append(records.line_statement(plan.run, line))
    return line


def read_lines(connection: Connection, run: str) -> dict[str, dict[str, Line]]:
    """By step and item."""
    return records.by_step(records.read_lines(connection, run))


def attempts(lines: Lines, step: str, kind: Kind) -> dict[str, Mapping[str, Any]]:
    """The newest note of each batch of a step, under the item of its first attempt."""
    notes: dict[str, Mapping[str, Any]] = {}
    for item, line in lines.get(step, {}).items():
        if item.startswith(f"{kind} "):
            notes[" ".join(item.split()[:3])] = line.note or {}
    return notes


def changed_rows(lines: Lines, step: str, kind: Kind) -> int:
    """Rows that the batches of a step have changed."""
    batches = lines.get(step, {}).items()
    return sum(
        int((line.note or {})["rows"]) for item, line in batches if item.startswith(f"{kind} ")
    )


def written_rows(lines: Lines) -> int:
    return changed_rows(lines, "write_rows", Kind.ROWS)


def deleted_rows(lines: Lines) -> int:
    """Rows that the run deleted, including those that it restored."""
    kinds = Kind.DUPLICATES, Kind.OTHERS
    return sum(changed_rows(lines, "delete_rows", kind) for kind in kinds)


def count(plan: RewritePlan, lines: Lines) -> dict[str, int]:
    """Numbers of a run's rows by what became of them, from its journal."""

    def note(step: str, item: str, key: str) -> int:
        return int(note_of(lines, step, item).get(key, 0))

    return {
        "selected": note("read_rows", "", "rows"),
        "backed up": note("back_up_rows", "copy", "rows"),
        "duplicates deleted": changed_rows(lines, "delete_rows", Kind.DUPLICATES)
        - note("write_rows", "", "returned"),
        "others deleted": changed_rows(lines, "delete_rows", Kind.OTHERS),
        "written": written_rows(lines),
        "unchanged": note("change_rows", "function", "same"),
        "left, as others changed them": note("write_rows", "", "left"),
        "left, as others had locked them": note("write_rows", "", "locked")
        + note("delete_rows", "", "locked"),
        "left, as a trigger kept them": note("write_rows", "", "kept")
        + note("delete_rows", "", "kept"),
        "left, as the run ended early": note("write_rows", "", "undone"),
        "stamped": written_rows(lines) if plan.stamp else 0,
    }


def seconds_by_step(lines: Lines) -> dict[str, float]:
    """The duration of each step."""
    return {
        step: sum(line.seconds for line in some.values()) for step, some in lines.items() if some
    }


def is_altered(connection: Connection, plan: RewritePlan, names: Collection[str] = ()) -> bool:
    """Whether columns were altered since the plan: any, or those with these names."""
    now = {one.number: (one.name, one.type) for one in read_columns(connection, plan.number)}
    return any(
        now.get(one.number) != (one.name, one.type)
        for one in plan.columns
        if not names or one.name in names
    )


def has_changed(plan: RewritePlan, lines: Lines) -> bool:
    """Whether the run has changed rows of the table."""
    counts = count(plan, lines)
    return bool(counts["duplicates deleted"] or counts["others deleted"] or counts["written"])


def said_lately(connection: Connection, run: records.Run) -> bool:
    """Whether a scheduler's run may be between two of its steps."""
    row = connection.execute(
        "select extract(epoch from clock_timestamp() - max(at)) < %s::numeric from windlass.line"
        " where run = %s",
        (BETWEEN_STEPS_SECONDS, run.run),
    ).fetchone()
    return bool(run.started_by.external_run and row and row[0])


def session_name(run: str) -> str:
    return f"windlass rewrite {run}"


def _forget_old(connection: Connection, source: str, kept: list[str]) -> None:
    """Delete ended runs of this table, except the newest and those of which a backup is kept."""
    connection.execute(
        "delete from windlass.run where run in (select run from windlass.run"
        " where flow = %s and source = %s and state in ('done', 'rolled back')"
        " order by started_at desc offset %s) and run <> all(%s) and run is distinct from"
        " (select run from windlass.line join windlass.run r using (run) where r.source = %s"
        "  and step = 'write_rows' and note->>'swapped'::text = 'true'"
        " order by at desc limit 1)",
        (FLOW, source, KEPT_RUNS, kept, source),
    )
