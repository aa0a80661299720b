"""How far standbys are behind the server that is written to."""

from __future__ import annotations

from dataclasses import dataclass

from windlass.engines.postgres.session import Connection


@dataclass(frozen=True, slots=True)
class Lag:
    standby: str
    seconds: float


def may_read_lag(connection: Connection) -> bool:
    """Whether this session may see others' replication. To a session that may not, there seems to
    be none."""
    row = connection.execute("select pg_has_role('pg_read_all_stats', 'usage')").fetchone()
    return bool(row and row[0])


def read_lag(connection: Connection, bound_seconds: float) -> Lag | None:
    """The standby that is furthest behind, if that is more than the bound. A standby that has
    stopped replaying counts: the server lets its lag grow."""
    row = connection.execute(
        "select coalesce(nullif(application_name, ''), client_addr::text, 'a standby'),"
        " extract(epoch from replay_lag)::float8 from pg_stat_replication"
        " where replay_lag > make_interval(secs => %s) order by replay_lag desc limit 1",
        (bound_seconds,),
    ).fetchone()
    return Lag(str(row[0]), float(str(row[1]))) if row else None
