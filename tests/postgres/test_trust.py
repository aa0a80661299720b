"""A role that may make objects in a database gains nothing from a superuser's run there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from command import DIFFERENT, DONE, REFUSED, Ran, migrate, verify, windlass
from hostile import SCHEMA, Hostile, hostile_role
from servers import Pair

COMMANDS = {
    "plan": ("plan", "--json"),
    "migrate": ("migrate", "--json"),
    "status": ("status", "--json"),
    "rollback": ("rollback", "--json", "--yes", "any"),
}


OPEN = (
    "grant all on schema windlass to public",
    "grant all on all tables in schema windlass to public",
)


@pytest.fixture
def low(pair: Pair) -> Iterator[Hostile]:
    pair.source.run("create table t (a int primary key)", "insert into t values (1), (2)")
    with hostile_role(pair.target) as role:
        yield role


def plant_triggers(low: Hostile) -> None:
    low.run(SCHEMA)
    evil = low.make_function("windlass")
    for table in ("run", "line", "snapshot"):
        low.run(f"create trigger e before insert on windlass.{table} for each row"
                f" execute function {evil}()")  # fmt: skip
    low.run(*OPEN)


def plant_views(low: Hostile) -> None:
    low.run(SCHEMA)
    evil = low.make_function("windlass", "text")
    for table in ("run", "line"):
        low.run(
            f"alter table windlass.{table} rename to {table}_real",
            f"create view windlass.{table} as with e as materialized (select {evil}() as x)"
            f" select r.* from e left join windlass.{table}_real r on e.x = 'never'",
        )
    low.run(*OPEN)


def ask(words: tuple[str, ...], pair: Pair) -> Ran:
    return windlass(*words, pair=pair)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("plant", [plant_triggers, plant_views])
def test_a_planted_journal_is_refused_by_every_command(
    plant: Callable[[Hostile], None], command: str, pair: Pair, low: Hostile
) -> None:
    plant(low)
    ran = ask(COMMANDS[command], pair).expect(REFUSED)
    assert not low.has_won
    assert f"belongs to {low.name}" in ran.said and "schema windlass" in ran.said
    assert not low.has_won


@pytest.mark.parametrize(
    "prepare",
    [
        "create schema windlass",
        "create schema windlass; create table windlass.line (a int)",
        "create schema windlass; create table windlass.crash_marker (run text primary key)",
    ],
)
def test_a_schema_of_that_name_is_not_taken_from_another_role(
    prepare: str, pair: Pair, low: Hostile
) -> None:
    low.run(*prepare.split("; "))
    ran = migrate(pair).expect(REFUSED)
    assert f"belongs to {low.name}" in ran.said
    assert pair.target.value("select to_regclass('public.t')") is None


CODE = {
    "trigger": "create trigger e before insert on windlass.run for each row execute function {f}()",
    "rule": "create rule e as on insert to windlass.line do also select 1",
    "default": "alter table windlass.line alter step set default (windlass.evil_text())",
    "generated": "alter table windlass.run add g text generated always as (run || 'x') stored",
    "check": "alter table windlass.run add constraint e check (run <> '')",
    "policy": "create policy e on windlass.run using (true)",
    "row security": "alter table windlass.run enable row level security",
    "child": "create table public.child () inherits (windlass.line)",
    "index": "create index e on windlass.run ((upper(run)))",
    "type": "alter table windlass.run add e windlass.mine",
    "referred": "create table public.child (run text references windlass.run on delete cascade)",
    "view": "alter table windlass.crash_marker rename to old; create view windlass.crash_marker as"
    " select * from windlass.old",
}


@pytest.mark.parametrize("kind", CODE)
def test_a_journal_that_has_been_changed_is_refused_whoever_owns_it(
    kind: str, pair: Pair, low: Hostile
) -> None:
    pair.target.run(SCHEMA, "grant usage, create on schema windlass to " + low.name)
    function = low.make_function("windlass")
    low.make_function("windlass", "text")
    low.run("create domain windlass.mine as text check (value <> windlass.evil_text())")
    pair.target.run("revoke create on schema windlass from " + low.name)
    for words in CODE[kind].format(f=function).split("; "):
        pair.target.run(words)
    ran = migrate(pair).expect(REFUSED)
    assert "which windlass did not make" in ran.said
    assert not low.has_won


GRANTS = {
    "insert": "grant insert on windlass.run to {low}",
    "trigger": "grant trigger on windlass.line to {low}",
    "column": "grant update (plan) on windlass.run to {low}",
    "public": "grant delete on windlass.line to public",
    "schema": "grant create on schema windlass to {low}",
}


@pytest.mark.parametrize("kind", GRANTS)
def test_a_journal_that_others_may_write_is_refused_with_the_revoke(
    kind: str, pair: Pair, low: Hostile
) -> None:
    migrate(pair).expect(DONE)
    pair.target.run(GRANTS[kind].format(low=low.name))
    problem = ask(COMMANDS["status"], pair).expect(REFUSED).result["problems"][0]
    assert problem["hint"].startswith("REVOKE ")
    pair.target.run(problem["hint"])
    ask(COMMANDS["status"], pair).expect(DONE)


def test_an_event_trigger_with_another_roles_function_is_refused(pair: Pair, low: Hostile) -> None:
    low.run("create schema hers")
    function = low.make_function("hers", "event_trigger")
    pair.target.run(f"create event trigger e on ddl_command_start execute function {function}()")
    ran = migrate(pair)
    pair.target.run("drop event trigger e")
    assert ran.expect(REFUSED).result["problems"][0]["object"] == "event trigger e"


def test_reading_the_journal_is_no_danger(pair: Pair, low: Hostile) -> None:
    migrate(pair).expect(DONE)
    pair.target.run(
        f"grant usage on schema windlass to {low.name}",
        f"grant select on all tables in schema windlass to {low.name}",
    )
    ask(COMMANDS["status"], pair).expect(DONE)
    # a superuser's journal is trusted by everybody who may read it
    assert windlass("status", "--target", low.url, "--json").expect(DONE).result["runs"]


def test_a_role_that_was_given_the_schema_can_use_it(pair: Pair, low: Hostile) -> None:
    pair.target.run(f"create schema windlass authorization {low.name}")
    pair.source.run("create schema s", "create table s.own (a int)", "insert into s.own values (1)")
    pair.target.run(f"create schema s authorization {low.name}")
    windlass("migrate", "--json", "--include", "s.*", "--target", low.url, pair=pair).expect(DONE)
    windlass("status", "--json", "--target", low.url).expect(DONE)


def test_a_member_of_the_owning_role_gets_a_hint(pair: Pair, low: Hostile) -> None:
    """Its other members could change the journal under this one's feet."""
    with hostile_role(pair.target) as member:
        pair.target.run(f"create schema windlass authorization {low.name}")
        low.run(SCHEMA)
        pair.target.run(f"grant {low.name} to {member.name}")
        ran = windlass("status", "--target", member.url).expect(REFUSED)
        assert f"connect as {low.name}" in ran.said


