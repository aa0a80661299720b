"""Which statements of a source only add something: these may be applied to the target as well."""

from __future__ import annotations

import pytest

from windlass.engines.postgres.replication.shapes import Noted, Shape, TypeShape
from windlass.following.additive import Addition, addition
from windlass.following.definitions import Correspondence
from windlass.model.relation import Name

TABLE = Name("shop", "a")
KNOWN = Correspondence({TABLE: Name("new", "a")}, {"shop": "new"})
NOTED = Noted(
    (), (), (), (Shape(1, TABLE, None, {}, {}, {Name("shop", "mood"): TypeShape("e", ("x",))}),)
)


def found(statement: str) -> Addition | None:
    words = statement.upper().replace("UNIQUE ", "").split("; ")[-1].split()
    return addition(statement, " ".join(words[:2]), NOTED, KNOWN)


@pytest.mark.parametrize(
    ("statement", "theirs"),
    [
        ("alter table shop.a add column x int", "alter table new.a add column x int"),
        ("alter table a add if not exists x numeric(5, 2) default -1.5", ""),
        ("alter table a add x text default 'it''s'::text not null, add y bool default false", ""),
        ("alter table a add x timestamptz", ""),
        ("alter table a add x jsonb default '{}'", ""),
        ("alter table a add x int default null null", ""),
        ("create index i on a (x, y desc nulls last) include (z)", ""),
        ("create unique index i on shop.a (x)", "create unique index i on new.a (x)"),
        ("alter type shop.mood add value 'b'", "alter type new.mood add value 'b'"),
        ("alter type mood add value if not exists 'b' after 'x'", ""),
        ("select 1; alter table a add x int", "alter table a add x int"),
    ],
)
def test_what_only_adds_is_for_the_target_with_its_schemas(statement: str, theirs: str) -> None:
    one = found(statement)
    assert one is not None and one.schema == "new"
    assert one.statement == (theirs or statement)
    assert one.makes == (Name("new", "i") if " index " in statement else None)


@pytest.mark.parametrize(
    "statement",
    [
        "alter table a add x timestamptz default now()",
        "alter table a add x timestamptz default '2026-01-01'",
        "alter table a add x date default 'today'",
        "alter table a add x text default current_user",
        "alter table a add x bytea default 'ab'",
        "alter table a add x int default 1 + 1",
        "alter table a add x int not null",
        "alter table a add x int primary key",
        "alter table a add x int unique",
        "alter table a add x int check (x > 0)",
        "alter table a add x int references b",
        "alter table a add x int default 1 default 2",
        "alter table a add x serial",
        "alter table a add x int generated always as identity",
        "alter table a add x int generated always as (1) stored",
        'alter table a add x text collate "C"',
        "alter table a add x text compression lz4",
        "alter table a add x int[]",
        "alter table a add x shop.mood",
        "alter table a add x elsewhere.int4",
        "alter table a add x int, drop column y",
        "alter table a add unique (y)",
        "alter table only a add x int",
        "alter table b add x int",
        "alter table elsewhere.a add x int",
        "alter table a rename y to x",
        "alter table a add x int; alter table a add y int",
        "create index on a (x)",
        "create index i on a (lower(x))",
        "create index i on a ((x + 1))",
        "create index i on a (x) where y",
        "create index i on a (x text_pattern_ops)",
        "create index i on a using gin (x)",
        "create index i on a (x) with (fillfactor = 50)",
        "create index i on a (x) tablespace t",
        "create index i on only a (x)",
        "create index concurrently i on a (x)",
        "alter type shop.mood rename value 'x' to 'y'",
        "alter type other add value 'b'",
        "alter type elsewhere.mood add value 'b'",
        "drop table a",
        "create table c (id int)",
        "not SQL",
    ],
)
def test_everything_else_does_not(statement: str) -> None:
    assert found(statement) is None
