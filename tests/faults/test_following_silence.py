"""A process that follows and hears nothing for minutes: what was written then arrives, once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from command import start
from cutovers import FOLLOW, moving, until_same
from proxy import Proxy
from servers import Database, Pair
from windlass.demo.ledger import faults

SECONDS = {"source": 60.0, "target": 60.0, "both": 60.0, "process": 300.0}


@pytest.mark.full
@pytest.mark.parametrize("silent", SECONDS)
def test_minutes_of_silence_cost_nothing_but_time(
    logical: Callable[[int], Database], tmp_path: Path, silent: str
) -> None:
    pair = Pair(logical(16), logical(18))
    with (
        moving(pair, tmp_path) as moved,
        Proxy(pair.source.server.port) as source,
        Proxy(pair.target.server.port) as target,
    ):
        moved.follower.kill()
        moved.follower.wait()
        through = {
            "WINDLASS_SOURCE": pair.source.url_for(port=source.port),
            "WINDLASS_TARGET": pair.target.url_for(port=target.port),
        }
        moved.follower = start(*FOLLOW, env=through)
        moved.until_reported()
        stalled = {"source": [source], "target": [target], "both": [source, target]}
        if silent == "process":
            with moved.follower_stopped():
                threading.Event().wait(SECONDS[silent])  # nothing is to happen in it
        else:
            for one in stalled[silent]:
                one.stall()
            threading.Event().wait(SECONDS[silent])
            for one in stalled[silent]:
                one.flow()
        moved.until_reported()
        assert moved.follower.poll() is None, moved.follower.said()
        moved.check()
        moved.ledger.stop()
        until_same(pair)
        assert faults(pair.target.url, tmp_path) == []
        moved.follower.send_signal(signal.SIGKILL)
