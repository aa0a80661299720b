"""Defaults of columns, as values of their types on the target."""

from __future__ import annotations

from decimal import Decimal

from psycopg import sql

from windlass.engines.postgres.foreign.types import type_name
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass
from windlass.model.translation import Sort, SourceColumn, Type
from windlass.planning.postgres.translated.expressions import Bits, constant, literal
from windlass.planning.postgres.translated.moments import generated


class Defaults:
    """Translates the defaults of one table."""

    def __init__(self, dialect: str, table: Name) -> None:
        self._dialect, self._table = dialect, table
        self.losses: list[Loss] = []

    def of(self, column: SourceColumn, type_: Type) -> str | None:
        """The default as an expression of PostgreSQL's. None if there is none, and also a loss if
        it had a meaning."""
        try:
            found = self._found(column.default, type_)
        except ValueError:
            self.lose(column)
            return None
        return found

    def _found(self, text: str, type_: Type) -> str | None:
        if new := generated(text, self._dialect):
            made = new.of(type_.sort)
            if made is None:
                raise ValueError(text)
            return made
        try:
            value = literal(text, self._dialect)
        except ValueError:
            made = constant(text, self._dialect)
            if made is None:
                raise
            return made
        return None if value is None else _written(value, type_)

    def lose(self, column: SourceColumn) -> None:
        """Report that the column has no default on the target."""
        message = f"column {column.name} has no default on the target: {column.default}"
        self.losses.append(Loss(str(self._table), message, LossClass.BEHAVIOUR))


def _written(value: str | bytes | Bits | int | Decimal | bool, type_: Type) -> str:
    """The value as SQL of its type.

    Raises:
        ValueError: the type has no such value.
    """
    if isinstance(value, bytes | Bits):
        return _cast(_of_binary(value, type_), type_)
    if type_.sort is Sort.BOOLEAN and value in (0, 1, "0", "1"):
        return "true" if value in (1, "1") else "false"
    if isinstance(value, bool):
        value = int(value)  # both engines treat it as a number
    if isinstance(value, Decimal) and type_.sort is Sort.TEXT:
        value = str(float(value))  # the text that the source makes of it
    if type_.sort is Sort.BYTES:
        value = f"\\x{str(value).encode().hex()}"
    if type_.sort is Sort.SET:
        labels = [one for one in str(value).split(",") if one]
        value = "{{{}}}".format(",".join(f'"{_escaped(one)}"' for one in labels))
    return _cast(str(value), type_)


def _of_binary(value: bytes | Bits, type_: Type) -> str:
    match type_.sort:
        case Sort.BYTES if isinstance(value, bytes):
            return f"\\x{value.hex()}"
        case Sort.BITS if isinstance(value, Bits) and type_.length:
            return value.digits.zfill(type_.length)
        case Sort.BOOLEAN if isinstance(value, Bits) and value.digits.strip("0") in ("", "1"):
            return "true" if value.digits.endswith("1") else "false"
        case Sort.INTEGER if isinstance(value, Bits):
            return str(int(value.digits, 2))
    raise ValueError(value)


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"')


def _cast(value: str, type_: Type) -> str:
    if type_.sort is Sort.ENUM:  # whose type is made for it
        if value not in type_.labels:
            raise ValueError(value)
        return sql.Literal(value).as_string(None)
    return f"{sql.Literal(value).as_string(None)}::{type_name(type_)}"
