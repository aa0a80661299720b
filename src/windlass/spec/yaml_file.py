"""Reads a spec file into plain data: YAML without features that could make a small file large.

The models decide which keys are valid.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from windlass.errors import BadSpec

MOST_BYTES = 1 << 20
MOST_NODES = 100_000  # with every alias written out
DEEPEST = 50


def read_yaml(path: Path) -> dict[str, Any]:
    """The keys of a file, with `_` for `-`.

    Raises:
        BadSpec: it cannot be read, or is not a mapping; with the line.
    """
    try:
        data = _parsed(_text(path))
    except OSError as error:
        raise BadSpec([f"{path}: {error.strerror}"]) from None
    except UnicodeError:
        raise BadSpec([f"{path}: not a text file in UTF-8"]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise BadSpec([f"{path}{place}: {problem}"], hint=_hint(problem)) from None
    except (ValueError, OverflowError) as error:  # an invalid date or number
        raise BadSpec([f"{path}: {error}"]) from None
    except RecursionError:
        raise BadSpec([f"{path}: nested too deeply"]) from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise BadSpec([f"{path}: a spec is a mapping of keys to values"])
    return {str(key).replace("-", "_"): value for key, value in data.items()}


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise BadSpec([f"{path}: larger than {MOST_BYTES >> 20} MB"])
    return data.decode()


def _parsed(text: str) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _count(node, {}, 0) > MOST_NODES:
            raise ValueError(f"more than {MOST_NODES:,} values, with every alias written out")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _count(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """The number of nodes under this one. An alias is the same node object as its anchor."""
    if depth > DEEPEST:  # also an alias inside its own anchor
        raise RecursionError
    if id(node) not in known:
        known[id(node)] = 1 + sum(_count(one, known, depth + 1) for one in _children(node))
    return known[id(node)]


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    _check_printable(node.value)
    return []


def _check_printable(text: str) -> None:
    """Refuse escapes for invalid characters, and for those that no database accepts."""
    text.encode()
    if "\0" in text:
        raise ValueError("a value holds a zero byte")


def _hint(problem: str) -> str:
    if "'\\t'" in problem:
        return "indent with spaces, not with tabs"
    if "alias" in problem or "alphabetic or numeric character" in problem or "'*'" in problem:
        return "quote patterns: include: ['shop.*']"
    return ""
