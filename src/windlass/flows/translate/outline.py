"""The flow `translate` as data: a migration from another engine into PostgreSQL, with the steps of
`migrate`. Imports no driver."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from windlass.flows.migrate.outline import MIGRATE
from windlass.flows.repair.outline import REPAIR
from windlass.flows.validate.outline import VALIDATE
from windlass.model.flow import Flow, Step, step_in

_HERE = "windlass.flows.translate"
_OURS = {
    "create_target_tables": f"{_HERE}.steps",
    "copy_tables": f"{_HERE}.rows",
    "copy_chunks": f"{_HERE}.rows",
    "set_sequences": f"{_HERE}.steps",
    "create_triggers_and_rules": f"{_HERE}.steps",
    "validate_content": f"{_HERE}.proof",
    "find_differences": f"{_HERE}.proof",
    "validate_schema": f"{_HERE}.steps",
    "validate_sequences": f"{_HERE}.steps",
}


_ITEMS = {"copy_chunks": "rows:chunk_items", "validate_content": "proof:content_items"}


def _step(step: Step[Any]) -> Step[Any]:
    place = _OURS.get(step.name)
    if place is None:
        return step
    items = f"{_HERE}.{_ITEMS[step.name]}" if step.name in _ITEMS else step.items
    return replace(step, run=f"{place}:{step.name}", items=items)


COMPARE: Flow[Any] = replace(
    VALIDATE,
    name="compare",
    steps=(
        step_in(
            f"{_HERE}.comparison",
            "read_both_sides",
            lasting=True,
            doc="Plans the comparison, and scans every row of the source.",
        ),
        step_in(
            f"{_HERE}.proof",
            "validate_content",
            "read_both_sides",
            items="content_items",
            spread=True,
            listed_by="prepare_validation",
            reads=("read_both_sides",),
            doc="Each side hashes its own rows.",
        ),
        step_in(
            f"{_HERE}.proof",
            "find_differences",
            "validate_content",
            reads=("read_both_sides", "validate_content"),
            doc="Compares the digests, and finds the rows that differ.",
        ),
        step_in(
            "windlass.flows.repair.steps",
            "repair_differences",
            "find_differences",
            asks=True,
            doc="Makes the target's rows equal to the source's, if that was asked for.",
        ),
    ),
    journalled=REPAIR.journalled,
    context=f"{_HERE}.comparison:TranslatedComparison",
)

TRANSLATE: Flow[Any] = replace(
    MIGRATE,
    name="translate",
    steps=tuple(map(_step, MIGRATE.steps)),
    context=f"{_HERE}.context:Translation",
    plan=f"{_HERE}.planned:plan_translation",
    entries="",  # a spec file is `migrate`'s: its source says which flow it is
)
