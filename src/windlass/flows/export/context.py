"""The context of the flow `export`: source, store, warehouse, and finished work.

The source is only read and has no journal: an extract is recorded in its manifest, a load in the
warehouse.
"""

from __future__ import annotations

import base64
import threading
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Self, TypeVar

from pydantic import TypeAdapter

from windlass.engines.base import Facts, Target
from windlass.engines.objects.store import ObjectStore
from windlass.engines.registry import open_source, open_target
from windlass.errors import BadSpec, Different, Refused, SnapshotLost, WindlassError
from windlass.flows.export.commits import remove_uncommitted
from windlass.flows.export.manifests import Manifests, run_of
from windlass.flows.export.outline import EXPORT
from windlass.flows.export.preparing import (
    NEW_SNAPSHOT,
    after,
    hold,
    loads_into,
    overlaps,
    prepare,
    resuming,
    with_watermarks,
)
from windlass.flows.export.records import (
    RUN,
    Record,
    Recording,
    begun,
    check_options,
    config_hash,
)
from windlass.flows.export.reporting import (
    differences_of,
    fill_in,
    left_out,
    losses_of,
    relations_of,
    used,
)
from windlass.flows.export.threads import Threads
from windlass.flows.export.watching import watching
from windlass.model.event import Emit, FlowPlanned, Noticed, ignore
from windlass.model.export import Export
from windlass.model.flow import Handover, Result
from windlass.model.outcome import (
    A_COMMAND,
    NO_REASON,
    Course,
    Outcome,
    Proof,
    Reason,
    StartedBy,
    State,
)
from windlass.model.report import Problem
from windlass.model.run_id import new_run_id
from windlass.model.snapshot import Snapshot
from windlass.model.units import several
from windlass.model.wording import word
from windlass.run.story import Reporting, Story
from windlass.spec.export import ExportSpec

T = TypeVar("T")
_EXPORTS = TypeAdapter(tuple[Export, ...])


