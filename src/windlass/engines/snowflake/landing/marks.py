"""The watermark of the arriving rows: the highest value, as exact text. Texts are compared as bytes
(`windlass.flows.load.since`)."""

from __future__ import annotations

from psycopg import sql

from windlass.engines.incoming.marks import column_of_mark, declared, written
from windlass.engines.snowflake.landing.staged import Arriving
from windlass.engines.snowflake.names import named
from windlass.engines.snowflake.session import Session
from windlass.engines.snowflake.types import type_of
from windlass.engines.statements import statement, verbatim
from windlass.model.export import FLOATS, Kind


def highest(session: Session, arriving: Arriving) -> str:
    """Empty if no row has one."""
    load = arriving.load
    column = column_of_mark(load) if load.watermark else None
    if column is None:
        return ""
    value: sql.Composable = named(column.name)
    given, kind = declared(load), column.kind
    order = value
    if kind is Kind.TEXT and given is not None and given.kind is not Kind.NESTED:
        kind = given.kind
        order = sql.SQL("{}::{}").format(value, verbatim(type_of(given)))
    where = sql.SQL("{} is not null").format(order)
    if kind in FLOATS:
        where = sql.SQL("{} and {} not in ('NaN'::float, 'inf'::float, '-inf'::float)").format(
            where, order
        )
    query = statement(
        "select {value} from {rows} where {where} order by {order} desc limit 1",
        value=value, rows=arriving.table, where=where, order=order,
    )  # fmt: skip
    rows = session.run(query, doing=f"reading the watermark of {load.name}")
    return next((written(one) for (one,) in rows), "")
