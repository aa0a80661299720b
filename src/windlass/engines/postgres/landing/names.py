"""Names of the tables that a run makes in the journal's schema. Pure."""

from __future__ import annotations

from psycopg import sql

from windlass.model.digest import digest
from windlass.model.relation import Name

SCHEMA = "windlass"
INPUT, PLACE = "windlass_input", "windlass_place"  # where a row comes from: input and position
ROW = "windlass_row"  # the position of a row that is about to be loaded
# in a before-image: what happened to the row, its hash afterwards, and who wrote it before
KIND, MADE, WROTE = "windlass_kind", "windlass_made", "windlass_wrote"
AT, IN = "windlass_at", "windlass_in"  # a row's position in the table, until it is updated
RESERVED = (INPUT, PLACE, ROW, KIND, MADE, WROTE, AT, IN)


def short(load: str) -> str:
    """A short name for a load, whose own may be longer than a table's can be."""
    return digest(load)[:8]


def staged(run: str, load: str, number: int) -> Name:
    """The staging table of one input."""
    return Name(SCHEMA, f"stage_{run}_{short(load)}_{number}")


def texts(run: str, load: str, number: int) -> Name:
    """The table of one input whose values are examined as texts."""
    return Name(SCHEMA, f"stage_{run}_{short(load)}_{number}_texts")


def shaped(run: str, load: str) -> Name:
    """The rows of all inputs as they will arrive in the table."""
    return Name(SCHEMA, f"stage_{run}_{short(load)}_rows")


def undo(run: str, load: str) -> Name:
    return Name(SCHEMA, f"undo_{run}_{short(load)}")


def refused(run: str, load: str) -> Name:
    return Name(SCHEMA, f"refused_{run}_{short(load)}")


def failing(run: str, load: str) -> Name:
    """Rows that break expectations."""
    return Name(SCHEMA, f"refused_{run}_{short(load)}_expected")


def item(load: str, number: int) -> str:
    """The journal's item of one input of a load."""
    return f"{load} {number}"


def identifier(name: Name) -> sql.Identifier:
    return sql.Identifier(name.schema, name.name)


def like(run: str, load: str) -> Name:
    """A table that is never kept: it shows which types a table would have."""
    return Name(SCHEMA, f"stage_{run}_{short(load)}_like")
