"""A relation or a query of a database as an input: read in one snapshot, with the types that the
source gives its columns. A column whose type has no equivalent is exact text."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from copy import copy
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from windlass.engines.base import TEXT_FILES, Source
from windlass.engines.registry import open_source
from windlass.errors import BadSpec, Refused, WindlassError
from windlass.model.export import Column, Export, Kind, Readable, Request, loss_messages
from windlass.model.inputs import QueryFrom
from windlass.model.load import Field, Identity
from windlass.model.report import Problem

if TYPE_CHECKING:
    import pyarrow as pa

    from windlass.engines.landing import RawCsv

_SHOWN = 10


class QueryInput:
    """See `windlass.engines.landing.Input`. The first reading uses the snapshot in which the
    columns were described; that snapshot is held until then."""

    def __init__(self, wanted: QueryFrom) -> None:
        """Raises:
        BadSpec: the URL cannot be understood.
        Refused: there is no such relation, or it cannot be read.
        WindlassError: the source cannot be read, or does not accept the query.
        """
        if bool(wanted.relation) == bool(wanted.query) or (wanted.where and wanted.query):
            raise BadSpec(["from: give a relation, with a condition or without, or a query"])
        self._wanted = wanted
        self._text: tuple[str, ...] = ()
        self._opened: _Opened | None = _Opened(wanted)
        self.place = self._opened.place
        self._columns = self._opened.export.columns
        self.fields: Sequence[Field] = [Field(one.name, one) for one in self._columns]

    @property
    def identity(self) -> Identity:
        """Empty: only the rows themselves could show whether they have changed."""
        return Identity()

    def batches(self) -> Iterator[pa.RecordBatch]:
        opened, self._opened = self._opened or _Opened(self._wanted), None
        with opened:
            opened.cast(self._text)
            if opened.export.columns != self._columns:
                raise WindlassError(
                    f"{self.place}: its columns have changed since it was described",
                    hint="run it again",
                    side="source",
                )
            yield from opened.batches()

    def as_text(self, names: Sequence[str]) -> QueryInput:
        """The same input with the source's own text for values of these columns."""
        made = copy(self)
        made._text = tuple(names)
        if made._opened:
            made._opened.cast(made._text)
        made._columns = with_text(self._columns, made._text)
        return made

    def raw(self) -> RawCsv | None:
        return None

    def line_of(self, record: int) -> int:
        return 0


class _Opened:
    """A source that holds its snapshot, and what is read from it. Closed when the context is left,
    or with the last reference to it."""

    def __init__(self, wanted: QueryFrom) -> None:
        stack = ExitStack()
        self._close = weakref.finalize(self, stack.close)
        try:
            self._source = stack.enter_context(open_source(wanted.source))
            self.place = f"{self._source.place}: {wanted.relation or 'query'}"
            self._source.hold()
            self.export = _described(self._source, wanted)
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *fault: object) -> None:
        self._close()

    def cast(self, names: Sequence[str]) -> None:
        """Read these columns as text."""
        self.export = replace(self.export, columns=with_text(self.export.columns, names))

    def batches(self) -> Iterator[pa.RecordBatch]:
        with self._source.reading(self.export, TEXT_FILES, "load") as rows:
            yield from rows.batches()
            lost = loss_messages(rows.losses)
        if lost:
            problems = "; ".join(f"{column}: {message}" for column, message in lost.items())
            raise WindlassError(
                f"{self.place}: values would be lost: {problems}",
                hint="read a query that casts these columns to text",
                side="source",
            )


def with_text(columns: Sequence[Column], names: Sequence[str]) -> tuple[Column, ...]:
    """The columns as in an export that hashes some of them."""
    return tuple(
        Column(one.name, one.type, Kind.TEXT, not_null=one.not_null, is_cast=True)
        if one.name in names
        else one
        for one in columns
    )


def _described(source: Source, wanted: QueryFrom) -> Export:
    relation = _relation(source, wanted.relation) if wanted.relation else None
    name = str(relation.name) if relation else "query"
    request = Request(name, relation, wanted.query, wanted.where)
    described = source.describe(request)
    if described.unclear:
        request = replace(request, text=tuple(described.unclear))
        described = source.describe(request)
    columns = described.columns
    _check_names(columns, name)
    export = Export(
        name,
        name,
        source.item(request),
        columns,
        "truncate",
        relation=name if relation else "",
        source=source.identity,
        engine=source.facts.engine,
        sql_schema=request.schema if request.has_sql else None,
    )
    source.keep([export])
    return export


def _relation(source: Source, name: str) -> Readable:
    """The relation named by ``schema.name``, or by a name that only one relation has."""
    relations = source.relations()
    found = [one for one in relations if name in (str(one.name), one.name.plain)]
    found = found or [one for one in relations if name == one.name.name]
    if len(found) == 1:
        if faults := found[0].faults:
            raise Refused([Problem(name, *fault) for fault in faults])
        return found[0]
    if found:
        several = ", ".join(str(one.name) for one in found)
        hint = f"name one of {several}"
        raise Refused([Problem(f"{source.place}: {name}", "is in several schemas", hint)])
    names = [str(one.name) for one in relations]
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(names[:_SHOWN]) or 'none'}"
    raise Refused([Problem(f"{source.place}: {name}", "there is no such relation", hint)])


def _check_names(columns: Sequence[Column], name: str) -> None:
    names = [one.name for one in columns]
    doubled = sorted({one for one in names if names.count(one) > 1})
    if doubled or not names:
        what = f"has several columns {', '.join(doubled)}" if doubled else "has no columns"
        raise Refused([Problem(name, what, "give a query that names its columns")])
