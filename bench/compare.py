"""Two results of one benchmark: which figures differ by more than noise."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from bench.result import Case, Metric, Result, Spread

NOISE = 0.10
"""Medians of the same code on a quiet machine have differed by this much."""

COMPARED = (Metric.SECONDS, Metric.CPU_SECONDS, Metric.PEAK_MB)
"""Of all of them less is better."""


class Verdict(StrEnum):
    WITHIN_NOISE = "within noise"
    BETTER = "better"
    WORSE = "worse"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Change:
    """A figure of the old result beside that of the new one."""

    case: Case
    metric: Metric
    old: Spread
    new: Spread | None

    @property
    def verdict(self) -> Verdict:
        """Noise is what overlaps, and medians that are close."""
        if self.new is None:
            return Verdict.MISSING
        overlap = _low(self.old) <= _high(self.new) and _low(self.new) <= _high(self.old)
        if overlap or abs(self.new.median / self.old.median - 1) <= NOISE:
            return Verdict.WITHIN_NOISE
        return Verdict.BETTER if self.new.median < self.old.median else Verdict.WORSE


def compare(old: Result, new: Result) -> Iterator[Change]:
    """Every figure of `old` that can be better or worse, with that of `new`."""
    others = {(case.group, case.name): case for case in new.cases}
    for case in old.cases:
        other = others.get((case.group, case.name))
        for metric in COMPARED:
            if before := case.spread(metric):
                yield Change(case, metric, before, other.spread(metric) if other else None)


def unlike(old: Result, new: Result) -> list[str]:
    """What else than the code differs between two results, and may be why figures do."""
    facts = {
        "data": (old.data, new.data),
        "machine": (old.surroundings.machine, new.surroundings.machine),
        "versions": (old.surroundings.versions, new.surroundings.versions),
        "server settings": (old.surroundings.server_settings, new.surroundings.server_settings),
    }
    return [name for name, (before, after) in facts.items() if before != after]


def _low(spread: Spread) -> float:
    return spread.median if spread.low is None else spread.low


def _high(spread: Spread) -> float:
    return spread.median if spread.high is None else spread.high
