"""The steps of the flow `load`. Each finds in the target's journal whether its work is done."""

from __future__ import annotations

import time

from windlass.engines.landing import staged_item
from windlass.errors import BadRecord, RowsRefused
from windlass.flows.load.context import Loading
from windlass.flows.load.reporting import bad_problem, finding_problem, finding_text, put_aside
from windlass.flows.load.watched import Watched
from windlass.model.event import BytesCopied, Noticed
from windlass.model.flow import Item, Result
from windlass.model.report import Problem
from windlass.model.wording import word


def read_inputs(run: Loading, _: Item) -> Result:
    """Plan the loads, refuse what is not possible, and journal the run."""
    run.begin()
    return {**run.handle, "notices": list(run.notices)}


def staged_items(run: Loading) -> list[Item]:
    """One for each input; the largest first, so that a small one ends last."""
    found = [
        Item(
            staged_item(one.name, number),
            one.name,
            max(run.input(one.name, number).identity.size_bytes, 0),
            {"load": one.name, "number": number},
        )
        for one in run.plans
        for number in range(len(one.load.inputs))
    ]
    return sorted(found, key=lambda item: -item.cost)


def load_items(run: Loading) -> list[Item]:
    """One for each load, in the order of the spec: a table may refer to an earlier one."""
    return [Item(one.name, one.name, one.size_bytes) for one in run.plans]


def stage_rows(run: Loading, item: Item) -> Result:
    """Copy an input's records into the staging table.

    Raises:
        RowsRefused: a record cannot be loaded; no table has changed.
    """
    name, _, number = item.id.rpartition(" ")
    plan, source = run.plan(name), run.input(name, int(number))
    started = time.perf_counter()

    def report(size_bytes: int) -> None:
        run.emit(BytesCopied(item.id, item.group, size_bytes))

    watched = Watched(source, report)
    try:
        staged = run.target.stage(run.run, plan.load, int(number), watched)
    except BadRecord as error:
        raise RowsRefused([bad_problem(one) for one in error.bad], hint=error.hint) from error
    return {
        "rows": staged.rows,
        "bytes": max(source.identity.size_bytes, 0),
        "refused": staged.refused,
        "bad": [one.described for one in staged.bad],
        "seconds": round(time.perf_counter() - started, 3),
    }


def check_rows(run: Loading, item: Item) -> Result:
    """Find what rows do not meet; `judge_rows` decides."""
    plan = run.plan(item.id)
    findings = run.target.check(run.run, plan.load)
    return {
        "stops": [
            finding_problem(plan.name, one, plan.load.words.key).to_json()
            for one in findings
            if not one.expectation.warns
        ],
        "warns": [finding_text(one) for one in findings if one.expectation.warns],
    }


def judge_rows(run: Loading, _: Item) -> Result:
    """Refuse the run if rows of any load cannot be loaded.

    Raises:
        RowsRefused: with every expectation that does not hold; no table has changed.
    """
    problems = []
    for text in put_aside(run.results):
        run.emit(Noticed(text))
    for plan in run.plans:
        checked = run.results["check_rows"].get(plan.name)
        if checked is None:  # by another process
            checked = check_rows(run, Item(plan.name))
        for text in checked.get("warns", ()):
            run.emit(Noticed(f"{plan.name}: {text}"))
        problems += [Problem(**one) for one in checked.get("stops", ())]
        if empty := _emptied(run, plan.name):
            problems.append(empty)
    if problems:
        raise RowsRefused(problems)
    return {"notices": list(run.notices)}


def _emptied(run: Loading, name: str) -> Problem | None:
    """An input without rows would delete or mark every row of the table."""
    plan = run.plan(name)
    if plan.allows_empty or run.is_applied(name) or plan.load.words.missing == "keep":
        return None
    staged = run.results["stage_rows"]
    rows = sum(
        int(one.get("rows", 0)) for key, one in staged.items() if key.rpartition(" ")[0] == name
    )
    if rows:
        return None
    message = "the input has no rows, and all rows that it lacks would go"
    return Problem(name, message, f"if that is right: {word('allow-empty')}")


def apply_rows(run: Loading, item: Item) -> Result:
    """Load the staged rows in one transaction, after the loads before this one.

    Raises:
        WindlassError: the target refused; what earlier loads did stays, and can be undone.
    """
    plan = run.plan(item.id)
    with run.turns.of(item.id, [one.name for one in run.plans]):
        counts = run.target.apply(run.run, plan.load)
    return {"rows": counts.read, **counts.as_dict()}


def clean_up(run: Loading, item: Item) -> Result:
    """Drop what staging made. The result has what was loaded, and the assets that it is."""
    name = run.plan(item.id).load.table.name
    run.target.clean_up(run.run, run.plan(item.id).load)
    loaded = {"run": run.run, **run.results["apply_rows"].get(item.id, {})}
    return {**loaded, "assets": [{**one, **loaded} for one in run.target.assets(name)]}
