"""What keeps a source from being followed: every problem, with its remedy. Only reads."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from windlass.engines.postgres.hold import Hold
from windlass.engines.postgres.replication.identities import read_identities
from windlass.engines.postgres.replication.server import (
    ReplicationRelation,
    ReplicationServer,
    read_replication_relations,
    read_replication_server,
)
from windlass.model.plan import Plan
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.units import plural

SLOTS = 2  # its own, and one for a comparison while it follows
_LOGICAL = (
    "set wal_level = logical and restart the server (RDS and Aurora: rds.logical_replication = 1;"
    " Cloud SQL: cloudsql.logical_decoding = on; Azure: wal_level in the server parameters)"
)


def read_stream_problems(hold: Hold, plan: Plan) -> list[Problem]:
    """Why the source of a plan cannot be followed."""
    server = read_replication_server(hold.reader, side="source")
    relations = read_replication_relations(hold.reader, side="source")
    identities = read_identities(hold.reader, side="source").values()
    unidentified = {one.name for one in identities if not one.is_usable}
    wanted = [item.relation.name for item in plan.relations]
    return [
        *_of_server(server),
        *_of_relations(server, relations, unidentified, wanted),
        *_of_target(plan),
    ]


def read_stream_losses(hold: Hold, plan: Plan) -> list[Loss]:
    """What is copied, and does not follow the source after that."""
    relations = read_replication_relations(hold.reader, side="source")
    found = [
        Loss(
            str(item.relation.name),
            "is unlogged: what is written to it after the copy is not followed",
            LossClass.VALUES,
        )
        for item in plan.relations
        if item.relation.name in relations and relations[item.relation.name].is_unlogged
    ]
    if count := plan.objects.large_objects.count:
        message = f"{plural(count, 'large object')}: changes after the copy are not followed"
        found.append(Loss("large objects", message, LossClass.VALUES))
    return found


def _of_server(server: ReplicationServer) -> Iterator[Problem]:
    """Settings of the server, and rights that are not about one relation."""
    if server.is_standby:
        yield Problem(
            "source", "is a standby, on which nothing can be published", "name its primary"
        )
        return
    if server.wal_level != "logical":
        message = f"has wal_level = {server.wal_level}, and its log cannot be followed"
        yield Problem("source", message, _LOGICAL)
    if server.free_slots < SLOTS:
        message = (
            f"has {plural(max(server.free_slots, 0), 'free replication slot')} of {SLOTS} needed"
        )
        yield Problem(
            "source", message, "raise max_replication_slots, or drop a slot that is not used"
        )
    if server.free_senders < SLOTS:
        message = f"has {plural(max(server.free_senders, 0), 'free WAL sender')} of {SLOTS} needed"
        yield Problem("source", message, "raise max_wal_senders")
    if not server.may_replicate:
        right = (
            f"GRANT rds_replication TO {server.user}"
            if server.is_rds
            else (f"ALTER ROLE {server.user} REPLICATION")
        )
        yield Problem(f"role {server.user}", "may not read the source's changes", right)
    if not server.may_create:
        yield Problem(
            f"role {server.user}",
            f"may not create a publication in database {server.database}",
            f"GRANT CREATE ON DATABASE {server.database} TO {server.user}",
        )
    for one in server.prepared:
        yield Problem(
            "source",
            f"has the prepared transaction {one}: no slot can be made before it ends",
            "COMMIT PREPARED or ROLLBACK PREPARED",
        )


def _of_relations(
    server: ReplicationServer,
    relations: dict[Name, ReplicationRelation],
    unidentified: Collection[Name],
    wanted: Sequence[Name],
) -> Iterator[Problem]:
    for name in wanted:
        one = relations.get(name)
        if one is None or one.is_unlogged:  # dropped since it was planned, or not followed
            continue
        if not (one.is_owned or server.is_superuser):
            yield Problem(
                str(name),
                f"belongs to {one.owner}, and only its owner can publish it",
                f"GRANT {one.owner} TO {server.user}",
            )
        if name in unidentified:
            yield Problem(
                str(name),
                "has no primary key, so its UPDATEs and DELETEs cannot be followed; once published,"
                " they would fail on the source",
                "add a primary key; or ALTER TABLE ... REPLICA IDENTITY USING INDEX with a unique"
                " index on NOT NULL columns; or REPLICA IDENTITY FULL, with which the source logs"
                " whole old rows; or leave it out",
            )


def _of_target(plan: Plan) -> Iterator[Problem]:
    if not plan.how.silences_triggers:
        user = plan.target.user
        yield Problem(
            f"role {user}",
            "may not switch triggers off on the target, where changes would fire them again",
            f"GRANT SET ON PARAMETER session_replication_role TO {user} (since 15), or a superuser",
        )
