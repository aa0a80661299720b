"""What destinations that are files have in common: their runs, and the way back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Self

from windlass.engines.destination import Note, Session
from windlass.engines.embedded.converting.file import TargetFile
from windlass.engines.embedded.converting.undoing import Reading, Undoing
from windlass.engines.statements import names
from windlass.model.conversion import ConversionPlan, Made, Standing, TableConversion, TableDraft
from windlass.model.load import LoadRun
from windlass.model.outcome import Outcome, State
from windlass.model.past import Foreseen, Others, Undone


class FileDestination:
    """See `windlass.engines.destination.Destination`."""

    floats = "bits"

    def __init__(self, file: TargetFile, identity: str) -> None:
        self._target, self.place, self.identity = file, file.place, identity

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self._target.close()

    @property
    @abstractmethod
    def _reading(self) -> Reading:
        """How undoing reads the target."""

    def same(self, name: str) -> str:
        return name.lower()

    def quoted(self, name: str) -> str:
        return names(name).as_string(None)

    def late_key(self, draft: TableDraft) -> Made | None:
        """Always None: `create` makes it."""
        return None

    def build(self, session: Session, table: TableConversion, made: Made) -> None:
        session.execute(made.statement)

    def foreign_keys(self, draft: TableDraft) -> Sequence[Made]:
        """Always empty: `create` makes them."""
        return ()

    def notices(self) -> Sequence[str]:
        return ()

    def standing(self) -> Standing:
        return self._target.standing()

    @property
    def is_doubtful(self) -> bool:
        return self._target.is_doubtful

    def runs(self) -> Sequence[LoadRun]:
        return self._target.runs()

    def read(self, run: str) -> LoadRun | None:
        return self._target.read(run)

    def is_active(self, run: str) -> bool:
        return self._target.is_active(run)

    def working(self, run: str) -> AbstractContextManager[None]:
        return self._target.working(run)

    def begin(self, run: LoadRun, *, is_new: bool) -> LoadRun:
        return self._target.begin(run, is_new=is_new)

    def once(self, run: str, step: str, item: str, work: Callable[[Session], Note]) -> Note:
        return self._target.once(run, step, item, work)

    def clear(self, run: str, table: TableConversion, snapshot: int) -> None:
        raise AssertionError("a file has one writer, so no table is copied in part")

    def inserted(self, session: Session, table: TableConversion) -> None:
        """All rows are in the table."""

    def end(self, run: str, state: State, outcome: Outcome) -> None:
        self._target.end(run, state, outcome)

    def settle(self) -> LoadRun | None:
        return self._target.settle()

    def foresee(self, run: str, plan: ConversionPlan) -> Foreseen:
        return Undoing(self._target, run, plan, self._reading).foresee()

    def undo(self, run: str, plan: ConversionPlan, others: Others) -> Undone:
        return Undoing(self._target, run, plan, self._reading).undo(others)

    def cancel(self) -> None:
        self._target.cancel()
