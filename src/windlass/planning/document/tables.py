"""The tables of a plan's document: relations with their sizes and chunks, and columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from windlass.model.chunk import BlockRange, Chunk, KeyRange, NullKeys
from windlass.model.mapping import MappedColumn
from windlass.model.plan import Arrival, ColumnPlan, Plan, RelationPlan
from windlass.model.text import one_line
from windlass.model.units import bytes_text
from windlass.planning.document.contents import arrow

LONGEST_DEFAULT = 60  # JSON and the statements have all of it


def _rows(rows: int) -> str:
    return f"{rows:,}" if rows >= 0 else "?"


def _cut(chunks: Sequence[Chunk]) -> str:
    """``14 by blocks``, ``3 by id``, ``1``."""
    if len(chunks) < 2:
        return str(len(chunks))
    match chunks[0].range:
        case BlockRange():
            how = "blocks"
        case KeyRange(key=key) | NullKeys(key=key):
            how = ", ".join(key)
        case _:
            how = "rows"
    return f"{len(chunks)} by {how}"


def column_cells(item: RelationPlan, column: ColumnPlan) -> tuple[str, str, str]:
    """Name, type and remark, each with an arrow if it differs on the target."""
    how = item.how(column)
    remarks = [
        _made(how),
        "not null" if column.not_null else "",
        _shortened(column.fills_itself),
        "computed by the target" if column.generated else "",
        column.field,
    ]
    return (
        arrow(how.source or "new", column.target),
        arrow(item.given_type(column), column.target_type),
        ", ".join(remark for remark in remarks if remark),
    )


def mapped_lines(item: RelationPlan) -> Iterator[str]:
    """Which rows of a mapped table arrive, and which columns do not."""
    if item.mapping is None:
        return
    if item.mapping.where:
        yield f"only rows where {one_line(item.mapping.where)}"
    if item.mapping.dropped:
        yield f"without {', '.join(item.mapping.dropped)}"


def _made(how: MappedColumn) -> str:
    """What replaces the source's values."""
    match how.how:
        case "":
            return ""
        case "hash":
            return f"hash of {how.source}"
        case _:
            return one_line(how.made_by)


def _shortened(text: str) -> str:
    text = one_line(text)
    return text if len(text) <= LONGEST_DEFAULT else f"{text[: LONGEST_DEFAULT - 1]}…"


_ARRIVES = {
    Arrival.CREATE: "created",
    Arrival.REPLACE: "replaced",
    Arrival.FILL: "filled",
    Arrival.REFUSE: "exists",
}


def _arrival(item: RelationPlan) -> str:
    words = _ARRIVES[item.arrival]
    return words if item.enters == item.target else f"{words}; rows go in through {item.enters}"


RELATION_HEADER = (
    "#", "table", "rows", "size", "indexes", "key", "chunks", "COPY format", "on the target",
)  # fmt: skip

RIGHT = frozenset({0, 2, 3, 4})


def relation_rows(plan: Plan) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        (
            str(number),
            arrow(item.relation.name, item.target),
            _rows(item.relation.rows),
            bytes_text(item.relation.size_bytes),
            bytes_text(item.relation.index_bytes),
            ", ".join(item.relation.keyset) or "none",
            _cut(item.chunks),
            str(item.wire),
            _arrival(item),
        )
        for number, item in enumerate(plan.relations, start=1)
    ]
    return [*rows, _sums(plan)] if len(rows) > 1 else rows


def _sums(plan: Plan) -> tuple[str, ...]:
    relations = [item.relation for item in plan.relations]
    return (
        "",
        "all",
        _rows(sum(max(one.rows, 0) for one in relations)),
        bytes_text(plan.size_bytes),
        bytes_text(sum(one.index_bytes for one in relations)),
        "",
        str(sum(len(item.chunks) for item in plan.relations)),
        "",
        "",
    )
