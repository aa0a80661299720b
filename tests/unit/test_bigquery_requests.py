"""What BigQuery is asked for, as Google's client writes it and as BigQuery's dialect reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from needs import needs_module
from windlass.errors import WindlassError
from windlass.model.export import Column, Export, Kind, Nested, Rules
from windlass.model.layout import TableLayout

if TYPE_CHECKING:
    from google.cloud import bigquery


@pytest.fixture(autouse=True)
def installed() -> None:
    """Google's client is imported by each test, as every worker imports this file to collect it."""
    needs_module("google.cloud.bigquery")
    needs_module("sqlglot")


def column(name: str, kind: Kind = Kind.TEXT, precision: int = 0, scale: int = 0) -> Column:
    return Column(name, "its type", kind, precision=precision, scale=scale)


def export(*names: str) -> Export:
    return Export("shop.orders", "orders", "", tuple(map(column, names)), "truncate")


@pytest.mark.parametrize("kind", sorted({*Kind} - {Kind.DECIMAL, Kind.NESTED}))
def test_a_field_is_the_same_after_the_client_has_sent_it(kind: Kind) -> None:
    from google.cloud import bigquery

    from windlass.engines.bigquery.fields import field_of

    field = field_of(column("a", kind))
    assert bigquery.SchemaField.from_api_repr(field.to_api_repr()) == field
    assert field.mode == "NULLABLE"


def test_a_nested_field_is_the_same_after_the_client_has_sent_it() -> None:
    from google.cloud import bigquery

    from windlass.engines.bigquery.fields import field_of, type_of

    size = Nested(fields=(column("n", Kind.DECIMAL, 10, 2), column("id", Kind.UUID)))
    of = Column("element", "shop.size", Kind.NESTED, inside=size)
    field = field_of(Column("a", "shop.size[]", Kind.NESTED, inside=Nested(1, of)))
    assert bigquery.SchemaField.from_api_repr(field.to_api_repr()) == field
    assert type_of(field) == "RECORD(n NUMERIC(10,2), id STRING) (repeated)"


@pytest.mark.parametrize(
    ("precision", "scale", "type_"),
    [
        (29, 0, "NUMERIC(29,0)"),
        (38, 9, "NUMERIC(38,9)"),
        (38, 10, "BIGNUMERIC(38,10)"),
        (30, 0, "BIGNUMERIC(30,0)"),
        (38, 38, "BIGNUMERIC(38,38)"),
    ],
)
def test_a_decimal_has_room_for_all_its_digits(precision: int, scale: int, type_: str) -> None:
    """NUMERIC has 29 digits before the point and 9 after it, BIGNUMERIC 38 and 38."""
    from google.cloud import bigquery

    from windlass.engines.bigquery.fields import field_of, type_of

    field = field_of(column("a", Kind.DECIMAL, precision, scale))
    assert type_of(field) == type_
    assert bigquery.SchemaField.from_api_repr(field.to_api_repr()) == field


def test_the_records_have_fields_that_the_client_takes() -> None:
    from google.cloud import bigquery

    from windlass.engines.bigquery.fields import RECORDS_SCHEMA

    table = bigquery.Table("acme.raw._windlass_loads", schema=RECORDS_SCHEMA)
    assert bigquery.Table.from_api_repr(table.to_api_repr()).schema == RECORDS_SCHEMA


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("id", "Id"), "two columns that differ by case only: id, Id"),
        (("_TABLE_SUFFIX",), "column '_TABLE_SUFFIX'"),
        (("_partitiontime",), "column '_partitiontime'"),
        (("_CHANGE_TYPE",), "column '_CHANGE_TYPE'"),
        (("a b",), "column 'a b'"),
    ],
)
def test_names_that_bigquery_does_not_take_are_known_before(
    names: tuple[str, ...], said: str
) -> None:
    from windlass.engines.bigquery.fields import misnamed

    (problem,) = misnamed(export(*names))
    assert problem.message == f"BigQuery has no {said}"


def test_other_names_are_taken() -> None:
    from windlass.engines.bigquery.fields import misnamed

    assert misnamed(export("id", "_id", "table", "partition", "x1")) == []


