"""What undoing a migration would drop and restore, and what others have written there since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from windlass.engines.postgres.catalog import read_sequence_owners
from windlass.engines.postgres.largeobjects import count_changed
from windlass.engines.postgres.lock import read_holder
from windlass.engines.postgres.referrers import count_referring, read_referrers
from windlass.engines.postgres.sequences import read_sequences
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.since import Held, read_attached, read_held
from windlass.flows.migrate.portions import BEFORE, IN_ORDER, SET_SEQUENCES, TRANSFERS
from windlass.flows.migrate.succession import later_problems
from windlass.journal import records
from windlass.model.outcome import UNFINISHED
from windlass.model.past import Foreseen
from windlass.model.plan import Arrival, Plan, RelationPlan
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.statement import Phase
from windlass.model.units import bytes_text, count_text, plural
from windlass.model.wording import word

_FOLLOWED = "the copy, by following or by others,"
_FORCE = f"save them, or roll back with {word('force')}"


def written_since(name: str, rows: int, since: str = "the run ended") -> Problem:
    """Why a rollback requires `force`."""
    message = f"{plural(rows, 'row')} written or deleted since {since} would be lost"
    return Problem(name, message, _FORCE)


def _written_beside(name: str, rows: int) -> Problem:
    message = f"{plural(rows, 'row')} that the run has not written would be lost"
    return Problem(name, message, _FORCE)


def written_in(connection: Connection, plan: Plan, names: Collection[Name]) -> list[Problem]:
    """Rows in these tables that the run did not write, and partitions that others attached to
    them."""
    held = read_held(connection, list(names), records.transactions(plan.run))
    return [
        *(_written_beside(str(one.name), one.others) for one in held if one.others),
        *_guests(connection, plan, names),
    ]


def foresee_migration(connection: Connection, found: records.Run) -> Foreseen:
    """What undoing it would do, what others wrote to its tables, and which runs come first."""
    foreseen = foresee_undo(connection, found)
    later = later_problems(connection, found)
    return replace(foreseen, blocked=[*later, *foreseen.blocked])


def foresee_undo(connection: Connection, found: records.Run) -> Foreseen:
    """As `foresee_migration`, if no later run has taken over what it made."""
    plan = records.read_plan(connection, found.run)
    held = {one.name: one for one in _read_held(connection, plan, found.run)}
    filled = _filled(plan)
    dropped = [one for name, one in held.items() if name not in filled]
    parts = [f"drops {_tables(dropped)}"]
    if filled:
        rows = sum(one.rows for name, one in held.items() if name in filled)
        tables = plural(len(filled), "table")
        parts.append(f"empties {tables} ({count_text(rows)} rows) that it filled")
    lines = records.read_lines(connection, found.run)
    notes = _Notes(lines)
    objects = notes.large_objects
    if objects:
        parts.append(f"removes {plural(len(objects), 'large object')}")
    if plan.set_aside:
        parts.append(f"restores {plural(len(plan.set_aside), 'object')} that it had set aside")
    if found.state in UNFINISHED and found.run in read_holder(connection):
        return Foreseen(", ".join(parts))  # it is being written to
    written = [
        *_written(found, plan, held, lines),
        *_guests(connection, plan),
        *_rewritten(connection, found.run, objects),
        *_drawn_from(connection, notes),
    ]
    return Foreseen(", ".join(parts), written, _referring(connection, plan))


def _read_held(connection: Connection, plan: Plan, run: str) -> list[Held]:
    names = [one.target for one in plan.relations]
    return read_held(connection, names, records.transactions(run))


def _filled(plan: Plan) -> set[Name]:
    return {one.target for one in plan.relations if one.arrival is Arrival.FILL}


def _tables(held: Sequence[Held]) -> str:
    rows, size = sum(one.rows for one in held), sum(one.size_bytes for one in held)
    return f"{plural(len(held), 'table')} ({count_text(rows)} rows, {bytes_text(size)})"


def _written(
    found: records.Run, plan: Plan, held: Mapping[Name, Held], lines: Iterable[records.Line]
) -> Iterator[Problem]:
    """What other transactions wrote and, for a finished run, what they deleted, as the journal has
    the number of its rows. Partitions whose rows enter through the same root are counted together.
    A crash may have emptied relations that an unfinished run filled, and unlogged relations."""
    copied = {line.item: line.rows for line in lines if line.step in TRANSFERS}
    groups: dict[Name, list[RelationPlan]] = defaultdict(list)
    for item in plan.relations:
        if item.target in held:
            groups[item.enters].append(item)
    is_over = found.state not in UNFINISHED
    for enters, items in groups.items():
        some = [held[item.target] for item in items]
        others = sum(one.others for one in some)
        kept = [item for item in items if not held[item.target].may_be_emptied]
        own = sum(copied.get(chunk.id, 0) for item in kept for chunk in item.chunks)
        lacking = own - (sum(one.rows for one in some) - others)
        if is_over and (changed := max(others, lacking)):
            since = _FOLLOWED if found.flow == "follow" else "the run ended"
            yield written_since(str(enters), changed, since)
        elif not is_over and others:
            yield _written_beside(str(enters), others)


def _guests(
    connection: Connection, plan: Plan, roots: Collection[Name] | None = None
) -> Iterator[Problem]:
    """Partitions that others attached, to these roots if some are given: DROP TABLE would drop them
    too."""
    made = {one.name for one in plan.statements if one.kind in ("TABLE", "FOREIGN TABLE")}
    dropped = made if roots is None else made.intersection(roots)
    guests = {
        name: root
        for name, root in read_attached(connection)
        if root in dropped and name not in made
    }
    own = records.transactions(plan.run)
    held = {one.name: one for one in read_held(connection, list(guests), own)}
    for name, root in guests.items():
        rows = f" with {plural(held[name].rows, 'row')}" if name in held else ""
        message = f"was attached to {root}, and would be dropped with it{rows}"
        yield Problem(str(name), message, f"detach it, or roll back with {word('force')}")


class _Notes:
    """What a run did, according to its lines."""

    def __init__(self, lines: Sequence[records.Line]) -> None:
        self._lines = {(line.step, line.item): line.note or {} for line in lines}

    @property
    def large_objects(self) -> list[int]:
        """The large objects that it copied."""
        return [oid for note in self._lines.values() for oid in note.get("large_objects", ())]

    @property
    def sequences(self) -> dict[Name, list[Any]]:
        """Sequences that existed before it, with the state that it set."""
        were = self._lines.get((IN_ORDER[Phase.SCHEMA], BEFORE), {}).get("sequences", ())
        given = self._lines.get((SET_SEQUENCES, ""), {}).get("values", {})
        names = [Name(schema, name) for schema, name, *_ in were]
        return {name: given[str(name)] for name in names if str(name) in given}


def _drawn_from(connection: Connection, notes: _Notes) -> Iterator[Problem]:
    """Sequences that would be reset, although values were drawn since."""
    given = notes.sequences
    there = {one.name for one in read_sequence_owners(connection)} if given else set()
    for now in read_sequences(connection, sorted(there & given.keys()), side="target"):
        if [now.last_value, now.is_called] != given[now.name]:
            message = "was used since the run ended, and would give the same values again"
            yield Problem(f"sequence {now.name}", message, f"roll back with {word('force')}")


def _rewritten(connection: Connection, run: str, oids: Sequence[int]) -> Iterator[Problem]:
    if changed := count_changed(connection, oids, records.transactions(run)):
        message = f"{changed:,} of those that the run copied were changed since, and would be lost"
        yield Problem("large objects", message, _FORCE)


def _referring(connection: Connection, plan: Plan) -> list[Problem]:
    """Rows of other tables that refer to emptied ones: they would be changed or deleted."""
    filled = _filled(plan)
    if not filled:
        return []
    attached = read_attached(connection)
    going = {one.target for one in plan.relations}
    staying = {root for name, root in attached if name not in going}
    going |= {root for name, root in attached if name in going} - staying
    filled |= {root for name, root in attached if name in filled}
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
