"""However a relation is cut, every row of it arrives once."""

from __future__ import annotations

import json

import pytest

from command import DONE, migrate, windlass
from corpora import corpus
from oracle import content_difference
from servers import Pair

SMALL = ("--chunk-size", "64kB")


@pytest.mark.parametrize("way", ["auto", "ctid", "keyset", "whole"])
@pytest.mark.parametrize("busy", [(16, 18), (15, 18)], indirect=True)
def test_every_row_arrives_once_by_every_way_of_cutting(busy: Pair, way: str) -> None:
    for name in ("constraints", "tables", "partitions", "inheritance"):
        busy.source.load(corpus(name))
    done = (
        migrate(busy, *SMALL, "--chunk-by", way, "--jobs", "3", "--accept", "behaviour")
        .expect(DONE)
        .result
    )
    assert content_difference(busy.source, busy.target) == []
    (accounts,) = [one for one in done["relations"] if one["source"] == "busy.accounts"]
    assert (accounts["chunks"] == 1) == (way == "whole")
    assert accounts["rows"] == 60_000


def test_keys_whose_statistics_mislead_are_cut_so_that_no_row_is_lost(pair: Pair) -> None:
    """Analysed before nearly all rows came; others never analysed, or all rows at one end."""
    pair.source.run(
        "create table early (id int primary key, a text)",
        "insert into early select i, 'x' from generate_series(1, 100) i",
        "analyze early",
        "insert into early select i, repeat('y', 100) from generate_series(-5000, 9000) i"
        " where i not between 1 and 100",
        "create table never (id text primary key, a text)",
        "insert into never select md5(i::text), repeat('z', 100) from generate_series(1, 9000) i",
        "create table skewed (id bigint primary key, a text)",
        "insert into skewed select i ^ 3, repeat('z', 100) from generate_series(1, 9000) i",
        "create table nullable (id int unique, a text)",
        "insert into nullable select case when i % 3 = 0 then i end, repeat('z', 100)"
        " from generate_series(1, 9000) i",
        "create table pairs (a int, b text, c text, primary key (a, b))",
        "insert into pairs select i % 7, i::text, repeat('z', 100) from generate_series(1, 9000) i",
        "create table one_value (a int, b int, c text, primary key (a, b))",
        "insert into one_value select 1, i, repeat('z', 100) from generate_series(1, 9000) i",
        "analyze skewed, nullable, pairs, one_value",
    )
    done = migrate(pair, *SMALL, "--chunk-by", "keyset").expect(DONE).result
    assert content_difference(pair.source, pair.target) == []
    chunks = {one["source"].removeprefix("public."): one["chunks"] for one in done["relations"]}
    assert [name for name, count in chunks.items() if count < 3] == []


def test_a_relation_with_many_dead_and_few_rows_is_read_once(pair: Pair) -> None:
    pair.source.run(
        "create table bloated (id int primary key, a text)",
        "insert into bloated select i, repeat('x', 500) from generate_series(1, 5000) i",
        "delete from bloated where id % 100 <> 0",
        "update bloated set a = 'moved' where id % 200 = 0",
        "create table emptied (id int)",
        "insert into emptied select i from generate_series(1, 50000) i",
        "delete from emptied",
    )
    migrate(pair, *SMALL).expect(DONE)
    assert content_difference(pair.source, pair.target) == []


def test_size_counts_what_is_stored_out_of_line(pair: Pair) -> None:
    pair.source.run(
        "create table thin (id int primary key, body text)",
        "alter table thin alter body set storage external",
        "insert into thin select i, repeat(md5(i::text), 300) from generate_series(1, 300) i",
    )
    plan = windlass("plan", "--format", "json", *SMALL, pair=pair).expect(DONE)
    assert "thin" in json.dumps(plan.result)
    done = migrate(pair, *SMALL).expect(DONE).result
    (thin,) = done["relations"]
    assert thin["chunks"] > 1


@pytest.mark.parametrize("jobs", ["1", "2", "7"])
def test_any_number_of_jobs_moves_the_same(busy: Pair, jobs: str) -> None:
    busy.source.load(corpus("foreign_keys"))
    migrate(busy, "--jobs", jobs, "--chunk-size", "256kB").expect(DONE)
    assert content_difference(busy.source, busy.target) == []


def test_selected_relations_move_and_no_others(pair: Pair) -> None:
    pair.source.load(corpus("tables"), corpus("constraints"))
    words = ("--schema", "plain", "--include", "plain.*", "--exclude", "plain.many")
    done = migrate(pair, *words).expect(DONE).result
    moved = {one["source"] for one in done["relations"]}
    assert "plain.keyless" in moved
    assert "plain.many" not in moved
    assert pair.target.value("select to_regclass('plain.many')") is None
    assert pair.target.value("select to_regnamespace('rules_of')") is None
