"""Whether existing tables of the target fit a stream in both directions: a run does not create
them, so their columns can differ from the source's. Checked as a stream would check it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from windlass.engines.postgres.queries import load
from windlass.engines.postgres.replication.messages import Relation, RelationColumn
from windlass.engines.postgres.replication.trees import read_user_types
from windlass.engines.postgres.session import Connection
from windlass.following.routes import Routes
from windlass.model.following import turned
from windlass.model.plan import Arrival, Plan
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.wording import word


def fitting_problems(
    plan: Plan, source: Connection, target: Connection, *, back: bool
) -> Iterator[Problem]:
    """What would stop the stream at the first row of an existing table; `back`: on the way back
    too."""
    filled = [one for one in plan.relations if one.arrival is Arrival.FILL]
    if not filled:
        return
    forth = {one.relation.name: one.enters for one in filled}
    sent = _described(source, forth)
    there = _described(target, forth.values())
    known = {one.relation.name: {column.target for column in one.columns} for one in filled}
    more = frozenset(
        (name, column.name)
        for name, to in forth.items()
        for column in (there[to].columns if to in there else ())
        if column.name not in known[name]
    )
    routes = Routes(forth, types=read_user_types(source, side="source"), target_only=more)
    found = _apart(routes, target, sent)
    for name, texts in found.items():
        hint = "change the table on the target, or remove it there: then the run makes it"
        yield Problem(str(forth[name]), "; ".join(texts), hint)
    if back:
        backward = {
            one.enters: one.root or one.relation.name
            for one in filled
            if one.relation.name not in found
        }
        routes = Routes(backward, types=read_user_types(target, side="target"))
        relations = {name: one for name, one in there.items() if name in backward}
        for name, texts in _apart(routes, source, relations).items():
            why = turned("; ".join(texts))
            yield Problem(
                str(name),
                f"no row of it could go back to the source after a cutover: {why}",
                f"give both sides the same columns, or go without a way back: {word('no-reverse')}",
            )


def _apart(
    routes: Routes, applied: Connection, relations: Mapping[Name, Relation]
) -> dict[Name, list[str]]:
    routes.read(applied)
    found = {name: routes.apart(one) for name, one in relations.items()}
    return {name: texts for name, texts in found.items() if texts}


def _described(read: Connection, names: Iterable[Name]) -> dict[Name, Relation]:
    """The relations that exist, by name."""
    found = {name: _sent(read, name) for name in names}
    return {name: one for name, one in found.items() if one is not None}


def _sent(read: Connection, name: Name) -> Relation | None:
    """The relation as a stream would describe it."""
    quoted = sql.Identifier(name.schema, name.name).as_string(read)
    row: Any = read.execute(
        "select oid::bigint, relreplident::text from pg_class where oid = to_regclass(%s)",
        (quoted,),
    ).fetchone()
    if row is None:
        return None
    with psycopg.RawCursor(read, row_factory=class_row(RelationColumn)) as cursor:
        columns = cursor.execute(load("sent_columns").as_bytes(read), (row[0],)).fetchall()
    return Relation(int(row[0]), name.schema, name.name, str(row[1]), tuple(columns))
