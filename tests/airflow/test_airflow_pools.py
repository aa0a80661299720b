"""What the holder of a run says: of a pool that is not there or has no room, and of its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from windlass.airflow.board import Board
from windlass.airflow.findings import is_judged, lines_of, unfinished
from windlass.airflow.pools import PoolWatch
from windlass.errors import Refused, WindlassError
from windlass.model.outcome import State
from windlass.model.report import Problem

COPIES = ("transfer_table_data", "transfer_partition")
RUNNING_HOLDER = {"hold_snapshot": "running"}


@dataclass
class Airflow:
    """States of the tasks of one run, as Airflow's task interface gives them."""

    states: dict[str, str | None] = field(default_factory=dict)
    earlier: dict[str, str | None] = field(default_factory=dict)  # of an earlier run

    def get_task_states(self, *, task_ids: Sequence[str] | None, **_: Any) -> dict[str, Any]:
        def is_asked(name: str) -> bool:
            return task_ids is None or any(name.startswith(task) for task in task_ids)

        return {"tonight": {name: state for name, state in self.states.items() if is_asked(name)}}

    def get_ti_count(self, *, states: Sequence[str], **words: Any) -> int:
        states_there = self.states if "run_ids" in words else {**self.states, **self.earlier}
        return sum(state in states for state in states_there.values())


def watch(moments: Iterable[tuple[float, dict[str, str | None]]], **words: Any) -> float | None:
    """Look at these states at these moments: when the watch gives up, or None."""
    airflow = Airflow(earlier=words.pop("earlier", {}))
    calls: dict[str, Any] = {
        "get_task_states": airflow.get_task_states,
        "get_ti_count": airflow.get_ti_count,
    }
    ti: Any = SimpleNamespace(dag_id="it", run_id="tonight", **calls)
    clock = [0.0]
    made = PoolWatch(Board(ti), **{"pool": "few", "tasks": COPIES, **words}, now=lambda: clock[0])
    for clock[0], airflow.states in moments:
        try:
            made()
        except WindlassError:
            return clock[0]
    return None


WAITING: dict[str, str | None] = {**RUNNING_HOLDER, COPIES[0]: "scheduled", COPIES[1]: None}


def every_two_seconds(
    states: dict[str, str | None], until: int = 600
) -> Iterable[tuple[float, dict[str, str | None]]]:
    return ((float(at), states) for at in range(0, until, 2))


def test_a_run_of_which_nothing_is_started_ends_within_two_minutes() -> None:
    ended = watch(every_two_seconds(WAITING))
    assert ended is not None and 60 < ended < 110


def test_what_it_says_names_the_pool_and_no_retry_follows() -> None:
    seen = SimpleNamespace(
        has_started=lambda _: False, is_waiting=lambda _: True, has_ever_run=lambda _: False
    )
    made = PoolWatch(seen, "few", COPIES, patience_seconds=0)
    with pytest.raises(WindlassError, match="no task of the pool 'few' has been started") as caught:
        made()
    assert "Admin, Pools" in caught.value.hint
    assert not caught.value.retryable


def test_a_mapped_instance_that_waits_is_seen_too() -> None:
    assert watch(every_two_seconds({**RUNNING_HOLDER, f"{COPIES[1]}_0": "scheduled"}))


@pytest.mark.parametrize("other", ["running", "queued", "deferred", "up_for_retry"])
def test_a_run_in_which_anything_else_is_at_work_goes_on(other: str) -> None:
    assert watch(every_two_seconds({**WAITING, "transfer_large_objects": other})) is None


def test_a_pool_that_has_given_a_slot_once_is_waited_for_as_long_as_it_takes() -> None:
    """Others may take all of it for hours."""
    once = (0.0, {**WAITING, COPIES[0]: "running"})
    later = ((at + 10, states) for at, states in every_two_seconds(WAITING, 10_000))
    assert watch([once, *later]) is None


def test_a_pool_that_has_worked_in_an_earlier_run_is_full_rather_than_missing() -> None:
    before: dict[str, str | None] = {f"{COPIES[0]} of yesterday": "success"}
    ended = watch(every_two_seconds(WAITING, 10_000), earlier=before)
    assert ended is not None and 3600 <= ended < 3700


def test_once_a_minute_the_log_says_that_the_pool_is_full_or_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before: dict[str, str | None] = {f"{COPIES[0]} of yesterday": "success"}
    watch(every_two_seconds(WAITING, 600), earlier=before)
    assert len(caplog.messages) == 9  # from 90 s on
    what = "if it still exists, others take all its slots; this run waits for an hour"
    assert all(what in line for line in caplog.messages)


def test_the_time_begins_when_the_run_begins_to_wait() -> None:
    busy = [*every_two_seconds({**WAITING, "create_target_tables": "running"}, 300)]
    waiting = [(at + 300, states) for at, states in every_two_seconds(WAITING)]
    ended = watch([*busy, *waiting])
    assert ended is not None and 360 < ended < 410


def test_the_default_pool_is_always_there() -> None:
    assert watch(every_two_seconds(WAITING, 10_000), pool="default_pool") is None


def test_how_long_it_waits_is_a_choice() -> None:
    assert watch(every_two_seconds(WAITING, 3_000), patience_seconds=3600.0) is None


# what it says at the end


def test_a_holder_is_no_second_red_task_of_a_run_that_was_judged() -> None:
    last = "generate_migration_summary"
    assert is_judged(last, [last], {"state": "different"})
    assert is_judged(last, ["trigger_validation_dag", last], {"state": str(State.LOSSY)})
    assert not is_judged(last, [last], {"state": "done"})
    assert not is_judged(last, ["transfer_table_data"], {"state": "different"})
    message, hint = unfinished(["transfer_table_data"])
    assert message == "the run ended with failed tasks: transfer_table_data"
    assert hint == "clear them together with this one to resume"


def test_a_hint_that_many_problems_share_is_said_once() -> None:
    many = [Problem(name, "exists on the target", "drop it") for name in ("a", "b")]
    found = lines_of(Refused([*many, Problem("c", "is odd", "look at it")]))
    assert list(found) == [
        "a: exists on the target",
        "b: exists on the target",
        "remedy: drop it",
        "c: is odd (look at it)",
    ]
