"""How far a stream is behind: the figures, and how people read them."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from windlass.engines.postgres.replication.trees import Leaf
from windlass.errors import BadSpec
from windlass.flows.follow.outline import FOLLOW
from windlass.flows.follow.published import published
from windlass.flows.migrate.outline import MIGRATE
from windlass.following.pace import CAUGHT_UP_BYTES, Pace, Sample
from windlass.model.event import Followed
from windlass.model.following import Direction, Phase, StreamStatus
from windlass.model.relation import Name
from windlass.progress.lines import LineProgress
from windlass.progress.streams import stream_text
from windlass.spec.migrate import Spec

MB = 1 << 20


def paced(*samples: tuple[float, int, int, int]) -> Pace:
    pace = Pace()
    for at, written, applied, changes in samples:
        pace.add(Sample(at, written, applied, changes))
    return pace


def test_rates_are_those_of_the_last_seconds() -> None:
    pace = paced((0, 0, 0, 0), (100, 50 * MB, 10 * MB, 100), (105, 60 * MB, 40 * MB, 600))
    assert (pace.in_bytes_per_second, pace.out_bytes_per_second) == (2 * MB, 6 * MB)
    assert pace.changes_per_second == 100


def test_the_time_to_catch_up_is_what_is_missing_by_what_is_gained() -> None:
    pace = paced((0, 40 * MB, 0, 0), (10, 60 * MB, 40 * MB, 0))
    assert pace.behind_bytes == 20 * MB
    assert pace.catch_up_seconds == 10


@pytest.mark.parametrize("applied", [0, 5 * MB, 10 * MB])
def test_a_stream_that_does_not_gain_never_catches_up(applied: int) -> None:
    pace = paced((0, 40 * MB, 0, 0), (10, 50 * MB, applied, 0))
    assert pace.catch_up_seconds is None
    text = stream_text(status(catch_up_seconds=None, behind_bytes=40 * MB))
    assert "40.0 MB behind, never at this rate" in text


def test_a_stream_that_keeps_up_is_not_behind() -> None:
    pace = paced((0, MB, MB, 0), (10, 90 * MB + CAUGHT_UP_BYTES, 90 * MB, 0))
    assert pace.catch_up_seconds == 0
    assert "caught up" not in stream_text(status(catch_up_seconds=pace.catch_up_seconds))


def test_the_way_back_is_named_once() -> None:
    back = status(direction=Direction.BACK)
    assert stream_text(back).startswith("back · lag 42 ms · ")
    assert stream_text(back, named=False).startswith("lag 42 ms · ")


def test_nothing_is_known_before_the_second_sample() -> None:
    assert Pace().behind_bytes == 0
    assert paced((0, 9 * MB, 0, 0)).catch_up_seconds is None


def status(**words: object) -> StreamStatus:
    return replace(StreamStatus(Direction.FORWARD, lag_ms=41.6, retained_bytes=16 * MB), **words)  # type: ignore[arg-type]


def test_a_stream_is_one_line_for_people() -> None:
    text = stream_text(status(in_bytes_per_second=2 * MB, room_bytes=64 * MB))
    assert text.startswith("lag 42 ms · in 2.00 MB/s")
    assert text.endswith("16.0 MB of WAL kept, room for 64.0 MB")


def test_a_pipe_gets_a_line_in_ten_seconds_or_when_the_phase_changes() -> None:
    now, out = [0.0], io.StringIO()
    lines = LineProgress(out, clock=lambda: now[0], timestamp=lambda: "T")
    for second in range(25):
        now[0] = float(second)
        lines(Followed(Phase.FOLLOWING if second < 22 else Phase.FREEZING, (status(),)))
    said = out.getvalue().splitlines()
    assert [line.split()[1] for line in said] == [*["phase=following"] * 3, "phase=freezing"]
    assert "direction=forward" in said[0] and "lag_ms=42" in said[0]


def test_the_word_follow_makes_the_spec_one_of_the_flow_follow() -> None:
    assert Spec.of(follow=True).flow == "follow"
    assert Spec.of().flow == Spec.flow == "migrate"


@pytest.mark.parametrize("words", [{"schema_only": True}, {"snapshot": "00000003-0000001B-1"}])
def test_what_cannot_be_followed_is_a_fault_of_the_spec(words: dict[str, object]) -> None:
    with pytest.raises(BadSpec, match="follow"):
        Spec.of(follow=True, **words)


def test_it_has_the_steps_of_a_migration_and_ends_with_following() -> None:
    steps = [step.name for step in FOLLOW.steps]
    assert set(steps) == {step.name for step in MIGRATE.steps} - {"generate_migration_summary"} | {
        "catch_up",
        "end_copy",
        "follow",
    }
    assert steps[-1] == "follow"
    # rows of several snapshots are compared before any change is applied to them, and foreign
    # keys, which need all of one moment, come after it
    assert "validate_content" in FOLLOW.before("catch_up")
    assert "catch_up" in FOLLOW.before("create_foreign_keys")
    assert len(FOLLOW.before("follow")) == len(steps) - 1


ORDERS, LINES, OLD, NEW = (Name("shop", name) for name in ("orders", "lines", "old", "new"))
LEAVES = [Leaf(1, OLD, LINES, True), Leaf(2, NEW, LINES, True)]


def test_a_root_is_published_if_all_of_its_partitions_are_followed() -> None:
    followed = {one: one for one in (ORDERS, OLD, NEW)}
    found = [str(one.name) for one in published(followed, LEAVES, 160000)]
    assert found == [
        "shop.lines",
        "shop.orders",
        "windlass.applied",
        "windlass.marker",
        "windlass.ddl",
    ]


@pytest.mark.parametrize(
    ("followed", "leaves", "version"),
    [
        ([ORDERS, OLD], LEAVES, 160000),  # one is left out
        ([ORDERS, OLD], [LEAVES[0], Leaf(2, NEW, LINES, False)], 160000),  # a foreign table
        ([ORDERS, OLD], LEAVES[:1], 120000),  # which publishes no roots
    ],
)
def test_else_its_partitions_are_published_themselves(
    followed: list[Name], leaves: list[Leaf], version: int
) -> None:
    found = [one.name for one in published({one: one for one in followed}, leaves, version)]
    assert found[:-3] == [ORDERS, OLD]
