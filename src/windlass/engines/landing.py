"""The interface of an engine that loads rows into tables in use, and of the inputs that these rows
come from. See `windlass.engines.base` for sources and warehouses.

Decides nothing and imports no driver. `windlass.engines.registry` chooses an engine by URL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from windlass.engines.base import Facts
from windlass.errors import CannotResume, WindlassError
from windlass.model.load import Counts, Field, Finding, Identity, Load, LoadRun, Staged, Table
from windlass.model.mask import Mask
from windlass.model.outcome import Outcome, State
from windlass.model.past import Foreseen, Left, Others, Undone
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.wording import word

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["APPLIED", "STAGED", "Input", "Landing", "LoadRun", "RawCsv", "staged_item"]


STAGED = "stage_rows"  # a step of the journal; its items are "LOAD NUMBER", by `staged_item`
APPLIED = "apply_rows"  # its items are the loads' names


def staged_item(load: str, number: int) -> str:
    """The item of the journal line for an input of a load."""
    return f"{load} {number}"


@dataclass(frozen=True, slots=True)
class RawCsv:
    """A file as COPY reads it: UTF-8, without its header. `null` is the unquoted text that means
    NULL; None if none does."""

    blocks: Iterator[bytes]
    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    null: str | None = None


class Input(Protocol):
    """One file, fetched and opened, or one query of an engine. Can be read several times."""

    @property
    def place(self) -> str:
        """For people, without secrets."""

    @property
    def fields(self) -> Sequence[Field]: ...

    @property
    def identity(self) -> Identity: ...

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All records. A field without a type is Arrow text, and NULL only if the input has a NULL;
        other fields have the type of `windlass.engines.base.arrow_type`.

        Raises:
            windlass.errors.BadRecord: a record cannot be read at all.
        """

    def raw(self) -> RawCsv | None:
        """The file, if COPY reads the same as `batches`, and refuses the same."""

    def line_of(self, record: int) -> int:
        """The line of the file on which a record begins; both count from 1. 0 if records have no
        lines. Reads the file again."""


def ways_with_bad_records(count: int, *, some_empty: bool) -> str:
    """What to do about so many records with bad values. `some_empty`: some of the values are empty
    texts."""
    ways = f"correct them, or set up to that many aside with {word('max-bad', str(count))}"
    if some_empty:
        ways += f"; an empty field is an empty text, and NULL only with {word('csv', 'null=')}"
    return ways


def other_type(load: Load, column: str, given: str, found: str) -> Problem:
    """The problem of a column that exists and for which the user gives another type."""
    message = f"column {column} is {found}, and {word('types')} says {given}"
    hint = f"a load changes no column's type: leave {column} out of {word('types')}, or alter it"
    return Problem(load.name, message, hint)


def not_staged(load: Load, found: int) -> CannotResume:
    """The error for a load with only so many staged inputs."""
    return CannotResume(
        f"{load.name}: {found} of {len(load.inputs)} inputs are staged",
        hint="nothing was loaded; run the same command again",
    )


def check_hidden(load: Load) -> None:
    """Check that no value has to be hidden here. A target never hashes: whoever reads an input does
    (`windlass.flows.load.hashed`).

    Raises:
        WindlassError: values would arrive as they are.
    """
    for one in load.assigned:
        if one.mask is Mask.HASH:
            raise WindlassError(f"column {one.column}: the values to be hashed are not hashed yet")


class Landing(Protocol):
    """A database with tables that rows are loaded into. A context manager: leaving it closes its
    sessions. Its methods may be called by several threads at once.

    Changes of the database commit together with the journal line of their step and item. If that
    line exists already, nothing is done.
    """

    place: str  # for people, without secrets

    @property
    def facts(self) -> Facts: ...

    @property
    def default_schema(self) -> str:
        """The schema of tables that are named without one."""

    def table(self, name: str) -> Table | None:
        """A table by ``schema.table`` or ``table``; None if there is none.

        Raises:
            WindlassError: the database cannot be reached.
        """

    def survey(self, loads: Sequence[Load]) -> Sequence[Problem]:
        """What would prevent these loads: missing privileges, expressions that the target refuses,
        keys without an equality. Writes nothing."""

    # runs

    def runs(self) -> Sequence[LoadRun]:
        """Every run of loads, the newest first; without their lines."""

    def read(self, run: str) -> LoadRun | None:
        """One run, with its lines."""

    def begin(self, run: LoadRun) -> LoadRun:
        """Journal a new run, or take over an existing one whose process is dead.

        Raises:
            Refused: another process is at work on it, or on one of its tables.
        """

    def working(self, run: str) -> AbstractContextManager[None]:
        """While it lasts, others can see that this process works on the run."""

    def end(self, run: str, state: State, outcome: Outcome) -> None: ...

    # the work

    def stage(self, run: str, load: Load, number: int, source: Input) -> Staged:
        """Copy the records of an input, which is the load's input of this `number`, into the run's
        staging relation.

        Raises:
            BadRecord: a bad value, and no more may be set aside.
        """

    def check(self, run: str, load: Load) -> Sequence[Finding]:
        """The expectations that the staged rows do not meet, and the rules of the key that they
        break. Changes nothing."""

    def apply(self, run: str, load: Load) -> Counts:
        """Load the staged rows, in the transaction that also keeps a before-image of what they
        change."""

    def clean_up(self, run: str, load: Load) -> None:
        """Drop what staging created."""

    # the way back

    def foresee(self, run: str) -> Foreseen | None:
        """What `undo` would do; None if that is done already.

        Raises:
            Refused: no such run is known.
        """

    def undo(self, run: str, others: Others) -> Undone:
        """Put back the rows that are still what the run made of them.

        Raises:
            Refused: others have changed some of them, and `others` is to refuse.
        """

    def watermark(self, load: Load) -> str:
        """The last watermark that was loaded into the table from the same input, as exact text;
        empty if there is none."""

    def is_active(self, run: str) -> bool:
        """Whether a process works on it now."""

    def left(self, run: str = "") -> Sequence[Left]:
        """What ended runs, or one of them, have left: mainly before-images.

        Raises:
            Refused: no such run is known, or it is unfinished.
        """

    def clean(self, lefts: Sequence[Left]) -> None:
        """Remove it for good, and forget the runs, which cannot be undone afterwards."""

    def assets(self, table: Name) -> list[dict[str, str]]:
        """The assets under which a scheduler's other jobs find a table: as
        `windlass.engines.base.Target.assets`."""

    def cancel(self) -> None:
        """Stop what other threads do: they raise Interrupted."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *fault: object) -> None: ...
