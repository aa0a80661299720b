"""The names of datasets, and what became of each column, for catalogs of data."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from windlass.engines.postgres.users_sql import named_tables
from windlass.flows.export.lineage import lineage_of
from windlass.flows.rewrite.lineage import _named
from windlass.model.export import Column, Export, Kind, OfLoad
from windlass.model.lineage import Change, Dataset, asset_dataset, folder_dataset
from windlass.model.outcome import Outcome, RelationOutcome, State
from windlass.model.relation import Name

TABLE = {"database": "shop", "schema": "a b", "table": "c"}


@pytest.mark.parametrize(
    ("asset", "found"),
    [
        (TABLE | {"place": "db:5432"}, Dataset("postgres://db:5432", "shop.a b.c")),
        (TABLE | {"place": "::1:6000"}, Dataset("postgres://[::1]:6000", "shop.a b.c")),
        (TABLE | {"place": "/run/postgresql:5432"}, None),
        ({"uri": "bigquery://acme/raw/item"}, Dataset("bigquery", "acme.raw.item")),
        (
            {"uri": "duckdb:///a/w%20x.duckdb/main/c"},
            Dataset("duckdb:///a/w x.duckdb", "w x.main.c"),
        ),
        ({"uri": "file:///srv/tables/raw/c"}, Dataset("file", "/srv/tables/raw/c")),
        ({"uri": "s3://lake/raw/c"}, Dataset("s3://lake", "raw/c")),
    ],
)
def test_a_table_is_named_as_openlineage_names_it(
    asset: Mapping[str, str], found: Dataset | None
) -> None:
    assert asset_dataset(asset) == found


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("s3://bucket/a/shop.item", Dataset("s3://bucket", "a/shop.item")),
        ("gs://bucket/a", Dataset("gs://bucket", "a")),
        ("file:///data/a%20b", Dataset("file", "/data/a b")),
    ],
)
def test_files_are_named_by_their_folder(url: str, found: Dataset) -> None:
    assert folder_dataset(url) == found


@pytest.mark.parametrize("name", [Name("shop", "item"), Name('A"x.', 'd"'), Name("a.b", "C")])
def test_a_name_is_read_from_its_text(name: Name) -> None:
    assert Name.read(str(name)) == name


def test_a_query_s_tables_are_those_that_it_gives_a_schema() -> None:
    query = 'with w as (select * from "S x".y) select w.a from w join shop.item i using (a), other'
    item = f"({query}) q"
    assert named_tables(item) == [Name("S x", "y"), Name("shop", "item")]
    assert named_tables("(select from from) q") == []


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("upper(body) || 'id'", ("body",)),
        ("coalesce(id, t.stars)", ("id", "stars")),
        ("1", ()),
        ("to_jsonb(t)", ("id", "body", "stars")),  # the whole row
    ],
)
def test_an_expression_s_columns_are_its_origins(expression: str, found: tuple[str, ...]) -> None:
    assert _named(expression, ("id", "body", "stars")) == found


TEXT: dict[str, Any] = {"type": "text", "kind": Kind.TEXT}


@pytest.mark.parametrize(
    ("column", "origins", "change"),
    [
        (Column("a", **TEXT), ("a",), Change.KEPT),
        (Column("b", source="a", **TEXT), ("a",), Change.KEPT),
        (Column("a", mask=True, **TEXT), ("a",), Change.HIDDEN),
        (Column("a", hash="key", **TEXT), ("a",), Change.HIDDEN),
        (Column("a", cast="text", **TEXT), ("a",), Change.CONVERTED),
        (Column("a", is_cast=True, **TEXT), ("a",), Change.CONVERTED),
        (Column("_run", load=OfLoad("run"), **TEXT), (), Change.KEPT),
    ],
)
def test_what_became_of_a_column_is_in_its_lineage(
    column: Column, origins: tuple[str, ...], change: Change
) -> None:
    export = Export("shop.item", "item", "shop.item", (column,), "all", relation="shop.item")
    run: Any = SimpleNamespace(
        exports=(export,),
        source=SimpleNamespace(assets=lambda _: [TABLE | {"place": "db:5432"}]),
        target=None,
        keeps_files=True,
        store=SimpleNamespace(place=lambda path: f"s3://bucket/{path}"),
    )
    done = RelationOutcome("shop.item", "item", 7, 90, 2, 1.0, (1,))
    (found,) = lineage_of(run, Outcome("r", State.DONE, relations=(done,)))
    assert (found.target, found.rows, found.files) == (Dataset("s3://bucket", "shop.item"), 7, 2)
    (one,) = found.columns
    assert (one.origins, one.change) == (origins, change)
    assert [name for name, _ in found.source_columns] == list(origins)
