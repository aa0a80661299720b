"""A definition that is printed differently after a restore, or by another version, is no
difference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from command import DIFFERENT, DONE, migrate, verify, windlass
from copying import restore
from oracle import schema_dump
from proxy import Proxy
from servers import PASSWORD, Pair
from windlass.engines.postgres.meaning import Doubt, Since, doubts
from windlass.engines.postgres.pg_dump import PgDump
from windlass.engines.postgres.printing import CannotPrint, Printing
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.flows.migrate.reading import _without_pg_dump
from windlass.spec.migrate import Spec
from windlass.spec.model import validated

# each of these is printed otherwise once it has been dumped and restored
PRINTED_AGAIN = """
create schema s;
create table s.t (
    id int primary key,
    e varchar(50) check (e in ('x', 'y')),
    d varchar(9) default case when 1 in (1, 2) then 'a' else 'b' end,
    period int4range
);
create table s.made (e varchar(5), is_x boolean generated always as (e in ('x', 'y')) stored);
create table s.log (e varchar(50));
create table s.parent (e varchar(50), constraint told check (e in ('x', 'y')) not valid);
create index by_part on s.t (id) where e in ('x', 'y');
create index by_expression on s.t ((e in ('x', 'y')));
create statistics s.about on (e in ('x', 'y')), id from s.t;
create view s.v as select id, e from s.t where e in ('x', 'y');
create view s.checked with (security_barrier) as
    select id, e from s.t where e in ('x', 'y') with local check option;
create materialized view s.m as select id from s.t where e in ('x', 'y');
create domain s.code as varchar(5) default 'x' check (value in ('x', 'y'));
alter table s.t enable row level security;
create policy own on s.t using (e in ('x', 'y')) with check (e in ('x', 'z'));
create rule r as on insert to s.t where new.e in ('x', 'y')
    do also insert into s.log values (new.e);
create function s.note() returns trigger language plpgsql as 'begin return new; end';
create trigger w before update on s.t for each row
    when (new.e in ('x', 'y') and old.e is distinct from new.e) execute function s.note();
alter table s.t add constraint apart exclude using gist (period with &&) where (e in ('x', 'y'));
create function s.body(a varchar(5) = 'x', b boolean = 'x'::varchar in ('x', 'y')) returns boolean
    begin atomic select a in ('x', 'y') from s.t; end;
create procedure s.proc(a varchar(5)) begin atomic
    insert into s.log select a where a in ('x', 'y'); end;
create view s.unnamed as
    select q.i from (select id as i, e, null::int from s.t union all select 1, 'a', 2) q;
