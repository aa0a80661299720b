"""How a table of a warehouse fits an export, and what a load will change in it first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from windlass.model.report import Problem


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column that a table of a warehouse has."""

    type: str  # as the warehouse writes it
    is_needed: bool = False  # NOT NULL without a default


@dataclass(frozen=True, slots=True)
class Fit:
    """An export and its existing table. `problems` leave the relation out; without any, a load
    makes the changes first. Types are the warehouse's own."""

    name: str  # of the export
    table: str
    problems: tuple[Problem, ...] = ()
    added: Mapping[str, str] = field(default_factory=dict)  # columns, with their types
    retyped: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # from, to
    dropped: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()  # columns that an earlier load has filled and that this one does not
    remarks: tuple[str, ...] = ()  # what else was requested but stays as it is

    @property
    def changes(self) -> bool:
        return bool(self.added or self.retyped or self.dropped)

    @property
    def notices(self) -> Iterator[str]:
        """For people: what becomes of the table's columns."""
        changes = [
            *(f"adds {name} ({type_})" for name, type_ in self.added.items()),
            *(f"changes {name} from {old} to {new}" for name, (old, new) in self.retyped.items()),
            *(f"drops {name} ({type_})" for name, type_ in self.dropped.items()),
        ]
        if changes:
            yield f"{self.name}: the load {', '.join(changes)} in {self.table}"
        yield from (f"{self.name}: {one}" for one in self.remarks)
        if self.kept:
            columns, are = ", ".join(self.kept), "is" if len(self.kept) == 1 else "are"
            yield (
                f"{self.name}: {columns} {are} not exported any more; {self.table} keeps the"
                " values that were loaded, and has the column's default in new rows"
            )


@dataclass(frozen=True, slots=True)
class Survey:
    """The state of a warehouse before anything is written: problems with it as a whole, and how its
    tables fit, by the exports' names."""

    problems: tuple[Problem, ...] = ()
    fits: Mapping[str, Fit] = field(default_factory=dict)
