"""The frozen `CutoverSpec`: which pair, how long writers may be stopped, and how.

The command decides the direction, and whether it is a rehearsal.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from pydantic import SecretStr

from windlass.spec.choices import Fencing
from windlass.spec.fields.cutover import CUTOVER
from windlass.spec.model import SpecModel, Time, Words, made_from, parse_seconds

field = partial(made_from, CUTOVER)


class CutoverSpec(SpecModel):
    """A cutover, forward or back."""

    flow: ClassVar = "cutover"
    entries: ClassVar = CUTOVER

    source: SecretStr | None = field("source")
    target: SecretStr | None = field("target")
    max_lag: Time = field("max-lag")
    max_freeze: Time = field("max-freeze")
    fence: Fencing = field("fence")
    pgbouncer: SecretStr | None = field("pgbouncer")
    on_switch: str = field("on-switch")
    no_reverse: bool = field("no-reverse")
    no_recopy: bool = field("no-recopy")
    spare: Words = field("spare")

    @property
    def written_database(self) -> SecretStr | None:
        """The database whose journal has the runs."""
        return self.target

    @property
    def max_lag_seconds(self) -> float:
        return parse_seconds(self.max_lag)

    @property
    def max_freeze_seconds(self) -> float:
        return parse_seconds(self.max_freeze)

    @property
    def jobs(self) -> int:
        """Always 1: the steps come one after another."""
        return 1