create type s.span as range (subtype = float8);
create type s.pair as (a int, b varchar(5));
create cast (s.pair as text) with inout;
create publication printed_again for table s.t where (id in (1, 2));
create table s.split (k varchar(5)) partition by list ((k in ('x', 'y')));
create table s.split_1 partition of s.split for values in (true);
"""


VERSIONS = pytest.mark.parametrize("pair", [(15, 15), (15, 18), (16, 18)], indirect=True)


@VERSIONS
def test_a_plain_restore_is_equal(pair: Pair) -> None:
    pair.source.run(PRINTED_AGAIN)
    restore(pair)
    assert verify(pair).expect(DONE).result["differences"] == []


@VERSIONS
def test_a_migration_is_equal_under_another_name_of_the_schema(pair: Pair) -> None:
    pair.source.run(PRINTED_AGAIN)
    migrate(pair, "--map-schema", "s=other").expect(DONE)
    assert verify(pair, "--map-schema", "s=other").expect(DONE).result["differences"] == []


# one expression of each, changed by one letter
CHANGED = {
    "alter table s.t drop constraint t_e_check, add constraint t_e_check check (e in ('x', 'z'))": (
        "table s.t"
    ),
    "drop index s.by_part; create index by_part on s.t (id) where e in ('x', 'z')": (
        "index s.by_part"
    ),
    "drop index s.by_expression; create index by_expression on s.t ((e in ('x', 'z')))": (
        "index s.by_expression"
    ),
    "drop statistics s.about; create statistics s.about on (e in ('x', 'z')), id from s.t": (
        "statistics s.about"
    ),
    "create or replace view s.v as select id, e from s.t where e in ('x', 'z')": "view s.v",
    "drop materialized view s.m; create materialized view s.m as select id from s.t"
    " where e in ('x', 'z')": "materialized view s.m",
    "alter domain s.code drop constraint code_check; alter domain s.code add constraint code_check"
    " check (value in ('x', 'z'))": "domain s.code",
    "alter policy own on s.t using (e in ('x', 'z'))": "policy s.t own",
    "create or replace rule r as on insert to s.t where new.e in ('x', 'z')"
    " do also insert into s.log values (new.e)": "rule s.t r",
    "create or replace trigger w before update on s.t for each row"
    " when (new.e in ('x', 'z') and old.e is distinct from new.e) execute function s.note()": (
        "trigger s.t w"
    ),
    "alter table s.t drop constraint apart, add constraint apart"
    " exclude using gist (period with &&) where (e in ('x', 'z'))": "constraint s.t apart",
    "create or replace function s.body(a varchar(5) = 'x', b boolean = 'x'::varchar in ('x', 'y'))"
    " returns boolean begin atomic select a in ('x', 'z') from s.t; end": (
        "function s.body(character varying, boolean)"
    ),
    "create or replace procedure s.proc(a varchar(5)) begin atomic"
    " insert into s.log select a where a in ('x', 'z'); end": (
        "procedure s.proc(character varying)"
    ),
    "alter publication printed_again set table s.t where (id in (1, 3))": (
        "publication table s.printed_again t"
    ),
}


@VERSIONS
def test_a_changed_expression_is_found(pair: Pair) -> None:
    pair.source.run(PRINTED_AGAIN)
    restore(pair)
    for change in CHANGED:
        pair.target.run(change)
    found = verify(pair).expect(DIFFERENT).result["differences"]
    assert sorted(one["object"] for one in found) == sorted(CHANGED.values())
    assert not [one for one in found if "could not be compared" in one["message"]]


def as_reader(pair: Pair, *statements: str) -> dict[str, str]:
    """Variables with which the target is read by a user who may do nothing else."""
    pair.target.server.admin.run(
        "drop role if exists only_looks",
        f"create role only_looks login password '{PASSWORD}'",
    )
    pair.target.run("grant pg_read_all_data to only_looks", *statements)
    return {"WINDLASS_TARGET": pair.target.url_for("only_looks")}


@pytest.fixture
def restored(pair: Pair) -> Iterator[Pair]:
    pair.source.run("create schema s", "create table s.t (e varchar(50) check (e in ('x', 'y')))")
    restore(pair)
    yield pair
    pair.target.server.admin.run("drop role only_looks")


@pytest.mark.parametrize("pair", [(15, 18)], indirect=True)
def test_who_may_only_read_the_target_can_compare(restored: Pair) -> None:
    env = as_reader(restored)
    done = windlass("verify", "--json", pair=restored, env=env).expect(DONE)
    assert done.result["differences"] == []


@pytest.mark.parametrize("pair", [(15, 18)], indirect=True)
def test_what_cannot_be_compared_is_not_called_equal(restored: Pair) -> None:
    name = restored.target.name
    restored.source.run(f"revoke temporary on database {restored.source.name} from public")
    env = as_reader(restored, f"revoke temporary on database {name} from public")
    ran = windlass("verify", "--json", pair=restored, env=env).expect(DIFFERENT)
    (found,) = ran.result["differences"]
    assert found["object"] == "table s.t"
    assert found["message"].startswith("is written differently, and could not be compared: ")
    assert f"GRANT TEMPORARY ON DATABASE {name} TO only_looks" in found["message"]


def test_no_event_trigger_fires_and_nothing_stays(pair: Pair) -> None:
    pair.source.run(PRINTED_AGAIN)
    restore(pair)
    pair.target.run(
        "create table public.fired (what text)",
        "create function public.fires() returns event_trigger language plpgsql as"
        " 'begin perform dblink_exec(tg_event); end'",
        "create event trigger fires on ddl_command_start execute function public.fires()",
    )
    before = schema_dump(pair.target)
    verify(pair).expect(DONE)
    assert schema_dump(pair.target) == before
    temporary = "select count(*) from pg_class where relname like 'windlass%'"
    assert pair.target.value(temporary) == 0
    pair.target.run("alter event trigger fires enable always")
    found = verify(pair).expect(DIFFERENT).result["differences"]
    assert all("event triggers of the target would fire" in one["message"] for one in found)


def of(form: str) -> Doubt:
    one = form.format("((e)::text = any ((array[public.f('x'::varchar)])::text[]))")
    other = form.format("((e)::text = any (array[(public.f('x'::varchar))::text]))")
    found = doubts(one, other, Since())
    assert found and len(found) == 1
    return found[0]


@pytest.fixture
def asking(pair: Pair) -> Iterator[Connection]:
    pair.target.run(
        "create sequence ran",
        "create function f(a varchar) returns varchar language plpgsql immutable as"
        " $$begin perform nextval('public.ran'); return a; end$$",
        "create table t (e varchar(5))",
        "insert into t values ('x')",
    )
    with Address.parse("target", pair.target.url).connect(Role.TARGET, "test") as connection:
        yield connection


@pytest.mark.parametrize(
    "form",
    [
        "create index i on public.t using btree (e) where {}",
        "create table public.t (e varchar(5), check ({}))",
        "create table public.t (e varchar(5), b boolean generated always as ({}) stored)",
        "create view public.v as\n select t.e from public.t where {}",
        "create domain public.d as varchar(5)"
        " check ((exists (select from public.t where (value is not null) and {})))",
    ],
)
def test_no_function_is_run(pair: Pair, asking: Connection, form: str) -> None:
    """Not even an immutable one with constant arguments, which planning would run."""
    assert Printing(asking).are_alike([of(form)]) == [True]
    assert Printing(asking).is_same(of(form))
    assert pair.target.value("select is_called from ran") is False


def test_many_are_compared_in_one_round_trip_whatever_one_of_them_is(
    pair: Pair, asking: Connection
) -> None:
    same = of("create table public.t (check ({}))")
    gone = of("create table public.gone (check ({}))")
    found = doubts(
        "create table public.t (check ((e)::text = 'x'::text))",
        "create table public.t (check ((e)::text = 'y'::text))",
        Since(),
    )
    assert found is not None
    (other,) = found
    with Proxy(pair.target.server.port) as proxy:
        address = Address.parse("target", pair.target.url_for(port=proxy.port))
        with address.connect(Role.TARGET, "test") as connection:
            printing = Printing(connection)
            assert printing.are_alike([same]) == [True]
            before = proxy.round_trips
            assert printing.are_alike([same, other] * 20) == [True, False] * 20
            assert proxy.round_trips - before == 1
    assert Printing(asking).are_alike([same, gone, other, same]) == [True, False, False, True]


def test_a_locked_relation_does_not_hold_the_comparison_up(pair: Pair, asking: Connection) -> None:
    doubt = of("create table public.t (check ({}))")
    with pair.target.connect() as blocker:
        blocker.execute("begin")
        blocker.execute("lock table t")
        assert Printing(asking).are_alike([doubt, doubt]) == [False, False]
        with pytest.raises(CannotPrint, match="lock timeout"):
            Printing(asking).is_same(doubt)
        blocker.execute("rollback")
    assert Printing(asking).is_same(doubt)


@pytest.mark.parametrize("pair", [(15, 17)], indirect=True)
def test_a_locale_in_its_standard_form_is_the_same_collation(pair: Pair) -> None:
    """Of 17 there may be no pg_dump here, as there is none with the servers of the tests: a newer
    one reads both sides then."""
    pair.source.run(
        "create collation c (provider = icu, locale = 'de_DE')",
        "create collation d (provider = icu, locale = '@colNumeric=yes')",
    )
    restore(pair)
    verify(pair).expect(DONE)
    pair.target.run("drop collation d", "create collation d (provider = icu, locale = 'de-CH')")
    found = verify(pair).expect(DIFFERENT).result["differences"]
    assert [one["object"] for one in found] == ["collation public.d"]


def test_a_pg_dump_that_reads_one_side_only_is_a_problem_of_the_plan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only that of 16 is there: it reads 15, and refuses 17."""
    found = (PgDump(Path("pg_dump"), (16, 14)),)
    monkeypatch.setattr("windlass.engines.postgres.pg_dump.installed", lambda: found)
    words = {"source": "postgresql://a/b", "target": "postgresql://c/d"}
    spec = validated(Spec, words)
    (problem,) = _without_pg_dump(spec, 15, 17)
    assert problem.message == "none is as new as the target (17); found: 16.14"
    assert list(_without_pg_dump(spec, 15, 16)) == []
    assert list(_without_pg_dump(validated(Spec, {**words, "verify": "none"}), 15, 17)) == []


def test_the_order_of_options_is_no_difference(pair: Pair) -> None:
    settings = ["fillfactor = 70", "autovacuum_enabled = off"]
    options = ["account '1'", "region '2'"]
    for side, step in ((pair.source, 1), (pair.target, -1)):
        side.run(
            f"create table t (a int) with ({', '.join(settings[::step])})",
            "create foreign data wrapper w",
            f"create server s foreign data wrapper w options ({', '.join(options[::step])})",
        )
    verify(pair).expect(DONE)
    pair.target.run("alter server s options (set account '2', set region '1')")
    (found,) = verify(pair).expect(DIFFERENT).result["differences"]
    assert found["object"] == "server s"
