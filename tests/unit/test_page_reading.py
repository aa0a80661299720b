"""What the page of `windlass serve` reads: a target that is slow, gone or broken harms no other."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from windlass.errors import ConnectionLost, Refused
from windlass.model.report import Problem
from windlass.web import reading
from windlass.web.reading import Shared
from windlass.web.serving import begin


class Target:
    """Answers with what it is given, or raises it; `release` lets a slow one answer."""

    def __init__(self, *answers: Any) -> None:
        self._answers: Iterator[Any] = iter(answers)
        self._free = threading.Event()
        self._free.set()
        self.asked = threading.Semaphore(0)

    def __call__(self) -> str:
        answer = next(self._answers)
        self.asked.release()
        assert self._free.wait(20)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    @contextmanager
    def slow(self) -> Iterator[Callable[[], None]]:
        self._free.clear()
        try:
            yield self._free.set
        finally:
            self._free.set()


def shared(target: Target) -> Shared[str]:
    return Shared(target, asyncio.Semaphore(2))


@pytest.fixture(autouse=True)
def nothing_stays_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(reading, "SLOWER", 0.0)


async def again(found: Shared[str], patience: float = 20) -> tuple[str | None, str]:
    read = await found.get(patience)
    return read.value, read.fault


def test_who_waits_for_a_slow_target_sees_what_was_known_and_then_what_is_new() -> None:
    async def look() -> None:
        target = Target("old", "new")
        found = shared(target)
        assert await again(found) == ("old", "")
        with target.slow() as release:
            value, fault = await again(found, 0.01)
            assert (value, "has not answered" in fault) == ("old", True)
            assert (await again(found, 0.01))[0] == "old"  # and it is asked once, not twice
            release()
            assert await again(found) == ("new", "")

    asyncio.run(look())


def test_who_comes_while_the_page_gets_ready_waits_as_long_as_others() -> None:
    async def look() -> None:
        target = Target("new")
        found = shared(target)
        with target.slow() as release:
            assert await again(found, 0) == (None, "has not answered for 0 seconds; still waiting")
            await asyncio.to_thread(target.asked.acquire)
            await asyncio.sleep(0.05)
            waiting = asyncio.create_task(again(found, 0.04))
            done, _ = await asyncio.wait({waiting}, timeout=0.01)
            assert not done
            await waiting
            release()
            assert await again(found) == ("new", "")

    asyncio.run(look())


ENDING = """
import asyncio, time
from dataclasses import dataclass
from threading import Event
from pydantic import TypeAdapter
from windlass.web.threads import end_with_threads, in_thread

begun = Event()

@dataclass
class Slow:
    a: int
    def __post_init__(self):
        begun.set()
        time.sleep(0.01)

async def begin():
    text = b"[" + b",".join([b'{"a": 1}'] * 2000) + b"]"
    reading = asyncio.create_task(in_thread(TypeAdapter(list[Slow]).validate_json, text))
    while not begun.is_set():
        await asyncio.sleep(0.01)
    reading.cancel()

asyncio.run(begin())
end_with_threads(7)
"""


def test_a_reading_in_the_middle_of_a_plan_does_not_crash_the_end_of_the_page() -> None:
    done = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (7, b"")


def test_a_target_that_was_never_read_and_does_not_answer_is_shown_as_such() -> None:
    async def look() -> None:
        target = Target("late")
        with target.slow():
            value, fault = await again(shared(target), 0.01)
            assert (value, "has not answered" in fault) == (None, True)

    asyncio.run(look())


def test_what_was_known_is_kept_while_a_target_is_gone_and_forgotten_if_the_run_is() -> None:
    gone = ConnectionLost("no route to host")
    missing = Refused([Problem("run x", "is not in the target's journal")])

    async def look() -> None:
        found = shared(Target("old", gone, missing, gone))
        assert await again(found) == ("old", "")
        value, fault = await again(found)
        assert (value, "no route" in fault) == ("old", True)
        for _ in (missing, gone):
            value, fault = await again(found)
            assert value is None
            assert "not in the target's journal" in fault or "no route" in fault

    asyncio.run(look())


def test_an_error_that_nobody_expects_is_of_one_target_alone() -> None:
    async def look() -> None:
        value, fault = await again(shared(Target(KeyError("secret"))))
        assert (value, "KeyError" in fault, "secret" in fault) == (None, True, False)

    asyncio.run(look())


def test_what_was_being_read_before_a_change_is_not_shown_after_it() -> None:
    async def look() -> None:
        target = Target("before", "after")
        found = shared(target)
        with target.slow() as release:
            early = asyncio.create_task(found.get(20))
            await asyncio.to_thread(target.asked.acquire)
            found.expire()
            late = asyncio.create_task(found.get(20))
            await asyncio.to_thread(target.asked.acquire)
            release()
            assert (await early).value == "before"
            assert (await late).value == "after"

    asyncio.run(look())


def test_what_fails_at_the_start_of_the_page_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise KeyError("no such template")

    site: Any = SimpleNamespace(render=SimpleNamespace(get_ready=fail), reader=None, targets=())

    async def get_ready() -> None:
        await asyncio.wait({begin(site)})

    asyncio.run(get_ready())
    (found,) = [one for one in caplog.records if one.name == "windlass.web.serving"]
    assert found.getMessage() == "getting the page ready failed"
    assert found.exc_info is not None and "no such template" in str(found.exc_info[1])
