"""Partitions into which each server puts other rows: by the hash of object ids, such as an enum's.

Their rows are copied, compared, repaired and given back at the topmost such ancestor.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from command import DONE, migrate, verify, windlass
from servers import Database, Pair
from windlass.engines.postgres.catalog import read_catalog
from windlass.engines.postgres.session import Address, Role
from windlass.model.relation import Name

LABELS = [f"label {at}" for at in range(40)]  # that a server moves none of them is no chance
TYPES = (
    "create schema s",
    f"create type s.mood as enum ({', '.join(f'{label!r}' for label in LABELS)})",
    "create domain s.mood_domain as s.mood",
    "create type s.mood_row as (x int, m s.mood)",
    "create type s.mood_range as range (subtype = s.mood, multirange_type_name = s.mood_ranges)",
    *(f'create table s."{label}" ()' for label in LABELS),
)
# the key's type, how rows are divided by it, and a key made of a label m
DIVIDED = {
    "by_enum": ("s.mood", "hash (m)", "m"),
    "by_two": ("s.mood", "hash (v, m)", "m"),
    "by_domain": ("s.mood_domain", "hash (m)", "m"),
    "by_array": ("s.mood[]", "hash (m)", "array[m]"),
    "by_row": ("s.mood_row", "hash (m)", "row(1, m)::s.mood_row"),
    "by_range": ("s.mood_range", "hash (m)", "s.mood_range(m, null)"),
    "by_ranges": ("s.mood_ranges", "hash (m)", "s.mood_ranges(s.mood_range(m, null))"),
    "by_table": ("regclass", "hash (m)", "('s.' || quote_ident(m::text))::regclass"),
    "by_expression": ("s.mood", "hash ((coalesce(m, 'label 0'::s.mood)))", "m"),
    "by_own_hash": ("s.mood", "hash ((hashenum(m) / 2))", "m"),
}
# rows of these are in the same partition everywhere
SETTLED = (
    "create table s.listed (m s.mood, v int) partition by list (m)",
    "create table s.ranged (m s.mood, v int) partition by range (m)",
    "create table s.hashed (m s.mood, v int, a text) partition by hash (v, a)",
    "create table s.upper (m s.mood, v int, a text) partition by hash (upper(a))",
    *(
        f"create table s.{name}_default partition of s.{name} default"
        for name in ("listed", "ranged")
    ),
    *(
        f"create table s.{name}_0 partition of s.{name} for values with (modulus 1, remainder 0)"
        for name in ("hashed", "upper")
    ),
)


def divide(database: Database) -> None:
    database.run(*TYPES)
    for name, (key, by, made) in DIVIDED.items():
        database.run(
            f"create table s.{name} (m {key}, v int) partition by {by}",
            *(
                f"create table s.{name}_{at} partition of s.{name}"
                f" for values with (modulus 2, remainder {at})"
                for at in range(2)
            ),
            f"insert into s.{name} select {made}, v"
            " from unnest(enum_range(null::s.mood)) m, generate_series(1, 3) v",
        )


def rows(database: Database, name: str) -> list[tuple[Any, ...]]:
    return database.rows(
        f"select m::text, v, tableoid::regclass::text from s.{name} order by m::text, v"
    )


def test_rows_are_repaired_and_given_back_whatever_partition_they_are_in(pair: Pair) -> None:
    divide(pair.source)
    migrate(pair).expect(DONE)
    copied = {name: rows(pair.target, name) for name in DIVIDED}
    for name, there in copied.items():
        here = rows(pair.source, name)
        assert [row[:2] for row in here] == [row[:2] for row in there], name
        assert here != there, name
    for name in DIVIDED:
        pair.target.run(
            f"delete from s.{name} where v = 1",
            f"insert into s.{name} select m, 100 from s.{name} where v = 3",
            f"update s.{name} set v = 0 where v = 2",
        )
    spoiled = {name: rows(pair.target, name) for name in DIVIDED}
    windlass("verify", "--repair", "--yes", pair=pair).expect(DONE)
    assert {name: rows(pair.target, name) for name in DIVIDED} == copied
    verify(pair).expect(DONE)
    run = pair.target.value("select run from windlass.run where flow = 'repair'")
    windlass("rollback", run, "--yes", pair=pair).expect(DONE)
    assert {name: rows(pair.target, name) for name in DIVIDED} == spoiled


# of text, whose bytes are others in another encoding
TEXTS = {
    "text": "v",
    "varchar(20)": "v",
    "name": "v",
    "jsonb": "to_jsonb(v)",
    "text[]": "array[v]",
    "s.written": "v",
    "s.text_row": "row(1, v)::s.text_row",
}


@pytest.fixture
def in_latin1(pair: Pair) -> Iterator[Pair]:
    admin = pair.source.server.admin
    admin.run("create database in_latin1 template template0 encoding 'LATIN1'")
    source = Database(pair.source.server, "in_latin1")
    source.run(
        "create schema s",
        "create domain s.written as text",
        "create type s.text_row as (x int, t text)",
    )
    yield Pair(source, pair.target)
    admin.run("drop database in_latin1 with (force)")


def parted(name: str, columns: str, by: str) -> list[str]:
    makes = "create table s.{0}_{1} partition of s.{0} for values with (modulus 4, remainder {1})"
    whole = f"create table s.{name} ({columns}) partition by hash ({by})"
    return [whole, *(makes.format(name, at) for at in range(4))]


def test_text_is_divided_anew_where_the_encoding_is_another(in_latin1: Pair) -> None:
    source, target = in_latin1.source, in_latin1.target
    for at, (key, made) in enumerate(TEXTS.items()):
        source.run(*parted(f"p{at}", f"k {key}, v int", "k"))
        source.run(
            f"insert into s.p{at} select {made}, n from generate_series(1, 40) n,"
            " lateral (select repeat(chr(223 + n % 30), 1 + n / 30)) t(v)"
        )
    source.run(*parted("p7", "k text, v int", "(hashtext(k))"), *parted("p8", "k int, v text", "k"))
    source.run(
        "insert into s.p7 select chr(223 + n % 30), n from generate_series(1, 40) n",
        "insert into s.p8 select n, chr(223 + n % 30) from generate_series(1, 40) n",
    )
    migrate(in_latin1).expect(DONE)
    verify(in_latin1).expect(DONE)
    query = 'select k::text, v, tableoid::regclass::text from s.p{} order by k::text collate "C", v'
    for at in range(9):
        here, there = (sorted(one.rows(query.format(at))) for one in (source, target))
        assert [row[:2] for row in here] == [row[:2] for row in there], at
        assert (here == there) == (at == 8), at


@pytest.mark.parametrize("pair", [(14, 18)], indirect=True)
def test_a_hash_of_sort_keys_is_that_of_one_server(pair: Pair) -> None:
    """Sort keys are those of a version of ICU."""
    pair.source.run(
        "create schema s",
        "create collation s.any_case (provider = icu, locale = 'und', deterministic = false)",
        *parted("folded", "k text collate s.any_case", "k"),
        *parted("plain", 'k text collate "C"', "k"),
    )
    with Address.parse("source", pair.source.url).connect(Role.SOURCE, "test") as connection:
        relations = {one.name.name: one for one in read_catalog(connection).relations}
    folded, plain = relations["folded_0"].family, relations["plain_0"].family
    assert folded.root == folded.text_root == Name("s", "folded")
    assert plain.root is None
    assert plain.text_root == Name("s", "plain")


@pytest.mark.parametrize("pair", [(14, 18)], indirect=True)
def test_rows_enter_at_an_ancestor_only_where_servers_differ(pair: Pair) -> None:
    divide(pair.source)
    pair.source.run(*SETTLED)
    address = Address.parse("source", pair.source.url)
    with address.connect(Role.SOURCE, "test") as connection:
        relations = read_catalog(connection).relations
    routes = {one.name.name: one.family.root for one in relations if one.partition_of}
    assert {name for name, route in routes.items() if route is None} == {
        "listed_default", "ranged_default", "hashed_0", "upper_0"
    }  # fmt: skip
    assert all(routes[f"{name}_{at}"] == Name("s", name) for name in DIVIDED for at in range(2))
