"""What an export will do: which relations, which columns as which types, and every problem.

Pure: the source was read before. The flow finds out where a watermark begins.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from windlass.engines.base import OURS, Facts
from windlass.model import hashing
from windlass.model.export import (
    NUMBERS,
    STAMPS,
    Column,
    Described,
    Export,
    Kind,
    Readable,
    Request,
    Rules,
    Span,
)
from windlass.model.layout import TableLayout
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.units import several
from windlass.model.wording import word
from windlass.planning.load_columns import load_columns, load_faults
from windlass.planning.nesting import nested_faults, nested_form
from windlass.planning.patterns import is_matched_last, matches, matches_column
from windlass.spec.choices import Format, PartitionUnit, Unmatched
from windlass.spec.export import ExportSpec, RelationSpec

NO_KEY = "none"  # in place of its id
_SHOWN = 5  # of the names that exist
_SPELLING = "check the spelling; `unmatched: ignore` lets such patterns pass"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One relation or query of an export, with its entry in the spec."""

    spec: RelationSpec
    request: Request
    template: str = "{name}"  # of the tables' names

    @property
    def relation(self) -> Readable | None:
        return self.request.relation

    @property
    def is_named(self) -> bool:
        """Whether it is a query, or named in full, rather than matched by a pattern."""
        return self.relation is None or self.relation.name.plain == self.spec.name

    @property
    def table(self) -> str:
        """Its table in the warehouse."""
        name = self.relation.name if self.relation else Name("", self.request.name)
        parts = {"{schema}": name.schema, "{name}": name.name}
        template = self.spec.table or (self.template if self.relation else "{name}")
        return re.sub(r"\{(schema|name)\}", lambda found: parts[found[0]], template)

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
    for one in spec.wanted:
        if one.query:
            chosen[one.name] = Wanted(one, _request(spec, one, None), spec.table_names)
            continue
        found = [relation for relation in relations if _is_meant(spec, one.name, relation)]
        if not found:
            near = _near(one, relations)
            problems.append(Problem(one.name, "names no relation of the source", near))
        for relation in found:
            request = _request(spec, one, relation)
            chosen[str(relation.name)] = Wanted(one, request, spec.table_names)
    return chosen, problems


def _near(wanted: RelationSpec, relations: Sequence[Readable]) -> str:
    names = [str(one.name) for one in relations]
    if near := get_close_matches(wanted.name, names, n=1):
        return f"did you mean {near[0]}?"
    return f"it has {several(names, _SHOWN) or 'no tables'}"


def _request(spec: ExportSpec, one: RelationSpec, relation: Readable | None) -> Request:
    return Request(
        str(relation.name) if relation else one.name,
        relation,
        one.query,
        one.where,
        one.text,
        one.types,
        one.cast,
        spec.nests(one),
        one.dimensions,
    )


def _is_meant(spec: ExportSpec, pattern: str, relation: Readable) -> bool:
    if any(matches(relation.name, one) for one in spec.exclude):
        return False
    if relation.name.plain == pattern:
        return True
    return not is_ours(relation) and relation.by_pattern and matches(relation.name, pattern)


def is_ours(relation: Readable) -> bool:
    """Whether Windlass made it: a backup, or the records of a source that is a warehouse itself."""
    return relation.is_ours or relation.name.name.startswith(OURS)


def notice_of_ours(
    spec: ExportSpec, relations: Sequence[Readable], chosen: Mapping[str, Wanted]
) -> list[str]:
    """A notice of Windlass's own objects that patterns match."""
    patterns = [one.name for one in spec.wanted if not one.query]
    names = [
        str(one.name)
        for one in relations
        if is_ours(one)
        and str(one.name) not in chosen
        and any(matches(one.name, pattern) for pattern in patterns)
        and not any(matches(one.name, pattern) for pattern in spec.exclude)
    ]
    if not names:
        return []
    return [f"{several(names, _SHOWN)}: made by Windlass, and left out unless named in full"]


