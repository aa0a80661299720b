"""Turns the results of an export's steps into its outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from windlass.flows.export.manifests import Manifests, written
from windlass.model.export import Export
from windlass.model.flow import Result
from windlass.model.outcome import RelationOutcome
from windlass.model.report import Difference, DifferenceKind, Differs, Loss, LossClass, Problem
from windlass.model.snapshot import Snapshot

Results = Mapping[str, Mapping[str, Result]]  # by step and relation


def relations_of(
    exports: Sequence[Export], results: Results, proof: str, arrival: Callable[[Export], str]
) -> tuple[RelationOutcome, ...]:
    """`arrival` returns where the rows of an export are, for people."""
    extracted, loaded = results["extract"], results["load"]
    return tuple(
        RelationOutcome(
            source=one.name,
            target=arrival(one),
            rows=int(found.get("rows", 0)),
            bytes=int(found.get("bytes", 0)),
            chunks=int(found.get("files", 0)),
            seconds=float(found.get("seconds", 0.0)),
            snapshots=(int(found.get("snapshot", 1)),),
            verified=proof if one.name in loaded else "",
        )
        for one in exports
        for found in (extracted.get(one.name, {}),)
    )


def left_out(unfit: Sequence[Problem]) -> tuple[RelationOutcome, ...]:
    """Relations whose tables do not fit."""
    names = dict.fromkeys(one.object for one in unfit)
    return tuple(
        RelationOutcome(name, "", 0, 0, 0, 0.0, (), differs=Differs.DEFINITION) for name in names
    )


def differences_of(unfit: Sequence[Problem]) -> tuple[Difference, ...]:
    """Relations that were left out, as differences between source and warehouse."""
    return tuple(
        Difference(DifferenceKind.SCHEMA, one.object, f"{one.message}; {one.hint}") for one in unfit
    )


def losses_of(results: Results) -> tuple[Loss, ...]:
    return tuple(
        Loss(f"{name}.{column}", what, LossClass.VALUES)
        for name, result in results["extract"].items()
        for column, what in result.get("losses", {}).items()
    )


def used(
    snapshots: tuple[Snapshot, ...], relations: Sequence[RelationOutcome]
) -> tuple[Snapshot, ...]:
    """The snapshots in which rows of these relations were read."""
    numbers = {number for one in relations for number in one.snapshots}
    return tuple(one for one in snapshots if one.number in numbers) or snapshots


def fill_in(
    results: Mapping[str, dict[str, Result]], exports: Sequence[Export], manifests: Manifests
) -> None:
    """Add what other processes have done to the results, as far as their files show it."""
    for one in exports:
        if checked := results["check_rows"].get(one.name):
            found = manifests.read(one)
            results["extract"].setdefault(one.name, written(found) if found else checked)
            results["load"].setdefault(one.name, {})
