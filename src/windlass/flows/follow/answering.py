"""Answers what other commands ask of the process that follows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from windlass.engines.postgres.replication.lsn import Lsn
from windlass.engines.postgres.session import Connection
from windlass.errors import WindlassError
from windlass.flows.follow.lanes import Lanes
from windlass.following.follower import Follower
from windlass.journal.following import answer, note_late, read_asked
from windlass.model.following import Asked, Direction, Phase

log = logging.getLogger(__name__)
PAUSE_SECONDS = 60.0  # after which a pause ends by itself, unless its request says otherwise

Answer = Mapping[str, Any]


class Answering:
    """The requests of one run."""

    def __init__(self, run: str, journal: Connection, lanes: Lanes) -> None:
        self._run, self._journal, self._lanes = run, journal, lanes
        self._paused: tuple[Asked, float] | None = None  # and when the pause ends by itself
        self._acts: dict[str, Callable[[Asked], Answer | None]] = {
            "pause": self._pause,
            "resume": self._resume,
            "reverse": self._reverse,
            "unseal": self._unseal,
            "leave_out": self._leave_out,
        }

    def turn(self, phase: Phase) -> None:
        """Look at what is asked; what takes a while is answered in a later turn."""
        if self._paused and time.monotonic() > self._paused[1]:
            self._resume(self._paused[0])
        for asked in read_asked(self._journal, self._run):
            self._answer(asked)

    def _answer(self, asked: Asked) -> None:
        act = self._acts.get(asked.what)
        try:
            found = act(asked) if act else {"error": f"nobody here can {asked.what}"}
        except WindlassError as error:
            log.warning("request=%s failed: %s", asked.what, error)
            found = {"error": str(error), "hint": error.hint}
        if found is not None:
            with self._journal.transaction():
                answer(self._journal, asked.id, found)

    def _pause(self, asked: Asked) -> Answer | None:
        """Stop before the first transaction that was committed at a position or later; answered
        once everything before it is applied."""
        seconds = float(asked.given.get("seconds", PAUSE_SECONDS))
        follower = self._follower(asked)
        if self._paused is None or self._paused[0].id != asked.id:
            follower.pause(int(asked.given["lsn"]))
            self._paused = (asked, time.monotonic() + seconds)
        return {} if follower.is_paused else None

    def _resume(self, asked: Asked) -> Answer:
        """End the pause. The answer says whether the pause of that request lasted until now."""
        lasted = self._paused is not None and self._paused[0].id == asked.given.get("pause")
        self._follower(asked).resume()
        self._paused = None
        return {"lasted": lasted}

    def _follower(self, asked: Asked) -> Follower:
        """The follower of the requested stream.

        Raises:
            WindlassError: nothing is followed that way.
        """
        wanted = Direction(asked.given.get("direction", Direction.FORWARD))
        for lane in self._lanes:
            if lane.direction is wanted:
                return lane.follower
        raise WindlassError(f"nothing is followed {wanted}")

    def _leave_out(self, asked: Asked) -> Answer | None:
        """Skip what others wrote up to a position, because both sides were found equal there;
        answered once the stream is past the position."""
        direction = Direction(asked.given["direction"])
        if direction is Direction.FORWARD and self._lanes.lost is not None:
            note_late(self._journal, self._run, direction, None)  # no stream can do it
            return {}
        follower = self._follower(asked)
        lsn = Lsn(int(asked.given["lsn"]))
        if not follower.is_sealed or follower.applied_lsn >= lsn:
            return {}
        if not follower.leaves_out:
            follower.leave_out(lsn)
        return None

    def _unseal(self, asked: Asked) -> Answer:
        for lane in self._lanes:
            lane.follower.unseal()
        return {}

    def _reverse(self, asked: Asked) -> Answer | None:
        """Open the way back, and test it; answered once a marker has come back."""
        return self._lanes.reverse()
