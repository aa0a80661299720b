"""The context of the flow `rewrite`: one session, the lock of one table, the journal of one run.

A process has the table's lock as long as its session lives. Where each step has its own
process, nobody has it between two steps: then the journal says whose run it is.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from types import TracebackType

import psycopg
from pydantic import TypeAdapter

from windlass.engines.postgres import table as tables
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.lock import (
    end_sessions,
    name_session,
    read_holder,
    relation_key,
    try_lock,
)
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.errors import Interrupted, Refused, RunLost, WindlassError
from windlass.flows.migrate.context import UNFINISHED, new_run_id, when_up
from windlass.flows.rewrite.outline import REWRITE
from windlass.inplace.access import enter
from windlass.inplace.check import find_table, plan_rewrite
from windlass.inplace.staging import Staging
from windlass.journal import door, records
from windlass.journal.records import Line
from windlass.model.event import Emit, Event, FlowPlanned, Noticed, ignore
from windlass.model.flow import Handover, Item, Result
from windlass.model.outcome import Outcome, State
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.rewrite import RewritePlan
from windlass.spec.rewrite import RewriteSpec

FLOW = "rewrite"
PATIENCE_SECONDS = 3.0  # for the lock of a client that was killed just now
KEPT_RUNS = 100  # of one table, in the journal: every five minutes is 288 a day
BETWEEN_STEPS_SECONDS = 60.0  # a run of somebody else that is silent for longer is abandoned
_PLAN = TypeAdapter(RewritePlan)


def read_rewrite_plan(connection: Connection, run: str) -> RewritePlan:
    """Of a run of the flow `rewrite`, as the journal has it."""
    return _PLAN.validate_json(records.read_packed(connection, run))


class Rewriting:
    """One process's part in a run. Use as a context manager: leaving it closes its session."""

    def __init__(
        self, spec: RewriteSpec, emit: Emit = ignore, *, caller: str = "", patient: bool = False
    ) -> None:
        """Connects to nothing yet. `caller` is a scheduler's name for its own run.

        Raises:
            BadSpec: the connection is missing or cannot be read.
        """
        assert spec.connection is not None
        self.spec = spec
        self.address = Address.parse("database", spec.connection.get_secret_value())
        self._emit, self._caller = emit, caller
        self._connection: Connection | None = None
        self._cancelled = False
        self._found: records.Run | None = None
        self._plan: RewritePlan | None = None
        self._lines: dict[str, dict[str, Line]] = defaultdict(dict)
        self._clock: dict[str, float] = {}
        self.results: dict[str, dict[str, Result]] = defaultdict(dict)
        self.steps: tuple[str, ...] = ()  # of the flow that runs, for a display
        self.notices: list[str] = []
        self.resumed = False
        self._started = time.perf_counter()

    def __enter__(self) -> Rewriting:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._disconnect()

    # what the steps work with

    @property
    def plan(self) -> RewritePlan:
        assert self._plan is not None, "the run has not begun"
        return self._plan

    @property
    def has_begun(self) -> bool:
        """Whether the run is in the journal. Before that, nothing is written."""
        return self._found is not None

    @property
    def is_over(self) -> bool:
        return self._found is not None and self._found.state not in UNFINISHED

    @property
    def run_id(self) -> str:
        return self.plan.run

    @property
    def ended(self) -> State | None:
        return self._found.state if self.is_over and self._found else None

    @property
    def undone(self) -> Sequence[Problem]:
        return ()

    def hand_over(self) -> Handover:
        return Handover()

    def watching(self) -> AbstractContextManager[None]:
        """Who has the table's lock is named when it is asked for."""
        return nullcontext()

    @property
    def connection(self) -> Connection:
        """The one that has the table's lock."""
        self.check()
        assert self._connection is not None
        return self._connection

    def check(self) -> None:
        """Raises:
        Interrupted: the run has to stop.
        """
        if self._cancelled:
            raise Interrupted("stopped on request")

    @property
    def staging(self) -> Staging:
        called = self.note("adding_row", "function")
        return Staging(
            self.plan,
            called.get("columns", ()),
            called.get("changed", ()),
            ("adding_row", "duplicates") in self,
        )

    def __contains__(self, work: tuple[str, str]) -> bool:
        step, item = work
        return item in self._lines[step]

    def note(self, step: str, item: str = "") -> Result:
        """What a piece of work has journalled; empty if it is not done."""
        line = self._lines[step].get(item)
        return (line.note or {}) if line else {}

    @property
    def selected(self) -> int:
        return int(self.note("reading_from_database").get("rows", 0))

    def emit(self, event: Event) -> None:
        if isinstance(event, Noticed):
            self.notices.append(event.message)
        self._emit(event)

    def once(
        self,
        step: str,
        item: str,
        work: Callable[[Connection], Result],
        *,
        one_snapshot: bool = False,
    ) -> Result:
        """Do a piece of work and journal it, in one transaction; nothing if it is done."""
        if (step, item) in self:
            return self.note(step, item)
        connection, started = self.connection, time.perf_counter()
        try:
            with connection.transaction():
                if one_snapshot:
                    connection.execute("set transaction isolation level repeatable read")
                result = work(connection)
                door.keep_private(connection)
                seconds = time.perf_counter() - started
                line = Line(step, item, str(self.plan.table), seconds=seconds, note=dict(result))
                connection.execute(records.line_statement(self.plan.run, line).encode())
        except psycopg.Error as error:
            raise explain(error, f"{step} {item}".strip(), side="database") from error
        self._lines[step][item] = line
        return result

    # what the runner asks for

    def finished(self, step: str) -> Mapping[str, Result]:
        """Every step looks for itself, in a moment: what it has done it finds in the journal."""
        return {}

    def collect(self, step: str, item: Item, result: Result) -> None:
        self.results[step][item.id] = result

    def recover(self, error: WindlassError) -> None:
        self._disconnect()

    def cancel(self) -> None:
        self._cancelled = True
        if self._connection is not None and not self._connection.closed:
            with suppress(psycopg.Error):
                self._connection.cancel_safe(timeout=5)

    def leave(self) -> None:
        """The session is the context's."""

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # to get into a run

    def begin(
        self, settle: Callable[[Rewriting], None], read: Callable[[Connection], Result]
    ) -> None:
        """Go on with this caller's own run, or begin one; `settle` ends one that was abandoned,
        `read` is the first piece of its work.

        Raises:
            Refused: with every problem; nothing was written.
            RunLost: another run is between two of its steps.
        """
        if self._connection is not None:
            return
        is_first = self._found is None
        runs = self._enter()
        mine = self._mine(runs)
        if mine is not None:
            self._go_on(mine)
            # What a command has read once may have been corrected since, and be old.
            is_old = self.is_stale() or (is_first and not self._caller)
            if not self.is_over and not self.has_changed_table and is_old:
                settle(self)  # as if it were another's
                mine, self.resumed = None, False
        others = [run for run in runs if run.state in UNFINISHED and run is not mine]
        for run in others:
            if self._found is None or run.run != self._found.run:
                self._settle(run, settle)
        if mine is None:
            self._begin_new(read)
        self._tell()

    def _enter(self) -> list[records.Run]:
        """Connect and take the table's lock; the runs of this table, the newest first."""
        self._connection = when_up(lambda: self.address.connect(Role.TARGET, "windlass rewrite"))
        try:
            return self._in_control(self._connection)
        except BaseException:
            self._disconnect()
            raise

    def _in_control(self, connection: Connection) -> list[records.Run]:
        # A step is reported as done before the next begins, elsewhere: it must not be forgotten.
        connection.execute("set synchronous_commit to on")
        if connection.info.server_version >= 140000:
            # A killed client's statement ends soon, and lets its lock go.
            connection.execute("set client_connection_check_interval to '1s'")
        enter(connection, Name(self.spec.schema_, self.spec.table))
        table = find_table(connection, self.spec)
        key = relation_key(table.oid)
        mine = self._mine(self._runs(connection))
        locked = try_lock(connection, key, PATIENCE_SECONDS)
        if not locked and mine and self._caller:
            # its last process, which the scheduler believes is dead
            end_sessions(connection, session_name(mine.run))
            locked = try_lock(connection, key, PATIENCE_SECONDS)
        if not locked:
            raise Refused([_in_progress(self._source, read_holder(connection, key))])
        return self._runs(connection)  # whoever had the lock may have ended its own meanwhile

    def _runs(self, connection: Connection) -> list[records.Run]:
        there = door.exists(connection)
        runs = records.read_runs(connection, flow=FLOW) if there else []
        return [run for run in runs if run.source == self._source]

    @property
    def _source(self) -> str:
        return str(Name(self.spec.schema_, self.spec.table))

    def _mine(self, runs: list[records.Run]) -> records.Run | None:
        """A scheduler's by its name; else the unfinished one that says the same."""
        if self._caller:
            return next((run for run in runs if run.caller == self._caller), None)
        if self._found is not None:  # before the session was lost
            return next((run for run in runs if run.run == self._found.run), None)
        return next(
            (
                run
                for run in runs
                if run.state in UNFINISHED and not run.caller and run.essence == self.spec.essence()
            ),
            None,
        )

    def _go_on(self, run: records.Run) -> None:
        if run.state is State.ROLLED_BACK:
            message = "has been undone, and this is still the same run"
            raise Refused([Problem(f"run {run.run}", message, "begin a new one")])
        self._use(run)
        self.resumed = True
        if not self.is_over:
            records.take_over(self.connection, run.run, self._caller)

    def _use(self, run: records.Run) -> None:
        self._found = run
        self._plan = read_rewrite_plan(self.connection, run.run)
        self._lines.clear()
        for line in records.read_lines(self.connection, run.run):
            self._lines[line.step][line.item] = line
        name_session(self.connection, session_name(run.run))

    @property
    def has_changed_table(self) -> bool:
        """From here on a run is finished, and not begun again."""
        return bool(self.deleted) or ("writing_to_database", "") in self

    @property
    def deleted(self) -> int:
        """Rows that the run has taken out of the table."""
        return int(self.note("delete_records_from_table").get("rows", 0))

    @property
    def added(self) -> list[str]:
        """Columns that the run has added to the table."""
        return list(self.note("writing_to_database", "add column").get("columns", ()))

    def is_stale(self, names: Collection[str] = ()) -> bool:
        """Whether the table is another than the one that was read; in these columns, or in all."""
        now = {one.number: (one.name, one.type)
               for one in tables.read_columns(self.connection, self.plan.oid)}  # fmt: skip
        return any(
            now.get(one.number) != (one.name, one.type)
            for one in self.plan.columns
            if not names or one.name in names
        )

    def _settle(self, run: records.Run, settle: Callable[[Rewriting], None]) -> None:
        if self._is_between_steps(run):
            raise Refused([_in_progress(self._source, f"run {run.run} of {run.caller}")])
        other = Rewriting(self.spec, self.emit)
        other._connection = self._connection
        other._use(run)
        try:
            settle(other)
        finally:
            other._connection = None

    def _is_between_steps(self, run: records.Run) -> bool:
        """Of another scheduler's: one that has just said something is at work, though nobody has
        the lock. The same DAG's runs come one at a time."""
        if not run.caller or _family(run.caller) == _family(self._caller):
            return False
        return said_lately(self.connection, run)

    def _begin_new(self, read: Callable[[Connection], Result]) -> None:
        connection = self.connection
        self._plan = plan_rewrite(connection, self.spec, new_run_id())
        plan = self._plan
        self._lines.clear()
        try:
            with connection.transaction():
                door.create(connection)
        except psycopg.Error as error:
            raise explain(error, "making the journal", side="database") from error
        name_session(connection, session_name(plan.run))

        def begin(connection: Connection) -> Result:
            records.insert_any_run(
                connection, FLOW, plan.run, (self._source, plan.title), self.spec.essence(),
                _PLAN.dump_json(plan), self._caller,
            )  # fmt: skip
            self._forget_old(connection)
            return read(connection)

        self.once("reading_from_database", "", begin, one_snapshot=True)
        (self._found,) = records.read_runs(connection, plan.run)

    def _forget_old(self, connection: Connection) -> None:
        """Ended runs of this table, but for the newest, and the one whose backup there is."""
        connection.execute(
            "delete from windlass.run where run in (select run from windlass.run"
            " where flow = %s and source = %s and state in ('done', 'rolled back')"
            " order by started_at desc offset %s) and run is distinct from"
            " (select run from windlass.line join windlass.run r using (run) where r.source = %s"
            "  and step = 'writing_to_database' and note->>'swapped'::text = 'true'"
            " order by at desc limit 1)",
            (FLOW, self._source, KEPT_RUNS, self._source),
        )

    def join(self) -> None:
        """Work in the run that this caller has begun; nothing if this process is in it.

        Raises:
            WindlassError: it is not there, or has been undone.
        """
        if self._connection is not None:
            return
        mine = self._mine(self._enter())
        if mine is None or mine.state is State.ROLLED_BACK:
            message = "has been undone by another, which came first" if mine else "is not begun"
            raise WindlassError(f"the rewrite of {self._source} {message}", hint="begin a new run")
        self._go_on(mine)
        if not self.is_over and not self.has_changed_table and self.is_stale():
            raise WindlassError(
                f"{self._source} was altered after its rows were read; nothing was changed",
                hint="run the same command again: it undoes this run and starts over",
            )

    def _tell(self) -> None:
        self.emit(
            FlowPlanned(
                self.plan.run,
                {},
                {},
                resumed=self.resumed,
                source=self.plan.title,
                flow=REWRITE.name,
                doing=REWRITE.words.doing,
                steps=self.steps,
            )
        )

    # the end

    def end(self, state: State, outcome: Outcome) -> None:
        """Journal how the run ended, or stopped."""
        if self.is_over or self._found is None:
            return
        if self._connection is None:
            raise RunLost(f"the end of run {self.plan.run} could not be journalled")
        try:
            records.set_state(self._connection, self.plan.run, state, outcome)
        except psycopg.Error as error:
            raise RunLost(f"the end of run {self.plan.run} could not be journalled") from error
        (self._found,) = records.read_runs(self._connection, self.plan.run)

    def outcome(self, state: State, message: str = "", hint: str = "") -> Outcome:
        if self._plan is None or self._found is None:
            return Outcome("", state, self.seconds, message=message, hint=hint)
        return Outcome(
            run=self.plan.run,
            state=state,
            seconds=self.seconds,
            notices=tuple(self.notices),
            counts=self.counts(),
            phases={step: sum(line.seconds for line in lines.values())
                    for step, lines in self._lines.items() if lines},
            resumed=self.resumed,
            source=self.plan.title,
            message=message,
            hint=hint,
        )  # fmt: skip

    def counts(self) -> dict[str, int]:
        """Rows, by what has become of them."""
        return count(self.plan, self._lines)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started


