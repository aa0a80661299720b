"""A spec of any flow from a YAML file and the command line's options, which win."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from windlass.errors import BadSpec
from windlass.model.wording import word
from windlass.spec.export import ExportSpec
from windlass.spec.fields.entry import Entry
from windlass.spec.flow_key import flow_of, keys_for, without_flow
from windlass.spec.migrate import Spec
from windlass.spec.model import SpecModel, validated
from windlass.spec.rewrite import RewriteSpec

AnySpec = Spec | RewriteSpec | ExportSpec
SPECS: Mapping[str, type[AnySpec]] = {
    "migrate": Spec,
    "rewrite": RewriteSpec,
    "export": ExportSpec,
}
_NEEDS = {"migrate": ("source", "target"), "rewrite": ("connection",), "export": ("source",)}

M = TypeVar("M", bound=SpecModel)


def load_spec(
    words: Mapping[str, Any], path: Path | None = None, *, needs: Sequence[str] = ()
) -> Spec:
    """A migration's spec. `needs` names the sides that have to be given.

    Raises:
        BadSpec: with every fault, the nearest valid key for an unknown one.
    """
    return _load(Spec, words, _keys(path, "migrate") if path else {}, needs)


def load_rewrite_spec(words: Mapping[str, Any], path: Path | None) -> RewriteSpec:
    """A rewrite's spec, whose database has to be given.

    Raises:
        BadSpec: with every fault, the nearest valid key for an unknown one.
    """
    data = _keys(path, "rewrite") if path else {}
    return _load(RewriteSpec, words, data, _NEEDS["rewrite"])


def load_export_spec(words: Mapping[str, Any], path: Path | None) -> ExportSpec:
    """An export's spec.

    Raises:
        BadSpec: with every fault, the nearest valid key for an unknown one.
    """
    return _load(ExportSpec, words, _keys(path, "export") if path else {}, ())


def read_any(path: Path, words: Mapping[str, Any] | None = None) -> tuple[str, AnySpec]:
    """The flow that a file is for, and its spec. `words` are options of the command line, under
    the flow's own keys, but `target` for a rewrite's database.

    Raises:
        BadSpec: with every fault; an option that this flow does not have is one.
    """
    data = _read_file(path)
    flow = flow_of(data)
    given = _given(words or {})
    if flow == "rewrite" and "target" in given:
        given["connection"] = given.pop("target")
    return flow, _load(SPECS[flow], given, data, _NEEDS[flow])


def flow_of_file(path: Path) -> str:
    """The flow that a file is for.

    Raises:
        BadSpec: it cannot be read, or names a flow that there is not.
    """
    return flow_of(_read_file(path))


def _read_file(path: Path) -> dict[str, Any]:
    """Without a file a command starts without the YAML library, which takes 30 ms to load."""
    from windlass.spec.yaml_file import read_yaml

    return read_yaml(path)


def _keys(path: Path, flow: str) -> dict[str, Any]:
    """Those of a file, which has to be for this flow."""
    data = _read_file(path)
    keys_for(flow, data, path)
    return data


def _load(
    model: type[M], words: Mapping[str, Any], data: Mapping[str, Any], needs: Sequence[str]
) -> M:
    found = {**without_flow(data), **_given(words)}
    for entry in model.entries.values():
        if not found.get(entry.key) and (value := os.environ.get(entry.variable)):
            found[entry.key] = value
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


def _given(words: Mapping[str, Any]) -> dict[str, Any]:
    """Without the options that were left out."""
    return {key: value for key, value in words.items() if value not in (None, (), {})}


def _hint(model: type[SpecModel], found: Mapping[str, Any]) -> str:
    """For keys of another flow, whose name is missing."""
    unknown = {key.replace("_", "-") for key in found} - set(model.entries)
    for flow, other in SPECS.items():
        if unknown and other is not model and unknown <= set(other.entries):
            keys = ", ".join(sorted(unknown))
            return f"{keys}: of a spec for {flow}; say flow: {flow}, and run windlass {flow}"
    return ""
