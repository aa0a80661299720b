"""Every flow by its name. An outline imports no driver, and is read when it is asked for."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from windlass.model.flow import Flow, Journalled, Words
from windlass.spec.fields.entry import Entry

FLOWS = {
    "migrate": "windlass.flows.migrate.outline:MIGRATE",
    "follow": "windlass.flows.follow.outline:FOLLOW",
    "translate": "windlass.flows.translate.outline:TRANSLATE",
    "compare": "windlass.flows.translate.outline:COMPARE",
    "convert": "windlass.flows.convert.outline:CONVERT",
    "compare_converted": "windlass.flows.convert.outline:COMPARE_CONVERTED",
    "validate": "windlass.flows.validate.outline:VALIDATE",
    "repair": "windlass.flows.repair.outline:REPAIR",
    "rewrite": "windlass.flows.rewrite.outline:REWRITE",
    "export": "windlass.flows.export.outline:EXPORT",
    "load": "windlass.flows.load.outline:LOAD",
    "cutover": "windlass.flows.cutover.outline:CUTOVER",
}

_COMPARED_BY = {"translate": "compare", "convert": "compare_converted"}
"""How `windlass verify` compares what other flows than `migrate` copy."""

PAST_AT = "windlass.flows.convert.past:past_at"
"""The runs that a target has a journal of, by its URL."""


def spec_flows() -> Iterator[Flow[Any]]:
    """The flows that a spec file can be for, in the order of the documentation."""
    return (flow for flow in map(flow_named, FLOWS) if flow.entries)


def journalled(name: str) -> Journalled:
    """What is done with the runs of a flow that a journal records."""
    found = flow_named(name).journalled
    assert found is not None, f"no journal has runs of {name}"
    return found


def entries_of(flow: Flow[Any]) -> Mapping[str, Entry]:
    """The entries of its specs, without loading their model."""
    found: Mapping[str, Entry] = pkgutil.resolve_name(flow.entries)
    return found


def modules_of_steps() -> list[str]:
    """The modules that a process imports to run the steps of all flows."""
    places = {step.run for name in FLOWS for step in flow_named(name).steps}
    return sorted({place.partition(":")[0] for place in places if isinstance(place, str)})


def comparison_of(name: str) -> Flow[Any]:
    """The flow that compares what a flow of this name copies."""
    return flow_named(_COMPARED_BY.get(name, "validate"))


@cache
def flow_named(name: str) -> Flow[Any]:
    """Raises:
    KeyError: there is no flow of this name.
    """
    found: Flow[Any] = pkgutil.resolve_name(FLOWS[name])
    return found


# for undoing a run of any flow
ROLLBACK = Words(
    "rollback", "Rolling back", "Rolled back", "rollback", "Putting back what was set aside"
)
# for restoring rows of a run in a new table
RESTORE = Words("restore", "Restoring", "Restored", "rollback", "Reading the backup")
# for ending a run that follows
FINISH = Words("finish", "Finishing", "Finished", "run", "Removing what following needed")
ABANDON = Words("abandon", "Abandoning", "Abandoned", "run", "Removing what following needed")