@pytest.mark.parametrize(
    "query",
    [
        "select 1 frm x",
        "select a from `p.d.t` as l where not exists"
        " (select 1 from `p.d.t` as n where n.k = l.k and n.at > l.at)",
    ],
)
def test_the_stand_in_refuses_what_bigquery_does(query: str) -> None:
    from fakes.dialect import Fault, check_dialect

    with pytest.raises(Fault):
        check_dialect(query)


@pytest.mark.parametrize(
    "query",
    [
        "select a = (select max(at) from `p.d.t` where k = @k) from `p.d.t` where k = @k",
        "select a from `p.d.t` as l where exists (select 1 from `p.d.t` as n where n.k = l.k)",
    ],
)
def test_the_stand_in_takes_what_bigquery_does(query: str) -> None:
    from fakes.dialect import check_dialect

    check_dialect(query)


# what becomes of a table that is partitioned


def layout(**words: object) -> bigquery.LoadJobConfig:
    """The config of a load that replaces the rows of such a table."""
    from google.cloud import bigquery

    from windlass.engines.bigquery.layout import keep_layout

    there = bigquery.Table("acme.raw.orders")
    for key, word in words.items():
        setattr(there, key, word)
    config = bigquery.LoadJobConfig(write_disposition="WRITE_TRUNCATE")
    keep_layout(config, there, ["id", "at"])
    found = bigquery.LoadJobConfig.from_api_repr(config.to_api_repr())
    assert isinstance(found, bigquery.LoadJobConfig)
    return found


def test_a_load_that_replaces_rows_names_the_partitions_and_clusters_of_the_table() -> None:
    from google.cloud import bigquery

    by_day = bigquery.TimePartitioning(field="at", expiration_ms=86_400_000)
    key = bigquery.EncryptionConfiguration("projects/acme/locations/eu/keyRings/a/cryptoKeys/b")
    found = layout(time_partitioning=by_day, clustering_fields=["id"], encryption_configuration=key)
    assert (found.time_partitioning, found.clustering_fields) == (by_day, ["id"])
    assert found.destination_encryption_configuration == key


def test_a_table_without_partitions_gets_none() -> None:
    found = layout()
    assert found.time_partitioning is None and found.clustering_fields is None


def test_partitions_by_a_column_that_is_dropped_are_not_asked_for() -> None:
    from google.cloud import bigquery

    found = layout(
        time_partitioning=bigquery.TimePartitioning(field="gone"), clustering_fields=["gone", "id"]
    )
    assert found.time_partitioning is None and found.clustering_fields is None


def test_partitions_by_the_time_of_the_load_are_kept() -> None:
    from google.cloud import bigquery

    found = layout(time_partitioning=bigquery.TimePartitioning(type_="DAY"))
    assert found.time_partitioning is not None and found.time_partitioning.type_ == "DAY"


# what a table that is created gets


def stored(*columns: Column, **words: Any) -> Export:
    rules = Rules(layout=TableLayout(**words))
    return Export("shop.orders", "orders", "", columns, "truncate", rules=rules)


AT = column("at", Kind.INSTANT)
DAY = column("day", Kind.DATE)
ID = column("id", Kind.INT64)
PRICE = column("price", Kind.DECIMAL, 10, 2)
SIZE = column("size", Kind.FLOAT64)
NAME = column("name")
EVERY = (AT, DAY, ID, PRICE, SIZE, NAME)


