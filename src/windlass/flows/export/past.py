"""Past exports, by their records in the store: reports them, and undoes them as far as possible.

Rows replaced in a warehouse were not kept, so only files can be undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from windlass.engines.objects.store import ObjectStore
from windlass.errors import Refused
from windlass.flows.export.commits import Commits
from windlass.flows.export.manifests import MANIFEST, own_files, read_manifest, remove_files
from windlass.flows.export.publishing import Published
from windlass.flows.export.records import UNFINISHED, Record, Records, in_progress
from windlass.model.event import Emit
from windlass.model.export import Manifest
from windlass.model.logged import LogPart, part_of
from windlass.model.outcome import Outcome, Progress, RunDetail, RunStatus, StartedBy, State
from windlass.model.past import Foreseen, Left, Others, Undone, cannot_skip
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.units import bytes_text, plural
from windlass.model.wording import word
from windlass.run.told import log_of
from windlass.spec.export import ExportSpec


class ExportPast:
    """The runs with a record in one store. Use as a context manager."""

    def __init__(self, store: ObjectStore) -> None:
        self._store, self._records = store, Records(store)

    def __enter__(self) -> Self:
        """Raises:
        WindlassError: the store cannot be reached.
        """
        self._store.check()
        return self

    def __exit__(self, *fault: Any) -> None:
        """Nothing is open."""

    def only_look(self) -> None:
        """Reading changes nothing here."""

    def statuses(self) -> list[RunStatus]:
        return [self._status(one) for one in self._records.all()]

    def detail(self, run: str) -> RunDetail:
        found = self._find(run)
        return RunDetail(self._status(found), found.outcome, found.target, found.version)

    def _find(self, run: str) -> Record:
        found = self._records.read(run)
        if found is None:
            known = ", ".join(one.run for one in self._records.all()[:5]) or "none"
            message = f"has left no record in {self._store.url}; known: {known}"
            raise Refused([Problem(f"run {run}", message)])
        return found

    def _status(self, record: Record) -> RunStatus:
        outcome = record.outcome
        is_running = record.state is State.RUNNING
        done = _arrived(outcome) if outcome else self._written(record)
        return RunStatus(
            run=record.run,
            state=record.state,
            source=record.source,
            started_at=record.started_at,
            finished_at=record.finished_at,
            flow="export",
            # a scheduler's run has no process between two tasks
            active=record.is_alive() or bool(record.external_run and is_running),
            verified=outcome.proof.verified if outcome else "",
            progress=Progress(
                relations_done=done,
                relations=len(record.folders),
                rows=outcome.rows if outcome else 0,
                bytes=outcome.bytes if outcome else 0,
            ),
            started_by=StartedBy(record.external_run, record.external_url),
        )

    def _written(self, record: Record) -> int:
        """Relations whose files are complete."""
        return sum(
            self._store.size(f"{folder}/{MANIFEST}") is not None
            for folder in record.folders.values()
        )

    # the way back

    def log(self, run: str, start: int, most: int, *, with_items: bool) -> LogPart:
        """As far as its outcome and its times tell."""
        return part_of(log_of(self.detail(run)), start, most)

    def plan(self, run: str) -> None:
        """Its plans are kept in another form."""

    def foresee(self, run: str) -> Foreseen | None:
        record = self._find(run)
        if record.state is State.ROLLED_BACK:
            return None
        files, size_bytes, others = 0, 0, []
        for folder in record.folders.values():
            manifest, is_own = read_manifest(self._store, folder), own_files(self._store, folder)
            found = [path for path in self._store.list(f"{folder}/") if not path.endswith(MANIFEST)]
            files += len(found)
            size_bytes += manifest.size_bytes if manifest else 0
            others += [path for path in found if not is_own(path)]
        hint = f"save it, or roll back with {word('force')}"
        written = [Problem(path, "was not written by the run, and would be deleted", hint)
                   for path in others]  # fmt: skip
        return Foreseen(
            f"removes {plural(files, 'file')} ({bytes_text(size_bytes)})",
            written=written,
            blocked=list(self._blocked(record)),
        )

    def _blocked(self, record: Record) -> Sequence[Problem]:
        if record.is_alive():
            return [in_progress(record)]
        relations = record.outcome.relations if record.outcome else ()
        loaded = any(one.verified for one in relations)
        # nobody knows whether the warehouse has committed a load that was cut off
        may_have = record.state is State.RUNNING or any(one.chunks or one.rows for one in relations)
        if record.loads and (loaded or may_have):
            has = "has" if loaded else "may have"
            message = f"{has} loaded into {record.target}: the rows that it replaced were not kept"
            hint = "restore the tables by the warehouse's own means, or export again"
            return [Problem(f"run {record.run}", message, hint)]
        commits = Commits(self._store)
        later = [path for one in self._manifests(record) for path in commits.followers(one)]
        hint = "roll these back first, the newest one before the others"
        return [Problem(path, "is of a later run, which adds to its rows", hint) for path in later]

    def _manifests(self, record: Record) -> list[Manifest]:
        found = (read_manifest(self._store, folder) for folder in record.folders.values())
        return [one for one in found if one is not None]

    def roll_back(self, run: str, others: Others = Others.REFUSE) -> Undone:
        if others is Others.SKIP:
            raise cannot_skip(run, "export")
        record, foreseen = self._find(run), self.foresee(run)
        if foreseen is None:
            return Undone(f"already rolled back at {record.finished_at[:19]}", already=True)
        foreseen.refuse(force=others is Others.LOSE)
        Published(self._store).withdraw(run)
        for manifest in self._manifests(record):
            Commits(self._store).withdraw(manifest)
        for folder in record.folders.values():
            self._store.delete([f"{folder}/{MANIFEST}"])  # first: then the files are incomplete
            self._store.clear(folder)
        self._records.set_state(run, State.ROLLED_BACK)
        return Undone(foreseen.summary.replace("removes", "Removed"))

    def restore(self, run: str, into: Name) -> Undone:
        self._find(run)
        message = "is of an export, which keeps no rows that could be restored in a new table"
        raise Refused([Problem(f"run {run}", message, "roll back the whole run")])

    # what dead runs have left

    def left(self, run: str = "") -> list[Left]:
        """Files of stopped runs that the same command would not resume, because a newer run exists.
        A `run` that is named is included even if it would be resumed."""
        records = [self._find(run)] if run else _superseded(self._records.all())
        if run and records[0].is_alive():
            raise Refused([in_progress(records[0])])
        dead = (one for one in records if one.state in UNFINISHED and not self._is_read(one))
        return [one for one in map(self._left, dead) if one.files]

    def _is_read(self, record: Record) -> bool:
        """Whether readers may use its files: they were published before the run stopped."""
        commits = Commits(self._store)
        found = any(commits.has(one) for one in self._manifests(record))
        return found or Published(self._store).has(record.run)

    def _left(self, record: Record) -> Left:
        sizes = [size for folder in record.folders.values() for size in self._own(folder).values()]
        at, files = record.finished_at or record.alive_at, len(sizes)
        return Left(record.run, str(record.state), at, (), sum(sizes), files=files)

    def _own(self, folder: str) -> dict[str, int]:
        """The sizes of the files that the run has written, by path."""
        is_own = own_files(self._store, folder)
        return {path: size for path, size in self._store.sizes(folder).items() if is_own(path)}

    def clean(self, lefts: Sequence[Left]) -> None:
        """Remove the files and the records. What others have put beside the files stays."""
        records = [self._find(one.run) for one in lefts]
        if alive := [in_progress(one) for one in records if one.is_alive()]:
            raise Refused(alive)
        for record in records:
            for folder in record.folders.values():
                remove_files(self._store, folder)
            self._records.forget(record.run)


def _superseded(records: Sequence[Record]) -> list[Record]:
    """Runs that are over and have a newer run of the same export. `records` are newest first."""
    seen: set[str] = set()
    found = []
    for one in records:
        if one.config in seen and not one.is_alive():
            found.append(one)
        seen.add(one.config)
    return found


def past_of(spec: ExportSpec, purpose: str, emit: Emit | None = None) -> ExportPast:
    """The past runs in the store that a spec writes to."""
    return ExportPast(ObjectStore(spec.to, spec.store_options))


def _arrived(outcome: Outcome) -> int:
    """How many relations arrived and were verified."""
    return sum(1 for one in outcome.relations if one.verified)
