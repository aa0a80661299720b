"""The order in which updates run. Pure.

Each table is loaded in its own transaction. A table that others refer to is loaded by an earlier
run, so that rows without their parent are found before anything is changed. If tables refer to each
other, or a table refers to itself by natural keys, the rows are first loaded without that foreign
key, then once more with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from windlass.django.loads import ModelLoad, Purpose
from windlass.django.tables import Model, ModelField, Part, parts_of, references
from windlass.django.updates import Update
from windlass.errors import Refused
from windlass.model.report import Problem

Run = list[ModelLoad]


@dataclass(frozen=True, slots=True)
class Target:
    """An update with its model, and the database that it goes to."""

    update: Update
    model: Model
    alias: str
    parts: tuple[Part, ...] = ()
    # models that its foreign keys refer to
    needs: frozenset[Model] = field(default_factory=frozenset)

    @classmethod
    def of(cls, update: Update, model: Model, alias: str) -> Target:
        return cls(update, model, alias, parts_of(model), frozenset(references(model)))

    @property
    def own(self) -> set[Model]:
        return {part.model for part in self.parts}

    def foreign_keys(self, to: frozenset[Model] | set[Model]) -> tuple[ModelField, ...]:
        """Foreign keys to these models, except links to parents."""
        return tuple(
            one
            for part in self.parts
            for one in part.fields
            if one.is_relation and one is not part.link and _other(one) in to
        )


def _other(one: ModelField) -> Model:
    return one.remote_field.model._meta.concrete_model


def runs_of(targets: Sequence[Target]) -> list[Run]:
    """The loads of each run, for one database.

    Raises:
        Refused: tables refer to each other by foreign keys that may not be empty.
    """
    ordered, closing = _sorted(targets)
    runs: list[Run] = []
    second: list[ModelLoad] = []
    for target in ordered:
        cut = closing.get(target.update.place, ())
        first = _loads(target, cut)
        _place(runs, first, cut)
        if cut or target.foreign_keys(target.own):
            left_out = first[0].purpose.left_out
            second += _loads(target, cut, left_out=left_out)
    after = len(runs)
    for load in second:
        _place(runs, [load], (), after)
    return runs


def _loads(
    target: Target,
    closing: tuple[ModelField, ...],
    left_out: dict[str, tuple[ModelField, ...]] | None = None,
) -> list[ModelLoad]:
    """One load for each of the model's tables."""
    shared = {} if left_out is None else left_out
    return [
        ModelLoad.made(
            target.update.wanted,
            Purpose(
                target.model, target.parts, at, target.alias, target.update.place, closing,
                left_out is not None, shared,
            ),
        )
        for at in range(len(target.parts))
    ]  # fmt: skip


def _place(
    runs: list[Run], loads: Sequence[ModelLoad], cut: Sequence[ModelField], after: int = 0
) -> None:
    """Put each into the first run that comes after everything that it needs."""
    for load in loads:
        first = max([after, *_after_needed(runs, load, cut)])
        if first == len(runs):
            runs.append([])
        runs[first].append(load)


def _after_needed(runs: Sequence[Run], load: ModelLoad, cut: Sequence[ModelField]) -> Iterator[int]:
    """A run loads a table only once, after others that the table refers to."""
    part = load.purpose.part
    needed = {_other(one) for one in part.fields if one.is_relation and one not in cut}
    for number, run in enumerate(runs):
        for other in run:
            if other.into == load.into or other.purpose.part.model in needed:
                yield number + 1


def _sorted(
    targets: Sequence[Target],
) -> tuple[list[Target], dict[str, tuple[ModelField, ...]]]:
    """The updates, with those first that others refer to; and for each update the foreign keys that
    close a cycle."""
    remaining, done = list(targets), []
    closing: dict[str, tuple[ModelField, ...]] = {}
    while remaining:
        waiting = {model for one in remaining for model in one.own}
        ready = [one for one in remaining if not one.needs & (waiting - one.own)]
        if not ready:
            ready = [_cut(remaining, waiting, closing)]
        for one in ready:
            remaining.remove(one)
            done.append(one)
    return done, closing


def _cut(
    remaining: Sequence[Target], waiting: set[Model], closing: dict[str, tuple[ModelField, ...]]
) -> Target:
    """The first update in a cycle that can be loaded without the foreign keys that close it.

    Raises:
        Refused: none can.
    """
    for one in remaining:
        found = one.foreign_keys(one.needs & waiting)
        if found and all(it.null for it in found):
            closing[one.update.place] = found
            return one
    labels = ", ".join(sorted({one.model._meta.label for one in remaining}))
    message = "refer to each other by foreign keys that may not be empty"
    hint = "load one of them first, with rows that are there; or allow NULL in one foreign key"
    raise Refused([Problem(labels, message, hint)])
