"""The page of the Python API: everything in `windlass.__all__`, in its order, under its groups.

A comment in `__all__` that has a line to itself is the heading of the names below it.
"""

from __future__ import annotations

import importlib
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

INTRODUCTION = """\
# Python API

What `import windlass` offers. These names, their parameters and their results are what
[versions](support.md#what-is-stable) promise to keep; everything else in the package may change.
"""
HEADING = "Everything"


def api_page() -> str:
    windlass = importlib.import_module("windlass")
    blocks = [INTRODUCTION]
    for heading, names in grouped(Path(str(windlass.__file__)).read_text()):
        blocks.append(f"## {heading}\n")
        blocks += [f"::: {path_of(windlass, name)}\n" for name in names]
    return "\n".join(blocks)


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
