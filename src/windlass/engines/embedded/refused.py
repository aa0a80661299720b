"""Bad records that are set aside: staged like the others, then kept in the database by the load."""

from __future__ import annotations

from dataclasses import astuple

from windlass.engines.embedded.dialect import Session, number
from windlass.engines.embedded.names import bad_rows, done_inputs
from windlass.engines.incoming.names import REFUSED
from windlass.engines.incoming.refusing import BadRow, Refusing
from windlass.engines.landing import Input
from windlass.engines.statements import names, statement
from windlass.model.load import Load


def refusing(session: Session, load: Load, input_number: int, source: Input) -> Refusing:
    """The bad records of an input, while it is staged."""

    def others() -> int:
        query = statement("select coalesce(sum(refused), 0) from {done}", done=done_inputs())
        return number(session, query)

    def keep(row: BadRow) -> None:
        session.execute(
            statement("insert into {bad} values (?, ?, ?, ?, ?, ?)", bad=bad_rows()),
            [input_number, *astuple(row)],
        )

    return Refusing(load, source, others, keep)


def keep_refused(session: Session, schema: str, run: str, load: Load) -> None:
    session.execute(
        statement(
            "insert into {kept} (run, load, input, record, line, field, reason, fields)"
            " select ?, ?, d.place, b.record, b.line, b.field, b.reason, b.fields"
            " from {bad} as b join {done} as d on d.number = b.input",
            kept=names(schema, REFUSED), bad=bad_rows(), done=done_inputs(),
        ),
        [run, load.name],
    )  # fmt: skip
