"""A spec of any flow, from a YAML file and the command line's options, which take precedence.

The key ``flow`` names the file's flow. Without it, a required key of one flow decides (`table`,
`to`); otherwise it is a migration.
"""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from windlass.errors import BadSpec
from windlass.flows.registry import entries_of, flow_named, spec_flows
from windlass.model.wording import word
from windlass.spec.fields.entry import Entry
from windlass.spec.model import SpecModel, validated


def model_of(flow: str) -> type[SpecModel]:
    """The model of a flow's specs."""
    found: type[SpecModel] = pkgutil.resolve_name(flow_named(flow).spec)
    return found


def load(
    flow: str,
    options: Mapping[str, Any],
    path: Path | None = None,
    *,
    needs: Sequence[str] | None = None,
) -> SpecModel:
    """The spec of a flow. `options` are words under the names of the command line's options;
    `needs` names the required databases, by default all that have an environment variable.

    Raises:
        BadSpec: with every fault, the nearest valid key for an unknown one.
    """
    data = _read_file(path) if path else {}
    check_flow(flow, data, path)
    return _load(model_of(flow), _given(flow, options), data, needs)


def read_any(path: Path, options: Mapping[str, Any] | None = None) -> SpecModel:
    """The spec in a file, for any flow.

    Raises:
        BadSpec: with every fault, including options that this flow does not have.
    """
    data = _read_file(path)
    flow = flow_of(data)
    return _load(model_of(flow), _given(flow, options or {}), data, None)


def flow_of_file(path: Path) -> str:
    """The flow that a file is for.

    Raises:
        BadSpec: it cannot be read, or names an unknown flow.
    """
    return flow_of(_read_file(path))


def flow_of(data: Mapping[str, Any]) -> str:
    """The flow of a spec's keys.

    Raises:
        BadSpec: they name an unknown flow.
    """
    flows = list(spec_flows())
    if "flow" not in data:
        keys = {key.replace("_", "-") for key in data}
        known = (one.name for one in flows if one.known_by in keys)
        return next(known, flows[0].name)
    named, names = data["flow"], [one.name for one in flows]
    if isinstance(named, str) and named in names:
        return named
    import difflib  # only a fault needs it

    text = str(named)[:30]
    near = difflib.get_close_matches(text, names, n=1)
    rather = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
    raise BadSpec([f"flow: {text!r} is not a flow; {rather}"])


def without_flow(data: Mapping[str, Any]) -> dict[str, Any]:
    """A spec's keys without `flow`."""
    return {key: value for key, value in data.items() if key != "flow"}


def check_flow(flow: str, data: Mapping[str, Any], path: Path | None = None) -> None:
    """Check that a spec is for this flow.

    Raises:
        BadSpec: it is for another flow.
    """
    if "flow" in data and (found := flow_of(data)) != flow:
        hint = f"run windlass {found} -f {path}" if path else ""
        raise BadSpec([f"flow: this is a spec for {found}, not for {flow}"], hint=hint)


def _read_file(path: Path) -> dict[str, Any]:
    """Without a file a command starts without the YAML library, which takes 30 ms to load."""
    from windlass.spec.yaml_file import read_yaml

    return read_yaml(path)


def _load(
    model: type[SpecModel],
    words: Mapping[str, Any],
    data: Mapping[str, Any],
    needs: Sequence[str] | None,
) -> SpecModel:
    found = {**without_flow(data), **words}
    for entry in model.entries.values():
        if not found.get(entry.key) and (value := os.environ.get(entry.variable)):
            found[entry.key] = value
    if needs is None:
        needs = [entry.word for entry in model.entries.values() if entry.variable]
    faults = [_missing(model.entries[side]) for side in needs if not found.get(side)]
    try:
        spec = validated(model, found)
    except BadSpec as error:
        hint = error.hint or ("" if "flow" in data else _hint(model, found))
        raise BadSpec([*faults, *error.faults], hint=hint) from None
    if faults:
        raise BadSpec(faults)
    return spec


def _missing(entry: Entry) -> str:
    ways = f"{word(entry.word)}, the variable {entry.variable} or a spec file"
    return f"{entry.word}: not given; use {ways}"


def _given(flow: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, under the keys of the spec."""
    entries = entries_of(flow_named(flow)).values()
    keys = {entry.flag.removeprefix("--").replace("-", "_"): entry.key for entry in entries}
    return {
        keys.get(name, name): value
        for name, value in options.items()
        if value not in (None, (), {})
    }


def _hint(model: type[SpecModel], found: Mapping[str, Any]) -> str:
    """A hint for keys of another flow, if `flow` is missing."""
    unknown = {key.replace("_", "-") for key in found} - set(model.entries)
    for flow in spec_flows():
        if unknown and flow.name != model.flow and unknown <= set(entries_of(flow)):
            keys, name = ", ".join(sorted(unknown)), flow.name
            return f"{keys}: of a spec for {name}; say flow: {name}, and run windlass {name}"
    return ""
