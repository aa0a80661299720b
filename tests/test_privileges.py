"""What docs/privileges.md lists is enough for a role that is no superuser."""

from __future__ import annotations

import pytest
from psycopg import sql

from command import DONE, REFUSED, migrate, windlass
from servers import PASSWORD, Database, Pair

READER, OWNER = "corpus_least_reader", "corpus_least_owner"
SHOP = (
    "create schema shop",
    "create table shop.orders (id serial primary key, note text)",
    "insert into shop.orders (note) select 'n' || n from generate_series(1, 100) n",
    "create view shop.notes as select note from shop.orders",
)
GRANTS = (
    f"grant usage on schema shop to {READER}",
    f"grant select on shop.orders to {READER}",
    f"grant select on sequence shop.orders_id_seq to {READER}",
)


def _make_role(database: Database, name: str) -> None:
    words = sql.SQL("create role {} login password {}")
    with database.connect() as connection:
        found = connection.execute("select from pg_roles where rolname = %s", [name]).fetchone()
        if found is None:
            connection.execute(words.format(sql.Identifier(name), sql.Literal(PASSWORD)))


@pytest.fixture
def least(pair: Pair) -> dict[str, str]:
    """Environment of a reader of the source and the owner of the target's database."""
    pair.source.run(*SHOP)
    _make_role(pair.source, READER)
    _make_role(pair.target, READER)
    _make_role(pair.target, OWNER)
    pair.source.run(*GRANTS)
    with pair.target.connect() as connection:
        words = sql.SQL("alter database {} owner to {}")
        connection.execute(words.format(sql.Identifier(pair.target.name), sql.Identifier(OWNER)))
    return {
        "WINDLASS_SOURCE": pair.source.url_for(READER),
        "WINDLASS_TARGET": pair.target.url_for(OWNER),
    }


def test_the_listed_privileges_suffice_to_migrate_and_verify(
    pair: Pair, least: dict[str, str]
) -> None:
    migrate(pair, env=least).expect(DONE)
    assert pair.target.value("select count(*) from shop.orders") == 100


def test_a_reader_of_both_sides_may_verify(pair: Pair, least: dict[str, str]) -> None:
    migrate(pair).expect(DONE)
    pair.target.run(*GRANTS)
    env = {**least, "WINDLASS_TARGET": pair.target.url_for(READER)}
    windlass("verify", pair=pair, env=env).expect(DONE)


@pytest.mark.parametrize("grant", GRANTS)
def test_each_of_them_is_missed(pair: Pair, least: dict[str, str], grant: str) -> None:
    pair.source.run(grant.replace("grant ", "revoke ").replace(" to ", " from "))
    ran = migrate(pair, env=least).expect(REFUSED)
    assert f"{READER} needs" in ran.said, ran.why
    assert "GRANT" in ran.said
