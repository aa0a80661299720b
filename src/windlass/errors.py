"""The tree of errors. A class exists because somebody catches it::

WindlassError              anything we can explain; `hint` says what to do
├── BadSpec                the options or the spec are wrong; nothing was tried (exit 2)
├── Refused                problems found before anything was written (exit 3)
│   └── RowsRefused        of rows that were staged: no table has changed (exit 3)
├── Unreachable            a side cannot be reached now; nothing was written; run again (exit 4)
├── ConnectionLost         a server hung up; what was in flight rolled back; run again
│   ├── SnapshotLost       the exported snapshot died with its holder
│   ├── ServerStarting     a server answers, but is not up yet
│   ├── GaveWay            others' DDL waited for the run, and the run behind it
│   └── RunLost            the target forgot work of this run, or its lock; read the journal
├── TargetFull             no space left on the target; resumes after space is made
├── SlotLost               the server no longer keeps the changes that are missing
├── CannotResume           the run cannot be resumed as it is; its hint says what to do instead
├── AlreadyFinished        the run that would begin is finished; holds its outcome
├── AlreadyDone            another process committed this item first
├── Different              the run is over: verification found differences, or rows caused losses
├── ConstraintViolated     the data do not satisfy a constraint that is being made
├── TakenBack              a cutover was undone before it was decided (exit 5)
├── SchemaChanged          the source's schema is not what the target's was made from; resumes after
├── Conflict               a change of the source does not fit the target's rows; resumes after
├── BadRecord              an input has records that cannot be loaded; nothing was changed
└── Interrupted            the user asked to stop
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from windlass.model.load import BadValue
    from windlass.model.outcome import Outcome
    from windlass.model.report import Difference, Loss, Problem


class WindlassError(Exception):
    """Base of all our errors. Pickles, because schedulers carry it across processes."""

    retryable = False

    def __init__(self, message: str, *, hint: str = "", **where: object) -> None:
        super().__init__(message)
        self.hint, self.where = hint, where

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(
    kind: type[WindlassError], args: tuple[Any, ...], state: dict[str, Any]
) -> WindlassError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class BadSpec(WindlassError):
    """The options or the spec cannot be understood. Lists every fault in `faults`."""

    def __init__(self, faults: Sequence[str], *, hint: str = "") -> None:
        super().__init__("; ".join(faults), hint=hint)
        self.faults = tuple(faults)


class Refused(WindlassError):
    """The run cannot start. Nothing was written. `problems` holds all of them, not the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} problem(s) before the start")
        self.problems = tuple(problems)


class RowsRefused(Refused):
    """Rows of an input cannot be loaded. They were staged, and no table has changed; the run is
    over."""

    def __init__(self, problems: Sequence[Problem], *, hint: str = "") -> None:
        super().__init__(problems)
        self.hint = hint


class Unreachable(WindlassError):
    """A side cannot be reached for now, so that the run can neither start nor resume. Nothing was
    written; the same command helps once the side is up. `problems` as in `Refused`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        sides = " and ".join(problem.object for problem in problems)
        hint = "nothing was written: run the same command again once it can be reached"
        super().__init__(f"{sides} cannot be reached", hint=hint)
        self.problems = tuple(problems)


class ConnectionLost(WindlassError):
    """A server hung up. The transaction in flight was rolled back; run it again."""

    retryable = True


class SnapshotLost(ConnectionLost):
    """The session that held the exported snapshot is gone, and the snapshot with it."""


class ServerStarting(ConnectionLost):
    """The server answers that it is starting up, recovering or shutting down."""


class RunLost(ConnectionLost):
    """What this process knows about its run may be wrong: the target restarted, or the session that
    holds its lock is gone. The journal has to be read again."""


class GaveWay(ConnectionLost):
    """Another session's statement waited for a lock of the run, and the run waited behind it:
    neither would ever have ended. The run has closed its sessions; it resumes with a new
    snapshot."""


class TargetFull(WindlassError):
    """The target has no space left. What was committed stays; resumes after space is made."""


class SlotLost(WindlassError):
    """The replication slot is gone, or the server has removed what it needs. Connecting again does
    not bring back the missing changes."""


class CannotResume(WindlassError):
    """The same command would stop here again. The hint says what to do instead."""


class AlreadyFinished(WindlassError):
    """An earlier run has done all that was asked for. Nothing was written."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason.message, hint=outcome.reason.hint)
        self.outcome = outcome


class AlreadyDone(WindlassError):
    """The journal already has this item's line: its rows are committed, by someone else."""


class Different(WindlassError):
    """The run is over, and the two sides are not equal: verification found `differences`, or the
    rows caused `losses` that nobody has accepted. `summary` is what else is known about it."""

    def __init__(
        self,
        differences: Sequence[Difference],
        summary: Mapping[str, Any] | None = None,
        *,
        losses: Sequence[Loss] = (),
    ) -> None:
        found = f"{len(differences)} difference(s) between the two sides" if differences else ""
        lost = f"{len(losses)} loss(es) not accepted" if losses else ""
        super().__init__(", ".join(filter(None, (found, lost))))
        self.differences, self.losses = tuple(differences), tuple(losses)
        self.summary = dict(summary or {})


class ConstraintViolated(WindlassError):
    """Rows on the target break a constraint that is being made."""


class SchemaChanged(WindlassError):
    """The source's schema changed while it is followed. Nothing of the change or of what came after
    it was applied; resumes once the target has the same change."""


class Conflict(WindlassError):
    """A change of the source does not fit the rows of the target: the row to change is not there,
    or what it would become breaks a constraint. `where` has relation, key and lsn; nothing of its
    transaction was applied."""


class BadRecord(WindlassError):
    """Records of an input cannot be loaded, and no more may be set aside. The table is unchanged.
    `bad` has the first of them."""

    def __init__(self, bad: Sequence[BadValue], *, hint: str = "") -> None:
        super().__init__("; ".join(one.described for one in bad), hint=hint)
        self.bad = tuple(bad)


class TakenBack(WindlassError):
    """A cutover did not succeed in time and was undone. Nothing has changed for applications, but
    some of their sessions may have been ended."""


class Interrupted(WindlassError):
    """The user asked to stop. What was in flight was rolled back."""
