"""The end of a run as plain data: the published result, which shells print and schedulers keep."""

from __future__ import annotations

from windlass.model.outcome import Outcome


def outcome_json(outcome: Outcome) -> dict[str, object]:
    """All of an outcome, with its sums."""
    return {
        **outcome.as_dict(),
        "losses": [loss.to_json() for loss in outcome.losses],
        "rows": outcome.rows,
        "bytes": outcome.bytes,
    }
