"""What journals have for people besides the runs themselves: logs, plans, and who did what.

`windlass.api` has the functions for runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from windlass.errors import WindlassError
from windlass.flows.registry import PAST_AT, flow_named
from windlass.model.event import Emit
from windlass.model.flow import resolve
from windlass.spec.model import SpecModel

if TYPE_CHECKING:
    from windlass.model.acts import Act
    from windlass.model.logged import LogPart, Noted
    from windlass.model.outcome import Outcome
    from windlass.model.past import Past
    from windlass.run.logbook import Write

Where = str | SpecModel
"""A target, whose journal has its runs; or a spec of any flow."""


def open_past(
    where: Where, purpose: str, emit: Emit | None = None, *, looking: bool = False
) -> Past:
    """The runs that are known there. `purpose` names the session; blocking sessions are reported to
    `emit`. `looking`: change nothing, not even the version of an older journal; one that cannot be
    read as it is, is refused."""
    opened = resolve(PAST_AT if isinstance(where, str) else flow_named(where.flow).past)
    past: Past = opened(where, purpose, emit)
    if looking:
        past.only_look()
    return past


def read_log(
    where: Where,
    run: str,
    start: int = 0,
    most: int = 200,
    *,
    with_items: bool = False,
    looking: bool = False,
) -> LogPart:
    """Entries of the log of a run, the newest first. `with_items`: with every piece of work that is
    done. `looking` as of `open_past`.

    Raises:
        Refused: no such run is known there.
        WindlassError: it cannot be read.
    """
    with open_past(where, "windlass status", looking=looking) as past:
        return past.log(run, start, most, with_items=with_items)


def read_plan(where: Where, run: str, *, looking: bool = False) -> Mapping[str, Any] | None:
    """The plan of a migration, as ``windlass plan --json`` prints it; None of any other run.
    `looking` as of `open_past`.

    Raises:
        Refused: no such run is known there.
        WindlassError: it cannot be read.
    """
    with open_past(where, "windlass status", looking=looking) as past:
        return past.plan(run)


def begin_act(target: str, act: Act) -> str:
    """Record in the target's journal that a person does something with a run, before it is done;
    returns the record's id.

    Raises:
        BadSpec: it is no PostgreSQL database.
        WindlassError: it cannot be reached, or its journal cannot be written.
    """
    from windlass.flows.past import JournalPast

    with JournalPast(target, "windlass control") as past:
        return past.begin_act(act)


def end_act(target: str, number: str, result: str) -> None:
    """Record how it ended.

    Raises:
        BadSpec, WindlassError: as `begin_act`.
    """
    from windlass.flows.past import JournalPast

    with JournalPast(target, "windlass control") as past:
        past.end_act(number, result)


def with_past(where: Where, ended: Outcome) -> Outcome:
    """The outcome of a command that ended a run, with all that its journal has of the run.
    As it is, if the run has not ended, or the journal cannot be read."""
    from windlass.model.outcome import State  # a plan needs no outcome
    from windlass.run.reporting import past_outcome

    if ended.state not in (State.DONE, State.ABANDONED):
        return ended
    try:
        with open_past(where, "windlass status") as found:
            detail = found.detail(ended.run)
    except WindlassError:
        return ended
    past = past_outcome(detail, flow_named(detail.status.flow))
    notices = (*past.notices, *ended.notices)
    return replace(past, state=ended.state, reason=ended.reason, notices=notices)


def log_writer(spec: Any) -> Write | None:
    """What writes the log of a run into the journal of the database that a spec writes to; None
    where its journal keeps no log."""
    secret = getattr(spec, "written_database", None)
    if secret is None:
        return None
    target = secret.get_secret_value()
    return lambda run, process, notes: _note(target, run, process, notes)


def _note(target: str, run: str, process: str, notes: Sequence[Noted]) -> bool:
    """As `windlass.run.logbook.Write`. Journals of other engines keep no log."""
    from windlass.engines.registry import engine_of
    from windlass.flows.past import JournalPast

    if engine_of(target, "target").schemes[0] != "postgresql":
        return False
    with JournalPast(target, "windlass log") as past:
        return past.note(run, process, notes)


def outcome_text(outcome: Outcome) -> str:
    """An outcome as a journal holds it, for another process."""
    from windlass.journal import records

    return records.outcome_text(outcome)


def read_outcome(text: str) -> Outcome:
    """The outcome that `outcome_text` has made."""
    from windlass.journal import records

    return records.read_outcome(text)
