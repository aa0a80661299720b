"""Source and target of a spec, with every fault of both at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from windlass.errors import BadSpec
from windlass.model.wording import word
from windlass.spec.migrate import Spec

S = TypeVar("S")
T = TypeVar("T")


def both_sides(
    spec: Spec, open_source: Callable[[str], S], open_target: Callable[[str], T]
) -> tuple[S, T]:
    """Raises:
    BadSpec: source or target is missing or cannot be read.
    """
    faults: list[str] = []
    source, target = None, None
    if spec.source is None:
        faults.append(f"no source: give {word('source')}, or set WINDLASS_SOURCE")
    else:
        try:
            source = open_source(spec.source.get_secret_value())
        except BadSpec as error:
            faults += error.faults
    if spec.target is None:
        faults.append(f"no target: give {word('target')}, or set WINDLASS_TARGET")
    else:
        try:
            target = open_target(spec.target.get_secret_value())
        except BadSpec as error:
            faults += error.faults
    if source is None or target is None:
        raise BadSpec(faults)
    return source, target
