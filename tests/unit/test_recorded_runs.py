"""The display of real migrations, as `python -m bench run estimates --keep` recorded them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.recording import read_recording
from windlass.progress.tally import Tally

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.jsonl.gz"))
NAMES = [path.name.partition(".")[0] for path in RECORDED]
FACTOR = 1.5
OFTEN = 0.9  # of all looks
AHEAD = 0.1  # of the whole: the bar is a forecast as well
LOOKS = 200
LEAST_SECONDS = 1.5  # when less is left, the display is at its end


@dataclass(frozen=True)
class Look:
    over: float  # of the run's time
    bar: float
    said: float | None
    left: float

    @property
    def is_right(self) -> bool:
        return self.said is None or self.left / FACTOR <= self.said <= self.left * FACTOR


def looks(path: Path) -> Iterator[Look]:
    events = read_recording(path)
    end = events[-1][0]
    tally, at = Tally(), 0
    for look in range(1, LOOKS):
        now = end * look / LOOKS
        while at < len(events) and events[at][0] <= now:
            tally.add(events[at][1], events[at][0])
            at += 1
        yield Look(look / LOOKS, tally.fraction(now), tally.seconds_left(now), end - now)


def test_there_are_recordings() -> None:
    assert len(RECORDED) >= 6


@pytest.mark.parametrize("path", RECORDED, ids=NAMES)
def test_time_left_is_right_within_a_factor_after_the_first_tenth(path: Path) -> None:
    seen = [one for one in looks(path) if one.over >= 0.1 and one.left > LEAST_SECONDS]
    wrong = [one for one in seen if not one.is_right]
    assert len(wrong) <= (1 - OFTEN) * len(seen), wrong


@pytest.mark.parametrize("path", RECORDED, ids=NAMES)
def test_the_bar_never_runs_ahead_and_never_goes_back(path: Path) -> None:
    seen = list(looks(path))
    assert [one for one in seen if one.bar > one.over + AHEAD] == []
    bars = [one.bar for one in seen]
    assert bars == sorted(bars)
