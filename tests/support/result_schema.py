"""Holds what the command prints with --json to the schema that is published of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from windlass.cli.result_schema import schema

Schema = dict[str, Any]


def is_of_a_run(found: Mapping[str, Any]) -> bool:
    """`plan`, `status` and `clean` print other objects."""
    return {"state", "exit_code", "problems"} <= found.keys()


def faults(found: Mapping[str, Any]) -> list[str]:
    """What is wrong with a result, as far as the schema says it. No other fields are let in here,
    so that the schema cannot lack one; its readers ignore them."""
    kind = "Outcome" if "run" in found else "Error"
    return [f"{error.json_path}: {error.message}" for error in _closed(kind).iter_errors(found)]


@cache
def _closed(kind: str) -> Draft202012Validator:
    published = schema()
    definitions = {
        name: {**definition, "additionalProperties": False}
        if "properties" in definition
        else definition
        for name, definition in published["$defs"].items()
    }
    return Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": definitions})
