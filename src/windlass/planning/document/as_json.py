"""A plan as JSON, for programs: plain numbers, every chunk, every statement."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from windlass.model.outcome import RunDetail
from windlass.model.plan import (
    ColumnPlan,
    Dependent,
    Estimate,
    Plan,
    RelationPlan,
    Server,
    SetAside,
)
from windlass.model.report import Loss, Problem
from windlass.planning.document.contents import ddl
from windlass.planning.document.work import work
from windlass.planning.left import left_json

_Item = TypeVar("_Item")


def document(plan: Plan, left: RunDetail | None = None) -> dict[str, object]:
    """Everything in the plan, under the names of its fields."""
    return {
        "run": plan.run,
        "unfinished": left_json(left) if left else None,
        "made_at": plan.made.at,
        "version": plan.made.version,
        "options": dict(plan.made.options),
        "fingerprint": plan.fingerprint,
        "source": _server_json(plan.source),
        "target": _server_json(plan.target),
        "schemas": dict(plan.schemas),
        "summary": _summary_json(plan),
        "estimate": _estimate_json(plan.estimate),
        "jobs": plan.how.jobs,
        "verify": plan.how.verify,
        "pg_dump": plan.made.tools.get("pg_dump"),
        "copies_rows": plan.how.copies_rows,
        "problems": _each(plan.findings.problems, Problem.to_json),
        "losses": _each(plan.findings.losses, Loss.to_json),
        "notices": list(plan.findings.notices),
        "set_aside": _each(plan.set_aside, _set_aside_json),
        "dependents": _each(plan.dependents, _dependent_json),
        "order": [{"phase": phase, "content": content} for phase, content in work(plan)],
        **_objects_json(plan),
        "ddl": [
            {"phase": str(item.phase), "object": item.object, "sql": item.sql} for item in ddl(plan)
        ],
    }


def _objects_json(plan: Plan) -> dict[str, object]:
    """What is migrated, apart from statements."""
    return {
        "relations": _each(plan.relations, _relation_json),
        "others": [
            {"kind": kind, "source": str(source), "target": str(target)}
            for kind, source, target in plan.objects.others
        ],
        "sequences": [{"source": str(s), "target": str(t)} for s, t in plan.sequences],
        "materialized_views": [str(name) for name in plan.objects.materialized_views],
        "large_objects": plan.objects.large_objects.count,
    }


def _estimate_json(estimate: Estimate) -> dict[str, object]:
    return {
        "seconds": estimate.seconds,
        "low_seconds": estimate.low_seconds,
        "high_seconds": estimate.high_seconds,
        "bytes": estimate.size_bytes,
        "rows": estimate.rows,
        "basis": estimate.basis,
    }


def _set_aside_json(item: SetAside) -> dict[str, object]:
    return {
        "kind": item.kind,
        "name": str(item.name),
        "signature": item.signature,
        "backup_schema": item.backup_schema,
    }


def _dependent_json(one: Dependent) -> dict[str, object]:
    return {
        "object": one.object,
        "refers_to": list(one.refers_to),
        "backup_schema": one.aside.backup_schema if one.aside else None,
        "statements": [statement.sql for statement in one.statements],
    }


def _each(items: Iterable[_Item], to_json: Callable[[_Item], object]) -> list[object]:
    return [to_json(item) for item in items]


def _server_json(server: Server) -> dict[str, object]:
    return {
        "place": server.place,
        "database": server.database,
        "user": server.user,
        "engine": server.engine,
        "version": server.version_text,
        "identity": server.identity,
    }


def _summary_json(plan: Plan) -> dict[str, object]:
    return {
        "relations": len(plan.relations),
        "others": len(plan.objects.others),
        "rows": plan.estimate.rows,
        "bytes": plan.size_bytes,
        "index_bytes": sum(item.relation.index_bytes for item in plan.relations),
        "chunks": sum(len(item.chunks) for item in plan.relations),
        "transactions": len(plan.loads),
        "sequences": len(plan.sequences),
        "large_objects": plan.objects.large_objects.count,
        "statements": len(ddl(plan)),
        "set_aside": len(plan.set_aside),
        "losses": len(plan.findings.losses),
        "problems": len(plan.findings.problems),
    }


def _column_json(item: RelationPlan, column: ColumnPlan) -> dict[str, object]:
    how = item.how(column)
    return {
        "source": how.source or None,
        "source_type": item.given_type(column),
        "target": column.target,
        "target_type": column.target_type,
        "how": how.how or None,
        "expression": how.made_by or None,
        "generated": column.generated,
        "not_null": column.not_null,
        "fills_itself": column.fills_itself,
        **({"field": column.field} if column.field else {}),
    }


def _relation_json(item: RelationPlan) -> dict[str, object]:
    return {
        "source": str(item.relation.name),
        "target": str(item.target),
        "where": (item.mapping.where or None) if item.mapping else None,
        "dropped": list(item.mapping.dropped) if item.mapping else [],
        "enters": str(item.enters),
        "arrival": str(item.arrival),
        "wire": str(item.wire),
        "rows": item.relation.rows if item.relation.rows >= 0 else None,
        "bytes": item.relation.size_bytes,
        "index_bytes": item.relation.index_bytes,
        "keyset": list(item.relation.keyset),
        "partition_of": str(item.relation.partition_of) if item.relation.partition_of else None,
        "batch": item.batch,
        "columns": [_column_json(item, column) for column in item.columns],
        "chunks": [
            {"number": chunk.number, "range": str(chunk.range), "bytes": chunk.size_bytes}
            for chunk in item.chunks
        ],
    }
