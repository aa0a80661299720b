"""Rows of the journal's tables: runs, snapshots and lines. Composes and reads; the transaction is
the caller's.

A line is written by the same session and in the same transaction as the work it records, through
whichever driver does the work: hence `line_statement` gives text.
"""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final

import psycopg
from psycopg import Connection, sql
from psycopg.rows import dict_row
from pydantic import BeforeValidator, PlainSerializer, TypeAdapter, ValidationError

from windlass.errors import WindlassError
from windlass.journal import door
from windlass.model.account import Work
from windlass.model.outcome import (
    A_COMMAND,
    UNDOING,
    Outcome,
    RunStatus,
    StartedBy,
    State,
    with_parts,
)
from windlass.model.plan import Plan
from windlass.model.report import Problem
from windlass.model.snapshot import Snapshot
from windlass.version import __version__

Session = Connection[Any]
ROLLBACK = UNDOING
MIGRATIONS = ("migrate", "follow", "translate")
"""The flows whose runs have a plan of a migration."""


@dataclass(frozen=True, slots=True)
class Line:
    """What is finished. `item` is unique in its step; `relation` is for people."""

    step: str
    item: str
    relation: str = ""
    rows: int = 0
    size_bytes: int = 0
    seconds: float = 0.0
    snapshot: int | None = None
    note: dict[str, Any] | None = None


