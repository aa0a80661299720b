"""What ended runs left in a target: objects set aside, and their lines in the journal."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from psycopg import sql

from windlass.aside.left import (
    Kept,
    drop_kept,
    guests_in,
    kept_problems,
)
from windlass.engines.postgres.lock import take_lock
from windlass.engines.postgres.own_schemas import read_own_schemas
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import identifier
from windlass.errors import Refused
from windlass.flows.migrate.left import moves_in
from windlass.flows.migrate.succession import earlier_problems
from windlass.flows.registry import journalled
from windlass.flows.rollback import find_run
from windlass.inplace.backup import drop_backup
from windlass.journal import door, records
from windlass.journal.following import undoing
from windlass.model.flow import resolve
from windlass.model.outcome import UNFINISHED, State
from windlass.model.past import Left
from windlass.model.report import Problem

_OF_A_REPAIR = re.compile(r"(old|new|object)_\d+")
Sizes = dict[str, tuple[tuple[str, ...], int]]


def _kept_of(left: Left) -> Kept:
    return Kept(left.schemas, left.renamed, left.large_objects)


def read_sizes(connection: Connection) -> Sizes:
    """By run: the schemas that hold what it has set aside, and their size."""
    rows: list[Any] = connection.execute(
        "select substring(n.nspname::text from '^windlass_(\\d{8}_\\d{4}_[0-9a-f]{4})_'),"
        " n.nspname::text, coalesce(sum(pg_total_relation_size(c.oid))"
        " filter (where c.relkind in ('r', 'm')), 0)::bigint"
        " from pg_namespace n left join pg_class c on c.relnamespace = n.oid"
        " where n.nspname ~ '^windlass_\\d{8}_\\d{4}_[0-9a-f]{4}_' group by 1, 2 order by 1, 2"
    ).fetchall()
    found: Sizes = {}
    for run, schema, size in rows:
        schemas, total = found.get(run, ((), 0))
        found[run] = (*schemas, schema), total + size
    return found


def read_left(connection: Connection, run: str = "") -> list[Left]:
    """What every ended run left, newest first, then runs that the journal has lost; or one run.

    Raises:
        Refused: there is no such run, it is unfinished, or an earlier one needs its journal.
    """
    sizes, runs = read_sizes(connection), _runs(connection)
    lost = _lost(connection, sizes, {one.run for one in runs})
    if run and run not in {one.run for one in lost}:
        found = find_run(connection, run)
        if found.state in UNFINISHED:
            hint = f"resume it, or {undoing(connection, found, ' first')}"
            message = f"is {found.state}, and needs what it has left"
            raise Refused([Problem(f"run {run}", message, hint)])
    ended = [one for one in runs if one.state not in UNFINISHED]
    lefts = [*(_left(connection, one, sizes) for one in ended), *lost]
    found_lefts = [one for one in lefts if run in ("", one.run)]
    forgotten = [one.run for one in found_lefts if one.state]
    if forgotten and (problems := earlier_problems(connection, forgotten)):
        raise Refused(problems)
    return found_lefts


def _runs(connection: Connection) -> list[records.Run]:
    return records.read_runs(connection) if door.exists(connection) else []


def _lost(connection: Connection, sizes: Sizes, known: Collection[str]) -> list[Left]:
    """Schemas with windlass's mark whose run is not in the journal."""
    own = read_own_schemas(connection, side="target").names
    return [
        Left(run, "", "", schemas, size)
        for run, (schemas, size) in sorted(sizes.items(), reverse=True)
        if run not in known and own.issuperset(schemas)
    ]


def _left(connection: Connection, run: records.Run, sizes: Sizes) -> Left:
    """The run's schemas, plus what its flow leaves elsewhere."""
    schemas, size = sizes.get(run.run, ((), 0))
    left = Left(run.run, run.state.value, run.finished_at, schemas, size)
    flow = journalled(run.flow)
    if not flow.left:
        return left
    found: Left = resolve(flow.left)(connection, run, left)
    return found


def clean(connection: Connection, lefts: Sequence[Left]) -> None:
    """Remove it, one transaction per run, if all of it can be removed.

    Raises:
        Refused: another run is at work, or something else depends on what was set aside. The
        problems then list what was already removed.
    """
    if not lefts:
        return
    take_lock(connection)
    if problems := _problems(connection, lefts):
        raise Refused(problems)
    removed: list[Problem] = []
    for left in lefts:
        try:
            with connection.transaction():
                connection.execute("set local synchronous_commit = on")
                _remove(connection, left)
        except Refused as error:  # changes since the first check
            raise Refused([*error.problems, *removed]) from error
        removed.append(Problem(f"run {left.run}", "was removed before this was found"))


def _remove(connection: Connection, left: Left) -> None:
    if left.state and not _is_ended(connection, left.run):
        return  # taken up again
    if problems := _problems(connection, [left]):
        raise Refused(problems)
    drop_kept(connection, _kept_of(left))
    if left.backup:
        drop_backup(connection, left.backup, left.run)
    for table in left.tables:
        connection.execute(sql.SQL("drop table if exists {}").format(identifier(table)))
    if left.state:
        connection.execute("delete from windlass.run where run = %s", (left.run,))


def _problems(connection: Connection, lefts: Sequence[Left]) -> list[Problem]:
    guests = (problem for left in lefts for problem in _guests(connection, left))
    return [*guests, *kept_problems(connection, [_kept_of(left) for left in lefts])]


def _is_ended(connection: Connection, run: str) -> bool:
    state: Any = connection.execute(
        "select state from windlass.run where run = %s for update", (run,)
    ).fetchone()
    return state is not None and State(state[0]) not in UNFINISHED


def _guests(connection: Connection, left: Left) -> list[Problem]:
    """Other users' objects in the schemas. Unknown for a run that the journal has lost."""
    if not left.state or not left.schemas:
        return []
    lines = records.read_lines(connection, left.run)
    own = {move.name for move in moves_in(lines)}
    return guests_in(
        connection, left.schemas, lambda name: name in own or bool(_OF_A_REPAIR.fullmatch(name))
    )
