"""Conditions and queries of an export mean what they mean in psql; our own statements find what is
PostgreSQL's own, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exporting import export, rows
from servers import PASSWORD, Database

READER = "conditions_reader"

# a type that compares in its own way, as citext, which is not on every server
CITEXT = (
    "create schema helpers; create type helpers.ct",
    "create function helpers.ct_in(cstring) returns helpers.ct"
    " language internal immutable strict as 'textin'",
    "create function helpers.ct_out(helpers.ct) returns cstring"
    " language internal immutable strict as 'textout'",
    "create type helpers.ct (input = helpers.ct_in, output = helpers.ct_out,"
    " internallength = variable, storage = extended, category = 'S', collatable = true)",
    "create cast (helpers.ct as text) without function as implicit",
    "create cast (text as helpers.ct) without function as assignment",
    "create function helpers.same(helpers.ct, helpers.ct) returns bool language sql immutable as"
    " 'select lower($1::text) = lower($2::text)'",
    "create operator helpers.= (leftarg = helpers.ct, rightarg = helpers.ct,"
    " function = helpers.same)",
    "create function helpers.from(helpers.ct, helpers.ct) returns bool language sql immutable as"
    " 'select lower($1::text) >= lower($2::text)'",
    "create operator helpers.>= (leftarg = helpers.ct, rightarg = helpers.ct,"
    " function = helpers.from)",
    "create function helpers.larger(helpers.ct, helpers.ct) returns helpers.ct"
    " language sql immutable strict as"
    " 'select case when lower($1::text) >= lower($2::text) then $1 else $2 end'",
    "create aggregate helpers.max(helpers.ct) (sfunc = helpers.larger, stype = helpers.ct)",
)
SHOP = (
    *CITEXT,
    "create schema shop; create schema private",
    "create table shop.c (id int primary key, ct helpers.ct, at timestamptz, d date)",
    "insert into shop.c values (1, 'CITEXT', '2024-01-01 00:30+01', '2024-03-02'),"
    " (2, 'other', '2023-12-31 23:30+01', '2024-02-03')",
    "create function shop.is_first(int) returns bool return $1 = 1",
    "create table private.t as select 7 as n",
    f"create role {READER} login password '{PASSWORD}'",
    f"alter role {READER} set search_path = '$user', public, private, helpers",
    f"alter role {READER} set timezone = 'Europe/Berlin'",
    f"alter role {READER} set datestyle = 'ISO, DMY'",
    f"grant usage on schema shop, helpers, private to {READER}",
    f"grant select on shop.c, private.t to {READER}",
)


@pytest.fixture
def shop(database: Callable[[int], Database]) -> Iterator[Database]:
    source = database(16)
    source.run(*SHOP)
    yield source
    source.run(f"drop owned by {READER}; drop role {READER}")


def exported(shop: Database, folder: Path, *, role: str = READER, **words: Any) -> Any:
    env = {"WINDLASS_SOURCE": shop.url_for(role)}
    return export(shop, folder, env=env, **words)


CONDITIONS = {
    "an operator of an extension": "ct = 'citext'",
    "a function of the schema": "is_first(id)",
    "the role's time zone": "at >= '2024-01-01 00:00'",
    "a moment's day": "at::date = date '2024-01-01'",
    "the role's order of day and month": "d = '02/03/2024'",
}


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_a_condition_finds_the_rows_that_psql_finds(
    condition: str, form: str, shop: Database, tmp_path: Path
) -> None:
    words: dict[str, Any] = {"name": "shop.c", "where": condition, "columns": ["id", "at"]}
    exported(shop, tmp_path, relations=words, format=form).expect(0)
    (row,) = rows(tmp_path, 'select id, "at"::varchar from c')
    assert row == (1, "2023-12-31 23:30:00+00")


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_query_finds_what_psql_finds(form: str, shop: Database, tmp_path: Path) -> None:
    queries = {
        "unqualified": "select n from t",
        "texts": "select id from shop.c where ct = 'citext'",
        "days": "select at::date as n from shop.c where id = 1",
    }
    relations = [{"name": name, "query": query} for name, query in queries.items()]
    exported(shop, tmp_path, relations=relations, format=form).expect(0)
    found = rows(tmp_path, "select (select n from unqualified), (select id from texts),"
                 " (select n::varchar from days)")  # fmt: skip
    assert found == [(7, 1, "2024-01-01")]


def test_a_role_with_an_empty_search_path_finds_the_relation_s_schema(
    shop: Database, tmp_path: Path
) -> None:
    shop.run(f"alter role {READER} set search_path = ''")
    words = {"name": "shop.c", "where": "is_first(id)", "columns": "id"}
    exported(shop, tmp_path, relations=words).expect(0)
    assert rows(tmp_path, "select id from c") == [(1,)]


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_moments_are_written_in_utc_whatever_the_role_has(
    form: str, shop: Database, tmp_path: Path
) -> None:
    """Before Berlin had a time zone, and at infinity; as a text column, too."""
    moments = ["1850-01-01 00:00+00", "0044-03-15 12:00+02 BC", "infinity", "2024-07-01 12:00+02"]
    listed = ", ".join(f"({at}, timestamptz '{moment}')" for at, moment in enumerate(moments))
    query = f"select n, at, at as text from (values {listed}) as v (n, at)"
    words = {"name": "q", "query": query, "text": "text"}
    exported(shop, tmp_path, relations=words, format=form).expect(0)
    assert rows(tmp_path, 'select "at"::varchar, text from q order by n') == [
        ("1850-01-01 00:00:00+00", "1850-01-01 00:00:00+00"),
        ("0044-03-15 (BC) 10:00:00+00", "0044-03-15 10:00:00+00 BC"),
        ("infinity", "infinity"),
        ("2024-07-01 10:00:00+00", "2024-07-01 10:00:00+00"),
    ]


def test_the_watermark_of_a_condition_is_found_as_well(shop: Database, tmp_path: Path) -> None:
    relation = {
        "name": "shop.c",
        "where": "ct = 'citext'",
        "watermark": "at",
        "columns": ["id", "at"],
    }
    words: dict[str, Any] = {"relations": relation, "disposition": "merge"}
    for count in (1, 1):
        assert exported(shop, tmp_path, **words).expect(0).result["rows"] == count
    shop.run("insert into shop.c values (3, 'Citext', '2024-01-02 00:00Z', null)")
    assert exported(shop, tmp_path, **words).expect(0).result["rows"] == 2
    assert rows(tmp_path, "select id from c order by id") == [(1,), (3,)]


def test_a_watermark_of_an_extension_grows_as_its_operators_say(
    shop: Database, tmp_path: Path
) -> None:
    """As texts, B would come before a."""
    shop.run(
        'create table shop.m (id int primary key, mark helpers.ct collate "C")',
        "insert into shop.m values (1, 'a')",
        f"grant select on shop.m to {READER}",
    )
    words: dict[str, Any] = {
        "relations": {"name": "shop.m", "watermark": "mark"},
        "disposition": "merge",
    }
    exported(shop, tmp_path, **words).expect(0)
    shop.run("insert into shop.m values (2, 'B')")
    exported(shop, tmp_path, **words).expect(0)
    assert rows(tmp_path, "select count(*) from m") == [(2,)]


def test_our_own_statements_do_not_find_what_a_user_has_put_there(
    shop: Database, tmp_path: Path
) -> None:
    """Functions that suit a column better than PostgreSQL's own would be called in their place."""
    shop.run(
        "create function public.to_json(int[]) returns json language plpgsql as"
        " $$begin raise exception 'called'; end$$",
        "create function public.array_ndims(int[]) returns int language plpgsql as"
        " $$begin raise exception 'called'; end$$",
        "create function public.pg_typeof(timestamptz) returns regtype language plpgsql as"
        " $$begin raise exception 'called'; end$$",
        "create table shop.l as select 1 as id, array[1, 2] as a, now() as at",
        f"grant select on shop.l to {READER}",
    )
    words = {"name": "shop.l", "where": "id = 1", "watermark": "at", "key": "id"}
    exported(shop, tmp_path, relations=words, disposition="merge").expect(0)
    assert rows(tmp_path, "select a from l") == [([1, 2],)]


@pytest.mark.parametrize("statement", ["delete from t returning n", "select shop.write()"])
def test_a_query_cannot_write(statement: str, shop: Database, tmp_path: Path) -> None:
    shop.run(
        "create function shop.write() returns int language sql as"
        " $$delete from private.t returning n$$",
        f"grant delete on private.t to {READER}",
    )
    query = f"with w as ({statement}) select * from w"
    ran = exported(shop, tmp_path, relations={"name": "q", "query": query})
    assert ran.code in (3, 4), ran.said
    assert shop.value("select count(*) from private.t") == 1
