"""What a function returned for a batch: its columns, and the proof that its rows are the batch's.

The function gets a number with each row: pandas as the frame's index, others as the last column. A
result shows by these, or by the column that names a row, that no row has taken another's place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from windlass.inplace.carriers import Column, Unfit, plain
from windlass.inplace.missing import read_series

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = "it has to return as many rows as it was given, in the same order"


@dataclass(frozen=True, slots=True)
class Asked:
    """What every result of a function must fulfil. `row` is the name of the rows' numbers."""

    columns: Mapping[str, Column]
    id: str
    row: str
    trusts_order: bool
    on_unknown: str = "name them under add, with their type"  # what to do about other columns
    on_order: str = "; or give `order: trusted` if it keeps the order"


@dataclass(frozen=True, slots=True)
class _Result:
    names: Sequence[str]
    length: int
    read: Callable[[str], pa.Array]
    places: Sequence[object] | None  # the rows' numbers, if they came back


def row_name(columns: Collection[str]) -> str:
    """The name of the rows' numbers, which no column has."""
    name = "windlass_row"
    while name in columns:
        name += "_"
    return name


def make_frame(rows: pa.Table, frame: str, row: str) -> Any:
    """What the function gets. The numbers begin at 0: with a pandas index like that, lists and new
    Series are assigned as usual. The index's name shows whether the function replaced it."""
    import pyarrow as pa

    if frame == "pandas":
        import pandas as pd

        # Arrow's own types: a NULL does not turn whole numbers into floats
        made = rows.to_pandas(types_mapper=pd.ArrowDtype)
        made.index = pd.RangeIndex(rows.num_rows, name=row)
        return made
    rows = rows.append_column(row, pa.array(range(rows.num_rows), pa.int64()))
    if frame == "polars":
        import polars as pl

        return pl.from_arrow(rows)
    return rows


def read_result(given: Any, rows: pa.Table, asked: Asked) -> dict[str, pa.Array]:
    """The columns that a function returned for `rows`, if they are certainly these rows'.

    Raises:
        Unfit: they are not, or it is something else.
    """
    result = _open(given, rows, asked)
    _check_names(result, asked)
    if result.length != rows.num_rows:
        raise Unfit(f"gave {result.length} rows for {rows.num_rows}", hint=_ROWS)
    _check_order(result, rows, asked)
    return {name: result.read(name) for name in result.names}


def _open(given: Any, rows: pa.Table, asked: Asked) -> _Result:
    import pyarrow as pa

    kind = type(given).__module__.split(".")[0], type(given).__name__
    if kind == ("pandas", "DataFrame"):
        return _open_pandas(given, rows, asked)
    if kind == ("polars", "DataFrame"):
        given = given.to_arrow()
    if isinstance(given, pa.RecordBatch):
        given = pa.Table.from_batches([given])
    if not isinstance(given, pa.Table):
        raise _wrong_class(given)
    table = given
    names = _once(table.column_names)
    places = table.column(asked.row).to_pylist() if asked.row in names else None
    names = [name for name in names if name != asked.row]
    return _Result(names, table.num_rows, lambda name: plain(table.column(name)), places)


def _wrong_class(given: Any) -> Unfit:
    hint = "it has to return a frame of pandas or polars, or an Arrow table"
    if given is None:
        hint = "it has to end with return, and the frame"
    if type(given).__name__ == "LazyFrame":
        hint = "return its collect()"
    if hasattr(given, "close") and hasattr(given, "send"):  # a generator or coroutine
        given.close()
    return Unfit(f"gave a {type(given).__name__}, not a frame or a table", hint=hint)


def _open_pandas(frame: Any, rows: pa.Table, asked: Asked) -> _Result:
    names = _once(list(frame.columns))
    places = None
    if asked.row in names:  # reset_index()
        places = frame[asked.row].tolist()
    elif frame.index.nlevels == 1 and frame.index.name == asked.row:
        places = frame.index.tolist()

    def read(name: str) -> pa.Array:
        before = plain(rows.column(name)) if name in rows.column_names else None
        return read_series(frame[name], asked.columns[name], before)

    return _Result([name for name in names if name != asked.row], len(frame), read, places)


def _once(names: Sequence[Any]) -> Sequence[str]:
    doubled = [str(name) for place, name in enumerate(names) if name in names[:place]]
    if doubled:
        hint = "return every column once"
        raise Unfit(f"gave a column twice: {', '.join(dict.fromkeys(doubled))}", hint=hint)
    return names


def _check_names(result: _Result, asked: Asked) -> None:
    if not result.names:
        raise Unfit("gave no columns", hint="it has to return those that it changes")
    if unknown := [str(name) for name in result.names if name not in asked.columns]:
        raise Unfit(
            f"gave columns that the table does not have: {', '.join(unknown)}",
            hint=asked.on_unknown,
        )


def _check_order(result: _Result, rows: pa.Table, asked: Asked) -> None:
    if result.places is not None and list(result.places) != list(range(result.length)):
        raise _misplaced(result.places)
    is_proven = result.places is not None or asked.trusts_order
    if asked.id in result.names and asked.id in rows.column_names:
        before = rows.column(asked.id).to_pylist()
        if result.read(asked.id).to_pylist() != before:
            raise Unfit(f"gave its rows in another order, or changed {asked.id}", hint=_ROWS)
        is_proven = is_proven or _are_different(before)
    if not is_proven:
        raise Unfit(
            "it cannot be known which of its rows is which",
            hint=_proofs(asked) + asked.on_order,
        )


def _misplaced(places: Sequence[object]) -> Unfit:
    if sorted(map(str, places)) == sorted(map(str, range(len(places)))):
        message = "gave its rows in another order, or under another index"
        return Unfit(message, hint=_ROWS + ": with pandas, sort_index() restores it")
    return Unfit("gave some of its rows twice, or under another index", hint=_ROWS)


def _are_different(values: Sequence[object]) -> bool:
    """Whether each value names one row."""
    texts = {repr(value) for value in values if value is not None}
    return len(texts) == len(values)


def _proofs(asked: Asked) -> str:
    column = f"return {asked.id} too" if asked.id else f"return {asked.row} too"
    return f"{column}, or with pandas keep the frame's index {asked.row}"
