"""Rows without a key may only be loaded into an empty table: otherwise every refresh would add them
again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from django.db import connections

from windlass.model.report import Problem

_NONE = "not exists (select 1 from {})"
_MESSAGE = "has rows, and the input has no unique field to find them by"
_HINT = "add one to the input, or say what is meant: load append or replace"


def as_expectation(table: str, connection: Any) -> dict[str, str]:
    """As an expectation of a spec, which is met as long as the table has no rows."""
    return {"sql": _NONE.format(connection.ops.quote_name(table))}


def explained(problems: Iterable[Problem]) -> Iterator[Problem]:
    """The expectation that was not met, in the user's terms."""
    for one in problems:
        is_ours = one.message.startswith("sql(not exists (select 1 from ")
        yield replace(one, message=_MESSAGE, hint=_HINT) if is_ours else one


def filled_problems(alias: str, run: Sequence[Any], planned: Any) -> Iterator[Problem]:
    """Problems in a plan, for which nothing was staged yet."""
    loads = {one.purpose.part.bare: one for one in run}
    for plan in planned.plans:
        load = loads.get(plan.load.table.name.name)
        if load is None or load.load or plan.load.words.key or plan.loaded_by:
            continue
        if has_rows(load.purpose.part.table, alias):
            yield Problem(plan.name, _MESSAGE, _HINT)


def has_rows(table: str, alias: str) -> bool:
    from psycopg import sql

    name = connections[alias].ops.quote_name(table)
    query = sql.SQL("select 1 from {} limit 1").format(sql.SQL(name)).as_string(None)
    with connections[alias].cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone() is not None
