"""Names that all engines give to what a load makes: tables of its journal, columns of staged rows.
Pure."""

from __future__ import annotations

import re
from typing import Final

from psycopg import sql

from windlass.engines.statements import verbatim
from windlass.model.relation import Name

RUNS, LINES, REFUSED = (
    "_windlass_run",
    "_windlass_line",
    "_windlass_refused",  # records that were set aside
)
# columns of the staged rows, beside the table's own: their order, where they come from
NUMBER, INPUT, RECORD = "_windlass_n", "_windlass_input", "_windlass_record"
PER_INPUT: Final = 10**12  # row numbers per input, so that they follow the order of the inputs
WHAT, SIDE = "_windlass_what", "_windlass_side"  # of a before-image


def name_of(text: str, schema: str) -> Name:
    """The name in ``schema.table`` or ``table``, whose parts may be quoted."""
    parts = [one.group() for one in re.finditer(r'"(?:[^"]|"")*"|[^."]+', text)]
    if len(parts) == 2:
        return Name(*map(_bare, parts))
    return Name(schema, _bare(text))


def _bare(text: str) -> str:
    quoted = len(text) > 1 and text.startswith('"') and text.endswith('"')
    return text[1:-1].replace('""', '"') if quoted else text


def user_sql(text: str) -> sql.Composable:
    """The user's expression, which may end in a comment."""
    return sql.SQL("({}\n)").format(verbatim(text))
