"""What means something else in PostgreSQL, although sqlglot writes it as if it meant the same. The
rows that are there need not show it: a table may be empty, and its next row may have a NULL."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from windlass.model.translation import Sort, Type

if TYPE_CHECKING:
    from sqlglot import exp

_EXACT = {Sort.INTEGER, Sort.DECIMAL}
_AS_TEXT = {  # whose values have the same text in both engines
    "sqlite": {Sort.TEXT, Sort.INTEGER, Sort.ENUM, Sort.UUID},
    "mysql": {Sort.TEXT, Sort.INTEGER, Sort.DECIMAL, Sort.ENUM, Sort.UUID},
    "duckdb": {Sort.TEXT, Sort.INTEGER, Sort.DECIMAL, Sort.FLOAT, Sort.ENUM, Sort.UUID},
}
_MOST_DIGITS = 15  # that a double keeps


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the columns, by their names on the target. `in_other_bytes` are texts whose
    bytes are others on the target."""

    types: Mapping[str, Type]
    in_other_bytes: Collection[str] = ()

    def sorts(self, tree: exp.Expr) -> set[Sort]:
        """Those of the columns within."""
        return {one.sort for one in self.types_in(tree)}

    def types_in(self, tree: exp.Expr) -> list[Type]:
        from sqlglot import exp

        names = [one.name for one in tree.find_all(exp.Column)]
        return [self.types[one] for one in names if one in self.types]

    def is_text(self, tree: exp.Expr) -> bool:
        """Whether it is a text that is made of columns."""
        from sqlglot import exp

        inner = tree.unnest()
        if isinstance(inner, exp.Column):
            type_ = self.types.get(inner.name)
            return type_ is not None and type_.sort is Sort.TEXT
        several = (exp.Case, exp.If, exp.Coalesce, exp.Greatest, exp.Least, exp.DPipe, exp.Concat)
        if isinstance(inner, several):
            return any(self.is_text(one) for one in _results(inner))
        made = (
            *(exp.Lower, exp.Upper, exp.Substring, exp.Left, exp.Right, exp.Trim, exp.Pad),
            *(exp.Replace, exp.Reverse, exp.Repeat, exp.Nullif, exp.Collate, exp.Max, exp.Min),
        )
        return isinstance(inner, made) and self.is_text(inner.this)

    def ignores_case(self, tree: exp.Expr) -> bool:
        return any(one.ignores_case for one in self.types_in(tree))


def _results(node: exp.Expr) -> list[exp.Expr]:
    """What could be the value of the node, or is a part of it."""
    from sqlglot import exp

    if isinstance(node, exp.Case | exp.If):
        branches = [one.args["true"] for one in node.args.get("ifs") or [node]]
        last = node.args.get("default") or node.args.get("false")
        return branches if last is None else [*branches, last]
    first = [node.args[key] for key in ("this", "expression") if node.args.get(key) is not None]
    return [*first, *node.expressions]


def parsed_expression(text: str, dialect: str) -> exp.Expr:
    """Read as a value, as some words at the beginning of a text are statements to sqlglot.

    Raises:
        sqlglot.errors.SqlglotError: it cannot be read, or is anything else.
    """
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    tree = parsed(f"select ({text}\n)", dialect)
    given = {key for key, value in tree.args.items() if value}
    if not isinstance(tree, exp.Select) or given - {"expressions", "kind"}:
        raise SqlglotError(text)
    if len(tree.expressions) != 1 or not isinstance(tree.expressions[0], exp.Paren):
        raise SqlglotError(text)
    found: exp.Expr = tree.expressions[0].this.pop()
    return found


def parsed(text: str, dialect: str) -> exp.Expr:
    """A query.

    Raises:
        sqlglot.errors.SqlglotError: it cannot be read, or is not the only one.
    """
    import sqlglot  # not everybody has it installed: see `windlass.engines.registry`
    from sqlglot.errors import SqlglotError

    if dialect == "duckdb":
        # as DuckDB writes POSITION(a IN b) into its catalog; sqlglot takes the first for the part
        text = re.sub(r'"position"\s*\(', "instr(", text)
    found = [one for one in sqlglot.parse(text, dialect=dialect) if one is not None]
    if len(found) != 1:
        raise SqlglotError(text)
    return found[0]


def settle(tree: exp.Expr, dialect: str, known: Known) -> tuple[exp.Expr, str]:
    """The expression or query with PostgreSQL's words for what it means, and a part of it for
    which there are none, as text for people; the text is empty if there is no such part."""
    from sqlglot import exp

    for command in tree.find_all(exp.Command):  # which sqlglot has not read
        return tree, command.sql(dialect=dialect)
    if dialect not in _AS_TEXT:
        return tree, ""
    holder = exp.Paren(this=tree)
    for node in reversed(list(holder.walk())):  # the parts first, as a rule may copy them
        rule = _rule(node)
        if rule is not None and not rule(node, dialect, known):
            return tree, node.sql(dialect=dialect)
    return holder.this, ""


_Rule = Callable[["exp.Expr", str, Known], bool]
"""Changes the node where that is needed. False: there is nothing that means the same."""


