"""How a run ended: the one object that ``--json`` prints and that `status` reads back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from windlass.model.account import Account, Timeline
from windlass.model.following import FollowingStatus
from windlass.model.report import Difference, DifferenceKind, Differs, Loss, Problem
from windlass.model.snapshot import Snapshot

if TYPE_CHECKING:  # what help loads does not need it
    from windlass.model.acts import Act
    from windlass.model.logged import LogPart

UNDOING = "rollback"  # the step of the journal lines that rollbacks write


class State(StrEnum):
    """Of a run, in the journal and in its outcome."""

    RUNNING = "running"  # or killed, without a journalled end
    STOPPED = "stopped"  # by an error; the same command resumes it
    INTERRUPTED = "interrupted"  # by the user; the same command resumes it
    REFUSED = "refused"  # nothing was written
    DIFFERENT = "different"  # finished, and verification found differences
    LOSSY = "done, with losses"  # that its rows caused and nobody accepted
    DONE = "done"  # and verified, as far as requested
    ROLLED_BACK = "rolled back"  # the target is as it was before the run
    TAKEN_BACK = "taken back"  # of a cutover: undone, applications write where they did before
    ABANDONED = "abandoned"  # given up while it followed its source; the target keeps its copy


UNFINISHED = (State.RUNNING, State.STOPPED, State.INTERRUPTED)
"""Of runs that can be resumed."""


@dataclass(frozen=True, slots=True)
class RelationOutcome:
    """The outcome for one relation."""

    source: str  # its name there, with its schema
    target: str  # its name there, with its schema
    rows: int  # that were copied; of a comparison: that were compared
    bytes: int  # that were copied
    chunks: int  # how many it was copied in
    seconds: float  # of copying, summed over its chunks
    snapshots: tuple[int, ...]  # numbers of the snapshots it was read from
    verified: str = ""  # how far it was compared and found equal: "", "schema", "counts" or "full"
    differs: Differs = Differs.NOT  # why it is not equal


class Compared(StrEnum):
    """What a run compared, as listed in a sentence."""

    SCHEMA = "schema"  # all definitions
    SEQUENCES = "sequences"  # their positions
    COUNTS = "row counts"  # of each relation
    CONTENT = "the content of every row"  # by fingerprints that the servers compute


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared, and what is not equal."""

    verified: str = ""  # how far: "full", "counts", "schema" or ""; of an export "rows", "files"
    compared: tuple[Compared, ...] = ()  # what was compared of the two sides
    differences: tuple[Difference, ...] = ()  # what is not equal; `--differences` has every row
    differing_rows: dict[DifferenceKind, int] = field(default_factory=dict)  # how many, by kind


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a run ended as it did, and what to do now."""

    message: str = ""  # why it stopped
    hint: str = ""  # what to do now
    problems: tuple[Problem, ...] = ()  # why it was refused
    stopped_by: str = ""  # of a run that follows: what stopped it, in a word, such as late_write


NO_REASON = Reason()
"""Of a run that ended as it should."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What a run did besides copying relations."""

    sequences: int = 0  # how many were set, or compared
    set_aside: int = 0  # how many objects a rollback would put back
    counts: dict[str, int] = field(default_factory=dict)  # of rows, in the flow's terms


@dataclass(frozen=True, slots=True)
class Course:
    """How a run went, from its start to its end, in one process or several."""

    phases: dict[str, float] = field(default_factory=dict)  # seconds of each step, start to end
    resumed: bool = False  # it continued where an earlier process had stopped
    repaired: bool = False  # `run` is a repair, which has changed the target
    already: bool = False  # an earlier command finished it; this one wrote nothing


@dataclass(frozen=True, slots=True)
class Cutover:
    """What a cutover did, or what its rehearsal measured."""

    direction: str  # "forward": to the target; "back": to the source again
    phase: str  # of the run, at the end: "following", "switched"
    is_rehearsal: bool = False  # nothing was closed; `freeze_ms` is a prediction
    freeze_ms: float = 0.0  # from when writers were stopped until the other side was open
    parts_ms: dict[str, float] = field(default_factory=dict)  # of `freeze_ms`, in order
    sequences: int = 0  # how many were set
    sessions: int = 0  # how many were ended; of a rehearsal: would be
    late: dict[str, str] = field(default_factory=dict)  # what others wrote after the seal
    at: str = ""  # when, in UTC
    next_steps: tuple[str, ...] = ()  # commands that make sense now

    def to_json(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**found, "next_steps": list(self.next_steps)}

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Cutover:
        return cls(**{**json, "next_steps": tuple(json["next_steps"])})


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    run: str  # its name, which `windlass status` and `windlass rollback` take
    state: State  # how it ended
    seconds: float = 0.0  # from its start to its end
    source: str = ""  # names for people: "shop on 127.0.0.1:5416 (PostgreSQL 16.14)"
    target: str = ""  # the same
    relations: tuple[RelationOutcome, ...] = ()  # one for each relation of the run
    losses: tuple[Loss, ...] = ()  # what the source has and the target does not
    snapshots: tuple[Snapshot, ...] = ()  # of the source, in the order they were taken
    notices: tuple[str, ...] = ()  # such as relations read from more than one snapshot
    reason: Reason = NO_REASON
    proof: Proof = field(default_factory=Proof)
    totals: Totals = field(default_factory=Totals)
    course: Course = field(default_factory=Course)
    cutover: Cutover | None = None  # of a cutover: what it did
    account: Account = field(default_factory=Account)

    def as_dict(self) -> dict[str, Any]:
        """All fields, those of its parts beside its own: the published and the stored form."""
        own = asdict(self)
        parts = [own.pop(part) for part in PARTS]
        flat = {**own, **_side_by_side(parts)}
        return {name: flat[name] for name in dict.fromkeys((*_FIRST_PUBLISHED, *flat))}

    @property
    def rows(self) -> int:
        return sum(relation.rows for relation in self.relations)

    @property
    def bytes(self) -> int:
        return sum(relation.bytes for relation in self.relations)


