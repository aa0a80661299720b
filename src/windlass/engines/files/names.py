"""Names of fields: each has one, and no two have the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from windlass.errors import BadRecord
from windlass.model.load import BadValue

HINT = "give names for the fields"


def named(place: str, line: int, names: Sequence[str]) -> tuple[str, ...]:
    """Raises:
    BadRecord: a name is missing or doubled. Has all of them.
    """
    bad = [
        BadValue(place, 0, f"name {at} of the header is empty", line)
        for at, name in enumerate(names, 1)
        if not name
    ]
    bad += [
        BadValue(place, 0, f"the header has {count} fields with this name", line, name)
        for name, count in Counter(filter(None, names)).items()
        if count > 1
    ]
    if bad:
        raise BadRecord(bad, hint=HINT)
    return tuple(names)
