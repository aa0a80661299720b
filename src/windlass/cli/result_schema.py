"""The JSON result as a schema and as a page, both made from the classes that it is made of::

    python -m windlass.cli.result_schema docs

writes docs/schemas/result.json and docs/json.md. A comment beside a field is its description.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from windlass.cli.endings import STATES
from windlass.cli.exits import Exit
from windlass.model import account, outcome, report

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_FILE, PAGE_FILE = "schemas/result.json", "json.md"

_FIELD = re.compile(r"^    (\w+)(?:: [^#\n]*| = [^#\n]*)?  # (.+)$", re.MULTILINE)
_ALSO = {  # what `windlass.cli.show.outcome_json` adds
    "rows": "of all relations",
    "bytes": "of all relations",
}
_ERROR = {
    "message": "why the command did not do what it was asked to",
    "hint": "what to do now",
}
_EXITS = {"type": "integer", "enum": sorted(Exit), "description": "of the process"}


def schema() -> Schema:
    """The schema of what migrate, verify, rewrite, export and rollback print with ``--json``."""
    found = TypeAdapter(outcome.Outcome).json_schema(mode="serialization")
    definitions = {**found.pop("$defs"), "Outcome": found}
    for name, definition in definitions.items():
        _describe(name, definition)
    found["properties"] = _side_by_side(definitions)
    found["properties"].update(_added(), exit_code=_EXITS)
    _rename(definitions["Loss"], "kind", "class")
    for definition in definitions.values():
        _require_all(definition)
    definitions["Difference"]["required"].remove("rows")  # of a single row it says nothing
    return {
        "$schema": DIALECT,
        "title": "The result of a windlass command",
        "description": "What migrate, verify, rewrite, export and rollback print with --json.",
        "anyOf": [{"$ref": "#/$defs/Outcome"}, {"$ref": "#/$defs/Error"}],
        "$defs": {**dict(sorted(definitions.items())), "Error": _error()},
    }


def _side_by_side(definitions: dict[str, Schema]) -> Schema:
    """The fields of an outcome with those of its parts, as `as_dict` gives them."""
    own: Schema = definitions["Outcome"]["properties"]
    flat = {key: one for key, one in own.items() if key not in outcome.PARTS}
    for part in outcome.PARTS.values():
        flat |= definitions.pop(part.__name__)["properties"]
    return {name: flat[name] for name in outcome.Outcome("", outcome.State.DONE).as_dict()}


def _added() -> Schema:
    return {name: {"type": "integer", "description": text} for name, text in _ALSO.items()}


def _error() -> Schema:
    """The schema of what a command prints if it failed before there was a run."""
    state = {"type": "string", "enum": sorted(STATES.values()), "description": "how it ended"}
    texts = {name: {"type": "string", "description": text} for name, text in _ERROR.items()}
    problems = {
        "type": "array",
        "items": {"$ref": "#/$defs/Problem"},
        "description": "all that is wrong, where it is more than one thing",
    }
    error = {
        "type": "object",
        "description": "The result of a command that failed before it had a run.",
        "properties": {"state": state, "exit_code": _EXITS, **texts, "problems": problems},
    }
    _require_all(error)
    return error


def _describe(name: str, definition: Schema) -> None:
    """Remove titles that only repeat a name; turn comments into descriptions."""
    definition.pop("title", None)
    comments = comments_of(_class(name))
    for key, field in definition.get("properties", {}).items():
        field.pop("title", None)
        field.pop("default", None)
        field["description"] = comments.get(key, "")
    about = " ".join(definition["description"].split())
    values = [f"{value}: {text}" for value, text in _meanings(name).items() if text]
    definition["description"] = "\n".join([about, *values])


def comments_of(found: type) -> dict[str, str]:
    """The comments beside the fields or members of a class, by name."""
    return dict(_FIELD.findall(inspect.getsource(found)))


def _meanings(name: str) -> dict[str, str]:
    """The values of an enumeration."""
    found = _class(name)
    members = found if issubclass(found, Enum) else ()
    comments = comments_of(_class(name))
    return {str(member.value): comments.get(member.name, "") for member in members}


def _class(name: str) -> type:
    found = next(
        found for module in (outcome, report, account) if (found := getattr(module, name, None))
    )
    assert isinstance(found, type)
    return found


def _rename(definition: Schema, old: str, new: str) -> None:
    fields = definition["properties"].items()
    definition["properties"] = {new if key == old else key: field for key, field in fields}


def _require_all(definition: Schema) -> None:
    if "properties" in definition:
        definition["required"] = list(definition["properties"])


_HEAD = f"""\
# The JSON result

<!-- Made by `python -m windlass.cli.result_schema docs`; a test compares the two. -->

With `--json` stdout holds one object, and nothing else. What `migrate`, `verify`, `rewrite`,
`export` and `rollback` print follows [one JSON schema]({SCHEMA_FILE}), which editors and code
generators can read.

```sh
windlass migrate --json > result.json || jq -r '.state, .message, .hint' result.json
```

- Every field in the tables below is always present, unless its row says otherwise. What does not
  apply is empty, 0 or false.
- A command that fails before it has a run, because of bad options or an unreachable server, prints
  an *Error* instead of an *Outcome*. All fields of an error are fields of an outcome as well, so
  `state`, `exit_code`, `message`, `hint` and `problems` can be read without checking which it is.
- New fields and new values may come in any version: ignore those that you do not know.
  [What is stable](support.md#what-is-stable) says what else may change, and when.
"""


def page() -> str:
    """Markdown: a table of fields for each kind of object."""
    definitions = schema()["$defs"]
    first = ["Outcome", "Error", "RelationOutcome"]
    names = [*first, *(name for name in definitions if name not in first)]
    return "\n".join([_HEAD, *("\n".join(_section(name, definitions[name])) for name in names)])


def _section(name: str, definition: Schema) -> Iterator[str]:
    yield from (f"## {name}", "", definition["description"].partition("\n")[0], "")
    if "enum" in definition:
        yield from ("| value | meaning |", "| --- | --- |")
        for value, meaning in _meanings(name).items():
            yield f"| `{json.dumps(value)}` | {meaning} |"
    else:
        yield from ("| field | type | meaning |", "| --- | --- | --- |")
        for key, field in definition["properties"].items():
            optional = "" if key in definition["required"] else "not always there; "
            yield f"| `{key}` | {_type(field)} | {optional}{field.get('description', '')} |"
    yield ""


def _type(field: Schema) -> str:
    match field:
        case {"$ref": ref}:
            name = str(ref).rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": choices}:
            return " or ".join(_type(choice) for choice in choices)
        case {"type": "array", "items": items}:
            return f"array of {_type(items)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            value = _type(values)
            return f"object of ({value})" if " or " in value else f"object of {value}"
        case _:
            return str(field["type"])


def write(folder: Path) -> None:
    (folder / SCHEMA_FILE).parent.mkdir(parents=True, exist_ok=True)
    (folder / SCHEMA_FILE).write_text(json.dumps(schema(), indent=2) + "\n")
    (folder / PAGE_FILE).write_text(page())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
