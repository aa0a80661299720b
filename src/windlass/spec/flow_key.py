"""Which flow a spec is for: its key ``flow`` says so.

Without it, a key that one flow cannot do without decides (`table`, `to`); else it is a migration's.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from windlass.errors import BadSpec

FLOWS = ("migrate", "rewrite", "export")  # that a spec can be for
_DECIDED_BY = {"table": "rewrite", "to": "export"}  # keys that no other flow has


def flow_of(data: Mapping[str, Any]) -> str:
    """The flow of a spec's keys.

    Raises:
        BadSpec: they name one that there is not.
    """
    if "flow" not in data:
        return next((flow for key, flow in _DECIDED_BY.items() if key in data), "migrate")
    named = data["flow"]
    if isinstance(named, str) and named in FLOWS:
        return named
    text = str(named)[:30]
    near = difflib.get_close_matches(text, FLOWS, n=1)
    rather = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(FLOWS)}"
    raise BadSpec([f"flow: {text!r} is not a flow; {rather}"])


def without_flow(data: Mapping[str, Any]) -> dict[str, Any]:
    """A spec's other keys, which are its model's."""
    return {key: value for key, value in data.items() if key != "flow"}


def keys_for(flow: str, data: Mapping[str, Any], path: Path | None = None) -> dict[str, Any]:
    """The other keys of a spec that has to be for this flow.

    Raises:
        BadSpec: it says that it is for another one.
    """
    if "flow" in data and (found := flow_of(data)) != flow:
        hint = f"run windlass {found} -f {path}" if path else ""
        raise BadSpec([f"flow: this is a spec for {found}, not for {flow}"], hint=hint)
    return without_flow(data)
