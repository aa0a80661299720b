"""What is read of a table: itself, or what its mapping makes of it. The database selects columns;
values that are fixed or hashed are added to its rows here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import sql

from windlass.engines.mapped_rows import summarizing
from windlass.engines.odbc.catalog import Found
from windlass.engines.odbc.quoting import Quoted
from windlass.engines.odbc.session import SIDE, Session
from windlass.engines.odbc.types import AS_DOUBLE, AS_TEXT, ISO, PLAIN, Choice, Described, choose
from windlass.engines.odbc.values import Misfit, Notes, reader
from windlass.engines.statements import listed, statement, verbatim
from windlass.errors import WindlassError
from windlass.model.relation import Name
from windlass.model.translation import Fixed, Selected, Sort, SourceTable, Type

_NONE = "1 = 0"  # a condition that no row meets
_ROWS = "windlass_rows"
_NUMERIC = Type(Sort.DECIMAL)
_WHOLE = (Type(Sort.INTEGER, bits=64), _NUMERIC)
_DOUBLE = (Type(Sort.FLOAT, bits=64),)
_TEXT = Choice((Type(Sort.TEXT),))
# of what an expression gives, as Python sees it
_COMPUTED: Mapping[type, tuple[Type, ...]] = {
    bool: (Type(Sort.BOOLEAN),),
    int: _WHOLE,
    float: _DOUBLE,
    Decimal: (_NUMERIC,),
    str: (Type(Sort.TEXT),),
    bytes: (Type(Sort.BYTES),),
    bytearray: (Type(Sort.BYTES),),
    UUID: (Type(Sort.UUID),),
}
_MOMENTS: Mapping[type, tuple[Type, ...]] = {
    date: (Type(Sort.DATE), Type(Sort.TIMESTAMP)),
    time: (Type(Sort.TIME), Type(Sort.INTERVAL)),
    datetime: (Type(Sort.TIMESTAMP), Type(Sort.INSTANT)),
}
Raw = Callable[[Any], Any]


def rows_of(
    session: Session, found: Found, name: Name, selected: Selected | None
) -> sql.Composable:
    """The table, or its mapping, as a FROM item. No `as` comes before an alias of a table, which
    Oracle refuses. What a user writes sees the table under its name."""
    table = Quoted(session.quote, *found.places[name])
    if selected is None:
        return table
    fixed = {one for one, _ in selected.fixed}
    columns = [
        sql.SQL("{} as {}").format(
            _own(expression) if expression else Quoted(session.quote, column),
            Quoted(session.quote, new),
        )
        for new, column, expression in selected.columns
        if new not in fixed
    ]
    where = sql.SQL(" where {}").format(_own(selected.where)) if selected.where else sql.SQL("")
    columns = columns or [sql.SQL("1 as {}").format(Quoted(session.quote, _ROWS))]
    return sql.SQL("(select {} from {}{}) {}").format(
        listed(columns), table, where, verbatim(_ROWS)
    )


def _own(text: str) -> sql.Composable:
    """A user's SQL as it is; the line break ends a comment."""
    return sql.SQL("({})").format(verbatim(f"{text}\n"))


@dataclass(frozen=True, slots=True)
class Shape:
    """How the columns of a table are read. `choices`: None where nobody knows what values are.
    `raw` changes values of the driver; `fixed` are not read at all."""

    choices: Mapping[str, Choice | None]
    raw: Mapping[str, Raw] = field(default_factory=dict)
    fixed: Mapping[str, Fixed] = field(default_factory=dict)


def shape_of(session: Session, found: Found, name: Name, selected: Selected | None) -> Shape:
    """Raises:
    WindlassError: a column cannot be hashed, or the database refuses the mapping.
    """
    described = found.described[name]
    if selected is None:
        return Shape({one: choose(how, session.server) for one, how in described.items()})
    computed = _describe(session, found, name, selected)
    choices: dict[str, Choice | None] = {}
    raw: dict[str, Raw] = {}
    fixed = dict(selected.fixed)
    for new, column, expression in selected.columns:
        if new in fixed and column not in described:
            choices[new] = _of_value(fixed[new])
        elif new in selected.hashed:
            choices[new], raw[new] = _TEXT, _hashing(session, name, column, described[column])
        elif expression and new not in fixed:
            choices[new] = _of_computed(computed[new], session.server)
        else:
            choices[new] = choose(described[column], session.server)
    return Shape(choices, raw, fixed)


def _describe(session: Session, found: Found, name: Name, selected: Selected) -> Mapping[str, type]:
    """What the driver says about columns; it does so without rows."""
    fixed = {one for one, _ in selected.fixed}
    given = [(new, expression) for new, _, expression in selected.columns if new not in fixed]
    if not any(expression for _, expression in given):
        return {}
    if session.server == "SQLite":
        raise WindlassError(
            f"{name}: SQLite's ODBC driver takes the type of an expression from the first row",
            hint="read the file as sqlite:///, or give target-sql",
            side=SIDE,
        )
    query = statement(
        "select * from {rows}",
        rows=rows_of(session, found, name, replace(selected, where=_NONE)),
    )
    with session.cursor(f"reading {name}") as cursor:
        cursor.execute(query)
        columns = [one[:2] for one in cursor.description]
        if cursor.fetchone():
            raise summarizing(SourceTable(name, ()))
    return {new: type_ for (new, _), (_, type_) in zip(given, columns, strict=True)}


def _of_computed(type_: type, server: str) -> Choice | None:
    """MySQL's floats are calculated with, or they would have six digits. Times are texts of the
    server, or the driver would cut their digits."""
    if type_ in _MOMENTS:
        return Choice(_MOMENTS[type_], AS_TEXT) if server in ISO else None
    form = AS_DOUBLE if type_ is float and server in ("MariaDB", "MySQL") else PLAIN
    types = _COMPUTED.get(type_)
    return Choice(types, form) if types else None


def _of_value(value: Fixed) -> Choice:
    return _TEXT if value is None else Choice(_COMPUTED[type(value)])


def _hashing(session: Session, name: Name, column: str, described: Described) -> Raw:
    """Hashes the text of a value, which has to be the same whoever writes it."""
    choice, hashed = choose(described, session.server), session.hashed
    type_ = choice.types[0] if choice else None
    if type_ is None or hashed is None or type_.sort not in (Sort.TEXT, Sort.INTEGER):
        raise WindlassError(
            f"{name}.{column}: there is no hash of {described.word}, whose text may vary",
            hint="give sql that makes a text of it, or mask it with null",
            side=SIDE,
        )
    text = Type(Sort.TEXT, is_fixed=type_.is_fixed) if type_.sort is Sort.TEXT else _NUMERIC
    read = reader(text)

    def hash_(value: Any) -> str:
        try:
            return hashed(read(value, Notes()))
        except Misfit as error:
            message = f"{name}.{column}: a value cannot be hashed: {error}"
            raise WindlassError(message, hint="mask it with null", side=SIDE) from None

    return hash_


def adding(shape: Shape, names: Sequence[str]) -> Callable[[Sequence[Any]], Sequence[Any]] | None:
    """What makes a row with these columns of what was read; None if that is the row."""
    if not shape.fixed and not shape.raw:
        return None
    fixed = [(one in shape.fixed, shape.fixed.get(one)) for one in names]
    raw = [shape.raw.get(one) for one in names]

    def add(row: Sequence[Any]) -> Sequence[Any]:
        found = iter(row)
        made = []
        for (is_fixed, value), change in zip(fixed, raw, strict=True):
            given = value if is_fixed else next(found)
            made.append(given if change is None or given is None else change(given))
        return made

    return add
