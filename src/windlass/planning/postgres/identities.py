"""Which replica identity a table without a usable one gets, where a run may set it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from windlass.engines.postgres.readiness import Readiness, StreamRelation
from windlass.model.relation import Name
from windlass.model.units import plural, several

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Choice:
    """`identity` as in `pg_class.relreplident`, and for `i` the index."""

    identity: str
    index: str = ""


def choice_of(found: StreamRelation) -> Choice | None:
    """The identity to set. None if the table has a usable one, or if none can be set and restored:
    under FULL, applications could not update a table with a stored generated column."""
    if found.is_identified or found.identity == "i":
        return None
    if found.has_key:
        return Choice("d")
    if found.unique_index:
        return Choice("i", found.unique_index)
    return None if found.has_generated else Choice("f")


def identity_notices(names: Iterable[Name], read: Readiness) -> Iterator[str]:
    """What is set on both sides while the run follows, and what that costs."""
    choices: dict[Name, Choice] = {}
    for name in names:
        found = read.relations.get(name)
        if found is not None and (choice := choice_of(found)):
            choices[name] = choice
    until = "on both sides until windlass finish or windlass abandon puts it back"
    full = [str(name) for name, one in choices.items() if one.identity == "f"]
    cheap = [str(name) for name, one in choices.items() if one.identity != "f"]
    if full:
        yield (
            f"sets REPLICA IDENTITY FULL of {plural(len(full), 'table')}"
            f" ({several(full, _MOST_NAMED)}) {until}: each update and delete writes the whole old"
            " row to the WAL, and waits for a short lock once"
        )
    if cheap:
        yield (
            f"sets the replica identity of {plural(len(cheap), 'table')} to a unique index"
            f" ({several(cheap, _MOST_NAMED)}) {until}, which costs a short lock"
        )
