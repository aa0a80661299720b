"""Counts, over all rows of a table, the values that the target's types cannot hold, and names what
people must decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString

from psycopg import sql

from windlass.engines.answers import WORDS
from windlass.engines.duckdb.origin import forms
from windlass.engines.duckdb.origin.selecting import described, orphans, rows_of
from windlass.engines.duckdb.origin.types import CAST, chosen, first_guess
from windlass.engines.jsonb_text import NoJsonb, printed
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.translation import Answers, Field, Fit, Sort, SourceColumn, SourceTable, Type
from windlass.model.units import plural
from windlass.model.wording import word

# of a value; a line of COPY has at most 1 GB, and bytes take two digits each
_MOST_BYTES = 500_000_000
_ROWS_AT_ONCE = 1_000
_VALUE_BYTES = 8  # of a value that is not text
_RANGE: LiteralString = "not (isfinite({0}) and year({0}) between 1 and 9999)"
_DAYS: LiteralString = "(year({0}) <> 0 or month({0}) <> 0 or day({0}) <> 0)"
_NANOS: LiteralString = "epoch_ns({0}) % 1000 <> 0"
_TIME_NANOS: LiteralString = "cast(cast({0} as time) as time_ns) <> {0}"
_ACCEPT = word("accept", str(LossClass.VALUES))


@dataclass(slots=True)
class _Column:
    column: SourceColumn
    fitted: Field
    asked: dict[str, sql.Composable] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    refused: int = 0  # documents
    doubled: int = 0
    why: str = ""


def fit_table(session: Any, table: SourceTable, answers: Answers) -> Fit:
    """Raises:
    BadSpec: an answer is no type.
    """
    problems: list[Problem] = []
    losses: list[Loss] = []
    table = described(session, table)
    columns = [_started(table, one, answers, problems) for one in table.columns]
    rows, size = _count(session, table, columns)
    _read_documents(session, table, [one for one in columns if one.fitted.type.sort is Sort.JSON])
    judge = _Judge(session, table, answers)
    for one in columns:
        problems += judge.problems(one)
        losses += judge.losses(one)
    fields = tuple(one.fitted for one in columns)
    if not any(one.counts.get("misfit") for one in columns):
        problems += _merged(session, table, fields)
    broken = dict(orphans(session, table))
    losses += broken.values()
    return Fit(fields, rows, size, tuple(problems), tuple(losses), tuple(broken))


def _started(
    table: SourceTable, column: SourceColumn, answers: Answers, problems: list[Problem]
) -> _Column:
    about, words = f"{table.name}.{column.name}", answers.types.get(column.name, "")
    guess = first_guess(column.name, column.type)
    if words:
        found = chosen(column.name, column.type, words, about)
        if found is not None:
            one = _Column(column, found.field)
            one.asked |= _misfits(one, found.back) | _asked(one)
            return one
        hint = f"{word('types')} offers {', '.join(WORDS)} where values can be such; text always"
        problems.append(Problem(about, f"{column.type} cannot become {words}", hint))
    elif guess is None:
        message = f"PostgreSQL has no type for {column.type}"
        hint = f"{_typed(table, column, 'text')} takes DuckDB's text"
        problems.append(Problem(about, message, hint))
    one = _Column(column, guess or Field(column.name, Type(Sort.TEXT), f"text{CAST}VARCHAR"))
    one.asked |= _asked(one)
    return one


def _typed(table: SourceTable, column: SourceColumn, words: str) -> str:
    """The option that gives the column this type."""
    return word("types", f"{table.name.plain}.{column.name}={words}")


def _misfits(one: _Column, back: str) -> dict[str, sql.Composable]:
    """Conditions for values that change when they are cast to the chosen type and back."""
    type_, cast = one.fitted.type, one.fitted.form.partition(CAST)[2]
    name = names(one.column.name)
    if type_.sort is Sort.TEXT:
        if not type_.length:
            return {}
        return {"misfit": sql.SQL("length({}) > {}").format(forms.text(one.fitted), type_.length)}
    if not back:
        return {}
    there = sql.SQL("try_cast({} as {})").format(name, verbatim(cast))
    same = sql.SQL("try_cast({} as {})").format(there, verbatim(back))
    if type_.sort is Sort.UUID:
        return {"misfit": sql.SQL("lower({}) is distinct from {}").format(name, same)}
    return {"misfit": sql.SQL("{} is distinct from {}").format(name, same)}


def _asked(one: _Column) -> dict[str, sql.Composable]:
    value, form = forms.value(one.fitted), one.fitted.form.partition(CAST)[0]
    if CAST in one.fitted.form:  # a value that cannot be cast does not fit
        value = sql.SQL("try_{}").format(value)
    asked: dict[str, sql.Composable] = {}
    if one.fitted.type.sort in (Sort.TEXT, Sort.ENUM):
        asked["nul"] = sql.SQL("instr(cast({} as varchar), chr(0)) > 0").format(value)
    if form in ("date", "timestamp", "instant"):
        asked["far"] = sql.SQL(_RANGE).format(value)
    if form == "timestamp_ns":
        asked["nanos"] = sql.SQL(_NANOS).format(value)
    if form == "time_ns":
        asked["nanos"] = sql.SQL(_TIME_NANOS).format(value)
    if form == "interval":
        asked["days"] = sql.SQL(_DAYS).format(value)
    if one.fitted.type.sort in (Sort.TEXT, Sort.BYTES):
        asked["long"] = sql.SQL("{} > {}").format(_size(one), verbatim(str(_MOST_BYTES)))
    return asked


def _size(one: _Column) -> sql.Composable:
    """Of a value of text or bytes, about."""
    if one.fitted.form == "blob":
        return sql.SQL("octet_length({})").format(names(one.column.name))
    return sql.SQL("strlen(cast({} as varchar))").format(names(one.column.name))


def _rows(table: SourceTable) -> sql.Composable:
    return rows_of(table.name, table.selected)


def _count(session: Any, table: SourceTable, columns: Sequence[_Column]) -> tuple[int, int]:
    """Count the rows and their bytes, roughly, and what is asked about each column."""
    asked = [(one, what) for one in columns for what in one.asked]
    texts = [
        sql.SQL("coalesce(sum({}), 0)").format(_size(one))
        for one in columns
        if one.fitted.type.sort in (Sort.TEXT, Sort.BYTES, Sort.JSON)
    ]
    counts = [
        sql.SQL("count(*) filter (where {0} is not null and {1})").format(
            names(one.column.name), one.asked[what]
        )
        for one, what in asked
    ]
    query = statement(
        "select count(*), {sizes}, {counts} from {table}",
        sizes=listed([*texts, sql.SQL("0")], " + "),
        counts=listed([*counts, sql.SQL("0")]),
        table=_rows(table),
    )
    rows, size, *found = session.execute(query).fetchone()
    for (one, what), many in zip(asked, found, strict=False):
        one.counts[what] = int(many)
    others = len(columns) - len(texts)
    return int(rows), int(size) + int(rows) * others * _VALUE_BYTES


def _read_documents(session: Any, table: SourceTable, columns: Sequence[_Column]) -> None:
    """What `jsonb` would make of the documents. Each one is parsed here."""
    if not columns:
        return
    texts = listed([forms.text(one.fitted) for one in columns])
    query = statement("select {texts} from {table}", texts=texts, table=_rows(table))
    found = session.execute(query)
    while rows := found.fetchmany(_ROWS_AT_ONCE):
        for row in rows:
            for one, text in zip(columns, row, strict=True):
                if text is None:
                    continue
                try:
                    one.doubled += printed(text).doubled > 0
                except NoJsonb as error:
                    one.refused += 1
                    one.why = one.why or str(error)


def _merged(session: Any, table: SourceTable, fields: Sequence[Field]) -> Iterator[Problem]:
    """The problems of rows with different keys that are the same ones on the target: nanoseconds
    are left out, and letters of a UUID have no case."""
    by_name = {one.name: one for one in fields}
    keys = [*([table.primary_key] if table.primary_key else []), *table.uniques]
    unique = [(key.name, key.columns) for key in keys]
    for index in table.indexes:
        if index.is_unique and all(part.column for part in index.parts):
            unique.append((index.name, tuple(part.column for part in index.parts)))
    for name, columns in unique:
        found = [by_name[one] for one in columns]
        if not any(map(_merges, found)):
            continue
        texts = [forms.text(one) for one in found]
        query = statement(
            "select coalesce(sum(many), 0) from (select count(*) as many from {table}"
            " where {present} group by {texts} having count(*) > 1)",
            table=_rows(table),
            present=listed([sql.SQL("{} is not null").format(one) for one in texts], " and "),
            texts=listed(texts),
        )
        if many := int(session.execute(query).fetchone()[0]):
            message = (
                f"key {name} ({', '.join(columns)}): {plural(many, 'row')} have keys that differ in"
                " DuckDB, and are the same on the target"
            )
            yield Problem(str(table.name), message, "correct them on the source")


def _merges(field: Field) -> bool:
    form, cast, _ = field.form.partition(CAST)
    return form in ("timestamp_ns", "time_ns") or (bool(cast) and field.type.sort is Sort.UUID)


class _Judge:
    """Decides what to report about a column, once its values are counted."""

    def __init__(self, session: Any, table: SourceTable, answers: Answers) -> None:
        self._session, self._table, self._answers = session, table, answers

    def problems(self, one: _Column) -> Iterator[Problem]:
        about = f"{self._table.name}.{one.column.name}"
        as_text = f"{_typed(self._table, one.column, 'text')} keeps them as text"
        for what, message, hint in (
            ("misfit", "not of the type that was chosen", "choose another type"),
            ("nul", "with U+0000, which PostgreSQL's text cannot hold", self._bytes(one)),
            ("far", "that are infinite, or not of the years 1 to 9999", as_text),
            ("days", "with months or days, of which a comparison cannot tell all", as_text),
            ("long", "of more than 500 MB", "PostgreSQL's COPY takes 1 GB: leave the table out"),
        ):
            if many := one.counts.get(what):
                values = plural(many, "value")
                yield Problem(about, f"{values} {message}{self._first(one, what)}", hint)
        if one.refused:
            message = f"{plural(one.refused, 'value')} that jsonb refuses: {one.why}"
            yield Problem(about, message, as_text)
        if not self._answers.accepts_values:
            for values, becomes in self._lossy(one):
                yield Problem(about, values, f"{_ACCEPT}: {becomes}; {as_text}")

    def losses(self, one: _Column) -> Iterator[Loss]:
        if self._answers.accepts_values:
            about = f"{self._table.name}.{one.column.name}"
            for values, becomes in self._lossy(one):
                yield Loss(about, f"{values}: {becomes}", LossClass.VALUES)

    def _lossy(self, one: _Column) -> Iterator[tuple[str, str]]:
        if many := one.counts.get("nanos"):
            first = self._first(one, "nanos")
            values = f"{plural(many, 'value')} with more than six digits of a second{first}"
            yield values, "the digits after the sixth are left out"
        if one.doubled:
            yield f"{plural(one.doubled, 'value')} with doubled keys", "the last of each stays"

    def _bytes(self, one: _Column) -> str:
        ways = ["correct them on the source"]
        if one.column.type == "VARCHAR":
            ways.insert(0, f"{_typed(self._table, one.column, 'bytea')} keeps their bytes")
        return ", or ".join(ways)

    def _first(self, one: _Column, what: str) -> str:
        """The key of the first row that has such a value."""
        key = self._table.primary_key or next(iter(self._table.uniques), None)
        if key is None:
            return ""
        columns = [names(name) for name in key.columns]
        query = statement(
            "select {shown} from {table} where {column} is not null and {asked} order by {key}"
            " limit 1",
            shown=listed(sql.SQL("cast({} as varchar)").format(each) for each in columns),
            table=_rows(self._table),
            column=names(one.column.name),
            asked=one.asked[what],
            key=listed(columns),
        )
        found = self._session.execute(query).fetchone() or ()
        pairs = zip(key.columns, found, strict=False)
        shown = ", ".join(f"{name} = {text}" for name, text in pairs)
        return f" (first: {shown})" if shown else ""
