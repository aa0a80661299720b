"""Metrics of runs while they last, read back by Prometheus' own parser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from windlass.metrics.live import LIVE_FAMILIES, live_samples
from windlass.metrics.text import written
from windlass.model.following import Direction, FollowingStatus, Phase, StreamStatus
from windlass.model.outcome import Progress, RunStatus, State

RUN = RunStatus(
    "20261130_0600_abcd",
    State.RUNNING,
    'shop "old" on a:5432 (PostgreSQL 16.14)',
    "2026-11-30T06:00:00",
    "",
    active=True,
    progress=Progress(2, 5, 100, 2048, bytes_planned=8192),
)
STREAM = StreamStatus(
    Direction.FORWARD, lag_ms=250.0, behind_bytes=10, changes=7, retained_bytes=100, room_bytes=900
)
FOLLOWED = replace(
    RUN,
    flow="follow",
    following=FollowingStatus(Phase.FOLLOWING, 1.0, (STREAM,), blockers=("wait", "and wait")),
)


def read(found: Sequence[RunStatus] | None) -> dict[str, list[tuple[dict[str, str], float]]]:
    """The values of each metric, as Prometheus reads them."""
    text = written(live_samples({"shop on b:5432": found}))
    kept: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            kept.setdefault(one.name, []).append((one.labels, one.value))
    return kept


def test_a_run_is_measured_by_the_names_of_both_databases() -> None:
    found = read([RUN])
    labels = {"flow": "migrate", "source": 'shop "old" on a:5432', "target": "shop on b:5432"}
    assert found["windlass_live_bytes"] == [(labels, 2048)]
    assert found["windlass_live_relations_done"] == [(labels, 2)]
    assert found["windlass_live_active"] == [(labels, 1)]
    assert found["windlass_target_up"] == [({"target": "shop on b:5432"}, 1)]


def test_only_the_newest_run_of_a_flow_has_series() -> None:
    older = replace(RUN, run="20261129_0600_abcd", active=False, progress=Progress(rows=7))
    assert [value for _, value in read([RUN, older])["windlass_live_rows"]] == [100]


def test_a_run_that_follows_has_its_phase_and_its_streams() -> None:
    found = read([FOLLOWED])
    phases = {labels["phase"]: value for labels, value in found["windlass_follow_phase"]}
    assert phases.pop("following") == 1
    assert set(phases.values()) == {0}
    assert found["windlass_follow_lag_seconds"][0][1] == 0.25
    assert found["windlass_follow_changes_total"][0][0]["direction"] == "forward"
    assert found["windlass_follow_blockers"][0][1] == 2
    assert found["windlass_follow_room_bytes"][0][1] == 900
    assert "windlass_follow_lag_p99_seconds" not in found  # it is not known
    assert set(found) <= {family.name for family in LIVE_FAMILIES}


def test_a_target_that_cannot_be_read_is_down() -> None:
    assert read(None) == {"windlass_target_up": [({"target": "shop on b:5432"}, 0)]}
