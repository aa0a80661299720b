"""The context of the flow `migrate`: sessions, snapshot, journal and plan of one run.

A worker thread has its own sessions; the control session holds the target's lock as long as
the run lasts, the snapshot holder the source's snapshot.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import psycopg
import tenacity

from windlass.engines.postgres import catalog
from windlass.engines.postgres.activity import read_activity
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.keepalive import NOTICED_SECONDS
from windlass.engines.postgres.lock import (
    PATIENCE_SECONDS,
    control_name,
    end_sessions,
    name_session,
    read_holder,
    try_lock,
)
from windlass.engines.postgres.locks import read_lock_room
from windlass.engines.postgres.presence import read_presence
from windlass.engines.postgres.session import Address, Connection, Role, cancel_active
from windlass.engines.postgres.sessions import Sessions
from windlass.engines.postgres.snapshot import SnapshotHolder
from windlass.engines.postgres.transaction import working_on_target
from windlass.errors import (
    BadSpec,
    ConnectionLost,
    Interrupted,
    Refused,
    RunLost,
    ServerStarting,
    SnapshotLost,
    Unreachable,
    WindlassError,
)
from windlass.flows.migrate.finished import check_finished
from windlass.flows.migrate.outline import MIGRATE
from windlass.flows.migrate.portions import TRANSFERS, Portion, divide, expected_items
from windlass.flows.migrate.resuming import (
    check_overloads,
    check_snapshot,
    check_source,
    check_target,
    snapshot_notice,
)
from windlass.flows.migrate.settling import settle_changed, settle_emptied
from windlass.flows.validate import verdict
from windlass.journal import door, records
from windlass.journal.journal import Journal
from windlass.journal.records import Line
from windlass.model.chunk import Chunk
from windlass.model.event import (
    Emit,
    Event,
    FlowPlanned,
    ItemFinished,
    ItemStarted,
    Noticed,
    RunEnded,
    ignore,
)
from windlass.model.flow import ONE, Flow, Handover, Item, Result
from windlass.model.outcome import Compared, Outcome, RelationOutcome, State
from windlass.model.plan import Load, Plan, Purpose, RelationPlan
from windlass.model.relation import Name
from windlass.model.report import Difference, Loss, Problem, unaccepted
from windlass.model.snapshot import Snapshot
from windlass.planning.estimate import ALONE
from windlass.planning.reviewed import Reviewed
from windlass.spec.migrate import Spec

if TYPE_CHECKING:
    from windlass.engines.postgres.archive import Dumping
    from windlass.flows.migrate.unfinished import Planned

STARTING_SECONDS = 60.0  # a crash recovery of usual length
STARTING_POLL_SECONDS = 0.2
UNFINISHED = (State.RUNNING, State.STOPPED, State.INTERRUPTED)
T = TypeVar("T")


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """What the control session runs into: a server that hung up is tried again."""
    try:
        yield
    except psycopg.Error as error:
        raise explain(error, "reading the journal", side="target") from error


@contextlib.contextmanager
def _as_lost() -> Iterator[None]:
    """As `_explained`. A process whose control session is gone has lost its run."""
    try:
        yield
    except psycopg.Error as error:
        found = explain(error, "reading the journal", side="target")
        if isinstance(found, ConnectionLost):
            raise RunLost(str(found), hint=found.hint, side="target") from error
        raise found from error


class Migration:
    """One process's part in a run: all of it, or what another process gives out. Use as a context
    manager: leaving it closes every session."""

    only_compares = False
    flow: ClassVar[Flow[Any]] = MIGRATE

    def __init__(
        self,
        spec: Spec,
        emit: Emit = ignore,
        *,
        caller: str = "",
        restart: bool = False,
        holder: SnapshotHolder | None = None,
        patient: bool = False,
        reviewed: Reviewed | None = None,
    ) -> None:
        """Connects to nothing yet.

        `caller` is a scheduler's name for its own run, by which its processes find ours. `holder`
        is what an earlier attempt of this process has handed over; `patient` waits for servers
        that cannot be reached, as they have been before. `reviewed` is the plan that has to be the
        one that is carried out.

        Raises:
            BadSpec: source or target is missing or cannot be read.
        """
        self.spec = spec
        self.source, self.target = parse_sides(spec)
        self._emit, self._caller, self._restart = emit, caller, restart
        self._threads = threading.local()
        self._sessions: list[Sessions] = []
        self._lock = threading.Lock()
        self._control: Connection | None = None
        self._holder = holder
        self._reached: tuple[Address, Address] | None = None
        self._patient = patient
        self._reviewed = reviewed
        self._has_begun = self._cancelled = self._locked = self._is_finished = False
        self._found: records.Run | None = None  # the one to resume
        self._plan: Plan | None = None
        self._loads: dict[str, Load] = {}
        self._relations: dict[Name, RelationPlan] = {}
        self.portions: dict[str, list[Portion]] = {}  # of the plan's statements, by step
        self.partitioned: frozenset[Name] = frozenset()  # and views: what holds no rows itself
        self._journal: Journal | None = None
        self._clock: dict[str, tuple[float, float]] = {}
        self.steps: tuple[str, ...] = ()  # of the flow that runs, for a display
        self.results: dict[str, dict[str, Result]] = defaultdict(dict)
        self.snapshot = Snapshot(0, "", "", "")
        self.show_values = False
        self.on_difference: Callable[[Difference], None] | None = None  # for each row, unbounded
        self.notices: list[str] = []
        self.dumped: Dumping | None = None  # the source's definitions, which the plan rests on
        self._resumed = False
        self._undone: list[str] = []  # runs, by a restart
        self.ended: State | None = None  # how, as the journal has it from this process
        self._started = time.perf_counter()

    def __enter__(self) -> Self:
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
    def run_id(self) -> str:
        return self.plan.run

    @property
    def undone(self) -> Sequence[Problem]:
        """What a restart has rolled back before anything new has begun."""
        return [_undone(run) for run in self._undone]

    @property
    def control(self) -> Connection:
        """The target session that holds the lock; only for the main thread's steps."""
        assert self._control is not None
        return self._control

    @property
    def reached(self) -> tuple[Address, Address] | None:
        """The servers in use, of several hosts; None before both sides have answered."""
        return self._reached

    def sessions(self) -> Sessions:
        """This thread's own."""
        if self._cancelled:
            raise Interrupted("stopped on request")
        mine: Sessions | None = getattr(self._threads, "sessions", None)
        if mine is None:
            mine = Sessions(*(self._reached or (self.source, self.target)), self.plan.run)
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
        like = Line(step, item, snapshot=self.snapshot.number)
        return self.journal.once(self.sessions().target(), step, item, work, like=like)

    def fenced(self, step: str, work: Callable[[Connection], None]) -> None:
        """Do what may be done twice, in a separate transaction, as long as the run is ours."""
        self.journal.fenced(self.sessions().target(), step, work)

    @property
    def journal(self) -> Journal:
        assert self._journal is not None, "the run has not begun"
        return self._journal

    @property
    def differences(self) -> list[Difference]:
        """Those that the steps so far have found."""
        return [
            Difference.from_json(one)
            for results in self.results.values()
            for result in results.values()
            for one in result.get("differences", ())
        ]

    def _noticed(self) -> Iterator[str]:
        """By the steps so far, in whatever process."""
        for results in self.results.values():
            for result in results.values():
                yield from result.get("notices", ())

    @property
    def differing(self) -> list[RelationPlan]:
        """Those whose rows are not equal, one for all that enter at the same place."""
        names = set(self.result("find_differences").get("differing", ()))
        entered = {item.enters: item for item in self.plan.relations}
        return [item for name, item in entered.items() if str(name) in names]

    def result(self, step: str) -> Result:
        """Of a step without items; empty if this process has not been told of it."""
        return self.results[step].get(ONE.id, {})

    def losses(self) -> tuple[Loss, ...]:
        """Those of the plan, and those that the rows have brought about since."""
        return (*self.plan.losses, *self._new_losses())

    def unaccepted_losses(self) -> tuple[Loss, ...]:
        """Those that the rows have brought about; the plan's were accepted before it began."""
        return unaccepted(self._new_losses(), self.spec.accept)

    def _new_losses(self) -> list[Loss]:
        notes = [loss for line in self.journal for loss in (line.note or {}).get("losses", ())]
        return [Loss.from_json(loss) for loss in notes]

    def load(self, id_: str) -> Load:
        return self._loads[id_]

    def relation(self, name: Name) -> RelationPlan:
        return self._relations[name]

    def lacking_chunks(self, step: str, load: Load) -> list[Chunk]:
        """Those of a load that are not in, as far as this process knows."""
        return [chunk for chunk in load.chunks if (step, chunk.id) not in self.journal]

    def lines(self, step: str) -> Mapping[str, Line]:
        """A step's finished items, as far as this process knows."""
        return self.journal.lines(step)

    def copied(self) -> Plan | None:
        """The plan of the run whose copy is compared, if the journal knows it."""
        return self.plan

    def sequences_set(self) -> Mapping[str, Sequence[Any]] | None:
        """Where sequences of the target were set to, by name; None if that is not known."""
        line = self.journal.lines("set_sequences").get(ONE.id)
        return None if line is None else (line.note or {}).get("values", {})

    # what the runner asks for

    def finished(self, step: str) -> Mapping[str, Result]:
        if self._journal is None:
            return {}
        lines = self._journal.lines(step)
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
            self._plan, self._found, self._locked = None, None, False
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
        self._holder = self._living_holder()

    def hand_over(self) -> Handover:
        """The snapshot's holder, if it lives."""
        holder = self._living_holder()
        snapshot = "" if holder else "; its snapshot is lost as well"
        given = {"holder": holder, "restart": False}
        return Handover(given, f"resuming from the journal{snapshot}")

    def _living_holder(self) -> SnapshotHolder | None:
        holder, self._holder = self._holder, None
        if holder is not None and not holder.alive:
            holder.close()
            return None
        return holder

    def cancel(self) -> None:
        from windlass.engines.postgres.archive import end_dumps  # not every process runs one

        with self._lock:
            self._cancelled = True
            for sessions in self._sessions:
                sessions.cancel()
        for connection in (self._holder.connection if self._holder else None, self._control):
            if connection is not None:
                cancel_active(connection)
        end_dumps()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Who keeps the run's sessions waiting is reported."""
        from windlass.flows.lock_watch import watching_locks  # which works with this module

        with _as_lost(), watching_locks(self):
            yield

    def leave(self) -> None:
        mine: Sessions | None = getattr(self._threads, "sessions", None)
        if mine is not None:
            mine.close()

    # the beginning of a run

    @_explained()
    def read_plan(self) -> Planned:
        """What `prepare` would find or plan, with an estimate that rests on how fast both sides
        are; write nothing. The plan names its problems.

        Raises:
            Refused: an unfinished run has other options, or is at work.
            Unreachable: a side cannot be reached.
            AlreadyFinished: there is nothing left to do.
        """
        from windlass.flows.migrate.unfinished import (  # no other process needs it
            Planned,
            read_unfinished,
        )

        self._connect()
        self._take_snapshot()
        if found := self._unfinished():
            if self._is_held(found.run):
                raise Refused([_in_progress(read_holder(self.control))])
            self._refuse_taken_over(found)
            source, snapshot = self._source_session(), self.snapshot.id
            return read_unfinished(source, self.control, self.spec, found, snapshot)
        self._check_finished()
        return Planned(self._make_plan(measures=True))

    @_explained()
    def prepare(self, run: str = "") -> None:
        """Find the run to resume, or plan a new one, by that id if one is given. Writes
        nothing.

        Raises:
            Refused: with every problem.
        """
        if self._plan is not None:
            return
        self._connect()
        mine = self._of_caller()
        if mine and mine.state is State.ROLLED_BACK:
            message = "has been rolled back, and this is still the same run"
            raise Refused([Problem(f"run {mine.run}", message, "begin a new one")])
        if mine and mine.state not in UNFINISHED:
            self._found, self._is_finished = mine, True
            self._use(records.read_plan(self.control, mine.run))
            return
        # a lock of this process's own, whose session the server has not missed yet
        is_own = self._patient and not self._caller
        patience = NOTICED_SECONDS if is_own else PATIENCE_SECONDS
        self._locked = try_lock(self.control, patience_seconds=patience)
        if not self._locked and not (mine and self._is_held(mine.run)):
            raise Refused([_in_progress(read_holder(self.control))])
        self._found = mine or self._unfinished()
        if self._found:
            self._refuse_taken_over(self._found)
            plan = records.read_plan(self.control, self._found.run)
        else:
            self._take_snapshot()
            self._check_finished()
            plan = self._make_plan(run=run)
            if plan.problems:
                raise Refused([*plan.problems, *self.undone])
        if self._reviewed and (changes := self._reviewed.changes(plan)):
            raise Refused(changes)
        self._use(plan)

    def _check_finished(self) -> None:
        """A scheduler's run has its own name: another one is another migration."""
        if not self._caller:
            server, _ = catalog.read_server(self._source_session())
            check_finished(self.control, server.identity, self.spec, restart=self._restart)

    def _of_caller(self) -> records.Run | None:
        """The newest run of this scheduler's own run, if it has had one."""
        if not self._caller or not door.exists(self.control):
            return None
        runs = records.read_runs(self.control, flow="migrate")
        return next((run for run in runs if run.caller == self._caller), None)

    def _is_held(self, run: str) -> bool:
        return read_holder(self.control).startswith(f"{control_name(run)} ")

    def _unfinished(self) -> records.Run | None:
        """The one that these options resume, after a restart has undone it none.

        Raises:
            Refused: another move from the same source is unfinished.
        """
        server, _ = catalog.read_server(self._source_session())
        there = door.exists(self.control)
        runs = records.read_runs(self.control, flow="migrate") if there else []
        unfinished = [
            run for run in runs if run.state in UNFINISHED and run.source == server.identity
        ]
        same = [run for run in unfinished if run.essence == self.spec.essence()]
        if self._restart and same:
            self._refuse_early()
            for run in same:
                self._undo(run)
        elif same:
            return same[0]
        others = [run for run in unfinished if run not in same]
        if others:
            raise Refused([_other_options(run.run) for run in others])
        return None

    def _refuse_taken_over(self, run: records.Run) -> None:
        """Raises:
        Refused: what it has made so far is another run's now.
        """
        from windlass.flows.migrate.succession import later_problems

        if problems := later_problems(self.control, run, large_objects=self._restart):
            raise Refused(problems)

    def _undo(self, run: records.Run) -> None:
        """What it has made and set aside, but not what others have written since."""
        from windlass.flows.rollback import undo

        self._refuse_taken_over(run)
        undo(self.control, run)
        self._undone.append(run.run)
        self.emit(Noticed(f"run {run.run} is rolled back, to start over"))

    def _refuse_early(self) -> None:
        """Before a restart undoes anything: what does not depend on what is there to be undone."""
        self._take_snapshot()
        plan = self._make_plan(Purpose.COMPARE)
        if plan.problems:
            raise Refused(plan.problems)

    @_explained()
    def hold(self) -> None:
        """Journal the run, or take it over where it stopped; from now on it is written to.

        Holds the target's lock and the source's snapshot until this context is left.

        Raises:
            Refused: with every problem; nothing was written.
        """
        self.prepare()
        if self._is_finished:
            self._look_back()
            return
        if not self._locked:
            self._end_holder()
        if self._found:
            self._resume(self._found.run)
        else:
            self._begin_new()
        name_session(self.control, control_name(self.plan.run))

    def _look_back(self) -> None:
        """At a run that is over: nothing is to be held, but the source may be read."""
        assert self._found is not None
        self._has_begun, self.journal.epoch = True, self._found.epoch
        self.journal.read(self.control)
        self._take_snapshot()

    def _end_holder(self) -> None:
        """Of this very run: an earlier process of ours, which the scheduler believes is dead."""
        end_sessions(self.control, control_name(self.plan.run))
        self._locked = try_lock(self.control)
        if not self._locked:
            raise RunLost(f"run {self.plan.run} has been taken over by another process")

    def check_planned(self, fingerprint: str) -> None:
        """Raises:
        Refused: it is not the plan with this fingerprint that would be carried out.
        """
        if fingerprint != self.plan.fingerprint:
            problem = "the databases have changed since the plan was made"
            raise Refused([Problem("plan", problem, "make it again, and look at it again")])

    def _begin_new(self) -> None:
        with self.control.transaction():
            door.create(self.control)
            records.insert_run(self.control, self.plan, self.spec.essence(), self._caller)
            self._journal_snapshot()
            records.insert_crash_marker(self.control, self.plan.run)
        self._has_begun = True
        self._hold_relations()
        self._tell_plan(resumed=False)

    def _connect(self) -> None:
        """Both sides, so that both faults are reported if there are two."""
        problems, passing = [], True
        if self._holder is None:
            try:
                within = self.spec.snapshot
                self._holder = when_up(
                    lambda: SnapshotHolder(self.source, "windlass snapshot", within)
                )
            except WindlassError as error:
                problems.append(Problem("source", str(error), error.hint))
                passing = passing and error.retryable
        if self._control is None:
            try:
                self._control = when_up(
                    lambda: self.target.connect(Role.TARGET, "windlass control")
                )
            except WindlassError as error:
                problems.append(Problem("target", str(error), error.hint))
                passing = passing and error.retryable
        if problems and self._patient and passing:
            raise ConnectionLost("; ".join(one.text for one in problems))
        if problems and passing:
            raise Unreachable(problems)
        if problems:
            raise Refused(problems)
        self._reached = (self.source.at(self._source_session()), self.target.at(self.control))

    def _source_session(self) -> Connection:
        assert self._holder is not None
        return self._holder.connection

    def _take_snapshot(self, number: int = 1) -> None:
        assert self._holder is not None
        self.snapshot = self._holder.numbered(number)

    def _use(self, plan: Plan) -> None:
        self._plan = plan
        self._journal = Journal(plan.run, working_on_target)
        self._loads = {load.id: load for load in plan.loads}
        self.portions = divide(plan)
        self.partitioned = frozenset(source for _, source, _ in plan.others)
        self._relations = {item.relation.name: item for item in plan.relations}

    def _make_plan(
        self, purpose: Purpose = Purpose.MOVE, run: str = "", *, measures: bool = False
    ) -> Plan:
        from windlass.flows.migrate.reading import (  # no other process needs them
            Sight,
            read_and_plan,
        )

        source, id_ = self._source_session(), self.snapshot.id
        sight = Sight(self.source, source, id_, self.target, self.control, measures, self._keep)
        return read_and_plan(run or new_run_id(), self.spec, sight, purpose)

    def _keep(self, dumping: Dumping) -> None:
        self.dumped = dumping

    @contextlib.contextmanager
    def room_for_locks(self) -> Iterator[None]:
        """While pg_dump locks the source's relations itself, ours do not take the room for that,
        where there is little and this process holds them."""
        room = read_lock_room(self.sessions().source(self.snapshot.id))
        holder = self._holder
        if holder is None or 2 * len(self.plan.relations) <= room.locks:
            yield
            return
        holder.unlock()
        try:
            yield
        finally:
            self._hold_relations()

    def _hold_relations(self) -> None:
        assert self._holder is not None
        self._holder.lock(item.relation.name for item in self.plan.relations)

    def _journal_snapshot(self) -> None:
        cut = [item.relation.name for item in self.plan.relations if len(item.chunks) > 1]
        activity = read_activity(self._source_session(), cut) if cut else {}
        records.insert_snapshot(self.control, self.plan.run, self.snapshot, activity)

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
                flow=self.flow.name,
                doing=self.flow.words.doing,
                steps=self.steps,
                copy_steps=self.flow.copies,
                forecast={k: v for k, v in self.plan.estimate.steps.items() if k in self.steps},
                workers=self.plan.estimate.workers,
                alone=ALONE,
            )
        )

    # resuming

    def _resume(self, run: str) -> None:
        self._resumed = self._has_begun = True
        end_sessions(self.control, f"windlass {run}")
        self.journal.read(self.control)
        before = records.read_snapshots(self.control, run)
        assert self._holder is not None
        assert self._found is not None
        self.journal.epoch = self._found.epoch
        check_source(self.plan, catalog.read_catalog(self._source_session()))
        check_target(self.plan, self.journal.by_step, read_presence(self.control, side="target"))
        check_overloads(self.plan, self._source_session(), self.control)
        if self.spec.one_snapshot:
            check_snapshot(
                self.plan, self.journal.by_step, [one for one, _ in before], self._holder.id
            )
        handed_over = [one for one, _ in before if one.id == self._holder.id]
        self._take_snapshot(handed_over[-1].number if handed_over else len(before) + 1)
        with self.control.transaction():
            door.create(self.control)
            self.journal.epoch = records.take_over(self.control, run, self._caller)
            if not handed_over:
                self._hold_relations()
                self._journal_snapshot()
        settle_emptied(self)
        activities = {snapshot.number: activity for snapshot, activity in before}
        settle_changed(self, self._source_session(), activities)
        self._tell_plan(resumed=True)

    # a part of a run that another process holds

    def keep(self) -> None:
        """Raises:
        SnapshotLost: the source has ended the session that held it.
        RunLost: the target has ended the session that held its lock.
        """
        if self._holder is not None and not self._holder.alive:
            raise SnapshotLost("the session that held the snapshot is gone", side="source")
        if not self._is_in_control():
            raise RunLost("the session that holds the target's lock is gone", side="target")

    @property
    def ticket(self) -> Result:
        """What another process needs to `join`."""
        return {"run": self.plan.run, "snapshot": asdict(self.snapshot)}

    def join(self, ticket: Result) -> None:
        """Work in the run of a ticket.

        Raises:
            RunLost: no process holds it now.
            WindlassError: it has been rolled back, or is another caller's now.
        """
        self._connect_to(ticket)
        self._found = run = self._read_run(ticket["run"])
        self._is_finished = run.state not in UNFINISHED
        if not self._is_finished and not self._is_held(run.run):
            raise RunLost(f"no process holds the snapshot of run {run.run}", side="target")
        self._has_begun = True
        self._started = time.perf_counter() - run.age_seconds
        self._use(records.read_plan(self.control, run.run))
        self.journal.epoch = run.epoch
        self.journal.read(self.control)
        if self._is_finished:
            self.snapshot = Snapshot(**ticket["snapshot"])
        else:
            self.snapshot = records.read_snapshots(self.control, run.run)[-1][0]

    def _connect_to(self, ticket: Result) -> None:
        self._control = self._control or self.target.connect(
            Role.TARGET, f"windlass {ticket['run']} journal"
        )

    def _read_run(self, name: str) -> records.Run:
        found = records.read_runs(self.control, name) if door.exists(self.control) else []
        if not found:
            raise WindlassError(f"run {name} is not in the target's journal", side="target")
        if found[0].state is State.ROLLED_BACK:
            raise WindlassError(f"run {name} has been rolled back", hint="begin a new one")
        if found[0].caller != self._caller:
            raise WindlassError(
                f"run {name} has been taken over by {found[0].caller or 'the command line'}"
            )
        return found[0]

    def stand_in(self, ticket: Result) -> None:
        """Work in the run of a ticket that nobody holds any more: hold it here meanwhile.

        Raises:
            RunLost: somebody else has begun to hold it.
        """
        try:
            self.prepare()
        except Refused as error:
            reason = "; ".join(problem.text for problem in error.problems)
            raise RunLost(f"run {ticket['run']} cannot be held: {reason}") from error
        if not self._locked and not self._is_finished:
            raise RunLost(f"run {self.plan.run} is held by another process now")
        self.hold()

    def lacking(self, steps: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Items of these steps that ought to be in the journal and are not: a crash of the target
        has taken them, or they have to be done again under a new snapshot."""
        wanted = expected_items(self.plan)
        return self.journal.lacking({step: wanted.get(step, ()) for step in steps})

    # the end

    def outcome(self, state: State, message: str = "", hint: str = "") -> Outcome:
        """What this run is known to have done, from its journal."""
        if self._plan is None:
            return Outcome("", state, self.seconds, message=message, hint=hint)
        with contextlib.suppress(psycopg.Error):  # a dead target: what is known is reported
            self.journal.read(self.control)
        return Outcome(
            run=self.plan.run,
            state=state,
            seconds=self.seconds,
            relations=tuple(self._relation_outcomes()),
            losses=tuple(dict.fromkeys(self.losses())),
            differences=tuple(self.differences),
            differing_rows=verdict.differing_rows(self.differences),
            snapshots=tuple(self._snapshots()),
            notices=tuple(dict.fromkeys((*self.plan.notices, *self.notices, *self._noticed()))),
            phases={step: last - first for step, (first, last) in self._clock.items()},
            verified=verdict.level_of(parts := self._compared()),
            compared=parts,
            sequences=len(self.plan.sequences) if self.journal.lines("set_sequences") else 0,
            resumed=self._resumed,
            source=str(self.plan.source),
            target=str(self.plan.target),
            set_aside=len(self.plan.set_aside) if self.journal.lines("create_target_schema") else 0,
            message=message,
            hint=hint,
        )

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    def end(self, state: State, outcome: Outcome) -> None:
        """Journal how the run ended, on disk; once, if it is looked at again and stays as it was.

        Raises:
            RunLost: this process has not had the run to itself until now.
        """
        if self._is_finished and self._found and self._found.state is state:
            return
        self.journal.end(self.control, state, outcome)
        self.ended = state
        if state not in UNFINISHED:
            self.emit(RunEnded())

    def check_complete(self) -> None:
        """That the journal has every piece of work, and not only this process's memory.

        Raises:
            RunLost: the target forgot some in a crash that no worker noticed.
        """
        if not self._is_finished and not records.has_survived(self.control, self.plan.run):
            raise RunLost("the target crashed, which has emptied its unlogged relations")
        self.journal.read(self.control)
        for step, items in self.lacking(expected_items(self.plan)).items():
            raise RunLost(f"the target has lost {len(items)} pieces of work in {step}")

    def _compared(self) -> tuple[Compared, ...]:
        steps = ("validate_schema", "validate_sequences", "find_differences")
        return verdict.compared(*(self.result(step) for step in steps))

    def _snapshots(self) -> Iterator[Snapshot]:
        with contextlib.suppress(psycopg.Error):
            yield from (one for one, _ in records.read_snapshots(self.control, self.plan.run))

    def _relation_outcomes(self) -> Iterator[RelationOutcome]:
        lines = {k: v for step in TRANSFERS for k, v in self.journal.lines(step).items()}
        compared = self.result("find_differences")
        level = verdict.level_of(self._compared())
        differs = verdict.how_they_differ(
            self.plan.relations,
            self.differences,
            self.result("read_both_sides").get("without_rows", ()),
            compared.get("differing", ()),
        )
        for item in self.plan.relations:
            done = [lines[chunk.id] for chunk in item.chunks if chunk.id in lines]
            yield RelationOutcome(
                source=str(item.relation.name),
                target=str(item.target),
                rows=compared.get("counted", {}).get(str(item.target), 0)
                if self.only_compares
                else sum(line.rows for line in done),
                bytes=sum(line.size_bytes for line in done),
                chunks=len(item.chunks),
                seconds=sum(line.seconds for line in done),
                snapshots=tuple(sorted({line.snapshot or 1 for line in done})),
                verified="" if differs[str(item.target)] else level,
                differs=differs[str(item.target)],
            )

    def tell_snapshots(self) -> None:
        """A notice for what was not read from one snapshot."""
        from windlass.flows.migrate.sums import is_noted  # which works with this module

        parts, as_copied = self._compared(), is_noted(self)
        later = [
            what
            for what, is_compared in (
                ("the comparison of definitions", Compared.SCHEMA in parts),
                ("the comparison of rows", Compared.COUNTS in parts and not as_copied),
                ("the comparison of large objects", self.result("validate_large_objects")),
            )
            if is_compared
        ]
        notice = snapshot_notice(
            list(self._relation_outcomes()),
            self.journal.by_step,
            list(self._snapshots()),
            later,
            as_copied=as_copied,
        )
        if notice:
            self.emit(Noticed(notice))


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


def _in_progress(holder: str) -> Problem:
    return Problem(
        "target",
        f"another run is in progress: {holder or 'just ended'}",
        "wait for it, or end it with pg_terminate_backend(pid); the server ends the session of a"
        f" machine that is gone within {NOTICED_SECONDS:.0f} seconds",
    )


def _undone(run: str) -> Problem:
    return Problem(f"run {run}", "was rolled back by --restart before this was found")


def _other_options(run: str) -> Problem:
    return Problem(
        f"run {run}",
        "is unfinished, and was started with other options",
        "give the same options to resume it (or --restart to begin again),"
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
            faults.append(f"no {side}: give {word(side)}, or set WINDLASS_{side.upper()}")
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
    size_bytes = sum(line.size_bytes for line in lines)
    return {"rows": sum(line.rows for line in lines), "bytes": size_bytes}
