"""Which column a user's answer about a type means: a name as the source or as the target has it,
with or without a schema. The same for all engines. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping

from windlass.model.relation import Name
from windlass.model.report import Problem


def spellings(source: Name, target: Name, column: str) -> tuple[str, ...]:
    """Every name of a column, in lower case; the source's with its schema first."""
    tables = (source.plain, source.name, target.plain)
    return tuple(dict.fromkeys(f"{table}.{column}".lower() for table in tables))


def problems_of_unused(
    answers: Iterable[str], known: Mapping[str, tuple[str, ...]]
) -> Iterator[Problem]:
    """Of answers that mean no column. `known` has all names of the columns, by each of them."""
    for name in answers:
        if name.lower() in known:
            continue
        near = difflib.get_close_matches(name.lower(), known, n=1)
        column = name.rpartition(".")[2].lower()
        likely = [*near, *(one for one in known if one.rpartition(".")[2] == column), *known]
        hint = "no column is selected"
        if likely:
            *others, last = known[likely[0]]
            hint = f"give its table's name as the source or the target has it: {', '.join(others)}"
            hint += f" or {last}"
        yield Problem(f"types: {name}", "is no column of a selected table", hint)
