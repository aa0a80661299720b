"""PostgreSQL's expressions in DuckDB's SQL. See `windlass.engines.converting.expressions`.

Both have the same operators for the same types, except for division and for what `numeric` without
a precision is; so types decide what is written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from windlass.engines.converting.constants import (
    CHANGING,
    Untranslatable,
    constant_of,
    number_of,
    text_of,
    truth_of,
)
from windlass.engines.converting.expressions import (
    DATE,
    INTEGER_TYPES,
    MOMENT,
    NUMBER_TYPES,
    TEXT_TYPES,
    Columns,
    Translator,
    bare,
    kind_of,
    like_pattern,
)
from windlass.model.conversion import Carried

_INTEGERS = ("SMALLINT", "INTEGER", "BIGINT", "UINTEGER", "HUGEINT")
_TYPE = "windlass_type"  # of a column, in the metadata of its node
_MOST_DIGITS = 38  # of a literal that is a DECIMAL


class DuckDbTranslator(Translator):
    dialect = "duckdb"

    def column(self, name: str, carried: Carried) -> Any:
        import sqlglot
        from sqlglot import exp

        if carried.is_opaque:
            raise Untranslatable(f"{carried.type} of another type")
        made: Any = exp.column(exp.to_identifier(name, quoted=True))
        if carried.number:
            text = carried.number.format(made.sql(dialect=self.dialect))
            made = sqlglot.parse_one(text, dialect=self.dialect)
        made.meta[_TYPE] = carried.type
        return made

    def in_query(self, node: Any, types: Mapping[str, Collection[Carried]]) -> None:
        found = types.get(node.name, ())
        if any(one.is_opaque or one.number for one in found) and not _is_shown(node):
            raise Untranslatable("a column of another type")
        if len({one.type for one in found}) == 1:
            node.meta[_TYPE] = next(iter(found)).type

    def before(self, node: Any, columns: Columns) -> Any:
        from sqlglot import exp

        if isinstance(node, exp.Div):
            if not all(_is_integer(one, columns) for one in (node.this, node.expression)):
                raise Untranslatable("a division")
            return exp.IntDiv(this=node.this, expression=node.expression)
        return node

    def cast(self, node: Any, enums: Collection[str]) -> Any:
        from sqlglot import exp

        kind, inner = kind_of(node), bare(node.this)
        if kind == "ARRAY" and isinstance(inner, exp.Array):
            to = node.to.expressions[0]
            made = [self.cast(exp.Cast(this=one, to=to.copy()), enums) for one in inner.expressions]
            return exp.Array(expressions=made)
        if kind == "BOOLEAN":
            return exp.Boolean(this=truth_of(inner))
        if kind in TEXT_TYPES and kind != "UUID":
            return _to_text(node, kind, inner)
        if kind in INTEGER_TYPES or kind in NUMBER_TYPES:
            return _to_number(node, kind, inner)
        if not (isinstance(inner, exp.Literal) and inner.is_string):
            raise Untranslatable(f"a cast to {kind}")
        if kind == "USERDEFINED":
            if node.to.sql(dialect="postgres") not in enums:
                raise Untranslatable("a domain, whose checks might call anything")
            inner.meta["is_ordered"] = False
            return inner
        is_date = kind == "DATE" and DATE.fullmatch(inner.this)
        moment = MOMENT.fullmatch(inner.this)
        # without a zone, a moment depends on the session's
        is_moment = moment and (kind == "TIMESTAMP" or (kind == "TIMESTAMPTZ" and moment[3]))
        if not node.to.expressions and (is_date or is_moment or kind == "UUID"):
            return node
        raise Untranslatable(f"a constant of {kind}")

    def like(self, node: Any) -> Any:
        """DuckDB's LIKE has no escape by itself."""
        like_pattern(node)
        return node

    def division(self, node: Any) -> Any:
        """Always refused: `before` has replaced divisions of integers."""
        raise Untranslatable("a division")


def _is_shown(node: Any) -> bool:
    """Whether a column of a query is only in its select list."""
    from sqlglot import exp

    parent = node.parent
    if isinstance(parent, exp.Alias):
        parent = parent.parent
    return isinstance(parent, exp.Select) and node.find_ancestor(exp.Select) is parent


def _is_integer(node: Any, columns: Columns) -> bool:
    """Whether it is an integer on the source, and DuckDB has the same integers."""
    from sqlglot import exp

    match bare(node):
        case exp.Literal() as literal:
            return not literal.is_string and literal.this.isdigit()
        case exp.Neg() as minus:
            return _is_integer(minus.this, columns)
        case exp.Column() as column:
            found = columns.get(column.name)
            return found is not None and found[1].type in _INTEGERS
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Mod() | exp.Div() as two:
            return all(_is_integer(one, columns) for one in (two.this, two.expression))
    return False


def _to_text(node: Any, kind: str, inner: Any) -> Any:
    """Cast texts only, and what both print alike."""
    from sqlglot import exp

    if isinstance(inner, exp.Literal) and inner.is_string:
        return exp.Literal.string(text_of(inner.this, kind, node.to.expressions))
    if node.to.expressions or kind in CHANGING:
        raise Untranslatable("a cast that cuts")
    if isinstance(inner, exp.DPipe | exp.Lower | exp.Upper | exp.Trim):
        return node.this
    type_ = inner.meta.get(_TYPE, "")
    if type_ == "VARCHAR":
        return node.this
    if type_ in (*_INTEGERS, "UUID", "BOOLEAN") or type_.startswith("ENUM"):
        return exp.Cast(this=node.this, to=exp.DataType.build("VARCHAR", dialect="duckdb"))
    raise Untranslatable("a cast to text")


def _to_number(node: Any, kind: str, inner: Any) -> Any:

    if kind == "FLOAT":
        raise Untranslatable("a short float")
    constant = constant_of(inner)
    if constant is not None:
        return _constant(number_of(constant, kind, node.to.expressions), kind, node)
    types = {one.meta[_TYPE] for one in node.walk() if _TYPE in one.meta}
    is_whole = bool(types) and types <= set(_INTEGERS)
    if kind in INTEGER_TYPES and is_whole:
        return node
    if kind == "DOUBLE" and (is_whole or types == {"DOUBLE"}):
        return node
    is_exact = bool(types) and all(one in _INTEGERS or one.startswith("DECIMAL") for one in types)
    if kind == "DECIMAL" and is_exact and not node.to.expressions:
        return node.this  # DuckDB's plain DECIMAL has three digits after the point
    raise Untranslatable("a cast to numbers")


def _constant(number: str, kind: str, node: Any) -> Any:
    from sqlglot import exp

    if kind == "DECIMAL" and not node.to.expressions:
        digits = number.lstrip("+-")
        if not digits.replace(".", "", 1).isdigit() or len(digits) > _MOST_DIGITS:
            raise Untranslatable("a number of another form")
        return exp.Literal.number(number)
    # without an exponent it is a decimal, of which a division would make the double
    is_double = kind == "DOUBLE" and "e" not in number.lower()
    literal = exp.Literal.number(f"{number}e0" if is_double else number)
    return exp.Cast(this=literal, to=node.to)


TRANSLATOR = DuckDbTranslator()
