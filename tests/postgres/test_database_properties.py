"""Properties of a database arrive, and are removed by a rollback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from command import DIFFERENT, DONE, REFUSED, migrate, verify, windlass
from servers import Database, Pair, Server
from windlass.engines.postgres.database import give_property


@pytest.fixture
def named(server: Callable[[int], Server], database: Callable[[int], Database]) -> Iterator[Pair]:
    """A target whose name is not the source's, and has to be quoted."""
    target = server(18).create_database("the-new-One")
    yield Pair(database(16), target)
    server(18).drop_database(target)


def settle(database: Database) -> None:
    name = f'"{database.name}"'
    database.run(
        "create schema app",
        "create table app.t (a int)",
        f"""alter database {name} set search_path = app, "$user", public""",
        f"alter database {name} set work_mem = '77MB'",
        f"alter role corpus_reader in database {name} set work_mem = '88MB'",
        f"alter database {name} connection limit 42",
        f"comment on database {name} is 'it''s ours'",
        f"grant create on database {name} to corpus_owner with grant option",
        f"revoke temporary on database {name} from public",
    )


def properties(database: Database) -> dict[str, object]:
    """As the catalogs have them."""
    row = database.rows(
        "select datconnlimit, shobj_description(oid, 'pg_database'),"
        " (select array_agg(setrole::regrole || ' ' || one)"
        "    from pg_db_role_setting, unnest(setconfig) one where setdatabase = d.oid),"
        " (select array_agg(grantee::regrole || ' ' || privilege_type || is_grantable)"
        "    from aclexplode(coalesce(datacl, acldefault('d', datdba))))"
        " from pg_database d where datname = current_database()"
    )[0]
    parts = (sorted(one) if isinstance(one, list) else one for one in row)
    return dict(zip(("limit", "comment", "settings", "grants"), parts, strict=True))


def test_what_is_set_in_a_database_arrives_under_the_other_name_and_is_undone(named: Pair) -> None:
    settle(named.source)
    before = properties(named.target)
    done = migrate(named).expect(DONE).result
    assert done["losses"] == []
    assert properties(named.target) == properties(named.source)
    verify(named).expect(DONE)
    windlass("rollback", done["run"], "--yes", pair=named).expect(DONE)
    assert properties(named.target) == before


def test_a_setting_that_differs_is_found(named: Pair) -> None:
    settle(named.source)
    migrate(named).expect(DONE)
    name = f'"{named.target.name}"'
    named.target.run(
        f"alter database {name} reset search_path",
        f"alter database {name} set work_mem = '78MB'",
        f"alter database {name} set geqo = off",
        f"grant temporary on database {name} to public",
    )
    found = verify(named).expect(DIFFERENT).result["differences"]
    assert {(one["object"], one["message"]) for one in found} == {
        ("setting search_path of the database", "is missing on the target"),
        ("setting work_mem of the database", "is different on the target"),
        ("setting geqo of the database", "is on the target only"),
        ("grant of TEMPORARY on the database to PUBLIC", "is on the target only"),
    }


def test_a_source_that_is_closed_for_the_cutover_gives_an_open_copy(
    named: Pair, tmp_path: Path
) -> None:
    """Closed after the plan was reviewed: that is still the plan."""
    settle(named.source)
    plan = tmp_path / "plan.json"
    windlass("plan", "-o", str(plan), pair=named).expect(DONE)
    named.source.run(f'alter database "{named.source.name}" set default_transaction_read_only = on')
    done = migrate(named, "--plan", str(plan)).expect(DONE).result
    assert [one for one in done["notices"] if "default_transaction_read_only" in one]
    assert named.target.value("show default_transaction_read_only") == "off"
    found = verify(named).expect(DONE).result
    assert [one for one in found["notices"] if "default_transaction_read_only" in one]
    named.target.run(
        f'alter database "{named.target.name}" set default_transaction_read_only = off'
    )
    verify(named).expect(DONE)
    windlass("rollback", done["run"], "--yes", pair=named).expect(DONE)


def test_a_copy_that_alone_is_closed_is_a_difference(named: Pair) -> None:
    settle(named.source)
    migrate(named).expect(DONE)
    named.target.run(f'alter database "{named.target.name}" set default_transaction_read_only = on')
    (found,) = verify(named).expect(DIFFERENT).result["differences"]
    assert found["object"] == "setting default_transaction_read_only of the database"


