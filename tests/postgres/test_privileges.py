"""What docs/privileges.md lists is enough for a role that is no superuser."""

from __future__ import annotations

from collections.abc import Iterator

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


SUPERUSERS_ONLY = {
    "function shop.root(double precision)": "create function shop.root(float8) returns float8"
    " language internal immutable strict as 'dsqrt'",
    "operator class shop.ints": "create operator class shop.ints for type int4 using btree as"
    " operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >,"
    " function 1 btint4cmp(int4, int4)",
}


@pytest.fixture
def hosted(pair: Pair) -> Iterator[str]:
    """What a provider's administrator is a member of."""
    pair.target.run("create role rds_superuser")
    yield "rds_superuser"
    pair.target.run("drop role rds_superuser")


def test_what_only_a_superuser_may_create_is_refused_by_name(
    pair: Pair, least: dict[str, str], hosted: str
) -> None:
    """A provider's administrator is none."""
    pair.source.run(*SUPERUSERS_ONLY.values())

    def barred() -> set[str]:
        problems = migrate(pair, env=least).expect(REFUSED).result["problems"]
        return {one["object"] for one in problems if "only a superuser" in one["message"]}

    family = "operator family shop.ints"  # comes with its class
    assert barred() == {*SUPERUSERS_ONLY, family}
    pair.target.run(f"grant {hosted} to {OWNER}")
    assert barred() == {*SUPERUSERS_ONLY, family}