class Exporting(Reporting):
    """One process's part in an export. Use as a context manager."""

    def __init__(
        self,
        spec: ExportSpec,
        emit: Emit = ignore,
        *,
        started_by: StartedBy = A_COMMAND,
        patient: bool = False,
        run: str = "",
        restart: bool = False,
    ) -> None:
        """Connects to nothing yet. A run belongs to its scheduler's, or has its own id; without
        either it is the unfinished run of this spec, if there is one and not `restart`.

        Raises:
            BadSpec: source or warehouse cannot be read, or the run's name cannot be a folder name.
            Refused: the store cannot be used, or the library of an engine is not installed.
        """
        if run and not RUN.fullmatch(run):
            raise BadSpec([f"run: {run!r} is not one word of letters, digits, `_`, `-` and `.`"])
        if run and restart:
            raise BadSpec([f"{word('restart')} begins a new run: give it another name"])
        if spec.source is None:
            raise BadSpec([f"no source: give {word('source')}, or set WINDLASS_SOURCE"])
        self.spec, self.patient = spec, patient
        self.story = Story(emit)
        self.threads = Threads(spec.jobs)
        self.source = _opened("source", open_source, spec.source.get_secret_value())
        self.store = _opened("to", ObjectStore, spec.to, spec.store_options)
        self.target: Target | None = None
        if spec.warehouse is not None:
            url = spec.warehouse.get_secret_value()
            self.target = _opened("warehouse", open_target, url, spec.into)
        self._named = bool(run) and not patient  # given by a person, who may have mistyped it
        external_run = started_by.external_run
        self.run = run or (
            run_of(external_run, self._destination) if external_run else new_run_id()
        )
        self.exports: tuple[Export, ...] = ()
        self.unfit: tuple[Problem, ...] = ()  # why relations of the spec are left out
        self.snapshots: tuple[Snapshot, ...] = (Snapshot(0, "", "", ""),)  # the last is read now
        # another process planned the run, and no snapshot was taken here yet
        self._planned_elsewhere = False
        self._taking = threading.Lock()
        seeks = not (run or restart or external_run)  # a scheduler knows its own runs
        self.recording = Recording(self.store, seeks=seeks, started_by=started_by)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: Any) -> None:
        self.source.__exit__(*fault)
        if self.target is not None:
            self.target.__exit__(*fault)
        self.recording.leave(self.run, fault[1] if fault else None, self._checked)

    # for the steps

    @property
    def loads_into(self) -> Facts:
        """The facts of the engine that will read the files."""
        return loads_into(self.spec, self.target)

    @property
    def snapshot(self) -> Snapshot:
        return self.snapshots[-1]

    @property
    def place(self) -> str:
        """The destination, for people."""
        return self.target.place if self.target else self.store.url

    @property
    def keeps_files(self) -> bool:
        """Whether the files are still there when the run is over."""
        return self.target is None or self.spec.keep_files

    @property
    def manifests(self) -> Manifests:
        return Manifests(self.store, self.run, self._destination)

    @property
    def _destination(self) -> str:
        return f"{self.target.place} {self.spec.into}" if self.target else ""

    def export(self, name: str) -> Export:
        return next(one for one in self.exports if one.name == name)

    # the beginning

    def begin(self) -> None:
        """Prepare, find the run to resume, and leave a record of it in the store.

        Raises:
            Refused: with every problem; nothing was written.
            Unreachable: the only problem is that the source cannot be reached now.
        """
        if self.recording.has_begun:
            return
        if not self.exports:
            self.prepare()  # with all that is wrong with the store
        self.recording.check(self.run, self._config)
        unfinished = self._named and self.recording.is_unfinished(self.run, self._config)
        given = self.run, self.exports, self.manifests, self.target
        named = resuming(*given, is_unfinished=unfinished) if self._named else ""
        if found := self.to_resume():
            self.run = found.run
        if found or self.recording.may_resume:
            there = filter(None, map(self.manifests.read, self.exports))
            self.snapshots = after(there, self.snapshot)
        self.recording.begin(self._record, found)
        if found:
            gone = set(found.folders.values()) - set(self._record.folders.values())
            remove_uncommitted(self.store, gone)
            self.emit(Noticed(f"run {found.run} resumes: {NEW_SNAPSHOT}"))
        self.emit(self._planned)
        self.story.show(one.text for one in self.unfit)
        if named:
            self.emit(Noticed(named))

    def to_resume(self) -> Record | None:
        """The newest run of this export, if it is unfinished and no process works on it."""
        return self.recording.find(self._config)

    @property
    def _config(self) -> str:
        places = (self.source.identity, self._destination, self.store.url)
        return config_hash(self.spec.config(), *places)

    @property
    def _record(self) -> Record:
        folders = {one.name: self.manifests.folder(one) for one in self.exports}
        names = self.source.place, self.place
        return begun(self.run, self._config, names, folders, loads=self.target is not None)

    def prepare(self) -> None:
        """Take the snapshot, and find everything that would stop the export. Writes nothing.

        Raises:
            Refused: with every problem.
            Unreachable: the only problem is that the source cannot be reached now.
        """
        found = prepare(self.spec, self.source, self.store, self.target, patient=self.patient)
        self.exports, self.snapshots, self.unfit = found.exports, (found.snapshot,), found.unfit
        for notice in found.notices:
            self.emit(Noticed(notice))

    @property
    def _planned(self) -> FlowPlanned:
        return FlowPlanned(
            self.run,
            {one.name: one.size_bytes for one in self.exports},
            {one.name: max(one.rows, 0) for one in self.exports},
            source=self.source.place,
            target=self.place,
            resumed=self._is_resumed,
            flow=EXPORT.name,
            doing=EXPORT.words.doing,
            steps=self.steps,
            copy_steps=EXPORT.copies,
        )

    # for `conduct`

    @property
    def has_begun(self) -> bool:
        return self.recording.has_begun

    @property
    def run_id(self) -> str:
        return self.run

    @property
    def ended(self) -> State | None:
        return self.recording.ended

    @property
    def undone(self) -> Sequence[Problem]:
        return ()

    def end(self, state: State, outcome: Outcome) -> None:
        """Record how the run ended.

        Raises:
            RunLost: the store cannot be written now.
        """
        self.recording.end(self.run, state, outcome)

    def hand_over(self) -> Handover:
        return Handover({"run": self.run, "restart": False}, "resuming in a new snapshot")

    # for the runner

    def finished(self, step: str) -> Mapping[str, Result]:
        return {}  # each step checks the manifest or the warehouse itself

    def recover(self, error: WindlassError) -> None:
        """Every step reopens what it needs, but the snapshot must still be held."""
        if isinstance(error, SnapshotLost):
            raise error
        self.keep()

    def cancel(self) -> None:
        self.source.cancel()
        if self.target is not None:
            self.target.cancel()

    def leave(self) -> None:
        """A worker thread holds nothing between items."""

    # for other processes

    def keep(self) -> None:
        """Raises:
        SnapshotLost: the source has ended the session that held it.
        """
        if not self.source.alive:
            raise SnapshotLost("the session that held the snapshot is gone", side="source")

    def watching(self) -> AbstractContextManager[None]:
        return watching(self.source, lambda: self.run, self.spec.jobs, self.emit, self.cancel)

    @property
    def handle(self) -> Result:
        return _handle(self)

    def join(self, handle: Result) -> None:
        """Work in the run that another process has planned; refused with other options."""
        check_options(handle["run"], self.spec.config(), handle.get("options", ""))
        self.run = handle["run"]
        self.exports = _EXPORTS.validate_json(zlib.decompress(base64.b85decode(handle["plan"])))
        self.unfit = tuple(Problem(**one) for one in handle["unfit"])
        self._planned_elsewhere = True
        self.story.began(self.recording.join(self.run))

    def take_snapshot(self) -> None:
        """Take the snapshot that relations are read in from now on. Does nothing if this process
        planned the run, as it holds the snapshot already."""
        with self._taking:
            if not self._planned_elsewhere:
                return
            found = {one.name: self.manifests.read(one) for one in self.exports}
            before = {name: one for name, one in found.items() if one}
            snapshot = hold(self.source, overlaps(self.spec))
            self.snapshots = after(before.values(), snapshot)
            self.source.keep(self.exports)
            self.exports = tuple(
                with_watermarks(self.exports, self.source, self.store, self.target)
            )
            self._planned_elsewhere = False
        for notice in self.source.notices():
            self.emit(Noticed(notice))
        if before:
            names = several(list(before))
            self.emit(Noticed(f"{names} has been read in an earlier snapshot: {NEW_SNAPSHOT}"))

    def lacking(self, steps: Collection[str]) -> Mapping[str, Sequence[str]]:
        return {}

    # the end

    def conclude(self) -> None:
        if self.unfit:
            raise Different(differences_of(self.unfit))

    def outcome(self, state: State, reason: Reason = NO_REASON) -> Outcome:
        proof = "rows" if self.target else "files"
        if self.recording.is_joined:
            fill_in(self.results, self.exports, self.manifests)
        relations = relations_of(self.exports, self.results, proof, self._arrival)
        verified = proof if state is State.DONE else ""
        outcome = Outcome(
            run=self.run,
            state=state,
            relations=relations + left_out(self.unfit),
            losses=losses_of(self.results),
            snapshots=used(self.snapshots, relations),
            source=self.recording.source or self.source.place,
            target=self.place,
            reason=reason,
            proof=Proof(verified, differences=differences_of(self.unfit)),
            course=Course(resumed=self._is_resumed),
        )
        return self.story.complete(outcome)

    @property
    def _is_resumed(self) -> bool:
        return self.recording.resumed

    def _checked(self) -> Outcome | None:
        """The outcome if this process has done the run's last step; otherwise None."""
        checked = self.results["check_rows"]
        if not self.exports or {one.name for one in self.exports} - set(checked):
            return None
        return self.outcome(State.DONE)

    def _arrival(self, export: Export) -> str:
        return export.table if self.target else self.manifests.place(export)


def _handle(run: Exporting) -> Result:
    plan = base64.b85encode(zlib.compress(_EXPORTS.dump_json(run.exports))).decode()
    unfit = [one.to_json() for one in run.unfit]
    options = config_hash(run.spec.config())
    return {"run": run.run, "plan": plan, "unfit": unfit, "options": options}


def _opened(side: str, open_it: Callable[..., T], *given: Any) -> T:
    try:
        return open_it(*given)
    except BadSpec:
        raise
    except WindlassError as error:
        raise Refused([Problem(side, str(error), error.hint)]) from error
