"""The flow `follow` as data: the steps of `migrate`, then following. Imports no driver."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from windlass.flows.migrate.outline import MIGRATE
from windlass.flows.repair.outline import REPAIR
from windlass.flows.validate.outline import VALIDATE
from windlass.model.flow import Flow, Journalled, Step, Words, step_in

_STEPS = "windlass.flows.follow.steps"
_CATCH_UP: Step[Any] = step_in(
    _STEPS,
    "catch_up",
    "attach_indexes",
    "find_differences",
    doc=(
        "Where rows were read from more than one snapshot: applies changes until all tables are as "
        "of one moment, so that foreign keys hold."
    ),
)
_END_COPY: Step[Any] = replace(
    MIGRATE.step("generate_migration_summary"),
    name="end_copy",
    run=f"{_STEPS}:end_copy",
    doc="Checks that the copy is complete and equal; fails, and names the differences, if not.",
)
_FOLLOW: Step[Any] = step_in(
    _STEPS,
    "follow",
    "end_copy",
    doc="Applies changes made on the source, until a cutover or until the run is given up.",
)


def _steps() -> tuple[Step[Any], ...]:
    """The steps of `migrate`, reordered: the copy is compared before any change is applied, and
    foreign keys are made after that."""
    early = ("validate_content", "find_differences")
    others = [step for step in MIGRATE.steps if step.name not in early]
    at = next(n for n, step in enumerate(others) if step.name == "create_foreign_keys")
    keys = replace(others[at], after=(*others[at].after, _CATCH_UP.name))
    return (
        *others[:at],
        *map(MIGRATE.step, early),
        _CATCH_UP,
        keys,
        *others[at + 1 : -1],
        _END_COPY,
        _FOLLOW,
    )


FOLLOW: Flow[Any] = replace(
    MIGRATE,
    name="follow",
    steps=_steps(),
    context="windlass.flows.follow.context:Following",
    entries="",  # its specs are those of `migrate`, with `follow`
    plan="windlass.flows.follow.planned:plan_following",
    journalled=Journalled(
        undo="windlass.flows.follow.undo:undo_following",
        foresee="windlass.flows.migrate.written:foresee_migration",
        status="windlass.flows.follow.status:following_status",
        detail="windlass.flows.follow.status:following_detail",
        left="windlass.flows.migrate.left:migration_left",
        way_out="windlass.flows.follow.advice:way_out",
    ),
    words=Words(
        "migrate",
        "Migrating",
        "Migrated",
        "migration",
        "Reading both databases",
        repairs=False,
        follows=True,
    ),
)

_COMPARING = "windlass.flows.follow.comparing"
_SEQUENCES = replace(
    VALIDATE.step("validate_sequences"),
    run=f"{_COMPARING}:sequences_not_in_stream",
    doc="Says that sequences are set by a cutover.",
)

# `verify` with a repair, where a stream is lost: a new slot is made
RESYNC: Flow[Any] = replace(
    VALIDATE.replacing(
        "validate_schema",
        replace(
            VALIDATE.step("validate_schema"),
            run="windlass.flows.follow.resync:compare_definitions",
        ),
    )
    .replacing(
        "validate_sequences",
        _SEQUENCES,
    )
    .replacing(
        VALIDATE.last.name,
        step_in(
            "windlass.flows.follow.resync",
            "begin_stream_again",
            *VALIDATE.last.after,
            asks=True,
            doc="Repairs what differs; from then on changes count from the new slot.",
        ),
    ),
    context="windlass.flows.follow.resync:Resyncing",
    journalled=replace(
        cast(Journalled, REPAIR.journalled), way_out="windlass.flows.follow.advice:no_way_out"
    ),
    resumes=False,
)

# `verify` of a pair that moves: both sides are read as of one position of the stream.
VERIFY_FOLLOW: Flow[Any] = replace(
    VALIDATE.replacing(
        "validate_schema",
        replace(VALIDATE.step("validate_schema"), run=f"{_COMPARING}:compare_definitions"),
    )
    .replacing(
        "read_both_sides",
        replace(VALIDATE.step("read_both_sides"), run=f"{_COMPARING}:read_moving_sides"),
    )
    .replacing(
        "validate_large_objects",
        replace(
            VALIDATE.step("validate_large_objects"),
            run=f"{_COMPARING}:large_objects_not_in_stream",
            doc="Says that large objects are copied again by a cutover.",
        ),
    )
    .replacing(
        "validate_sequences",
        _SEQUENCES,
    )
    .replacing(
        VALIDATE.last.name,
        replace(VALIDATE.last, run=f"{_COMPARING}:report_comparison"),
    ),
    context=f"{_COMPARING}:MovingComparison",
    resumes=False,
)
