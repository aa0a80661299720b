"""What a run may claim: what was compared, and which relations are equal.

Nothing is reported as equal that was not compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from windlass.flows.sides import Sides
from windlass.model.flow import Result
from windlass.model.outcome import Compared, Outcome, Proof, RelationOutcome
from windlass.model.plan import RelationPlan
from windlass.model.report import Difference, DifferenceKind, Differs
from windlass.run.story import Story
from windlass.spec.choices import Verify

LEFT_OUT = "left_out"  # in the result of reading both sides: tables whose rows are not compared
_OF_ROWS = {DifferenceKind.MISSING, DifferenceKind.EXTRA, DifferenceKind.CHANGED}


def with_findings(run: Sides, outcome: Outcome) -> Outcome:
    """The outcome, with what the steps found so far."""
    parts, differences = parts_of(run.story), tuple(run.differences)
    proof = Proof(level_of(parts), parts, differences, differing_rows(differences))
    roles = replace(
        outcome.account.by, source_role=run.plan.source.user, target_role=run.plan.target.user
    )
    return run.story.complete(
        replace(
            outcome,
            account=replace(outcome.account, by=roles),
            losses=tuple(dict.fromkeys(run.losses())),
            proof=proof,
            notices=run.plan.findings.notices,
            source=str(run.plan.source),
            target=str(run.plan.target),
        )
    )


def relation_outcomes(run: Sides) -> Iterator[RelationOutcome]:
    """The result of the comparison for each relation of the plan."""
    found, both = run.result("find_differences"), run.result("read_both_sides")
    level, left_out = level_of(parts_of(run.story)), both.get(LEFT_OUT, ())
    differs = how_they_differ(
        run.plan.relations,
        run.differences,
        set(both.get("without_rows", ())).difference(left_out),
        found.get("differing", ()),
    )
    for item in run.plan.relations:
        name = str(item.target)
        yield RelationOutcome(
            source=str(item.relation.name),
            target=name,
            rows=found.get("counted", {}).get(name, 0),
            bytes=0,
            chunks=len(item.chunks),
            seconds=0,
            snapshots=(),
            verified="" if differs[name] or name in left_out else level,
            differs=differs[name],
        )


def parts_of(story: Story) -> tuple[Compared, ...]:
    """The parts compared so far."""
    steps = ("validate_schema", "validate_sequences", "find_differences")
    return compared(*(story.result(step) for step in steps))


def compared(schema: Result, sequences: Result, rows: Result) -> tuple[Compared, ...]:
    """The parts that were compared, from the results of the comparing steps. A step that has not
    run adds none."""
    level = rows.get("verified", "")
    found = [
        (Compared.SCHEMA, schema.get("compared", False)),
        (Compared.SEQUENCES, sequences.get("compared", False)),
        (Compared.COUNTS, level in (Verify.COUNTS, Verify.FULL)),
        (Compared.CONTENT, level == Verify.FULL),
    ]
    return tuple(what for what, looked in found if looked)


def level_of(parts: Collection[Compared]) -> str:
    """The level, in one word."""
    if Compared.CONTENT in parts:
        return Verify.FULL.value
    if Compared.COUNTS in parts:
        return Verify.COUNTS.value
    return "schema" if Compared.SCHEMA in parts else ""


def differing_rows(differences: Iterable[Difference]) -> dict[DifferenceKind, int]:
    """How many differences of each kind, named or only counted."""
    found: Counter[DifferenceKind] = Counter()
    for one in differences:
        if one.kind in _OF_ROWS:
            found[one.kind] += one.rows or 1
    return dict(sorted(found.items()))


def how_they_differ(
    relations: Iterable[RelationPlan],
    differences: Iterable[Difference],
    missing: Collection[str],
    rows: Collection[str],
) -> Mapping[str, Differs]:
    """How relations differ, by name on the target. `missing` are relations that cannot have rows
    there; `rows` those whose sums differ."""
    return dict(_each(relations, list(differences), missing, rows))


def _each(
    relations: Iterable[RelationPlan],
    differences: Iterable[Difference],
    missing: Collection[str],
    rows: Collection[str],
) -> Iterator[tuple[str, Differs]]:
    defined = {one.relation for one in differences if one.kind is DifferenceKind.SCHEMA}
    for item in relations:
        name = str(item.target)
        if name in missing:
            yield name, Differs.MISSING
        elif str(item.enters) in rows:
            yield name, Differs.ROWS
        elif name in defined:
            yield name, Differs.DEFINITION
        else:
            yield name, Differs.NOT
