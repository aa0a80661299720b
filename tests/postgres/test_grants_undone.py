"""A rollback revokes exactly what the run granted on objects that existed before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from command import DONE, migrate, windlass
from servers import Database, Pair

ROLE = "grant_reader"
ACLS = """
select n.nspname, a.grantee::regrole::text, a.privilege_type, a.is_grantable
  from pg_namespace n, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a
 where n.nspname <> 'windlass'
union all
select p.oid::regprocedure::text, a.grantee::regrole::text, a.privilege_type, a.is_grantable
  from pg_proc p, aclexplode(proacl) a
union all
select c.oid::regclass::text, a.grantee::regrole::text, a.privilege_type, a.is_grantable
  from pg_class c, aclexplode(relacl) a
union all
select c.oid::regclass || '.' || attname, a.grantee::regrole::text, a.privilege_type, a.is_grantable
  from pg_class c join pg_attribute t on attrelid = c.oid, aclexplode(attacl) a
union all
select lanname, a.grantee::regrole::text, a.privilege_type, a.is_grantable
  from pg_language, aclexplode(coalesce(lanacl, acldefault('l', lanowner))) a
 order by 1, 2, 3, 4
"""


@pytest.fixture
def granted(pair: Pair) -> Iterator[Pair]:
    """A source that grants on what every target has."""
    admin = pair.target.server.admin
    on = [admin] if pair.source.server is pair.target.server else [admin, pair.source.server.admin]
    for one in on:
        one.run(f"create role {ROLE}")
    pair.source.run(
        "create table t (a int)",
        f"grant usage on schema public to {ROLE}",
        f"grant create on schema public to {ROLE} with grant option",
        f"grant select on t to {ROLE}",
        f"grant execute on function pg_catalog.pg_ls_waldir() to {ROLE}",
        f"grant select (rolpassword) on pg_catalog.pg_authid to {ROLE}",
        "revoke usage on language plpgsql from public",
    )
    yield pair
    for database in (pair.source, pair.target):
        database.run(f"drop owned by {ROLE}")
    for one in on:
        one.run(f"drop role {ROLE}")


def acls(database: Database) -> list[tuple[object, ...]]:
    return database.rows(ACLS)


@pytest.mark.parametrize("pair", [(15, 15), (12, 18)], indirect=True)
def test_a_rollback_takes_back_what_the_run_granted_on_what_was_there(granted: Pair) -> None:
    granted.target.run(f"grant usage on schema public to {ROLE}")
    before = acls(granted.target)
    run = migrate(granted).expect(DONE).result["run"]
    assert acls(granted.target) != before
    undone = windlass("rollback", run, "--yes", "--json", pair=granted).expect(DONE)
    assert acls(granted.target) == before
    assert undone.result["notices"] == []


def test_what_was_granted_since_stays(granted: Pair) -> None:
    run = migrate(granted).expect(DONE).result["run"]
    granted.target.run(f"grant usage on schema public to {ROLE}")
    windlass("rollback", run, "--yes", pair=granted).expect(DONE)
    held = "select has_schema_privilege(%s, 'public', %s)"
    assert not granted.target.value(held, (ROLE, "create"))
    assert granted.target.value(held, (ROLE, "usage"))


def test_a_grant_that_was_passed_on_stays_and_is_named(granted: Pair) -> None:
    run = migrate(granted).expect(DONE).result["run"]
    granted.target.run(f"set role {ROLE}; grant create on schema public to pg_monitor")
    undone = windlass("rollback", run, "--yes", "--json", pair=granted).expect(DONE)
    (notice,) = undone.result["notices"]
    assert notice.startswith(f"grant of CREATE on schema public to {ROLE} stays")


def test_grants_on_a_table_that_was_replaced_are_as_they_were(granted: Pair) -> None:
    granted.target.run("create table t (a int)", f"grant select, insert on t to {ROLE}")
    before = acls(granted.target)
    run = migrate(granted, "--existing", "replace").expect(DONE).result["run"]
    assert acls(granted.target) != before
    windlass("rollback", run, "--yes", pair=granted).expect(DONE)
    assert acls(granted.target) == before


def test_a_schema_that_the_run_made_and_others_use_keeps_its_grants(granted: Pair) -> None:
    granted.source.run("create schema s", f"grant usage on schema s to {ROLE}")
    run = migrate(granted).expect(DONE).result["run"]
    granted.target.run("create table s.mine (a int)")
    undone = windlass("rollback", run, "--yes", "--json", pair=granted).expect(DONE)
    assert undone.result["notices"] == ["schema s stays, as others use it"]
    assert granted.target.value(f"select has_schema_privilege('{ROLE}', 's', 'usage')")
