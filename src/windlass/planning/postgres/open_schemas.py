"""Revokes CREATE on schema `public` from PUBLIC if PUBLIC lacks it on the source.

Servers before version 15 grant it in every new database. pg_dump 15 and newer assumes a `public` in
which PUBLIC has only USAGE, and writes no REVOKE.
"""

from __future__ import annotations

from collections.abc import Mapping

from windlass.engines.postgres.catalog import Existing
from windlass.model.plan import Server
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass
from windlass.model.statement import Phase, Statement
from windlass.planning.postgres.properties import Carried

_PUBLIC = "public"
_CLOSED_SINCE = 15
_REVOKE = "REVOKE CREATE ON SCHEMA public FROM PUBLIC"


def close_public(
    source: Mapping[str, bool],
    target: Mapping[str, bool],
    *,
    schemas: Mapping[str, str],
    server: Server,
    existing: Existing,
) -> Carried:
    """`source` and `target` map each schema to whether PUBLIC may create in it; `schemas` maps the
    migrated ones to their target names; `server` is the target."""
    arriving = [old for old, new in schemas.items() if new == _PUBLIC and old in source]
    is_closed = any(not source[old] for old in arriving)
    if server.major >= _CLOSED_SINCE or not is_closed or not target.get(_PUBLIC, False):
        return Carried()
    owner = existing.schema_owners[_PUBLIC]
    if not (server.superuser or owner in existing.memberships | {server.user}):
        return Carried(losses=(_kept(owner),))
    statement = Statement(
        id=0,
        kind="ACL",
        name=Name("", f"SCHEMA {_PUBLIC}"),
        sql=f"{_REVOKE};\n",
        drop="",  # a rollback takes back what a grant has changed
        phase=Phase.GRANTS,
    )
    return Carried((statement,))


def _kept(owner: str) -> Loss:
    message = (
        f"PUBLIC keeps CREATE, which it lacks on the source: as {owner}, who owns it, run {_REVOKE}"
    )
    return Loss(f"acl SCHEMA {_PUBLIC}", message, LossClass.GRANTS)
