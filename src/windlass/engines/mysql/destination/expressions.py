"""PostgreSQL's expressions in MySQL's SQL: what differs from those of
`windlass.engines.converting.expressions`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from windlass.engines.converting.expressions import (
    Columns,
    LiteralTranslator,
    Untranslatable,
    bare,
    like_pattern,
)
from windlass.model.conversion import Carried
from windlass.model.translation import Sort

_KIND = "windlass_kind"  # of a column, in the metadata of its node
_NUMBER, _WHOLE, _ENUM, _OTHER = "number", "whole number", "enum", "other"
_ARITHMETIC = frozenset(["Add", "Sub", "Mul", "Mod", "Neg"])
_ORDERING = frozenset(["GT", "GTE", "LT", "LTE", "Between"])


class MysqlTranslator(LiteralTranslator):
    dialect = "mysql"

    def _text_of(self, tree: Any) -> str:
        import sqlglot

        level = sqlglot.ErrorLevel.RAISE
        text = str(tree.sql(dialect=self.dialect, identify=True, unsupported_level=level))
        if "\\" in text:  # plain in our sessions, but sqlglot doubles it
            raise Untranslatable("a backslash")
        return text

    def column(self, name: str, carried: Carried) -> Any:
        from sqlglot import exp

        made = exp.column(exp.to_identifier(name, quoted=True))
        made.meta[_KIND] = _kind(carried)
        return made

    def in_query(self, node: Any, types: Mapping[str, Collection[Carried]]) -> None:
        kinds = {_kind(one) for one in types.get(node.name, ())}
        if len(kinds) == 1:
            node.meta[_KIND] = kinds.pop()

    def _node(self, node: Any, columns: Columns) -> Any:
        from sqlglot import exp

        match node:
            case exp.Length():
                return exp.Anonymous(this="char_length", expressions=[node.this])
            case exp.DPipe():
                return exp.Anonymous(this="concat", expressions=[node.this, node.expression])
        name = type(node).__name__
        if name in _ARITHMETIC:
            _check_numbers(node)
        if name in _ORDERING and any(one.meta.get(_KIND) == _ENUM for one in node.walk()):
            raise Untranslatable("the order of an enum")
        return super()._node(node, columns)

    def to_number(self, node: Any, inner: Any, kind: str) -> Any:
        return _to_number(node, inner, kind)

    def is_text(self, inner: Any) -> bool:
        from sqlglot import exp

        if isinstance(inner, exp.Column) and inner.meta.get(_KIND) in (_NUMBER, _WHOLE):
            raise Untranslatable("a number as text")
        is_joined = isinstance(inner, exp.Anonymous) and inner.name == "concat"
        return is_joined or isinstance(inner, exp.Column | exp.Lower | exp.Upper | exp.Trim)

    def like(self, node: Any) -> Any:
        """Case-sensitive, as the column's collation is. Backslashes escape in some sessions."""
        from sqlglot import exp

        return exp.Like(this=node.this, expression=like_pattern(node))

    def division(self, node: Any) -> Any:
        """Division of integers, without the fraction. Decimals would have different digits."""
        from sqlglot import exp

        if _is_whole(node.this) and _is_whole(node.expression):
            return exp.IntDiv(this=node.this, expression=node.expression)
        raise Untranslatable("a division")


def _kind(carried: Carried) -> str:
    if carried.enum:
        return _ENUM
    if carried.type.startswith("tinyint(1)"):
        return _OTHER
    if carried.sort is Sort.INTEGER:
        return _WHOLE
    is_number = carried.sort is Sort.FLOAT or carried.type.startswith("decimal")
    return _NUMBER if is_number else _OTHER


def _check_numbers(node: Any) -> None:
    """Refuse arithmetic on dates and texts, which means something else in MySQL."""
    from sqlglot import exp

    for one in node.walk():
        is_text = isinstance(one, exp.Literal) and one.is_string
        is_other = isinstance(one, exp.Column) and one.meta.get(_KIND) not in (_NUMBER, _WHOLE)
        if is_text or is_other:
            raise Untranslatable("arithmetic")


def _is_whole(node: Any) -> bool:
    from sqlglot import exp

    match bare(node):
        case exp.Neg() as minus:
            return _is_whole(minus.this)
        case exp.Literal() as literal:
            return bool(literal.is_int) and not literal.is_string
        case exp.Column() as column:
            return bool(column.meta.get(_KIND) == _WHOLE)
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Mod() | exp.IntDiv() as two:
            return _is_whole(two.this) and _is_whole(two.expression)
    return False


def _to_number(node: Any, inner: Any, kind: str) -> Any:
    from sqlglot import exp

    if isinstance(inner, exp.Literal):
        # MySQL reads a number without an exponent as a decimal, not as a double
        is_double = kind in ("DOUBLE", "FLOAT")
        text = inner.this if not is_double or "e" in inner.this.lower() else f"{inner.this}e0"
        return exp.Literal.number(text)
    if isinstance(inner, exp.Neg) and isinstance(inner.this, exp.Literal):
        return inner
    columns = list(inner.find_all(exp.Column))
    is_number = all(one.meta.get(_KIND) in (_NUMBER, _WHOLE) for one in columns)
    if kind == "DECIMAL" and not node.to.expressions and is_number:  # a wider number
        return node.this
    raise Untranslatable("a cast to numbers")


TRANSLATOR = MysqlTranslator()