def count(plan: RewritePlan, lines: Mapping[str, Mapping[str, Line]]) -> dict[str, int]:
    """Rows of a run by what has become of them, from its journal."""

    def note(step: str, item: str, key: str) -> int:
        line = lines.get(step, {}).get(item)
        return int(((line.note if line else None) or {}).get(key, 0))

    return {
        "selected": note("reading_from_database", "", "rows"),
        "backed up": note("backup_table", "copy", "rows"),
        "duplicates deleted": note("delete_records_from_table", "", "duplicates")
        - note("writing_to_database", "", "returned"),
        "others deleted": note("delete_records_from_table", "", "others"),
        "written": note("writing_to_database", "", "rows"),
        "left, as others changed them": note("writing_to_database", "", "left"),
        "stamped": note("updating_exported_at", "", "rows"),
    }


def said_lately(connection: Connection, run: records.Run) -> bool:
    """Whether a scheduler's run may be between two of its steps."""
    row = connection.execute(
        "select extract(epoch from clock_timestamp() - max(at)) < %s::numeric from windlass.line"
        " where run = %s",
        (BETWEEN_STEPS_SECONDS, run.run),
    ).fetchone()
    return bool(run.caller and row and row[0])


def session_name(run: str) -> str:
    return f"windlass rewrite {run}"


def _family(caller: str) -> str:
    """A scheduler's name for what its runs are runs of."""
    return caller.rpartition(" ")[0]


def _in_progress(table: str, holder: str) -> Problem:
    return Problem(
        table,
        f"another rewrite of it is in progress: {holder or 'just ended'}",
        "wait for it; one that is silent for a minute counts as abandoned",
    )