def _rule(node: exp.Expr) -> _Rule | None:
    from sqlglot import exp

    rules: tuple[tuple[tuple[type[exp.Expr], ...], _Rule], ...] = (
        ((exp.Greatest, exp.Least), _extreme),
        ((exp.Substring,), _part),
        ((exp.Left, exp.Right), _end),
        ((exp.StrPosition,), _position),
        ((exp.Round,), _rounded),
        ((exp.Mod,), _remainder),
        ((exp.Div,), _quotient),
        ((exp.Add, exp.Sub, exp.Mul), _computed),
        ((exp.Cast,), _cast),
        ((exp.DPipe, exp.Concat), _joined),
        ((exp.Like,), _like),
        ((exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between), _ordered),
        ((exp.BitwiseAnd,), _common_bits),
        ((exp.BitwiseOr, exp.BitwiseXor, exp.BitwiseNot), _bits),
        ((exp.BitwiseLeftShift, exp.BitwiseRightShift), _shifted),
        ((exp.Length, exp.MD5, exp.SHA, exp.SHA2), _of_bytes),
        ((exp.Ln, exp.Log, exp.Sqrt, exp.Exp), _refused),  # NULL or NaN, where PostgreSQL stops
        ((exp.Unicode, exp.Ascii, exp.Chr), _refused),
    )
    return next((rule for kinds, rule in rules if isinstance(node, kinds)), None)


def _refused(node: exp.Expr, dialect: str, known: Known) -> bool:
    from sqlglot import exp

    return dialect == "duckdb" and isinstance(node, exp.Exp | exp.Ascii)


def _extreme(node: exp.Expr, dialect: str, known: Known) -> bool:
    """NULL if one of the values is; PostgreSQL and DuckDB leave NULLs out. Texts are compared byte
    by byte, or by a collation of MySQL."""
    from sqlglot import exp

    values = [node.this, *node.expressions]
    texts = [one for one in values if known.is_text(one)]
    constants = [one for one in values if isinstance(one.unnest(), exp.Literal)]
    if texts and dialect == "mysql":
        return False
    if any(one.unnest().is_string for one in constants) and len(texts + constants) < len(values):
        return False  # a text is more than all numbers, or is made one
    if texts:
        _collate(texts[0])
    if dialect != "duckdb":
        able = [one for one in values if one not in constants] or values
        nulls = [exp.Is(this=one.copy(), expression=exp.Null()) for one in able]
        made = exp.Case().when(exp.or_(*nulls), exp.Null()).else_(node.copy())
        node.replace(exp.Paren(this=made))
    return True


def _part(node: exp.Expr, dialect: str, known: Known) -> bool:
    """A negative start counts from the end; 0 is before the text, and in MySQL none."""
    from sqlglot import exp

    start, length = node.args.get("start"), node.args.get("length")
    if isinstance(start, exp.Neg) and length is None and dialect != "mysql":
        if not (isinstance(start.this, exp.Literal) and _least(start.this)):
            return False
        node.replace(exp.Right(this=node.this, expression=start.this))
        return True
    first = _least(start) if start is not None else 1
    if first is None or first < (1 if dialect == "mysql" else 0):
        return False
    if dialect == "sqlite" and Sort.BYTES in known.sorts(node):  # no bytes are NULL
        return False
    return length is None or _least(length) is not None


def _least(node: exp.Expr) -> int | None:
    """The least value of a whole number, as far as its own text tells; None if it could be any."""
    from sqlglot import exp

    node = node.unnest()
    match node:
        case exp.Literal() if not node.is_string and str(node.this).isdigit():
            return int(node.this)
        case exp.StrPosition() | exp.Length():
            return 0
        case exp.Add():
            ends = _least(node.this), _least(node.expression)
            return None if None in ends else sum(one for one in ends if one is not None)
    return None


def _end(node: exp.Expr, dialect: str, known: Known) -> bool:
    """A negative number of characters is one that is left out, but not to MySQL."""
    return dialect == "duckdb" or _least(node.expression) is not None


def _position(node: exp.Expr, dialect: str, known: Known) -> bool:
    return dialect != "mysql" or not known.ignores_case(node)


def _rounded(node: exp.Expr, dialect: str, known: Known) -> bool:
    """PostgreSQL rounds the half of a double to the even number, others away from zero."""
    from sqlglot import exp

    inexact = (exp.Div, exp.Pow, exp.Avg, exp.Anonymous)
    return known.sorts(node.this) <= _EXACT and not list(node.this.find_all(*inexact))


def _remainder(node: exp.Expr, dialect: str, known: Known) -> bool:
    """NULL if the divisor is 0, but not to DuckDB. SQLite makes both whole numbers first."""
    from sqlglot import exp

    if dialect == "duckdb":
        return True
    if dialect == "sqlite" and not known.sorts(node) <= {Sort.INTEGER}:
        return False
    divisor = node.expression
    if not isinstance(divisor.unnest(), exp.Literal) or _least(divisor) == 0:
        node.set("expression", exp.Nullif(this=divisor.copy(), expression=exp.Literal.number(0)))
    return True


