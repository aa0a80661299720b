"""How each engine reads a mapped table: its SQL, what hashes a value, and the types of columns that
are computed. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from windlass.model.mapping import MappedColumn
from windlass.planning.postgres.mapped.rules import FUNCTION, TARGET_SQL
from windlass.planning.postgres.translated.expressions import expression_fault
from windlass.spec.mapping import MappedColumnSpec

_MYSQL_TYPES = {
    "bigint": "bigint",
    "doubleprecision": "double",
    "date": "date",
    "timestamp": "datetime(6)",
}
_CASTS = {
    "bigint": "signed",
    "double": "double",
    "date": "date",
    "datetime": "datetime(6)",
    "decimal": "decimal",
}


class Way:
    """The way of SQLite, whose values carry their types; others differ from it."""

    engine = "SQLite"  # for people
    quote = '"'
    collation = ""  # of texts that have none of the source's
    has_own_ranges = False  # whether rows are cut into ranges of something that is no column
    is_fixed_apart = False  # whether fixed values are added to rows, and not selected
    hashes_apart = False  # whether values are hashed once they are read, and not selected hashed

    def __init__(self, dialect: str) -> None:
        """`dialect` is that of its SQL, as sqlglot names it."""
        self.dialect = dialect

    def quoted(self, name: str) -> str:
        return self.quote + name.replace(self.quote, self.quote * 2) + self.quote

    def hashed(self, column: str, type_: str) -> str:
        """The expression that hashes a column.

        Raises:
            ValueError: of such a type there is no hash, as its text depends on who writes it.
        """
        return f"windlass_hash({self.quoted(column)})"

    def type_of_hash(self) -> str:
        return "text"

    def computed(self, asked: str) -> str:
        """The type of a computed column, for which the spec asks for a type, or for none."""
        return ""

    def literal(self, value: object) -> str:
        """A fixed value."""
        if isinstance(value, bool):
            return str(int(value))
        if isinstance(value, int | float):
            return repr(value)
        return "'{}'".format(str(value).replace("'", "''"))

    def selected(self, one: MappedColumn, type_: str) -> tuple[str, str, str]:
        """The column as it is selected: see `windlass.model.translation.Selected`."""
        return one.target, one.source, one.expression

    def expression_fault(self, text: str) -> tuple[str, str] | None:
        """What is wrong with an expression, and what to do."""
        fault = expression_fault(text, self.dialect)
        return (fault, "give SQL over the table's columns") if fault else None

    def condition_fault(self, text: str) -> tuple[str, str] | None:
        """What is wrong with a condition, and what to do."""
        return self.expression_fault(text)

    def unknown_hint(self) -> str:
        """What to do about a column that the source does not have, if no other is named alike."""
        return ""


class _MySql(Way):
    """An expression gets one type, and texts are in UTF-8."""

    engine, quote, collation = "MySQL", "`", "utf8mb4_bin"

    def hashed(self, column: str, type_: str) -> str:
        if not re.match(
            r"(var)?char|(tiny|medium|long)?text|enum|(tiny|small|medium|big)?int", type_
        ):
            raise ValueError(type_)
        text = f"cast(convert({self.quoted(column)} using utf8mb4) as binary)"
        inner = f"unhex(sha2(concat(@windlass_inner, {text}), 256))"
        return f"sha2(concat(@windlass_outer, {inner}), 256)"

    def type_of_hash(self) -> str:
        return "varchar(64)"

    def computed(self, asked: str) -> str:
        asked = (asked or "text").lower().replace(" ", "")
        if asked.startswith("numeric("):
            return asked.replace("numeric", "decimal")
        return _MYSQL_TYPES.get(asked, "longtext")

    def selected(self, one: MappedColumn, type_: str) -> tuple[str, str, str]:
        if one.how != "sql":
            return one.target, one.source, one.expression
        cast = _CASTS.get(type_.partition("(")[0], "")
        made = f"({one.expression}\n)"
        if not cast:
            return one.target, one.source, f"convert({made} using utf8mb4)"
        size = type_.removeprefix("decimal") if cast == "decimal" else ""
        return one.target, one.source, f"cast({made} as {cast}{size})"


class _DuckDb(Way):
    """DuckDB knows the type of each expression."""

    engine, has_own_ranges = "DuckDB", True

    def hashed(self, column: str, type_: str) -> str:
        if not re.match(r"VARCHAR$|ENUM\(|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$|UUID$", type_):
            raise ValueError(type_)
        text = f"encode(cast({self.quoted(column)} as varchar))"
        inner = f"unhex(sha256(getvariable('windlass_inner') || {text}))"
        return f"sha256(getvariable('windlass_outer') || {inner})"

    def type_of_hash(self) -> str:
        return "VARCHAR"

    def literal(self, value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else super().literal(value)

    def selected(self, one: MappedColumn, type_: str) -> tuple[str, str, str]:
        if type_ and one.expression:
            return one.target, one.source, f"cast({one.expression} as {type_})"
        return super().selected(one, type_)


class _Apart(Way):
    """What the source need not compute is made of the rows that it gives."""

    is_fixed_apart = hashes_apart = True

    def hashed(self, column: str, type_: str) -> str:
        return self.quoted(column)  # its type is known once it is read

    def selected(self, one: MappedColumn, type_: str) -> tuple[str, str, str]:
        return one.target, one.source, one.expression if one.how == "sql" else ""


class _Odbc(_Apart):
    engine = "this database"


class _MongoDb(_Apart):
    """Documents have no SQL. Conditions are those of `find`."""

    engine, has_own_ranges = "MongoDB", True

    def hashed(self, column: str, type_: str) -> str:
        if type_ == "document":
            raise ValueError(f"a {type_}")
        return super().hashed(column, type_)

    def expression_fault(self, text: str) -> tuple[str, str] | None:
        hint = "give target-sql, SQL of the target; or a Python function"
        return "cannot be computed: MongoDB has no SQL", hint

    def condition_fault(self, text: str) -> tuple[str, str] | None:
        hint = """give a filter as find takes it, in Extended JSON: '{"qty": {"$gt": 3}}'"""
        try:
            found = json.loads(text, object_pairs_hook=_once)
        except ValueError as error:
            return f"is no filter of MongoDB: {error}", hint
        if not isinstance(found, dict):
            return "is no filter of MongoDB: it is no object", hint
        if word := _unsteady(found):
            return f"has {word}, which may select other documents each time", hint
        return None

    def unknown_hint(self) -> str:
        return "name its path in types first: then it is a column"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice in an object")
    return found


# JavaScript, chance and moments; and what sorts or scores
_UNSTEADY = {"$where", "$function", "$accumulator", "$rand", "$sampleRate", "$text", "$near",
             "$nearSphere"}  # fmt: skip
_MOMENTS = {"$$NOW", "$$CLUSTER_TIME"}


def _unsteady(found: Any) -> str:
    """The first operator that need not give the same documents each time."""
    match found:
        case dict():
            inner = next(filter(None, map(_unsteady, found.values())), "")
            return next((one for one in found if one in _UNSTEADY), inner)
        case list():
            return next(filter(None, map(_unsteady, found)), "")
        case str() if found in _MOMENTS:
            return found
    return ""


_WAYS: Mapping[str, type[Way]] = {
    "sqlite": Way,
    "mysql": _MySql,
    "duckdb": _DuckDb,
    "odbc": _Odbc,
    "mongodb": _MongoDb,
}


def way_of(maps_as: str, dialect: str) -> Way:
    """`maps_as` is an origin's."""
    return _WAYS[maps_as](dialect)


def plain(one: MappedColumn, rule: MappedColumnSpec | None, way: Way) -> MappedColumn:
    """The column in SQL that every engine understands, instead of PostgreSQL's."""
    if one.how in ("null", TARGET_SQL):
        return replace(one, expression="null")
    if one.how == FUNCTION:
        return replace(one, expression=way.quoted(one.source))
    if one.how == "value":
        assert rule is not None, "it says the value"
        return replace(one, expression=way.literal(rule.value))
    return one
