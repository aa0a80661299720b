"""The parts of every context with two databases: what it holds, its threads' sessions, its plan and
its story. A step that reads both sides needs no more than this.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import psycopg

from windlass.engines.postgres.errors import explain, explaining
from windlass.engines.postgres.hold import Hold
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.sessions import Sessions
from windlass.engines.postgres.worker_sessions import WorkerSessions
from windlass.errors import ConnectionLost, RunLost, WindlassError
from windlass.flows.demands import Demands
from windlass.flows.lock_watch import watching_locks
from windlass.model.event import Emit, FlowPlanned
from windlass.model.flow import Flow
from windlass.model.plan import Load, Plan, Purpose, RelationPlan
from windlass.model.relation import Name
from windlass.model.report import Difference, Loss
from windlass.model.snapshot import Snapshot
from windlass.planning.estimate import ALONE
from windlass.run.story import Reporting, Story
from windlass.spec.migrate import Spec

if TYPE_CHECKING:  # not every process runs a pg_dump
    from windlass.engines.postgres.archive import Dumping


class PlanIndex:
    """A plan, with its parts by name, and facts about the target that are read once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loads = {load.id: load for load in plan.loads}
        self.relations = {item.relation.name: item for item in plan.relations}
        self.partitioned: Collection[str] | None = None  # on the target alone; None: not read yet

    @cached_property
    def fingerprint(self) -> str:
        return self.plan.fingerprint


class Sides(Reporting):
    """Use as a context manager: leaving it closes every session."""

    flow: ClassVar[Flow[Any]]
    purpose: ClassVar[Purpose]

    def __init__(self, spec: Spec, emit: Emit, hold: Hold) -> None:
        """Connects to nothing. `hold` is of the spec's two sides; leaving closes it."""
        self.spec = spec
        self.story = Story(emit)
        self.hold = hold
        self.worker_sessions = WorkerSessions(self.hold)
        self.show_values = False
        self.on_difference: Callable[[Difference], None] | None = None  # for each row, unbounded
        self.dumped: Dumping | None = None  # the source's definitions, from which the plan was made
        self._index: PlanIndex | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self.worker_sessions.drop()
        self.hold.close()

    # for the steps

    @property
    def plan(self) -> Plan:
        return self.index.plan

    @property
    def index(self) -> PlanIndex:
        assert self._index is not None, "the run has not begun"
        return self._index

    def load(self, id_: str) -> Load:
        return self.index.loads[id_]

    def relation(self, name: Name) -> RelationPlan:
        return self.index.relations[name]

    @property
    def snapshot(self) -> Snapshot:
        """The one that all rows are read in."""
        return self.hold.snapshot

    @property
    def control(self) -> Connection:
        """The target session that has the lock; only for the main thread's steps."""
        return self.hold.control

    def sessions(self) -> Sessions:
        """This thread's sessions.

        Raises:
            Interrupted: the run has to stop.
        """
        return self.worker_sessions.sessions(self.plan.run)

    def room_for_locks(self) -> contextlib.AbstractContextManager[None]:
        """While pg_dump locks the source's relations, release ours if room for locks is short."""
        return self.hold.room_for_locks(
            self.sessions().source(self.snapshot.id), relation_names(self.plan)
        )

    @property
    def differences(self) -> list[Difference]:
        """The differences that the steps found so far."""
        return self.story.differences

    def losses(self) -> tuple[Loss, ...]:
        """The differences that the target is known to have."""
        return self.plan.findings.losses

    @abstractmethod
    def copied(self) -> Plan | None:
        """The plan of the run whose copy is compared, if the journal knows it."""

    @abstractmethod
    def sequences_set(self) -> Mapping[str, Sequence[Any]] | None:
        """The values that the run set the target's sequences to, by name; None if unknown."""

    # for shells and the runner

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Report who blocks the run's sessions. End the run if DDL of others and the run wait for
        each other. A process whose control session is gone has lost its run."""
        demands = Demands(self._ours, self.emit, self._give_way)
        reached = lambda: self.hold.reached  # noqa: E731
        with _as_lost(), watching_locks(reached, self.spec.jobs, self.emit, demands):
            try:
                yield
            except (WindlassError, psycopg.Error) as error:
                if self.hold.gave_way in (None, error):
                    raise
                raise self.hold.gave_way from error  # it is why others failed

    @contextlib.contextmanager
    def noticing(self) -> Iterator[None]:
        """Report who blocks the run's sessions, in a process that does not hold it."""
        reached = lambda: self.hold.reached or (self.hold.source, self.hold.target)  # noqa: E731
        with watching_locks(reached, self.spec.jobs, self.emit, late=True):
            yield

    def _ours(self) -> tuple[int, Sequence[str]]:
        names = (f"windlass {self._index.plan.run}",) if self._index else ()
        return self.hold.reader_pid, names

    def _give_way(self, error: WindlassError) -> None:
        self.hold.give_way(error)
        self.cancel()

    def cancel(self) -> None:
        """Cancel what is in flight in every thread."""
        from windlass.engines.postgres.archive import end_dumps  # not every process runs one

        self.worker_sessions.cancel()
        self.hold.cancel()
        end_dumps()

    def leave(self) -> None:
        """A worker thread ends."""
        self.worker_sessions.leave()

    def keep_dump(self, dumping: Dumping) -> None:
        """Keep the dump from which the plan was made: it is compared at the end, if it is of the
        same snapshot."""
        self.dumped = dumping

    def announce(self, *, resumed: bool = False) -> None:
        """Emit the planned work."""
        self.emit(_planned(self.plan, self.flow, self.steps, resumed=resumed))


def relation_names(plan: Plan) -> list[Name]:
    """Those of the source that a plan reads."""
    return [item.relation.name for item in plan.relations]


def _planned(plan: Plan, flow: Flow[Any], steps: tuple[str, ...], *, resumed: bool) -> FlowPlanned:
    sizes: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    relations: Counter[str] = Counter()
    for item in plan.relations if plan.how.copies_rows else ():
        sizes[item.batch] += item.relation.size_bytes
        rows[item.batch] += max(item.relation.rows, 0)
        relations[item.batch] += 1
    return FlowPlanned(
        plan.run,
        dict(sizes),
        dict(rows),
        resumed=resumed,
        relations=dict(relations),
        loads=dict(Counter(load.batch for load in plan.loads)),
        source=str(plan.source),
        target=str(plan.target),
        flow=flow.name,
        doing=flow.words.doing,
        steps=steps,
        copy_steps=flow.copies,
        forecast={k: v for k, v in plan.estimate.steps.items() if k in steps},
        workers=plan.estimate.workers,
        alone=ALONE,
    )


reading_journal = partial(explaining, "reading the journal", side="target")
"""Maps errors of the control session: a lost connection is retryable."""


@contextlib.contextmanager
def _as_lost() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        found = explain(error, "reading the journal", side="target")
        if isinstance(found, ConnectionLost):
            raise RunLost(str(found), hint=found.hint, side="target") from error
        raise found from error
