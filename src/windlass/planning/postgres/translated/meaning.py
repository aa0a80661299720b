"""What means something else in PostgreSQL, although sqlglot writes it as if it meant the same. The
rows that are there need not show it: a table may be empty, and its next row may have a NULL."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from windlass.model.translation import Sort
from windlass.planning.postgres.translated import comparing
from windlass.planning.postgres.translated.known import Known

if TYPE_CHECKING:
    from sqlglot import exp

_EXACT = {Sort.INTEGER, Sort.DECIMAL}
_AS_TEXT = {  # whose values have the same text in both engines
    "sqlite": {Sort.TEXT, Sort.INTEGER, Sort.ENUM, Sort.UUID},
    "mysql": {Sort.TEXT, Sort.INTEGER, Sort.DECIMAL, Sort.ENUM, Sort.UUID},
    "duckdb": {Sort.TEXT, Sort.INTEGER, Sort.DECIMAL, Sort.ENUM, Sort.UUID},
}
_CAST_TO_TEXT = {**_AS_TEXT, "duckdb": _AS_TEXT["duckdb"] | {Sort.BOOLEAN, Sort.DATE, Sort.TIME}}


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
    meant = list(holder.copy().walk())
    # the parts first, as a rule may copy them
    for node, before in zip(reversed(list(holder.walk())), reversed(meant), strict=True):
        if not all(rule(node, dialect, known) for rule in _rules(node)):
            return tree, before.sql(dialect=dialect)
    return holder.this, ""


_Rule = Callable[["exp.Expr", str, Known], bool]
"""Changes the node where that is needed. False: there is nothing that means the same."""


def _rules(node: exp.Expr) -> list[_Rule]:
    from sqlglot import exp

    rules: tuple[tuple[tuple[type[exp.Expr], ...], _Rule], ...] = (
        ((exp.Greatest, exp.Least), comparing.extreme),
        ((exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ), comparing.equal),
        ((exp.In, exp.Nullif, exp.Case), comparing.equal),
        ((exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between), comparing.ordered),
        ((exp.Like, exp.ILike), comparing.like),
        ((exp.Collate,), comparing.collation),
        ((exp.Max, exp.Min), comparing.of_rows),
        ((exp.Ordered,), comparing.sorted_),
        ((exp.Join,), comparing.joined_by_name),
        ((exp.Substring,), _part),
        ((exp.Left, exp.Right), _end),
        ((exp.Trim,), _trimmed),
        ((exp.Pad,), _padded),
        ((exp.StrPosition,), _position),
        ((exp.Round,), _rounded),
        ((exp.Mod,), _remainder),
        ((exp.Div,), _quotient),
        ((exp.IntDiv,), _whole_quotient),
        ((exp.Avg,), _mean),
        ((exp.Add, exp.Sub, exp.Mul, exp.Div), _computed),
        ((exp.Cast,), _cast),
        ((exp.DPipe, exp.Concat, exp.ConcatWs, exp.GroupConcat), _joined),
        ((exp.BitwiseAnd,), _common_bits),
        ((exp.BitwiseOr, exp.BitwiseXor, exp.BitwiseNot), _bits),
        ((exp.BitwiseLeftShift, exp.BitwiseRightShift), _shifted),
        ((exp.Length, exp.MD5, exp.SHA, exp.SHA2), _of_bytes),
        ((exp.Func, exp.SimilarTo), _by_pattern),
        ((exp.Ln, exp.Log, exp.Sqrt, exp.Exp), _refused),  # NULL or NaN, where PostgreSQL stops
        ((exp.Unicode, exp.Ascii, exp.Chr), _refused),
    )
    return [rule for kinds, rule in rules if isinstance(node, kinds)]


def _by_pattern(node: exp.Expr, dialect: str, known: Known) -> bool:
    """The languages of regular expressions differ."""
    from sqlglot import exp

    name = str(node.this) if isinstance(node, exp.Anonymous) else type(node).__name__
    return not name.lower().startswith(("regexp", "similarto"))


def _refused(node: exp.Expr, dialect: str, known: Known) -> bool:
    from sqlglot import exp

    return dialect == "duckdb" and isinstance(node, exp.Exp | exp.Ascii)


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


def _trimmed(node: exp.Expr, dialect: str, known: Known) -> bool:
    """MySQL takes a text away, PostgreSQL and others any of its characters; DuckDB all kinds of
    blanks, if there are none."""
    from sqlglot import exp

    taken = node.args.get("expression")
    if taken is None or dialect != "mysql":
        return taken is not None or dialect != "duckdb"
    return isinstance(taken, exp.Literal) and len(str(taken.this)) == 1


def _padded(node: exp.Expr, dialect: str, known: Known) -> bool:
    """Without anything to pad with, or to less than nothing, others give NULL."""
    from sqlglot import exp

    filled = node.args.get("fill_pattern")
    is_clear = filled is None or (isinstance(filled, exp.Literal) and bool(filled.this))
    return is_clear and _least(node.expression) is not None


def _position(node: exp.Expr, dialect: str, known: Known) -> bool:
    start = node.args.get("position")
    if start is not None and not _least(start):
        return False
    return dialect != "mysql" or known.ignores_case(node) is False


def _has_double(tree: exp.Expr, dialect: str, known: Known) -> bool:
    """Whether it could compute with floating-point numbers."""
    from sqlglot import exp

    makers = (exp.Pow, exp.Avg, exp.Sqrt, exp.Exp, exp.Ln, exp.Log, exp.Anonymous)
    another = exp.Round if dialect == "sqlite" else exp.Div
    if Sort.FLOAT in known.sorts(tree) or tree.find(*makers, another):
        return True
    if any(one.args["to"].this in exp.DataType.FLOAT_TYPES for one in tree.find_all(exp.Cast)):
        return True
    numbers = [str(one.this).lower() for one in tree.find_all(exp.Literal) if not one.is_string]
    return any("e" in one or (dialect == "sqlite" and "." in one) for one in numbers)


def _rounded(node: exp.Expr, dialect: str, known: Known) -> bool:
    """PostgreSQL rounds the half of a double to the even number, others away from zero. SQLite
    takes a negative number of digits for none, and rounds decimals as doubles."""
    from sqlglot import exp

    if not known.sorts(node.this) <= _EXACT or _has_double(node.this, dialect, known):
        return False
    digits = node.args.get("decimals")
    if dialect != "sqlite":
        return True
    if digits is not None and _least(digits) is None:
        return False
    is_column = isinstance(node.this.unnest(), exp.Column) and digits is None
    return is_column or Sort.DECIMAL not in known.sorts(node.this)


def _remainder(node: exp.Expr, dialect: str, known: Known) -> bool:
    """NULL if the divisor is 0, but not to DuckDB. SQLite makes both whole numbers first."""
    from sqlglot import exp

    if dialect == "duckdb":
        return True
    is_whole = known.sorts(node) <= {Sort.INTEGER} and not _has_double(node, dialect, known)
    if dialect == "sqlite" and not is_whole:
        return False
    divisor = node.expression
    if not isinstance(divisor.unnest(), exp.Literal) or _least(divisor) == 0:
        node.set("expression", exp.Nullif(this=divisor.copy(), expression=exp.Literal.number(0)))
    return True


def _quotient(node: exp.Expr, dialect: str, known: Known) -> bool:
    """SQLite divides decimals as doubles, or as whole numbers where both happen to be ones. To
    MySQL the quotient of exact numbers is exact, with four digits more, unlike sqlglot's double."""
    if dialect == "sqlite":
        return Sort.DECIMAL not in known.sorts(node)
    sides = (node.this, node.expression)
    return dialect != "mysql" or any(_is_double(one, known) for one in sides)


