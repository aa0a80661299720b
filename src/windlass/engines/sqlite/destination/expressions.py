"""PostgreSQL's expressions in SQLite's SQL. What is written here is tried on a scratch file and
proven by values before it is used; what may mean another thing in SQLite is not written at all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from windlass.model.conversion import Carried

# functions of the same name that give the same for the same values, but for texts beyond ASCII,
# which the proof by values finds
_FUNCTIONS = frozenset(["Abs", "Coalesce", "Length", "Lower", "Upper", "Nullif", "Trim", "Replace"])
_PLAIN = frozenset((
    "Add", "And", "Between", "Boolean", "Case", "Column", "DPipe", "Div", "EQ", "GT", "GTE",
    "Identifier", "If", "In", "Is", "LT", "LTE", "Literal", "Mod", "Mul", "NEQ", "Neg", "Not",
    "Null", "Or", "Paren", "Sub", "Tuple", "Like", "Cast", "DataType", "DataTypeParam", "Any",
    "Array", "Var",
))  # fmt: skip
_TEXT_TYPES = frozenset(["TEXT", "VARCHAR", "CHAR", "NVARCHAR", "NCHAR", "BPCHAR", "NAME", "UUID"])
_INTEGER_TYPES = frozenset(["INT", "BIGINT", "SMALLINT", "TINYINT"])
_NUMBER_TYPES = frozenset(["DECIMAL", "DOUBLE", "FLOAT"])
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d{1,6})?(\+00)?")
_GLOB = "*?["


class Untranslatable(ValueError):
    """It may mean another thing in SQLite."""


def translated(text: str, columns: Mapping[str, tuple[str, Carried]]) -> str | None:
    """An expression over columns of one table: by their names, what they are called on the target
    and how they arrive. None: it cannot be said, or it might mean another thing."""
    import sqlglot  # not everybody has it: see `windlass.engines.registry`
    from sqlglot.errors import SqlglotError

    if re.search(r"\boperator\s*\(", text, re.IGNORECASE):
        return None
    try:
        tree = sqlglot.parse_one(text, dialect="postgres")
        made = _made(tree, columns)
        return str(made.sql(dialect="sqlite", unsupported_level=sqlglot.ErrorLevel.RAISE))
    except (SqlglotError, Untranslatable):
        return None


def _made(node: Any, columns: Mapping[str, tuple[str, Carried]]) -> Any:
    """What is inside first."""
    from sqlglot import exp

    if not isinstance(node, exp.Column | exp.DataType):
        for key, value in list(node.args.items()):
            if isinstance(value, exp.Expression):
                node.set(key, _made(value, columns))
            elif isinstance(value, list):
                parts = [_made(o, columns) if isinstance(o, exp.Expression) else o for o in value]
                node.set(key, parts)
    return _node(node, columns)


def _node(node: Any, columns: Mapping[str, tuple[str, Carried]]) -> Any:
    from sqlglot import exp

    match node:
        case exp.Column():
            return _column(node, columns)
        case exp.Cast():
            return _cast(node, {carried.enum for _, carried in columns.values()})
        case exp.EQ() | exp.NEQ() if isinstance(node.expression, exp.Any | exp.All):
            return _any(node)
        case exp.Like():
            return _like(node)
        case exp.Div():
            return _division(node)
        case exp.GT() | exp.GTE() | exp.LT() | exp.LTE() | exp.Between():
            if any(one.meta.get("is_ordered") is False for one in node.walk()):
                raise Untranslatable("the order of an enum")
        case exp.Anonymous() if node.name.upper() == "ALL" and len(node.expressions) == 1:
            return exp.All(this=node.expressions[0])
    name = type(node).__name__
    if name not in _PLAIN and name not in _FUNCTIONS:
        raise Untranslatable(name)
    return node


def _column(node: Any, columns: Mapping[str, tuple[str, Carried]]) -> Any:
    from sqlglot import exp

    if node.table:
        raise Untranslatable("a qualified name")
    found = columns.get(node.name)
    if found is None:
        raise Untranslatable(node.name)
    name, carried = found
    made = exp.column(exp.to_identifier(name, quoted=True))
    if carried.number:  # a text: what it is calculated with
        return exp.Cast(this=made, to=exp.DataType.build("numeric", dialect="sqlite"))
    return made


def _cast(node: Any, enums: Collection[str]) -> Any:
    """Of a constant: the constant as the target has it. Of others: where it changes nothing."""
    from sqlglot import exp

    kind = node.to.this.name if isinstance(node.to.this, exp.DataType.Type) else "USERDEFINED"
    inner = node.this
    while isinstance(inner, exp.Paren):
        inner = inner.this
    is_literal = isinstance(inner, exp.Literal)
    if kind == "ARRAY" and isinstance(inner, exp.Array):
        return inner
    if kind == "BOOLEAN" and is_literal:
        return exp.Boolean(this=inner.this in ("t", "true"))
    if kind in _TEXT_TYPES:
        return inner if is_literal and inner.is_string else _to_text(node, inner)
    if kind in _INTEGER_TYPES or kind in _NUMBER_TYPES:
        if is_literal:
            return exp.Literal.number(inner.this)
        if isinstance(inner, exp.Neg) and isinstance(inner.this, exp.Literal):
            return inner
        if kind in _NUMBER_TYPES and not node.to.expressions:  # a wider number
            return node.this
        raise Untranslatable("a cast to numbers")
    if kind == "USERDEFINED" and node.to.sql(dialect="postgres") not in enums:
        raise Untranslatable("a domain, whose checks might call anything")
    if is_literal and inner.is_string:
        made = exp.Literal.string(_constant(kind, inner.this))
        made.meta["is_ordered"] = kind != "USERDEFINED"  # an enum has its own order
        return made
    raise Untranslatable(f"a cast to {kind}")


def _to_text(node: Any, inner: Any) -> Any:
    """Only of texts: numbers and times are printed otherwise."""
    from sqlglot import exp

    if node.to.expressions:
        raise Untranslatable("a cast that cuts")
    texts = (exp.Column, exp.DPipe, exp.Lower, exp.Upper, exp.Trim)
    if isinstance(inner, texts):
        return node.this
    raise Untranslatable("a cast to text")


def _constant(kind: str, text: str) -> str:
    """Of a literal that is no number, as the target has it."""
    if kind == "USERDEFINED":
        return text
    if kind == "DATE" and _DATE.fullmatch(text):
        return text
    found = _MOMENT.fullmatch(text)
    if found and kind in ("TIMESTAMP", "TIMESTAMPTZ"):
        zone = "+00:00" if kind == "TIMESTAMPTZ" else ""
        return f"{found[1]}.{(found[2] or '.')[1:].ljust(6, '0')}{zone}"
    raise Untranslatable(kind)


def _any(node: Any) -> Any:
    """``x = any (array[...])`` is ``x in (...)``."""
    from sqlglot import exp

    values = node.expression.this
    while isinstance(values, exp.Paren | exp.Cast):
        values = values.this
    is_all = isinstance(node.expression, exp.All)
    if not isinstance(values, exp.Array) or is_all == isinstance(node, exp.EQ):
        raise Untranslatable("any")
    found = exp.In(this=node.this, expressions=list(values.expressions))
    return exp.Not(this=found) if is_all else found


def _like(node: Any) -> Any:
    """SQLite's LIKE ignores case; its GLOB does not."""
    from sqlglot import exp

    pattern = node.expression
    while isinstance(pattern, exp.Paren | exp.Cast):
        pattern = pattern.this
    if not isinstance(pattern, exp.Literal) or set(pattern.this) & set(_GLOB + "\\"):
        raise Untranslatable("like")
    glob = pattern.this.replace("%", "*").replace("_", "?")
    return exp.Glob(this=node.this, expression=exp.Literal.string(glob))


