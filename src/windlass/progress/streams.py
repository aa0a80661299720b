"""How far a stream of changes is, in one line. Pure."""

from __future__ import annotations

from windlass.model.following import Direction, StreamStatus
from windlass.model.units import bytes_text, count_text, seconds_text

NEARLY_SECONDS = 2.0  # less is not shown


def stream_text(one: StreamStatus, *, named: bool = True) -> str:
    """Lag, rates in and out, time to catch up, and the log that is kept for it. `named`: a stream
    back is marked as such."""
    words = ["back" if named and one.direction is Direction.BACK else ""]
    words.append("no marker yet" if one.lag_ms is None else f"lag {lag_text(one.lag_ms)}")
    if one.applies:
        words += [
            f"in {bytes_text(one.in_bytes_per_second)}/s",
            f"out {bytes_text(one.out_bytes_per_second)}/s",
            f"{count_text(one.changes_per_second)} changes/s",
            catch_up_text(one),
        ]
    words.append(wal_text(one))
    return " · ".join(filter(None, words))


def lag_text(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else seconds_text(milliseconds / 1000)


def catch_up_text(one: StreamStatus) -> str:
    """Empty where it keeps up."""
    if one.catch_up_seconds is None:
        return f"{bytes_text(one.behind_bytes)} behind, never at this rate"
    if one.catch_up_seconds < NEARLY_SECONDS:
        return ""
    return f"caught up in {seconds_text(one.catch_up_seconds)}"


def wal_text(one: StreamStatus) -> str:
    """The log that the slot keeps, and the room that is left."""
    kept = f"{bytes_text(one.retained_bytes)} of WAL kept"
    return kept if one.room_bytes is None else f"{kept}, room for {bytes_text(one.room_bytes)}"
