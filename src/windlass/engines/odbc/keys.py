"""Whether keys mean the same to the target, which compares bytes: the database may ignore case,
accents or trailing blanks. ODBC does not report that, so the database is asked about values that it
has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from windlass.engines.mapped_rows import unkept
from windlass.engines.odbc.catalog import Found
from windlass.engines.odbc.quoting import Quoted
from windlass.engines.odbc.selecting import rows_of
from windlass.engines.odbc.session import SLICE_ROWS, Session
from windlass.engines.odbc.types import ORACLE, SQL_SERVER
from windlass.engines.statements import each, listed, statement
from windlass.model.report import Loss
from windlass.model.translation import Field, ForeignKey, Sort, SourceTable

CASE = "case"
_ACCENTS = str.maketrans("aeiouAEIOU", "áéíóúÁÉÍÓÚ")
# what makes bytes of a text, of the same encoding on both sides of a key
_BYTES: Mapping[str, LiteralString] = {
    "MariaDB": "cast(convert({0} using utf8mb4) as binary)",
    "MySQL": "cast(convert({0} using utf8mb4) as binary)",
    SQL_SERVER: "cast(cast({0} as nvarchar(4000)) as varbinary(8000))",
    "SQLite": "cast({0} as blob)",
}


@dataclass(frozen=True, slots=True)
class Equality:
    """What the database does not look at when it compares the texts of a key, by column."""

    ignores: Mapping[str, tuple[str, ...]]

    def notices(self, table: SourceTable, server: str) -> Iterator[str]:
        """Case is left out: a second index of the target ignores it as well."""
        for column, words in self.ignores.items():
            if rest := [one for one in words if one != CASE]:
                yield (
                    f"{table.name}.{column} is part of a key: {server} takes texts that differ by"
                    f" {' or '.join(rest)} as equal, and the target accepts both"
                )


def about_nulls(table: SourceTable, server: str) -> Iterator[str]:
    """Notices of keys over columns that may be NULL, to which no key of the target corresponds.
    Oracle takes rows as equal if they have NULL in some columns of a key, and equal values in the
    others."""
    nullable = {one.name for one in table.columns if not one.not_null}
    for key in table.uniques if server == ORACLE else ():
        if len(key.columns) > 1 and nullable & set(key.columns):
            yield (
                f"{table.name}: to Oracle two rows with NULL in the same column of key {key.name}"
                f" ({', '.join(key.columns)}) are equal if the others are; the target accepts both"
            )


def equality_of(
    session: Session, found: Found, table: SourceTable, fields: Mapping[str, Field]
) -> Equality:
    """Of the columns of primary and unique keys."""
    keys = [*([table.primary_key] if table.primary_key else []), *table.uniques]
    columns = dict.fromkeys(column for key in keys for column in key.columns)
    ignores = {}
    hashed = table.selected.hashed if table.selected else ()
    for column in columns:
        if fields[column].type.sort is Sort.TEXT and column not in hashed:
            words = tuple(_ignores(session, found, table, fields[column]))
            if words:
                ignores[column] = words
    return Equality(ignores)


def _ignores(session: Session, found: Found, table: SourceTable, field: Field) -> Iterator[str]:
    value = _example(session, found, table, field.name)
    if not value:
        return
    changed = {CASE: value.swapcase(), "accents": value.translate(_ACCENTS)}
    if not field.type.is_fixed:
        changed["trailing blanks"] = value.rstrip(" ") if value.endswith(" ") else value + " "
    query = statement(
        "select {column} from {table} where {column} = ?",
        column=Quoted(session.quote, field.name),
        table=rows_of(session, found, table.name, table.selected),
    )
    for what, other in changed.items():
        if other != value:
            rows = session.rows(query, [other], f"reading {table.name}")
            if any(_same(one, value, field) for (one,) in rows):
                yield what


def _same(one: object, value: str, field: Field) -> bool:
    return isinstance(one, str) and (one.rstrip(" ") if field.type.is_fixed else one) == value


def _example(session: Session, found: Found, table: SourceTable, column: str) -> str:
    """One of the first values, with a vowel if there is one; empty if there is none."""
    query = statement(
        "select {column} from {table} where {column} is not null",
        column=Quoted(session.quote, column),
        table=rows_of(session, found, table.name, table.selected),
    )
    with session.cursor(f"reading {table.name}") as cursor:
        cursor.execute(query)
        values = [one for (one,) in cursor.fetchmany(SLICE_ROWS) if isinstance(one, str) and one]
    with_vowels = [one for one in values if one.translate(_ACCENTS) != one]
    return next(iter([*with_vowels, *values]), "").rstrip("\0")


def orphans(
    session: Session, found: Found, table: SourceTable, fields: Mapping[str, Field]
) -> Iterator[tuple[str, Loss]]:
    """Foreign keys that some rows break, by the target's equality, or because rows of the parent do
    not arrive."""
    for key in table.foreign_keys:
        if key.refers_to in found.places and (many := _orphans(session, found, table, key, fields)):
            texts = any(fields[one].type.sort is Sort.TEXT for one in key.columns)
            why = " by PostgreSQL's equality" if texts else ""
            yield key.name, unkept(table, key, many, why)


def _orphans(
    session: Session,
    found: Found,
    table: SourceTable,
    key: ForeignKey,
    fields: Mapping[str, Field],
) -> int:
    parents = {one.name: one.selected for one in table.parents}
    fixed = {name for some in (table.selected, parents.get(key.refers_to)) if some
             for name, _ in some.fixed}  # fmt: skip
    if fixed & {*key.columns, *key.referred}:
        return 0  # planned to be left out
    alike: list[sql.Composable] = []
    exact: list[sql.Composable] = []
    for column, referred in zip(key.columns, key.referred, strict=True):
        ours, theirs = (
            sql.SQL("{}.{}").format(sql.SQL(alias), Quoted(session.quote, name))
            for alias, name in (("c", column), ("p", referred))
        )
        alike.append(sql.SQL("{} = {}").format(theirs, ours))
        form = _BYTES.get(session.server)
        if form and fields[column].type.sort is Sort.TEXT and not fields[column].type.is_fixed:
            made = sql.SQL(form)
            exact.append(sql.SQL("{} = {}").format(made.format(theirs), made.format(ours)))
    there = sql.SQL("p.{}").format(Quoted(session.quote, key.referred[0]))
    # a join, not a subquery: see `windlass.engines.mysql.keys`
    query = statement(
        "select count(*) from (select * from {child}) c left join (select * from {parent}) p"
        " on {alike} where {given} and ({there} is null or not ({exact}))",
        child=rows_of(session, found, table.name, table.selected),
        given=each(
            "c.{} is not null", (Quoted(session.quote, one) for one in key.columns), " and "
        ),
        parent=rows_of(session, found, key.refers_to, parents.get(key.refers_to)),
        alike=listed(alike, " and "),
        exact=listed(exact or [sql.SQL("1 = 1")], " and "),
        there=there,
    )
    ((many,),) = list(session.rows(query, (), f"checking the keys of {table.name}"))
    return int(many)