def test_default_privileges_give_nobody_the_journal(pair: Pair) -> None:
    """Of the role that migrates: whatever it creates is granted, the journal as well."""
    pair.source.run("create table t (id int primary key)", "insert into t values (1)")
    pair.target.run(
        "alter default privileges grant all on tables to public",
        "alter default privileges grant all on schemas to public",
    )
    migrate(pair).expect(DONE)
    windlass("status", pair=pair).expect(DONE)
    verify(pair).expect(DONE)


def test_a_comparison_runs_no_other_role_s_code(pair: Pair) -> None:
    """What a materialised view would hold if it were refreshed is asked for only where all that
    its query runs is the user's, or a superuser's."""
    with hostile_role(pair.source) as low:
        low.run(
            "create schema hers",
            "create function hers.f() returns int language plpgsql as $$begin"
            f" if current_setting('is_superuser') = 'on'"
            f" and current_database() = '{pair.source.name}'"
            " then execute format('copy (select 1) to %L',"
            "   current_setting('data_directory') || '/planted'); end if;"
            " return 1; end$$",
            "create table hers.t (a int)",
            "create view hers.seen as select a, hers.f() as b from hers.t",
            "create materialized view hers.m as select * from hers.seen",
            "insert into hers.t values (1)",
        )
        reported = "its query runs function hers.f() of " + low.name
        notices = migrate(pair).expect(DONE).result["notices"]
        assert [one for one in notices if reported in one]
        found = verify(pair).expect(DIFFERENT).result["differences"]
        (view,) = (one for one in found if one["object"] == "materialized view hers.m")
        assert reported in view["message"]
        planted = (
            "select (pg_stat_file(current_setting('data_directory') || '/planted', true)).size"
        )
        assert pair.source.value(planted) is None
