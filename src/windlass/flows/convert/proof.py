"""The steps that prove the copy: both sides hash the same text of the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Protocol

from windlass.engines.destination import Destination
from windlass.engines.postgres.projecting import ProjectedSource
from windlass.flows.differing_rows import Compared, differing_rows, named
from windlass.model.conversion import ConversionPlan, Projection, TableConversion, ViewConversion
from windlass.model.flow import Item, Result
from windlass.model.report import Difference, DifferenceKind
from windlass.model.translation import Field, Type
from windlass.spec.choices import Verify
from windlass.spec.migrate import Spec

_AT_ONCE = 64  # buckets


class Reads(Protocol):
    """What these steps need from their context."""

    source: ProjectedSource
    target: Destination
    show_values: bool
    on_difference: Callable[[Difference], None] | None

    @property
    def spec(self) -> Spec: ...

    @property
    def plan(self) -> ConversionPlan: ...

    @property
    def results(self) -> Mapping[str, Mapping[str, Result]]: ...

    def result(self, step: str) -> Result: ...

    def counted(self, table: TableConversion, make: Callable[[], Result]) -> Result:
        """What the target has of a table; journalled, if the context has a journal."""

    def copied(self, table: TableConversion) -> Result:
        """What the source had when the table was copied: rows, and a digest if rows are compared
        in full."""


def projection_of(item: TableConversion | ViewConversion, floats: str) -> Projection:
    """`floats` is the target's."""
    if isinstance(item, ViewConversion):
        return Projection(item.source, item.columns, (), True, floats)
    return Projection(item.source, item.columns, item.key, item.is_partitioned, floats)


def content_items(run: Reads) -> list[Item]:
    if not run.plan.copies_rows:
        return []
    missing = run.result("read_both_sides").get("missing", {})
    return [
        Item(str(one.source), str(one.source), max(one.size_bytes, 0), {"name": str(one.target)})
        for one in run.plan.tables
        if str(one.target) not in missing
    ]


def validate_content(run: Reads, item: Item) -> Result:
    """Compute the digest of the target's rows, or count them."""
    table = run.plan.table(item.id)

    def count() -> Result:
        digest = run.target.digest(table) if run.spec.verify_ is Verify.FULL else None
        if digest is None:
            return {"rows": run.target.count(table)}
        return {"rows": digest.rows, "digest": asdict(digest)}

    return run.counted(table, count)


def find_differences(run: Reads, _: Item) -> Result:
    """Compare the digests, and find the rows that differ."""
    level = run.spec.verify_
    if level is Verify.NONE or not run.plan.copies_rows:
        return {}
    found: list[Difference] = []
    differing, counted = [], {}
    for name, there in run.results["validate_content"].items():
        table = run.plan.table(name)
        here = run.copied(table)
        counted[str(table.target)] = there["rows"]
        if _same(level, here, there):
            continue
        differing.append(str(table.target))
        found += _explained(run, table, here["rows"], there["rows"])
    return {
        "verified": level.value,
        "counted": counted,
        "differing": differing,
        "differences": [one.to_json() for one in found],
    }


def _same(level: Verify, here: Result, there: Result) -> bool:
    if level is Verify.FULL:
        return bool(here["digest"] == there["digest"])
    return bool(here["rows"] == there["rows"])


def _explained(run: Reads, table: TableConversion, here: int, there: int) -> Iterator[Difference]:
    name = str(table.target)
    if here != there:
        message = f"has {here:,} rows on the source and {there:,} on the target"
        yield Difference(DifferenceKind.COUNT, name, message)
    if run.spec.verify_ is not Verify.FULL:
        return
    is_found = False
    for one in named(_rows(run, table), name, run.on_difference):
        is_found = True
        yield one
    if not is_found and here == there:
        message = "has rows that differ from those that were copied; the source has changed since"
        yield Difference(DifferenceKind.CONTENT, name, message)


def _rows(run: Reads, table: TableConversion) -> Iterator[Difference]:
    """Find the rows by key, or by all their values if there is none."""
    projection = projection_of(table, run.target.floats)
    here, others = run.source.buckets(projection), run.target.buckets(table)
    numbers = sorted(one for one in {*here, *others} if here.get(one) != others.get(one))
    for start in range(0, len(numbers), _AT_ONCE):
        some = numbers[start : start + _AT_ONCE]
        ours, theirs = run.source.rows_of(projection, some), list(run.target.rows_of(table, some))
        yield from differing_rows(compared_of(table), ours, theirs, show_values=run.show_values)


def compared_of(table: TableConversion) -> Compared:
    fields = tuple(Field(one.target, Type(one.carried.sort)) for one in table.columns)
    return Compared(str(table.target), [one.target for one in table.columns], fields, table.key)
