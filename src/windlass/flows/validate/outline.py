"""The flow `validate` as data: its steps and their order. Imports no driver."""

from __future__ import annotations

from typing import Any

from windlass.model.flow import Flow, Words, step_in

_VALIDATE = "windlass.flows.validate.steps"
_DEFINITIONS = "windlass.flows.validate.definitions"

VALIDATE: Flow[Any] = Flow(
    "validate",
    (
        step_in(
            _VALIDATE,
            "read_both_sides",
            lasting=True,
            doc="Plans the comparison, and holds its snapshot until all other tasks have ended.",
        ),
        step_in(
            _DEFINITIONS,
            "validate_schema",
            "read_both_sides",
            doc="Compares the definitions of both sides.",
        ),
        step_in(
            _VALIDATE,
            "validate_content",
            "read_both_sides",
            items="content_items",
            spread=True,
            listed_by="prepare_validation",
            reads=("read_both_sides",),
            doc="Each server fingerprints, or counts, its own rows.",
        ),
        step_in(
            _VALIDATE,
            "validate_sequences",
            "read_both_sides",
            doc="Compares the values of the sequences.",
        ),
        step_in(
            _VALIDATE,
            "validate_large_objects",
            "read_both_sides",
            doc="Compares large objects by their content.",
        ),
        step_in(
            _VALIDATE,
            "find_differences",
            "validate_content",
            reads=("read_both_sides", "validate_content"),
            doc="Compares the fingerprints, and finds the rows that differ.",
        ),
        step_in(
            _VALIDATE,
            "generate_validation_report",
            "find_differences",
            "validate_schema",
            "validate_sequences",
            "validate_large_objects",
            reads=(
                "read_both_sides",
                "find_differences",
                "validate_schema",
                "validate_sequences",
                "validate_large_objects",
            ),
            doc="Reports the result; fails, and names the differences, if there are any.",
        ),
    ),
    context="windlass.flows.validate.context:Comparison",
    spec="windlass.spec.migrate:Spec",
    words=Words("verify", "Comparing", "Compared", "comparison", "Comparing both databases"),
    resumes=False,
)
