"""Past runs in a target's journal: reports them, undoes them, removes what they left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Self

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.fencing import write_regardless
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.errors import BadSpec
from windlass.flows import clean, rollback, status
from windlass.flows.lock_watch import watching_target
from windlass.journal import audit
from windlass.journal import log as run_log
from windlass.model.acts import Act
from windlass.model.event import Emit
from windlass.model.logged import LogPart, Noted
from windlass.model.outcome import RunDetail, RunStatus
from windlass.model.past import Foreseen, Left, Others, Undone
from windlass.model.relation import Name


class JournalPast:
    """The past runs of one target. A context manager that holds a session on it."""

    def __init__(self, target: str, purpose: str, emit: Emit | None = None) -> None:
        """`purpose` names the session in pg_stat_activity; if `emit` is given, blocking sessions
        are reported to it. Connects to nothing yet.

        Raises:
            BadSpec: the target cannot be understood.
        """
        self._address, self._purpose, self._emit = Address.parse("target", target), purpose, emit
        self._stack = ExitStack()
        self._session: Connection | None = None
        self._only_looks = False

    def __enter__(self) -> Self:
        """Raises:
        WindlassError: the target cannot be reached.
        """
        with ExitStack() as stack:
            session = stack.enter_context(
                closing(self._address.connect(Role.TARGET, self._purpose))
            )
            if self._emit is not None:
                stack.enter_context(watching_target(self._address.at(session), self._emit))
            if self._only_looks:
                session.execute("set default_transaction_read_only to on")
            self._session, self._stack = session, stack.pop_all()
        return self

    def __exit__(self, *fault: Any) -> None:
        self._stack.close()

    @contextmanager
    def _reading(self, doing: str = "reading the journal") -> Iterator[Connection]:
        assert self._session is not None
        with explaining(doing, side="target"):
            yield self._session

    def only_look(self) -> None:
        self._only_looks = True

    def statuses(self) -> list[RunStatus]:
        with self._reading() as session:
            return status.read_statuses(session)

    def detail(self, run: str) -> RunDetail:
        with self._reading() as session:
            return status.read_detail(session, run)

    def log(self, run: str, start: int, most: int, *, with_items: bool) -> LogPart:
        with self._reading() as session:
            return status.read_log(session, run, start, most, with_items=with_items)

    def plan(self, run: str) -> Mapping[str, Any] | None:
        with self._reading() as session:
            return status.read_plan(session, run)

    def foresee(self, run: str) -> Foreseen | None:
        with self._reading() as session:
            return rollback.foresee(session, run)

    def roll_back(self, run: str, others: Others = Others.REFUSE) -> Undone:
        with self._reading(f"rolling back run {run}") as session:
            return rollback.roll_back(session, run, others)

    def restore(self, run: str, into: Name) -> Undone:
        with self._reading(f"restoring from run {run}") as session:
            return rollback.restore(session, run, into)

    def begin_act(self, act: Act) -> str:
        with self._reading("recording who does what") as session:
            write_regardless(session)  # a target that follows may be closed to applications
            return audit.begin(session, act)

    def end_act(self, number: str, result: str) -> None:
        with self._reading("recording what was done") as session:
            write_regardless(session)
            audit.end(session, number, result)

    def note(self, run: str, process: str, notes: Sequence[Noted]) -> bool:
        """Add to the log of a run what one of its processes has noted. Returns whether the journal
        has the run."""
        with self._reading("writing the log") as session:
            write_regardless(session)
            session.execute("select pg_catalog.set_config('statement_timeout', '10s', false)")
            return run_log.write(session, run, process, notes)

    def left(self, run: str = "") -> list[Left]:
        with self._reading() as session:
            return clean.read_left(session, run)

    def clean(self, lefts: Sequence[Left]) -> None:
        with self._reading("cleaning up") as session:
            clean.clean(session, lefts)


def past_of(spec: Any, purpose: str, emit: Emit | None = None) -> JournalPast:
    """The past runs in the database that a spec writes to, for a flow with a journal.

    Raises:
        BadSpec: the spec names none.
    """
    secret = spec.written_database
    if secret is None:
        raise BadSpec(["target: not given"])
    return JournalPast(secret.get_secret_value(), purpose, emit)
