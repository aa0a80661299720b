"""JSON schemas of spec files, for editors: they complete ``chunk-size`` and accept ``chunk_size``
as well."""

from __future__ import annotations

from typing import Any

from windlass.spec.model import SpecModel


def json_schema(model: type[SpecModel]) -> dict[str, Any]:
    """The schema of a spec file for this model's flow."""
    schema, flow = model.model_json_schema(by_alias=True), model.flow
    properties = schema["properties"]
    for value in properties.values():
        value["description"] = " ".join(value["description"].split())
    said = {"const": flow, "description": "Which flow the file is for."}
    schema["properties"] = {
        "flow": said,
        **{key.replace("_", "-"): value for key, value in properties.items()},
    }
    schema["patternProperties"] = {f"^{key}$": v for key, v in properties.items() if "_" in key}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = f"Windlass spec: {flow}"
    return schema