def plan_export(
    spec: ExportSpec,
    wanted: Wanted,
    described: Described,
    source: Facts,
    target: Facts,
    key_id: str = "",
) -> tuple[Export, list[str]]:
    """The export of one relation, as far as it can be planned without asking the source; and every
    fault in its entry in the spec. `key_id` identifies the key to hash with, if there is one."""
    one, relation = wanted.spec, wanted.relation
    read = _columns(spec, wanted, described.columns, target, key_id or NO_KEY)
    columns = (*read, *load_columns(spec))
    disposition = spec.disposition_of(one)
    key = one.key or (relation.key if relation else ())
    faults = _unknown(one, described.columns)
    if one.types and source.typed:
        faults.append(f"types: {source.label} has types: give a query that casts its columns")
    plain = [one.origin for one in read if not (one.mask or one.is_cast)]
    faults += [described.unclear[name] for name in plain if name in described.unclear]
    faults += _rename_faults(one, read)
    faults += _partition_faults(one, read)
    faults += load_faults(spec, read, source)
    if wanted.request.nested:
        faults += _nested_faults(wanted, read, described.columns, source, target)
    if one.cast and not source.typed:
        faults.append(f"cast: {source.label} has no types: give `types`, or a query that casts")
    faults += _hash_faults(columns)
    key = tuple(one.rename.get(part, part) for part in key)
    loads = bool(spec.warehouse_kind)
    by_key = disposition == "merge" or (loads and bool(one.watermark))
    if by_key:
        faults += _key_faults(str(disposition), key, read)
    faults += _overlap_faults(one, described.columns)
    faults += _name_faults(columns, target)
    if spec.format is Format.CSV and not target.csv_text_lists:
        faults += _list_faults(columns, target)
    if loads and disposition == "append" and source.engine == "postgresql":
        faults += _late_faults(one, described.columns)
    faults += _column_faults(read, described.columns)
    rows, size_bytes = described.rows, described.size_bytes
    if relation and rows < 0:
        rows, size_bytes = relation.rows, relation.size_bytes
    export = Export(
        wanted.request.name,
        wanted.table,
        query="",
        columns=columns,
        disposition=str(disposition),
        relation=wanted.request.name if relation else "",
        key=tuple(key) if by_key else (),
        watermark=one.watermark,
        span=_span(spec, one),
        rules=_rules(spec, one),
        size_bytes=max(size_bytes, 0),
        rows=rows,
        sql_schema=_sql_schema(wanted, described.columns),
    )
    return export, faults


def _sql_schema(wanted: Wanted, described: Sequence[Column]) -> str | None:
    """See `Export.sql_schema`."""
    mark = wanted.spec.watermark
    is_marked = any(column.name == mark and column.is_cast for column in described)
    return wanted.request.schema if wanted.request.has_sql or is_marked else None


def _span(spec: ExportSpec, one: RelationSpec) -> Span:
    return Span(one.overlap_seconds, one.overlap or 0, once=reads_once(spec, one))


def reads_once(spec: ExportSpec, one: RelationSpec) -> bool:
    """Whether no row may be read twice: appended files cannot tell rows apart."""
    return spec.disposition_of(one) == "append" and not spec.warehouse_kind


def _rules(spec: ExportSpec, one: RelationSpec) -> Rules:
    requires = spec.require_rows if one.require_rows is None else one.require_rows
    return Rules(str(spec.schema_of(one)), requires, spec.hooks_of(one), _layout(one))


def _layout(one: RelationSpec) -> TableLayout | None:
    """With the names that columns are exported under."""
    if (asked := one.bigquery) is None:
        return None
    within = asked.partition_range
    return TableLayout(
        partition_by=one.rename.get(asked.partition_by, asked.partition_by),
        partition_unit=str(asked.partition_unit or PartitionUnit.DAY),
        partition_range=(within.start, within.end, within.step) if within else None,
        partition_days=asked.partition_expiration_days or 0,
        cluster_by=tuple(one.rename.get(name, name) for name in asked.cluster_by),
        labels=asked.labels,
        expiration_days=asked.expiration_days or 0,
    )


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
    if wanted.request.nested and (column.is_list or column.inside):
        return nested_form(column, target)
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
    given |= {"partition-by": one.partition_by, "dimensions": tuple(one.dimensions)}
    faults = [
        f"{word}: there is no column {name}"
        for word, some in given.items()
        for name in some
        if name not in names
    ]
    twice = [name for name, count in Counter(names).items() if count > 1]
    return faults + [f"two columns are called {name}" for name in twice]


def _column_faults(read: Sequence[Column], described: Sequence[Column]) -> Iterator[str]:
    if not read:
        left = " left to export: leave the relation out with `exclude`"
        yield f"has no columns{left if described else ''}"


def _hash_faults(columns: Sequence[Column]) -> Iterator[str]:
    if any(column.hash == NO_KEY for column in columns):
        yield f"hash: {hashing.NO_KEY}"


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
    if columns and len(set(one.partition_by)) == len(columns):
        faults.append("partition-by: no column is left for the files")
    return faults


def _nested_faults(
    wanted: Wanted,
    read: Sequence[Column],
    described: Sequence[Column],
    source: Facts,
    target: Facts,
) -> Iterator[str]:
    one, relation = wanted.spec, wanted.relation
    if source.engine != "postgresql":
        yield f"nested: {source.label} does not tell what is inside of values, which are text"
    key = one.key or (relation.key if relation else ())
    used = {"key": key, "watermark": (one.watermark,)}
    yield from nested_faults(read, described, one.dimensions, used, target)


