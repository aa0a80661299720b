"""Columns of a table in use, as loading needs them: how values are staged, compared and cast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from windlass.engines.postgres.column_kinds import column_of
from windlass.engines.postgres.landing.names import identifier
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.export import Kind
from windlass.model.load import TableColumn
from windlass.model.relation import Name

_CHARACTERS, _NUMERIC = ("varchar", "bpchar"), "numeric"
_PLAIN_TEXT = (25, 1042, 1043)


@dataclass(frozen=True, slots=True)
class Column:
    """`base` is the type under a domain, otherwise the type itself; `plain` is its bare name.
    `equality` is an operator with its schema; empty if the type has none."""

    name: str
    type: str
    base: str
    plain: str
    oid: int
    modifier: int
    is_domain: bool
    collation: str
    equality: str
    not_null: bool
    has_default: bool
    identity: str  # "": none, "a": always, "d": by default
    generated: bool
    sequence: str  # the sequence that fills it
    rights: str  # "i" to insert it, "u" to update it, "s" to set its sequence

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.name)

    @property
    def cast(self) -> sql.SQL:
        return sql.SQL(self.type)

    @property
    def longest(self) -> int:
        """Characters; 0: any number."""
        return self.modifier - 4 if self.plain in _CHARACTERS and self.modifier >= 4 else 0

    @property
    def digits(self) -> tuple[int, int] | None:
        """Precision and scale of a numeric (numeric_typmod_scale in numeric.c)."""
        if self.plain != _NUMERIC or self.modifier < 4:
            return None
        return (self.modifier - 4) >> 16 & 0xFFFF, ((self.modifier - 4) & 0x7FF ^ 1024) - 1024

    @property
    def is_settable(self) -> bool:
        """Whether an UPDATE can set it."""
        return not self.generated and self.identity != "a"

    @property
    def collated(self) -> sql.Composable:
        """`collate` of the column, for a comparison with a value that has another one."""
        return sql.SQL(" collate {}").format(sql.SQL(self.collation)) if self.collation else _NONE

    def equals(self, left: sql.Composable, right: sql.Composable) -> sql.Composed:
        """A condition that two values are equal to the server; if the type has no equality, that
        their texts are."""
        if not self.equality:
            return sql.SQL("{}::pg_catalog.text operator(pg_catalog.=) {}::pg_catalog.text").format(
                left, right
            )
        parts = (left, sql.SQL(self.equality), right, self.collated)
        return sql.SQL("{} operator({}) ({}){}").format(*parts)

    @property
    def described(self) -> TableColumn:
        """The column as `windlass.model.load` has it."""
        precision, scale = self.digits or (0, 0)
        exact = column_of(self.name, self.base, self.oid, self.modifier)
        kind: Kind | None = exact.kind
        if exact.is_list or (kind is Kind.TEXT and self.oid not in _PLAIN_TEXT):
            kind = Kind.DECIMAL if self.plain == _NUMERIC and precision else None
        return TableColumn(
            self.name,
            self.type,
            kind,
            self.not_null,
            self.has_default or self.identity != "",
            self.generated,
            self.longest,
            precision,
            scale,
        )


_NONE = sql.SQL("")


def read_columns(connection: Connection, oid: int) -> tuple[Column, ...]:
    """Of a table, in their order."""
    with psycopg.RawCursor(connection, row_factory=class_row(Column)) as cursor:
        query = load("landing_columns").as_bytes(connection)
        return tuple(cursor.execute(query, (oid,)).fetchall())


def find_oid(connection: Connection, name: Name) -> int | None:
    """Of a relation of any kind."""
    row = connection.execute(
        "select oid::bigint from pg_catalog.pg_class where oid = pg_catalog.to_regclass(%s)"
        " and relkind not in ('i', 'I', 'c', 'S', 't')",
        (identifier(name).as_string(connection),),
    ).fetchone()
    return int(str(row[0])) if row else None


def read_columns_of_types(
    connection: Connection, types: Iterable[tuple[str, str]], like: Name
) -> tuple[Column, ...]:
    """Columns as a table of these names and types has them. Makes a table named `like`, in the
    caller's transaction, and takes it back."""
    defined = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_)) for name, type_ in types
    )
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("create table {} ({})").format(identifier(like), defined))
        oid = find_oid(connection, like)
        assert oid is not None
        return read_columns(connection, oid)


def named(columns: Iterable[Column], names: Sequence[str]) -> tuple[Column, ...]:
    """The columns with these names, in this order."""
    by_name = {one.name: one for one in columns}
    return tuple(by_name[name] for name in names)


def listed(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
