"""The page of the Python API: everything in `windlass.__all__`, in its order, under its groups.

A comment in `__all__` that has a line to itself is the heading of the names below it.
"""

from __future__ import annotations

import dataclasses
import importlib
import io
import re
import tokenize
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from windlass.cli.result_schema import comments_of

INTRODUCTION = """\
# Python API

What `import windlass` offers; [From Python](python.md) shows how to use it. Versions keep these
names, their parameters and their results, as [Support](support.md#what-is-stable) says; everything
else in the package may change.
"""
HEADING = "Everything"


def api_page() -> str:
    windlass = importlib.import_module("windlass")
    blocks = [INTRODUCTION]
    for heading, names in grouped(Path(str(windlass.__file__)).read_text()):
        blocks.append(f"## {heading}\n")
        for name in names:
            blocks += [f"::: {path_of(windlass, name)}\n", *table(getattr(windlass, name))]
    return "\n".join(blocks)


def table(found: object) -> Iterator[str]:
    """The words of a spec, the fields of a result or the values of a choice, and what they mean."""
    rows = list(_rows(found)) if isinstance(found, type) else []
    if any(meaning for _, _, meaning in rows):
        yield "| name | default | meaning |\n| --- | --- | --- |"
        for name, default, meaning in rows:
            yield f"| `{name}` | {default and f'`{default}`'} | {meaning} |"
        yield ""


def _rows(found: type) -> Iterator[tuple[str, str, str]]:
    if issubclass(found, BaseModel):
        for name, field in found.model_fields.items():
            default = "" if field.default_factory else _literal(field.default)
            yield field.alias or name, default, field.description or ""
    elif issubclass(found, Enum):
        for name, meaning in comments_of(found).items():
            yield name, _literal(getattr(found, name)), meaning
    elif dataclasses.is_dataclass(found):
        meanings = comments_of(found)
        for one in dataclasses.fields(found):
            yield one.name, _literal(one.default), meanings.get(one.name, "")


def _literal(value: object) -> str:
    """As it is written; nothing where there is none."""
    if value in (PydanticUndefined, dataclasses.MISSING):
        return ""
    return repr(value.value if isinstance(value, Enum) else value)


def grouped(source: str) -> Iterator[tuple[str, list[str]]]:
    """The names of `__all__` with the comment above them, from the text of the module."""
    found = re.search(r"^__all__[^=]*= *[\[(](.*?)^[\])]", source, re.DOTALL | re.MULTILINE)
    heading, names = HEADING, list[str]()
    for token in _tokens(found[1] if found else ""):
        if token.type == tokenize.COMMENT and token.line.strip().startswith("#"):
            if names:
                yield heading, names
            heading, names = _heading(token.string), []
        elif token.type == tokenize.STRING and not token.string.strip("\"'").startswith("__"):
            names.append(token.string.strip("\"'"))
    if names:
        yield heading, names


def path_of(package: ModuleType, name: str) -> str:
    """Where a name is defined, as the package only passes it on."""
    found = getattr(package, name)
    if isinstance(found, ModuleType):
        raise TypeError(f"windlass.__all__ has {name}, which is a module")
    module, qualified = getattr(found, "__module__", ""), getattr(found, "__qualname__", "")
    return f"{module}.{qualified}" if module and qualified else f"{package.__name__}.{name}"


def _heading(comment: str) -> str:
    text = comment.lstrip("# ").rstrip(" :.")
    return text[:1].upper() + text[1:]


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(f"({text})").readline)
