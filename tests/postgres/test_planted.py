"""Objects that a role plants under names that windlass is about to use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from awaiting import EVENTS, WAITING, await_true
from command import DIFFERENT, DONE, REFUSED, STOPPED, Running, finish, migrate, start
from exporting import export
from hostile import Hostile, hostile_role
from rewrites import PRODUCT, done, fill, problems
from servers import Database, Pair
from windlass.api import rollback
from windlass.aside.objects import set_aside
from windlass.engines.postgres.session import Address, Role
from windlass.errors import Refused
from windlass.model.event import ignore
from windlass.model.outcome import State
from windlass.model.plan import SetAside
from windlass.model.relation import Name


@pytest.fixture
def low(pair: Pair) -> Iterator[Hostile]:
    with hostile_role(pair.target) as role:
        yield role


def test_a_schema_whose_owner_could_replace_the_new_tables_is_refused(
    pair: Pair, low: Hostile
) -> None:
    pair.source.run("create schema s", "create table s.t (a int)", "insert into s.t values (1)")
    low.run("create schema s")
    (problem,) = migrate(pair).expect(REFUSED).result["problems"]
    assert problem["object"] == "schema s" and low.name in problem["message"]
    pair.target.run("alter schema s owner to postgres")
    migrate(pair).expect(DONE)


def test_a_schema_of_a_role_that_gets_what_is_made_is_taken(pair: Pair) -> None:
    pair.source.run("create schema s authorization corpus_owner", "create table s.t (a int)")
    pair.target.run("create schema s authorization corpus_owner")
    migrate(pair).expect(DONE)


PLANTED = {
    "function": "create function {schema}.f(a varchar) returns boolean language plpgsql as"
    " $${attack}return true; end$$",
    "operator": "create function {schema}.g(a int, b int) returns boolean language plpgsql as"
    " $${attack}return true; end$$;;"
    "create operator {schema}.=== (leftarg = int, rightarg = int, function = {schema}.g)",
}


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("words", [(), ("--map-schema", "s=other")])
def test_an_overload_that_a_migrated_definition_would_call_is_refused(
    pair: Pair, low: Hostile, kind: str, words: tuple[str, ...]
) -> None:
    pair.source.run(
        "create schema s",
        "create function s.f(a text) returns boolean language sql immutable return a <> ''",
        "create function s.same(a bigint, b bigint) returns boolean language sql immutable"
        " return a = b",
        "create operator s.=== (leftarg = bigint, rightarg = bigint, function = s.same)",
        "create table s.t (a varchar check (s.f(a)), b int check (b operator(s.===) b))",
        "insert into s.t values ('x', 1)",
    )
    schema = "other" if words else "s"
    pair.target.run(f"create schema {schema}", f"grant all on schema {schema} to {low.name}")
    low.run(*PLANTED[kind].format(schema=schema, attack=low.attack).split(";;"))
    ran = migrate(pair, *words)
    assert not low.has_won
    (problem,) = ran.expect(REFUSED).result["problems"]
    assert problem["object"].startswith(f"{kind} {schema}.") and low.name in problem["message"]
    pair.target.run(problem["hint"].partition("superuser: ")[2])
    pair.target.run(f"drop {problem['object']}", f"revoke all on schema {schema} from {low.name}")
    migrate(pair, *words).expect(DONE)


CALLING = (
    "create schema s",
    "create function s.f(a anyelement) returns int language sql as 'select 1'",
    "create function s.g() returns int language plpgsql as 'begin return s.f(1); end'",
    "create function s.nothing() returns event_trigger language plpgsql as 'begin end'",
    "create event trigger last on ddl_command_start execute function s.nothing()",
)
OVERLOAD = "create function s.f(a int) returns int language sql as 'select 0'"


@contextmanager
def waiting_before_the_end(pair: Pair) -> Iterator[Running]:
    """A migration that waits, at its last definition, until the block is left."""
    with pair.target.connect() as gate, gate.transaction():
        gate.execute(f"lock table {EVENTS} in share mode".encode())
        process = start("migrate", "--json", pair=pair)
        await_true(pair, f"select exists ({WAITING})")
        yield process


def test_an_overload_that_comes_while_a_migration_runs_is_named(pair: Pair, low: Hostile) -> None:
    pair.source.run(*CALLING)
    with waiting_before_the_end(pair) as process:
        pair.target.run(f"grant all on schema s to {low.name}")
        low.run(OVERLOAD)
        pair.target.run(f"revoke all on schema s from {low.name}")
    (found,) = finish(process).expect(DIFFERENT).result["differences"]
    assert found["object"] == "function s.f(integer)" and low.name in found["message"]


def test_an_overload_that_comes_while_a_migration_is_stopped_keeps_it_from_resuming(
    pair: Pair, low: Hostile
) -> None:
    pair.source.run(*CALLING)
    with waiting_before_the_end(pair) as process:
        process.kill()
        process.wait()
    pair.target.run(f"grant all on schema s to {low.name}")
    low.run(OVERLOAD)
    said = migrate(pair).expect(STOPPED).result
    assert "function s.f(integer)" in said["message"] and low.name in said["message"]
    low.run("drop function s.f(int)")
    pair.target.run(f"revoke all on schema s from {low.name}")
    assert migrate(pair).expect(DONE).result["resumed"]


def test_other_roles_functions_of_other_names_are_no_problem(pair: Pair, low: Hostile) -> None:
    pair.source.run("create schema s", "create table s.t (a int)")
    pair.target.run("create schema s", f"grant all on schema s to {low.name}")
    low.make_function("s")
    pair.target.run(f"revoke all on schema s from {low.name}")
    migrate(pair).expect(DONE)


@pytest.mark.parametrize("pair", [(15, 15)], indirect=True)
@pytest.mark.parametrize("is_there", [False, True])
def test_an_extension_goes_into_no_schema_of_another_role(
    pair: Pair, low: Hostile, *, is_there: bool
) -> None:
    """Its owner could put something beside the extension, before and after."""
    pair.source.run(
        'create schema "Ext"',
        'create extension citext schema "Ext"',
        'create table t (a "Ext".citext)',
    )
    low.run('create schema "Ext"')
    if is_there:
        pair.target.run('create extension citext schema "Ext"')
    (problem,) = migrate(pair).expect(REFUSED).result["problems"]
    assert problem["object"] == "schema Ext" and low.name in problem["message"]
    pair.target.run('alter schema "Ext" owner to postgres')
    migrate(pair).expect(DONE)


def test_a_plan_tries_nothing_where_another_role_s_code_would_run(pair: Pair, low: Hostile) -> None:
    """What a sequence has given is not rolled back."""
    pair.source.run("create collation c (locale = 'C')", "create table t (a text collate c)")
    low.run(
        "create schema hers",
        "create sequence hers.fired",
        "create function hers.fire() returns event_trigger language plpgsql as"
        " $$begin perform nextval('hers.fired'); end$$",
    )
    pair.target.run("create event trigger e on ddl_command_start execute function hers.fire()")
    ran = migrate(pair)
    pair.target.run("drop event trigger e")
    assert ran.expect(REFUSED).result["problems"][0]["object"] == "event trigger e"
    assert pair.target.value("select is_called from hers.fired") is False


def test_nothing_is_set_aside_into_a_schema_that_is_there_already(pair: Pair, low: Hostile) -> None:
    pair.target.run("create table t (a int)", "insert into t values (1)")
    low.run("create schema windlass_run_public")
    item = SetAside("TABLE", Name("public", "t"), "", "windlass_run_public")
    address = Address.parse("target", pair.target.url)
    with (
        address.connect(Role.TARGET, "test") as connection,
        pytest.raises(Refused),
        connection.transaction(),
    ):
        set_aside(connection, [item])
    assert pair.target.value("select a from public.t") == 1


@pytest.fixture
def messages(database: Callable[[int], Database]) -> Database:
    made = fill(database(15))
    made.run("create table plain (id varchar primary key, base varchar, exported_at timestamp)")
    return made


@pytest.fixture
def guest(messages: Database) -> Iterator[Hostile]:
    with hostile_role(messages) as role:
        messages.run(f"grant usage, create on schema public to {role.name}")
        yield role


def test_an_operator_that_would_be_taken_for_postgresqls_own_is_refused(
    messages: Database, guest: Hostile
) -> None:
    guest.run(
        "create function public.same(varchar, varchar) returns bool language plpgsql as"
        f" $${guest.attack}return true; end$$",
        "create operator public.= (function = public.same, leftarg = varchar, rightarg = varchar)",
    )
    said = problems(messages, {"table": "plain", "select": "base = base", **PRODUCT})
    assert "operator" in said and f"belongs to {guest.name}" in said
    assert not guest.has_won


def test_a_function_of_the_tables_owner_is_found_as_ever(messages: Database) -> None:
    messages.run(
        "alter table message owner to corpus_owner",
        "create function public.lower(int) returns text language sql as $$select 'low'$$",
        "alter function public.lower(int) owner to corpus_owner",
    )
    done(messages)


def test_a_backup_is_not_kept_where_another_role_could_drop_it(
    messages: Database, guest: Hostile
) -> None:
    guest.run("create schema backup")
    assert f"schema backup: belongs to {guest.name}" in problems(messages)


def test_a_planted_backup_is_not_restored(messages: Database, guest: Hostile) -> None:
    run = done(messages).run
    messages.run(
        "drop table backup.message", f"grant usage, create on schema backup to {guest.name}"
    )
    guest.make_function("public", "text")
    guest.run(
        "create view backup.message as select 1::bigint as message_id, public.evil_text() as base,"
        " null::text as body, 1::numeric(10, 2) as total, now()::timestamp as exported_at",
        f"comment on view backup.message is 'Backup of public.message by windlass run {run}.'",
    )
    outcome = rollback(messages.url, run, ignore)
    assert outcome.state is State.REFUSED
    assert any(guest.name in problem.message for problem in outcome.reason.problems)
    assert not guest.has_won


@pytest.fixture
def lake(database: Callable[[int], Database]) -> Iterator[Hostile]:
    """A warehouse's public schema in which another role may make tables."""
    made = database(18)
    with hostile_role(made) as role:
        made.run(f"grant usage, create on schema public to {role.name}")
        yield role


