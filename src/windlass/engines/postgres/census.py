"""Counts the source's values that would change, or be refused, in the target's columns.

One scan of a relation covers all its columns, in the snapshot that its rows are read in. Nothing is
counted for a relation that may not be read: that is a separate problem of the plan.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.postgres.conversions import canonical, not_among, unfit
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.mapped import rows
from windlass.engines.postgres.session import Connection
from windlass.model.mapping import Mapping
from windlass.model.plan import Conversion, Form
from windlass.model.relation import Name


@dataclass(frozen=True, slots=True)
class Question:
    """About a column of the source."""

    column: str
    conversion: Conversion | None = None
    labels: tuple[str, ...] = ()  # of the target's enum, which the source may not have
    is_computed: bool = False  # by the target: every value of the source may change
    is_not_null: bool = False  # on the target only


@dataclass(frozen=True, slots=True)
class Answer:
    changed: int = 0  # values that would change
    unfit: int = 0  # values that the target would refuse
    nulls: int = 0  # that the target would refuse
    refused: bool = False  # some value is not valid in the other type; not counted


def take_census(
    source: Connection,
    name: Name,
    questions: Sequence[Question],
    mapping: Mapping | None = None,
) -> tuple[Answer, ...]:
    """The answers, in the order of the questions; with a mapping, about the mapped values.

    Inside the caller's transaction, which a value that cannot be converted does not end.

    Raises:
        WindlassError: the server's reason.
    """
    try:
        return _count(source, rows(name, mapping), questions)
    except psycopg.DataError:
        if len(questions) == 1:
            return (Answer(refused=True),)
    except psycopg.errors.InsufficientPrivilege:
        return tuple(Answer() for _ in questions)  # the plan's problems name it
    except psycopg.Error as error:
        raise explain(error, f"counting what would change of {name}", side="source") from error
    return tuple(take_census(source, name, [question], mapping)[0] for question in questions)


def _count(
    source: Connection, held: sql.Composed, questions: Sequence[Question]
) -> tuple[Answer, ...]:
    asked = list(enumerate(questions))
    arriving = [_arriving(at, question) for at, question in asked]
    counts = [count for at, question in asked for count in _counts(at, question)]
    query = sql.SQL(
        "select {} from (select * from {}) as held cross join lateral (select {}) as sent"
    ).format(
        sql.SQL(", ").join(counts),
        held,
        sql.SQL(", ").join(arriving),
    )
    with source.transaction():
        row: Any = source.execute(query).fetchone()
    found = [int(count) for count in row]
    answers = zip(found[0::3], found[1::3], found[2::3], strict=True)
    return tuple(Answer(changed, unfit, nulls) for changed, unfit, nulls in answers)


def _arriving(at: int, question: Question) -> sql.Composed:
    """The value as the target would store it, made from the text that COPY writes."""
    how = question.conversion
    if how is None or question.labels:
        return sql.SQL("null::text as {}").format(_sent(at))
    return sql.SQL("case num_nulls({0}) when 0 then concat({0})::{1} end as {2}").format(
        _held(question), sql.SQL(how.target), _sent(at)
    )


def _counts(at: int, question: Question) -> Iterator[sql.Composed]:
    """Counts of values that would change, and of values and NULLs that would be refused."""
    value, how = _held(question), question.conversion
    nothing = sql.SQL("false")
    changed: sql.Composable = nothing
    bad: sql.Composable | None = None
    if question.is_computed:
        changed = sql.SQL("num_nulls({}) = 0").format(value)
    elif question.labels:
        bad = not_among(question.labels, canonical(Form.TEXT, value))
    elif how is not None:
        bad = unfit(how.target, canonical(Form.TEXT, value))
        changed = sql.SQL("{} is distinct from {}").format(
            canonical(how.form, value), canonical(how.form, sql.Identifier("sent", f"c{at}"))
        )
    null = sql.SQL("num_nulls({}) = 1").format(value) if question.is_not_null else nothing
    for condition in (changed, bad or nothing, null):
        yield sql.SQL("count(*) filter (where {})").format(condition)


def _held(question: Question) -> sql.Identifier:
    return sql.Identifier("held", question.column)


def _sent(at: int) -> sql.Identifier:
    return sql.Identifier(f"c{at}")


def count_names(
    source: Connection,
    name: Name,
    columns: Sequence[str],
    schemas: Collection[str],
    mapping: Mapping | None = None,
) -> tuple[int, ...]:
    """How many values of each column, which holds object names, name one in these schemas.

    Raises:
        WindlassError: the server's reason.
    """
    pattern = _naming(schemas)
    counts = [
        sql.SQL("count(*) filter (where translate(concat({}), {}, '') ~ {})").format(
            sql.Identifier(column), sql.Literal(_QUOTES), sql.Literal(pattern)
        )
        for column in columns
    ]
    query = sql.SQL("select {} from {}").format(sql.SQL(", ").join(counts), rows(name, mapping))
    try:
        with source.transaction():
            ((*found,),) = source.execute(query).fetchall()
    except psycopg.errors.InsufficientPrivilege:
        return tuple(0 for _ in columns)  # as in `take_census`
    except psycopg.Error as error:
        raise explain(error, f"counting names of objects in {name}", side="source") from error
    return tuple(int(str(count)) for count in found)


def _naming(schemas: Collection[str]) -> str:
    """A regular expression for names in these schemas. A schema alone is a regnamespace; brackets
    and commas come from arrays and arguments."""
    some = "|".join(re.sub(r"([^\w])", r"\\\1", _bare(schema)) for schema in sorted(schemas))
    return rf"(^|[^\w$.])({some})([.,)}}]|$)"


_QUOTES = '"\\'  # of names, and of elements with such names


def _bare(name: str) -> str:
    return name.translate(str.maketrans("", "", _QUOTES))
