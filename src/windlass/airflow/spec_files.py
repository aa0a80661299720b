"""Reads the files of a folder of DAGs as plain data, with the defaults of ``defaults.yaml``, and
with environment variables filled in.

Files must not contain secrets: passwords are in Airflow's connections.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from windlass.airflow.templates import has_template, password_faults, template_faults, texts
from windlass.errors import BadSpec
from windlass.spec.model import word_of
from windlass.spec.yaml_file import read_yaml

Words = dict[str, Any]
DEFAULTS = ("defaults.yaml", "defaults.yml")
FLOWS = "flows"  # a key of the file of defaults: defaults for one flow
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_ESCAPED = "$${"
_SECRET = re.compile(
    r"password|passwd|secret|token|api_?key|private_?key|access_?key", re.IGNORECASE
)
# keys whose texts Airflow renders, or that contain such texts
_RENDERED = {"spec", "email", "notifiers"}


@dataclass(frozen=True)
class Defaults:
    """The values that every file of a folder has unless it gives others."""

    path: Path | None = None
    words: Mapping[str, Any] = field(default_factory=dict)
    by_flow: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, flow: str) -> Words:
        return merged(self.words, self.by_flow.get(flow, {}))

    def names(self, fault: str, flow: str, own: Mapping[str, Any]) -> bool:
        """Whether a fault is about something in the defaults, and not in the file."""
        key = fault.removeprefix("unknown key '").partition("'")[0].partition(":")[0]
        first, *rest = key.replace("-", "_").split(".")
        return first not in own and first in self.of(flow) and not rest


def read_defaults(folder: Path, known: Collection[str], flows: Collection[str]) -> Defaults:
    """Read the file of defaults.

    Raises:
        BadSpec: with every fault of the file.
    """
    path = next((folder / name for name in DEFAULTS if (folder / name).exists()), None)
    if path is None:
        return Defaults()
    words = read_words(path, known)
    by_flow = words.pop(FLOWS, None) or {}
    faults = list(_unknown(words, known))
    if not isinstance(by_flow, Mapping):
        faults.append(f"{FLOWS}: not a mapping of a flow's name to its defaults")
        by_flow = {}
    for flow, more in by_flow.items():
        if flow not in flows:
            faults.append(f"{FLOWS}.{flow}: is not a flow; there are {', '.join(flows)}")
        elif not isinstance(more, Mapping):
            faults.append(f"{FLOWS}.{flow}: not a mapping of keys to values")
        else:
            faults += [f"{FLOWS}.{flow}: {fault}" for fault in _unknown(_underscored(more), known)]
    if "dag_id" in words:
        faults.append("dag-id: each file has its own")
    if faults:
        raise BadSpec([f"{path}: {fault}" for fault in faults])
    return Defaults(path, words, {flow: _underscored(more) for flow, more in by_flow.items()})


def _unknown(words: Mapping[str, Any], known: Collection[str]) -> Iterator[str]:
    for key in words:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {word_of(near[0])!r}?" if near else ""
            yield f"unknown key {word_of(key)!r}{hint}"


def _underscored(words: Mapping[str, Any]) -> Words:
    return {str(key).replace("-", "_"): value for key, value in words.items()}


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> Words:
    """Both; `second` wins. Mappings are merged key by key; lists are not."""
    found = dict(first)
    for key, value in second.items():
        before = found.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        # only the keys of a spec are words, in which - and _ are the same
        if both and key == "spec":
            found[key] = merged(_underscored(before or {}), _underscored(value))
        elif both:
            found[key] = merged(before or {}, value)
        else:
            found[key] = value
    return found


def read_words(path: Path, known: Collection[str]) -> Words:
    """The keys and values of a file, with environment variables filled in. Keys that are not
    `known` are reported later.

    Raises:
        BadSpec: with every fault.
    """
    words = read_yaml(path)
    faults: list[str] = []
    found = {key: _filled(value, key, faults) for key, value in words.items()}
    own = {key: value for key, value in found.items() if key in known}
    faults += [f"{_shown(key)}: {fault}" for key, fault in password_faults(own)]
    for key, text in texts(own):
        if key.partition(".")[0] not in _RENDERED and has_template(text):
            faults.append(f"{_shown(key)}: is not rendered: templates are for values in spec")
    if isinstance(spec := found.get("spec"), Mapping):
        faults += template_faults(spec, is_closed=True)
    if faults:
        raise BadSpec([f"{path}: {fault}" for fault in faults])
    return found


def _filled(value: Any, key: str, faults: list[str]) -> Any:
    """The value with ``${NAME}`` and ``${NAME:-default}`` replaced; ``$${`` becomes ``${``."""
    if isinstance(value, Mapping):
        return {name: _filled(one, f"{key}.{name}", faults) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, f"{key}.{place}", faults) for place, one in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value

    def fill(found: re.Match[str]) -> str:
        name, default = found[1], found[2]
        if _SECRET.search(name):
            faults.append(f"{_shown(key)}: {name} looks like a secret; use a connection")
        elif (given := os.environ.get(name)) is not None:
            return given
        elif default is None:
            where = "set it where Airflow's DAG processor and its workers run"
            faults.append(
                f"{_shown(key)}: there is no variable {name} in the environment ({where}, or write"
                f" ${{{name}:-default}})"
            )
        return default or ""

    return "${".join(_VARIABLE.sub(fill, part) for part in value.split(_ESCAPED))


def _shown(key: str) -> str:
    first, dot, rest = key.removeprefix("spec.").partition(".")
    return f"{word_of(first)}{dot}{rest}"


def yaml_files(folder: Path) -> Sequence[Path]:
    """The files that are DAGs.

    Raises:
        BadSpec: there is no such folder.
    """
    if not folder.is_dir():
        raise BadSpec([f"{folder}: is not a folder"])
    found = (path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    return sorted(path for path in found if path.name not in DEFAULTS)
