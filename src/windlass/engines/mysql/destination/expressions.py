"""PostgreSQL's expressions in MySQL's SQL: what differs from those of
`windlass.engines.converting.expressions`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from windlass.engines.converting.constants import Untranslatable
from windlass.engines.converting.expressions import (
    Columns,
    LiteralTranslator,
    bare,
    check_texts,
    like_pattern,
    mark_text,
)
from windlass.model.conversion import Carried
from windlass.model.translation import Sort

_KIND = "windlass_kind"  # of a column, in the metadata of its node
_NUMBER, _WHOLE, _FLOAT = "number", "whole number", "float"
_ENUM, _TEXT, _OTHER = "enum", "text", "other"
_NUMBERS = (_NUMBER, _WHOLE, _FLOAT)
_TEXTS = ("varchar", "longtext", "char")
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
        mark_text(made, carried)
        return made

    def in_query(self, node: Any, types: Mapping[str, Collection[Carried]]) -> None:
        for one in types.get(node.name, ()):
            mark_text(node, one)
        kinds = {_kind(one) for one in types.get(node.name, ())}
        if len(kinds) == 1:
            node.meta[_KIND] = kinds.pop()

    def _node(self, node: Any, columns: Columns) -> Any:
        from sqlglot import exp

        if isinstance(node, exp.Length | exp.DPipe):
            check_texts(node)
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

    def number(self, text: str, kind: str) -> Any:
        from sqlglot import exp

        # the server reads a number without an exponent as a decimal, not as a double
        is_double = kind in ("DOUBLE", "FLOAT") and "e" not in text.lower()
        return exp.Literal.number(f"{text}e0" if is_double else text)

    def as_number(self, node: Any, inner: Any, kind: str) -> Any:
        from sqlglot import exp

        kinds = {one.meta.get(_KIND) for one in inner.find_all(exp.Column)}
        if kind == "DECIMAL" and kinds <= {_NUMBER, _WHOLE}:  # a wider number
            return node
        raise Untranslatable("a cast to numbers")

    def as_text(self, node: Any, inner: Any) -> Any:
        from sqlglot import exp

        is_joined = isinstance(inner, exp.Anonymous) and inner.name == "concat"
        is_text = inner.meta.get(_KIND) in (_TEXT, _ENUM)
        if is_text or is_joined or isinstance(inner, exp.Lower | exp.Upper | exp.Trim):
            return node
        raise Untranslatable("a cast to text")

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
    if carried.sort is Sort.FLOAT:
        return _FLOAT
    if carried.type.startswith("decimal"):
        return _NUMBER
    is_printed = carried.type.startswith(_TEXTS) and "array_to_json" not in carried.text
    return _TEXT if is_printed else _OTHER


def _check_numbers(node: Any) -> None:
    """Refuse arithmetic on dates and texts, which means something else in MySQL."""
    from sqlglot import exp

    for one in node.walk():
        is_text = isinstance(one, exp.Literal) and one.is_string
        is_other = isinstance(one, exp.Column) and one.meta.get(_KIND) not in _NUMBERS
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


TRANSLATOR = MysqlTranslator()
