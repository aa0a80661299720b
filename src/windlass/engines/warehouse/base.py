"""What every warehouse can do for an export. One for each kind; `open_warehouse` chooses.

A load and its record are one transaction, or, where the warehouse has none, a job under a name
made from run and relation, which it takes once. So a retry finds what was done.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, Self

from windlass.engines.objects.store import ObjectStore
from windlass.errors import WindlassError
from windlass.model.export import Column, Export, Loaded, Manifest
from windlass.model.report import Problem

OURS = "_windlass_"  # tables that begin so are our own
RECORDS = f"{OURS}loads"  # beside the tables that are loaded


class Warehouse(Protocol):
    """Use as a context manager: leaving it closes what is open."""

    place: str  # for people, without secrets

    def problems(self, exports: Sequence[Export]) -> list[Problem]:
        """Everything that would keep these from being loaded: it cannot be reached or written, or
        a table is there that does not fit."""

    def watermark(self, export: Export) -> str:
        """The last one that was loaded from this source into the table, as text; empty for none,
        and where the table has lost those rows: it is gone, or empty, or was replaced."""

    def loaded(self, run: str, export: Export) -> Loaded | None:
        """What this run has loaded of a relation into its table, if it has."""

    def load(self, export: Export, manifest: Manifest, store: ObjectStore) -> Loaded:
        """Load the files of a manifest, once for a run."""

    def count(self, table: str) -> int:
        """The rows of a table now."""

    def clean_up(self, export: Export, run: str) -> None:
        """Remove what a load of this run may have left behind."""

    def cancel(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *fault: object) -> None: ...


def misfits(
    table: str, wanted: Sequence[Column], types: Sequence[str], found: dict[str, tuple[str, bool]]
) -> list[Problem]:
    """How a table differs from what is to be loaded: `found` is type and "has to be given", by
    column; `types` are those that the columns would be created with."""
    told = []
    for column, type_ in zip(wanted, types, strict=True):
        there = found.get(column.name)
        if there is None:
            told.append(f"{column.name} ({type_}) is missing")
        elif there[0] != type_:
            told.append(f"{column.name} is {there[0]}, not {type_}")
    names = {column.name for column in wanted}
    told += [
        f"{name} is NOT NULL without a default and is not exported"
        for name, (_, needed) in found.items()
        if needed and name not in names
    ]
    if not told:
        return []
    hint = "alter or drop the table, or load into another: `table` of the relation"
    return [Problem(table, f"the table does not fit: {'; '.join(told)}", hint)]


def not_unique(export: Export) -> WindlassError:
    return WindlassError(
        f"{export.name}: several rows have the same key ({', '.join(export.key)})",
        hint="nothing was loaded; give the relation a `key` that tells its rows apart",
    )


def check_arrived(export: Export, read: int, arrived: int) -> None:
    """Before it is committed.

    Raises:
        WindlassError: not every row that was read is there.
    """
    if read != arrived:
        raise WindlassError(
            f"{export.name}: {read:,} rows were read, {arrived:,} have arrived in {export.table}",
            hint="nothing was loaded; see whether a trigger or a rule of the table discards rows",
        )


@contextmanager
def fetched(store: ObjectStore, path: str) -> Iterator[Path]:
    """An object as a file on this machine.

    Raises:
        WindlassError: there is no space for it.
    """
    try:
        with store.local(path) as found:
            yield found
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise WindlassError(
            f"no space left on this machine in {tempfile.gettempdir()} for {store.place(path)}",
            hint="make space, give TMPDIR another folder, or lower file-size",
        ) from error


def without_key(export: Export) -> WindlassError:
    return WindlassError(
        f"{export.name}: rows have no key (NULL in {', '.join(export.key)})",
        hint="nothing was loaded; give the relation another `key`, or a `where` without them",
    )
