"""The records of loads. Each is in the summary of its Iceberg snapshot, so that the two always
exist together."""

from __future__ import annotations

from collections.abc import Iterator

from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot, ancestors_of

from windlass.engines.loads import column_names, loaded_names
from windlass.model.export import Export, Loaded, Manifest

_OURS = "windlass."


def summary(export: Export, manifest: Manifest) -> dict[str, str]:
    words = {
        "run": manifest.run,
        "source": export.source,
        "relation": export.name,
        "rows": str(manifest.rows),
        "columns": column_names(export.columns),
        "read-at": manifest.read_at,
    }
    return {f"{_OURS}{key}": word for key, word in words.items()}


def loaded(table: Table, run: str, export: Export) -> Loaded | None:
    """The load of a run that is part of the table now; not if the table was rolled back to an
    earlier state. A load that replaces rows makes two snapshots, of which the later one has the
    rows."""
    for snapshot in _history(table):
        if _said(snapshot, "run") == run and _is_of(snapshot, export):
            return Loaded(
                run,
                export.table,
                rows=_number(snapshot, "added-records"),
                read=int(_said(snapshot, "rows")),
                total=_number(snapshot, "total-records"),
                is_last=snapshot == table.current_snapshot(),
            )
    return None


def loaded_columns(table: Table, export: Export) -> frozenset[str]:
    """The columns that earlier loads have filled."""
    return loaded_names(_said(one, "columns") for one in _history(table) if _is_of(one, export))


def _history(table: Table) -> Iterator[Snapshot]:
    """The snapshots that led to the present rows, newest first."""
    yield from ancestors_of(table.current_snapshot(), table.metadata)


def _is_of(snapshot: Snapshot, export: Export) -> bool:
    return (_said(snapshot, "source"), _said(snapshot, "relation")) == (export.source, export.name)


def _said(snapshot: Snapshot, key: str) -> str:
    return _property(snapshot, f"{_OURS}{key}")


def _number(snapshot: Snapshot, key: str) -> int:
    """A number of a summary, from which Iceberg leaves out 0."""
    return int(_property(snapshot, key) or 0)


def _property(snapshot: Snapshot, key: str) -> str:
    found = snapshot.summary
    return found.additional_properties.get(key, "") if found is not None else ""
