"""The definitions that pg_dump would write of a source of another engine, as they come together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from windlass.engines.postgres.archive import Entry
from windlass.engines.postgres.catalog import ForeignKey, KeyConstraint
from windlass.engines.postgres.foreign.types import type_name
from windlass.engines.postgres.quoting import quote_identifier
from windlass.engines.postgres.trial import Count, Refusal, TryOut
from windlass.model.relation import Name
from windlass.model.report import Loss, Problem
from windlass.model.translation import Field, Fit, Key, Sort, SourceTable, Type
from windlass.model.units import plural
from windlass.planning.postgres.translated.expressions import translated
from windlass.planning.postgres.translated.known import Known
from windlass.planning.postgres.translated.naming import folded, folded_name, given_names

TRIAL = "windlass_trial"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A table with what the scan of its rows has found."""

    table: SourceTable
    fit: Fit
    schema: str = ""  # that takes the place of the source's

    @property
    def name(self) -> Name:
        """The name before schemas are mapped."""
        if self.table.mapping is not None:
            return self.table.mapping.into
        return folded_name(self.table.name, self.schema)

    def field(self, column: str) -> Field:
        return next(one for one in self.fit.fields if one.name == column)

    def ignoring_case(self, key: Key) -> set[str]:
        """The columns whose texts a key compares without case."""
        types = {one: self.field(one).type for one in key.columns}
        if key.ignoring_case is None:
            return {one for one, type_ in types.items() if type_.ignores_case}
        return {one for one in key.ignoring_case if types[one].sort is Sort.TEXT}

    def translated(self, text: str, dialect: str) -> str | None:
        """An expression over the table's columns in PostgreSQL's SQL; None if it cannot be
        translated."""
        names = given_names(self.table)
        types = {folded(one.name): one.type for one in self.fit.fields}
        others = {
            folded(one.name)
            for one in self.table.columns
            if dialect == "mysql" and one.collation and not one.collation.startswith("utf8")
        }
        return translated(text, dialect, names, Known(types, others))


def unscanned(table: SourceTable, schema: str) -> Fitted:
    """A table that is not selected, and so not scanned."""
    fields = tuple(Field(one.name, Type(Sort.TEXT)) for one in table.columns)
    return Fitted(table, Fit(fields, table.rows, table.size_bytes), schema)


Sample = Callable[[Fitted], bytes]
"""Some rows of a table as lines of COPY, with all columns in their order."""


@dataclass(frozen=True, slots=True)
class Trials:
    """How expressions are proven on the target, which keeps nothing of it: whether it takes
    scripts, and of how many of a table's rows a condition is true."""

    try_out: TryOut
    count: Count
    sample: Sample


@dataclass(slots=True)
class Archive:
    """The entries, and what could not be translated into them."""

    dialect: str
    owner: str
    trials: Trials
    entries: list[Entry] = field(default_factory=list)
    keys: list[KeyConstraint] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    computed: set[tuple[Name, str]] = field(default_factory=set)  # table and column
    views: dict[Name, Name] = field(default_factory=dict)  # that are made: source, target

    def add(
        self,
        kind: str,
        name: Name,
        definition: str,
        drop: str = "",
        *,
        depends_on: Sequence[int] = (),
        oid: int = 0,
    ) -> int:
        id_ = len(self.entries) + 1
        self.entries.append(
            Entry(
                id=id_,
                kind=kind,
                schema=name.schema,
                tag=name.name,
                owner=self.owner,
                definition=f"{definition};\n",
                drop=f"{drop};\n" if drop else "",
                tablespace="",
                access_method="",
                catalog=0,
                oid=oid,
                depends_on=tuple(depends_on),
            )
        )
        return id_

    def add_check(self, one: Fitted, name: str, condition: str, table: int) -> None:
        """Add a check. It is created after the rows are copied."""
        self.add(
            "CHECK CONSTRAINT",
            Name(one.name.schema, f"{one.name.name} {name}"),
            adding(one.name, name, f"CHECK ({condition})"),
            dropping(one.name, name),
            depends_on=[table],
        )

    def compiles(self, one: Fitted, what: str) -> bool:
        """Whether the target takes an ALTER TABLE, or all of a CREATE INDEX, of such a table."""
        trial = quoted(TRIAL)
        script = f"{_trial_table(one)}; {what.replace('{table}', trial)}"
        return not self.trials.try_out([script])

    def compares(self, child: str, parent: str) -> bool:
        """Whether the target can have a foreign key between columns of these types."""
        trial, other = quoted(TRIAL), quoted(f"{TRIAL}_parent")
        script = (
            f"CREATE TEMP TABLE {other} (k {parent} UNIQUE);"
            f" CREATE TEMP TABLE {trial} (k {child} REFERENCES {other} (k))"
        )
        return not self.trials.try_out([script])

    def unlike(self, one: Fitted, condition: str) -> str:
        """What contradicts an expression, for people: some of the source's rows for which the
        condition is true, or the target's error. Empty if nothing does."""
        if one.fit.problems:  # the run cannot start before these are solved
            return ""
        lines = self.trials.sample(one)
        found = self.trials.count(_trial_table(one), TRIAL, lines, condition)
        if isinstance(found, Refusal):
            return f"the target says: {found}"
        rows = lines.count(b"\n")
        return f"{plural(found, 'row')} of the {rows:,} that were tried" if found else ""


def _trial_table(one: Fitted) -> str:
    columns = ", ".join(
        f"{quoted(folded(each.name))} {type_name(one.field(each.name).type)}"
        for each in one.table.columns
    )
    return f"CREATE TEMP TABLE {quoted(TRIAL)} ({columns})"


def quoted(*parts: str) -> str:
    return ".".join(map(quote_identifier, parts))


def of(name: Name) -> str:
    return quoted(name.schema, name.name)


def adding(table: Name, name: str, what: str) -> str:
    return f"ALTER TABLE ONLY {of(table)}\n    ADD CONSTRAINT {quoted(name)} {what}"


def dropping(table: Name, name: str) -> str:
    return f"ALTER TABLE ONLY {of(table)} DROP CONSTRAINT {quoted(name)}"


def index_text(table: Name, name: str, columns: str, *, is_unique: bool, nulls: str = "") -> str:
    """`nulls` is what follows the columns about NULLs."""
    unique = "UNIQUE " if is_unique else ""
    return f"CREATE {unique}INDEX {quoted(name)} ON {of(table)} USING btree ({columns}){nulls}"