Lines = Mapping[str, Mapping[str, Line]]  # by step and item


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the journal knows it, without its plan."""

    run: str
    flow: str
    state: State
    source: str
    source_name: str
    config: Mapping[str, Any]
    started_by: StartedBy  # or last resumed by
    epoch: int
    started_at: str
    finished_at: str
    outcome: Outcome | None
    age_seconds: float

    @property
    def status(self) -> RunStatus:
        """What is known of it without its plan and its lines."""
        return RunStatus(
            run=self.run,
            flow=self.flow,
            state=self.state,
            source=self.source_name,
            started_at=self.started_at,
            finished_at=self.finished_at,
            verified=self.outcome.proof.verified if self.outcome else "",
            started_by=self.started_by,
        )


def other_options(run: Run) -> Problem:
    """Why a scheduler's run, which is still the same, does not carry out a spec that was changed
    since."""
    message = "began with other options, and this is still the same run"
    return Problem(f"run {run.run}", message, "give it those options, or begin a new run")


@cache
def _plans() -> TypeAdapter[Plan]:
    """Created with the first plan that is read or written, because that is slow."""
    return TypeAdapter(Plan)


@cache
def _outcomes() -> TypeAdapter[Outcome]:
    """Stored flat, as every version has done."""
    stored = Annotated[Outcome, BeforeValidator(with_parts), PlainSerializer(Outcome.as_dict)]
    return TypeAdapter(stored)


def outcome_text(outcome: Outcome) -> str:
    """The outcome as JSON, as the journal holds it."""
    return _outcomes().dump_json(outcome).decode()


def read_outcome(text: str) -> Outcome:
    """The outcome that `outcome_text` has made."""
    return _outcomes().validate_json(text)


def get_ready() -> None:
    """Create the slow type adapters now; called while the process waits anyway."""
    _plans()
    _outcomes()


def line_statement(run: str, line: Line) -> str:
    """INSERT of one line, to be run in the transaction of the work.

    It fails with a unique violation when the work has been committed before.
    """
    values = (
        run,
        line.step,
        line.item,
        line.relation,
        line.rows,
        line.size_bytes,
        round(line.seconds, 6),
        line.snapshot,
        json.dumps(line.note) if line.note else None,
    )
    statement = sql.SQL(
        "insert into windlass.line"
        " (run, step, item, relation, rows, size_bytes, seconds, snapshot, note) values ({})"
    ).format(sql.SQL(", ").join(map(sql.Literal, values)))
    return statement.as_string(None)


def fence_statement(run: str) -> str:
    """The epoch of a run, locked until the transaction ends: no process can take it over until
    then."""
    statement = sql.SQL("select epoch from windlass.run where run = {} for share")
    return statement.format(sql.Literal(run)).as_string(None)


HELD = "SELECT 1"
"""The tag of `hold_statement`, where nobody has taken the run over."""


def hold_statement(run: str, epoch: int) -> str:
    """`fence_statement` that finds the run only in this epoch, for sessions that return command
    tags."""
    statement = sql.SQL("select from windlass.run where run = {} and epoch = {} for share")
    return statement.format(sql.Literal(run), sql.Literal(epoch)).as_string(None)


def take_over(connection: Session, run: str, started_by: StartedBy) -> int:
    """Raise the epoch, so that no other process can journal anything of this run; returns the new
    one.

    Committed to disk first: after a crash that lost it, the next process would get the same epoch.
    """
    with connection.transaction():
        connection.execute("set local synchronous_commit = on")
        row = connection.execute(
            "update windlass.run set epoch = epoch + 1, state = %s, finished_at = null,"
            " caller = %s, caller_url = %s where run = %s returning epoch",
            (State.RUNNING, started_by.external_run, started_by.external_url, run),
        ).fetchone()
    assert row is not None
    return int(row[0])


def note_statement(run: str, line: Line) -> str:
    """UPDATE of a line of this transaction with the result of its work."""
    statement = sql.SQL(
        "update windlass.line set seconds = {}, note = {}, at = clock_timestamp()"
        " where run = {} and step = {} and item = {}"
    ).format(
        sql.Literal(round(line.seconds, 6)),
        sql.Literal(json.dumps(line.note) if line.note else None),
        sql.Literal(run),
        sql.Literal(line.step),
        sql.Literal(line.item),
    )
    return statement.as_string(None)


def insert_run(
    connection: Session,
    plan: Plan,
    config: Mapping[str, Any],
    started_by: StartedBy = A_COMMAND,
    flow: str = "migrate",
) -> None:
    """A new run of one of the flows in `MIGRATIONS`."""
    source = plan.source.identity, str(plan.source)
    insert_any_run(connection, flow, plan.run, source, config, plan_of(plan), started_by)


def insert_any_run(
    connection: Session,
    flow: str,
    run: str,
    source: tuple[str, str],
    config: Mapping[str, Any],
    plan: bytes,
    started_by: StartedBy = A_COMMAND,
) -> None:
    """A new run of any flow. `source` is the identity of the database it reads and a name for
    people; `plan` is the flow's plan as JSON. Committed to disk."""
    connection.execute("set local synchronous_commit = on")
    connection.execute(
        "insert into windlass.run"
        " (flow, run, state, source, source_name, essence, version, plan, caller,"
        " caller_url) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            flow,
            run,
            State.RUNNING,
            *source,
            json.dumps(config),
            __version__,
            zlib.compress(plan, level=1),
            started_by.external_run,
            started_by.external_url,
        ),
    )


def plan_of(plan: Plan) -> bytes:
    return _plans().dump_json(plan)


def read_packed(connection: Session, run: str) -> bytes:
    """A run's plan, of any flow, as JSON."""
    row = connection.execute("select plan from windlass.run where run = %s", (run,)).fetchone()
    assert row is not None
    return zlib.decompress(row[0])


def pack_plan(plan: Plan) -> bytes:
    return zlib.compress(plan_of(plan), level=1)


def unpack_plan(packed: bytes) -> Plan:
    return _plans().validate_json(zlib.decompress(packed))


def read_plan(connection: Session, run: str) -> Plan:
    """Of a run of the flow `migrate`.

    Raises:
        WindlassError: another version began it, whose plans this one cannot read.
    """
    try:
        return _plans().validate_json(read_packed(connection, run))
    except (ValidationError, zlib.error):
        raise unreadable(connection, run) from None


def unreadable(connection: Session, run: str) -> WindlassError:
    """For a plan that another version has written."""
    query = "select version from windlass.run where run = %s"
    ((version,),) = connection.execute(query, (run,)).fetchall()
    whose = (
        "whose plan this build" if version == __version__ else f"whose plan windlass {__version__}"
    )
    by = f"another build of windlass {version}" if version == __version__ else f"windlass {version}"
    return WindlassError(
        f"run {run} was begun by {by}, {whose} cannot read",
        hint=f"finish it or undo it with {by}; DROP SCHEMA windlass CASCADE forgets all runs",
    )


