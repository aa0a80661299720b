"""Tables that get other names, rows and columns on their way, as a spec says: what arrives is what
was declared, is proven, and can be undone."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest
import yaml

from command import BAD_SPEC, DIFFERENT, DONE, REFUSED, STOPPED, Ran, migrate, verify, windlass
from killing import kill
from oracle import content_difference, schema_difference
from paths import ROOT
from servers import Pair
from windlass.transfer.hashing import Hasher

KEY = "correct horse battery staple"
ENV = {"WINDLASS_HASH_KEY": KEY}


@pytest.fixture
def shop(pair: Pair) -> Pair:
    pair.source.run(
        "create schema shop",
        "create schema crm",
        "create type shop.mood as enum ('sad', 'happy')",
        "create table shop.users (id serial primary key, mail varchar(60) not null unique,"
        " name text, note text, age text, phone text, mood shop.mood default 'happy',"
        " shout text generated always as (upper(name)) stored,"
        " constraint has_at check (mail like '%@%'), constraint grown check (age <> '0'))",
        "create index on shop.users (lower(name)) where mail <> ''",
        "create index users_note on shop.users (note)",
        "create statistics shop.both on name, mail from shop.users",
        "comment on table shop.users is 'who buys'",
        "comment on column shop.users.mail is 'to write to'",
        "comment on column shop.users.note is 'not for others'",
        "comment on constraint has_at on shop.users is 'an address'",
        "comment on index shop.users_note is 'of notes'",
        "alter table shop.users alter column mail set statistics 500, alter note set storage main",
        "grant select (mail, name) on shop.users to corpus_reader",
        "create table shop.orders (id bigint generated always as identity primary key,"
        " buyer int references shop.users, buyer_mail text, total numeric(10, 2))",
        "create function shop.seen() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger touched before update of mail on shop.users for each row"
        " when (old.mail is distinct from new.mail) execute function shop.seen()",
        "alter table shop.users enable row level security",
        "create policy own on shop.users using (mail = current_user)",
        "create view shop.sales as select u.mail, sum(o.total) as total"
        " from shop.users u join shop.orders o on o.buyer = u.id group by u.mail",
        "insert into shop.users (mail, name, note, age, phone) select i || '@x.org', 'n' || i,"
        " 'secret', (20 + i)::text, case when i % 3 > 0 then '0' || i end"
        " from generate_series(1, 60) i",
        "insert into shop.orders (buyer, buyer_mail, total) select i, i || '@x.org', i * 1.5"
        " from generate_series(1, 60) i",
    )
    return pair


@pytest.fixture
def spec(tmp_path: Path) -> Any:
    """Writes a spec with this mapping; its path."""

    def write(mapping: dict[str, Any], **words: Any) -> str:
        path = tmp_path / "migrate.yaml"
        path.write_text(yaml.safe_dump({"flow": "migrate", "mapping": mapping, **words}))
        return str(path)

    return write


def problems(ran: Ran) -> list[str]:
    return [f"{one['object']}: {one['message']}" for one in ran.result["problems"]]


RENAMED = {"shop.users": {"into": "crm.people", "columns": {"mail": "email", "note": None}}}
RENAMING = (
    "alter table shop.users set schema crm",
    "alter table crm.users rename to people",
    "alter table crm.people rename mail to email",
    "alter table crm.people drop note",
)


def test_names_change_wherever_the_server_would_change_them(shop: Pair, spec: Any) -> None:
    """The same as moving everything and renaming afterwards; the server is the judge."""
    path = spec(RENAMED)
    refused = migrate(shop, "-f", path).expect(REFUSED)
    (only,) = problems(refused)
    assert "users_note" in only and "note, which is dropped" in only
    assert not shop.target.rows("select 1 from pg_namespace where nspname in ('shop', 'crm')")
    migrate(shop, "-f", path, "--accept", "objects").expect(DONE)
    verify(shop, "-f", path).expect(DONE)
    assert shop.target.rows("select * from shop.sales order by 1") == shop.source.rows(
        "select * from shop.sales order by 1"
    )
    for side in (shop.source, shop.target):
        side.run("drop view shop.sales")
    shop.source.run(*RENAMING)
    assert schema_difference(shop.source, shop.target) == []
    assert content_difference(shop.source, shop.target) == []


def test_a_schema_that_the_source_does_not_have_is_made(shop: Pair, spec: Any) -> None:
    shop.target.run("create schema there")
    path = spec({"shop.orders": {"into": "new.sales", "columns": {"buyer": None}}})
    words = ("-f", path, "--accept", "objects", "--accept", "constraints")
    found = migrate(shop, *words).expect(DONE).result
    assert shop.target.value("select count(*) from new.sales") == 60
    verify(shop, "-f", path).expect(DONE)
    windlass("rollback", found["run"], "--yes", pair=shop).expect(DONE)
    assert not shop.target.rows("select 1 from pg_namespace where nspname = 'new'")
    into = spec({"shop.orders": {"into": "there.sales", "columns": {"buyer": None}}})
    migrate(shop, *("-f", into, *words[2:])).expect(DONE)
    assert shop.target.value("select count(*) from there.sales") == 60


def hashed(text: str) -> str:
    return hmac.digest(KEY.encode(), text.encode(), hashlib.sha256).hex()


PAGE = (ROOT / "docs/mapping.md").read_text()
MASKED = yaml.safe_load(PAGE.partition("```yaml")[2].partition("```")[0])["mapping"]
ACCEPTED = ("--accept", "objects", "--accept", "constraints")


def test_values_change_as_declared_and_that_is_what_is_proven(shop: Pair, spec: Any) -> None:
    path = spec(MASKED)
    done = migrate(shop, "-f", path, *ACCEPTED, env=ENV).expect(DONE).result
    assert done["state"] == "done"
    rows = shop.target.rows("select * from crm.people where id in (3, 4) order by id")
    names = "select string_agg(attname, ' ' order by attnum) from pg_attribute"
    assert shop.target.value(f"{names} where attrelid = 'crm.people'::regclass and attnum > 0") == (
        "id email full_name age phone mood shout country"
    )
    assert rows[0] == (
        3, hashed("3@x.org"), "n3", 23, None, "happy", "N3", "DE"
    )  # fmt: skip
    joined = "select count(*) from crm.people join shop.orders on buyer_mail = email"
    assert shop.target.value(joined) == 40
    assert shop.target.value("select count(*) from shop.orders") == 40
    verify_with_key = ("verify", "--json", "-f", path, *ACCEPTED)
    windlass(*verify_with_key, pair=shop, env=ENV).expect(DONE)
    # what is planted where rows are mapped is found by key and column
    shop.target.run(
        "update crm.people set email = 'x' where id = 7",
        "update crm.people set shout = 'n8' where id = 8",
        "update shop.orders set total = 0 where id = 9",
        "delete from shop.orders where id = 10",
        "delete from crm.people where id = 10",
        "insert into crm.people (id, email) values (50, 'y')",
    )
    found = windlass(*verify_with_key, pair=shop, env=ENV).expect(DIFFERENT).result["differences"]
    named = {(one["object"], one["key"].get("id"), tuple(one["columns"])) for one in found}
    assert {
        ("shop.users", "7", ("email",)),
        ("shop.users", "8", ("shout",)),
        ("shop.orders", "9", ("total",)),
        ("shop.users", "10", ()),
        ("shop.users", "50", ()),
    } <= named
    told = windlass("verify", "-f", path, *ACCEPTED, pair=shop, env=ENV).expect(DIFFERENT)
    assert "--repair" not in told.said, "mapped tables are not repaired"


def test_the_plan_is_the_document_of_the_mapping(shop: Pair, spec: Any) -> None:
    path = spec(MASKED)
    ran = windlass("plan", "--json", "-f", path, *ACCEPTED, pair=shop, env=ENV).expect(DONE)
    assert KEY not in ran.said
    (people,) = [one for one in ran.result["relations"] if one["target"] == "crm.people"]
    assert people["source"] == "shop.users" and people["where"] == "id <= 40"
    columns = {one["target"]: one for one in people["columns"]}
    assert columns["email"]["source"] == "mail" and "hash" in columns["email"]["how"]
    assert columns["country"]["source"] is None
    assert columns["shout"]["expression"] == "upper(name)" and people["dropped"] == ["note"]
    assert (columns["age"]["source_type"], columns["age"]["target_type"]) == ("text", "smallint")
    losses = [f"{one['object']}: {one['message']}" for one in ran.result["losses"]]
    assert any("check has_at is left out: 40 rows would break it" in one for one in losses)
    assert any("grown" in one and "another type" in one for one in losses)
    said = windlass("plan", "-f", path, *ACCEPTED, pair=shop, env=ENV).expect(DONE).stdout
    assert "only rows where id <= 40" in said and "mail → email" in said and KEY not in said


def test_what_a_mapping_cannot_mean_is_refused_all_at_once(shop: Pair, spec: Any) -> None:
    for name in "abcdefgh":
        shop.source.run(f"create table shop.{name} (id int primary key, a text, b text)")
    mapping = {
        "shop.user": {},
        "shop.sales": {},
        "shop.a": {"columns": {"x": "y"}},
        "shop.b": {"columns": {"a": "b"}},
        "shop.c": {"where": "id"},
        "shop.d": {"where": "true) from shop.c; drop table shop.c; select (1"},
        "shop.e": {"columns": {"a": {"sql": "nope(a)"}}},
        "shop.f": {"columns": {"a": {"sql": "random()::text"}, "b": {"sql": "now()::text"}}},
        "shop.g": {"types": {"a": "int) , (1", "z": "int"}},
        "shop.h": {"into": "shop.orders"},
        "shop.users": {"columns": {"mail": {"mask": "hash"}, "mood": {"mask": "hash"}}},
    }
    path = spec(mapping)
    found = "\n".join(problems(migrate(shop, "-f", path).expect(REFUSED)))
    for expected in (
        "mapping shop.user: is no table",
        "shop.sales: is a view",
        "shop.a: has no column x",
        "shop.b: a and b would both be column b",
        "shop.c: where is integer",
        "shop.d: where is not one expression",
        "shop.e: column a: function nope(text) does not exist",
        "shop.f: column a calls random()",
        "shop.f: column b calls now()",
        "shop.g: types: a: int) , (1 is not a type",
        "shop.g: types: no column z arrives",
        "shop.h and shop.orders would both go into it",
        "mask: hash: WINDLASS_HASH_KEY is not set",
        "shop.users: column mood: there is no hash of shop.mood",
    ):
        assert expected in found, f"{expected} is not in\n{found}"
    assert not shop.target.rows("select 1 from pg_namespace where nspname in ('shop', 'windlass')")
    said = windlass("plan", "--json", "-f", path, pair=shop).expect(REFUSED).result["notices"]
    assert any("mapped tables are shown as they are on the source" in one for one in said)


def test_what_the_rows_do_not_allow_is_counted_before_anything_is_written(
    shop: Pair, spec: Any
) -> None:
    shop.source.run(
        "create table shop.a (id int primary key, a text not null unique, b text not null, c text)",
        "insert into shop.a select i, i, i, nullif(i, 3) from generate_series(1, 5) i",
        "create unique index on shop.a (lower(c))",
        "create view shop.of_a as select a.b, a.c from shop.a",
        "create function shop.reads() returns bigint language sql as 'select count(b) from shop.a'",
        "create table shop.parent (id int primary key)",
        "create table shop.child () inherits (shop.parent)",
    )
    mapping = {
        "shop.a": {
            "columns": {"a": {"value": "x"}, "b": {"sql": "c"}, "c": {"sql": "'v'::text"}},
        },
        "shop.users": {
            "where": "id > 50",
            "columns": {"mail": None, "name": {"value": "x"}, "phone": {"mask": "null"}},
            "types": {"note": "integer"},
        },
        "shop.orders": {"types": {"buyer_mail": "varchar(7)"}},
        "shop.parent": {"where": "id > 1"},
    }
    path = spec(mapping)
    found = "\n".join(problems(migrate(shop, "-f", path).expect(REFUSED)))
    assert "shop.parent: has child tables" in found
    del mapping["shop.parent"]
    found = "\n".join(problems(migrate(shop, "-f", spec(mapping)).expect(REFUSED)))
    for expected in (
        "constraint shop.a a_a_key: 1 key of the rows that arrive would occur more than once",
        "shop.a: column b: 1 NULL, and it is NOT NULL",
        "a_lower_idx: is left out: it may not hold",
        "50 rows of shop.orders would refer to rows of shop.users that do not arrive",
        "view shop.sales: is left out: it uses column mail of shop.users, which is dropped",
        "constraint shop.users users_mail_key: is left out: it uses column mail, which is dropped",
        "check has_at uses column mail, which is dropped",
        "column shout is generated from name, whose values are others",
        "column note: not every value of text is one of integer",
        "column buyer_mail: 51 values do not fit character varying(7)",
    ):
        assert expected in found, f"{expected} is not in\n{found}"
    assert not shop.target.rows("select 1 from pg_namespace where nspname in ('shop', 'windlass')")


def test_what_goes_with_a_column_goes_with_it_and_what_cannot_follow_is_named(
    pair: Pair, spec: Any
) -> None:
    pair.source.run(
        "create schema shop",
        "create table shop.a (id int generated always as identity primary key, n serial, a text,"
        " b text, c int default 7)",
        "insert into shop.a (a, b) select i, i from generate_series(1, 9) i",
        "comment on column shop.a.b is 'gone'",
        "create view shop.seen as select x.id as one, x.a from shop.a x where x.c > 0",
        "create view shop.over_it as select a from shop.seen",
        "create materialized view shop.kept as select count(*) as n from shop.a",
        "create materialized view shop.whole as select row_to_json(a.*) as r from shop.a",
        "create function shop.note() returns trigger language plpgsql as"
        " 'begin new.b := upper(new.b); return new; end'",
        "create trigger notes before insert on shop.a for each row execute function shop.note()",
        "create rule ignored as on delete to shop.a do also select 1",
    )
    columns = {"n": None, "b": None, "c": {"mask": "hash"}, "id": "key", "a": "b2"}
    mapping = {"shop.a": {"into": "b", "where": "id > 4", "columns": columns}}
    path = spec(mapping)
    found = "\n".join(problems(windlass("migrate", "--json", "-f", path, pair=pair, env=ENV)))
    for expected in (
        "view shop.seen: is left out: it uses column c of shop.a, which has another type",
        "view shop.over_it: left out: it needs view shop.seen, which is left out",
        "materialized view shop.whole: is left out: it uses a row as a whole",
        "rule shop.a ignored: is left out: it is a rule",
        "column c has no default, as its type is another: 7",
        "trigger notes of shop.a: runs shop.note, whose body may name column b",
    ):
        assert expected in found, f"{expected} is not in\n{found}"
    accepted = ("--accept", "objects", "--accept", "behaviour")
    words = ("--json", "-f", path, *accepted)
    done = windlass("migrate", *words, pair=pair, env=ENV).expect(DONE).result
    assert any("it reads mapped tables" in one for one in done["notices"])
    windlass("verify", *words, pair=pair, env=ENV).expect(DONE)
    assert pair.target.value("select n from shop.kept") == 5
    pair.target.run("drop trigger notes on shop.b")
    assert pair.target.value("insert into shop.b (b2) values ('x') returning key") == 10
    names = "select string_agg(relname, ' ' order by relname) from pg_class"
    schema = "relnamespace = 'shop'::regnamespace and relkind in ('r', 'S', 'm', 'v')"
    assert pair.target.value(f"{names} where {schema}") == "a_id_seq b kept"


def test_following_a_mapped_source_is_refused_with_a_sentence(pair: Pair, spec: Any) -> None:
    ran = windlass("migrate", "-f", spec({"shop.users": {}}, follow=True), pair=pair)
    assert "follow applies the source's changes as they are" in ran.expect(BAD_SPEC).said


def test_a_mapped_table_is_cut_killed_resumed_replaced_and_undone(pair: Pair, spec: Any) -> None:
    pair.source.run(
        "create schema shop",
        "create table shop.big (id int primary key, mail text, fill text)",
        "insert into shop.big select i, i || '@x.org', repeat('x', 400)"
        " from generate_series(1, 20000) i",
    )
    pair.target.run("create schema crm", "create table crm.large (own int)")
    columns = {"mail": {"mask": "hash"}, "fill": None, "n": {"sql": "id * 2"}}
    mapping = {"shop.big": {"into": "crm.large", "where": "id % 2 = 0", "columns": columns}}
    path = spec(mapping, existing="replace", **{"chunk-size": "1MB", "max-chunks": 4, "jobs": 1})
    words = ("migrate", "--json", "-f", path)
    sides = {"WINDLASS_SOURCE": pair.source.url, "WINDLASS_TARGET": pair.target.url}
    kill("call windlass.flows.migrate.rows._copy_chunks 3", words, {**ENV, **sides})
    other = {"WINDLASS_HASH_KEY": KEY[::-1]}
    refused = windlass(*words, pair=pair, env=other).expect(STOPPED)
    assert "WINDLASS_HASH_KEY is not what it was" in refused.said and KEY not in refused.said
    done = windlass(*words, pair=pair, env=ENV).expect(DONE).result
    assert pair.target.rows("select count(*), sum(n), min(mail) from crm.large") == [
        (10000, 200020000, min(hashed(f"{i}@x.org") for i in range(2, 20001, 2)))
    ]
    journal = pair.target.value("select string_agg(r::text, '') from windlass.run r")
    pads = Hasher(KEY).pads()
    assert KEY not in journal and not any(pad.hex() in journal for pad in pads)
    refused = windlass("verify", "--json", "-f", path, "--repair", "--yes", pair=pair, env=ENV)
    assert "shop.big" in refused.expect(REFUSED).said
    windlass("rollback", done["run"], "--yes", pair=pair).expect(DONE)
    assert pair.target.rows(
        "select column_name::text from information_schema.columns where table_schema = 'crm'"
    ) == [("own",)]
