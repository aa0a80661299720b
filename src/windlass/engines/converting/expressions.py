"""Translates PostgreSQL's expressions into another engine's SQL. Each is tried on a scratch file
and proven by values before it is used. One that may mean something else there is not translated."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any

from windlass.engines.converting.constants import (
    CHANGING,
    Untranslatable,
    constant_of,
    converted,
    is_converted,
    number_of,
    text_of,
    truth_of,
)
from windlass.model.conversion import Carried
from windlass.model.relation import Name
from windlass.model.translation import Sort

Columns = Mapping[str, tuple[str, Carried]]
# functions with the same name and the same results, except for texts beyond ASCII, which the proof
# by values finds
_FUNCTIONS = frozenset(["Abs", "Coalesce", "Length", "Lower", "Upper", "Nullif", "Trim", "Replace"])
_PLAIN = frozenset((
    "Add", "And", "Between", "Boolean", "Case", "Column", "DPipe", "Div", "EQ", "GT", "GTE",
    "Identifier", "If", "In", "Is", "LT", "LTE", "Literal", "Mod", "Mul", "NEQ", "Neg", "Not",
    "Null", "Or", "Paren", "Sub", "Tuple", "Like", "Cast", "DataType", "DataTypeParam", "Any",
    "Array", "Var",
))  # fmt: skip
_QUERY = frozenset((
    "Select", "From", "Join", "Where", "Group", "Order", "Ordered", "Having", "Limit", "Offset",
    "Count", "Sum", "Min", "Max", "Star", "Table", "TableAlias", "Subquery", "With", "CTE", "Union",
    "Except", "Intersect", "Distinct", "Alias", "Exists",
))  # fmt: skip
TEXT_TYPES = frozenset(["TEXT", "VARCHAR", "CHAR", "NVARCHAR", "NCHAR", "BPCHAR", "NAME", "UUID"])
INTEGER_TYPES = frozenset(["INT", "BIGINT", "SMALLINT", "TINYINT"])
NUMBER_TYPES = frozenset(["DECIMAL", "DOUBLE", "FLOAT"])
DATE = re.compile(r"\d{4}-\d\d-\d\d")
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d{1,6})?(\+00)?")


_ALIKE = "windlass_alike"  # whether both engines make the same text of a column
_OF_TEXTS = frozenset(["DPipe", "Length", "Lower", "Upper", "Trim", "Replace"])
# words of what makes the text in which values arrive, where PostgreSQL casts them to another one
_OTHER_TEXT = ("to_char", "bpcharout", "array_to_json")


class Translator(ABC):
    """Translates for one engine."""

    dialect: str  # sqlglot's name of it

    @abstractmethod
    def column(self, name: str, carried: Carried) -> Any:
        """A column, by its name on the target."""

    @abstractmethod
    def in_query(self, node: Any, types: Mapping[str, Collection[Carried]]) -> None:
        """Look at a column of a view's query; `types` are those of columns of its name.

        Raises:
            Untranslatable: its use may mean something else on the target.
        """

    @abstractmethod
    def cast(self, node: Any, enums: Collection[str]) -> Any:
        """A cast: of a constant, as the target writes the constant; of others, only where it
        changes nothing. `enums` are the types whose constants may be read."""

    @abstractmethod
    def like(self, node: Any) -> Any: ...

    @abstractmethod
    def division(self, node: Any) -> Any: ...

    def before(self, node: Any, columns: Columns) -> Any:
        """Looks at a node of the source before its children are translated."""
        return node

    # expressions

    def translated(self, text: str, columns: Columns) -> str | None:
        """The translation of an expression over columns of one table. `columns` has, by name, what
        each is called on the target and how it arrives. None if there is no translation, or it
        might mean something else."""
        import sqlglot  # not always installed: see `windlass.engines.registry`
        from sqlglot.errors import SqlglotError

        if re.search(r"\boperator\s*\(", text, re.IGNORECASE):
            return None
        try:
            tree = sqlglot.parse_one(text, dialect="postgres")
            return self._text_of(self._made(tree, columns))
        except (SqlglotError, Untranslatable):
            return None

    def _text_of(self, tree: Any) -> str:
        import sqlglot

        return str(tree.sql(dialect=self.dialect, unsupported_level=sqlglot.ErrorLevel.RAISE))

    def _made(self, node: Any, columns: Columns) -> Any:
        """Translate the node, children first."""
        from sqlglot import exp

        node = self.before(node, columns)
        if not isinstance(node, exp.Column | exp.DataType):
            for key, value in list(node.args.items()):
                if isinstance(value, exp.Expression):
                    node.set(key, self._made(value, columns))
                elif isinstance(value, list):
                    parts = [
                        self._made(o, columns) if isinstance(o, exp.Expression) else o
                        for o in value
                    ]
                    node.set(key, parts)
        return self._node(node, columns)

    def _node(self, node: Any, columns: Columns) -> Any:
        from sqlglot import exp

        match node:
            case exp.Column():
                return self._column(node, columns)
            case exp.Cast():
                if kind_of(node) in TEXT_TYPES:
                    check_texts(node)
                return self.cast(node, {carried.enum for _, carried in columns.values()})
            case exp.EQ() | exp.NEQ() if isinstance(node.expression, exp.Any | exp.All):
                return _any(node)
            case exp.Like():
                return self.like(node)
            case exp.Div():
                return self.division(node)
            case exp.GT() | exp.GTE() | exp.LT() | exp.LTE() | exp.Between():
                if any(one.meta.get("is_ordered") is False for one in node.walk()):
                    raise Untranslatable("the order of an enum")
            case exp.Anonymous() if node.name.upper() == "ALL" and len(node.expressions) == 1:
                return exp.All(this=node.expressions[0])
        name = type(node).__name__
        if name in _OF_TEXTS:
            check_texts(node)
        if name not in _PLAIN and name not in _FUNCTIONS and name != "IntDiv":
            raise Untranslatable(name)
        return node

    def _column(self, node: Any, columns: Columns) -> Any:
        if node.table:
            raise Untranslatable("a qualified name")
        found = columns.get(node.name)
        if found is None:
            raise Untranslatable(node.name)
        return self.column(*found)

    # queries

    def translated_query(
        self, query: str, tables: Mapping[Name, Columns], names: Mapping[Name, tuple[str, ...]]
    ) -> str | None:
        """The query of a view in the target's SQL, over these tables, of which `names` are those on
        the target. None if there is no translation, or the query calls something that is not known
        to be built into PostgreSQL."""
        import sqlglot
        from sqlglot import exp
        from sqlglot.errors import SqlglotError

        if re.search(r"\boperator\s*\(", query, re.IGNORECASE):
            return None
        found = {(one.schema, one.name): one for one in tables}
        types: dict[str, list[Carried]] = {}
        try:
            tree = sqlglot.parse_one(query.strip().rstrip(";"), dialect="postgres")
            queries = {one.alias_or_name for one in tree.find_all(exp.CTE)}
            for table in list(tree.find_all(exp.Table)):
                if not table.db and table.name in queries:
                    continue
                name = found.get((table.db, table.name))
                if name is None:
                    return None
                for column, (_, carried) in tables[name].items():
                    types.setdefault(column, []).append(carried)
                _rename(table, names[name])
            return self._text_of(self._query_made(tree, types))
        except (SqlglotError, Untranslatable):
            return None

    def _query_made(self, node: Any, types: Mapping[str, Collection[Carried]]) -> Any:
        """As `_made`, but columns keep their names."""
        from sqlglot import exp

        if isinstance(node, exp.Column):
            for part in node.parts:
                if isinstance(part, exp.Identifier):
                    part.set("quoted", True)
            self.in_query(node, types)
            return node
        if isinstance(node, exp.DataType | exp.Identifier):
            return node
        for key, value in list(node.args.items()):
            if isinstance(value, exp.Expression):
                node.set(key, self._query_made(value, types))
            elif isinstance(value, list):
                parts = [
                    self._query_made(o, types) if isinstance(o, exp.Expression) else o
                    for o in value
                ]
                node.set(key, parts)
        if type(node).__name__ in _QUERY:
            return node
        return self._node(node, {})


class LiteralTranslator(Translator):
    """For engines that have no types for texts and points in time: a cast to one is left out, and
    needs a value that is written as that type is."""

    @abstractmethod
    def number(self, text: str, kind: str) -> Any:
        """A constant of a kind of number, as the target writes it."""

    @abstractmethod
    def as_number(self, node: Any, inner: Any, kind: str) -> Any:
        """A value cast to a kind of number, which must be one and stay the same. `node` is what is
        cast, `inner` the same without parentheses.

        Raises:
            Untranslatable: it is none, or might be rounded.
        """

    @abstractmethod
    def as_text(self, node: Any, inner: Any) -> Any:
        """A value cast to text, if it is one, or is printed as on the source.

        Raises:
            Untranslatable: it is printed differently.
        """

    def zone(self, kind: str) -> str:
        """What follows a point in time, which is in UTC."""
        return ""

    def cast(self, node: Any, enums: Collection[str]) -> Any:
        from sqlglot import exp

        kind, inner = kind_of(node), bare(node.this)
        is_string = isinstance(inner, exp.Literal) and inner.is_string
        if kind == "ARRAY" and isinstance(inner, exp.Array):
            return self._elements(node, inner, enums)
        if kind == "BOOLEAN":
            return exp.Boolean(this=truth_of(inner))
        if kind in TEXT_TYPES:
            return self._to_text(node, kind, inner)
        if kind in INTEGER_TYPES or kind in NUMBER_TYPES:
            return self._to_number(node, kind, inner)
        if kind == "USERDEFINED" and node.to.sql(dialect="postgres") not in enums:
            raise Untranslatable("a domain, whose checks might call anything")
        if is_string and not is_converted(inner) and not node.to.expressions:
            made = exp.Literal.string(self._constant(kind, inner.this))
            made.meta["is_ordered"] = kind != "USERDEFINED"  # an enum has its own order
            return made if kind == "USERDEFINED" else converted(made)
        raise Untranslatable(f"a cast to {kind}")

    def _elements(self, node: Any, array: Any, enums: Collection[str]) -> Any:
        """Each element is cast."""
        from sqlglot import exp

        made = [
            self.cast(exp.Cast(this=one, to=node.to.expressions[0].copy()), enums)
            for one in array.expressions
        ]
        return exp.Array(expressions=made)

    def _to_number(self, node: Any, kind: str, inner: Any) -> Any:
        constant = constant_of(inner)
        if constant is not None:
            return converted(self.number(number_of(constant, kind, node.to.expressions), kind))
        from sqlglot import exp

        has_text = any(isinstance(one, exp.Literal) and one.is_string for one in inner.walk())
        if node.to.expressions or has_text:
            raise Untranslatable("a cast to numbers")
        return converted(self.as_number(node.this, inner, kind))

    def _to_text(self, node: Any, kind: str, inner: Any) -> Any:
        from sqlglot import exp

        if isinstance(inner, exp.Literal) and inner.is_string and not is_converted(inner):
            return exp.Literal.string(text_of(inner.this, kind, node.to.expressions))
        if node.to.expressions or kind in CHANGING:
            raise Untranslatable("a cast that cuts")
        return self.as_text(node.this, inner)

    def _constant(self, kind: str, text: str) -> str:
        """A literal that is not a number, as the target writes it."""
        if kind == "USERDEFINED" or (kind == "DATE" and DATE.fullmatch(text)):
            return text
        found = MOMENT.fullmatch(text)
        # without a zone, a moment depends on the session's
        if found and (kind == "TIMESTAMP" or (kind == "TIMESTAMPTZ" and found[3])):
            return f"{found[1]}.{(found[2] or '.')[1:].ljust(6, '0')}{self.zone(kind)}"
        raise Untranslatable(kind)


def mark_text(column: Any, carried: Carried) -> None:
    """Note whether both engines make the same text of the column's values."""
    if carried.sort is Sort.INTEGER:
        is_alike = not carried.check  # which a boolean has
    else:
        is_printed = not any(word in carried.text for word in _OTHER_TEXT)
        is_moved = carried.type.lower().startswith(("decimal", "datetime", "time", "char("))
        is_alike = carried.sort is Sort.TEXT and not carried.number and is_printed and not is_moved
    column.meta[_ALIKE] = column.meta.get(_ALIKE, True) and is_alike


