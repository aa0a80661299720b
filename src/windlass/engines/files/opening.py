"""Opens files as inputs: chooses the reader, and checks that all files of a load have the same
fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from windlass.engines.aside import Aside, setting_aside
from windlass.engines.files.locations import format_of, local_files
from windlass.engines.files.stored import Stored, compression_of, zip_member
from windlass.engines.landing import Input, RawCsv
from windlass.errors import Refused, WindlassError
from windlass.model.inputs import Compression, FilesFrom, Format
from windlass.model.load import Field, Identity
from windlass.model.report import Problem
from windlass.model.wording import word

if TYPE_CHECKING:
    import pyarrow as pa


def open_files(source: FilesFrom) -> list[Input]:
    """The files of this machine, in the order of their locations, and by name within a pattern.

    Raises:
        BadSpec: an option is wrong.
        Refused: a file is not there, or has other fields than the first. Has every problem.
        BadRecord: a header cannot be read.
        WindlassError: a file cannot be read.
    """
    return aligned([open_file(source, *one) for one in local_files(source.locations)])


def open_file(
    source: FilesFrom, path: Path, place: str, name: str = "", known: Identity | None = None
) -> Input:
    """One file, called `place` in messages; its `name` decides the format. `known` is what was
    learnt when it was fetched.

    Raises: as `open_files`.
    """
    name = name or place
    compression = source.compression or compression_of(name)
    stored = Stored(path, place, compression, source.member, source.unlimited, known or Identity())
    if compression is Compression.ZIP:
        name = zip_member(stored)
    format_ = source.format or format_of(name, compression)
    if format_ is None:
        names = ", ".join(one.value for one in Format if one)
        raise WindlassError(
            f"{place}: its name does not say which format it has",
            hint=f"give {word('format')}: {names}",
            side="source",
        )
    return _opened(source, stored, format_)


def _opened(source: FilesFrom, stored: Stored, format_: Format) -> Input:
    if format_ in (Format.CSV, Format.TSV):
        from windlass.engines.files.csv_input import CsvInput

        return CsvInput(stored, source.csv, tabs=format_ is Format.TSV)
    if format_ in (Format.JSON, Format.JSON_LINES):
        from windlass.engines.files.json_input import JsonInput

        lines = format_ is Format.JSON_LINES
        return JsonInput(stored, source.json.keys, lines=lines, most_bad=source.most_bad)
    if stored.compression is not Compression.NONE:
        raise WindlassError(
            f"{stored.place}: {format_} is compressed inside, and cannot be in a compressed file",
            hint="decompress it first",
            side="source",
        )
    if format_ is Format.PARQUET:
        from windlass.engines.files.parquet_input import ParquetInput

        return ParquetInput(stored)
    from windlass.engines.files.excel_input import ExcelInput

    return ExcelInput(stored, source.excel)


class Reordered:
    """An input whose fields are put into another order."""

    def __init__(self, source: Input, fields: Sequence[Field]) -> None:
        self._source, self.fields = source, fields
        self.place = source.place

    @cached_property
    def identity(self) -> Identity:
        return self._source.identity

    def batches(self) -> Iterator[pa.RecordBatch]:
        names = [one.name for one in self.fields]
        for batch in self._source.batches():
            yield batch.select(names)

    def setting_aside(self, aside: Aside) -> Reordered:
        """See `windlass.engines.aside`."""
        return Reordered(setting_aside(self._source, aside), self.fields)

    def raw(self) -> RawCsv | None:
        return None

    def line_of(self, record: int) -> int:
        return self._source.line_of(record)


def aligned(inputs: Sequence[Input]) -> list[Input]:
    """All inputs with the fields of the first, in its order; for JSON, with the fields of all.

    Raises:
        Refused: an input lacks a field, or has one more, or one of another type.
    """
    inputs = _united(inputs)
    if not inputs:
        return []
    wanted = inputs[0].fields
    problems = [one for other in inputs[1:] for one in _differences(inputs[0], other)]
    if problems:
        raise Refused(problems)
    return [one if _names(one) == _names(inputs[0]) else Reordered(one, wanted) for one in inputs]


def _united(inputs: Sequence[Input]) -> list[Input]:
    names = dict.fromkeys(
        name for one in inputs if hasattr(one, "with_fields") for name in _names(one)
    )
    return [
        one.with_fields(names)
        if hasattr(one, "with_fields") and _names(one) != list(names)
        else one
        for one in inputs
    ]


def _names(one: Input) -> list[str]:
    return [field.name for field in one.fields]


def _differences(first: Input, other: Input) -> Iterator[Problem]:
    hint = "load files of another shape by another load"
    there, here = set(_names(first)), set(_names(other))
    for name in sorted(there - here):
        yield Problem(other.place, f"lacks the field {name}, which {first.place} has", hint)
    for name in sorted(here - there):
        yield Problem(other.place, f"has the field {name}, which {first.place} lacks", hint)
    types = {field.name: _type(field) for field in first.fields}
    for field in other.fields:
        if field.name in types and types[field.name] != _type(field):
            message = f"{field.name} is {_type(field)}, in {first.place} {types[field.name]}"
            yield Problem(other.place, message, hint)


def _type(field: Field) -> str:
    return field.column.described if field.column else "text"
