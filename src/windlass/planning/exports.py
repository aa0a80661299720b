"""What an export will do: which relations, which columns as which types, and every problem.

Pure: the source was read before. The flow finds out where a watermark begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from windlass.engines.base import OURS, Facts
from windlass.model.export import (
    STAMPS,
    Column,
    Described,
    Export,
    Kind,
    Readable,
    Request,
    Span,
)
from windlass.model.report import Problem
from windlass.model.units import several
from windlass.planning.patterns import is_matched_last, matches, matches_column
from windlass.spec.choices import Unmatched
from windlass.spec.export import ExportSpec, RelationSpec

HASH_KEY = "WINDLASS_HASH_KEY"  # of the environment: the key to hash with
LEAST_KEY = 16  # characters of it
NO_KEY = "none"  # in place of its id
_SHOWN = 5  # names of what there is
_SPELLING = "check the spelling; `unmatched: ignore` lets such patterns pass"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One relation or query of an export, with its entry in the spec."""

    spec: RelationSpec
    request: Request

    @property
    def relation(self) -> Readable | None:
        return self.request.relation

    @property
    def plain(self) -> str:
        """The beginning of patterns that match its columns."""
        return self.relation.name.plain if self.relation else self.request.name


def choose(
    spec: ExportSpec, relations: Sequence[Readable]
) -> tuple[dict[str, Wanted], list[Problem]]:
    """What is exported, by name. If several entries match a relation, the last one wins."""
    problems = []
    chosen: dict[str, Wanted] = {}
    for one in spec.relations or (RelationSpec(name="*"),):
        if one.query:
            chosen[one.name] = Wanted(one, _request(one, None))
            continue
        found = [relation for relation in relations if _is_meant(spec, one.name, relation)]
        if not found:
            problems.append(Problem(one.name, "names no relation of the source", _all(relations)))
        for relation in found:
            chosen[str(relation.name)] = Wanted(one, _request(one, relation))
    return chosen, problems


def _all(relations: Sequence[Readable]) -> str:
    return f"it has {several([str(one.name) for one in relations], _SHOWN) or 'no tables'}"


def _request(one: RelationSpec, relation: Readable | None) -> Request:
    name = str(relation.name) if relation else one.name
    return Request(name, relation, one.query, one.where, one.text, one.types, one.cast)


def _is_meant(spec: ExportSpec, pattern: str, relation: Readable) -> bool:
    if any(matches(relation.name, one) for one in spec.exclude):
        return False
    if relation.name.plain == pattern:
        return True
    if relation.name.name.startswith(OURS):
        return False  # a source that is a warehouse itself has its own records
    return relation.by_pattern and matches(relation.name, pattern)


def plan_export(
    spec: ExportSpec,
    wanted: Wanted,
    described: Described,
    source: Facts,
    target: Facts,
    key_id: str = "",
) -> tuple[Export, list[str]]:
    """The export of one relation, as far as the source is not needed for it; and every fault in its
    entry in the spec. `key_id` is that of the key to hash with, if there is one."""
    one, relation = wanted.spec, wanted.relation
    columns = _columns(spec, wanted, described.columns, target, key_id or NO_KEY)
    disposition = spec.disposition_of(one)
    key = one.key or (relation.key if relation else ())
    faults = _unknown(one, described.columns)
    if one.types and source.typed:
        faults.append(f"types: {source.label} has types: give a query that casts its columns")
    faults += [column.unclear for column in columns if column.unclear]
    faults += _rename_faults(one, columns)
    faults += _partition_faults(one, columns)
    if one.cast and not source.typed:
        faults.append(f"cast: {source.label} has no types: give `types`, or a query that casts")
    if any(column.hash == NO_KEY for column in columns):
        faults.append(f"hash: {HASH_KEY} is not set, or has less than {LEAST_KEY} characters")
    key = tuple(one.rename.get(part, part) for part in key)
    if disposition == "merge":
        faults += _key_faults(key, columns)
    faults += _overlap_faults(one, described.columns)
    if not columns:
        faults.append("has no columns left to export")
    rows, size_bytes = described.rows, described.size_bytes
    if relation and rows < 0:
        rows, size_bytes = relation.rows, relation.size_bytes
    export = Export(
        wanted.request.name,
        one.table or (relation.name.name if relation else one.name),
        query="",
        columns=columns,
        disposition=str(disposition),
        relation=wanted.request.name if relation else "",
        key=tuple(key) if disposition == "merge" else (),
        watermark=one.watermark,
        span=Span(one.overlap_seconds, once=disposition == "append"),
        require_rows=spec.require_rows if one.require_rows is None else one.require_rows,
        size_bytes=max(size_bytes, 0),
        rows=rows,
    )
    return export, faults


def _columns(
    spec: ExportSpec, wanted: Wanted, described: Sequence[Column], target: Facts, key_id: str
) -> tuple[Column, ...]:
    only = wanted.spec.columns
    columns = [
        _fitted(spec, wanted, column, target, key_id)
        for column in described
        if not (only and column.name not in only) and not _is_named(spec.leave_out, wanted, column)
    ]
    if only:
        columns.sort(key=lambda one: only.index(one.name))
    renamed, by = wanted.spec.rename, wanted.spec.partition_by
    columns = [
        replace(one, partition=by.index(one.name) + 1) if one.name in by else one for one in columns
    ]
    return tuple(
        replace(one, name=renamed[one.name], source=one.name) if one.name in renamed else one
        for one in columns
    )


