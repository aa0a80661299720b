"""Both ends of a stream of a run: what is read, and where it is applied."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.replication import stream
from windlass.engines.postgres.replication.lsn import Lsn
from windlass.engines.postgres.replication.stream import Stream
from windlass.engines.postgres.replication.trees import read_leaves, read_user_types
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.flows.follow.definitions import correspondence, prepare_target
from windlass.flows.follow.published import routed
from windlass.flows.follow.renamed import Renamed, to_detail
from windlass.flows.follow.source_side import check_slot
from windlass.following.applying import Applier, settle
from windlass.following.changes import Batch
from windlass.following.routes import Routes
from windlass.journal.following import note_detail
from windlass.model.following import Direction, stream_name
from windlass.model.plan import Arrival, Plan
from windlass.model.relation import Name

_COLUMNS = (
    "select attname::text from pg_attribute where attrelid = to_regclass(%s)"
    " and attnum > 0 and not attisdropped"
)


class StreamEnds:
    """Both ends are opened again after a lost connection, and the catalog is read again: there may
    be new partitions."""

    def __init__(
        self,
        plan: Plan,
        direction: Direction,
        source: Address,
        target: Address,
        renamed: Renamed,
        applied: Callable[[str], None] | None = None,
    ) -> None:
        """`plan` has the relations' names at the stream's position; `renamed` those that were
        renamed since the run began. With `applied`, statements that only add something are applied
        as well, and `applied` is called with each."""
        self._plan, self._direction, self._renamed = plan, direction, renamed
        self._applied = applied
        is_forward = direction is Direction.FORWARD
        self.read, self.applied = (source, target) if is_forward else (target, source)
        self._known = correspondence(plan)
        self._now: Routes | None = None

    @property
    def _name(self) -> str:
        return stream_name(self._plan.run, self._direction)

    def open_stream(self, after: Lsn) -> Stream:
        with closing(self._connect(self.read, "stream")) as like:
            # the server would start at the slot's position, whatever position we ask for
            check_slot(like, self._name, after, side=self.read.side)
            return stream.start(
                self.read, like, self._purpose("stream"), self._name, [self._name], after=after
            )

    def open_target(self) -> tuple[Connection, Applier]:
        """A session in autocommit, and what applies changes in it."""
        with closing(self._connect(self.read, "catalog")) as read:
            routes = self._routes(read)
        session = self._connect(self.applied, "apply")
        # psycopg would send DEALLOCATE ALL after a ROLLBACK, which drops what the applier has
        # prepared
        session.prepare_threshold = None
        try:
            may_silence = settle(session)
            routes.read(session)
        except BaseException:
            session.close()
            raise
        self._now = routes
        return session, Applier(session, routes, in_order=not may_silence)

    def prepare(self, session: Connection, batch: Batch) -> None:
        """Raises:
        SchemaChanged: the target does not fit what the batch's statements left on the source.
        """
        assert self._now is not None  # as `open_target` was called
        before = self._now.renamed
        prepare_target(session, batch, self._known, self._now, self._applied)
        if self._now.renamed != before:
            note_detail(session, self._plan.run, to_detail(self._now.renamed))

    @property
    def renamed(self) -> Renamed:
        """Relations that were renamed since the run began, as far as the stream has come."""
        return self._now.renamed if self._now else self._renamed

    def _connect(self, address: Address, what: str) -> Connection:
        """Connect with the settings of a target, on either side: changes are applied to the source
        too."""
        return address.connect(Role.TARGET, self._purpose(what))

    def _purpose(self, what: str) -> str:
        return f"windlass {self._plan.run} {self._direction} {what}"

    def _routes(self, read: Connection) -> Routes:
        side = self.read.side
        names = routed(self._plan, self._direction, read_leaves(read, side=side))
        parents = _parents(read, side=side)
        if self._direction is Direction.BACK:
            return Routes(names, types=read_user_types(read, side=side), parents=parents)
        ids = {int(item.relation.identity): item.relation.name for item in self._plan.relations}
        return Routes(
            names,
            ids=ids,
            types=read_user_types(read, side=side),
            target_only=self._target_only(),
            renamed=self.renamed,
            parents=parents,
        )

    def _target_only(self) -> frozenset[tuple[Name, str]]:
        """Columns of tables that existed before the run, which the source does not have."""
        filled = [one for one in self._plan.relations if one.arrival is Arrival.FILL]
        if not filled:
            return frozenset()
        found = set()
        with (
            closing(self._connect(self.applied, "catalog")) as session,
            explaining("reading columns", side=self.applied.side),
        ):
            for item in filled:
                known = {column.target for column in item.columns}
                rows: Any = session.execute(_COLUMNS, (_quoted(item.target),)).fetchall()
                found |= {(item.relation.name, name) for (name,) in rows if name not in known}
        return frozenset(found)


def _parents(read: Connection, *, side: str) -> frozenset[Name]:
    with explaining("reading partitioned tables", side=side):
        rows: Any = read.execute(
            "select n.nspname::text, c.relname::text from pg_class c"
            " join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'p'"
        ).fetchall()
    return frozenset(Name(*row) for row in rows)


def _quoted(name: Name) -> str:
    return ".".join('"{}"'.format(part.replace('"', '""')) for part in (name.schema, name.name))
