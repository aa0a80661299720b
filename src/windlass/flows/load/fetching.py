"""Fetches what a run of loads will read, before it begins: for schedulers that do so in a separate
task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from windlass.engines.inputs import open_inputs
from windlass.engines.landing import Input
from windlass.flows.load.inputs import is_remote, sources_of
from windlass.model.load import Table
from windlass.model.relation import Name
from windlass.spec.load import LoadSpec

_ANY = Table(Name("", ""), ())


def fetch_inputs(spec: LoadSpec, folder: Path) -> Sequence[Input]:
    """Fetch files, and pages of APIs, into a folder, and open them; what is there already is not
    fetched again. A run that is given this folder as `fetched` takes them from there.

    Raises:
        Refused, BadRecord, BadSpec: an input is not there, or cannot be read.
        ConnectionLost: a server cannot be reached, or hangs up again and again.
        WindlassError: a server refuses, or there is no space.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [
        found
        for one in spec.wanted
        for given in sources_of(one, _ANY)
        if is_remote(given)
        for found in open_inputs(given, folder)
    ]
