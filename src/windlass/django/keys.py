"""The columns by which an input's rows are found in a model's table: the primary key, or the first
unique constraint whose fields the input has. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from windlass.django.headers import Matched, Path, field_named, unique_sets
from windlass.django.tables import Part
from windlass.errors import Refused
from windlass.model.report import Problem


def key_of(part: Part, filled: Collection[str]) -> tuple[str, ...]:
    """The columns; empty if the input has no key of this table."""
    for fields in unique_sets(part.model):
        if all(one.column in filled for one in fields):
            return tuple(one.column for one in fields)
    return ()


def asked_key(part: Part, names: Sequence[str], matched: Matched) -> tuple[str, ...]:
    """The columns for names given by the user, which may be names of fields, of columns, or of the
    input's fields.

    Raises:
        Refused: one is no field, or the input lacks it.
    """
    found: list[str] = []
    problems: list[Problem] = []
    sources = {one.source: one.field for one in matched.given}
    sources |= {name: one.field for one in matched.looked for name in one.by.values()}
    for name in names:
        field = sources.get(name) or field_named(part.model, name)
        if field is None and "." in name:
            field = field_named(part.model, name.partition(".")[0])
        if field is None:
            problems.append(Problem(part.label, f"key {name} is no field of the model"))
        elif field not in matched.fields:
            message = f"key {name} is not in the input"
            problems.append(Problem(part.label, message, "name it in columns, or another key"))
        elif field.column not in found:
            found.append(field.column)
    if problems:
        raise Refused(problems)
    return tuple(found)


def key_paths(key: Sequence[str], part: Part) -> list[Path]:
    """Columns of a table, in the form in which lookups from another model name them."""
    by_column = {one.column: one for one in part.fields}
    return [(by_column[name].attname,) for name in key]
