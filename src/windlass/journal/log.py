"""The log of a run: notes of its processes, with what the other tables know of it.

Only the last `MOST` notes of a run are kept. Lines, snapshots and records of acts have times too,
so a log also shows work whose process noted nothing, such as that of an older windlass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, LiteralString

from psycopg import Connection, sql
from psycopg.rows import dict_row

from windlass.journal import door, records
from windlass.model.logged import Happened, Kind, LogPart, Noted
from windlass.model.step_text import step_text
from windlass.model.units import bytes_text, plural, seconds_text

Session = Connection[Any]
MOST = 2000


def write(connection: Session, run: str, process: str, notes: Sequence[Noted]) -> bool:
    """Add what a process has noted; what it wrote before stays as it is. Returns whether the
    journal has the run: without it nothing is written.

    Raises:
        Refused: the journal may not be trusted.
    """
    with connection.transaction():
        door.check(connection)
        if not _has(connection, "log", "insert"):
            return False
        if not records.read_runs(connection, run):
            return False
        connection.execute(
            "insert into windlass.log (run, process, number, kind, said, at)"
            " select run, %s, number, kind, said, clock_timestamp() - make_interval(secs => age)"
            " from windlass.run, unnest(%s::int[], %s::text[], %s::text[], %s::float8[])"
            " as noted (number, kind, said, age) where run = %s on conflict do nothing",
            (
                process,
                [one.number for one in notes],
                [one.kind for one in notes],
                [one.said for one in notes],
                [one.age_seconds for one in notes],
                run,
            ),
        )
        connection.execute(
            "delete from windlass.log where run = %s and (at, process, number) <="
            " (select at, process, number from windlass.log where run = %s"
            " order by at desc, process desc, number desc offset %s limit 1)",
            (run, run, MOST),
        )
    return True


def read(
    connection: Session, run: str, *, start: int = 0, most: int = 200, with_items: bool = False
) -> LogPart:
    """A part of the log of a run, the newest first. `with_items`: with every piece of work that is
    done. The journal has been checked."""
    parts = sql.SQL(" union all ").join(_parts(connection, run, with_items=with_items))
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            sql.SQL(_ALL).format(parts), {"run": run, "most": most, "start": start}
        ).fetchall()
    entries = tuple(Happened(one["moment"], one["kind"], _text(one)) for one in rows)
    return LogPart(entries, rows[0]["found"] if rows else 0)


def _parts(connection: Session, run: str, *, with_items: bool) -> Iterator[sql.SQL]:
    """Where entries come from. What a process has noted is not derived from elsewhere."""
    kinds: set[str] = set()
    has_log = _has(connection, "log", "select")
    yield sql.SQL(_SNAPSHOTS)
    if has_log:
        query = "select distinct kind from windlass.log where run = %s"
        kinds = {kind for (kind,) in connection.execute(query, (run,)).fetchall()}
        yield sql.SQL(_NOTES)
    if not kinds & {Kind.BEGAN, Kind.RESUMED}:
        yield sql.SQL(_BEGINNING)
    yield sql.SQL(_UNNOTED_END if has_log else _END)
    yield sql.SQL(_END_OF_FOLLOWING)
    if Kind.NOTICE not in kinds:
        yield sql.SQL(_NOTICES)
    if with_items:
        yield sql.SQL(_ITEMS)
    elif Kind.STEP not in kinds:
        yield sql.SQL(_STEPS)
    if _has(connection, "act", "select"):
        yield sql.SQL(_ACTS)
        yield sql.SQL(_ENDS_OF_ACTS)


# when, an order of what happened at the same time, of which kind, and what to say; of work its
# step, what was done, and how much

_ALL: LiteralString = (
    "select pg_catalog.to_char(at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS') as moment, kind,"
    " said, step, what, rows, size_bytes, seconds, (count(*) over ())::int as found from ({})"
    " as happened order by at desc, place desc limit %(most)s offset %(start)s"
)
_SNAPSHOTS: LiteralString = (
    "select taken_at as at, 0 as place, 'snapshot' as kind, 'snapshot ' || number || ' of the"
    " source, at ' || lsn as said, '' as step, '' as what, 0::bigint as rows, 0::bigint as"
    " size_bytes, 0::float8 as seconds from windlass.snapshot where run = %(run)s"
)
_NOTES: LiteralString = (
    "select at, number, kind, said, '', '', 0, 0, 0 from windlass.log where run = %(run)s"
)
_BEGINNING: LiteralString = (
    "select started_at, 0, 'began', 'began, with windlass ' || version, '', '', 0, 0, 0"
    " from windlass.run where run = %(run)s"
)
_END: LiteralString = (
    "select finished_at, 1, 'ended', 'ended: ' || state || coalesce(': ' || nullif("
    "outcome->>'message', ''), ''), '', '', 0, 0, 0 from windlass.run where run = %(run)s"
    " and finished_at is not null"
)
_UNNOTED_END: LiteralString = (  # a process notes the end just after it has journalled it
    f"{_END} and not exists (select from windlass.log where log.run = run.run"
    " and kind = 'ended' and at > finished_at - interval '10 s')"
)
_END_OF_FOLLOWING: LiteralString = (
    "select at, 0, 'ended', 'ended: ' || phase, '', '', 0, 0, 0 from windlass.following"
    " where run = %(run)s and phase in ('finished', 'abandoned')"
)
_NOTICES: LiteralString = (
    "select coalesce(finished_at, started_at), 0, 'notice', notice, '', '', 0, 0, 0"
    " from windlass.run, pg_catalog.jsonb_array_elements_text(outcome->'notices') as notice"
    " where run = %(run)s"
)
_ITEMS: LiteralString = (
    "select at, 0, 'item', '', step, coalesce(nullif(relation, ''), item), rows, size_bytes,"
    " seconds from windlass.line where run = %(run)s"
)
_STEPS: LiteralString = (
    "select max(at), 0, 'step', '', step, '' || count(*), sum(rows)::bigint,"
    " sum(size_bytes)::bigint, extract(epoch from max(at) - min(at - make_interval(secs =>"
    " seconds)))::float8 from windlass.line where run = %(run)s group by step"
)
_ACTS: LiteralString = (
    "select at, 0, 'acted', what || ', by ' || who, '', '', 0, 0, 0 from windlass.act"
    " where run = %(run)s"
)
_ENDS_OF_ACTS: LiteralString = (
    "select ended_at, 0, 'acted', what || ', by ' || who || ': ' || coalesce(result, 'ended'),"
    " '', '', 0, 0, 0 from windlass.act where run = %(run)s and ended_at is not null"
)


def _has(connection: Session, table: LiteralString, privilege: LiteralString) -> bool:
    """Whether the journal has this table, and this user may use it: an older windlass made it
    without, and a user may be allowed to read the runs alone."""
    row = connection.execute(
        "select pg_catalog.has_table_privilege(to_regclass, %s)"
        " from pg_catalog.to_regclass(%s::text)",
        (privilege, f"windlass.{table}"),
    ).fetchone()
    return bool(row and row[0])


def _text(row: dict[str, Any]) -> str:
    """What an entry says; of work, what was done and how fast."""
    if not row["step"]:
        return str(row["said"])
    took = seconds_text(float(row["seconds"]))
    if row["kind"] == Kind.STEP:
        what = f"done, {plural(int(row['what']), 'item')}"
    else:
        what = row["what"] or "done"
    amounts = [plural(int(row["rows"]), "row")] if row["rows"] else []
    amounts += [bytes_text(int(row["size_bytes"]))] if row["size_bytes"] else []
    return f"{step_text(row['step'])}: {', '.join([what, *amounts])} in {took}"
