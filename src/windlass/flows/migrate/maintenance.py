"""ANALYZE and REFRESH on the target, where failing is a loss and not an error."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.session import Connection
from windlass.errors import ConnectionLost, TargetFull, WindlassError
from windlass.model.flow import Result
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass

ANALYZED_AT_ONCE = 50


def analyze(target: Connection, names: Sequence[Name]) -> Result:
    """ANALYZE; failing is a loss, not an error: it may be impossible for a tree with a foreign
    partition."""
    losses = []
    for start in range(0, len(names), ANALYZED_AT_ONCE):
        some = names[start : start + ANALYZED_AT_ONCE]
        if len(some) > 1 and _analyze(target, *some) is None:
            continue
        losses += [loss for name in some if (loss := _analyze(target, name))]
    return with_losses(losses)


def _analyze(target: Connection, *names: Name) -> Loss | None:
    tables = sql.SQL(", ").join(sql.Identifier(name.schema, name.name) for name in names)
    try:
        _execute(target, sql.SQL("analyze {}").format(tables), f"analyzing {names[0]}")
    except (ConnectionLost, TargetFull):
        raise
    except WindlassError as error:
        return Loss(str(names[0]), f"is not analyzed: {error}", LossClass.STORAGE)
    return None


def refresh(name: Name, target: Connection) -> Result:
    """REFRESH; failing is a loss: a view stays empty if its query fails here, for example in a
    function."""
    view = sql.Identifier(name.schema, name.name)
    statement = sql.SQL("refresh materialized view {0}; analyze {0}").format(view)
    try:
        with target.transaction():
            _execute(target, statement, f"refreshing {name}")
    except (ConnectionLost, TargetFull):
        raise
    except WindlassError as error:
        message = f"stays empty, as it is not refreshed: {error}"
        return with_losses([Loss(f"materialized view {name}", message, LossClass.VALUES)])
    return {}


def _execute(target: Connection, statement: sql.Composed, doing: str) -> None:
    with explaining(doing, side="target"):
        target.execute(statement)


def with_losses(losses: Sequence[Loss]) -> Result:
    return {"losses": [loss.to_json() for loss in losses]} if losses else {}