def read_migrations(connection: Session) -> list[Run]:
    """All runs of the flows in `MIGRATIONS`, newest first."""
    return [run for run in read_runs(connection) if run.flow in MIGRATIONS]


def read_runs(
    connection: Session, run: str | None = None, *, flow: str = "", in_brief: bool = False
) -> list[Run]:
    """All runs, newest first; or the run of this name, or those of one flow. `in_brief`: without
    the relations of outcomes, which are nearly all of them."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "select run, flow, state, source, source_name, essence as config,"
            " caller, caller_url, epoch,"
            " started_at::text, coalesce(finished_at::text, '') as finished_at,"
            " case when %s then outcome - 'relations' else outcome end as outcome,"
            " extract(epoch from clock_timestamp() - run.started_at)::float8 as age_seconds"
            " from windlass.run where (%s::text is null or run = %s) and %s in ('', flow)"
            " order by run.started_at desc",
            (in_brief, run, run, flow),
        ).fetchall()
    return [_run(**row) for row in rows]


def _run(*, caller: str, caller_url: str, state: str, outcome: Any, **known: Any) -> Run:
    return Run(
        **known,
        state=State(state),
        started_by=StartedBy(caller, caller_url),
        outcome=_outcomes().validate_python(outcome) if outcome else None,
    )


def has_survived(connection: Session, run: str) -> bool:
    """Whether the target's unlogged relations survived: a crash empties our marker table too."""
    row = connection.execute("select from windlass.crash_marker where run = %s", (run,)).fetchone()
    return row is not None


def insert_crash_marker(connection: Session, run: str) -> None:
    connection.execute(
        "insert into windlass.crash_marker values (%s) on conflict do nothing", (run,)
    )


def set_state(connection: Session, run: str, state: State, outcome: Outcome | None = None) -> None:
    """Write a run's state. The end of a run is committed synchronously: see `session_settings`."""
    with connection.transaction():
        connection.execute("set local synchronous_commit = on")
        connection.execute(
            "update windlass.run set state = %s, outcome = coalesce(%s, outcome),"
            " finished_at = case when %s then clock_timestamp() end where run = %s",
            (
                state,
                outcome_text(outcome) if outcome else None,
                state is not State.RUNNING,
                run,
            ),
        )


def touch(connection: Session, run: str) -> None:
    """Update the run's row in the caller's transaction itself, not in a subtransaction. So its
    `xmin` is the same as that of everything else that this transaction has written."""
    connection.execute("update windlass.run set state = state where run = %s", (run,))


def insert_snapshot(
    connection: Session, run: str, snapshot: Snapshot, activity: Mapping[str, Any]
) -> None:
    connection.execute(
        "insert into windlass.snapshot (run, number, id, taken_at, lsn, activity)"
        " values (%s, %s, %s, %s, %s, %s)",
        (
            run,
            snapshot.number,
            snapshot.id,
            snapshot.taken_at,
            snapshot.lsn,
            json.dumps(activity),
        ),
    )


def read_snapshots(connection: Session, run: str) -> list[tuple[Snapshot, dict[str, Any]]]:
    """A run's snapshots with the activity noted at each, in order."""
    rows = connection.execute(
        "select number, id, to_char(taken_at at time zone 'UTC',"
        ' \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\'), lsn, activity'
        " from windlass.snapshot where run = %s order by number",
        (run,),
    ).fetchall()
    return [(Snapshot(*row[:4]), row[4]) for row in rows]


_OF_A_RUN: Final = (
    "select step, item, relation, rows, size_bytes, seconds, snapshot, note"
    " from windlass.line where run = %s"
)


def read_lines(connection: Session, run: str) -> list[Line]:
    rows = connection.execute(_OF_A_RUN + " order by at", (run,)).fetchall()
    return [Line(*row) for row in rows]


