"""What the side that is left has, and the other one would lack: read as of now, as the process that
follows compares only every few seconds, and only before a cutover."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from windlass.errors import TakenBack
from windlass.flows.cutover.context import CuttingOver
from windlass.flows.cutover.finding import read_detail
from windlass.flows.follow.definitions import SEEN, differ
from windlass.flows.follow.unfollowed import (
    OF_TARGET,
    Unfollowed,
    new_on_source,
    new_on_target,
    of_target,
)
from windlass.following.blocking import new_hint
from windlass.following.definitions import APART, NEW
from windlass.following.reopening import FORTH
from windlass.journal.following import note_detail
from windlass.model.units import several

MOST_NAMED = 20
_DOUBLED = "doubled"


def read_now(run: CuttingOver, detail: Mapping[str, Any]) -> Mapping[str, list[str]]:
    """The details of a run that say what differs, as of now."""
    assert run.plan is not None, "it was found"
    apart = differ(*_sides(run), run.plan)
    if run.way is FORTH:  # what only the process that follows has noticed
        apart = [*dict.fromkeys([*apart, *detail.get(APART, ())])]
    new = _read_new(run, detail)
    return {
        APART: apart,
        NEW: [*new.missing[:MOST_NAMED]],
        _DOUBLED: [*new.doubled[:MOST_NAMED]],
    }


def told(run: CuttingOver, detail: Mapping[str, Any]) -> Iterator[str]:
    """Notices, before anybody confirms."""
    side = run.way.closes.name.lower()
    if names := detail.get(_DOUBLED):
        yield (
            f"not followed, as it was created on the {side} since: {several(names, MOST_NAMED)}."
            " The other side has it as well, with its own rows"
        )
    if run.way is FORTH and (statements := detail.get(SEEN)):
        yield (
            f"changed on the source while it was followed: {'; '.join(statements)}. What no row"
            " shows of it, such as a view or an index, the target has only if you have created it"
        )


def check_again(run: CuttingOver) -> None:
    """Once nobody writes any more.

    Raises:
        TakenBack: something was created since the blockers were read.
    """
    if missing := _read_new(run, read_detail(run)).missing:
        side, other = run.way.closes.name.lower(), run.way.opens.name.lower()
        raise TakenBack(
            f"{several(missing, MOST_NAMED)}: new on the {side}, and not followed",
            hint=new_hint(other),
            stopped_by="schema_change",
        )


def note_target(run: CuttingOver) -> None:
    """Note what the target has before applications create tables there."""
    if run.way is FORTH:
        assert run.plan is not None, "it was found"
        found = of_target(run.pair.opened, run.plan, read_detail(run))
        note_detail(run.pair.journal, run.run_id, {OF_TARGET: [str(name) for name in found]})


def _read_new(run: CuttingOver, detail: Mapping[str, Any]) -> Unfollowed:
    assert run.plan is not None, "it was found"
    read = new_on_source if run.way is FORTH else new_on_target
    return read(*_sides(run), run.plan, detail)


def _sides(run: CuttingOver) -> tuple[Any, Any]:
    pair = run.pair
    return (pair.closed, pair.opened) if run.way is FORTH else (pair.opened, pair.closed)
