"""Expressions of another engine's SQL in PostgreSQL's. What is written here is tried on the target
before it is used: sqlglot translates words, it does not know whether they mean the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from windlass.model.translation import Sort
from windlass.planning.postgres.translated.known import Known
from windlass.planning.postgres.translated.meaning import parsed_expression, settle

if TYPE_CHECKING:
    from sqlglot import exp


def translated(text: str, dialect: str, columns: Mapping[str, str], known: Known) -> str | None:
    """Translate an expression over the columns of one table. `columns` has their names on the
    target by their names in lower case. Columns that become boolean are compared with 0 and 1 by
    the source. None if it cannot be read, names anything else, or would mean something else."""
    import sqlglot  # not everybody has it installed: see `windlass.engines.registry`
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = parsed_expression(text, dialect)
    except SqlglotError:
        return None
    booleans = {name for name, type_ in known.types.items() if type_.sort is Sort.BOOLEAN}
    for node in list(tree.find_all(exp.Column)):
        name = columns.get(node.name.lower())
        if name is None:
            return None
        if name in booleans:
            compare_as_boolean(node)
        found = exp.column(exp.to_identifier(name, quoted=True))
        if node is tree:
            tree = found
        else:
            node.replace(found)
    if list(tree.find_all(exp.Subquery, exp.Select)):
        return None
    if dialect == "sqlite":
        change_case_of_ascii(tree)
    tree, unlike = settle(tree, dialect, known)
    if unlike:
        return None
    return tree.sql(dialect="postgres", unsupported_level=sqlglot.ErrorLevel.IGNORE)


def change_case_of_ascii(tree: exp.Expr) -> None:
    """Make `lower` and `upper` leave all other letters alone, as SQLite's do."""
    from sqlglot import exp

    for node in list(tree.find_all(exp.Lower, exp.Upper)):
        collation, text = exp.to_identifier("C", quoted=True), node.this
        text = text if isinstance(text, exp.Column) else exp.Paren(this=text)
        node.set("this", exp.Collate(this=text, expression=collation))


def columns_of(text: str, dialect: str) -> set[str] | None:
    """The columns that an expression uses, in lower case. None: it cannot be read."""
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = parsed_expression(text, dialect)
    except SqlglotError:
        return None
    return {node.name.lower() for node in tree.find_all(exp.Column)}


# whose results differ from one reading to the next
_UNSTEADY = {
    "rand", "random", "randomblob", "now", "sysdate", "curdate", "curtime", "current_date",
    "current_time", "current_timestamp", "localtime", "localtimestamp", "utc_date", "utc_time",
    "utc_timestamp", "uuid", "uuid_short", "last_insert_id", "last_insert_rowid", "changes",
    "total_changes", "connection_id", "found_rows", "row_count", "sleep", "user", "current_user",
    "session_user", "unix_timestamp", "get_lock", "load_extension", "load_file",
    "today", "get_current_timestamp", "gen_random_uuid", "uuidv4", "uuidv7", "nextval", "currval",
    "setseed", "txid_current", "clock_timestamp", "statement_timestamp", "transaction_timestamp",
    "timeofday", "getdate", "getutcdate", "sysdatetime", "sysutcdatetime", "sysdatetimeoffset",
    "newid", "newsequentialid", "systimestamp", "sys_guid",
}  # fmt: skip
_UNSTEADY_WORDS = {"oracle": {"sysdate", "systimestamp", "rownum", "user", "uid"}}
# which make several rows of one
_SEVERAL = {
    "unnest", "generate_series", "generate_subscripts", "regexp_split_to_table", "regexp_matches",
    "string_to_table", "json_array_elements", "jsonb_array_elements", "json_array_elements_text",
    "jsonb_array_elements_text", "json_each", "jsonb_each", "json_object_keys",
    "jsonb_object_keys",
}  # fmt: skip


def expression_fault(text: str, dialect: str) -> str:
    """Why this cannot be an expression of a mapping; nothing if it can."""
    import re

    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        trees = sqlglot.parse(f"select ({text}\n)", dialect=dialect)
    except SqlglotError as error:
        return f"is not one expression of SQL: {str(error).splitlines()[0]}"
    tree = trees[0] if len(trees) == 1 else None
    given = {key for key, value in tree.args.items() if value} if tree is not None else set()
    if not isinstance(tree, exp.Select) or given - {"expressions", "kind"}:
        return "is not one expression of SQL: there is more than that"
    if len(tree.expressions) != 1 or not isinstance(tree.expressions[0], exp.Paren | exp.Subquery):
        return "is not one expression of SQL: there is more than that"
    bare = re.sub(r"'(?:[^']|'')*'", "''", text).lower()
    words = set(re.findall(r"(?<![\w.`\"])[a-z_]\w*", bare))
    called = set(re.findall(r"([a-z_]\w*)\s*\(", bare))
    bare_words = {one for one in _UNSTEADY if one.startswith(("current_", "local", "utc_"))}
    bare_words |= _UNSTEADY_WORDS.get(dialect, set())
    if unsteady := sorted((called & _UNSTEADY) | (words & bare_words)):
        return f"calls {unsteady[0]}, which may give another value each time it is read"
    return _about_several_rows(tree, called, dialect)


def _about_several_rows(tree: exp.Select, called: Collection[str], dialect: str) -> str:
    """Why the expression does not give one value for each row; empty if it does. In a subquery
    anything is allowed."""
    from sqlglot import exp

    if dialect in ("duckdb", "postgres") and (several := sorted(_SEVERAL & set(called))):
        return f"calls {several[0]}, which may make several rows of one"
    for node in tree.find_all(exp.Window, exp.AggFunc):
        if node.find_ancestor(exp.Select) is not tree:
            continue
        if isinstance(node, exp.Max | exp.Min) and node.expressions:  # of several values
            continue
        return "counts over several rows: write it as a subquery"
    return ""


def compare_as_boolean(column: exp.Expression) -> None:
    """Turn 0 and 1, where a column is compared with them, into false and true."""
    from sqlglot import exp

    compared = column.parent
    if isinstance(compared, exp.EQ | exp.NEQ | exp.NullSafeEQ | exp.NullSafeNEQ | exp.Is):
        others = [compared.expression if compared.this is column else compared.this]
    elif isinstance(compared, exp.In) and compared.this is column:
        others = list(compared.expressions)
    else:
        return
    for one in others:
        if isinstance(one, exp.Literal) and not one.is_string and one.this in ("0", "1"):
            one.replace(exp.Boolean(this=one.this == "1"))


@dataclass(frozen=True, slots=True)
class Bits:
    """The digits of `b'101'`."""

    digits: str


def literal(text: str, dialect: str) -> str | bytes | Bits | int | Decimal | bool | None:
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
            return int(number) if number.lstrip("-").isdigit() else Decimal(number)
        case exp.HexString() if not negative:
            return bytes.fromhex(str(tree.this))
        case exp.BitString() if not negative:
            return Bits(str(tree.this))
    raise ValueError(text)


def constant(text: str, dialect: str) -> str | None:
    """An expression of literals and of operators that mean the same everywhere. None if it contains
    anything else. Functions are not translated here, as `random()` for example differs between
    engines."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    known = (exp.Literal, exp.Neg, exp.Paren, exp.Add, exp.Sub, exp.Mul, exp.DPipe)
    try:
        tree = sqlglot.parse_one(text, dialect=dialect)
    except SqlglotError:
        return None
    if not all(isinstance(node, known) for node in tree.walk()):
        return None
    return tree.sql(dialect="postgres")
