"""A made-up outcome with one of everything, for what is tested without a server."""

from __future__ import annotations

from typing import Any

from windlass.model.account import (
    Account,
    Asked,
    By,
    Commands,
    StepSpan,
    Throughput,
    Timeline,
)
from windlass.model.outcome import (
    Compared,
    Course,
    Outcome,
    Proof,
    Reason,
    RelationOutcome,
    State,
    Totals,
)
from windlass.model.report import Difference, DifferenceKind, Differs, Loss, LossClass, Problem
from windlass.model.snapshot import Snapshot
from windlass.run.published import outcome_json

HOSTILE = "<script>alert('x')</script>\"'&<!--"
DIFFERENT = State.DIFFERENT


def relation(name: str, number: int, differs: Differs = Differs.NOT) -> RelationOutcome:
    return RelationOutcome(
        name,
        name.replace("shop.", "store."),
        rows=number * 1_003,
        bytes=number * 70_001,
        chunks=1 + number % 3,
        seconds=number / 7,
        snapshots=(1,),
        verified="" if differs else "full",
        differs=differs,
    )


def sample_outcome(
    state: State = DIFFERENT, *, relations: int = 24, name: str = "shop.table"
) -> Outcome:
    """`name` is that of every object."""
    others = [relation(f"{name}_{number}", number) for number in range(1, relations)]
    differences = (
        Difference(
            DifferenceKind.CHANGED,
            f"{name}_0",
            "the row has other values",
            key={"id": "7"},
            columns=("name", "email"),
            source={"name": "Ann", "email": None},
            target={"name": "", "email": "a@example.com"},
        ),
        Difference(DifferenceKind.MISSING, f"{name}_0", "not on the target", key={"id": "8"}),
        Difference(DifferenceKind.CONTENT, f"{name}_0", "rows differ", rows=1_200),
    )
    return Outcome(
        run="20261130-061800",
        state=state,
        seconds=184.2,
        source=f"{name} on 127.0.0.1:5416 (PostgreSQL 16.14)",
        target="shop on 127.0.0.1:5418 (PostgreSQL 18.1)",
        relations=(relation(f"{name}_0", 9, Differs.ROWS), *others),
        losses=(
            Loss(name, "owner app: the role does not exist on the target", LossClass.OWNERS),
            Loss(f"{name}.note", "3 values have a NUL, which text cannot hold", LossClass.VALUES),
        ),
        snapshots=(Snapshot(1, "00000003-1", "2026-11-30T06:18:02.123456Z", "0/1A2B3C4"),),
        notices=(f"{name} is read as text",),
        reason=Reason("the target hung up", "wait until it is back", (Problem(name, "is gone"),)),
        proof=Proof("", tuple(Compared), differences, {DifferenceKind.CHANGED: 1_202}),
        totals=Totals(sequences=4, set_aside=2),
        course=Course({"copy_tables": 93.4, "create_indexes": 60.0}),
        account=_account(name),
    )


def _account(name: str) -> Account:
    steps = (
        StepSpan("extract_source_schema", (), 0.0, 1.4, 1.4, 1),
        StepSpan("create_target_tables", ("extract_source_schema",), 1.5, 0.9, 0.9, 24),
        StepSpan(
            "copy_tables", ("create_target_tables",), 2.4, 93.4, 180.1, 24, 0, 2, 900_000, 4 << 30
        ),
        StepSpan("create_indexes", ("copy_tables",), 20.0, 120.0, 210.0, 24),
        StepSpan("validate_content", ("create_indexes",), 120.0, 64.0, 120.0, 24),
    )
    amounts = tuple(40_000_000 + at % 7 * 9_000_000 for at in range(60))
    return Account(
        Asked(
            "migrate", "migration", "Migrated", {"schema": [name], "jobs": 4}, "c0ffee" * 10,
            "2026-11-29T12:00:00Z", "Grace Hopper",
        ),
        By("ada", "db-admin-1", "", f"airflow {name} manual", "https://airflow.example.com/r",
           "reader", "owner", "0.1.0", "3.11.7", "Linux x86_64"),
        Timeline("2026-11-30T06:18:00Z", "2026-11-30T06:21:04Z", steps,
                 Throughput(2.0, amounts, tuple(one // 4_000 for one in amounts))),
        Commands("windlass migrate --jobs 4", "windlass verify --repair",
                 "windlass rollback 20261130-061800"),
    )  # fmt: skip


def sample_result(*some: Any, **words: Any) -> dict[str, object]:
    """What ``--json`` prints of it."""
    return outcome_json(sample_outcome(*some, **words))
