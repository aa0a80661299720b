"""What is reported about values that fit no type, or arrive in another form: how many there are,
and the key of the first one. Other values of a row are never shown."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from psycopg import sql

from windlass.engines.sqlite.census import Counts, take_census
from windlass.engines.sqlite.origin.blocks import batches
from windlass.engines.sqlite.origin.choosing import Choice
from windlass.engines.sqlite.origin.counted import Counted, is_utf8
from windlass.engines.sqlite.origin.forms import fits, hashed, merges
from windlass.engines.sqlite.origin.ranges import Order
from windlass.engines.statements import each, listed, names, statement, verbatim
from windlass.model.chunk import Whole
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.translation import Field, Index, Sort, SourceTable
from windlass.model.units import plural
from windlass.model.wording import word

# bytes of a key; a row of PostgreSQL's index has at most 2,704, unless its values can be compressed
LONGEST_KEY = 2_600
# of a value: COPY's text form writes each byte as two digits, and a line has at most 1 GB
MOST_BYTES = 500_000_000
_COMPARES = {"NOCASE": "without case", "RTRIM": "without blanks at the end"}
_WAYS = {
    "integer": "bigint, numeric, timestamp (seconds since 1970)",
    "real": "double precision, numeric, timestamp (Julian days)",
    "text": "date, timestamp, timestamptz, jsonb, uuid, numeric",
    "blob": "bytea, uuid",
}


class Namer:
    """Reports on one table."""

    def __init__(self, session: sqlite3.Connection, table: SourceTable, order: Order) -> None:
        self._session, self._table, self._order = session, table, order

    def about(self, choice: Choice) -> str:
        return f"{self._table.name}.{choice.column.name}"

    def _typed(self, column: str, words: str) -> str:
        """The option that gives the column this type."""
        return word("types", f"{self._table.name.plain}.{column}={words}")

    def misfit(self, choice: Choice, counted: Counted) -> Problem:
        column = choice.column.name
        census = self._census(column)
        best = max(range(len(choice.fields)), key=lambda at: counted.fitting[at])
        field = choice.fields[best]
        wrong = counted.values - counted.fitting[best]
        is_ = "value is" if wrong == 1 else "values are"
        if choice.is_answered:
            message = f"{wrong:,} {is_} not {choice.expected}"
        else:
            declared = f"declared as {choice.column.type}" if choice.column.type else "has no type"
            message = f"{declared}, but {wrong:,} {is_} not {field.type.described}"
        classes = ", ".join(plural(count, name) for name, count in census.classes.items())
        message += f": it has {classes}{self._first_misfit(field)}"
        ways = "; ".join(f"of {name}s: {_WAYS[name]}" for name in census.classes)
        hint = f"{self._typed(column, 'text')} keeps every value as text; other types, {ways}"
        return Problem(self.about(choice), message, hint)

    def bad_text(self, choice: Choice) -> Problem:
        """The problem of texts that PostgreSQL cannot store."""
        column = choice.column.name
        wrong = nul = 0
        first = ""
        for key, value in self._texts(column):
            is_wrong, has_nul = not is_utf8(value), b"\0" in value
            wrong, nul = wrong + is_wrong, nul + has_nul
            if (is_wrong or has_nul) and not first:
                first = key
        parts = []
        if wrong:
            parts.append(f"{plural(wrong, 'text')} {'is' if wrong == 1 else 'are'} not UTF-8")
        if nul:
            parts.append(f"{plural(nul, 'text')} {'has' if nul == 1 else 'have'} a NUL character")
        message = f"{' and '.join(parts)} (first: {first})"
        hint = f"{self._typed(column, 'bytea')} keeps the bytes; or correct the texts"
        return Problem(self.about(choice), message, hint)

    def too_large(self, choice: Choice, counted: Counted) -> list[Problem]:
        if counted.bytes < MOST_BYTES and choice.fields[-1].type.sort is not Sort.BYTES:
            return []
        column = names(choice.column.name)
        test = verbatim(f"length(cast({{}} as blob)) > {MOST_BYTES}").format(column)
        if not (found := self._count(test)):
            return []
        message = f"{plural(found, 'value')} of more than 500 MB"
        hint = "PostgreSQL's COPY takes lines of 1 GB at most: leave the table out, or cut them"
        return [Problem(self.about(choice), f"{message}{self._first(test)}", hint)]

    def merged(self, key: Index, fields: Sequence[Field]) -> list[Problem]:
        """The problem of rows with different keys that are the same ones on the target."""
        # without the column's collation, which would compare in another way
        texts = [verbatim("({}) || ''").format(hashed(one)) for one in fields]
        present: list[sql.Composable] = [
            verbatim("{} is not null").format(names(one.name)) for one in fields
        ]
        if key.where:
            present.append(verbatim(f"({key.where}\n)"))
        parts = {
            "table": self._order.rows,
            "texts": listed(texts),
            "present": listed(present, " and "),
        }
        query = statement(
            "select coalesce(sum(many), 0) from (select count(*) as many from {table}"
            " where {present} group by {texts} having count(*) > 1)",
            **parts,
        )
        (many,) = self._session.execute(query).fetchone()
        if not many:
            return []
        again = statement(
            "select {texts} from {table} where {present} group by {texts} having count(*) > 1",
            **parts,
        )
        test = verbatim("({texts}) in ({again}) and {present}").format(
            again=verbatim(again), **parts
        )
        columns = ", ".join(one.name for one in fields)
        types = ", ".join(one.type.described for one in fields if merges(one))
        message = (
            f"key {key.name} ({columns}): {plural(many, 'row')} have keys that differ in SQLite,"
            f" and are the same as {types}{self._first(test)}"
        )
        ways = " ".join(self._typed(one.name, "text") for one in fields if merges(one))
        hint = f"correct them on the source, or keep them apart as text: {ways}"
        return [Problem(str(self._table.name), message, hint)]

    def too_long(self, key: Index, fields: Sequence[Field]) -> str:
        """Which rows have keys that an index of the target may not hold; empty if none has."""
        sizes = [
            verbatim("coalesce(length(cast({} as blob)), 0)").format(names(one.name))
            for one in fields
            if one.type.sort in (Sort.TEXT, Sort.BYTES)
        ]
        if not sizes:
            return ""
        test = verbatim("{} > {}").format(listed(sizes, " + "), verbatim(str(LONGEST_KEY)))
        if key.where:
            test = verbatim("{} and {}").format(test, verbatim(f"({key.where}\n)"))
        if not (many := self._count(test)):
            return ""
        columns = ", ".join(part.column for part in key.parts)
        return (
            f"{key.name} ({columns}): {plural(many, 'row')} with more than {LONGEST_KEY:,} bytes,"
            f" which an index of PostgreSQL may not hold{self._first(test)}"
        )

    def noticed(self, choice: Choice, field: Field) -> list[Loss]:
        """Notices about values that arrive as they are stored, although they may have been meant
        differently."""
        found: list[Loss] = []
        about, declared = self.about(choice), choice.column.type
        is_short = field.form == "scaled"  # at most thirteen digits
        if field.type.sort is Sort.DECIMAL and not is_short and (many := self._long(field)):
            message = (
                f"{plural(many, 'value')} of {declared or 'no type'} with 16 or 17 digits: SQLite"
                " keeps decimals as floating-point numbers, and more digits were lost when they"
                " were inserted; they arrive as they are stored"
            )
            found.append(Loss(about, message, LossClass.STORAGE))
        if choice.column.collation and field.type.sort is Sort.TEXT:
            name = choice.column.collation
            how = _COMPARES.get(name, "in an order that an application defines")
            message = f"compares {how} ({name}), the target does not"
            found.append(Loss(about, message, LossClass.BEHAVIOUR))
        if field.type.sort is Sort.INSTANT and not field.form and (many := self._offsets(field)):
            message = (
                f"{plural(many, 'time')} with an offset that is not zero: the moment is kept,"
                " the offset is not"
            )
            found.append(Loss(about, message, LossClass.VALUES))
        if field.type.sort is Sort.JSON and (many := self._doubled(field)):
            message = (
                f"{plural(many, 'document')} with a key twice in an object: jsonb keeps the last"
            )
            found.append(Loss(about, message, LossClass.VALUES))
        return found

    def _census(self, column: str) -> Counts:
        table = self._order.rows.as_string(None)
        return take_census(self._session, table, [column])[1][0]

    def _long(self, field: Field) -> int:
        """How many values are too long for a double, which keeps decimals of fifteen digits."""
        test = "typeof({0}) = 'real' and cast(printf('%!.15g', {0}) as real) <> {0}"
        return self._total(test, field.name)

    def _offsets(self, field: Field) -> int:
        return self._total(
            "upper(substr({0}, -1)) <> 'Z' and substr({0}, -6) not in ('+00:00', '-00:00')",
            field.name,
        )

    def _doubled(self, field: Field) -> int:
        return self._total("typeof({0}) = 'text' and windlass_doubled({0})", field.name)

    def _total(self, template: str, column: str) -> int:
        return self._count(verbatim(template).format(names(column)))

    def _count(self, test: sql.Composable) -> int:
        query = statement(
            "select count(*) from {table} where {test}", table=self._order.rows, test=test
        )
        return int(self._session.execute(query).fetchone()[0])

    def _first_misfit(self, field: Field) -> str:
        template = sql.SQL("{} is not null and not ({})")
        test = fits(field.name, field.type, field.form)
        return self._first(template.format(names(field.name), test))

    def _first(self, test: sql.Composable) -> str:
        query = statement(
            "select {key} from {table} where {test} limit 1",
            key=self._key(),
            table=self._order.rows,
            test=test,
        )
        found = self._session.execute(query).fetchone()
        return f" (first: {self._described(found)})" if found else ""

    def _texts(self, column: str) -> Iterator[tuple[str, bytes]]:
        """All texts of a column, each with its row's key."""
        wanted = listed([verbatim("cast({} as text)").format(names(column)), self._key()])
        for rows in batches(self._session, self._order, Whole(), wanted):
            for value, *key in rows:
                if value is not None:
                    yield self._described(key), value

    def _key_columns(self) -> tuple[str, ...]:
        if self._table.primary_key:
            return self._table.primary_key.columns
        return self._order.named

    def _key(self) -> sql.Composable:
        columns = self._key_columns()
        return each("{}", [names(one) for one in columns]) if columns else verbatim("null")

    def _described(self, values: object) -> str:
        assert isinstance(values, (list, tuple))
        shown = [
            one.decode(errors="backslashreplace") if isinstance(one, bytes) else str(one)
            for one in values
        ]
        pairs = zip(self._key_columns(), shown, strict=False)
        return ", ".join(f"{name} = {one}" for name, one in pairs) or "a row without a key"
