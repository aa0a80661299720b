"""What prevents a run from following its source, each with its remedy. Pure: decides from what was
read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from psycopg import sql

from windlass.engines.postgres.readiness import (
    OldTransaction,
    Readiness,
    StreamRelation,
    StreamServer,
)
from windlass.model.plan import Plan
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.units import plural, seconds_text, several
from windlass.model.wording import word
from windlass.planning.postgres.identities import choice_of

LOGICAL = {
    "rds": "set rds.logical_replication = 1 in the parameter group, and reboot the instance",
    "cloudsql": "set the flag cloudsql.logical_decoding = on; the instance restarts",
    "azure": "set the server parameter wal_level = logical, and restart the server",
    "neon": "enable logical replication in the project's settings; it cannot be switched off again",
    "": "ALTER SYSTEM SET wal_level = logical, and restart the server",
}
"""How a server is made to write what a stream needs, by managed service."""
REPLICATION = {
    "rds": "GRANT rds_replication TO {user}",
    "": "ALTER ROLE {user} REPLICATION, as a superuser",
}
LATE_SECONDS = 3600.0


def stream_problems(side: str, user: str, read: Readiness, *, slots: int = 1) -> Iterator[Problem]:
    """What prevents a stream from this side. `slots` are needed at the same time."""
    server = read.server
    if server.is_standby:
        yield Problem(side, "is a standby, on which nothing can be published", "name its primary")
        return
    yield from _level(side, server)
    yield from _room(side, server, slots)
    yield from _rights(side, user, server)
    if read.refusal:
        yield Problem(
            side,
            f"refuses a replication session: {read.refusal}",
            "give the address of the server itself, not of a pooler, and let pg_hba.conf accept"
            f" {user} for this database from here",
        )
    for one in read.waiting:
        yield from _waiting(side, one)


def _level(side: str, server: StreamServer) -> Iterator[Problem]:
    if server.wal_level != "logical":
        message = f"has wal_level = {server.wal_level}, and a stream of changes needs logical"
        yield Problem(side, message, LOGICAL[server.service])


def _room(side: str, server: StreamServer, needed: int) -> Iterator[Problem]:
    free = server.max_slots - server.used_slots
    if free < needed:
        message = f"has {plural(max(free, 0), 'free replication slot')}, and {needed} are needed"
        yield Problem(
            side,
            f"{message} (max_replication_slots = {server.max_slots})",
            "drop slots that nobody uses (pg_replication_slots), or raise max_replication_slots and"
            " restart the server",
        )
    free = server.max_senders - server.used_senders
    if free < needed:
        message = f"has {plural(max(free, 0), 'free WAL sender')}, and {needed} are needed"
        yield Problem(
            side,
            f"{message} (max_wal_senders = {server.max_senders})",
            "raise max_wal_senders and restart the server",
        )


def _rights(side: str, user: str, server: StreamServer) -> Iterator[Problem]:
    quoted = sql.Identifier(user).as_string(None)
    if not server.may_replicate:
        remedy = REPLICATION.get(server.service, REPLICATION[""]).format(user=quoted)
        yield Problem(side, f"{user} may not replicate", remedy)
    if not server.may_create:
        yield Problem(
            side,
            f"{user} needs CREATE on the database: for the publication, and for the schema windlass"
            " with the positions of streams",
            f"GRANT CREATE ON DATABASE ... TO {quoted}",
        )


def _waiting(side: str, one: OldTransaction) -> Iterator[Problem]:
    if one.prepared:
        quoted = sql.Literal(one.prepared).as_string(None)
        yield Problem(
            side,
            f"transaction {one.prepared} of {one.user} was prepared {_ago(one)} ago, and a slot"
            " waits until it ends",
            f"COMMIT PREPARED {quoted} or ROLLBACK PREPARED {quoted}",
        )
    elif one.seconds >= LATE_SECONDS:
        yield Problem(
            side,
            f"a transaction of {one.user} has been open for {_ago(one)} (pid {one.pid},"
            f" {one.application or 'no application name'}), and a slot waits until it ends:"
            f" {one.query}",
            f"wait for it, or SELECT pg_terminate_backend({one.pid})",
        )


def _ago(one: OldTransaction) -> str:
    return seconds_text(one.seconds)


def publishing_problems(
    user: str, names: Iterable[Name], read: Readiness, *, sets: bool = False
) -> Iterator[Problem]:
    """What prevents these relations of the source from being published. `sets`: the run sets what
    identities it can."""
    for name in names:
        if found := read.relations.get(name):
            if not read.server.is_superuser:
                yield from _owning(user, name, found)
            if not (sets and choice_of(found)):
                yield from _identity(name, found)


def _owning(user: str, name: Name, found: StreamRelation) -> Iterator[Problem]:
    if not found.owned:
        roles = sql.Identifier(found.owner).as_string(None), sql.Identifier(user).as_string(None)
        yield Problem(
            str(name),
            f"belongs to {found.owner}, and only its owner may publish it",
            "GRANT {} TO {}".format(*roles),
        )


def _identity(name: Name, found: StreamRelation) -> Iterator[Problem]:
    table = sql.Identifier(name.schema, name.name).as_string(None)
    if found.identity == "f" and found.has_generated:
        yield Problem(
            str(name),
            "has REPLICA IDENTITY FULL and a stored generated column: once it is published,"
            " applications could not update it",
            f"add a primary key, then ALTER TABLE {table} REPLICA IDENTITY DEFAULT",
        )
    if not found.is_identified:
        yield Problem(
            str(name),
            "has no replica identity: once it is published, applications could not update or"
            " delete its rows",
            _remedy(table, found),
        )


def _remedy(table: str, found: StreamRelation) -> str:
    """The choices, and what each costs the application."""
    if found.identity == "n" and found.has_key:
        return f"ALTER TABLE {table} REPLICA IDENTITY DEFAULT, which costs nothing"
    if found.unique_index:
        index = sql.Identifier(found.unique_index).as_string(None)
        return f"ALTER TABLE {table} REPLICA IDENTITY USING INDEX {index}, which costs nothing"
    key, out = "add a primary key", f"leave the table out with {word('exclude')}"
    if found.has_generated:
        return f"{key}, or {out}"
    return (
        f"{key}; or ALTER TABLE {table} REPLICA IDENTITY FULL, by which each update and delete"
        f" writes the whole old row to the WAL; or {word('set-identity')}, which does so until the"
        f" end of the run; or {out}"
    )


def firing_problems(user: str) -> Iterator[Problem]:
    """If triggers cannot be switched off, changes would fire those of the target, although they
    have already fired on the source."""
    yield Problem(
        f"role {user}",
        "may not switch triggers off on the target, where changes would fire them again",
        f"GRANT SET ON PARAMETER session_replication_role TO {user} (since 15), or a superuser",
    )


def firing_back(user: str) -> Problem:
    """The same problem on the way back."""
    return Problem(
        f"role {user}",
        "may not switch triggers off on the source, where what comes back after a cutover would"
        " fire them again",
        f"GRANT SET ON PARAMETER session_replication_role TO {user} (since 15), or a superuser; or"
        f" {word('no-reverse')}",
    )


def narrower_values(plan: Plan) -> Iterator[str]:
    """Types whose values on the target an older source would refuse on the way back."""
    old, new = plan.source.version, plan.target.version
    for type_, since in _INFINITE_SINCE.items():
        if not old < since <= new:
            continue
        names = [
            f"{one.target}.{column.target}"
            for one in plan.relations
            for column in one.columns
            if column.target_type == type_ or column.target_type.startswith(f"{type_} ")
        ]
        if names:
            yield (
                f"the way back would stop at an infinite {type_} in {several(names, _MOST_NAMED)}:"
                f" PostgreSQL {plan.source.major} has no such value; a CHECK on the target keeps it"
                " out"
            )


# server_version_num from which the type has infinite values
_INFINITE_SINCE = {"interval": 170000, "numeric": 140000}
_MOST_NAMED = 5


def reverse_problems(user: str, read: Readiness) -> Iterator[Problem]:
    """What prevents the way back: a stream from the target to the source."""
    for problem in stream_problems("target", user, read):
        yield Problem(
            problem.object,
            f"{problem.message}: without it there is no way back after a cutover",
            f"{problem.hint}; or {word('no-reverse')}",
        )


def stream_notices(side: str, read: Readiness) -> Iterator[str]:
    """Remarks on what works, but may cause trouble."""
    server = read.server
    if server.wal_kept_at_most not in ("-1", "-1MB"):
        yield (
            f"{side}: max_slot_wal_keep_size is {server.wal_kept_at_most}: a stream that falls"
            " further behind is lost, which costs a comparison"
        )
