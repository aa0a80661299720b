"""Columns that get the writer's local time. On the target they get UTC."""

from __future__ import annotations

import re
from collections.abc import Iterable

from windlass.engines.mysql.session import Session
from windlass.model.report import Loss, LossClass
from windlass.model.translation import Field, Sort, SourceTable

_LOCAL = re.compile(
    r"\(*(?:now|current_timestamp|localtime|localtimestamp|curdate|current_date|curtime"
    r"|current_time)\b",
    re.IGNORECASE,
)
_UTC = {"UTC", "GMT", "UCT", "ETC/UTC", "ZULU", "+00:00"}


def local_times(session: Session, found: SourceTable, fields: Iterable[Field]) -> list[Loss]:
    """A loss for each such column, unless the server's zone is UTC. TIMESTAMP is the same moment
    everywhere."""
    moments = {one.name for one in fields if one.type.sort is Sort.INSTANT}
    local = [
        one
        for one in found.columns
        if one.name not in moments and (_LOCAL.match(one.default) or _LOCAL.match(one.on_update))
    ]
    if not local:
        return []
    row = session.one("select @@global.time_zone, @@system_time_zone")
    zone, system = ((each or b"").decode() for each in row)
    zone = system if zone == "SYSTEM" else zone
    if zone.upper() in _UTC:
        return []
    message = (
        f"gets the local time of whoever writes (the server's zone is {zone}); on the target, UTC's"
    )
    return [Loss(f"{found.name}.{one.name}", message, LossClass.BEHAVIOUR) for one in local]
