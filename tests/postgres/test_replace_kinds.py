"""Kinds of objects that are hard to move aside or to drop: replaced, and back."""

from __future__ import annotations

import pytest

from command import DONE, migrate, verify, windlass
from oracle import contents, schema_dump
from servers import Database, Pair

HARD = (
    # told apart by OUT parameters alone, for ALTER
    "create procedure p(out a int, b int, c int) language sql as 'select 1'",
    "create procedure p(a int, b int, c int) language sql as 'select 1'",
    "create procedure p(inout a text) language sql as 'select a'",
    "create function many(a int, variadic b int[]) returns int language sql as 'select 1'",
    # each needs the other
    "create table t (a int)",
    "create function f(t) returns bool language plpgsql as 'begin return $1.a > 0; end'",
    "alter table t add check (f(t.*))",
    "create table parent (b int check (b > 0))",
    "create table child () inherits (parent)",
    "insert into t values (1)",
    "create aggregate agg0(*) (stype = int8, sfunc = int8inc, initcond = '0')",
    "create aggregate ordered(float8 order by anyelement) (sfunc = ordered_set_transition,"
    " stype = internal, finalfunc = percentile_disc_final, finalfunc_extra)",
    "create operator === (leftarg = text, rightarg = text, function = texteq, commutator = ===)",
    "create function \"odd(name\"(a int) returns int language sql as 'select 1'",
    "create type span as range (subtype = float8)",
    "create function of_span(span) returns float8 language sql as 'select lower($1)'",
    "create table spans (s span)",
    "insert into spans values (span(1, 2))",
    "create domain small as int check (value < 10)",
)


def state(database: Database) -> object:
    return schema_dump(database), contents(database)


@pytest.mark.parametrize("pair", [(15, 15), (18, 18), (15, 18)], indirect=True)
def test_hard_kinds_are_replaced_and_come_back(pair: Pair) -> None:
    pair.source.run(*HARD)
    migrate(pair).expect(DONE)
    before = state(pair.target)
    run = migrate(pair, "--existing", "replace").expect(DONE).result["run"]
    verify(pair).expect(DONE)
    windlass("rollback", run, "--yes", pair=pair).expect(DONE)
    assert state(pair.target) == before


def test_a_user_mapping_that_the_target_has_is_no_obstacle(pair: Pair) -> None:
    pair.source.run(
        "create foreign data wrapper w",
        "create server srv foreign data wrapper w options (host 'new')",
        "create user mapping for public server srv options (user 'u')",
    )
    pair.target.run(
        "create foreign data wrapper w",
        "create server srv foreign data wrapper w options (host 'old')",
        "create user mapping for public server srv options (user 'v')",
        "create foreign table kept (a int) server srv",
    )
    before = state(pair.target)
    run = migrate(pair, "--existing", "replace").expect(DONE).result["run"]
    verify(pair).expect(DONE)
    served = (
        "select srvname::text, srvoptions::text from pg_foreign_table t"
        " join pg_foreign_server s on s.oid = t.ftserver where ftrelid = 'kept'::regclass"
    )
    assert pair.target.rows(served) == [("srv", "{host=new}")]
    windlass("rollback", run, "--yes", pair=pair).expect(DONE)
    assert state(pair.target) == before


@pytest.mark.parametrize("pair", [(15, 15), (18, 18)], indirect=True)
def test_default_privileges_of_the_target_grant_nothing_on_what_is_created(pair: Pair) -> None:
    pair.source.run(
        "create schema s",
        "create table s.t (id serial primary key)",
        "create table s.owned (id int)",
        "alter table s.owned owner to corpus_owner",
        "create view s.v as select id from s.t",
        "grant select on s.v to corpus_reader",
        "create function s.f(int) returns int language sql as 'select 1'",
        "create function s.g() returns int language sql as 'select 1'",
        "revoke all on function s.g() from public",
        "create type s.mood as enum ('sad')",
    )
    pair.target.run(
        "create schema s",
        "alter default privileges in schema s grant all on tables to corpus_reader, public",
        "alter default privileges in schema s"
        " grant select on sequences to corpus_reader with grant option",
        "alter default privileges revoke execute on functions from public",
        "alter default privileges in schema s grant usage on types to corpus_writer",
    )
    migrate(pair).expect(DONE)
    verify(pair).expect(DONE)
    mine = [one for one in schema_dump(pair.target) if one.kind != "DEFAULT ACL"]
    assert mine == schema_dump(pair.source)
