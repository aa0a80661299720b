"""The findings of a task as log lines and XComs: problems, differences, and what to do about them.

Decides the wording. `windlass.airflow.operators` decides which task reports what.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from windlass.errors import Different, Refused, WindlassError
from windlass.model.flow import Result
from windlass.model.outcome import State
from windlass.model.report import Difference, DifferenceKind, Problem

MOST_SHOWN = 200  # differences in a log and in XCom
# usual ids of the DAGs that act on past runs, or compare both sides
STATUS_DAG, ROLLBACK_DAG = "windlass_status", "windlass_rollback"
CLEAN_DAG, REPAIR_DAG = "windlass_clean", "windlass_repair"
VALIDATION_DAG = "validate_migration_env"
REPAIR = (
    f"the DAG {REPAIR_DAG}, or windlass verify --repair, with the same databases and schemas, makes"
    " the target match the source; clearing tasks does not"
)
REDEFINE = "change the definitions on the target, or migrate again"
OVER = (State.DIFFERENT, State.LOSSY)  # ended, and red: clearing tasks cannot make such a run green


def lines_of(error: WindlassError, *, repairs: bool = True) -> Iterator[str]:
    """One line for each problem. `repairs`: whether `windlass verify` can repair differences of
    this flow."""
    if isinstance(error, Refused):
        yield from _problem_lines(error.problems)
    elif isinstance(error, Different):
        yield str(error)
        yield from difference_lines(error.differences, error.losses, repairs=repairs)
        if error.summary.get("repaired"):
            run = str(error.summary["run"])
            yield f"rows that differed are repaired; to put them back: {rollback_text(run)}"
    else:
        yield f"{error} ({error.hint})" if error.hint else str(error)


def rollback_text(run: str) -> str:
    """How a run is undone."""
    return f"DAG {ROLLBACK_DAG} with run: {run}, or windlass rollback {run}"


def _problem_lines(problems: Sequence[Problem]) -> Iterator[str]:
    """One line for each problem. A hint that several in a row share comes once, after the last of
    them."""
    for hint, group in groupby(problems, key=lambda problem: problem.hint):
        some = list(group)
        if len(some) == 1 or not hint:
            yield from (problem.text for problem in some)
        else:
            yield from (f"{problem.object}: {problem.message}" for problem in some)
            yield f"remedy: {hint}"


def difference_lines(
    differences: Sequence[Difference], losses: Sequence[Any] = (), *, repairs: bool = True
) -> list[str]:
    """One line for each difference, and at the end what to do about them."""
    found = [str(one) for one in (*differences, *losses)]
    more = len(found) - MOST_SHOWN
    lines = [*found[:MOST_SHOWN], *([f"and {more:,} more"] if more > 0 else [])]
    return [*lines, mending(differences)] if differences and repairs else lines


def mending(differences: Sequence[Difference]) -> str:
    """What to do about differences."""
    kinds = {one.kind for one in differences}
    in_rows, in_definitions = kinds - {DifferenceKind.SCHEMA}, DifferenceKind.SCHEMA in kinds
    words = [REPAIR] if in_rows else []
    return "; ".join([*words, *([REDEFINE] if in_definitions else [])])


def found_differences(result: Result) -> list[Difference]:
    """The differences in a step's result, or in an XCom."""
    return [Difference.from_json(one) for one in result.get("differences", ())]


def without_known(result: Result, known: Mapping[str, Mapping[str, Result]]) -> Result:
    """A result without the differences that steps have already reported."""
    own = [one for items in known.values() for each in items.values()
           for one in each.get("differences", ())]  # fmt: skip
    kept = [one for one in result.get("differences") or () if one not in own]
    return {**result, "differences": kept}


def summary_of(results: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """A summary of a step's items: how many, with their rows, tables, losses and assets."""
    losses = [
        f"{item}.{column}: {what}"
        for item, one in results.items()
        for column, what in one.get("losses", {}).items()
    ]
    assets = [asset for one in results.values() for asset in one.get("assets", ())]
    tables = [table for one in results.values() for table in one.get("tables", ())]
    rows = [int(one["rows"] or 0) for one in results.values() if "rows" in one]
    return {
        "items": len(results),
        **({"rows": sum(rows)} if rows else {}),
        **({"tables": tables} if tables else {}),
        **({"losses": losses[:MOST_SHOWN]} if losses else {}),
        **({"assets": assets} if assets else {}),
    }


def is_judged(last: str, failed: Sequence[str], ended: Mapping[str, Any]) -> bool:
    """Whether a run with failed tasks is over, as its `last` task has reported: both sides differ.
    `ended` is the result of that task. Clearing tasks does not make such a run green."""
    return last in failed and ended.get("state") in OVER


def unfinished(failed: Sequence[str]) -> tuple[str, str]:
    """Message and hint of a holder at the end of a run in which tasks have failed."""
    names = ", ".join(failed[:10])
    hint = "clear them together with this one to resume"
    return f"the run ended with failed tasks: {names}", hint
