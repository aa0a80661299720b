"""Prepares an export: takes the snapshot and finds every problem."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from windlass.engines.base import FILES, TEXT_FILES, Facts, Source, Target
from windlass.engines.objects.store import ObjectStore
from windlass.engines.starting import when_up
from windlass.errors import Refused, Unreachable, WindlassError
from windlass.flows.export.commits import Commits
from windlass.flows.export.manifests import Manifests, shows_the_same
from windlass.flows.export.publishing import Published
from windlass.flows.export.records import finished
from windlass.model.export import Export, Manifest
from windlass.model.fit import Survey
from windlass.model.report import Problem
from windlass.model.snapshot import Snapshot
from windlass.planning import exports as plan
from windlass.planning.nesting import nested_notice
from windlass.spec.choices import Format
from windlass.spec.export import ExportSpec
from windlass.transfer.hashing import hasher_of_environment

NEW_SNAPSHOT = "the rest is read in a new snapshot"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is exported, and the snapshot it is read in. `unfit` are problems that keep other
    relations from being loaded."""

    exports: tuple[Export, ...]
    snapshot: Snapshot
    unfit: tuple[Problem, ...] = ()
    notices: tuple[str, ...] = ()


def prepare(
    spec: ExportSpec, source: Source, store: ObjectStore, target: Target | None, *, patient: bool
) -> Prepared:
    """Plan the exports, and take the snapshot they are read in. A relation whose table does not fit
    is left out, unless it is the only one.

    Raises:
        Refused: with every problem; nothing was written.
        Unreachable: the only problem is that the source cannot be reached now.
    """
    exports: list[Export] = []
    found: list[Problem] = []
    notices: list[str] = []
    snapshot, passing = None, 0
    try:
        snapshot = hold(source, overlaps(spec))
    except WindlassError as error:
        if patient and error.retryable:
            raise
        found.append(Problem("source", str(error), error.hint))
        passing = int(error.retryable)
    else:
        exports, found, notices = plan_exports(spec, source, target)
    try:
        store.check()
        if exports and target is None:
            found += Published(store).problems(source.identity)
    except WindlassError as error:
        found.append(Problem("to", str(error), error.hint))
    survey = target.survey(exports) if target else Survey()
    found += survey.problems
    unfit = {name: fit.problems for name, fit in survey.fits.items() if fit.problems}
    fitting = [one for one in exports if one.name not in unfit]
    if found or not fitting:
        found += [problem for some in unfit.values() for problem in some]
    if found and passing == len(found):
        raise Unreachable(found)
    if found or snapshot is None:
        raise Refused(found)
    source.keep(fitting)
    return Prepared(
        tuple(with_watermarks(fitting, source, store, target)),
        snapshot,
        tuple(_left_out(name, one) for name, some in unfit.items() for one in some),
        (*source.notices(), *notices, *_changes(survey)),
    )


def _changes(survey: Survey) -> Iterator[str]:
    """What becomes of the tables that are loaded."""
    for fit in survey.fits.values():
        if not fit.problems:
            yield from fit.notices


def _left_out(name: str, problem: Problem) -> Problem:
    return Problem(name, f"is not exported: {problem.object}: {problem.message}", problem.hint)


def hold(source: Source, overlaps: Sequence[float | None]) -> Snapshot:
    """Take the snapshot, waiting for a server that is starting."""
    return when_up(lambda: source.hold(overlaps=overlaps))


def after(manifests: Iterable[Manifest], snapshot: Snapshot) -> tuple[Snapshot, ...]:
    """The snapshots in which the run has read before, then the new one, with the next number."""
    before = {one.snapshot: one.read_at for one in manifests}
    earlier = [Snapshot(number, "", at, "") for number, at in sorted(before.items())]
    return (*earlier, replace(snapshot, number=max(before, default=0) + 1))


def overlaps(spec: ExportSpec) -> list[float | None]:
    """For each watermark that can be a time, its overlap in seconds. None where rows are appended
    to files, which would contain the overlap twice."""
    return [
        None if plan.reads_once(spec, one) else one.overlap_seconds
        for one in spec.wanted
        if one.watermark and one.overlap is None  # which is of a number
    ]


def loads_into(spec: ExportSpec, target: Target | None) -> Facts:
    """What the files are for."""
    if target is not None:
        return target.facts
    return TEXT_FILES if spec.format is Format.CSV else FILES


def plan_exports(
    spec: ExportSpec, source: Source, target: Target | None
) -> tuple[list[Export], list[Problem], list[str]]:
    """The requested relations of the source, every problem with them, and notices."""
    relations = source.relations()
    chosen, problems = plan.choose(spec, relations)
    key_id = hasher.id if (hasher := hasher_of_environment()) else ""
    exports: list[Export] = []
    notices: list[str] = []
    seen: list[tuple[str, str]] = []
    is_all_seen = True
    for name, one in chosen.items():
        try:
            described = source.describe(one.request)
            seen += [(one.plain, column.name) for column in described.columns]
            if not (described.columns or one.is_named):
                notices.append(f"{name} has no columns, and is left out")
                continue
            export, faults = plan.plan_export(
                spec, one, described, source.facts, loads_into(spec, target), key_id
            )
            problems += [Problem(name, fault) for fault in faults]
            notices += nested_notice(name, export.columns, loads_into(spec, target))
            if not faults:
                item, engine = source.item(one.request), source.facts.engine
                exports.append(replace(export, query=item, source=source.identity, engine=engine))
        except WindlassError as error:
            problems.append(Problem(name, str(error), error.hint))
            is_all_seen = False
    notices += plan.notice_of_ours(spec, relations, chosen)
    problems += plan.unmatched(spec, relations, seen if is_all_seen else None)
    problems += plan.unreadable(chosen)
    if target is not None:
        problems += plan.table_problems(exports, target.facts)
    return exports, problems, notices


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
    run: str,
    exports: Sequence[Export],
    manifests: Manifests,
    target: Target | None,
    *,
    is_unfinished: bool,
) -> str:
    """A notice on whether a run that the user named resumes or starts. `is_unfinished`: its record
    says that it has not ended.

    Raises:
        Refused: it has loaded or written everything. To do nothing would look like success.
    """
    if exports and not is_unfinished and _has_arrived(run, exports, manifests, target):
        raise Refused([finished(run)])
    if any(manifests.read(one) or (target and target.loaded(run, one)) for one in exports):
        return f"run {run} resumes: {NEW_SNAPSHOT}"
    return f"run {run} begins: it has left nothing to resume"


def _has_arrived(
    run: str, exports: Sequence[Export], manifests: Manifests, target: Target | None
) -> bool:
    if target is not None:
        return all(target.loaded(run, one) for one in exports)
    found = [(one, manifests.read(one)) for one in exports]
    return all(manifest and shows_the_same(one, manifest) for one, manifest in found)
