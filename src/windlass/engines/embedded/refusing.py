"""Records that are set aside as bad: staged with the others, and kept in the file by the load."""

from __future__ import annotations

from windlass.engines.embedded.dialect import Session
from windlass.engines.embedded.names import REFUSED, bad_rows, done_inputs
from windlass.engines.statements import names, statement
from windlass.model.load import Load


def keep_refused(session: Session, schema: str, run: str, load: Load) -> None:
    session.execute(
        statement(
            "insert into {kept} (run, load, input, record, line, field, reason, row)"
            " select ?, ?, d.place, b.record, b.line, b.field, b.reason, b.row"
            " from {bad} as b join {done} as d on d.number = b.input",
            kept=names(schema, REFUSED), bad=bad_rows(), done=done_inputs(),
        ),
        [run, load.name],
    )  # fmt: skip
