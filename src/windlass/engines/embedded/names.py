"""Names of what a load creates beside its table and beside the file. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from psycopg import sql

from windlass.engines.incoming.names import INPUT, NUMBER, RECORD, SIDE, WHAT
from windlass.engines.statements import names
from windlass.model.digest import digest
from windlass.model.relation import Name

FAILING: Final = "_windlass_failing"  # the table of rows that break expectations
STAGE: Final = "windlass_stage"  # the file of staged rows, under this name in sessions
ROWS: Final = "staged"  # its table
BAD: Final = "refused"  # the table of records that are set aside
DONE: Final = "done"  # the table of inputs that are staged
PAIR: Final = "_windlass_pair"  # a column of a before-image
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


def bad_rows() -> sql.Identifier:
    return names(STAGE, BAD)


def done_inputs() -> sql.Identifier:
    return names(STAGE, DONE)
