"""Runs of loads in a target's journal: which one to resume, and what has been loaded before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from windlass.engines.landing import APPLIED, Landing, LoadRun
from windlass.loading.made import LoadPlan
from windlass.model.outcome import UNDOING, UNFINISHED, StartedBy, State
from windlass.model.report import Problem
from windlass.model.wording import word


def to_resume(
    runs: Sequence[LoadRun], config: Mapping[str, Any], external_run: str
) -> LoadRun | None:
    """The newest run of this external run. Without an external run, the newest of the same config,
    if it has not ended. `runs` are newest first."""
    if external_run:
        over = (State.ROLLED_BACK, State.REFUSED)
        same = (one for one in runs if one.external_run == external_run)
        return next((one for one in same if one.state not in over), None)
    newest = next((one for one in runs if _same(one.config, config)), None)
    return newest if newest and newest.state in UNFINISHED and not newest.external_run else None


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return dict(one) == dict(other)


def has_config(run: LoadRun, config: Mapping[str, Any]) -> bool:
    return _same(run.config, config)


def journalled_plan(plans: Iterable[LoadPlan]) -> dict[str, Any]:
    """What the journal keeps of the plans: enough to recognise the same load later."""
    return {
        "loads": {
            one.name: {
                "config": one.config,
                "mark": one.mark,
                "inputs": list(one.load.inputs),
                "fields": [it.name for it in one.load.fields],
                "words": one.load.words.name,
                "bytes": one.size_bytes,
                "loaded_by": one.loaded_by,
                "identities": [asdict(it) for it in one.identities],
                "hash_key": one.hash_key,
            }
            for one in plans
        }
    }


def loads_of(run: LoadRun) -> Mapping[str, Mapping[str, Any]]:
    """By load, what `journalled_plan` has kept."""
    found: Mapping[str, Mapping[str, Any]] = run.plan.get("loads", {})
    return found


def loaded_by(plan: LoadPlan, runs: Iterable[LoadRun], target: Landing) -> str:
    """The run that loaded the same input in the same way, if no other input was loaded since; empty
    if it is not known whether the input has changed."""
    if not plan.mark:
        return ""
    run = applied_by(plan.name, plan.config, runs, target)
    return run.run if run and is_as_kept(plan, loads_of(run)[plan.name]) else ""


def is_as_kept(plan: LoadPlan, kept: Mapping[str, Any]) -> bool:
    """Whether a load has the inputs that a run has kept of it, hashed with the same key."""
    return bool(kept["mark"] == plan.mark and has_key(plan.hash_key, kept))


def has_key(id_: str, kept: Mapping[str, Any]) -> bool:
    """Whether a run hashed with the key that `id_` identifies. Versions that recorded no key had
    none."""
    return bool(kept.get("hash_key", "") == id_)


def hashed_otherwise(name: str, id_: str, runs: Iterable[LoadRun], target: Landing) -> str:
    """The run that last loaded a table, if it hashed with another key than `id_` identifies; empty
    otherwise, and if nothing is hashed. `runs` are newest first."""
    if not id_:
        return ""
    for run in runs:
        kept = loads_of(run).get(name)
        if kept is None or kept["loaded_by"] or run.state is State.ROLLED_BACK:
            continue
        if _is_applied(run, name, target):
            return "" if has_key(id_, kept) else run.run
    return ""


def applied_by(name: str, config: str, runs: Iterable[LoadRun], target: Landing) -> LoadRun | None:
    """The last run that loaded anything with this config. `runs` are newest first."""
    for run in runs:
        kept = loads_of(run).get(name)
        if kept is None or kept["config"] != config or run.state is State.ROLLED_BACK:
            continue
        if kept["loaded_by"]:  # there was nothing to do
            continue
        if _is_applied(run, name, target):
            return run
    return None


def _is_applied(run: LoadRun, name: str, target: Landing) -> bool:
    found = target.read(run.run)
    if found is None or name in found.lines.get(UNDOING, {}):  # a rollback was killed
        return False
    return run.state is State.DONE or name in found.lines.get(APPLIED, {})


def drift_of(plans: Iterable[LoadPlan], runs: Sequence[LoadRun]) -> Iterator[Problem]:
    """Fields that the newest finished run of a load had, and that its input now lacks. Without this
    check their columns would silently no longer be filled."""
    for plan in plans:
        for name in () if plan.may_drift else _vanished(plan, runs):
            message = f"field {name}, which the last load had, is missing from the input"
            hint = f"its column would no longer be filled; {word('schema', 'add')} if that is right"
            yield Problem(plan.name, message, hint)


def _vanished(plan: LoadPlan, runs: Iterable[LoadRun]) -> tuple[str, ...]:
    for run in runs:
        kept = loads_of(run).get(plan.name)
        if kept and kept["config"] == plan.config and run.state is State.DONE:
            now = {one.name for one in plan.load.fields}
            return tuple(name for name in kept["fields"] if name not in now)
    return ()


def new_run(
    run: str, config: Mapping[str, Any], plans: Sequence[LoadPlan], started_by: StartedBy
) -> LoadRun:
    """What is journalled when a run begins."""
    places = [place for one in plans if not one.loaded_by for place in one.load.inputs]
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return LoadRun(
        run=run,
        state=State.RUNNING,
        source=f"{places[0]}{more}" if places else "",
        config=config,
        plan=journalled_plan(plans),
        external_run=started_by.external_run,
        external_url=started_by.external_url,
    )
