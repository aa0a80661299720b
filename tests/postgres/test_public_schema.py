"""Whether everybody may create in schema `public`: the same on the target as on the source,
whatever the version's default."""

from __future__ import annotations

import pytest

from command import DIFFERENT, DONE, Ran, migrate, verify, windlass
from servers import PASSWORD, Database, Pair

MAY_CREATE = "select has_schema_privilege('public', 'public', 'create')"
MAY_USE = "select has_schema_privilege('public', 'public', 'usage')"
CLOSE = "revoke create on schema public from public"
IN_PUBLIC = "create table public.t (a int)"


def is_open(database: Database) -> tuple[bool, bool]:
    return database.value(MAY_CREATE), database.value(MAY_USE)


def rolled_back(pair: Pair, done: Ran) -> None:
    windlass("rollback", done.result["run"], "--yes", pair=pair).expect(DONE)


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ((12, 12), ()),
        ((13, 13), ("--schema", "public")),
        ((14, 14), ()),
        ((12, 14), ("--include", "public.t")),
    ],
    indirect=["pair"],
)
def test_a_closed_public_is_closed_on_an_old_target_until_rolled_back(
    pair: Pair, words: tuple[str, ...]
) -> None:
    pair.source.run(IN_PUBLIC, CLOSE)
    done = migrate(pair, *words).expect(DONE)
    assert is_open(pair.target) == (False, True)
    verify(pair, *words).expect(DONE)
    rolled_back(pair, done)
    assert is_open(pair.target) == (True, True)


@pytest.mark.parametrize("pair", [(14, 14)], indirect=True)
def test_a_public_that_is_opened_again_is_found(pair: Pair) -> None:
    pair.source.run(IN_PUBLIC, CLOSE)
    migrate(pair).expect(DONE)
    pair.target.run("grant create on schema public to public")
    (found,) = verify(pair).expect(DIFFERENT).result["differences"]
    assert found["object"] == "acl SCHEMA public"


@pytest.mark.parametrize("pair", [(14, 14)], indirect=True)
def test_a_public_that_nobody_may_even_use_is_so_on_an_old_target(pair: Pair) -> None:
    pair.source.run(IN_PUBLIC, "revoke all on schema public from public")
    migrate(pair).expect(DONE)
    assert is_open(pair.target) == (False, False)
    verify(pair).expect(DONE)


@pytest.mark.parametrize("pair", [(14, 14), (13, 15), (12, 18)], indirect=True)
def test_an_open_public_stays_open_on_every_target(pair: Pair) -> None:
    pair.source.run(IN_PUBLIC)
    migrate(pair).expect(DONE)
    assert is_open(pair.target) == (True, True)
    verify(pair).expect(DONE)


@pytest.mark.parametrize("pair", [(14, 14)], indirect=True)
def test_a_schema_that_becomes_public_brings_who_may_create_in_it(pair: Pair) -> None:
    pair.source.run("create schema app", "create table app.t (a int)")
    words = ("--schema", "app", "--map-schema", "app=public")
    migrate(pair, *words).expect(DONE)
    assert is_open(pair.target) == (False, True)


@pytest.mark.parametrize("pair", [(14, 14)], indirect=True)
def test_public_is_left_alone_where_nothing_of_it_is_migrated(pair: Pair) -> None:
    pair.source.run("create schema app", "create table app.t (a int)", CLOSE)
    migrate(pair, "--schema", "app").expect(DONE)
    assert is_open(pair.target) == (True, True)


@pytest.mark.parametrize("pair", [(14, 14)], indirect=True)
def test_a_user_who_may_not_close_public_is_refused_with_the_reason(pair: Pair) -> None:
    admin = pair.target.server.admin
    admin.run(f"create role tenant login password '{PASSWORD}'")
    try:
        admin.run(f'alter database "{pair.target.name}" owner to tenant')
        pair.source.run(IN_PUBLIC, CLOSE)
        env = {"WINDLASS_TARGET": pair.target.url_for("tenant")}
        done = windlass("migrate", "--json", pair=pair, env=env).expect(DONE)
        (loss,) = [one for one in done.result["losses"] if one["class"] == "grants"]
        assert loss == {
            "object": "acl SCHEMA public",
            "message": "PUBLIC keeps CREATE, which it lacks on the source: as postgres, who owns"
            " it, run REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            "class": "grants",
        }
        assert is_open(pair.target) == (True, True)
    finally:
        pair.target.run("drop owned by tenant cascade")
        admin.run(f'alter database "{pair.target.name}" owner to postgres', "drop role tenant")
