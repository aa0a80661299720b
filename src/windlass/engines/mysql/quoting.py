"""SQL for MySQL and MariaDB, composed with psycopg: names are always quoted, texts are hexadecimal,
which no setting of the server changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, LiteralString

from psycopg import sql

from windlass.model.relation import Name
from windlass.model.translation import Selected


class Quoted(sql.Composable):
    """A name, or a path of names, in backticks."""

    def __init__(self, *path: str) -> None:
        super().__init__(path)
        self._path = path

    def as_bytes(self, context: Any = None) -> bytes:
        return ".".join(f"`{one.replace('`', '``')}`" for one in self._path).encode()


class Text(sql.Composable):
    """A literal of text in utf8mb4."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._text = text

    def as_bytes(self, context: Any = None) -> bytes:
        return f"_utf8mb4 x'{self._text.encode().hex()}'".encode()


class Bytes(sql.Composable):
    """A literal of bytes, which compares byte by byte."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._data = data

    def as_bytes(self, context: Any = None) -> bytes:
        return f"x'{self._data.hex()}'".encode()


class Whole(sql.Composable):
    """A literal of a whole number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self._number = int(number)

    def as_bytes(self, context: Any = None) -> bytes:
        return str(self._number).encode()


def part(template: LiteralString, *args: sql.Composable, **parts: sql.Composable) -> sql.Composed:
    return sql.SQL(template).format(*args, **parts)


def listed(parts: Iterable[sql.Composable], between: LiteralString = ", ") -> sql.Composed:
    return sql.SQL(between).join(parts)


def table(name: Name) -> Quoted:
    return Quoted(name.schema, name.name)


def rows_of(name: Name, selected: Selected | None) -> sql.Composable:
    """A FROM item: the table, or what its mapping makes of it, which the server reads through."""
    if selected is None:
        return table(name)
    columns = [
        part("{} as {}", _own(expression) if expression else Quoted(column), Quoted(one))
        for one, column, expression in selected.columns
    ]
    where = _own(selected.where) if selected.where else Whole(1)
    return part(
        "(select {} from {} where {}) as {}",
        listed(columns),
        table(name),
        where,
        Quoted(name.name),
    )


def _own(text: str) -> sql.Composable:
    """A user's SQL as it is; the line break ends a comment."""
    return part("({})", sql.SQL(text + "\n"))


def text_of(query: sql.Composable) -> str:
    return query.as_string(None)
