"""The structure of an SQLite file, as nouns of a translation. Reads the catalog; reads rows only to
find the next number of a column that counts up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from windlass.engines.sqlite.catalog import SCHEMA
from windlass.engines.sqlite.origin.definitions import (
    Definition,
    read_default,
    read_index,
    read_table,
    read_view,
)
from windlass.engines.sqlite.origin.ranges import read_order
from windlass.engines.statements import names, statement
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass
from windlass.model.translation import (
    Check,
    ForeignKey,
    Index,
    IndexPart,
    Key,
    SourceColumn,
    SourceSchema,
    SourceTable,
    SourceView,
)

_VIRTUAL, _STORED = 2, 3  # `hidden` of a generated column; 1 is a hidden one of a virtual table
_Row = tuple[Any, ...]
_BY_CASE = {"NOCASE": "lower({})", "RTRIM": "rtrim({})"}  # the same order, as expressions


def read_schema(session: sqlite3.Connection) -> SourceSchema:
    """The schema. The tables that a virtual table uses internally are left out, as its engine makes
    them."""
    tables, views, others = [], [], []
    lost: list[tuple[Name, Loss]] = []
    for name, kind, without_rowid, text in _rows(session, _RELATIONS):
        if kind == "table":
            reader = _Reader(session, name, text or "", bool(without_rowid))
            tables.append(reader.table())
            lost += [(Name(SCHEMA, name), one) for one in reader.lost()]
        elif kind == "view":
            try:
                rows = _rows(session, "select name, type from pragma_table_xinfo(?)", name)
            except sqlite3.OperationalError:  # it reads a table or column that is gone
                others.append(("broken view", Name(SCHEMA, name)))
                continue
            columns = tuple(SourceColumn(column, type_) for column, type_ in rows)
            listed = tuple(one.name for one in columns)
            views.append(SourceView(Name(SCHEMA, name), listed, read_view(text), columns))
        elif kind == "virtual":
            others.append(("virtual table", Name(SCHEMA, name)))
    triggers = "select name from sqlite_schema where type = 'trigger' order by name"
    others += [("trigger", Name(SCHEMA, name)) for (name,) in _rows(session, triggers)]
    return SourceSchema(tuple(tables), tuple(views), tuple(others), tuple(lost))


_RELATIONS = (
    "select l.name, l.type, l.wr, s.sql from pragma_table_list as l"
    " left join sqlite_schema as s on s.name = l.name and s.type in ('table', 'view')"
    " where l.schema = 'main' and l.name not like 'sqlite\\_%' escape '\\' order by l.name"
)


def _rows(session: sqlite3.Connection, query: str, *given: object) -> list[_Row]:
    """Rows with their texts decoded: the catalog's are always UTF-8."""
    return [
        tuple(one.decode() if isinstance(one, bytes) else one for one in row)
        for row in session.execute(query, given).fetchall()
    ]


