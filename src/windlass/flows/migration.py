"""The context of the flow `migrate`: sessions, snapshot, journal and plan of one run.

A worker thread has sessions of its own; the control session holds the target's lock as long as
the run lasts, the snapshot holder the source's snapshot.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TypeVar

import psycopg
import tenacity

from windlass.backup.aside import empty_filled
from windlass.engines.postgres import catalog
from windlass.engines.postgres.activity import has_changed, read_activity
from windlass.engines.postgres.archive import (
    Dumping,
    find_pg_dump,
    pg_dump_versions,
)
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.keyset import read_bounds
from windlass.engines.postgres.lock import end_sessions, read_holder, try_lock
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.engines.postgres.sessions import Sessions
from windlass.engines.postgres.snapshot import SnapshotHolder
from windlass.errors import (
    AlreadyDone,
    BadSpec,
    ConnectionLost,
    Interrupted,
    Refused,
    RunLost,
    ServerStarting,
    SnapshotLost,
    WindlassError,
)
from windlass.flows.ddl import Portion, divide, expected_items
from windlass.flows.rollback import TRANSFERS, undo
from windlass.journal import journal
from windlass.journal.journal import Line
from windlass.model.event import (
    Emit,
    Event,
    FlowPlanned,
    ItemFinished,
    ItemStarted,
    Noticed,
    ignore,
)
from windlass.model.flow import Item, Result
from windlass.model.outcome import Outcome, RelationOutcome, State
from windlass.model.plan import Load, Plan, RelationPlan
from windlass.model.relation import Name
from windlass.model.report import Difference, Loss, Problem
from windlass.model.snapshot import Snapshot
from windlass.plan.planner import Purpose, Reading, make_plan, wanted
from windlass.plan.select import select_relations
from windlass.spec.spec import Extent, Spec

STARTING_SECONDS = 60.0  # a crash recovery of usual length
STARTING_POLL_SECONDS = 0.2
UNFINISHED = (State.RUNNING, State.STOPPED, State.INTERRUPTED)
T = TypeVar("T")


class Migration:
    """One run on this machine. Use as a context manager: leaving it closes every session."""

    def __init__(
        self,
        spec: Spec,
        emit: Emit = ignore,
        *,
        restart: bool = False,
        holder: SnapshotHolder | None = None,
        patient: bool = False,
    ) -> None:
        """Connects to nothing yet.

        `holder` is what an earlier attempt of this process has handed over; `patient` waits for
        servers that cannot be reached, as they have been before.

        Raises:
            BadSpec: source or target is missing or cannot be read.
        """
        self.spec = spec
        self.source, self.target = parse_sides(spec)
        self._emit, self._restart = emit, restart
        self._threads = threading.local()
        self._sessions: list[Sessions] = []
        self._lock = threading.Lock()
        self._control: Connection | None = None
        self._holder = holder
        self._patient = patient
        self._has_begun = self._cancelled = False
        self._epoch = 1
        self._plan: Plan | None = None
        self._loads: dict[str, Load] = {}
        self._relations: dict[Name, RelationPlan] = {}
        self.portions: dict[str, list[Portion]] = {}  # of the plan's statements, by step
        self.partitioned: frozenset[Name] = frozenset()  # and views: what holds no rows itself
        self._lines: dict[str, dict[str, Line]] = defaultdict(dict)
        self._clock: dict[str, tuple[float, float]] = {}
        self.steps: tuple[str, ...] = ()  # of the flow that runs, for a display
        self.results: dict[str, dict[str, Result]] = defaultdict(dict)
        self.snapshot = Snapshot(0, "", "", "")
        self.differences: list[Difference] = []
        self.differing: list[RelationPlan] = []  # whose rows are not equal
        self.differing_large_objects: list[int] = []
        self.show_values = False
        self.only_compares = False
        self.verified = ""
        self.counted: dict[str, int] = {}  # rows on the target, by relation, where compared
        self.notices: list[str] = []
        self._resumed = False
        self._started = time.perf_counter()

    def __enter__(self) -> Migration:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for sessions in self._sessions:
            sessions.drop()
        if self._holder:
            self._holder.close()
        if self._control:
            self._control.close()

    # what the steps work with

    @property
    def plan(self) -> Plan:
        assert self._plan is not None, "the run has not begun"
        return self._plan

    @property
    def has_begun(self) -> bool:
        """Whether the run is in the journal. Before that, nothing is written."""
        return self._has_begun

    @property
    def control(self) -> Connection:
        """The target session that holds the lock; only for the main thread's steps."""
        assert self._control is not None
        return self._control

    def sessions(self) -> Sessions:
        """This thread's own."""
        if self._cancelled:
            raise Interrupted("stopped on request")
        mine: Sessions | None = getattr(self._threads, "sessions", None)
        if mine is None:
            mine = Sessions(self.source, self.target, self.plan.run)
            self._threads.sessions = mine
            with self._lock:
                self._sessions.append(mine)
        return mine

    def emit(self, event: Event) -> None:
        """Pass an event on, and keep the time of every step."""
        now = time.perf_counter() - self._started
        if isinstance(event, ItemStarted):
            first, last = self._clock.get(event.step, (now, now))
            self._clock[event.step] = (first, last)
        elif isinstance(event, ItemFinished) and not event.resumed:
            first, last = self._clock.get(event.step, (now, now))
            self._clock[event.step] = (first, now)
        elif isinstance(event, Noticed):
            self.notices.append(event.message)
        self._emit(event)

    def once(self, step: str, item: str, work: Callable[[Connection], Result]) -> Result:
        """Do a piece of DDL and journal it, in one target transaction; nothing if it is done.

        The result is kept as the line's note.
        """
        done = self._lines[step].get(item)
        if done:
            return done.note or {}
        connection = self.sessions().target()
        started = time.perf_counter()
        try:
            with connection.transaction():
                self.check_epoch(connection.execute(self.fence.encode()).fetchone())
                # first, so that it waits for a commit of the same work that was in doubt
                connection.execute(journal.line_statement(self.plan.run, Line(step, item)).encode())
                result = work(connection)
                seconds = time.perf_counter() - started
                line = Line(step, item, seconds=seconds, note=dict(result) or None)
                connection.execute(journal.note_statement(self.plan.run, line).encode())
        except psycopg.Error as error:
            found = explain(error, f"{step} {item}".strip(), side="target")
            if not isinstance(found, AlreadyDone):
                raise found from error
            line = journal.read_line(connection, self.plan.run, step, item)
        with self._lock:
            self._lines[step][item] = line
        return line.note or {}

    @property
    def fence(self) -> str:
        """To be run first in every transaction that journals; `check_epoch` takes its answer."""
        return journal.fence_statement(self.plan.run)

    def check_epoch(self, row: Sequence[Any] | None) -> None:
        """Raises:
        RunLost: another process has taken the run over, or undone it.
        """
        if row is None or row[0] != self._epoch:
            raise RunLost(f"run {self.plan.run} has been taken over by another process")

    def differ(self, differences: Iterable[Difference]) -> None:
        """Take note of differences, from any thread."""
        found = list(differences)
        with self._lock:
            self.differences += found

    def losses(self) -> tuple[Loss, ...]:
        """Those of the plan, and those that the rows have brought about since."""
        with self._lock:
            lines = [line for some in self._lines.values() for line in some.values()]
        found = [Loss(**loss) for line in lines for loss in (line.note or {}).get("losses", ())]
        return (*self.plan.losses, *found)

    def load(self, id_: str) -> Load:
        return self._loads[id_]

    def relation(self, name: Name) -> RelationPlan:
        return self._relations[name]

    def read_load(self, step: str, id_: str) -> list[Line]:
        """The journal's lines of a load that is done."""
        target = self.sessions().target()
        ids = [chunk.id for chunk in self._loads[id_].chunks]
        return [journal.read_line(target, self.plan.run, step, one) for one in ids]

    def done(self, step: str) -> Collection[str]:
        """Items of a step that the journal had when this run began or went on."""
        return self._lines[step].keys()

    # what the runner asks for

    def finished(self, step: str) -> Mapping[str, Result]:
        lines = self._lines[step]
        if step in TRANSFERS:
            return {
                load.id: load_result([lines[chunk.id] for chunk in load.chunks])
                for load in self.plan.loads
                if all(chunk.id in lines for chunk in load.chunks)
            }
        return {item: line.note or {} for item, line in lines.items()}

    def collect(self, step: str, item: Item, result: Result) -> None:
        self.results[step][item.id] = result

    def recover(self, error: WindlassError) -> None:
        """Another try starts from new sessions. A lost snapshot or run is beyond a worker: the
        whole flow has to go on from its journal.

        A session that broke may mean that the target crashed; then it has forgotten the last
        moments' commits, which this process believes are done.
        """
        if isinstance(error, SnapshotLost | RunLost):
            raise error
        if not self.has_begun:
            self._disconnect()
            return
        self.sessions().drop()
        if not self._is_in_control():
            raise RunLost("the session that holds the target's lock is gone", side="target")

    def _is_in_control(self) -> bool:
        try:
            self.control.execute("select 1")
        except psycopg.Error:
            return False
        return True

    def _disconnect(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        self._holder = self.hand_over()

    def hand_over(self) -> SnapshotHolder | None:
        """The snapshot's holder, if it lives, for the process's next attempt at this run."""
        holder, self._holder = self._holder, None
        if holder is not None and not holder.alive:
            holder.close()
            return None
        return holder

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            for sessions in self._sessions:
                sessions.cancel()

    def leave(self) -> None:
        mine: Sessions | None = getattr(self._threads, "sessions", None)
        if mine is not None:
            mine.close()

    # the beginning of a run

    def read_plan(self) -> Plan:
        """Read both sides and plan; write nothing. The plan names its problems.

        Raises:
            Refused: a side cannot be reached.
        """
        self._connect()
        self._take_snapshot()
        return self._make_plan(new_run_id())

    def begin_reading(self) -> None:
        """Plan a comparison: every selected relation against its namesake.

        Raises:
            Refused: a side cannot be reached or read, or the words select nothing.
        """
        self.only_compares = True
        self._connect()
        self._take_snapshot()
        plan = self._make_plan(new_run_id(), Purpose.COMPARE)
        if plan.problems:
            raise Refused(plan.problems)
        self._use(plan)
        self._hold(plan)
        self._tell_plan(resumed=False)

    def begin(self) -> None:
        """Go on with an unfinished run of the same move, or plan a new one and journal it.

        Raises:
            Refused: with every problem; nothing was written.
        """
        self._connect()
        if not try_lock(self.control):
            holder = read_holder(self.control)
            raise Refused(
                [
                    Problem(
                        "target",
                        f"another run is in progress: {holder or 'just ended'}",
                        "wait for it, or end it with pg_terminate_backend(pid)",
                    )
                ]
            )
        server, _ = catalog.read_server(self._source_session())
        unfinished = self._unfinished(server.identity)
        same = [run for run in unfinished if run.essence == self.spec.essence()]
        if self._restart and same:
            self._refuse_early()
            for run in same:
                undo(self.control, run.run)
        elif same:
            self._resume(same[0].run)
            return
        others = [run for run in unfinished if run not in same]
        if others:
            raise Refused([_other_options(run.run) for run in others])
        self._begin_new()

    def _refuse_early(self) -> None:
        """Before a restart undoes anything: what does not depend on what is there to be undone."""
        self._take_snapshot()
        plan = self._make_plan(new_run_id(), Purpose.COMPARE)
        if plan.problems:
            raise Refused(plan.problems)

    def _connect(self) -> None:
        """Both sides, so that both faults are told if there are two."""
        problems = []
        if self._holder is None:
            try:
                self._holder = when_up(lambda: SnapshotHolder(self.source, "windlass snapshot"))
            except WindlassError as error:
                problems.append(Problem("source", str(error), error.hint))
        if self._control is None:
            try:
                self._control = when_up(
                    lambda: self.target.connect(Role.TARGET, "windlass control")
                )
            except WindlassError as error:
                problems.append(Problem("target", str(error), error.hint))
        if problems and self._patient:
            raise ConnectionLost("; ".join(map(str, problems)))
        if problems:
            raise Refused(problems)

    def _source_session(self) -> Connection:
        assert self._holder is not None
        return self._holder.connection

    def _take_snapshot(self, number: int = 1) -> None:
        assert self._holder is not None
        self.snapshot = self._holder.numbered(number)

    def _unfinished(self, source: str) -> list[journal.Run]:
        if not journal.exists(self.control):
            return []
        runs = journal.read_runs(self.control)
        return [run for run in runs if run.state in UNFINISHED and run.source == source]

    def _begin_new(self) -> None:
        self._take_snapshot()
        plan = self._make_plan(new_run_id())
        if plan.problems:
            raise Refused(plan.problems)
        self._use(plan)
        with self.control.transaction():
            journal.create(self.control)
            journal.insert_run(self.control, plan, self.spec.essence())
            self._journal_snapshot()
        self._has_begun = True
        self._hold(plan)
        self._tell_plan(resumed=False)

    def _use(self, plan: Plan) -> None:
        self._plan = plan
        self._loads = {load.id: load for load in plan.loads}
        self.portions = divide(plan)
        self.partitioned = frozenset(source for _, source, _ in plan.others)
        self._relations = {item.relation.name: item for item in plan.relations}

    def _make_plan(self, run: str, purpose: Purpose = Purpose.MOVE) -> Plan:
        """Read everything through the snapshot, pg_dump beside us."""
        source, target = self._source_session(), self.control
        read = catalog.read_catalog(source)
        target_catalog = catalog.read_catalog(target)
        chosen = select_relations(read, wanted(self.spec))
        problems: list[Problem] = []
        with contextlib.ExitStack() as stack:
            dumping = self._start_dump(read, target_catalog, chosen, problems, stack)
            reading = Reading(
                source=read,
                target=target_catalog,
                existing=catalog.read_existing(target),
                entries=[],
                key_constraints=catalog.read_key_constraints(source),
                foreign_keys=catalog.read_foreign_keys(source),
                invalid_indexes=catalog.read_invalid_indexes(source),
                subscriptions=catalog.read_subscriptions(source),
                large_objects=catalog.read_large_objects(source),
                target_large_objects=catalog.read_large_objects(target),
                bounds=lambda relation, count: read_bounds(source, relation, count),
                may_silence_triggers=catalog.may_silence_triggers(target),
                empty=lambda names: catalog.read_emptiness(target, names),
                pg_dump=str(dumping.pg_dump) if dumping else "none",
            )
            entries = dumping.entries() if dumping else []
        reading = replace(reading, entries=entries)
        return make_plan(run, self.spec, reading, problems, purpose)

    def _start_dump(
        self,
        source: catalog.Catalog,
        target: catalog.Catalog,
        chosen: Sequence[Any],
        problems: list[Problem],
        stack: contextlib.ExitStack,
    ) -> Dumping | None:
        if self.spec.extent is Extent.DATA:
            return None
        pg_dump = find_pg_dump(source.server.major, target.server.major)
        if pg_dump is None:
            found = ", ".join(pg_dump_versions()) or "none"
            problems.append(
                Problem(
                    "pg_dump",
                    f"none is as new as the source ({source.server.major}); found: {found}",
                    f"install the PostgreSQL {source.server.major} client programs",
                )
            )
            return None
        names = {relation.name for relation in chosen}
        if source.unreadable & names:
            return None  # pg_dump would only say what the plan's problems say
        dumping = Dumping(
            pg_dump,
            self.source.environment(self._source_session()),
            self.snapshot.id,
            leave_out=_out_of_reach(source) - names,
        )
        stack.callback(dumping.close)
        return dumping

    def _hold(self, plan: Plan) -> None:
        assert self._holder is not None
        self._holder.lock(item.relation.name for item in plan.relations)

    def _journal_snapshot(self) -> None:
        cut = [item.relation.name for item in self.plan.relations if len(item.chunks) > 1]
        activity = read_activity(self._source_session(), cut) if cut else {}
        journal.insert_snapshot(self.control, self.plan.run, self.snapshot, activity)

    def _tell_plan(self, *, resumed: bool) -> None:
        sizes: Counter[str] = Counter()
        rows: Counter[str] = Counter()
        relations: Counter[str] = Counter()
        for item in self.plan.relations if self.plan.copies_rows else ():
            sizes[item.batch] += item.relation.size_bytes
            rows[item.batch] += max(item.relation.rows, 0)
            relations[item.batch] += 1
        self.emit(
            FlowPlanned(
                self.plan.run,
                dict(sizes),
                dict(rows),
                resumed=resumed,
                relations=dict(relations),
                loads=dict(Counter(load.batch for load in self.plan.loads)),
                source=str(self.plan.source),
                target=str(self.plan.target),
                steps=self.steps,
                copy_steps=TRANSFERS,
            )
        )

    # going on

    def _resume(self, run: str) -> None:
        self._resumed = self._has_begun = True
        end_sessions(self.control, run)
        self._use(journal.read_plan(self.control, run))
        self._read_lines()
        before = journal.read_snapshots(self.control, run)
        copied = any(self._lines[step] for step in TRANSFERS)
        if (
            self.spec.one_snapshot
            and self._is_new_holder(before)
            and copied
            and not self._all_copied()
        ):
            raise SnapshotLost(
                f"the snapshot of run {run} is gone, and one snapshot was asked for",
                hint="--restart begins anew; without --one-snapshot the run goes on with a second",
            )
        assert self._holder is not None
        handed_over = [one for one, _ in before if one.id == self._holder.id]
        self._take_snapshot(handed_over[-1].number if handed_over else len(before) + 1)
        with self.control.transaction():
            self._epoch = journal.take_over(self.control, run)
            if not handed_over:
                self._hold(self.plan)
                self._journal_snapshot()
        if not handed_over:
            self._settle({snapshot.number: activity for snapshot, activity in before})
        self._tell_plan(resumed=True)

    def _is_new_holder(self, before: Sequence[tuple[Snapshot, Any]]) -> bool:
        assert self._holder is not None
        return all(snapshot.id != self._holder.id for snapshot, _ in before)

    def _all_copied(self) -> bool:
        done = {item for step in TRANSFERS for item in self._lines[step]}
        return all(chunk.id in done for load in self.plan.loads for chunk in load.chunks)

    def _read_lines(self) -> None:
        self._lines.clear()
        for line in journal.read_lines(self.control, self.plan.run):
            self._lines[line.step][line.item] = line

    def _settle(self, activities: Mapping[int, Mapping[str, Any]]) -> None:
        """Relations of which only some chunks are in go on if nothing was written to them since;
        else their rows are taken out again, as rows may have moved between the ranges.

        Partitions whose rows enter at one root cannot be told apart there, and go together.
        """
        lines = self._lines["transfer_partition"]
        groups: dict[Name, list[RelationPlan]] = defaultdict(list)
        for item in self.plan.relations:
            if 0 < sum(chunk.id in lines for chunk in item.chunks) < len(item.chunks):
                groups[item.enters].append(item)
        if not groups:
            return
        names = [item.relation.name for items in groups.values() for item in items]
        now = read_activity(self._source_session(), names)
        for enters, items in groups.items():
            changed = [item for item in items if self._has_changed(item, activities, now)]
            if changed:
                self._copy_again(enters, changed)

    def _has_changed(
        self,
        item: RelationPlan,
        activities: Mapping[int, Mapping[str, Any]],
        now: Mapping[str, Any],
    ) -> bool:
        lines = self._lines["transfer_partition"]
        oldest = min(lines[one.id].snapshot or 1 for one in item.chunks if one.id in lines)
        name = item.relation.name
        return has_changed(self._source_session(), name, activities.get(oldest, {}), now)

    def _copy_again(self, enters: Name, changed: Sequence[RelationPlan]) -> None:
        """No index is there yet: those of a relation wait for all its chunks."""
        together = [item for item in self.plan.relations if item.enters == enters]
        ids = [chunk.id for item in together for chunk in item.chunks]
        with self.control.transaction():
            empty_filled(self.control, [item.target for item in together])
            for step in TRANSFERS:
                journal.delete_lines(self.control, self.plan.run, step, ids)
        for step in TRANSFERS:
            for id_ in ids:
                self._lines[step].pop(id_, None)
        for item in changed:
            self.emit(
                Noticed(
                    f"{item.relation.name} has changed since the first snapshot was lost:"
                    " all of it is copied again"
                )
            )

    # the end

    def outcome(self, state: State, message: str = "", hint: str = "") -> Outcome:
        """What this run is known to have done, from its journal."""
        if self._plan is None:
            return Outcome("", state, self.seconds, message=message, hint=hint)
        with contextlib.suppress(psycopg.Error):  # a dead target: what is known is told
            self._read_lines()
        return Outcome(
            run=self.plan.run,
            state=state,
            seconds=self.seconds,
            relations=tuple(self._relation_outcomes()),
            losses=tuple(dict.fromkeys(self.losses())),
            differences=tuple(self.differences),
            snapshots=tuple(self._snapshots()),
            notices=tuple(self.notices),
            phases={step: last - first for step, (first, last) in self._clock.items()},
            verified=self.verified,
            sequences=len(self.plan.sequences) if self._lines["set_sequences"] else 0,
            resumed=self._resumed,
            source=str(self.plan.source),
            target=str(self.plan.target),
            set_aside=len(self.plan.set_aside) if self._lines["create_target_schema"] else 0,
            message=message,
            hint=hint,
        )

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    def end(self, state: State, outcome: Outcome) -> None:
        """Journal how the run ended, on disk.

        Raises:
            RunLost: this process has not had the run to itself until now.
        """
        try:
            with self.control.transaction():
                self.check_epoch(self.control.execute(self.fence.encode()).fetchone())
                journal.set_state(self.control, self.plan.run, state, outcome)
        except psycopg.Error as error:
            raise RunLost(f"the end of run {self.plan.run} could not be journalled") from error

    def check_complete(self) -> None:
        """That the journal has every piece of work, and not only this process's memory.

        Raises:
            RunLost: the target forgot some in a crash that no worker noticed.
        """
        with self._lock:
            self._read_lines()
        for step, items in expected_items(self.plan).items():
            missing = [item for item in items if item not in self._lines[step]]
            if missing:
                raise RunLost(f"the target has lost {len(missing)} pieces of work in {step}")

    def _snapshots(self) -> Iterator[Snapshot]:
        with contextlib.suppress(psycopg.Error):
            yield from (one for one, _ in journal.read_snapshots(self.control, self.plan.run))

    def _relation_outcomes(self) -> Iterator[RelationOutcome]:
        lines = self._lines["transfer_table_data"] | self._lines["transfer_partition"]
        for item in self.plan.relations:
            done = [lines[chunk.id] for chunk in item.chunks if chunk.id in lines]
            yield RelationOutcome(
                source=str(item.relation.name),
                target=str(item.target),
                rows=self.counted.get(str(item.enters), 0)
                if self.only_compares
                else sum(line.rows for line in done),
                bytes=sum(line.size_bytes for line in done),
                chunks=len(item.chunks),
                seconds=sum(line.seconds for line in done),
                snapshots=tuple(sorted({line.snapshot or 1 for line in done})),
                verified=self.verified,
            )

    def tell_snapshots(self) -> None:
        """A notice for what was not read from one snapshot."""
        outcomes = list(self._relation_outcomes())
        used = {number for outcome in outcomes for number in outcome.snapshots}
        if len(used) < 2:
            return
        mixed = [outcome.source for outcome in outcomes if len(outcome.snapshots) > 1]
        within = f"; within one relation: {', '.join(mixed)}" if mixed else ""
        self.emit(
            Noticed(f"the rows were read from {len(used)} snapshots, as the first was lost{within}")
        )


def _out_of_reach(source: catalog.Catalog) -> set[Name]:
    """What pg_dump could not even lock."""
    schemas = source.unreachable_schemas
    hidden = {one.name for one in source.relations if one.name.schema in schemas}
    return hidden | source.unreadable


def when_up(connect: Callable[[], T]) -> T:
    """Connect, waiting for a server that says that it is starting, as one does after a crash."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_starting),
        wait=tenacity.wait_fixed(STARTING_POLL_SECONDS),
        stop=tenacity.stop_after_delay(STARTING_SECONDS),
        reraise=True,
    )
    return retrying(connect)


def _is_starting(error: BaseException) -> bool:
    return isinstance(error, ServerStarting)


def _other_options(run: str) -> Problem:
    return Problem(
        f"run {run}",
        "is unfinished, and was started with other options",
        "give the same options to go on with it (or --restart to begin it anew),"
        f" or undo it: windlass rollback {run}",
    )


def parse_sides(spec: Spec) -> tuple[Address, Address]:
    """Where the two sides are.

    Raises:
        BadSpec: both faults, if there are two.
    """
    found, faults = [], []
    for side, secret in (("source", spec.source), ("target", spec.target)):
        if secret is None:
            faults.append(f"no {side}: give --{side}, or set WINDLASS_{side.upper()}")
            continue
        try:
            found.append(Address.parse(side, secret.get_secret_value()))
        except BadSpec as error:
            faults += error.faults
    if faults:
        raise BadSpec(faults)
    return found[0], found[1]


def new_run_id() -> str:
    """Sorts by time, fits into a schema's name, and is easy to say."""
    return f"{datetime.now(UTC):%Y%m%d_%H%M}_{secrets.token_hex(2)}"


def load_result(lines: Sequence[Line]) -> Result:
    return {
        "rows": sum(line.rows for line in lines),
        "bytes": sum(line.size_bytes for line in lines),
    }
