"""What undoing a migration would drop and restore, and what of it others have written since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from windlass.engines.postgres.lock import read_holder
from windlass.engines.postgres.referrers import count_referring, read_referrers
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.since import Held, read_guests, read_held
from windlass.flows.ddl import TRANSFERS
from windlass.journal import journal
from windlass.model.outcome import State
from windlass.model.plan import Arrival, Plan, RelationPlan
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.units import bytes_text, count_text, plural

UNFINISHED = (State.RUNNING, State.STOPPED, State.INTERRUPTED)
_RUNS = Name("windlass", "run")
_FORCE = "save them, or roll back with --force"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a rollback would do: ``drops 13 tables (5.9 M rows, 1.2 GB) and restores 3 objects``.
    `written` names what has been written since the run, and would be lost; `blocked` what keeps it
    from being undone at all."""

    summary: str
    written: Sequence[Problem] = ()
    blocked: Sequence[Problem] = ()


def written_since(name: str, rows: int) -> Problem:
    """Why a rollback asks for `force`."""
    message = f"{plural(rows, 'row')} written or deleted since the run ended would be lost"
    return Problem(name, message, _FORCE)


def _written_beside(name: str, rows: int) -> Problem:
    message = f"{plural(rows, 'row')} that the run has not written would be lost"
    return Problem(name, message, _FORCE)


def foresee_migration(connection: Connection, found: journal.Run) -> Foreseen:
    """What undoing it would do, and what others have written to its tables."""
    plan = journal.read_plan(connection, found.run)
    held = {one.name: one for one in _read_held(connection, plan, found.run)}
    filled = _filled(plan)
    dropped = [one for name, one in held.items() if name not in filled]
    parts = [f"drops {_tables(dropped)}"]
    if filled:
        rows = sum(one.rows for name, one in held.items() if name in filled)
        tables = plural(len(filled), "table")
        parts.append(f"empties {tables} ({count_text(rows)} rows) that it filled")
    if plan.set_aside:
        parts.append(f"restores {plural(len(plan.set_aside), 'object')} that it had set aside")
    if found.state in UNFINISHED and found.run in read_holder(connection):
        return Foreseen(", ".join(parts))  # it is being written to
    written = [*_written(connection, found, plan, held), *_guests(connection, plan, found.run)]
    return Foreseen(", ".join(parts), written, _referring(connection, plan))


def _read_held(connection: Connection, plan: Plan, run: str) -> list[Held]:
    return read_held(connection, [one.target for one in plan.relations], _RUNS, "run", run)


def _filled(plan: Plan) -> set[Name]:
    return {one.target for one in plan.relations if one.arrival is Arrival.FILL}


def _tables(held: Sequence[Held]) -> str:
    rows, size = sum(one.rows for one in held), sum(one.size_bytes for one in held)
    return f"{plural(len(held), 'table')} ({count_text(rows)} rows, {bytes_text(size)})"


def _written(
    connection: Connection, found: journal.Run, plan: Plan, held: Mapping[Name, Held]
) -> Iterator[Problem]:
    """Rows of a run's own are as many as its journal says; what is younger than its end is not its
    own. Partitions whose rows enter at one root are counted together. A crash may have emptied
    what an unfinished run has filled, and what is unlogged."""
    copied = _copied(connection, found.run)
    groups: dict[Name, list[RelationPlan]] = defaultdict(list)
    for item in plan.relations:
        if item.target in held:
            groups[item.enters].append(item)
    is_over = found.state not in UNFINISHED
    for enters, items in groups.items():
        some = [held[item.target] for item in items]
        newer = sum(one.newer for one in some) if is_over else 0
        kept = [item for item in items if not held[item.target].may_be_emptied]
        own = sum(copied.get(chunk.id, 0) for item in kept for chunk in item.chunks)
        others = sum(one.rows for one in some) - newer - own
        if is_over and (changed := max(newer + max(others, 0), -others)):
            yield written_since(str(enters), changed)
        elif not is_over and others > 0:
            yield _written_beside(str(enters), others)


def _copied(connection: Connection, run: str) -> dict[str, int]:
    """Rows by chunk."""
    lines = journal.read_lines(connection, run)
    return {line.item: line.rows for line in lines if line.step in TRANSFERS}


def _guests(connection: Connection, plan: Plan, run: str) -> Iterator[Problem]:
    """Partitions that others have attached: DROP TABLE takes them along."""
    made = {one.name for one in plan.statements if one.kind in ("TABLE", "FOREIGN TABLE")}
    guests = read_guests(connection, made)
    held = {one.name: one for one in read_held(connection, list(guests), _RUNS, "run", run)}
    for name, root in guests.items():
        rows = f" with {plural(held[name].rows, 'row')}" if name in held else ""
        message = f"was attached to {root}, and would be dropped with it{rows}"
        yield Problem(str(name), message, "detach it, or roll back with --force")


def _referring(connection: Connection, plan: Plan) -> list[Problem]:
    """Rows elsewhere that refer to what would be emptied: they would be changed, or deleted."""
    filled = _filled(plan)
    going = {one.target for one in plan.relations}
    if not filled:
        return []
    return [
        Problem(
            str(one.relation),
            f"{plural(rows, 'row')} refer to {one.to}, which the run filled",
            "delete them first, or set their columns to null",
        )
        for one in read_referrers(connection)
        if one.to in filled and one.relation not in going
        if (rows := count_referring(connection, one))
    ]
