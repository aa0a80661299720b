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
from windlass.run.hints import SAME

MOST_NAMED = 20
_DOUBLED = "doubled"


def read_now(run: CuttingOver, detail: Mapping[str, Any]) -> Mapping[str, list[str]]:
    """The details of a run that say what differs, as of now."""
    assert run.plan is not None, "it was found"
    new = _read_new(run, detail)
    return {
        APART: differ(*_sides(run), run.plan, is_published=run.way is FORTH),
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
    new, side = _read_new(run, read_detail(run)), run.way.closes.name.lower()
    if new.missing:
        raise TakenBack(
            f"{several(new.missing, MOST_NAMED)}: new on the {side}, and not followed",
            hint=new_hint(run.way.opens.name.lower()),
            stopped_by="schema_change",
        )
    if new.sequences:  # those that were there before are in the order
        names = [str(name) for name, _ in new.sequences]
        raise TakenBack(
            f"{several(names, MOST_NAMED)}: created on both sides while this command ran, so not"
            " set on the other one",
            hint=f"{SAME}: it sets what is there when it begins",
            stopped_by="schema_change",
        )


def note_target(run: CuttingOver) -> None:
    """Note what the target has before applications create tables there."""
    if run.way is FORTH:
        assert run.plan is not None, "it was found"
        names = [str(one.name) for one in of_target(run.pair.opened, run.plan)]
        note_detail(run.pair.journal, run.run_id, {OF_TARGET: names})


def _read_new(run: CuttingOver, detail: Mapping[str, Any]) -> Unfollowed:
    assert run.plan is not None, "it was found"
    read = new_on_source if run.way is FORTH else new_on_target
    return read(*_sides(run), run.plan, detail)


def _sides(run: CuttingOver) -> tuple[Any, Any]:
    pair = run.pair
    return (pair.closed, pair.opened) if run.way is FORTH else (pair.opened, pair.closed)
