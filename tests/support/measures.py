"""Counts how large modules, classes and functions are, and finds modules that import in a loop.

Everything is read from the source text: an import inside a function, or one that only a type
checker follows, counts as any other.
"""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)


@dataclass(frozen=True, slots=True)
class Source:
    """One module as text and tree. `name` is what one imports, `path` where it is in the house."""

    name: str
    path: str
    is_package: bool
    text: str
    tree: ast.Module


def read_sources(root: Path) -> list[Source]:
    """Every module below a folder that is in the import path.

    No garbage is looked for in the trees, neither while they are made, which takes 5 seconds
    instead of 2, nor later, as they are kept until the end.
    """
    gc.disable()
    try:
        return [_read(path, root) for path in sorted(root.rglob("*.py"))]
    finally:
        gc.freeze()
        gc.enable()


def _read(path: Path, root: Path) -> Source:
    parts = path.relative_to(root).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    text = path.read_text()
    return Source(name, path.relative_to(root).as_posix(), is_package, text, ast.parse(text))


def module_lines(sources: Iterable[Source]) -> dict[str, int]:
    return {source.path: len(source.text.splitlines()) for source in sources}


def class_lines(sources: Iterable[Source]) -> dict[str, int]:
    return {f"{source.path}:{one.name}": _lines(one) for source, one in _classes(sources)}


def class_attributes(sources: Iterable[Source]) -> dict[str, int]:
    """The fields of a dataclass, and what any method of a class sets on `self`; its bases' as well,
    which are found by their names."""
    found = list(_classes(sources))
    by_name = {one.name: one for _, one in found}
    return {
        f"{source.path}:{one.name}": len(_with_inherited(one, by_name)) for source, one in found
    }


def function_lines(sources: Iterable[Source]) -> dict[str, int]:
    """By module and name; a method has its class before it."""
    return {
        f"{source.path}:{name}": _lines(one)
        for source in sources
        for name, one in _functions(source.tree, "")
    }


def import_loops(sources: Iterable[Source]) -> list[list[str]]:
    """The groups of modules each of which reaches all the others by imports."""
    return _loops(_imports({source.name: source for source in sources}))


def _classes(sources: Iterable[Source]) -> Iterator[tuple[Source, ast.ClassDef]]:
    for source in sources:
        for node in _statements(source.tree):
            if isinstance(node, ast.ClassDef):
                yield source, node


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All that are within it; expressions, which are most of a tree, hold none."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, STATEMENTS):
            yield child
            yield from _statements(child)


def _functions(node: ast.AST, within: str) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, STATEMENTS):
            continue
        if isinstance(child, Function):
            yield within + child.name, child
        if isinstance(child, ast.ClassDef | Function):
            yield from _functions(child, f"{within}{child.name}.")
        else:
            yield from _functions(child, within)


def _lines(node: ast.ClassDef | Function) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def _with_inherited(node: ast.ClassDef, by_name: Mapping[str, ast.ClassDef]) -> set[str]:
    bases = {base.id for base in node.bases if isinstance(base, ast.Name)} - {node.name}
    known = [by_name[name] for name in sorted(bases & by_name.keys())]
    return _attributes(node).union(*(_with_inherited(base, by_name) for base in known))


def _attributes(node: ast.ClassDef) -> set[str]:
    fields = {
        statement.target.id
        for statement in node.body
        if _is_dataclass(node)
        and isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and "ClassVar" not in ast.unparse(statement.annotation)
    }
    on_self = {
        found.attr
        for found in ast.walk(node)
        if isinstance(found, ast.Attribute)
        and isinstance(found.ctx, ast.Store)
        and isinstance(found.value, ast.Name)
        and found.value.id == "self"
    }
    return fields | on_self


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def _imports(modules: Mapping[str, Source]) -> dict[str, set[str]]:
    """By module, those of the others that it imports anywhere in its text."""
    return {
        name: {found for found in _named(source, modules) if found != name}
        for name, source in modules.items()
    }


def _named(source: Source, modules: Mapping[str, Source]) -> Iterator[str]:
    for node in _statements(source.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            package = _package(source, node)
            for alias in node.names:
                whole = f"{package}.{alias.name}"
                found = whole if whole in modules else package
                if found in modules:
                    yield found


def _package(source: Source, node: ast.ImportFrom) -> str:
    """What an import is from, where it says so by dots as well."""
    parts = source.name.split(".")
    kept = parts[: len(parts) - node.level + source.is_package] if node.level else []
    return ".".join([*kept, *([node.module] if node.module else [])])


def _loops(graph: Mapping[str, set[str]]) -> list[list[str]]:
    reached = {name: _reached(name, graph) for name in graph}
    loops = {
        tuple(sorted(other for other in there if name in reached[other]))
        for name, there in reached.items()
        if name in there
    }
    return [list(loop) for loop in sorted(loops)]


def _reached(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += graph[name]
    return found
