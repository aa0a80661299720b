"""Calls Python functions on lines of COPY: they come in as the source has written them, and leave
as the target reads them. One batch is in memory at a time."""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.errors import WindlassError
from windlass.flows.mapped.lines import as_array, as_texts, read_lines, write_lines
from windlass.inplace.carriers import Column, Unfit
from windlass.inplace.returned import Asked, make_frame, read_result, row_name
from windlass.model.functions import imported
from windlass.model.plan import ColumnPlan, RelationPlan

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_BYTES = 8 << 20
_LIBRARIES = {"pandas": ("pandas",), "polars": ("polars",), "arrow": ()}


@dataclass(frozen=True, slots=True)
class Work:
    """What functions make of a table's lines. `columns` are the names and types of what is read,
    without blanks in types; `sent` are the positions of those that leave."""

    table: str
    columns: tuple[tuple[str, str], ...]
    not_null: tuple[str, ...]
    sent: tuple[int, ...]
    functions: tuple[tuple[str, tuple[str, ...]], ...]
    frame: str
    batch_rows: int

    def in_batches_of(self, rows: int) -> Work:
        return replace(self, batch_rows=max(1, rows))


def is_late(item: RelationPlan) -> bool:
    return item.mapping is not None and item.mapping.is_late


def read_columns(item: RelationPlan) -> list[ColumnPlan]:
    """The columns that are read from the source: without those that SQL of the target computes."""
    return [one for one in item.columns if not item.how(one).finish]


def work_of(item: RelationPlan, *, computed: bool) -> Work | None:
    """The functions of a relation; None if it has none. `computed`: also send what the target
    computes itself, to compare it."""
    mapping = item.mapping
    if mapping is None or not mapping.functions:
        return None
    columns = read_columns(item)
    named = {item.how(one).target: one.target for one in columns}
    sent = [at for at, one in enumerate(columns) if computed or not one.generated]
    return Work(
        str(item.relation.name),
        tuple((one.target, one.target_type.replace(", ", ",")) for one in columns),
        tuple(one.target for one in columns if one.not_null),
        tuple(sent),
        tuple(
            (name, tuple(named[one] for one in made)) for name, made in mapping.functions.items()
        ),
        mapping.frame,
        mapping.batch_rows,
    )


class Caller:
    """Calls the functions of one table. Not for several threads."""

    def __init__(self, work: Work) -> None:
        """Raises:
        WindlassError: a function cannot be imported here.
        """
        self._work = work
        self._columns = {name: Column(name, type_) for name, type_ in work.columns}
        self._functions = [(name, imported(name), made) for name, made in work.functions]
        self._row = row_name(self._columns)
        self._asked = Asked(
            self._columns,
            "",
            self._row,
            trusts_order=False,
            on_unknown="leave them out: it may return columns that arrive, by their names there",
            on_order="",
        )
        self._waiting = bytearray()
        self._rows = self._batch = 0

    def feed(self, block: bytes) -> Iterator[bytes]:
        """The lines that are ready, once a batch of them has come."""
        self._waiting += block
        self._rows += block.count(b"\n")
        if self._rows >= self._work.batch_rows or len(self._waiting) >= _BATCH_BYTES:
            yield from self._ready()

    def finish(self) -> Iterator[bytes]:
        """The lines of the last batch."""
        yield from self._ready()

    def through(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        for block in blocks:
            yield from self.feed(block)
        yield from self.finish()

    def _ready(self) -> Iterator[bytes]:
        end = self._waiting.rfind(b"\n") + 1
        lines = bytes(self._waiting[:end])
        del self._waiting[:end]
        self._rows = 0
        rows = read_lines(lines)
        for start in range(0, len(rows), self._work.batch_rows):
            yield self._call(rows[start : start + self._work.batch_rows])

    def _call(self, rows: Sequence[Sequence[str | None]]) -> bytes:
        import pyarrow as pa

        self._batch += 1
        texts: dict[str, Sequence[str | None]] = dict(
            zip(self._columns, zip(*rows, strict=True), strict=True)
        )
        name = self._work.functions[0][0]
        try:
            arrays = [as_array(texts[one.name], one) for one in self._columns.values()]
            given = pa.table(arrays, list(self._columns))
            made: dict[str, Sequence[str | None]] = {}
            for name, function, columns in self._functions:
                made |= self._made(name, function, columns, given)
        except Unfit as error:
            where = "" if error.row is None else f", in row {error.row + 1} of the batch"
            raise self._fault(name, f"{error}{where}", error.hint) from error
        found = list((texts | made).values())
        return write_lines([found[at] for at in self._work.sent])

    def _made(
        self, name: str, function: Callable[[Any], Any], columns: Sequence[str], given: pa.Table
    ) -> dict[str, Sequence[str | None]]:
        frame = make_frame(given, self._work.frame, self._row)
        returned = read_result(self._run(name, function, frame), given, self._asked)
        if lacking := [one for one in columns if one not in returned]:
            raise Unfit(f"gave no column {lacking[0]}", hint="it has to return what it makes")
        for one, values in returned.items():
            if one not in columns and not _is_same(values, given.column(one)):
                hint = f"return it as it was, or leave it out; or give {one} a function as well"
                raise Unfit(f"has changed column {one}, which is not its to change", hint=hint)
        made = {one: as_texts(returned[one], self._columns[one]) for one in columns}
        for one in self._work.not_null:
            if one in made and None in made[one]:
                message = f"column {one}: NULL, and it is NOT NULL"
                raise Unfit(message, hint="give it a value", row=made[one].index(None))
        return dict(made)

    def _run(self, name: str, function: Callable[[Any], Any], frame: Any) -> Any:
        """The function's result. An error's text may hold a row's values, so it is not shown."""
        try:
            return function(frame)
        except KeyboardInterrupt:
            raise
        except (Exception, SystemExit) as error:
            *_, last = traceback.extract_tb(error.__traceback__)
            place = f"{Path(last.filename).name}, line {last.lineno}"
            message = f"{type(error).__name__} in {place}"
            raise self._fault(name, message, "-v shows all") from error

    def _fault(self, name: str, message: str, hint: str) -> WindlassError:
        place = f"{self._work.table}: function {name}, batch {self._batch}"
        return WindlassError(f"{place}: {message}", hint=hint)


def _is_same(values: pa.Array, before: pa.ChunkedArray) -> bool:
    return [repr(one) for one in values.to_pylist()] == [repr(one) for one in before.to_pylist()]


def missing_libraries(frame: str) -> list[str]:
    wanted = ("pyarrow", *_LIBRARIES[frame])
    return [name for name in wanted if importlib.util.find_spec(name) is None]
