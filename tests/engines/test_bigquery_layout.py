"""Tables of BigQuery that are created as their relation asks: partitions, clusters, labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clouds import bigquery, gs, s3, storage
from command import Ran
from exporting import export
from fakes.bigquery import FakeBigQuery
from warehouses import File, file

__all__ = ["bigquery", "file", "gs", "s3", "storage"]  # fixtures

ASKED: dict[str, Any] = {
    "partition-by": "made", "partition-unit": "month", "partition-expiration-days": 90,
    "cluster-by": ["note", "id"], "labels": {"team": "data"}, "expiration-days": 30,
}  # fmt: skip


@pytest.fixture
def orders(file: File) -> File:
    file.run(
        "create table orders (id bigint, made timestamptz, note varchar)",
        "insert into orders values (1, '2024-01-01 00:00Z', 'a'), (2, null, 'b')",
    )
    return file


@pytest.fixture
def load(orders: File, gs: dict[str, str], bigquery: FakeBigQuery, tmp_path: Path) -> Any:
    """An export of `orders` into the data set, with its entry for BigQuery."""

    def run(asked: Any, **words: Any) -> Ran:
        relation = {"name": "orders", "key": "id", "bigquery": asked}
        place = {"to": "gs://lake/exports", "warehouse": bigquery.url("raw"), "store_options": gs}
        return export(orders, tmp_path, **{"relations": relation, **place, **words})

    return run


@pytest.mark.parametrize("disposition", ["truncate", "append", "merge"])
def test_a_table_is_created_as_its_relation_asks(
    disposition: str, load: Any, bigquery: FakeBigQuery
) -> None:
    """And stays so where it is loaded again; another layout is refused by name."""
    for _ in range(2):
        load(ASKED, disposition=disposition).expect(0)
        layout = bigquery.layouts["raw", "orders"]
        assert layout["timePartitioning"]["field"] == "made"
        assert layout["timePartitioning"]["type"] == "MONTH"
        assert layout["clustering"] == {"fields": ["note", "id"]}
        assert layout["labels"] == {"team": "data"} and layout["expirationTime"]
    found = bigquery.rows("select count(*) from raw.orders")
    assert found == [(4 if disposition == "append" else 2,)]
    other = load({**ASKED, "partition-unit": "day"}, disposition=disposition).expect(3)
    (problem,) = other.result["problems"]
    layouts = "partitioned by made, by the month, not partitioned by made, by the day"
    assert layouts in problem["message"]


def test_a_table_that_exists_keeps_what_it_has(load: Any, bigquery: FakeBigQuery) -> None:
    load(None).expect(0)
    said = [one["message"] for one in load(ASKED).expect(3).result["problems"]]
    assert said == [
        "the table is not partitioned, not partitioned by made, by the month",
        "the table is clustered not at all, not by note, id",
    ]
    ran = load({"labels": {"team": "data"}, "expiration-days": 30}).expect(0)
    notices = " ".join(ran.result["notices"])
    assert "keeps its labels, without team: data" in notices and "never expires" in notices
    assert bigquery.layouts.get(("raw", "orders"), {}) == {}


def test_columns_are_named_as_in_the_source(load: Any, bigquery: FakeBigQuery) -> None:
    relation = {
        "name": "orders",
        "rename": {"made": "made_at"},
        "bigquery": {"partition-by": "made", "cluster-by": ["made"]},
    }
    load(None, relations=relation).expect(0)
    layout = bigquery.layouts["raw", "orders"]
    assert layout["timePartitioning"] == {"type": "DAY", "field": "made_at"}
    assert layout["clustering"] == {"fields": ["made_at"]}


def test_a_layout_is_kept_whatever_the_case_of_its_names() -> None:
    from google.cloud.bigquery import LoadJobConfig, SchemaField, Table, TimePartitioning

    from windlass.engines.bigquery.layout import keep_layout

    there = Table("p.d.t", [SchemaField("made", "DATE"), SchemaField("note", "STRING")])
    there.time_partitioning = TimePartitioning(field="Made")
    there.clustering_fields = ["NOTE"]
    config = LoadJobConfig()
    keep_layout(config, there, ["made", "note"])
    assert config.time_partitioning and config.clustering_fields == ["NOTE"]


def test_what_bigquery_would_refuse_is_refused_at_once(load: Any) -> None:
    asked = {"partition-by": "note", "cluster-by": ["gone"], "labels": {"Team": "x"}}
    assert len(load(asked).expect(3).result["problems"]) == 3
    ranged = load({"partition-range": {"start": 0, "end": 10, "step": 1}}).expect(2)
    assert "partition-range: there is no partition-by" in ranged.result["message"]


def test_only_tables_of_bigquery_have_a_layout(orders: File, tmp_path: Path) -> None:
    relation = {"name": "orders", "bigquery": {"partition-by": "made"}}
    ran = export(orders, tmp_path, relations=relation).expect(2)
    assert "has bigquery, which is for tables of a BigQuery warehouse" in ran.result["message"]
