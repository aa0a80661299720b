"""Tables that get other names, rows and columns on their way, as a spec says: what arrives is what
was declared, is proven, and can be undone."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest
import yaml

from command import BAD_SPEC, DIFFERENT, DONE, REFUSED, Ran, migrate, verify, windlass
from oracle import content_difference, schema_difference
from servers import Pair

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
        "create function shop.seen() returns trigger language plpgsql as"
        " 'begin return new; end'",
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