def _division(node: Any) -> Any:
    """Of integers both engines leave the fraction out. Of decimals and doubles they differ, and by
    which of these is divided the tree does not say."""
    from sqlglot import exp

    if any(isinstance(one, exp.Cast) for one in node.walk()):
        raise Untranslatable("a division")
    return node


def is_constant(text: str, enum: str) -> bool:
    """Whether a default is a constant that calls nothing of a user's: of the types that users make
    only the column's own `enum` is read."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(text, dialect="postgres")
    except SqlglotError:
        return False
    for kind in tree.find_all(exp.DataType):
        is_users = kind.this is exp.DataType.Type.USERDEFINED
        if is_users and kind.sql(dialect="postgres") != enum:
            return False
    allowed = (
        exp.Literal, exp.Cast, exp.Paren, exp.Neg, exp.Null, exp.Boolean, exp.DataType,
        exp.DataTypeParam, exp.Array, exp.Identifier, exp.Var, exp.Dot,
    )  # fmt: skip
    return all(isinstance(node, allowed) for node in tree.walk())


_QUERY = frozenset((
    "Select", "From", "Join", "Where", "Group", "Order", "Ordered", "Having", "Limit", "Offset",
    "Count", "Sum", "Min", "Max", "Star", "Table", "TableAlias", "Subquery", "With", "CTE", "Union",
    "Except", "Intersect", "Distinct", "Alias", "Exists",
))  # fmt: skip


def translated_query(query: str, tables: Mapping[Any, str]) -> str | None:
    """The query of a view in SQLite's SQL, over these tables; None if it cannot be said, or calls
    what is not known to be PostgreSQL's own."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    if re.search(r"\boperator\s*\(", query, re.IGNORECASE):
        return None
    found = {(one.schema, one.name): name for one, name in tables.items()}
    try:
        tree = sqlglot.parse_one(query.strip().rstrip(";"), dialect="postgres")
        queries = {one.alias_or_name for one in tree.find_all(exp.CTE)}
        for table in list(tree.find_all(exp.Table)):
            if not table.db and table.name in queries:
                continue
            name = found.get((table.db, table.name))
            if name is None:
                return None
            alias = table.alias or table.name
            table.set("db", None)
            table.set("this", exp.to_identifier(name, quoted=True))
            table.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
        made = _query_made(tree)
        return str(made.sql(dialect="sqlite", unsupported_level=sqlglot.ErrorLevel.RAISE))
    except (SqlglotError, Untranslatable):
        return None


def _query_made(node: Any) -> Any:
    """As `_made`, where columns stay what they are called."""
    from sqlglot import exp

    if isinstance(node, exp.Column):
        for part in node.parts:
            if isinstance(part, exp.Identifier):
                part.set("quoted", True)
        return node
    if isinstance(node, exp.DataType | exp.Identifier):
        return node
    for key, value in list(node.args.items()):
        if isinstance(value, exp.Expression):
            node.set(key, _query_made(value))
        elif isinstance(value, list):
            parts = [_query_made(o) if isinstance(o, exp.Expression) else o for o in value]
            node.set(key, parts)
    if type(node).__name__ in _QUERY:
        return node
    return _node(node, {})