class _Reader:
    """Of one table."""

    def __init__(
        self, session: sqlite3.Connection, name: str, text: str, without_rowid: bool
    ) -> None:
        self._session, self._name, self._without_rowid = session, name, without_rowid
        self._info = _rows(
            session,
            'select name, type, "notnull", dflt_value, pk, hidden from pragma_table_xinfo(?)',
            name,
        )
        self._names = [row[0] for row in self._info]
        self._text: Definition = read_table(text, self._names)
        self._indexes = _rows(
            session,
            'select name, "unique", origin, partial from pragma_index_list(?) order by seq desc',
            name,
        )

    def table(self) -> SourceTable:
        key = tuple(row[0] for row in sorted(self._info, key=lambda row: row[4]) if row[4])
        order = read_order(self._session, self._name)
        counting = order.number if order.number in key else ""
        named = self._text.primary_key or f"{self._name}_pkey"
        return SourceTable(
            name=Name(SCHEMA, self._name),
            columns=tuple(self._column(row, counting) for row in self._info if row[5] != 1),
            primary_key=self._key(named, key, self._primary_parts()) if key else None,
            uniques=tuple(self._uniques()),
            foreign_keys=tuple(self._foreign_keys()),
            checks=tuple(self._checks()),
            indexes=tuple(self._others()),
            next_number=self._next(counting) if counting else 0,
            pages_by=order.key or ((counting,) if counting else ()),
        )

    def _column(self, row: _Row, counting: str) -> SourceColumn:
        name, type_, not_null, default, key, hidden = row
        generated = hidden in (_VIRTUAL, _STORED)
        # columns of other keys may be NULL
        is_key = bool(key) and (self._without_rowid or name == counting)
        return SourceColumn(
            name,
            type_,
            not_null=bool(not_null) or is_key,
            default="" if default is None or generated else read_default(default),
            generated=self._text.generated[name.lower()] if generated else "",
            is_stored=hidden != _VIRTUAL,
            counts_up=name == counting,
            collation=self._collation(name),
        )

    def _collation(self, column: str) -> str:
        found = self._text.collations.get(column.lower(), "")
        return "" if found == "BINARY" else found

    def _next(self, counting: str) -> int:
        if self._text.counts_up:
            found = _rows(
                self._session, "select seq from sqlite_sequence where name = ?", self._name
            )
            if found and isinstance(found[0][0], int):
                return int(found[0][0]) + 1
        query = statement(
            "select max({column}) from {table}", column=names(counting), table=names(self._name)
        )
        (highest,) = self._session.execute(query).fetchone()
        return max(int(highest or 0), 0) + 1

    def _parts(self, index: str) -> list[_Row]:
        return _rows(
            self._session,
            'select cid, name, "desc", coll from pragma_index_xinfo(?) where key order by seqno',
            index,
        )

    def _uniques(self) -> list[Key]:
        found = []
        for index, _, origin, _ in self._indexes:
            if origin == "u":
                parts = self._parts(index)
                columns = tuple(part[1] for part in parts)
                lower = tuple(column.lower() for column in columns)
                default = "_".join((self._name, *columns, "key"))
                name = self._text.uniques.get(lower, "") or default
                found.append(self._key(name, columns, parts))
        return found

    def _primary_parts(self) -> list[_Row]:
        """Those of the primary key's index; a key that is the row's number has none."""
        indexes = [index for index, _, origin, _ in self._indexes if origin == "pk"]
        return self._parts(indexes[0]) if indexes else []

    def _key(self, name: str, columns: tuple[str, ...], parts: list[_Row]) -> Key:
        """A key may compare a column in another way than the column says."""
        ignoring = tuple(part[1] for part in parts if part[3].upper() == "NOCASE")
        like_columns = all(part[3].upper() == self._compares(part[1]) for part in parts)
        return Key(name, columns, ignoring_case=None if like_columns else ignoring)

    def _compares(self, column: str) -> str:
        return self._collation(column) or "BINARY"

    def lost(self) -> Iterator[Loss]:
        """What the definition has, and no other engine."""
        table = str(Name(SCHEMA, self._name))
        for column, text in self._text.conflicts:
            place = f"column {column}: " if column else ""
            message = f"{place}what a conflict does is not kept, it is an error: {text}"
            yield Loss(table, message, LossClass.BEHAVIOUR)
        for index, _, origin, _ in self._indexes:
            if origin == "c":
                continue
            parts = self._parts(index)
            listed = ", ".join(f"{part[1]}{' DESC' if part[2] else ''}" for part in parts)
            if any(part[2] for part in parts):
                message = f"the index of key ({listed}) ascends on the target"
                yield Loss(table, message, LossClass.STORAGE)
            for part in parts:
                collation = part[3].upper()
                if collation not in ("BINARY", "NOCASE", self._compares(part[1])):
                    message = (
                        f"key ({listed}) compares {part[1]} by {collation}: the target compares all"
                        " characters"
                    )
                    yield Loss(table, message, LossClass.CONSTRAINTS)

    def _foreign_keys(self) -> list[ForeignKey]:
        rows = _rows(
            self._session,
            'select id, seq, "table", "from", "to", on_update, on_delete'
            " from pragma_foreign_key_list(?) order by id desc, seq",
            self._name,
        )
        by_key: dict[int, list[_Row]] = {}
        for row in rows:
            by_key.setdefault(row[0], []).append(row)
        # SQLite lists them in reverse order
        return [self._foreign_key(parts, number) for number, parts in enumerate(by_key.values())]

    def _foreign_key(self, parts: list[_Row], number: int) -> ForeignKey:
        columns = tuple(part[3] for part in parts)
        parent = self._spelled(parts[0][2])
        referred = tuple(part[4] for part in parts)
        if None in referred:  # no columns given: the parent's primary key
            referred = tuple(
                row[0]
                for row in _rows(
                    self._session,
                    "select name from pragma_table_xinfo(?) where pk > 0 order by pk",
                    parent,
                )
            )
        made = ForeignKey(
            "_".join((self._name, *columns, "fkey")),
            columns,
            Name(SCHEMA, parent),
            referred,
            on_update=parts[0][5],
            on_delete=parts[0][6],
        )
        written = self._text.foreign
        if number < len(written):
            text = written[number]
            if text.columns == tuple(column.lower() for column in columns):
                return replace(
                    made,
                    name=text.name or made.name,
                    is_deferrable=text.is_deferrable,
                    is_deferred=text.is_deferred,
                )
        return made

    def _spelled(self, table: str) -> str:
        """The table's name as its definition has it: a reference may differ by case."""
        found = _rows(
            self._session,
            "select name from pragma_table_list where schema = 'main' and name = ? collate nocase",
            table,
        )
        return str(found[0][0]) if found else table

    def _checks(self) -> list[Check]:
        return [
            Check(name or f"{self._name}_check{number}", expression)
            for number, (name, expression) in enumerate(self._text.checks, 1)
        ]

    def _others(self) -> list[Index]:
        found = []
        for index, unique, origin, _ in self._indexes:
            if origin != "c":
                continue
            ((text,),) = _rows(
                self._session,
                "select sql from sqlite_schema where type = 'index' and name = ?",
                index,
            )
            written = read_index(text, self._names)
            parts = [
                self._part(part, expression, bool(unique))
                for part, expression in zip(self._parts(index), written.parts, strict=True)
            ]
            found.append(Index(index, tuple(parts), bool(unique), written.where))
        return found

    def _part(self, part: _Row, expression: str, is_unique: bool) -> IndexPart:
        _, column, descends, collation = part
        collation = collation.upper()
        if column is None:
            return IndexPart(expression=expression, descends=bool(descends))
        is_other = collation != self._compares(column)
        if (is_other and collation != "BINARY") or (is_unique and collation == "RTRIM"):
            quoted = names(column).as_string(None)
            # one that an application defines cannot be translated, and is named so
            made = _BY_CASE.get(collation, f"{{}} collate {collation}").format(quoted)
            return IndexPart(expression=made, descends=bool(descends))
        is_exact = is_other and collation == "BINARY"
        return IndexPart(column, descends=bool(descends), is_exact=is_exact)
