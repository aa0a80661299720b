"""How many values of the source would change, or be refused, in the columns that they go into.

One scan of a relation answers for all its columns, in the snapshot that its rows are read in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from windlass.engines.postgres.conversions import canonical, not_among, unfit
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Connection
from windlass.model.plan import Conversion, Form
from windlass.model.relation import Name


@dataclass(frozen=True, slots=True)
class Question:
    """About a column of the source. Without a conversion: how many values it has at all."""

    column: str
    conversion: Conversion | None = None
    labels: tuple[str, ...] = ()  # of the target's enum, which the source may not have


@dataclass(frozen=True, slots=True)
class Answer:
    changed: int = 0  # values that another one would arrive for
    unfit: int = 0  # values that the target would refuse
    refused: bool = False  # a value is none of the other type at all; nobody has counted them


def take_census(
    source: Connection, name: Name, questions: Sequence[Question]
) -> tuple[Answer, ...]:
    """The answers, in the order of the questions.

    Inside the caller's transaction, which a value that cannot be converted does not end.

    Raises:
        WindlassError: the relation cannot be read.
    """
    try:
        return _count(source, name, questions)
    except psycopg.DataError:
        if len(questions) == 1:
            return (Answer(refused=True),)
    except psycopg.Error as error:
        raise explain(error, f"counting what would change of {name}", side="source") from error
    return tuple(take_census(source, name, [question])[0] for question in questions)


def _count(source: Connection, name: Name, questions: Sequence[Question]) -> tuple[Answer, ...]:
    asked = list(enumerate(questions))
    arriving = [_arriving(at, question) for at, question in asked]
    counts = [count for at, question in asked for count in _counts(at, question)]
    query = sql.SQL("select {} from only {} as held cross join lateral (select {}) as sent").format(
        sql.SQL(", ").join(counts),
        sql.Identifier(name.schema, name.name),
        sql.SQL(", ").join(arriving),
    )
    with source.transaction():
        row = source.execute(query).fetchone()
    assert row is not None
    found = [int(count) for count in row]  # type: ignore[call-overload]
    return tuple(Answer(*found[at : at + 2]) for at in range(0, len(found), 2))


def _arriving(at: int, question: Question) -> sql.Composed:
    """What the target makes of the text that COPY writes."""
    how = question.conversion
    if how is None or question.labels:
        return sql.SQL("null::text as {}").format(_sent(at))
    return sql.SQL("case num_nulls({0}) when 0 then concat({0})::{1} end as {2}").format(
        _held(question), sql.SQL(how.target), _sent(at)
    )


def _counts(at: int, question: Question) -> tuple[sql.Composed, sql.Composed]:
    """Of values that would change, and of values that would be refused."""
    value, how = _held(question), question.conversion
    if how is None:
        return sql.SQL("count({})").format(value), sql.SQL("0").format()
    text = canonical(Form.TEXT, value)
    changed: sql.Composable = sql.SQL("false")
    bad = not_among(question.labels, text) if question.labels else unfit(how.target, text)
    if not question.labels:
        changed = sql.SQL("{} is distinct from {}").format(
            canonical(how.form, value), canonical(how.form, sql.Identifier("sent", f"c{at}"))
        )
    count = sql.SQL("count(*) filter (where {})")
    return count.format(changed), count.format(bad or sql.SQL("false"))


def _held(question: Question) -> sql.Identifier:
    return sql.Identifier("held", question.column)


def _sent(at: int) -> sql.Identifier:
    return sql.Identifier(f"c{at}")
