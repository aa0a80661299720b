"""A DuckDB file that is set aside as a whole, as DuckDB renames no table that has a key, an index
or a reference. What else is in the file would be missed, so a plan refuses it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from windlass.errors import WindlassError
from windlass.model.conversion import Replacing, SetAside, Standing
from windlass.model.relation import Name
from windlass.model.report import Problem

_INDEXES = """
    select schema_name, index_name, table_name from duckdb_indexes()
     where database_name = current_database()"""
_WHOLE = "DuckDB renames no table that has a key or an index, so the file is set aside as a whole"
_LOADS = "what loads have recorded in the file goes with it"


def replacing(
    session: Any,
    there: Mapping[str, str | None],
    names: Collection[Name],
    paths: tuple[Path, Path],
    standing: Standing,
) -> Replacing:
    """`there` is what the file has; `paths` are those of the file now and afterwards."""
    now, afterwards = paths
    aside = SetAside("file", str(now), str(afterwards), "\n".join(sorted(there)))
    return Replacing(
        Standing(True, frozenset(), standing.problems),
        (aside,),
        tuple(_others(session, there, names)),
        (f"{_WHOLE}: programs that have its path find the new one", _LOADS),
    )


def _others(
    session: Any, there: Mapping[str, str | None], names: Collection[Name]
) -> Iterator[Problem]:
    """What the new file would lack, besides what belongs to the tables that are replaced."""
    wanted = {f"{kind} {one}".lower() for one in names for kind in ("table", "view")}
    ours = {name: text or "" for name, text in there.items() if name.lower() in wanted}
    indexes = {
        f"index {Name(schema, index)}"
        for schema, index, table in session.execute(_INDEXES).fetchall()
        if f"table {Name(schema, table)}" in ours
    }
    for name in there:
        kind, _, full = name.partition(" ")
        if name in ours or name in indexes or kind == "schema":
            continue
        if kind == "sequence" and any(_numbers(text, full) for text in ours.values()):
            continue
        hint = "drop it or move it into another file; or leave out what the file has already"
        yield Problem(name, f"is in the file as well, and would be missed: {_WHOLE}", hint)


def _numbers(text: str, sequence: str) -> bool:
    """Whether a column of the table gets its numbers from the sequence."""
    name = Name.read(sequence).name if "." in sequence else sequence
    return re.search(rf"nextval\([^)]*(?<!\w){re.escape(name)}(?!\w)", text) is not None


def check(there: Mapping[str, str | None], asides: Sequence[SetAside]) -> None:
    """Raises:
    WindlassError: the file has more in it than when it was planned.
    """
    planned = {name for one in asides for name in one.text.split("\n")}
    for name in there:
        if name not in planned:
            raise WindlassError(
                f"{name} was made in {asides[0].name} since the plan, and would be missed",
                hint="drop it or move it into another file; then run the same command again",
            )
