"""Names of what a load creates beside its table and beside the file. Pure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from psycopg import sql

from windlass.engines.statements import names
from windlass.model.digest import digest
from windlass.model.relation import Name

RUNS, LINES, REFUSED, FAILING = (
    "_windlass_run",
    "_windlass_line",
    "_windlass_refused",  # records that were set aside
    "_windlass_failing",  # rows that break expectations
)

STAGE: Final = "windlass_stage"  # the file of staged rows, under this name in sessions
ROWS: Final = "staged"  # its table
BAD: Final = "refused"  # the table of records that are set aside
DONE: Final = "done"  # the table of inputs that are staged
# columns of the staged rows, beside the table's own
NUMBER, INPUT, RECORD = "_windlass_n", "_windlass_input", "_windlass_record"
PER_INPUT = 10**12  # row numbers per input, so that they follow the order of the inputs
WHAT, SIDE, PAIR = "_windlass_what", "_windlass_side", "_windlass_pair"  # of a before-image
RESERVED = frozenset((NUMBER, INPUT, RECORD, WHAT, SIDE, PAIR, "_windlass_rank"))


def undo_table(run: str, load: str) -> str:
    return f"_windlass_undo_{digest(run, load)[:12]}"


def stage_file(path: str, run: str, load: str) -> Path:
    """A file beside the database: rows are staged there while others read and write the
    database."""
    return Path(f"{path}-windlass-{digest(run, load)[:12]}")


def lock_file(path: str, run: str) -> Path:
    """Locked while a process works on the run."""
    return Path(f"{path}-windlass-{digest(run)[:12]}.lock")


def staged_rows() -> sql.Identifier:
    return names(STAGE, ROWS)


def table_of(name: Name) -> sql.Identifier:
    return names(name.schema, name.name)


def name_of(text: str, schema: str) -> Name:
    """The name in ``schema.table`` or ``table``, whose parts may be quoted."""
    parts = [one.group() for one in re.finditer(r'"(?:[^"]|"")*"|[^."]+', text)]
    if len(parts) == 2:
        return Name.read(text)
    quoted = text.startswith('"') and text.endswith('"')
    return Name(schema, text[1:-1].replace('""', '"') if quoted else text)


def bad_rows() -> sql.Identifier:
    return names(STAGE, BAD)


def done_inputs() -> sql.Identifier:
    return names(STAGE, DONE)
