"""Loads into PostgreSQL without a flow: inputs in memory, and runs of one load."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from servers import Database
from windlass.engines.landing import LoadRun, RawCsv
from windlass.engines.postgres.landing.landing import PostgresLanding
from windlass.journal.loads import LoadBooks
from windlass.model.export import Column
from windlass.model.load import (
    Assigned,
    Counts,
    Expectation,
    Field,
    Finding,
    Identity,
    Load,
    Staged,
    Table,
)
from windlass.model.load_words import Duplicates, LoadWords, Matched, Missing, Take
from windlass.model.outcome import Outcome, State
from windlass.model.past import Others, Undone

Record = Sequence[str | None]
_NUMBERS = itertools.count(1)

WORDS = {
    "append": LoadWords(name="append"),
    "insert": LoadWords(matched=Matched.SKIP, name="insert"),
    "merge": LoadWords(matched=Matched.UPDATE, name="merge"),
    "replace": LoadWords(missing=Missing.DELETE, name="replace"),
    "mirror": LoadWords(matched=Matched.UPDATE, missing=Missing.DELETE, name="mirror"),
    "slice": LoadWords(take=Take.WHERE, missing=Missing.DELETE, name="slice"),
    "history": LoadWords(matched=Matched.UPDATE, history=True, name="history"),
}


@dataclass
class Records:
    """An input of texts. Record N begins in line N + 1: the first has the header."""

    names: Sequence[str]
    records: Sequence[Record]
    place: str = "orders.csv"
    batch_rows: int = 2
    is_raw: bool = False

    @property
    def fields(self) -> Sequence[Field]:
        return [Field(name) for name in self.names]

    @property
    def identity(self) -> Identity:
        return Identity()

    def batches(self) -> Iterator[pa.RecordBatch]:
        for at in range(0, len(self.records), self.batch_rows):
            some = self.records[at : at + self.batch_rows]
            arrays = [pa.array(column, pa.string()) for column in zip(*some, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, names=list(self.names))

    def raw(self) -> RawCsv | None:
        if not self.is_raw:
            return None
        lines = (",".join(map(_quoted, record)) + "\n" for record in self.records)
        return RawCsv(iter([line.encode() for line in lines]), null="")

    def line_of(self, record: int) -> int:
        return record + 1


def _quoted(value: str | None) -> str:
    return "" if value is None else '"{}"'.format(value.replace('"', '""'))


@dataclass
class Typed:
    """An input with types."""

    columns: Sequence[Column]
    batch: pa.RecordBatch
    place: str = "orders.parquet"

    @property
    def fields(self) -> Sequence[Field]:
        return [Field(one.name, one) for one in self.columns]

    @property
    def identity(self) -> Identity:
        return Identity()

    def batches(self) -> Iterator[pa.RecordBatch]:
        yield self.batch

    def raw(self) -> None:
        return None

    def line_of(self, record: int) -> int:
        return 0


Source = Records | Typed


def open_landing(database: Database, user: str = "postgres") -> PostgresLanding:
    return PostgresLanding(database.url_for(user), LoadBooks())


def load_of(
    table: Table,
    words: LoadWords,
    source: Source,
    *,
    sql: Mapping[str, str] | None = None,
    expect: Sequence[Expectation] = (),
    skip: Sequence[str] = (),
    **more: Any,
) -> Load:
    """Each field into the column of its name, but for those in `skip`; `sql` for other columns."""
    types = {one.name: one.type for one in (*table.columns, *more.get("adds", ()))}
    assigned = [
        Assigned(one.name, types[one.name], field=one.name)
        for one in source.fields
        if one.name not in skip and one.name not in (sql or {})
    ]
    assigned += [Assigned(name, types[name], sql=text) for name, text in (sql or {}).items()]
    return Load(
        table=table,
        words=words,
        fields=tuple(source.fields),
        assigned=tuple(assigned),
        expectations=tuple(expect),
        inputs=(source.place,),
        **more,
    )


def words(name: str, *key: str, **more: Any) -> LoadWords:
    return replace(WORDS[name], key=key, **more)


LAST = Duplicates.LAST


@dataclass
class Loaded:
    """What a run of one load has done."""

    run: str
    counts: Counts
    findings: Sequence[Finding] = ()
    staged: Sequence[Staged] = ()


@dataclass
class Loads:
    """Runs loads into one database, each as a run. A context manager."""

    database: Database
    user: str = "postgres"

    def __enter__(self) -> Loads:
        self._stack = ExitStack()
        self.landing = self._stack.enter_context(open_landing(self.database, self.user))
        return self

    def __exit__(self, *fault: object) -> None:
        self._stack.close()

    def table(self, name: str) -> Table:
        found = self.landing.table(name)
        assert found is not None
        return found

    def begin(self, run: str = "") -> str:
        run = run or f"20260101_0000_{next(_NUMBERS):04x}"
        self.landing.begin(LoadRun(run, State.RUNNING, "orders.csv", {"loads": run}, {}))
        return run

    def run(
        self, name: str, how: LoadWords, source: Source, *more: Source, run: str = "", **rest: Any
    ) -> Loaded:
        """Stage, check, apply, clean up and end."""
        load = load_of(self.table(name), how, source, **rest)
        load = replace(load, inputs=tuple(one.place for one in (source, *more)))
        return self.run_load(load, source, *more, run=run)

    def run_load(self, load: Load, *sources: Source, run: str = "") -> Loaded:
        run = self.begin(run)
        staged = [self.landing.stage(run, load, number, one) for number, one in enumerate(sources)]
        findings = self.landing.check(run, load)
        assert not [one for one in findings if not one.expectation.warns], findings
        counts = self.landing.apply(run, load)
        self.landing.clean_up(run, load)
        self.landing.end(run, State.DONE, Outcome(run, State.DONE))
        return Loaded(run, counts, findings, staged)

    def undo(self, run: str, others: Others = Others.REFUSE) -> Undone:
        return self.landing.undo(run, others)
