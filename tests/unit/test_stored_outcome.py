"""An outcome as the journal and the records of exports store it: flat, as every version has."""

from __future__ import annotations

import json
from dataclasses import fields, replace

from pydantic import TypeAdapter

from moves import OUTCOME
from sample_plan import PROBLEM
from windlass.model.outcome import PARTS, Course, Outcome, Proof, Reason, State, Totals, with_parts
from windlass.model.report import Difference, DifferenceKind

WHOLE = replace(
    OUTCOME,
    reason=Reason("stopped", "run it again", (PROBLEM,)),
    proof=Proof(
        "counts",
        differences=(Difference(DifferenceKind.EXTRA, "shop.r1", "too many", {"id": "7"}),),
        differing_rows={DifferenceKind.EXTRA: 1},
    ),
    totals=Totals(3, 2, {"written": 7}),
    course=Course({"copy_tables": 1.5}, resumed=True, repaired=True, already=True),
)


def stored(text: str) -> Outcome:
    return TypeAdapter(Outcome).validate_python(with_parts(json.loads(text)))


def test_an_outcome_is_stored_and_read_again_whole() -> None:
    assert stored(json.dumps(WHOLE.as_dict())) == WHOLE


def test_no_field_of_a_part_has_the_name_of_another() -> None:
    names = [one.name for kind in (Outcome, *PARTS.values()) for one in fields(kind)]
    assert sorted(WHOLE.as_dict()) == sorted(name for name in names if name not in PARTS)


def test_an_outcome_of_an_older_version_is_read_without_what_it_lacks() -> None:
    text = '{"run": "r", "state": "done", "verified": "full", "counts": {"written": 1}}'
    found = Outcome("r", State.DONE, proof=Proof("full"), totals=Totals(counts={"written": 1}))
    assert stored(text) == found
