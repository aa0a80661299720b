"""Names on the target. Engines whose names ignore case get names in lower case, as PostgreSQL
writes unquoted ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.translation import SourceTable, SourceView
from windlass.planning.naming import MOST_BYTES


def folded(name: str) -> str:
    """The name on the target."""
    return name.lower()


def folded_name(name: Name, schema: str = "") -> Name:
    """The name before schemas are mapped. `schema` replaces the source's schema, for engines where
    users do not choose it."""
    return Name(schema or folded(name.schema), folded(name.name))


def in_schema(pattern: str, old: str, schema: str) -> str:
    """A pattern or name that begins with the source's schema, with the one that takes its place."""
    head, dot, rest = pattern.partition(".")
    return f"{schema}.{folded(rest)}" if dot and head == old and schema else folded(pattern)


def naming_problems(
    tables: Sequence[SourceTable], views: Sequence[SourceView]
) -> Iterator[Problem]:
    """Names that are too long, and names that become the same."""
    named = [one.name for one in tables] + [one.name for one in views]
    hint = "rename one of them on the source, or exclude both"
    yield from _clashes([(folded_name(one).plain, str(one)) for one in named], "relation", hint)
    for table in tables:
        names = [(folded(one.name), one.name) for one in table.columns]
        hint = "rename one of them on the source, or exclude the table"
        yield from _clashes(names, f"{table.name}, column", hint)
        for name in (table.name.name, *(one.name for one in table.columns)):
            if len(folded(name).encode()) > MOST_BYTES:
                yield Problem(
                    str(table.name),
                    f"the name {name} is longer than the {MOST_BYTES} bytes that PostgreSQL keeps",
                    "rename it on the source, or exclude the table",
                )


def _clashes(names: Iterable[tuple[str, str]], what: str, hint: str) -> Iterator[Problem]:
    found: dict[str, list[str]] = defaultdict(list)
    for new, old in names:
        found[new].append(old)
    for new, olds in found.items():
        if len(olds) > 1:
            message = f"{' and '.join(sorted(olds))} would all be {new} on the target"
            yield Problem(f"{what} {new}", message, hint)


def given_names(table: SourceTable) -> dict[str, str]:
    """The columns that an expression of the source may use, by name in lower case: those whose
    values stay the same on the target."""
    if table.mapping is None:
        return {one.name.lower(): folded(one.name) for one in table.columns}
    names, changed = table.mapping.names, table.mapping.changed
    return {old.lower(): folded(new) for old, new in names.items() if old not in changed}


class Free:
    """Names of a schema's relations and indexes that are not in use yet."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def take(self, wanted: str) -> str:
        """The name, cut to its longest length; with a number if another object has it."""
        base = wanted.encode()[:MOST_BYTES].decode(errors="ignore")
        name, number = base, 1
        while name in self._taken:
            number += 1
            tail = f"_{number}"
            name = base.encode()[: MOST_BYTES - len(tail)].decode(errors="ignore") + tail
        self._taken.add(name)
        return name
