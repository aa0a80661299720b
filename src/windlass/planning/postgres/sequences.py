"""Which sequences get the state that they have on the source."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from windlass.engines.postgres.catalog import Catalog, SequenceOwner
from windlass.model.plan import Purpose
from windlass.model.relation import Name, Relation
from windlass.model.report import Loss, LossClass
from windlass.model.wording import word
from windlass.planning.naming import target_name
from windlass.planning.postgres.select import Wanted, is_wanted
from windlass.spec.choices import Extent


@dataclass(frozen=True, slots=True)
class Sequences:
    """The basis of the choice: both sides, and what is selected from the source."""

    source: Catalog
    target: Catalog
    relations: Iterable[Relation]
    schemas: Mapping[str, str]
    selected: Collection[Name]  # sequences of the source, by the archive
    made: Collection[Name]  # sequences that the run makes on the target


@dataclass(frozen=True, slots=True)
class ToSet:
    """Names on source and target, and the source's sequences that the target lacks."""

    pairs: tuple[tuple[Name, Name], ...] = ()
    losses: tuple[Loss, ...] = ()


def plan_sequences(sides: Sequences, extent: Extent, chosen: Wanted, purpose: Purpose) -> ToSet:
    """The selected sequences, and those that feed a selected relation.

    If only rows are loaded, no sequence is created: then those that feed a relation, and selected
    ones that feed no column. A sequence that the target lacks is a loss; if definitions are
    compared, it is one of their differences.
    """
    if extent is Extent.SCHEMA:
        return ToSet()
    names = {relation.name for relation in sides.relations}
    there = {one.name for one in sides.target.sequences} | set(sides.made)
    relations = {one.name for one in sides.target.relations}
    pairs, losses = [], []
    for one in sides.source.sequences:
        if extent is Extent.ALL:
            goes = one.name in sides.selected or one.owner in names
        else:  # a missing relation that it feeds is reported separately
            fed = one.owner and target_name(one.owner, sides.schemas)
            goes = _goes_with_rows(one, names, chosen) and (fed is None or fed in relations)
        target = target_name(one.name, sides.schemas)
        if not goes:
            continue
        if target in there or (extent is Extent.ALL and purpose is Purpose.COMPARE):
            pairs.append((one.name, target))
        else:
            losses.append(Loss(f"sequence {target}", _LACKING[extent], LossClass.OBJECTS))
    return ToSet(tuple(pairs), tuple(losses))


_LACKING = {
    Extent.ALL: "is not on the target, and nothing is created for tables that are filled",
    Extent.DATA: f"is not on the target, and {word('data-only')} creates nothing",
}


def _goes_with_rows(one: SequenceOwner, names: Collection[Name], chosen: Wanted) -> bool:
    if one.owner is not None:
        return one.owner in names
    return is_wanted(one.name, chosen) or not one.users.isdisjoint(names)