@pytest.mark.parametrize(
    "words",
    [
        {"partition_by": "at", "partition_unit": "hour", "partition_days": 90},
        {"partition_by": "day", "partition_unit": "year"},
        {"partition_by": "_PARTITIONTIME", "partition_unit": "hour"},
        {"partition_by": "id", "partition_range": (0, 100_000, 10)},
        {"cluster_by": ("name", "id", "price", "day")},
        {"labels": {"team": "data-1_x", "empty": ""}, "expiration_days": 30},
    ],
)
def test_a_table_that_can_be_had_is_created(words: dict[str, Any]) -> None:
    from google.cloud import bigquery

    from fakes.dialect import check_table
    from windlass.engines.bigquery.layout import layout_problems, misfits, new_table, remarks

    export = stored(*EVERY, **words)
    assert layout_problems(export) == []
    sent = new_table(export, "acme.raw.orders").to_api_repr()
    check_table(sent)
    assert not misfits(export, bigquery.Table.from_api_repr(sent))
    assert list(remarks(export, bigquery.Table.from_api_repr(sent))) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"partition_by": "gone"}, "partition-by: gone is not exported"),
        ({"partition_by": "name"}, "partition-by: name is STRING"),
        ({"partition_by": "id"}, "partition-by: id is INTEGER"),
        (
            {"partition_by": "day", "partition_unit": "hour"},
            "partition-unit: day is DATE, without hours",
        ),
        (
            {"partition_by": "at", "partition_range": (0, 10, 1)},
            "partition-range: at is TIMESTAMP",
        ),
        (
            {"partition_by": "id", "partition_range": (9, 9, 1)},
            "partition-range: it ends at 9, before it starts",
        ),
        (
            {"partition_by": "id", "partition_range": (0, 100_001, 10)},
            "partition-range: 10,001 partitions are more than 10,000",
        ),
        ({"cluster_by": ("at", "day", "id", "price", "name")}, "cluster-by: 5 columns"),
        ({"cluster_by": ("size",)}, "cluster-by: size is FLOAT"),
        ({"cluster_by": ("gone",)}, "cluster-by: gone is not exported"),
        ({"labels": {"Team": "x"}}, "labels: 'Team' is no key of a label"),
        ({"labels": {"1team": "x"}}, "labels: '1team' is no key of a label"),
        ({"labels": {"team": "a b"}}, "labels: 'a b' of team is no value of a label"),
        ({"labels": {"team": "x" * 64}}, f"labels: {'x' * 64!r} of team is no value of a label"),
    ],
)
def test_what_bigquery_would_refuse_is_known_before(words: dict[str, Any], said: str) -> None:
    from fakes.dialect import Fault, check_table
    from windlass.engines.bigquery.layout import layout_problems, new_table

    export = stored(*EVERY, **words)
    (problem,) = layout_problems(export)
    assert problem.message == f"bigquery: {said}"
    with pytest.raises(Fault):
        check_table(new_table(export, "acme.raw.orders").to_api_repr())


def test_another_layout_of_an_existing_table_is_named() -> None:
    from google.cloud import bigquery

    from windlass.engines.bigquery.fields import field_of
    from windlass.engines.bigquery.layout import misfits, remarks

    there = bigquery.Table("acme.raw.orders", schema=[field_of(one) for one in EVERY])
    there.range_partitioning = bigquery.RangePartitioning(
        field="id", range_=bigquery.PartitionRange(start=0, end=10, interval=1)
    )
    export = stored(
        *EVERY, partition_by="at", cluster_by=("name",), labels={"a": "b"}, expiration_days=1
    )
    assert [one.message for one in misfits(export, there)] == [
        "the table is partitioned by id, from 0 to 10 in steps of 1, not partitioned by at, by the"
        " day",
        "the table is clustered not at all, not by name",
    ]
    assert list(remarks(export, there)) == [
        "orders exists, and keeps its labels, without a: b",
        "orders exists, and never expires",
    ]


# what its errors mean


@pytest.mark.parametrize(
    ("status", "reason", "text", "said", "retryable"),
    [
        ("Forbidden", "accessDenied", "Access Denied", "no permission", False),
        ("Forbidden", "rateLimitExceeded", "Exceeded rate limits", "rate limits", True),
        ("Forbidden", "quotaExceeded", "Quota exceeded", "Quota exceeded", True),
        ("Forbidden", "billingNotEnabled", "Billing has not been", "Billing has not", False),
        ("BadRequest", "invalidQuery", "Could not serialize access", "serialize", True),
        ("BadRequest", "invalidQuery", "Syntax error", "Syntax error", False),
    ],
)
def test_an_error_is_tried_again_only_if_that_can_help(
    status: str, reason: str, text: str, said: str, retryable: bool
) -> None:
    from google.api_core import exceptions

    from windlass.engines.bigquery.errors import explaining

    with pytest.raises(WindlassError, match=said) as error, explaining("BigQuery", "asking"):
        raise getattr(exceptions, status)(text, errors=[{"reason": reason}])
    assert error.value.retryable is retryable