def _is_double(tree: exp.Expr, known: Known) -> bool:
    """Whether the number itself is a double."""
    from sqlglot import exp

    inner = tree.unnest()
    match inner:
        case exp.Column():
            return known.sorts(inner) == {Sort.FLOAT}
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
            return any(_is_double(one, known) for one in (inner.this, inner.expression))
        case exp.Neg():
            return _is_double(inner.this, known)
    return False


def _whole_quotient(node: exp.Expr, dialect: str, known: Known) -> bool:
    """NULL if the divisor is 0, but not to DuckDB, where it is no whole number if one of them is
    none."""
    from sqlglot import exp

    if not known.sorts(node) <= {Sort.INTEGER} or _has_double(node, dialect, known):
        return False
    divisor = node.expression
    if dialect != "duckdb" and not _least(divisor):
        node.set("expression", exp.Nullif(this=divisor.copy(), expression=exp.Literal.number(0)))
    return all(str(one.this).isdigit() for one in node.find_all(exp.Literal))


def _mean(node: exp.Expr, dialect: str, known: Known) -> bool:
    """To MySQL that of exact numbers has four digits more, to PostgreSQL as many as it takes."""
    return dialect != "mysql" or _is_double(node.this, known)


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
    sorts, to = known.sorts(node.this), node.args["to"].this
    has_double = _has_double(node.this, dialect, known)
    if node.this.find(exp.Literal) and any(one.is_string for one in node.find_all(exp.Literal)):
        sorts = sorts | {Sort.TEXT}
    if to in exp.DataType.TEXT_TYPES:
        _widen(node, dialect)
        return sorts <= _CAST_TO_TEXT[dialect] and not has_double
    is_decimal = to in (exp.DataType.Type.DECIMAL, exp.DataType.Type.BIGDECIMAL)
    is_integer = to in exp.DataType.INTEGER_TYPES
    if dialect == "duckdb":
        return not (is_decimal and has_double)
    if dialect == "mysql":
        if to in exp.DataType.UNSIGNED_INTEGER_TYPES or (has_double and (is_decimal or is_integer)):
            return False
        is_number = to in exp.DataType.NUMERIC_TYPES or to == exp.DataType.Type.BINARY
        return not is_number or Sort.TEXT not in sorts
    if to in exp.DataType.FLOAT_TYPES:
        return sorts <= {Sort.INTEGER, Sort.FLOAT}
    if is_integer and sorts <= {Sort.INTEGER} and not has_double:
        node.set("to", exp.DataType.build("bigint"))  # whatever its name
        return True
    return is_decimal and sorts <= {Sort.INTEGER} and not has_double


