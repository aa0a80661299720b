"""A migration's tables as plain data, for the programs that read the results of steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from windlass.journal.records import Line
from windlass.model.flow import Result
from windlass.model.plan import Plan, RelationPlan
from windlass.model.relation import Column, Name
from windlass.model.statement import Phase, Statement

MOST_DESCRIBED = 2_000  # tables with their columns: a result should not take megabytes
_PRIMARY_KEY = " PRIMARY KEY "


def described_tables(plan: Plan, names: Collection[Name] | None = None) -> list[Result]:
    """The tables of a plan, or those that have one of these names on the target: with columns, keys
    and indexes unless there are very many."""
    found = [one for one in plan.relations if names is None or one.target in names]
    if len(plan.relations) > MOST_DESCRIBED:
        return [_table(one) for one in found]
    statements: dict[Name | None, list[Statement]] = defaultdict(list)
    for statement in plan.statements:
        statements[statement.relation].append(statement)
    return [{**_table(one), **_parts(one, statements[one.target])} for one in found]


def _table(item: RelationPlan) -> Result:
    return {
        "table_name": str(item.relation.name),
        "target": str(item.target),
        "row_count": max(item.relation.rows, 0),
        "size_bytes": item.relation.size_bytes,
        "chunks": len(item.chunks),
    }


def _parts(item: RelationPlan, statements: Sequence[Statement]) -> Result:
    keys = [one for one in statements if one.phase is Phase.KEYS and one.kind == "CONSTRAINT"]
    has_primary_key = any(_PRIMARY_KEY in f"{one.sql} " for one in keys)
    indexes = [one for one in statements if one.kind in ("INDEX", "UNIQUE INDEX")]
    foreign_keys = [one for one in statements if one.phase is Phase.FOREIGN_KEYS]
    return {
        "columns": [_column(one) for one in item.relation.columns],
        "primary_key": list(item.relation.keyset) if has_primary_key else [],
        "keys": [_named(one) for one in keys],
        "indexes": [_named(one) for one in indexes],
        "foreign_keys": [_named(one) for one in foreign_keys],
    }


def _column(column: Column) -> Result:
    return {"name": column.name, "type": column.type, "nullable": not column.not_null}


def _named(statement: Statement) -> Result:
    return {"name": statement.name.name, "definition": statement.sql.strip().rstrip(";")}


def collected_tables(plan: Plan, lines: Mapping[str, Line]) -> list[Result]:
    """What has arrived of each table; `lines` are those of its chunks, by id."""
    return [_collected(one, [lines.get(chunk.id) for chunk in one.chunks])
            for one in plan.relations]  # fmt: skip


def _collected(item: RelationPlan, lines: Sequence[Line | None]) -> Result:
    done = [line for line in lines if line]
    return {
        "table_name": str(item.relation.name),
        "target": str(item.target),
        "rows": sum(line.rows for line in done),
        "bytes": sum(line.size_bytes for line in done),
        "seconds": round(sum(line.seconds for line in done), 3),
        "chunks": len(done),
        "success": len(done) == len(lines),
    }
