"""What a rewrite will do, as stored in its journal."""

from __future__ import annotations

from dataclasses import dataclass

from windlass.model.relation import Name


@dataclass(frozen=True, slots=True)
class RewriteColumn:
    """A column as it was when the run began."""

    number: int  # as its engine numbers columns: it stays when the column is renamed
    name: str
    type: str  # as the server writes it
    is_generated: bool = False
    is_fixed: bool = False  # GENERATED ALWAYS AS IDENTITY
    is_grouped: bool = True  # SQL can group by its type

    @property
    def old(self) -> str:
        """Its name in the staging table; the user's could be any name, of any length."""
        return f"o{self.number}"


@dataclass(frozen=True, slots=True)
class RewriteChange:
    """A column's change."""

    column: str
    type: str
    expression: str = ""  # SQL over the row; empty: the function sets it
    is_constant: bool = False  # of exactly this type


@dataclass(frozen=True, slots=True)
class Where:
    """The database of a rewrite, for people."""

    place: str  # "127.0.0.1:5432"
    database: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What a rewrite keeps of the rows that it changes."""

    level: str  # full, touched or none
    schema: str  # where it is kept
    count: int = 1  # backups of the table, the run's own included


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows that a rewrite picks."""

    condition: str  # SQL
    limit_rows: int | None = None  # the most


@dataclass(frozen=True, slots=True)
class Call:
    """A Python function that gets every row; none if it is empty."""

    function: str = ""
    frame: str = ""
    batch_rows: int = 0
    trusts_order: bool = False  # of the rows that it returns


@dataclass(frozen=True, slots=True)
class RewritePlan:
    run: str
    table: Name
    number: int  # of the table, as its engine numbers relations: it stays when it is renamed
    where: Where
    columns: tuple[RewriteColumn, ...]
    selection: Selection
    changes: tuple[RewriteChange, ...]
    missing: tuple[str, ...]  # columns that are added to the table
    key: str
    id: str
    stamp: str  # empty: none
    kept: Kept
    deletes_by_key: bool
    duplicates: tuple[str, ...] | None  # by these columns; none: they stay
    call: Call = Call()

    @property
    def title(self) -> str:
        return f"{self.table} of {self.where.database} on {self.where.place}"

    def column(self, name: str) -> RewriteColumn:
        return next(column for column in self.columns if column.name == name)

    def type_of(self, name: str) -> str:
        """The type of a column that the table has or gets."""
        found = [column.type for column in self.columns if column.name == name]
        return (found + [change.type for change in self.changes if change.column == name])[0]

    @property
    def stored(self) -> tuple[RewriteColumn, ...]:
        return tuple(column for column in self.columns if not column.is_generated)

    @property
    def writes_every_row(self) -> bool:
        """Whether a row is written even if the function left it unchanged: every row is stamped or
        set to something, or may be the one that stays when others are deleted."""
        sets = any(change.expression for change in self.changes)
        return bool(self.stamp or sets or self.duplicates is not None)

    @property
    def keeps_backup(self) -> bool:
        return self.kept.level != "none"
