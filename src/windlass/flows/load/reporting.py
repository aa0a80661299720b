"""Turns the results of a load's steps into its outcome. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from windlass.engines.landing import APPLIED, STAGED
from windlass.loading.made import LoadPlan
from windlass.model.flow import Result
from windlass.model.load import BadValue, Counts, Expect, Finding, summed
from windlass.model.outcome import RelationOutcome
from windlass.model.report import Problem
from windlass.model.units import plural
from windlass.model.wording import word

Results = Mapping[str, Mapping[str, Result]]  # by step and item
MOST_KEYS = 5


def counts_of(results: Results) -> dict[str, int]:
    """Of all loads together, in the words of `windlass.model.load.Counts`."""
    applied = results["apply_rows"].values()
    if not applied:
        return {}
    return summed(_counts(one) for one in applied).as_dict()


def _counts(result: Result) -> Counts:
    return Counts(**{name: int(result.get(name, 0)) for name in Counts().as_dict()})


def noted(lines: Results) -> dict[str, dict[str, Result]]:
    """The results of work by other processes, from the journal's lines."""
    staged: dict[str, Result] = dict(lines.get(STAGED, {}))
    applied: dict[str, Result] = {
        item: {"rows": counts.get("read", 0), **counts}
        for item, note in lines.get(APPLIED, {}).items()
        for counts in (note.get("counts", note),)
    }
    return {STAGED: staged, APPLIED: applied}


def relations_of(plans: Sequence[LoadPlan], results: Results) -> tuple[RelationOutcome, ...]:
    return tuple(_relation(one, results) for one in plans)


def _relation(plan: LoadPlan, results: Results) -> RelationOutcome:
    staged = [
        one for item, one in results["stage_rows"].items() if item.rpartition(" ")[0] == plan.name
    ]
    places = plan.load.inputs
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return RelationOutcome(
        source=f"{places[0]}{more}" if places else "",
        target=plan.name,
        rows=sum(int(one.get("rows", 0)) for one in staged),
        bytes=sum(int(one.get("bytes", 0)) for one in staged),
        chunks=len(places),
        seconds=sum(float(one.get("seconds", 0.0)) for one in staged),
        snapshots=(),
        verified="rows" if plan.name in results["apply_rows"] else "",
    )


def bad_problem(bad: BadValue) -> Problem:
    """A bad value, as a problem that stops a run: the input, and where it is in it."""
    place, _, rest = bad.described.partition(": ")
    return Problem(place, rest)


def finding_problem(name: str, finding: Finding, key: Sequence[str]) -> Problem:
    """An expectation that does not hold, with some keys of its rows."""
    expected, hint = finding.expectation, ""
    if expected.kind is Expect.UNIQUE and tuple(expected.columns) == tuple(key):
        hint = f"{word('duplicates', 'last')} loads the last of them, in the input's order"
    return Problem(name, finding_text(finding), hint)


def finding_text(finding: Finding) -> str:
    shown = ", ".join(finding.keys[:MOST_KEYS])
    more = "…" if len(finding.keys) > MOST_KEYS or finding.rows > len(finding.keys) > 0 else ""
    keys = f": {shown}{more}" if shown else ""
    rows = plural(finding.rows, "row")
    return f"{finding.expectation.described} does not hold for {rows}{keys}"


def put_aside(results: Results) -> Iterator[str]:
    """What was put aside, for people."""
    for item, one in results["stage_rows"].items():
        if number := int(one.get("refused", 0)):
            yield f"{item.rpartition(' ')[0]}: {plural(number, 'bad record')} put aside"
            yield from one.get("bad", ())
