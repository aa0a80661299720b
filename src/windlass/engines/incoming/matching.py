"""The errors of rows that match others by their key, but must not."""

from __future__ import annotations

from windlass.engines.incoming.shape import matching_key
from windlass.errors import Refused, WindlassError
from windlass.model.load import Load
from windlass.model.report import Problem


def ambiguous(load: Load) -> WindlassError:
    key = ", ".join(matching_key(load))
    return WindlassError(
        f"{load.name}: several rows of the table have the same key ({key})",
        hint="nothing was loaded; keep one row of each key, or load by another key",
    )


def already_there(load: Load, rows: int) -> Refused:
    key = ", ".join(load.words.key)
    message = f"{rows:,} of the input's rows are in the table already, by their key ({key})"
    hint = "nothing was loaded; `merge` updates such rows, `insert` leaves them as they are"
    return Refused([Problem(load.name, message, hint)])
