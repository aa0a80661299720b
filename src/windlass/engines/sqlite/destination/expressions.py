"""PostgreSQL's expressions in SQLite's SQL: what differs from those of
`windlass.engines.embedded.converting.expressions`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from windlass.engines.embedded.converting.expressions import (
    DATE,
    INTEGER_TYPES,
    MOMENT,
    NUMBER_TYPES,
    TEXT_TYPES,
    Translator,
    Untranslatable,
    bare,
    kind_of,
)
from windlass.model.conversion import Carried

_GLOB = "*?["


class SqliteTranslator(Translator):
    dialect = "sqlite"

    def column(self, name: str, carried: Carried) -> Any:
        from sqlglot import exp

        made = exp.column(exp.to_identifier(name, quoted=True))
        if carried.number:  # stored as a text: this number is used to calculate
            return exp.Cast(this=made, to=exp.DataType.build("numeric", dialect="sqlite"))
        return made

    def in_query(self, node: Any, types: Mapping[str, Collection[Carried]]) -> None:
        """Views are proven by their rows."""

    def cast(self, node: Any, enums: Collection[str]) -> Any:
        from sqlglot import exp

        kind, inner = kind_of(node), bare(node.this)
        is_literal = isinstance(inner, exp.Literal)
        if kind == "ARRAY" and isinstance(inner, exp.Array):
            return inner
        if kind == "BOOLEAN" and is_literal:
            return exp.Boolean(this=inner.this in ("t", "true"))
        if kind in TEXT_TYPES:
            return inner if is_literal and inner.is_string else _to_text(node, inner)
        if kind in INTEGER_TYPES or kind in NUMBER_TYPES:
            if is_literal:
                return exp.Literal.number(inner.this)
            if isinstance(inner, exp.Neg) and isinstance(inner.this, exp.Literal):
                return inner
            if kind in NUMBER_TYPES and not node.to.expressions:  # a wider number
                return node.this
            raise Untranslatable("a cast to numbers")
        if kind == "USERDEFINED" and node.to.sql(dialect="postgres") not in enums:
            raise Untranslatable("a domain, whose checks might call anything")
        if is_literal and inner.is_string:
            made = exp.Literal.string(_constant(kind, inner.this))
            made.meta["is_ordered"] = kind != "USERDEFINED"  # an enum has its own order
            return made
        raise Untranslatable(f"a cast to {kind}")

    def like(self, node: Any) -> Any:
        """SQLite's LIKE ignores case; its GLOB does not."""
        from sqlglot import exp

        pattern = node.expression
        while isinstance(pattern, exp.Paren | exp.Cast):
            pattern = pattern.this
        if not isinstance(pattern, exp.Literal) or set(pattern.this) & set(_GLOB + "\\"):
            raise Untranslatable("like")
        glob = pattern.this.replace("%", "*").replace("_", "?")
        return exp.Glob(this=node.this, expression=exp.Literal.string(glob))

    def division(self, node: Any) -> Any:
        """Both engines drop the fraction of divided integers. They differ for decimals and doubles,
        and the tree does not show which of these are divided."""
        from sqlglot import exp

        if any(isinstance(one, exp.Cast) for one in node.walk()):
            raise Untranslatable("a division")
        return node


def _to_text(node: Any, inner: Any) -> Any:
    """Cast texts only: numbers and times are printed differently."""
    from sqlglot import exp

    if node.to.expressions:
        raise Untranslatable("a cast that cuts")
    texts = (exp.Column, exp.DPipe, exp.Lower, exp.Upper, exp.Trim)
    if isinstance(inner, texts):
        return node.this
    raise Untranslatable("a cast to text")


def _constant(kind: str, text: str) -> str:
    """A literal that is not a number, as the target writes it."""
    if kind == "USERDEFINED":
        return text
    if kind == "DATE" and DATE.fullmatch(text):
        return text
    found = MOMENT.fullmatch(text)
    if found and kind in ("TIMESTAMP", "TIMESTAMPTZ"):
        zone = "+00:00" if kind == "TIMESTAMPTZ" else ""
        return f"{found[1]}.{(found[2] or '.')[1:].ljust(6, '0')}{zone}"
    raise Untranslatable(kind)


TRANSLATOR = SqliteTranslator()
