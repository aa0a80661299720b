"""Expressions of another engine's SQL in PostgreSQL's. What is written here is tried on the target
before it is used: sqlglot translates words, it does not know whether they mean the same."""

from __future__ import annotations

from collections.abc import Mapping


def translated(text: str, dialect: str, columns: Mapping[str, str]) -> str | None:
    """An expression over columns of one table, whose names on the target `columns` has by their
    names in lower case. None: it cannot be read, or names something else."""
    import sqlglot  # not everybody has it: see `windlass.engines.registry`
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(text, dialect=dialect)
    except SqlglotError:
        return None
    for node in list(tree.find_all(exp.Column)):
        name = columns.get(node.name.lower())
        if name is None:
            return None
        found = exp.column(exp.to_identifier(name, quoted=True))
        if node is tree:
            tree = found
        else:
            node.replace(found)
    if list(tree.find_all(exp.Subquery, exp.Select)):
        return None
    return tree.sql(dialect="postgres", unsupported_level=sqlglot.ErrorLevel.IGNORE)


def literal(text: str, dialect: str) -> str | int | float | bool | None:
    """The value of an expression that is a constant.

    Raises:
        ValueError: it is none.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(text, dialect=dialect)
    except SqlglotError as error:
        raise ValueError(text) from error
    while isinstance(tree, exp.Paren):
        tree = tree.this
    negative = isinstance(tree, exp.Neg)
    if negative:
        tree = tree.this
    match tree:
        case exp.Null():
            return None
        case exp.Boolean():
            return bool(tree.this)
        case exp.Literal() if tree.is_string and not negative:
            return str(tree.this)
        case exp.Literal() if not tree.is_string:
            number = f"{'-' if negative else ''}{tree.this}"
            return int(number) if number.lstrip("-").isdigit() else float(number)
    raise ValueError(text)


def is_now(text: str) -> bool:
    """Whether it is the present moment, in the words that engines have for it."""
    bare = text.strip().strip("()").strip().lower()
    return bare.split("(")[0] in ("current_timestamp", "now", "localtimestamp")