PARTS: dict[str, type] = {
    "reason": Reason, "proof": Proof, "totals": Totals, "course": Course, "account": Account,
}  # fmt: skip
_FIRST_PUBLISHED = (  # in this order; a new field comes after them
    *("run", "state", "seconds", "relations", "losses", "differences", "problems", "snapshots"),
    *("notices", "phases", "verified", "compared", "differing_rows", "sequences", "message"),
    *("hint", "source", "target", "set_aside", "counts", "resumed", "repaired", "already"),
)


def _side_by_side(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for part in parts for name, value in part.items()}


def with_parts(flat: Any) -> Any:
    """Undoes `Outcome.as_dict`: each part's fields in a mapping, as a type adapter reads them.

    Fields that an older version has not stored are left out. Anything but a mapping is returned as
    it is, for the adapter to judge.
    """
    if not isinstance(flat, Mapping):
        return flat
    found: dict[str, Any] = dict(flat)
    for name, part in PARTS.items():
        found[name] = {one.name: found.pop(one.name) for one in fields(part) if one.name in found}
    return found


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    relations_done: int = 0
    relations: int = 0
    rows: int = 0
    bytes: int = 0
    bytes_planned: int = 0
    step: str = ""  # the last one that journalled something


@dataclass(frozen=True, slots=True)
class Kept:
    """What a rollback of a run would put back."""

    set_aside: int = 0  # how many objects
    set_aside_bytes: int = 0  # what they take
    backup: str = ""  # the table to restore from


@dataclass(frozen=True, slots=True)
class StartedBy:
    """The scheduler's run that started a run; a command has none."""

    external_run: str = ""  # "airflow DAG RUN_ID"
    external_url: str = ""  # of that, in a browser, if the scheduler knows its address


A_COMMAND = StartedBy()


@dataclass(frozen=True, slots=True)
class RunStatus:
    """One line of `windlass status`."""

    run: str
    state: State
    source: str
    started_at: str
    finished_at: str
    flow: str = "migrate"
    verified: str = ""  # the level that was verified: "", "counts" or "full"
    active: bool = False  # a windlass process holds the target's lock for it now
    progress: Progress = Progress()
    kept: Kept = Kept()
    started_by: StartedBy = StartedBy()
    following: FollowingStatus | None = None  # of a run that follows its source

    @property
    def is_half_undone(self) -> bool:
        """Whether it is partly rolled back."""
        return self.progress.step == UNDOING

    def as_dict(self) -> dict[str, Any]:
        """All fields, those of its parts beside its own."""
        own = asdict(self)
        parts = [own.pop(part) for part in ("progress", "kept", "started_by")]
        return {**own, **_side_by_side(parts)}


@dataclass(frozen=True, slots=True)
class StepStatus:
    """How far a journalled step is; `seconds` are summed over its items."""

    name: str
    done: int
    items: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RelationProgress:
    """How far the copy of one relation is."""

    name: str  # on the target
    rows: int  # copied so far
    bytes: int  # copied so far
    bytes_planned: int  # by its size when the plan was made
    chunks_done: int
    chunks: int
    seconds: float  # of copying, summed over its chunks
    copying: bool = False  # rows are arriving now


@dataclass(frozen=True, slots=True)
class RunDetail:
    """What `windlass status RUN` shows."""

    status: RunStatus
    outcome: Outcome | None = None
    target: str = ""
    version: str = ""  # of the windlass that began it
    options: dict[str, Any] = field(default_factory=dict)
    steps: tuple[StepStatus, ...] = ()
    timeline: Timeline = field(default_factory=Timeline)  # as far as the journal knows it
    relations: tuple[RelationProgress, ...] = ()  # of a flow that journals each chunk
    acts: tuple[Act, ...] = ()  # what people did with it from the page, the newest first
    log: LogPart | None = None  # its last entries
