"""Which migrations this user's commands have begun and not seen the end of.

The journal knows, but it is in the target: where that cannot be reached, this tells a command that
would resume a run from one that would begin it. An empty file for each, named by a hash.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from windlass.flows.migration import parse_sides
from windlass.spec.spec import Spec


def note(spec: Spec) -> None:
    with suppress(OSError):  # nowhere to write: then nobody knows
        path = _path(spec)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch()


def forget(spec: Spec) -> None:
    with suppress(OSError):
        _path(spec).unlink(missing_ok=True)


def is_begun(spec: Spec) -> bool:
    try:
        return _path(spec).exists()
    except OSError:
        return False


def _path(spec: Spec) -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    what = [*map(str, parse_sides(spec)), spec.essence()]
    name = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
    return Path(state, "windlass", "begun", name)
