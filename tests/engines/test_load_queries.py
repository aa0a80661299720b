"""A relation or a query of each engine as the input of a load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engines import MADE, Engine, over_engines
from servers import Database
from windlass.engines.inputs import open_inputs
from windlass.engines.landing import Input
from windlass.errors import BadSpec, Refused, WindlassError
from windlass.model.export import Kind
from windlass.model.inputs import QueryFrom


@pytest.fixture
def engine(
    request: pytest.FixtureRequest, database: Callable[[int], Database], tmp_path: Path
) -> Engine:
    found = MADE[request.param](database, tmp_path)
    key, text = found.types["int"], found.types["text"]
    found.run(f"create table orders (id {key} primary key, note {text})")
    found.run("insert into orders values (1, 'one'), (2, null)")
    return found


def opened(engine: Engine, **given: str) -> Input:
    (one,) = open_inputs(QueryFrom(engine.url, **given))
    return one


def rows(source: Input) -> list[dict[str, Any]]:
    return [row for batch in source.batches() for row in batch.to_pylist()]


@over_engines()
def test_a_relation_is_read_with_its_types(engine: Engine) -> None:
    source = opened(engine, relation=engine.named("orders"))
    assert [field.column.kind for field in source.fields if field.column][1] is Kind.TEXT
    assert rows(source) == [{"id": 1, "note": "one"}, {"id": 2, "note": None}]
    assert rows(source) == rows(source)
    (one,) = rows(opened(engine, relation=engine.named("orders"), where="id = 2"))
    assert one["id"] == 2


@over_engines()
def test_a_query_is_read_with_its_names(engine: Engine) -> None:
    assert rows(opened(engine, query="select id + 1 as n from orders order by id")) == [
        {"n": 2},
        {"n": 3},
    ]


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_what_was_described_is_what_is_read_first(engine: Engine) -> None:
    source = opened(engine, relation=engine.named("orders"))
    engine.run("delete from orders where id = 1")
    assert len(rows(source)) == 2
    assert len(rows(source)) == 1


@over_engines()
def test_a_table_that_changed_since_is_refused(engine: Engine) -> None:
    source = opened(engine, query="select * from orders")
    rows(source)
    engine.run("alter table orders add column more integer")
    with pytest.raises(WindlassError, match="columns have changed"):
        rows(source)


@over_engines()
def test_what_cannot_be_read_is_refused(engine: Engine) -> None:
    with pytest.raises(Refused, match="1 problem"):
        opened(engine, relation="shop.nothing")
    with pytest.raises(WindlassError):
        opened(engine, query="select nothing from nowhere")
    with pytest.raises(BadSpec):
        opened(engine, query="select 1", where="true")


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_columns_of_one_name_are_refused(engine: Engine) -> None:
    with pytest.raises(Refused) as caught:
        opened(engine, query="select 1 as a, 2 as a")
    assert "a" in caught.value.problems[0].message


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_column_of_several_kinds_is_exact_text(engine: Engine) -> None:
    engine.run("create table mixed (v integer)")
    engine.run("insert into mixed values (1), ('x'), (1.5)")
    source = opened(engine, relation="main.mixed")
    assert [row["v"] for row in rows(source)] == ["1", "x", "1.5"]