def check_texts(node: Any) -> None:
    """Raises:
    Untranslatable: a column within has another text on the target.
    """
    if any(one.meta.get(_ALIKE) is False for one in node.walk()):
        raise Untranslatable("the text of a value")


def like_pattern(node: Any, refused: str = "\\") -> Any:
    """The literal of a LIKE.

    Raises:
        Untranslatable: it is none, or contains a refused character.
    """
    from sqlglot import exp

    pattern = node.expression
    while isinstance(pattern, exp.Paren):
        pattern = pattern.this
    if not isinstance(pattern, exp.Literal) or set(pattern.this) & set(refused):
        raise Untranslatable("like")
    return pattern


def _rename(table: Any, path: tuple[str, ...]) -> None:
    from sqlglot import exp

    alias = table.alias or table.name
    schema = exp.to_identifier(path[0], quoted=True) if len(path) > 1 else None
    table.set("db", schema)
    table.set("this", exp.to_identifier(path[-1], quoted=True))
    table.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))


def _any(node: Any) -> Any:
    """``x = any (array[...])`` is ``x in (...)``."""
    from sqlglot import exp

    values = node.expression.this
    while isinstance(values, exp.Paren):
        values = values.this
    is_all = isinstance(node.expression, exp.All)
    if not isinstance(values, exp.Array) or is_all == isinstance(node, exp.EQ):
        raise Untranslatable("any")
    found = exp.In(this=node.this, expressions=list(values.expressions))
    return exp.Not(this=found) if is_all else found


def bare(node: Any) -> Any:
    """Without parentheses."""
    from sqlglot import exp

    while isinstance(node, exp.Paren):
        node = node.this
    return node


def kind_of(node: Any) -> str:
    """sqlglot's word for the type of a cast."""
    from sqlglot import exp

    return node.to.this.name if isinstance(node.to.this, exp.DataType.Type) else "USERDEFINED"


def is_constant(text: str, enum: str) -> bool:
    """Whether a default is a constant that calls nothing user-defined. Of user-defined types, only
    the column's own `enum` is read."""
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
