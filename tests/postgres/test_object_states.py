"""Any change of an object changes its state, for every kind that the query reads."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import pytest

from servers import Database
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.states import read_states

THERE = (
    "create schema s",
    "create table s.t (id int primary key, v text)",
    "create table s.b (t int, constraint fk foreign key (t) references s.t)",
    "create view s.v as select id, v from s.t",
    "alter view s.v alter v set default 'x'",
    "create materialized view s.m as select id, v from s.t",
    "create function s.f(int) returns int language sql as 'select 1'",
    "create function s.fires() returns trigger language plpgsql as 'begin return new; end'",
    "create trigger tr before insert on s.t for each row execute function s.fires()",
    "create rule ru as on insert to s.v do instead nothing",
    "create policy po on s.t using (true)",
    "create aggregate s.agg(int) (stype = int, sfunc = int4pl)",
    "create domain s.d as int",
    "create type s.e as enum ('a')",
    "create type s.c as (a int)",
    "create publication pub for table s.t",
    "create function s.ev() returns event_trigger language plpgsql as 'begin end'",
    "create event trigger ev on ddl_command_end when tag in ('DROP CAST') execute function s.ev()",
    "create operator s.=== (leftarg = int, rightarg = int, function = int4eq)",
    "create operator family s.fam using btree",
    "create operator class s.cls for type int using btree family s.fam as operator 1 <",
    'create collation s.col from "C"',
    "create conversion s.con for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8",
    "create text search dictionary s.dict (template = simple)",
    "create text search parser s.parser (start = prsd_start, gettoken = prsd_nexttoken,"
    " end = prsd_end, lextypes = prsd_lextype)",
    "create text search template s.template (lexize = dsimple_lexize)",
    'create text search configuration s.config (parser = "default")',
    "create foreign data wrapper w",
    "create server srv foreign data wrapper w",
    "create foreign table s.far (a int) server srv",
)


@dataclass(frozen=True, slots=True)
class Case:
    """`read` is the catalog whose row says it."""

    read: str
    catalog: str  # of the object
    oid: str
    alter: str


def _relation(read: str, name: str, alter: str) -> Case:
    return Case(read, "pg_class", f"'{name}'::regclass", alter)


def _of(catalog: str, name: str, alter: str, *, read: str = "") -> Case:
    column, _, value = name.partition(" ")
    oid = f"(select oid from {catalog} where {column} = '{value}')"
    return Case(read or catalog, catalog, oid, alter)


FAMILY = "alter operator family s.fam using btree add"
CASES = (
    _relation("pg_class", "s.v", "alter view s.v set (security_barrier)"),
    _relation("pg_class", "s.v", "grant select on s.v to public"),
    _relation("pg_class", "s.m", "alter materialized view s.m rename to renamed"),
    _relation("pg_attribute", "s.v", "grant select (v) on s.v to public"),
    _relation("pg_attribute", "s.far", "alter foreign table s.far alter a options (add x '1')"),
    _relation("pg_attribute", "s.far", 'alter foreign table s.far add b text collate "C"'),
    _relation("pg_rewrite", "s.v", "create or replace view s.v as select id, v from s.t limit 9"),
    _of("pg_rewrite", "rulename ru", "create or replace rule ru as on insert to s.v do instead"
        " select 1"),
    _relation("pg_trigger", "s.t", "alter table s.t disable trigger tr"),
    _of("pg_trigger", "tgname tr", "alter table s.t disable trigger tr"),
    _relation("pg_attrdef", "s.v", "alter view s.v alter v set default 'y'"),
    Case("pg_attrdef", "pg_attrdef", "(select oid from pg_attrdef where adrelid = 's.v'::regclass)",
         "alter view s.v alter v set default 'y'"),
    _of("pg_policy", "polname po", "alter policy po on s.t using (false)"),
    _of("pg_constraint", "conname fk", "alter table s.b alter constraint fk deferrable"),
    _of("pg_type", "typname d", "alter domain s.d add check (value > 0)", read="pg_constraint"),
    _of("pg_type", "typname d", "alter domain s.d set default 1"),
    _of("pg_type", "typname e", "alter type s.e add value 'b'", read="pg_enum"),
    _of("pg_type", "typname c", "alter type s.c add attribute b int", read="pg_attribute"),
    _of("pg_proc", "proname f", "alter function s.f(int) volatile cost 7"),
    _of("pg_proc", "proname agg", "create or replace aggregate s.agg(int) (stype = int,"
        " sfunc = int4mul)", read="pg_aggregate"),
    Case("pg_publication_rel", "pg_publication_rel", "(select oid from pg_publication_rel)",
         "alter publication pub set table s.b"),
    _of("pg_event_trigger", "evtname ev", "alter event trigger ev disable"),
    _of("pg_operator", "oprname ===", "alter operator s.=== (int, int) set (restrict = eqsel)"),
    _of("pg_opclass", "opcname cls", "alter operator class s.cls using btree rename to renamed"),
    _of("pg_opfamily", "opfname fam", "alter operator family s.fam using btree rename to renamed"),
    _of("pg_opfamily", "opfname fam", f"{FAMILY} operator 2 <= (int, int)", read="pg_amop"),
    _of("pg_opfamily", "opfname fam", f"{FAMILY} function 1 (int, int) btint4cmp(int, int)",
        read="pg_amproc"),
    _of("pg_collation", "collname col", "alter collation s.col rename to renamed"),
    _of("pg_conversion", "conname con", "alter conversion s.con rename to renamed"),
    _of("pg_ts_dict", "dictname dict", "alter text search dictionary s.dict (accept = false)"),
    _of("pg_ts_parser", "prsname parser", "alter text search parser s.parser rename to renamed"),
    _of("pg_ts_template", "tmplname template", "alter text search template s.template rename to x"),
    _of("pg_ts_config", "cfgname config", "alter text search configuration s.config rename to x"),
    _of("pg_ts_config", "cfgname config", "alter text search configuration s.config add mapping for"
        " asciiword with simple", read="pg_ts_config_map"),
    _relation("pg_foreign_table", "s.far", "alter foreign table s.far options (add y '1')"),
    _relation("pg_index", "s.m", "create index on s.m (v)"),
    _relation("pg_description", "s.v", "comment on column s.v.v is 'altered'"),
)  # fmt: skip


@pytest.mark.parametrize("version", [12, 15, 18])
def test_the_state_of_each_kind_is_another_after_it_was_altered(
    database: Callable[[int], Database], version: int
) -> None:
    there = database(version)
    there.run(*THERE)
    with there.connect() as connection:
        addresses = {case: address_of(connection, case) for case in CASES}
        every = set(addresses.values())
        before = read_states(connection, every)
        assert before.keys() == every and all(before.values())
        assert read_states(connection, every) == before
        connection.execute("create table s.other (a int)")
        assert read_states(connection, every) == before
        for case, address in addresses.items():
            with connection.transaction(force_rollback=True):
                connection.execute(case.alter.encode())
                after = read_states(connection, {address}).get(address)
                assert after != before[address], case


def address_of(connection: psycopg.Connection, case: Case) -> tuple[int, int]:
    query = f"select '{case.catalog}'::regclass::oid::bigint, {case.oid}::oid::bigint"
    [(class_, oid)] = connection.execute(query.encode()).fetchall()
    return class_, oid


def test_there_is_a_case_for_every_catalog_that_is_read() -> None:
    text = load("object_states").as_string()
    read = set(re.findall(r"\b(?:from|join) (pg_\w+)", text))
    assert read == {case.read for case in CASES}
