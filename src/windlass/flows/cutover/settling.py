"""Settles what a cutover that died has left, without starting another one."""

from __future__ import annotations

from windlass.engines.postgres.errors import explaining
from windlass.flows.cutover.context import CuttingOver
from windlass.flows.cutover.finding import settle_run
from windlass.model.event import Emit
from windlass.model.following import Phase
from windlass.spec.cutover import CutoverSpec


def settle(spec: CutoverSpec, emit: Emit, *, back: bool = False) -> Phase | None:
    """Undo or complete whatever a dead cutover left, and return the phase of the run that follows;
    None if there is no such run. `back` is the direction of the cutover that may have died.

    Raises:
        BadSpec: the spec names no databases.
        Refused: another cutover is in progress, or these are other databases.
    """
    with (
        CuttingOver(spec, emit, back=back) as run,
        explaining("looking for a cutover that died", side="windlass"),
    ):
        return settle_run(run)
