"""Runs as rows of the journals that engines keep themselves: their columns are texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from windlass.model.load import LoadRun
from windlass.model.outcome import Outcome, State


@cache
def _outcomes() -> TypeAdapter[Outcome]:
    return TypeAdapter(Outcome)


def outcome_text(outcome: Outcome) -> str:
    return _outcomes().dump_json(outcome).decode()


def json_text(words: Mapping[str, Any]) -> str:
    return json.dumps(words, ensure_ascii=False, default=str)


def run_of(
    words: Mapping[str, Any], lines: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None
) -> LoadRun:
    """The run of a row, which is given by the names of its columns."""
    return LoadRun(
        words["run"], State(words["state"]), words["source"], json.loads(words["config"]),
        json.loads(words["plan"]), words["external_run"], words["external_url"],
        words["started_at"], words["finished_at"],
        _outcomes().validate_json(words["outcome"]) if words["outcome"] else None, lines or {},
    )  # fmt: skip
