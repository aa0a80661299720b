"""PostgreSQL's expressions in SQLite's SQL: what differs from those of
`windlass.engines.converting.expressions`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from windlass.engines.converting.constants import Untranslatable, is_converted
from windlass.engines.converting.expressions import (
    Columns,
    LiteralTranslator,
    like_pattern,
    mark_text,
)
from windlass.model.conversion import Carried
from windlass.model.translation import Sort

_KIND = "windlass_kind"  # of a column, in the metadata of its node
_TEXT, _WHOLE, _EXACT, _FLOAT = "text", "whole number", "exact number", "float"
_WHOLE_TEXTS = ("{0}::int8", "nullif({0}, 'NaN')::int8")
_GLOB = "*?["


class SqliteTranslator(LiteralTranslator):
    dialect = "sqlite"

    def column(self, name: str, carried: Carried) -> Any:
        from sqlglot import exp

        made = exp.column(exp.to_identifier(name, quoted=True))
        made.meta[_KIND] = _kind(carried)
        mark_text(made, carried)
        if carried.number:  # stored as a text: this number is used to calculate
            return exp.Cast(this=made, to=exp.DataType.build("numeric", dialect="sqlite"))
        return made

    def in_query(self, node: Any, types: Mapping[str, Collection[Carried]]) -> None:
        kinds = {_kind(one) for one in types.get(node.name, ())}
        if len(kinds) == 1:
            node.meta[_KIND] = kinds.pop()
        for one in types.get(node.name, ()):
            mark_text(node, one)

    def _node(self, node: Any, columns: Columns) -> Any:
        """SQLite's remainder is that of whole numbers."""
        from sqlglot import exp

        if isinstance(node, exp.Mod) and any(isinstance(one, exp.Cast) for one in node.walk()):
            raise Untranslatable("a remainder")
        return super()._node(node, columns)

    def number(self, text: str, kind: str) -> Any:
        from sqlglot import exp

        is_whole = kind in ("DOUBLE", "FLOAT") and text.lstrip("+-").isdigit()
        return exp.Literal.number(f"{text}.0" if is_whole else text)

    def as_number(self, node: Any, inner: Any, kind: str) -> Any:
        from sqlglot import exp

        kinds = {one.meta.get(_KIND) for one in inner.find_all(exp.Column)}
        if kind == "DECIMAL" and kinds <= {_WHOLE, _EXACT}:  # a wider number
            return node
        if kind == "DOUBLE" and kinds <= {_WHOLE, _EXACT, _FLOAT}:
            return exp.Cast(this=node, to=exp.DataType.build("real", dialect="sqlite"))
        raise Untranslatable("a cast to numbers")

    def as_text(self, node: Any, inner: Any) -> Any:
        from sqlglot import exp

        kind = inner.meta.get(_KIND)
        if kind == _WHOLE:
            return exp.Cast(this=node, to=exp.DataType.build("text", dialect="sqlite"))
        if kind == _TEXT or isinstance(inner, exp.DPipe | exp.Lower | exp.Upper | exp.Trim):
            return node
        raise Untranslatable("a cast to text")

    def zone(self, kind: str) -> str:
        return "+00:00" if kind == "TIMESTAMPTZ" else ""

    def like(self, node: Any) -> Any:
        """SQLite's LIKE ignores case; its GLOB does not."""
        from sqlglot import exp

        pattern = like_pattern(node, _GLOB + "\\")
        glob = pattern.this.replace("%", "*").replace("_", "?")
        return exp.Glob(this=node.this, expression=exp.Literal.string(glob))

    def division(self, node: Any) -> Any:
        """Both engines drop the fraction of divided integers. They differ for decimals and doubles,
        and the tree does not show which of these are divided."""
        from sqlglot import exp

        if any(isinstance(one, exp.Cast) or is_converted(one) for one in node.walk()):
            raise Untranslatable("a division")
        return node


def _kind(carried: Carried) -> str:
    """Which number it is, or whether it is stored as PostgreSQL prints it; empty for others."""
    if carried.number:
        return _EXACT
    if carried.text in _WHOLE_TEXTS:
        return _WHOLE
    if carried.sort is Sort.FLOAT:
        return _FLOAT
    is_printed = carried.text.endswith("{0}::text") or carried.text == "{0}" or carried.enum
    return _TEXT if carried.sort is Sort.TEXT and is_printed else ""


TRANSLATOR = SqliteTranslator()