def test_what_the_target_has_set_otherwise_is_refused_or_replaced(named: Pair) -> None:
    settle(named.source)
    named.target.run(f"alter database \"{named.target.name}\" set work_mem = '1MB'")
    before = properties(named.target)
    (problem,) = migrate(named).expect(REFUSED).result["problems"]
    assert problem["object"] == "setting work_mem of the database"
    done = migrate(named, "--existing", "replace").expect(DONE).result
    assert properties(named.target) == properties(named.source)
    windlass("rollback", done["run"], "--yes", pair=named).expect(DONE)
    assert properties(named.target) == before


def test_what_only_the_target_has_set_has_to_be_accepted(named: Pair) -> None:
    named.target.run(f'alter database "{named.target.name}" set geqo = off')
    (loss,) = migrate(named).expect(REFUSED).result["problems"]
    assert loss["object"] == "setting geqo of the database"
    migrate(named, "--accept", "settings").expect(DONE)


def test_what_a_user_may_not_set_is_refused_unless_accepted(named: Pair) -> None:
    named.source.run(f"alter database {named.source.name} set work_mem = '77MB'")
    named.target.run(
        f'grant create on database "{named.target.name}" to corpus_owner',
        "grant all on schema public to corpus_owner",
    )
    env = {"WINDLASS_TARGET": named.target.url_for("corpus_owner")}
    named.target.server.admin.run("alter role corpus_owner login password 'Sw0rdfish-ünseen/%41'")
    (loss,) = migrate(named, env=env).expect(REFUSED).result["problems"]
    assert loss["object"] == "setting work_mem of the database"
    assert "must be owner of database" in loss["message"]
    migrate(named, "--accept", "settings", env=env).expect(DONE)


def test_a_role_that_the_target_lacks_is_a_notice(named: Pair) -> None:
    named.source.server.admin.run("drop role if exists only_here", "create role only_here")
    named.source.run(f"alter role only_here in database {named.source.name} set work_mem = '77MB'")
    (loss,) = migrate(named).expect(DONE).result["losses"]
    assert (loss["class"], loss["object"]) == (
        "roles",
        "setting work_mem of role only_here in the database",
    )


def test_a_part_of_a_database_leaves_its_settings_and_says_so(named: Pair) -> None:
    settle(named.source)
    done = migrate(named, "--schema", "app").expect(DONE).result
    assert properties(named.target)["settings"] is None
    assert any("settings" in notice for notice in done["notices"])


def test_the_owner_of_schema_public_arrives_and_is_undone(named: Pair) -> None:
    named.source.run("alter schema public owner to corpus_owner", "create table t (a int)")
    owner = "select nspowner::regrole::text from pg_namespace where nspname = 'public'"
    done = migrate(named).expect(DONE).result
    assert done["losses"] == []
    assert named.target.value(owner) == "corpus_owner"
    verify(named).expect(DONE)
    windlass("rollback", done["run"], "--yes", pair=named).expect(DONE)
    assert named.target.value(owner) == "pg_database_owner"


def test_an_owner_of_schema_public_that_the_target_lacks_is_a_notice(named: Pair) -> None:
    named.source.server.admin.run("drop role if exists only_here", "create role only_here")
    named.source.run("alter schema public owner to only_here")
    (loss,) = migrate(named).expect(DONE).result["losses"]
    assert (loss["class"], loss["object"]) == ("owners", "role only_here")
    named.source.run("alter schema public owner to postgres")


@pytest.mark.parametrize("pair", [(18, 18)], indirect=True)
def test_the_access_method_of_a_partitioned_table_arrives(pair: Pair) -> None:
    pair.source.run(
        "create access method h2 type table handler heap_tableam_handler",
        "create table p (a int) partition by list (a) using h2",
        "create table q (a int) partition by list (a) using heap",
        "create table p1 partition of p for values in (1)",
        "insert into p values (1)",
    )
    migrate(pair).expect(DONE)
    methods = (
        "select relname::text, amname::text from pg_class c left join pg_am a on a.oid = c.relam"
        " where relname in ('p', 'q', 'p1')"
    )
    assert dict(pair.target.rows(methods)) == {"p": "h2", "q": "heap", "p1": "h2"}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ('"$user", public', "'$user', 'public'"),
        ('App, "Odd, ""one"""', "'app', 'Odd, \"one\"'"),
        ('""', "''"),
        ("", "''"),
    ],
)
def test_a_list_of_names_is_written_as_names(value: str, written: str) -> None:
    text = give_property("d", ("setting", "", "search_path"), value)
    assert text == f'ALTER DATABASE "d" SET "search_path" TO {written};\n'