LOADS = (
    "create table public._windlass_loads (number bigint generated always as identity, run text,"
    " table_name text, source text, relation text, mark text, rows bigint, read_rows bigint,"
    " total bigint, watermark text, loaded_at timestamptz default now(),"
    " primary key (run, table_name, source, relation))"
)


def test_records_of_loads_that_another_role_has_made_are_refused(
    messages: Database, lake: Hostile, tmp_path: Path
) -> None:
    lake.run(LOADS)
    evil = lake.make_function("public")
    lake.run(
        "create trigger e before insert on public._windlass_loads"
        f" for each row execute function {evil}()"
    )
    words = {"relations": "public.message", "warehouse": lake.database.url}
    ran = export(messages, tmp_path, **words).expect(REFUSED)
    assert f"belongs to {lake.name}" in ran.said and "has trigger e" in ran.said
    assert not lake.has_won


def test_a_table_with_another_roles_code_is_not_loaded_into(
    messages: Database, lake: Hostile, tmp_path: Path
) -> None:
    lake.run(
        "create table public.message (message_id bigint, base text, body text,"
        " total numeric(10, 2), exported_at timestamp)"
    )
    words = {"relations": "public.message", "warehouse": lake.database.url}
    export(messages, tmp_path, **words).expect(DONE)  # it cannot do anything
    evil = lake.make_function("public")
    lake.run(
        f"create trigger e before insert on public.message for each row execute function {evil}()"
    )
    ran = export(messages, tmp_path, **words).expect(REFUSED)
    assert "has trigger e" in ran.said and not lake.has_won