def _quotient(node: exp.Expr, dialect: str, known: Known) -> bool:
    """SQLite divides decimals as doubles, or as whole numbers where both happen to be ones. MySQL
    keeps more digits than the double that sqlglot makes of it."""
    if dialect == "sqlite":
        return Sort.DECIMAL not in known.sorts(node) and _computed(node, dialect, known)
    return dialect != "mysql" or all(
        one.bits <= 32 if one.sort is Sort.INTEGER else 0 < one.precision + 4 <= _MOST_DIGITS
        for one in known.types_in(node)
        if one.sort in _EXACT
    )


def _computed(node: exp.Expr, dialect: str, known: Known) -> bool:
    """To SQLite numbers with a point are doubles: 0.1 + 0.2 is not 0.3."""
    from sqlglot import exp

    for one in (node.this, node.expression):
        number = one.unnest()
        is_whole = isinstance(number, exp.Literal) and str(number.this).isdigit()
        if dialect == "sqlite" and isinstance(number, exp.Literal) and not is_whole:
            number.replace(exp.cast(number.copy(), "double"))
    return True


def _cast(node: exp.Expr, dialect: str, known: Known) -> bool:
    """Texts that are no numbers are 0 or NULL to others; SQLite truncates, PostgreSQL rounds."""
    from sqlglot import exp

    if isinstance(node, exp.TryCast):
        return False
    if dialect == "duckdb":
        return True
    sorts, to = known.sorts(node.this), node.args["to"].this
    if node.this.find(exp.Literal) and any(one.is_string for one in node.find_all(exp.Literal)):
        sorts = sorts | {Sort.TEXT}
    if to in exp.DataType.TEXT_TYPES:
        return sorts <= _AS_TEXT[dialect]
    if dialect == "mysql":
        return to not in exp.DataType.NUMERIC_TYPES or Sort.TEXT not in sorts
    if to in exp.DataType.FLOAT_TYPES:
        return sorts <= {Sort.INTEGER, Sort.FLOAT}
    is_number = to in (exp.DataType.Type.DECIMAL, exp.DataType.Type.BIGDECIMAL)
    return is_number and sorts <= {Sort.INTEGER}


def _joined(node: exp.Expr, dialect: str, known: Known) -> bool:
    return known.sorts(node) <= _AS_TEXT[dialect]


def _like(node: exp.Expr, dialect: str, known: Known) -> bool:
    """SQLite ignores the case of ASCII letters, and a backslash is no escape in it. MySQL ignores
    the case if the collation does."""
    from sqlglot import exp

    if dialect == "duckdb":
        return _has_no_backslash(node)
    ignores = dialect == "sqlite" or known.ignores_case(node)
    if not (_has_no_backslash(node) or isinstance(node.parent, exp.Escape)):
        return False
    if ignores:
        text = node.this.copy()
        if dialect == "sqlite" and known.is_text(text):
            text = _collated(text)
        words = {key: value for key, value in node.args.items() if key not in ("this",)}
        node.replace(exp.ILike(this=text, **words))
    return True


def _has_no_backslash(node: exp.Expr) -> bool:
    """Whether it cannot be one that is an escape to PostgreSQL alone."""
    from sqlglot import exp

    pattern = node.expression.unnest()
    return isinstance(pattern, exp.Literal) and "\\" not in str(pattern.this)


def _ordered(node: exp.Expr, dialect: str, known: Known) -> bool:
    """Texts are in the order of their bytes, and to MySQL in that of a collation."""
    sides = [node.this, node.args.get("expression"), node.args.get("low"), node.args.get("high")]
    texts = [one for one in sides if one is not None and known.is_text(one)]
    if texts and dialect == "mysql":
        return False
    if texts and not known.ignores_case(node):
        _collate(texts[0])
    return True


def _collate(text: exp.Expr) -> None:
    text.replace(_collated(text.copy()))


def _collated(text: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    inner = text if isinstance(text, exp.Column | exp.Paren) else exp.Paren(this=text)
    collation = exp.to_identifier("C", quoted=True)
    return exp.Paren(this=exp.Collate(this=inner, expression=collation))


def _common_bits(node: exp.Expr, dialect: str, known: Known) -> bool:
    """To MySQL the result has no sign; of a literal that has none either."""
    sides = _least(node.this), _least(node.expression)
    return dialect != "mysql" or any(one is not None for one in sides)


def _bits(node: exp.Expr, dialect: str, known: Known) -> bool:
    return dialect != "mysql"


def _shifted(node: exp.Expr, dialect: str, known: Known) -> bool:
    """PostgreSQL shifts by the remainder of 64, and others the other way if it is negative."""
    from sqlglot import exp

    by = _least(node.expression)
    if dialect == "duckdb" and isinstance(node, exp.BitwiseLeftShift):
        return False  # stops at negative numbers, and at bits that are lost
    return dialect != "mysql" and by is not None and by < 64


def _of_bytes(node: exp.Expr, dialect: str, known: Known) -> bool:
    from sqlglot import exp

    if isinstance(node, exp.Length) and not node.args.get("binary"):
        return True
    return not any(one.name in known.in_other_bytes for one in node.find_all(exp.Column))
