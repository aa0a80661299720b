"""Tries what a plan would make, in memory: expressions by the values of all rows, statements by
running them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
from psycopg import sql

from windlass.engines import scratch
from windlass.engines.destination import Rows
from windlass.engines.duckdb.destination.filling import fill
from windlass.engines.duckdb.destination.forms import field_of
from windlass.engines.duckdb.destination.statements import table_name
from windlass.engines.duckdb.origin import forms
from windlass.engines.duckdb.session import MEMORY, QUIET, without_values
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.model.conversion import Carried, ConversionPlan, Tried
from windlass.model.relation import Name
from windlass.model.translation import Sort

_SCRATCH = "windlass_scratch"
_EXPECTED = "windlass_expected_{}"
_MADE = "windlass_made"
_TEXT = Carried("VARCHAR", Sort.TEXT, "")
_CONDITION = Carried("BOOLEAN", Sort.INTEGER, "")


@contextmanager
def in_memory() -> Iterator[Any]:
    """A database in memory, which is gone afterwards."""
    folder = str(scratch.folder())
    config: dict[str, Any] = {
        "memory_limit": MEMORY, "temp_directory": folder, "autoinstall_known_extensions": "false",
    }  # fmt: skip
    try:
        with duckdb.connect(":memory:", config=config) as session:
            session.execute(f"set timezone = 'UTC'; set threads = 1; {QUIET}")
            yield session
    finally:
        scratch.let_go()


class Trial:
    """See `windlass.engines.destination.Proving`."""

    def __init__(
        self, session: Any, columns: Sequence[tuple[str, Carried]], tried: Sequence[Tried]
    ) -> None:
        self._session, self._tried = session, tried
        self._found = [0] * len(tried)
        expected = [(_EXPECTED.format(at), _expected(one)) for at, one in enumerate(tried)]
        self._columns = [*columns, *expected]

    def add(self, rows: Rows) -> None:
        self._session.execute("begin")
        fill(self._session, Name("main", _SCRATCH), self._columns, rows)
        for at in range(len(self._tried)):
            if self._found[at] < 0:
                continue
            try:
                (count,) = self._session.execute(self._wrong(at)).fetchone()
                self._found[at] += count
            except duckdb.Error:
                self._found[at] = -1
                # an error aborts the transaction
                self._session.execute("rollback")
                self._session.execute("begin")
                fill(self._session, Name("main", _SCRATCH), self._columns, rows)
        self._session.execute("rollback")

    def _wrong(self, at: int) -> str:
        """Why the expression is wrong: its value, in its column's type, has another text."""
        one = self._tried[at]
        carried = _expected(one)
        made = forms.hashed(field_of(_MADE, carried))
        wanted = forms.hashed(field_of(_EXPECTED.format(at), carried))
        return statement(
            "select count(*) from (select cast(({expression}) as {type}) as {made}, {expected}"
            " from {table}) where {one} is distinct from {other}",
            expression=verbatim(one.expression),
            type=verbatim(carried.type),
            made=names(_MADE),
            expected=names(_EXPECTED.format(at)),
            table=names(_SCRATCH),
            one=made,
            other=wanted,
        )

    def wrong(self) -> Sequence[int]:
        return self._found


def _expected(one: Tried) -> Carried:
    if one.carried is not None:
        return one.carried
    return _CONDITION if one.is_condition else _TEXT


@contextmanager
def proving(columns: Sequence[tuple[str, Carried]], tried: Sequence[Tried]) -> Iterator[Trial]:
    with in_memory() as session:
        trial = Trial(session, columns, tried)
        parts: list[sql.Composable] = [
            sql.Composed([names(name), verbatim(f" {carried.type}")])
            for name, carried in trial._columns
        ]
        session.execute(
            statement("create table {t} ({parts})", t=names(_SCRATCH), parts=listed(parts))
        )
        yield trial


def try_plan(plan: ConversionPlan) -> Mapping[str, str]:
    """What could not be made, by name, and why."""
    with in_memory() as session:
        return made_in(session, plan)


def made_in(session: Any, plan: ConversionPlan) -> Mapping[str, str]:
    """Make all of it."""
    found: dict[str, str] = {}
    for table in plan.tables:
        for text in table.statements:
            _try(session, str(table.target), text, found)
        for one in table.indexes:
            _try(session, f"{table.target} {one.name}", one.statement, found)
    for view in plan.views:
        _try(session, str(view.target), view.statement, found)
        if str(view.target) not in found:
            query = statement("select * from {v} limit 0", v=table_name(view.target))
            _try(session, str(view.target), query, found)
    return found


def _try(session: Any, name: str, text: str, found: dict[str, str]) -> None:
    try:
        session.execute(text)
    except duckdb.Error as error:
        found.setdefault(name, without_values(error))
