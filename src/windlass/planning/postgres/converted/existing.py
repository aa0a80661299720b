"""What a plan does about objects that the target already has. Pure: the engine has read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from windlass.engines.destination import Destination, folded
from windlass.model.conversion import Replacing, Standing, TableConversion
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.units import several
from windlass.model.wording import word
from windlass.spec.choices import Existing
from windlass.spec.migrate import Spec


def replacing(
    run: str, spec: Spec, names: Mapping[Name, Name], standing: Standing, target: Destination
) -> Replacing:
    """What would be set aside, and the target's state after that. `names` are the target's by the
    source's."""
    needed = [one for one in names.values() if folded(target, one) in standing.names]
    if spec.existing is not Existing.REPLACE or standing.is_new or not needed:
        return Replacing(standing)
    found = target.replacing(run, needed, standing)
    moved = [one.name for one in found.set_aside if one.kind != "trigger"]
    notice = f"set aside until the run is rolled back or cleaned up: {several(moved, 10)}"
    return replace(found, notices=(notice, *found.notices)) if moved else found


def unwanted(spec: Spec, target: Destination) -> Iterator[Problem]:
    """Options about existing objects that no target of another engine has."""
    load = "windlass load fills tables in use"
    if spec.existing is Existing.FILL:
        hint = f"{word('existing', 'replace')} sets tables aside; {load}"
        yield Problem("existing", f"fill is not possible in {target.engine}", hint)
    if spec.data_only:
        yield Problem("data-only", f"is not possible in {target.engine}", load)


def taken_names(
    spec: Spec, names: Mapping[Name, Name], target: Destination, standing: Standing
) -> Iterator[Problem]:
    """Tables and views that are in use, and stay."""
    if standing.is_new:
        return
    for name in names.values():
        if folded(target, name) in standing.names:
            hint = f"rename or drop it, or leave it out: {word('exclude', name.name)}"
            if spec.existing is not Existing.REPLACE:
                hint += f"; {word('existing', 'replace')} sets it aside"
            yield Problem(str(name), f"exists in {target.place}", hint)


def taken_sequences(
    tables: Sequence[TableConversion], target: Destination, standing: Standing
) -> Iterator[Problem]:
    """Sequences that others have made."""
    for table in tables:
        for one in table.before:
            name = Name(table.target.schema, one.name)
            if one.kind == "sequence" and folded(target, name) in standing.names:
                yield Problem(f"sequence {name}", f"exists in {target.place}", "rename or drop it")
