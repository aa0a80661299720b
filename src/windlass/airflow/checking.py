"""The spec of a DAG, checked where the DAG file is read: a fault is an import error, not a failed
run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from windlass.airflow.operators import read_words, resolve_place
from windlass.errors import BadSpec
from windlass.flows.registry import FLOWS
from windlass.flows.specs import check_flow, without_flow
from windlass.spec.yaml_file import read_yaml

PLACED = "postgresql://connection"  # stands for a connection while a spec is checked
SpecLike = Mapping[str, Any] | Path | str


def checked_export(spec: SpecLike, warehouse_conn_id: str) -> dict[str, Any]:
    """The options of an export, checked as one to PostgreSQL if its warehouse is a connection."""
    if not warehouse_conn_id:
        given = checked(FLOWS["export"], spec, ("source",))
        if has_password(str(given.get("warehouse") or "")):
            raise BadSpec(["warehouse: holds a password; use a connection, warehouse_conn_id"])
        return given
    placed = {"warehouse": PLACED}
    given = checked(FLOWS["export"], spec, ("source", "warehouse"), placed)
    return {**given, "warehouse": warehouse_conn_id}


def has_password(address: str) -> bool:
    """Whether a URL, or libpq's `host=... password=...`, contains a password."""
    if re.match(r"\s*[a-z_]+\s*=", address):
        return re.search(r"(^|\s)(ssl)?password\s*=", address) is not None
    found = urlsplit(address)
    asked = {key for key, _ in parse_qsl(found.query)}
    return found.password is not None or bool(asked & {"password", "sslpassword"})


def checked(
    flow: str,
    spec: SpecLike | None,
    connections: Sequence[str] = ("source", "target"),
    placed: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A spec's options, checked: its faults are an import error, not a failed run. `placed` stands
    in for connections in the check."""
    if spec is None:
        return {}
    words = dict(spec) if isinstance(spec, Mapping) else read_yaml(Path(spec))
    model = resolve_place(flow).spec
    check_flow(resolve_place(model).flow, words)
    words = without_flow(words)
    sides = [side for side in connections if side in words]
    if sides:
        raise BadSpec([f"{side}: give the id of a connection instead" for side in sides])
    read_words(model, {**words, **(placed or {})})
    return words