def _widen(node: exp.Expr, dialect: str) -> None:
    """A length means nothing to SQLite and DuckDB, and MySQL's CHAR is not padded."""
    from sqlglot import exp

    length = node.args["to"].expressions if dialect == "mysql" else []
    kind = exp.DataType.Type.VARCHAR if length else exp.DataType.Type.TEXT
    node.set("to", exp.DataType(this=kind, expressions=[one.copy() for one in length]))


def _joined(node: exp.Expr, dialect: str, known: Known) -> bool:
    return known.sorts(node) <= _AS_TEXT[dialect] and not _has_double(node, dialect, known)


def _common_bits(node: exp.Expr, dialect: str, known: Known) -> bool:
    """To MySQL the result has no sign; of a literal that has none either."""
    sides = _least(node.this), _least(node.expression)
    return dialect != "mysql" or any(one is not None for one in sides)


def _bits(node: exp.Expr, dialect: str, known: Known) -> bool:
    return dialect != "mysql"


def _shifted(node: exp.Expr, dialect: str, known: Known) -> bool:
    """PostgreSQL shifts by the remainder of the number of bits, and others the other way if it is
    negative. SQLite has 64 bits, whatever the column's type is on the target."""
    from sqlglot import exp

    by, to_left = _least(node.expression), isinstance(node, exp.BitwiseLeftShift)
    if dialect == "mysql" or by is None or known.sorts(node.this) != {Sort.INTEGER}:
        return False
    bits = min(64 if one.bits == 64 else 32 for one in known.types_in(node.this))
    if dialect == "duckdb" and to_left:
        return False  # stops at negative numbers, and at bits that are lost
    return by < bits and (bits == 64 or not to_left)


def _of_bytes(node: exp.Expr, dialect: str, known: Known) -> bool:
    from sqlglot import exp

    if isinstance(node, exp.Length) and not node.args.get("binary"):
        return True
    return not any(one.name in known.in_other_bytes for one in node.find_all(exp.Column))
