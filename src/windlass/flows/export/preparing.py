"""Prepares an export: takes the snapshot and finds every problem."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from windlass.engines.base import FILES, Source, Target
from windlass.engines.objects.store import ObjectStore
from windlass.engines.starting import when_up
from windlass.errors import Refused, Unreachable, WindlassError
from windlass.flows.export.commits import Commits
from windlass.flows.export.manifests import Manifests
from windlass.flows.export.publishing import Published
from windlass.model.export import Export
from windlass.model.report import Problem
from windlass.model.snapshot import Snapshot
from windlass.planning import exports as plan
from windlass.spec.export import ExportSpec
from windlass.transfer.hashing import Hasher

NEW_SNAPSHOT = "what it has not read yet is read in a new snapshot"


def prepare(
    spec: ExportSpec, source: Source, store: ObjectStore, target: Target | None, *, patient: bool
) -> tuple[tuple[Export, ...], Snapshot]:
    """The exports, and the snapshot they are read in.

    Raises:
        Refused: with every problem; nothing was written.
        Unreachable: the only problem is that the source cannot be reached now.
    """
    exports: list[Export] = []
    found: list[Problem] = []
    snapshot, passing = None, 0
    try:
        snapshot = hold(source, overlaps(spec))
    except WindlassError as error:
        if patient and error.retryable:
            raise
        found.append(Problem("source", str(error), error.hint))
        passing = int(error.retryable)
    else:
        exports, found = plan_exports(spec, source, target)
    try:
        store.check()
        if exports and (target is None or spec.keep_files):
            found += Published(store).problems(source.identity)
    except WindlassError as error:
        found.append(Problem("to", str(error), error.hint))
    if target is not None:
        found += target.problems(exports)
    if found and passing == len(found):
        raise Unreachable(found)
    if found or snapshot is None:
        raise Refused(found)
    source.keep({one.relation for one in exports})
    return tuple(with_watermarks(exports, source, store, target)), snapshot


def hasher_of_environment() -> Hasher | None:
    """None without a key."""
    key = os.environ.get(plan.HASH_KEY, "")
    return Hasher(key) if len(key) >= plan.LEAST_KEY else None


def hold(source: Source, overlaps: Sequence[float], number: int = 1) -> Snapshot:
    """Take the snapshot, waiting for a server that is starting."""
    return when_up(lambda: source.hold(number, overlaps=overlaps))


def overlaps(spec: ExportSpec) -> list[float]:
    """The overlaps of all requested watermarks."""
    return [one.overlap_seconds for one in spec.relations if one.watermark]


def plan_exports(
    spec: ExportSpec, source: Source, target: Target | None
) -> tuple[list[Export], list[Problem]]:
    """The requested relations of the source, and every problem with them."""
    relations = source.relations()
    chosen, problems = plan.choose(spec, relations)
    key_id = hasher.id if (hasher := hasher_of_environment()) else ""
    exports: list[Export] = []
    seen: list[tuple[str, str]] = []
    is_all_seen = True
    for name, one in chosen.items():
        try:
            described = source.describe(one.request)
            seen += [(one.plain, column.name) for column in described.columns]
            export, faults = plan.plan_export(
                spec, one, described, source.facts, target.facts if target else FILES, key_id
            )
            problems += [Problem(name, fault) for fault in faults]
            if not faults:
                item, engine = source.item(one.request), source.facts.engine
                exports.append(replace(export, query=item, source=source.identity, engine=engine))
        except WindlassError as error:
            problems.append(Problem(name, str(error), error.hint))
            is_all_seen = False
    problems += plan.unmatched(spec, relations, seen if is_all_seen else None)
    problems += plan.unreadable(chosen)
    if target is not None:
        problems += plan.table_problems(exports)
    return exports, problems


def with_watermarks(
    exports: Sequence[Export], source: Source, store: ObjectStore, target: Target | None
) -> Iterator[Export]:
    """Add to each export where the last run ended and where this one will end."""
    for one in exports:
        if not one.watermark:
            yield one
        elif target is None:
            yield Commits(store).planned(source, one)
        else:
            yield replace(one, span=source.span(one, target.watermark(one)))


def resuming(
    run: str, exports: Sequence[Export], manifests: Manifests, target: Target | None
) -> str:
    """A notice on whether a run that the user named resumes or starts."""
    if any(manifests.read(one) or (target and target.loaded(run, one)) for one in exports):
        return f"run {run} resumes: {NEW_SNAPSHOT}"
    return f"run {run} begins: it has left nothing to resume"