def _fitted(spec: ExportSpec, wanted: Wanted, column: Column, target: Facts, key_id: str) -> Column:
    """A column in the form that files for this target hold."""
    not_null = wanted.relation is not None and column.name in wanted.relation.not_null
    column = replace(column, not_null=not_null)
    if is_matched_last(wanted.plain, column.name, spec.mask):
        return Column(column.name, column.type, Kind.TEXT, not_null=not_null, mask=True)
    as_text = Column(column.name, column.type, Kind.TEXT, not_null=not_null, is_cast=True)
    if _is_named(spec.hash, wanted, column):
        return replace(as_text, cast=column.cast, hash=key_id)
    if column.name in wanted.spec.text:
        return replace(as_text, cast=column.cast)
    if column.is_list and not target.lists:
        return replace(column, kind=Kind.JSON, is_list=False, is_cast=True)
    if column.kind is Kind.UUID and not target.uuids:
        return as_text
    return column


def _is_named(patterns: Sequence[str], wanted: Wanted, column: Column) -> bool:
    return any(matches_column(wanted.plain, column.name, pattern) for pattern in patterns)


def _unknown(one: RelationSpec, described: Sequence[Column]) -> list[str]:
    names = [column.name for column in described]
    mark = (one.watermark,) if one.watermark else ()
    given = {"columns": one.columns, "text": one.text, "key": one.key, "watermark": mark}
    given |= {"types": tuple(one.types), "cast": tuple(one.cast), "rename": tuple(one.rename)}
    given["partition-by"] = one.partition_by
    faults = [
        f"{word}: there is no column {name}"
        for word, some in given.items()
        for name in some
        if name not in names
    ]
    twice = [name for name, count in Counter(names).items() if count > 1]
    return faults + [f"two columns are called {name}" for name in twice]


def _rename_faults(one: RelationSpec, columns: Sequence[Column]) -> list[str]:
    counts = Counter(column.name for column in columns)
    return [
        f"rename: {count} columns would be called {name}"
        for name, count in counts.items()
        if count > 1 and name in one.rename.values()
    ]


_IN_PATHS = (Kind.TEXT, Kind.BOOLEAN, Kind.INT16, Kind.INT32, Kind.INT64, Kind.DATE, Kind.DECIMAL)


def _partition_faults(one: RelationSpec, columns: Sequence[Column]) -> list[str]:
    kept = {column.origin: column for column in columns}
    faults = []
    for name in one.partition_by:
        column = kept.get(name)
        if column is None or column.mask:
            faults.append(f"partition-by: {name} is left out or masked")
        elif column.is_list or column.kind not in _IN_PATHS:
            faults.append(
                f"partition-by: {name} is {column.type}: give a text, whole number, date or boolean"
            )
    if len(set(one.partition_by)) == len(columns):
        faults.append("partition-by: no column is left for the files")
    return faults


def _key_faults(key: Sequence[str], columns: Sequence[Column]) -> list[str]:
    if not key:
        return ["has no key to merge by: give `key`"]
    kept = {column.name for column in columns if not column.mask}
    return [f"key: {part} is left out or masked" for part in key if part not in kept]


def _overlap_faults(one: RelationSpec, described: Sequence[Column]) -> list[str]:
    return [
        f"overlap-seconds: {column.name} is {column.type}, not a time or date"
        for column in described
        if one.overlap_seconds and column.name == one.watermark and column.kind not in STAMPS
    ]


# what is wrong with all of it


def unmatched(
    spec: ExportSpec, relations: Sequence[Readable], columns: Sequence[tuple[str, str]] | None
) -> Iterator[Problem]:
    """Patterns that match nothing, as what they should have hidden would be exported in clear.
    `columns` are those of all chosen relations; None if some could not be read."""
    if spec.unmatched is Unmatched.IGNORE:
        return
    for pattern in spec.exclude:
        if not any(matches(one.name, pattern) for one in relations):
            yield Problem(f"exclude: {pattern}", "names no relation of the source", _SPELLING)
    if columns is None:
        return
    hiding = (("mask", spec.mask), ("hash", spec.hash), ("leave-out", spec.leave_out))
    for word, patterns in hiding:
        for pattern in patterns:
            named = pattern.removeprefix("!") if word == "mask" else pattern
            if not any(matches_column(*column, named) for column in columns):
                yield Problem(f"{word}: {pattern}", "names no column of these relations", _SPELLING)


def unreadable(chosen: Mapping[str, Wanted]) -> list[Problem]:
    return [
        Problem(str(one.relation.name), message, hint)
        for one in chosen.values()
        if one.relation
        for message, hint in one.relation.faults
    ]


def table_problems(exports: Collection[Export]) -> list[Problem]:
    """Table names that the warehouse cannot have."""
    ours = [
        Problem(one.name, f"{one.table} is a name of windlass's own", "give `table`")
        for one in exports
        if one.table.lower().startswith(OURS)
    ]
    tables = Counter(one.table for one in exports)
    return ours + [
        Problem(table, f"{count} relations would be loaded into this table", "give `table`")
        for table, count in tables.items()
        if count > 1
    ]
