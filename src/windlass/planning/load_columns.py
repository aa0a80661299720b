"""Columns that an export adds to describe the load of each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from windlass.engines.base import Facts
from windlass.model.export import Column, Export, Kind, OfLoad
from windlass.spec.choices import LoadColumn
from windlass.spec.export import ExportSpec


def load_columns(spec: ExportSpec) -> Iterator[Column]:
    """The columns; `stamped` gives them their values."""
    for name, what in spec.columns_of_load.items():
        if what in (LoadColumn.LOADED_AT, LoadColumn.READ_AT):
            yield Column(name, "timestamp with time zone", Kind.INSTANT, load=OfLoad(str(what)))
        else:
            yield Column(name, "text", Kind.TEXT, load=OfLoad(str(what)))


def stamped(export: Export, values: Mapping[LoadColumn, str]) -> Export:
    """The export, with values for the columns that describe the load."""
    columns = tuple(
        replace(one, load=OfLoad(one.load.what, values[LoadColumn(one.load.what)]))
        if one.load
        else one
        for one in export.columns
    )
    return replace(export, columns=columns)


def load_faults(spec: ExportSpec, read: Sequence[Column], source: Facts) -> Iterator[str]:
    names = {column.name for column in read}
    for name, what in spec.columns_of_load.items():
        if name in names:
            yield f"load-columns: there is a column {name} already: give `{what}=NAME`"
        if what is LoadColumn.LSN and source.engine != "postgresql":
            yield f"load-columns: a snapshot of {source.label} has no lsn"