def read_spans(connection: Session, run: str) -> dict[str, float]:
    """Seconds from the beginning of a step's first piece of work to the end of its last, by step,
    in the order in which they began."""
    rows = connection.execute(
        "select step, extract(epoch from max(at) - min(began))::float8 from"
        " (select step, at, at - make_interval(secs => seconds) as began"
        " from windlass.line where run = %s) as line group by step order by min(began)",
        (run,),
    ).fetchall()
    return {str(step): float(seconds) for step, seconds in rows}


def read_work(connection: Session, run: str) -> list[Work]:
    """When each piece of work was done, since the run's start."""
    rows = connection.execute(
        "select step, greatest(extract(epoch from at - started_at)::float8 - seconds, 0),"
        " extract(epoch from at - started_at)::float8, rows, size_bytes"
        " from windlass.line join windlass.run using (run) where run = %s order by at",
        (run,),
    ).fetchall()
    return [Work(*row) for row in rows]


def read_lines_of(connection: Session, run: str, step: str, items: list[str]) -> list[Line]:
    """The existing lines of a step's items."""
    rows = connection.execute(
        _OF_A_RUN + " and step = %s and item = any(%s)", (run, step, items)
    ).fetchall()
    return [Line(*row) for row in rows]


def has_lines(connection: Session, run: str) -> bool:
    """Whether any work of a run is finished."""
    row = connection.execute("select from windlass.line where run = %s limit 1", (run,)).fetchone()
    return row is not None


def by_step(lines: Iterable[Line]) -> defaultdict[str, dict[str, Line]]:
    """Lines by their step and item, in the given order."""
    found: defaultdict[str, dict[str, Line]] = defaultdict(dict)
    for line in lines:
        found[line.step][line.item] = line
    return found


def note_of(lines: Lines, step: str, item: str = "") -> Mapping[str, Any]:
    """What a piece of work has returned; empty if it is not done."""
    line = lines.get(step, {}).get(item)
    return (line.note or {}) if line else {}


def read_run_of_snapshot(connection: Session, source: str, snapshot: str) -> str:
    """The newest run that has held the source's snapshot of this id; "" if none has. A source that
    was restarted begins with the same ids again."""
    if not door.exists(connection):
        return ""
    row = connection.execute(
        "select run from windlass.snapshot join windlass.run using (run)"
        " where run.source = %s and snapshot.id = %s order by taken_at desc limit 1",
        (source, snapshot),
    ).fetchone()
    return row[0] if row else ""


def read_kept_objects(connection: Session) -> dict[str, int]:
    """By run, how many of its set-aside copies of large objects still exist. Empty if this user may
    not read the journal, or it is not ours."""
    try:
        with connection.transaction():  # a savepoint, where the session holds a snapshot
            rows = connection.execute(
                "select run, count(*) from windlass.line join windlass.run using (run),"
                " pg_catalog.jsonb_each_text(note->'kept') as kept (oid, copy)"
                " join pg_catalog.pg_largeobject_metadata as there on there.oid = copy::oid"
                " where state <> %s group by run",
                (State.ROLLED_BACK,),
            ).fetchall()
    except psycopg.OperationalError:
        raise
    except psycopg.Error:
        return {}
    return {str(run): int(count) for run, count in rows}


def transactions(run: str) -> sql.Composed:
    """A query for the ids of the transactions that wrote a run's rows, or anything else that its
    lines record: a line commits with its work. Subtransactions are in the notes. Includes rollbacks
    of later runs, which restored objects of this one."""
    return sql.SQL(
        "select xmin from windlass.line where step = {1} union all "
        "select xmin from windlass.line where run = {0} union all select one.id::xid"
        " from windlass.line, pg_catalog.jsonb_array_elements_text(note->'xids') as one (id)"
        " where run = {0}"
    ).format(sql.Literal(run), sql.Literal(ROLLBACK))


def delete_lines(connection: Session, run: str, step: str, items: list[str]) -> None:
    """Forget finished items, in the transaction that undoes their work."""
    connection.execute(
        "delete from windlass.line where run = %s and step = %s and item = any(%s)",
        (run, step, items),
    )
