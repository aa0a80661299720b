"""How texts are compared and put in order: by a column's collation in other engines. On the target
it is their bytes that count, and what ignores case compares letters that were made small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from windlass.planning.postgres.translated.known import Known, is_constant

if TYPE_CHECKING:
    from sqlglot import exp


def equal(node: exp.Expr, dialect: str, known: Known) -> bool:
    """Equal texts can differ by case."""
    from sqlglot import exp

    first = node.this
    match node:
        case exp.Case() if first is None:
            return True
        case exp.Case():
            others = [one.this for one in node.args["ifs"]]
        case exp.In():
            others = list(node.expressions)
            if not others:  # a query
                return known.is_text(first) is False or _ignoring([first], dialect, known) is False
        case _:
            others = [node.expression]
    if not _are_texts([first, *others], known):
        return True
    computed = [one for one in (first, *others) if not is_constant(one)]
    if dialect == "mysql" and not all(known.is_made_of_text(one) for one in computed):
        return False  # by the collation of the session
    ignoring = [_ignoring([first, one], dialect, known) for one in others]
    if any(one is not ignoring[0] for one in ignoring) or ignoring[0] is None:
        return False
    if ignoring[0]:
        for one in (first, *others):
            _fold(one, dialect)
    return True


def _are_texts(sides: Sequence[exp.Expr], known: Known) -> bool:
    """Whether texts may be compared: none of the sides can be anything else."""
    return all(known.is_text(one) is not False for one in sides)


def _ignoring(sides: Sequence[exp.Expr], dialect: str, known: Known) -> bool | None:
    """Whether a comparison ignores case; None if that is not known, or cannot be written."""
    from sqlglot import exp

    if dialect != "sqlite":
        found = known.ignores_case(exp.Tuple(expressions=[one.copy() for one in sides]))
        return None if found and dialect == "duckdb" else found
    for side in sides:  # the first that is a column decides, however it is cast
        inner = side.unnest()
        while isinstance(inner, exp.Cast):
            inner = inner.this.unnest()
        if isinstance(inner, exp.Column):
            return known.ignores_case(inner)
        if isinstance(inner, exp.Subquery):
            return None if known.some_ignore_case else False
    return False


def _fold(side: exp.Expr, dialect: str) -> None:
    """Make its letters small; in SQLite those of ASCII."""
    from sqlglot import exp

    inner = side.unnest()
    if isinstance(inner, exp.Null):
        return
    if not isinstance(inner, exp.Literal):
        text = collated(side.copy()).unnest() if dialect == "sqlite" else side.copy()
        side.replace(exp.Lower(this=text))
        return
    letters = str(inner.this)
    small = letters.translate({code: code + 32 for code in range(ord("A"), ord("Z") + 1)})
    if dialect == "sqlite" or (letters.isascii() and "I" not in letters):  # as Turkish has two
        side.replace(exp.Literal.string(small))
        return
    # in a definition PostgreSQL knows no collation of a constant
    usual = exp.to_identifier("default", quoted=True)
    side.replace(exp.Lower(this=exp.Collate(this=inner.copy(), expression=usual)))


def like(node: exp.Expr, dialect: str, known: Known) -> bool:
    """SQLite ignores the case of ASCII letters, and a backslash is no escape in it. MySQL ignores
    the case if the collation does."""
    from sqlglot import exp

    ignoring = _ignoring([node.this, node.expression], dialect, known)
    if dialect != "sqlite" and ignoring is None:
        return False
    pattern = node.expression.unnest()
    has_escape = not isinstance(pattern, exp.Literal) or "\\" in str(pattern.this)
    if has_escape and (dialect == "duckdb" or not isinstance(node.parent, exp.Escape)):
        return False  # it could be one to PostgreSQL alone
    if dialect == "sqlite" or (dialect == "mysql" and ignoring):
        text = node.this.copy()
        if dialect == "sqlite" and known.is_text(text):
            text = collated(text)
        words = {key: value for key, value in node.args.items() if key not in ("this",)}
        node.replace(exp.ILike(this=text, **words))
    return True


def ordered(node: exp.Expr, dialect: str, known: Known) -> bool:
    """Texts are in the order of their bytes, and to MySQL in that of a collation."""
    args = [node.args.get(key) for key in ("this", "expression", "low", "high")]
    sides = [one for one in args if one is not None]
    if not _are_texts(sides, known):
        return True
    ignoring = [_ignoring([sides[0], one], dialect, known) for one in sides[1:]]
    if dialect == "mysql" or any(one is not ignoring[0] for one in ignoring) or ignoring[0] is None:
        return False
    if ignoring[0]:
        for one in sides:
            _fold(one, dialect)
    else:
        collate(sides, known)
    return True


def collate(texts: Sequence[exp.Expr], known: Known) -> None:
    """One of the texts by its bytes, and so all that are compared with it."""
    found = [one for one in texts if known.is_text(one)] or list(texts)
    found[0].replace(collated(found[0].copy()))


def collated(text: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    inner = text if isinstance(text, exp.Column | exp.Paren) else exp.Paren(this=text)
    collation = exp.to_identifier("C", quoted=True)
    return exp.Paren(this=exp.Collate(this=inner, expression=collation))


def collation(node: exp.Expr, dialect: str, known: Known) -> bool:
    """Only what was added here has one that the target has, too."""
    from sqlglot import exp

    return isinstance(node.expression, exp.Identifier) and node.expression.name == "C"


def extreme(node: exp.Expr, dialect: str, known: Known) -> bool:
    """NULL if one of the values is; PostgreSQL and DuckDB leave NULLs out. Texts are compared byte
    by byte, or by a collation of MySQL."""
    from sqlglot import exp

    values = [node.this, *node.expressions]
    constants = [one for one in values if isinstance(one.unnest(), exp.Literal)]
    if _are_texts(values, known):
        if dialect == "mysql" or known.ignores_case(node) is not False:
            return False
        collate(values, known)
    elif any(one.unnest().is_string for one in constants):
        return False  # to SQLite a text is more than any number; others make it one
    if dialect != "duckdb":
        able = [one for one in values if one not in constants] or values
        nulls = [exp.Is(this=one.copy(), expression=exp.Null()) for one in able]
        made = exp.Case().when(exp.or_(*nulls), exp.Null()).else_(node.copy())
        node.replace(exp.Paren(this=made))
    return True


def of_rows(node: exp.Expr, dialect: str, known: Known) -> bool:
    """The greatest or least text of several rows."""
    return _first_of(node.this, dialect, known)


def _first_of(text: exp.Expr, dialect: str, known: Known) -> bool:
    if known.is_text(text) is False:
        return True
    if dialect == "mysql" or known.ignores_case(text) is not False:
        return False
    collate([text], known)  # the target refuses it for what turns out to be no text
    return True


def sorted_(node: exp.Expr, dialect: str, known: Known) -> bool:
    """An order decides which rows there are if there is a limit, and what a window computes."""
    from sqlglot import exp

    query = node.parent.parent if node.parent is not None else None
    if not isinstance(query, exp.Query):
        return _first_of(node.this, dialect, known)
    limits = [query.args.get(key) for key in ("limit", "offset", "fetch", "distinct")]
    if not any(limits[:3]) and not (limits[3] and limits[3].args.get("on")):
        return True
    meant = node.this.unnest()
    if isinstance(meant, exp.Literal) and str(meant.this).isdigit():
        at = int(meant.this)
        return at <= len(query.selects) and known.is_text(query.selects[at - 1]) is False
    if isinstance(meant, exp.Column) and not meant.table:
        named = [one for one in query.selects if one.alias == meant.name]
        if named and named[0].unalias().name != meant.name:
            return known.is_text(named[0]) is False
    return _first_of(node.this, dialect, known)


def joined_by_name(node: exp.Expr, dialect: str, known: Known) -> bool:
    """USING and NATURAL compare columns exactly on the target."""
    from sqlglot import exp

    if node.args.get("method") == "NATURAL":
        return not known.some_ignore_case
    names = [exp.column(one.name) for one in node.args.get("using") or []]
    return all(known.ignores_case(one) is False for one in names)
