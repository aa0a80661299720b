"""Values that are object names (regclass and the like), if schemas are renamed.

Such a value is copied as text, including the schema. On the target that text names nothing, which
no retry would change, or another object.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from windlass.model.plan import RelationPlan
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.units import plural, several
from windlass.model.wording import word

# counts for each column the values that name something in these schemas
CountNames = Callable[[Name, Sequence[str], Collection[str]], Sequence[int]]


def name_problems(
    relations: Iterable[RelationPlan], renamed: Mapping[str, str], count: CountNames
) -> Iterator[Problem]:
    """`renamed` are schemas that get another name. Reads only relations that have such columns."""
    if not renamed:
        return
    for item in relations:
        sent = {one.source for one in item.columns if not (one.generated or one.conversion)}
        naming = [
            column.name
            for column in item.relation.columns
            if column.names_objects and column.name in sent
        ]
        if not naming:
            continue
        counts = count(item.relation.name, naming, renamed)
        for column, values in zip(naming, counts, strict=True):
            if values:
                yield _problem(item, column, values, renamed)


def _problem(item: RelationPlan, column: str, values: int, renamed: Mapping[str, str]) -> Problem:
    some = several([f"{old} ({new} on the target)" for old, new in sorted(renamed.items())])
    verb = "names" if values == 1 else "name"
    return Problem(
        str(item.relation.name),
        f"column {column}: {plural(values, 'value')} {verb} objects in a schema that gets another"
        f" name: {some}",
        f"exclude the table ({word('exclude', item.relation.name.plain)}), or leave the schema its"
        " name",
    )
