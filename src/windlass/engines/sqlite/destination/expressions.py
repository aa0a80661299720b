"""PostgreSQL's expressions in SQLite's SQL: what differs from those of
`windlass.engines.converting.expressions`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from windlass.engines.converting.expressions import (
    NUMBER_TYPES,
    LiteralTranslator,
    Untranslatable,
    like_pattern,
)
from windlass.model.conversion import Carried

_GLOB = "*?["


class SqliteTranslator(LiteralTranslator):
    dialect = "sqlite"

    def column(self, name: str, carried: Carried) -> Any:
        from sqlglot import exp

        made = exp.column(exp.to_identifier(name, quoted=True))
        if carried.number:  # stored as a text: this number is used to calculate
            return exp.Cast(this=made, to=exp.DataType.build("numeric", dialect="sqlite"))
        return made

    def in_query(self, node: Any, types: Mapping[str, Collection[Carried]]) -> None:
        """Views are proven by their rows."""

    def to_number(self, node: Any, inner: Any, kind: str) -> Any:
        from sqlglot import exp

        if isinstance(inner, exp.Literal):
            return exp.Literal.number(inner.this)
        if isinstance(inner, exp.Neg) and isinstance(inner.this, exp.Literal):
            return inner
        if kind in NUMBER_TYPES and not node.to.expressions:  # a wider number
            return node.this
        raise Untranslatable("a cast to numbers")

    def is_text(self, inner: Any) -> bool:
        from sqlglot import exp

        return isinstance(inner, exp.Column | exp.DPipe | exp.Lower | exp.Upper | exp.Trim)

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

        if any(isinstance(one, exp.Cast) for one in node.walk()):
            raise Untranslatable("a division")
        return node


TRANSLATOR = SqliteTranslator()
