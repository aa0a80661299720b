"""The watermark of the staged rows: the highest value, as exact text.

Values are compared by the type that the source declares. A text is compared by the type of the
column it goes into; if that is text as well, as bytes. The source compares them in the same way
(`windlass.flows.load.since`).
"""

from __future__ import annotations

from windlass.engines.embedded.dialect import Dialect, Session, fetch
from windlass.engines.embedded.names import staged_rows
from windlass.engines.incoming.marks import column_of_mark, declared, written
from windlass.engines.statements import names, statement
from windlass.model.load import Load


def highest(session: Session, dialect: Dialect, load: Load) -> str:
    """The highest value of the staged rows; empty if none has a finite one."""
    column = column_of_mark(load) if load.watermark else None
    if column is None:
        return ""
    value = names(column.name)
    query = statement(
        "select {text} from {staged} where {order} is not null order by {order} desc limit 1",
        text=dialect.exact_text(value), staged=staged_rows(),
        order=dialect.ordered(value, column, declared(load)),
    )  # fmt: skip
    return next((written(value) for (value,) in fetch(session, query)), "")
