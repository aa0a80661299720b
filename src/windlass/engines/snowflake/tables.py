"""The tables of one schema of Snowflake, in one session: their columns, how these fit, and what a
load changes in them before its transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from psycopg import sql

from windlass.engines.fitting import fit
from windlass.engines.loads import check_fit
from windlass.engines.snowflake.names import alike, named, shown, stored
from windlass.engines.snowflake.session import Session
from windlass.engines.snowflake.types import (
    accepts,
    can_become,
    holds_all,
    type_of,
    type_problems,
)
from windlass.engines.statements import listed, statement, verbatim
from windlass.model.export import Export
from windlass.model.fit import Fit, TableColumn
from windlass.model.report import Problem


@dataclass(frozen=True, slots=True)
class Tables:
    session: Session

    def kinds(self, schema: str) -> dict[str, str]:
        """Everything that is stored there: BASE TABLE, VIEW and others."""
        query = (
            "select table_name, table_type from information_schema.tables where table_schema = ?"
        )
        rows = self.session.run(query, [stored(schema)], doing="reading the schema")
        return {str(name): str(kind) for name, kind in rows}

    def columns(self, table: str) -> dict[str, TableColumn]:
        """By their stored names. Empty if there is no such table."""
        text = statement("describe table {table}", table=named(table))
        rows = self.session.run_if_there(text, doing=f"looking at {table}") or ()
        return {
            str(name): TableColumn(str(type_), needed == "N" and default is None)
            for name, type_, _, needed, default, *_ in rows
        }

    def fit(self, export: Export, loaded: Collection[str] = ()) -> Fit | None:
        """How the existing table fits; None if there is none."""
        if not (there := self.columns(export.table)):
            return None
        return how_it_fits(export, there, loaded)

    def make(self, export: Export) -> None:
        columns = listed(
            sql.SQL("{} {}").format(named(one.name), verbatim(type_of(one)))
            for one in export.columns
        )
        text = "create table if not exists {table} ({columns})"
        self._define(statement(text, table=named(export.table), columns=columns), export)

    def prepare(self, export: Export) -> Fit:
        """Create the table if it is missing, and change what keeps its rows. Each statement
        commits. Returns what is left to change.

        Raises:
            WindlassError: the table does not fit (any more).
        """
        found = self.fit(export)
        if found is None:
            self.make(export)
            found = self.fit(export) or Fit(export.name, export.table)
        check_fit(found)
        if found.dropped or (found.retyped and export.rules.schema == "replace"):
            return found
        table = named(export.table)
        for name, type_ in found.added.items():
            text = "alter table {table} add column {name} {type}"
            parts = {"table": table, "name": named(name), "type": verbatim(type_)}
            self._define(statement(text, **parts), export)
        for name, (_, type_) in found.retyped.items():
            text = "alter table {table} alter column {name} set data type {type}"
            parts = {"table": table, "name": named(name), "type": verbatim(type_)}
            self._define(statement(text, **parts), export)
        return Fit(export.name, export.table)

    def count(self, table: str) -> int:
        text = statement("select count(*) from {table}", table=named(table))
        return int(self.session.run(text, doing=f"counting {table}")[0][0])

    def _define(self, text: str, export: Export) -> None:
        self.session.run(text, doing=f"making {export.table}")


def how_it_fits(
    export: Export, there: Mapping[str, TableColumn], loaded: Collection[str] = ()
) -> Fit:
    """Pure. The table's columns are by their stored names."""
    names = {stored(one.name): one.name for one in export.columns}
    found = {names.get(name) or shown(name): column for name, column in there.items()}
    wanted = []
    for one in export.columns:
        same = one.name in found and accepts(one, found[one.name].type)
        wanted.append(found[one.name].type if same else type_of(one))
    faults = [*_case_faults(export, there), *type_problems(export)]
    fits = fit(export, wanted, found, holds_all, loaded=loaded, faults=faults, by_case=False)
    if export.rules.schema == "replace":
        return _replaced(export, fits)
    stuck = {name: pair for name, pair in fits.retyped.items() if not can_become(*pair)}
    if not stuck:
        return fits
    said = "; ".join(f"{name} is {old}, not {new}" for name, (old, new) in stuck.items())
    message = f"{said}: Snowflake cannot change such a type in place"
    hint = "drop the table, or load into another: `table` of the relation"
    if export.disposition == "truncate":
        hint = f"{hint}, or replace its columns: `schema: replace`"
    return replace(fits, problems=(*fits.problems, Problem(export.table, message, hint)))


def _case_faults(export: Export, there: Collection[str]) -> list[Problem]:
    hint = "`rename` it to the name that it has there, or alter or drop the table"
    pairs = [(one.name, alike(one.name, there)) for one in export.columns]
    names = {stored(one.name) for one in export.columns}
    return [
        Problem(export.table, f"{name} exists as {shown(other)}: only their case differs", hint)
        for name, other in pairs
        if other and other not in names and export.rules.schema != "replace"
        and not _is_plain(other)
    ]  # fmt: skip


def _is_plain(name: str) -> bool:
    """Whether `fit` itself sees that the name exists in another case."""
    return not shown(name).startswith('"')


def _replaced(export: Export, fits: Fit) -> Fit:
    """A table whose columns are replaced is made again, which cannot be part of a transaction."""
    changes = bool(fits.dropped or fits.retyped)
    if not (changes and export.rules.hooks):
        return fits
    message = "schema: replace makes the table again, which cannot be in one transaction with hooks"
    hint = "drop the table, or run the statements after the export"
    return replace(fits, problems=(*fits.problems, Problem(export.table, message, hint)))
