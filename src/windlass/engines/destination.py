"""The interface of an engine that a PostgreSQL database is migrated into.

Decides nothing and imports no driver. `windlass.engines.registry` chooses an engine by URL.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self

from windlass.model.conversion import (
    Carried,
    ConversionPlan,
    Made,
    PgColumn,
    Replacing,
    Standing,
    TableConversion,
    TableDraft,
    Tried,
    ViewConversion,
)
from windlass.model.load import LoadRun
from windlass.model.outcome import Outcome, State
from windlass.model.past import Foreseen, Others, Undone
from windlass.model.relation import Name
from windlass.model.report import LossClass
from windlass.model.translation import Digest, Index, Row

Rows = Sequence[Sequence[Any]]
Note = Mapping[str, Any]
Columns = Mapping[str, tuple[str, Carried]]  # by name on the source: the target's, and how

Lost = Sequence[tuple[str, LossClass]]

FLOW = "convert"  # in the config of its runs: loads have none
CHUNK = "copy_chunk"  # a step of the journal: a part of a table


def is_conversion(run: LoadRun) -> bool:
    """Whether a run of a target's journal is a migration into it, and no load."""
    return run.config.get("flow") == FLOW


def folded(target: Destination, name: Name) -> str:
    """Equal for names of the target's tables that it takes for the same."""
    return target.same(name.plain if target.has_schemas else name.name)


class Session(Protocol):
    """An open transaction of the target's."""

    def execute(self, query: str, parameters: Any = ..., /) -> Any: ...


class Proving(Protocol):
    """A scratch table. Nothing of it reaches the target."""

    def add(self, rows: Rows) -> None:
        """Rows of the columns that the expressions read, each followed by what they should give."""

    def wrong(self) -> Sequence[int]:
        """For each expression, how many rows gave something else; -1 if it cannot be computed."""


