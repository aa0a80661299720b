"""The targets that loads are tested on, each with a database of its own, and inputs for them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from windlass.engines.landing import Landing, LoadRun, RawCsv
from windlass.model.load import (
    Assigned,
    BadRules,
    Counts,
    Duplicates,
    Field,
    Identity,
    Load,
    LoadWords,
    Matched,
    Missing,
    Table,
    Take,
)
from windlass.model.outcome import State

LANDINGS = ("sqlite",)
Record = Sequence[str | None]


@dataclass(frozen=True)
class Target:
    """A database of one engine, empty at first."""

    name: str
    open: Callable[[], Landing]
    run: Callable[..., None]  # statements, each in a transaction, as another program
    rows: Callable[[str], list[tuple[Any, ...]]]
    types: Mapping[str, str]  # what it calls them

    def fresh(self, table: str, columns: str) -> None:
        self.run(f"drop table if exists {table}", f"create table {table} ({columns})")


SQLITE = {"int": "integer", "decimal": "decimal(8,2)", "float": "real", "text": "text",
          "short": "varchar(5)", "bytes": "blob", "bool": "boolean", "date": "date",
          "moment": "timestamp", "time": "time", "uuid": "uuid", "json": "json"}  # fmt: skip


def sqlite_target(folder: Path) -> Target:
    from windlass.engines.sqlite.landing.file import open_landing

    path = folder / "target.db"

    def run(*statements: str) -> None:
        with closing(sqlite3.connect(path, timeout=0)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def rows(query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path, timeout=0)) as connection:
            return connection.execute(query).fetchall()

    run("pragma journal_mode = wal")
    return Target("sqlite", lambda: open_landing(f"sqlite://{path}", 0.2), run, rows, SQLITE)


class Records:
    """Records of text in memory; or, with a type for each field, of anything."""

    def __init__(
        self,
        fields: Sequence[str],
        records: Sequence[Sequence[Any]],
        place: str = "orders.csv",
        *,
        batch: int = 7,
        typed: Sequence[Field] | None = None,
        types: Sequence[pa.DataType] | None = None,
    ) -> None:
        self.place, self._records, self._batch = place, records, batch
        self.fields: Sequence[Field] = typed or tuple(Field(one) for one in fields)
        self._types = types or [pa.string()] * len(fields)

    @property
    def identity(self) -> Identity:
        return Identity()

    def batches(self) -> Iterator[pa.RecordBatch]:
        for start in range(0, len(self._records), self._batch):
            some = self._records[start : start + self._batch]
            arrays = [
                pa.array([one[at] for one in some], type_) for at, type_ in enumerate(self._types)
            ]
            yield pa.RecordBatch.from_arrays(arrays, names=[one.name for one in self.fields])

    def raw(self) -> RawCsv | None:
        return None

    def line_of(self, record: int) -> int:
        return record + 1  # after a header


WORDS = {
    "append": LoadWords(name="append"),
    "insert": LoadWords(name="insert", matched=Matched.SKIP),
    "refuse": LoadWords(matched=Matched.REFUSE),
    "merge": LoadWords(name="merge", matched=Matched.UPDATE),
    "replace": LoadWords(name="replace", missing=Missing.DELETE),
    "mirror": LoadWords(name="mirror", matched=Matched.UPDATE, missing=Missing.DELETE),
    "mark": LoadWords(name="mirror", matched=Matched.UPDATE, missing=Missing.MARK, mark="gone"),
    "slice": LoadWords(name="slice", take=Take.WHERE, missing=Missing.DELETE),
    "history": LoadWords(name="history", matched=Matched.UPDATE, missing=Missing.DELETE,
                         history=True),
}  # fmt: skip
KEYED = ("insert", "refuse", "merge", "mirror", "mark", "history")


def words_of(name: str, key: Sequence[str] = ("id",), **more: Any) -> LoadWords:
    words = replace(WORDS[name], **more)
    return replace(words, key=tuple(key)) if name in KEYED else words


def load_of(
    table: Table,
    words: LoadWords,
    columns: Sequence[str | Assigned],
    fields: Sequence[str | Field] = (),
    inputs: Sequence[str] = ("orders.csv",),
    **more: Any,
) -> Load:
    """Columns that have the names of fields, unless they are said to be something else."""
    types = {one.name: one.type for one in table.columns}
    assigned = tuple(
        one if isinstance(one, Assigned) else Assigned(one, types[one], field=one)
        for one in columns
    )
    names = fields or [one.field for one in assigned if one.field]
    made = tuple(one if isinstance(one, Field) else Field(one) for one in names)
    return Load(table, words, made, assigned, inputs=tuple(inputs), **more)


def begin(landing: Landing, run: str) -> LoadRun:
    return landing.begin(LoadRun(run, State.RUNNING, "orders.csv", {"run": run}, {}))


def load(landing: Landing, run: str, what: Load, *inputs: Records) -> Counts:
    """All that a flow does. Each thing twice: the second time it does nothing."""
    begin(landing, run)
    for number, one in enumerate(inputs, start=1):
        first = landing.stage(run, what, number, one)
        again = landing.stage(run, what, number, one)
        assert (first.rows, first.refused) == (again.rows, again.refused)
    assert landing.check(run, what) == []
    counts = landing.apply(run, what)
    assert landing.apply(run, what) == counts
    landing.clean_up(run, what)
    landing.clean_up(run, what)
    return counts


def table_of(landing: Landing, name: str) -> Table:
    found = landing.table(name)
    assert found is not None
    return found


__all__ = ["BadRules", "Duplicates", "Load", "Records", "Target"]
