"""Which sequences get the state that they have on the source."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from windlass.engines.postgres.catalog import Catalog, SequenceOwner
from windlass.model.relation import Name, Relation
from windlass.model.report import Loss, LossClass
from windlass.plan.select import Wanted, is_wanted
from windlass.plan.statements import target_name
from windlass.spec.spec import Extent


@dataclass(frozen=True, slots=True)
class Sequences:
    """What the choice is made from: both sides, and what is selected of the source."""

    source: Catalog
    target: Catalog
    relations: Iterable[Relation]
    schemas: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ToSet:
    """Names on source and target; and what of the source the target lacks."""

    pairs: tuple[tuple[Name, Name], ...] = ()
    losses: tuple[Loss, ...] = ()


def plan_sequences(
    sides: Sequences, made: Collection[Name], extent: Extent, words: Wanted
) -> ToSet:
    """Those that are made, by their names on the source, and those that feed a selected relation.

    With rows alone nothing is made: then those that feed a relation, and those of no column that
    the words select.
    """
    if extent is Extent.SCHEMA:
        return ToSet()
    names = {relation.name for relation in sides.relations}
    if extent is Extent.ALL:
        chosen = [one for one in sides.source.sequences if one.name in made or one.owner in names]
        return ToSet(tuple((one.name, target_name(one.name, sides.schemas)) for one in chosen))
    there = {one.name for one in sides.target.sequences}
    pairs, losses = [], []
    for one in sides.source.sequences:
        target = target_name(one.name, sides.schemas)
        if not _goes_with_rows(one, names, words):
            continue
        if target in there:
            pairs.append((one.name, target))
        elif one.owner is None:
            message = "is not on the target, and --data-only creates nothing"
            losses.append(Loss(f"sequence {target}", message, LossClass.OBJECTS))
    return ToSet(tuple(pairs), tuple(losses))


def _goes_with_rows(one: SequenceOwner, names: Collection[Name], words: Wanted) -> bool:
    if one.owner is not None:
        return one.owner in names
    return is_wanted(one.name, words) or not one.users.isdisjoint(names)