class Destination(Protocol):
    """A database of another engine. A context manager: leaving it closes its sessions. Its methods
    may be called by several threads at once.

    What changes the target commits together with the journal line of its step and item.
    """

    place: str  # for people, without secrets
    engine: str  # for people
    identity: str  # of the database
    has_schemas: bool
    floats: str  # how doubles are hashed: see `windlass.engines.origin.Origin`
    has_comments: bool
    writes_beside: bool  # several transactions can write at the same time, also to one table
    enforces_keys: bool  # foreign keys need tables and rows that are there, and their constraints

    # what it would be made of; none of these reads or writes the target

    def same(self, name: str) -> str:
        """Equal for names that the engine takes for the same."""

    def quoted(self, name: str) -> str:
        """A column as its expressions have it."""

    def named(self, source: Name, schemas: Mapping[str, str]) -> Name:
        """Where a table of the source goes; `schemas` are new names by old ones."""

    def name_problem(self, name: str) -> str:
        """Why it has no object of this name; empty if it can."""

    def carry(self, column: PgColumn, answer: str) -> Carried | str:
        """How a column arrives, by the user's answer if there is one; or why that cannot be."""

    def translated(self, text: str, columns: Columns) -> str | None:
        """An expression in its own SQL; None if it has none that means the same."""

    def default(self, text: str, column: PgColumn, carried: Carried) -> str | None:
        """The default for a function of the source's, such as now(); None if it has none."""

    def is_constant(self, text: str, carried: Carried) -> bool:
        """Whether a default is a constant, whose value the source can be asked for: that calls no
        function of a user's."""

    def literal(self, value: Any, carried: Carried) -> str:
        """A carried value in its own SQL."""

    def counts_up(self, carried: Carried, *, is_key: bool) -> bool:
        """Whether a column can take the next number; `is_key`: it is the primary key alone."""

    def fitted(
        self, draft: TableDraft, known: Mapping[Name, TableDraft]
    ) -> tuple[TableDraft, Lost]:
        """A table as it can be made, and what that loses: sentences. `known` are those that it
        may refer to, besides itself."""

    def create(self, draft: TableDraft) -> str: ...

    def late_key(self, draft: TableDraft) -> Made | None:
        """The primary key, if `build` makes it; else `create` does."""

    def foreign_keys(self, draft: TableDraft) -> Sequence[Made]:
        """Those that are made once all rows and indexes are there: none, if `create` makes them."""

    def beside(self, draft: TableDraft) -> tuple[Sequence[Made], Sequence[Made]]:
        """What is made before it and after it."""

    def index(self, draft: TableDraft, index: Index) -> Made | str:
        """An index; or why there is none."""

    def view(
        self,
        name: Name,
        columns: Sequence[str],
        query: str,
        tables: Mapping[Name, Columns],
        names: Mapping[Name, Name],
    ) -> str | None:
        """A view over translated tables, of which `names` are the target's by the source's; None if
        it cannot be said."""

    def proving(
        self, columns: Sequence[tuple[str, Carried]], tried: Sequence[Tried]
    ) -> AbstractContextManager[Proving]:
        """Of expressions over these columns of one table."""

    def tried(self, plan: ConversionPlan) -> Mapping[str, str]:
        """Make everything in a scratch database; what could not be made, by its name, and why."""

    # the target

    def notices(self) -> Sequence[str]:
        """What people should know of how it is written."""

    @property
    def is_doubtful(self) -> bool:
        """Whether what an unfinished run has written may be lost, so that it starts over."""

    def standing(self) -> Standing: ...

    def replacing(self, run: str, names: Collection[Name], standing: Standing) -> Replacing:
        """What a run that needs these names would set aside."""

    def runs(self) -> Sequence[LoadRun]:
        """Migrations into it, the newest first; without their lines."""

    def read(self, run: str) -> LoadRun | None:
        """One of them, with its lines."""

    def is_active(self, run: str) -> bool: ...

    def working(self, run: str) -> AbstractContextManager[None]:
        """While it lasts, no other process can migrate into the same target.

        Raises:
            Refused: another one does.
        """

    def begin(self, run: LoadRun, *, is_new: bool) -> LoadRun:
        """Journal a new run, or take over one that is there."""

    def once(self, run: str, step: str, item: str, work: Callable[[Session], Note]) -> Note:
        """The note of this item's journal line; if there is none, do the work first, in the
        transaction that adds the line."""

    def set_aside(self, session: Session, run: str, plan: ConversionPlan) -> None:
        """Free the names that the run needs, before anything is made. Does nothing twice.

        Raises:
            WindlassError: something has changed since the plan.
        """

    def insert(self, session: Session, table: TableConversion, rows: Rows) -> None: ...

    def clear(self, run: str, table: TableConversion, snapshot: int) -> None:
        """Delete the rows of a table that was copied in part, with the lines of these parts;
        once before it is read in a snapshot. Only called if `writes_beside`."""

    def inserted(self, session: Session, table: TableConversion) -> None:
        """Called after the last rows of a table."""

    def build(self, session: Session, table: TableConversion, made: Made) -> None:
        """Build an index, or the key, of a table that has its rows."""

    def broken(
        self, session: Session, tables: Sequence[TableConversion]
    ) -> Iterable[tuple[str, str, int]]:
        """Foreign keys that rows break: the table, what it refers to, and how many rows."""

    def set_counter(self, session: Session, table: TableConversion, number: int) -> None:
        """The last number that was given is this."""

    def end(self, run: str, state: State, outcome: Outcome) -> None:
        """Journal the end; a new target is put in place if the run is over."""

    def settle(self) -> LoadRun | None:
        """Complete what a kill has left of a run that is over, and return that; None if there is
        nothing of the kind."""

    def drop_view(self, view: ViewConversion) -> str:
        """The statement."""

    # the proof

    def count(self, table: TableConversion) -> int: ...

    def digest(self, table: TableConversion) -> Digest: ...

    def digest_of_view(self, view: ViewConversion) -> Digest | None:
        """None: its rows cannot be read as the columns are meant."""

    def buckets(self, table: TableConversion) -> Mapping[int, Digest]: ...

    def rows_of(self, table: TableConversion, buckets: Sequence[int]) -> Iterator[Row]: ...

    def missing(self, plan: ConversionPlan) -> Mapping[str, str]:
        """By name on the target: tables and columns that it lacks, in a sentence."""

    # the way back

    def foresee(self, run: str, plan: ConversionPlan) -> Foreseen: ...

    def undo(self, run: str, plan: ConversionPlan, others: Others) -> Undone:
        """Raises:
        Refused: others have changed what the run made, and `others` is to refuse.
        """

    def kept(self, run: str, plan: ConversionPlan) -> Sequence[str]:
        """The names of what the run has set aside and what is still there."""

    def clean(self, run: str, plan: ConversionPlan) -> None:
        """Drop what an ended run has set aside, and forget the run."""

    def cancel(self) -> None:
        """Stop what other threads do: they raise Interrupted."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *fault: object) -> None: ...