def _key_faults(disposition: str, key: Sequence[str], columns: Sequence[Column]) -> list[str]:
    if not key:
        what = "merge by" if disposition == "merge" else "tell new rows by"
        return [f"has no key to {what}: give `key`"]
    kept = {column.name for column in columns if not column.mask}
    return [f"key: {part} is left out or masked" for part in key if part not in kept]


def _overlap_faults(one: RelationSpec, described: Sequence[Column]) -> list[str]:
    faults = []
    for column in described:
        if column.name != one.watermark:
            continue
        if one.overlap_seconds and column.kind not in STAMPS:
            faults.append(f"overlap-seconds: {column.name} is {column.type}, not a time or date")
        is_time = one.overlap is not None and column.kind in STAMPS
        if is_time or (one.overlap and column.kind not in NUMBERS):
            faults.append(f"overlap: {column.name} is {column.type}, not a number")
    return faults


def _late_faults(one: RelationSpec, described: Sequence[Column]) -> list[str]:
    """Rows that are committed late would be missed for good, unless the user says that there are
    none."""
    return [
        f"watermark: {column.name} is {column.type}: a row that is committed after others with a"
        " higher value would be missed; give `overlap`, how far before the last value reading"
        " begins (0 if no row is committed late), or a watermark of time"
        for column in described
        if column.name == one.watermark and column.kind not in STAMPS and one.overlap is None
    ]


def _name_faults(columns: Sequence[Column], target: Facts) -> Iterator[str]:
    """Names of columns that the target cannot tell apart, or cannot hold."""
    if not target.naming.columns_by_case:
        for names in _alike([one.name for one in columns]):
            alike = " and ".join(names)
            yield f"columns {alike} have one name in {target.label}, which ignores case"
    for one in columns:
        if target.naming.most_bytes and len(one.name.encode()) > target.naming.most_bytes:
            yield f"the name of column {one.name} is too long for {target.label}"


def _alike(names: Sequence[str]) -> list[list[str]]:
    """Names that differ by case only."""
    found: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        found.setdefault(name.casefold(), []).append(name)
    return [some for some in found.values() if len(some) > 1]


def _list_faults(columns: Sequence[Column], target: Facts) -> list[str]:
    return [
        f"{one.name} is a list of texts, which {target.label} cannot read from CSV:"
        f" export Parquet, or give `text: [{one.name}]`"
        for one in columns
        if one.is_list and one.kind is Kind.TEXT
    ]


# what is wrong with all of it


def unmatched(
    spec: ExportSpec, relations: Sequence[Readable], columns: Sequence[tuple[str, str]] | None
) -> Iterator[Problem]:
    """Patterns that match nothing: what they were meant to hide would be exported in clear.
    `columns` are those of all chosen relations; None if some could not be read."""
    if spec.unmatched is Unmatched.IGNORE:
        return
    for pattern in spec.exclude:
        if not any(matches(one.name, pattern) for one in relations):
            yield Problem(f"exclude: {pattern}", "names no relation of the source", _SPELLING)
    if columns is None:
        return
    hiding = (("mask", spec.mask), ("hash", spec.hash), ("leave-out", spec.leave_out))
    for key, patterns in hiding:
        for pattern in patterns:
            named = pattern.removeprefix("!") if key == "mask" else pattern
            if not any(matches_column(*column, named) for column in columns):
                yield Problem(f"{key}: {pattern}", "names no column of these relations", _SPELLING)


def unreadable(chosen: Mapping[str, Wanted]) -> list[Problem]:
    return [
        Problem(str(one.relation.name), message, hint)
        for one in chosen.values()
        if one.relation
        for message, hint in one.relation.faults
    ]


_ANOTHER = f"give `table`, or {word('table-names', '{schema}_{name}')} for all"


def table_problems(exports: Collection[Export], target: Facts) -> list[Problem]:
    """Table names that the warehouse cannot have."""
    problems = [
        Problem(one.name, f"{one.table} is a name of windlass's own", "give `table`")
        for one in exports
        if one.table.lower().startswith(OURS)
    ]
    problems += [
        Problem(one.name, f"{one.table}: too long for a table's name in {target.label}", _ANOTHER)
        for one in exports
        if target.naming.most_bytes and len(one.table.encode()) > target.naming.most_bytes
    ]
    tables: dict[str, list[Export]] = {}
    for one in exports:
        tables.setdefault(
            one.table if target.naming.tables_by_case else one.table.casefold(), []
        ).append(one)
    return problems + [_collision(some, target) for some in tables.values() if len(some) > 1]


def _collision(exports: Sequence[Export], target: Facts) -> Problem:
    names = several([one.name for one in exports], _SHOWN)
    tables = sorted({one.table for one in exports})
    why = f", as {target.label} ignores case" if len(tables) > 1 else ""
    count = len(exports)
    message = f"{count} relations would be loaded into this table{why}: {names}"
    return Problem(" and ".join(tables), message, _ANOTHER)
