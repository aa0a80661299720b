"""What a function returned is sent to its column as it is, or refused with its row: as pandas,
polars and Arrow have it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("pandas")
pytest.importorskip("polars")

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from windlass.inplace.carriers import Column, Unfit, carry
from windlass.inplace.missing import read_series
from windlass.inplace.returned import Asked, make_frame, read_result, row_name

NOON = datetime(2026, 1, 2, 12)
MIDNIGHT = datetime(2026, 1, 2)
AWARE = datetime(2026, 1, 2, 12, tzinfo=timezone(timedelta(hours=2)))
BERLIN = pa.timestamp("us", "Europe/Berlin")


def sent(values: pa.Array, type_: str, first: pa.DataType | None = None) -> list[Any]:
    found: list[Any] = carry(values, Column("x", type_), first).to_pylist()
    return found


@pytest.mark.parametrize(
    ("values", "type_", "wanted"),
    [
        (pa.array([1, None], pa.int8()), "bigint", [1, None]),
        (pa.array([1.0, None]), "integer", [1, None]),
        (pa.array([Decimal("2.00")]), "smallint", [2]),
        (pa.array([2**53]), "double precision", [2.0**53]),
        (pa.array([0.1], pa.float32()), "real", [float(np.float32(0.1))]),
        (pa.array([float("nan")]), "double precision", ["nan"]),
        (pa.array([Decimal("1.50")]), "numeric(5,2)", ["1.50"]),
        (pa.array([11.55 + 2e-15]), "numeric(10,2)", ["11.55"]),
        (pa.array([0.1], pa.float32()), "numeric(10,2)", ["0.1"]),
        (pa.array([11.235]), "numeric(10,2)", ["11.235"]),  # the database refuses it
        (pa.array([1234567.123456789]), "numeric", ["1234567.123456789"]),
        (pa.array([NOON]), "timestamp(3) without time zone", [NOON]),
        (pa.array([date(2026, 1, 2)]), "timestamp without time zone", [MIDNIGHT]),
        (pa.array([MIDNIGHT]), "date", [date(2026, 1, 2)]),
        (pa.array([AWARE], BERLIN), "timestamp with time zone", [AWARE.astimezone(UTC)]),
        (pa.array([b"a\\b"], pa.binary_view()), "bytea", [b"a\\b"]),
        (pa.array(["a"], pa.string_view()), "integer", ["a"]),  # as the database reads it
        (pa.array(["a"]).dictionary_encode(), "character varying(3)", ["a"]),
        (pa.array([{"a": [1]}, None]), "jsonb", ['{"a": [1]}', None]),
        (pa.array([1.5, 2.0]), "json", ["1.5", "2.0"]),
        (pa.array([[1.0, None], None, []]), "integer[]", [[1, None], None, []]),
        (pa.array([[1.0, None], None, [2.0]]).slice(1), "integer[]", [None, [2]]),
        (pa.array([[0.5]], pa.large_list(pa.float64())), "numeric(5,2)[]", [["0.5"]]),
        (pa.array([[b"\x00"]]), "bytea[]", [[b"\x00"]]),
        (pa.array([5]), "money", ["5"]),
        (pa.nulls(2), "bytea", [None, None]),
    ],
)
def test_values_are_sent_as_they_are(values: pa.Array, type_: str, wanted: list[Any]) -> None:
    if values.type == pa.dictionary(pa.int32(), pa.string()):
        values = values.dictionary_decode()
    assert [str(one) if one != one else one for one in sent(values, type_)] == wanted


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([1.0, 1.6], "integer"),
        ([0.0, float("nan")], "bigint"),
        ([0, 40_000], "smallint"),
        ([0, 2**40], "integer"),
        ([0.0, 1e300], "bigint"),
        ([0, 2**53 + 1], "double precision"),
        ([Decimal("1.0"), Decimal("1.5")], "integer"),
        ([MIDNIGHT, NOON], "date"),
        (pa.array([0, 1], pa.timestamp("ns")), "timestamp without time zone"),
        (pa.array([0, 1], pa.timestamp("ns", "UTC")), "timestamp with time zone"),
        ([[1.0], [1.0, 1.6]], "integer[]"),
        ([1.0, float("inf")], "json"),
        (pa.array([0, 2**63], pa.uint64()), "bigint"),
    ],
)
def test_a_value_that_would_be_another_is_refused_with_its_row(values: Any, type_: str) -> None:
    with pytest.raises(Unfit, match="cannot hold unchanged") as refused:
        sent(values if isinstance(values, pa.Array) else pa.array(values), type_)
    assert refused.value.row == 1


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([True], "integer"),
        ([True], "double precision"),
        ([True], "numeric"),
        ([True], "text"),
        ([1], "boolean"),
        ([1], "text"),
        ([1.0], "character varying"),
        ([1.5], "uuid"),
        ([b"a"], "text"),
        (["a"], "bytea"),
        ([NOON], "timestamp with time zone"),
        ([date(2026, 1, 1)], "timestamp with time zone"),
        (pa.array([AWARE], BERLIN), "timestamp without time zone"),
        (pa.array([AWARE], BERLIN), "date"),
        ([NOON], "json"),
        ([[1]], "integer"),
        ([1], "integer[]"),
        ([[True]], "integer[]"),
        ([[[1]]], "integer[]"),
        ([{"a": 1}], "text"),
    ],
)
def test_values_of_another_kind_are_refused(values: Any, type_: str) -> None:
    with pytest.raises(Unfit, match="column x: ") as refused:
        sent(values if isinstance(values, pa.Array) else pa.array(values), type_)
    assert refused.value.row is None


def test_all_batches_have_the_type_of_the_first() -> None:
    assert sent(pa.array([5]), "integer", pa.string()) == ["5"]
    assert sent(pa.nulls(1), "integer", pa.int64()) == [None]
    with pytest.raises(Unfit, match="string in this batch, and int64 in the first"):
        sent(pa.array(["5"]), "integer", pa.int64())


def test_what_comes_after_a_batch_without_values_is_kept() -> None:
    for values, type_ in [
        (pa.array([b"a\\b"]), "bytea"),
        (pa.array([[1]]), "integer[]"),
        (pa.array([0.1]), "double precision"),
        (pa.array([True]), "boolean"),
        (pa.array([AWARE], BERLIN), "timestamp with time zone"),
    ]:
        first = carry(pa.nulls(1), Column("x", type_), None).type
        assert carry(values, Column("x", type_), first).type == first
    assert sent(pa.array([0.1]), "double precision", pa.string()) == ["0.1"]


# pandas


def read(values: Any, type_: str, before: Any = None) -> list[Any]:
    """Values of a Series, NaN as such."""
    had = pa.array([None] * len(values) if before is None else before)
    found = read_series(pd.Series(values), Column("x", type_), had).to_pylist()
    return ["nan" if one != one else one for one in found]


def test_nan_is_null_where_the_column_has_no_other() -> None:
    assert read([1.0, float("nan")], "integer", [1, 2]) == [1.0, None]
    assert read([1.0, float("nan")], "double precision") == [1.0, None]
    assert read(np.array([None, float("nan"), pd.NA, pd.NaT], dtype=object), "text") == [None] * 4


@pytest.mark.parametrize("dtype", ["float64", object])
def test_nan_stays_nan_and_null_stays_null(dtype: Any) -> None:
    values = np.array([float("nan"), float("nan"), 1.0], dtype=dtype)
    assert read(values, "double precision", [float("nan"), None, 2.0]) == ["nan", None, 1.0]
    assert read(values, "numeric", ["NaN", None, "2"]) == ["nan", None, 1.0]


@pytest.mark.parametrize("dtype", ["float64", object])
@pytest.mark.parametrize("type_", ["double precision", "numeric(5,2)"])
def test_nan_that_may_mean_two_things_is_refused_with_its_row(dtype: Any, type_: str) -> None:
    values = np.array([1.0, float("nan")], dtype=dtype)
    with pytest.raises(Unfit, match="NaN that may mean NULL") as refused:
        read(values, type_, ["1", "2"] if type_.startswith("numeric") else [1.0, 2.0])
    assert refused.value.row == 1


def test_pandas_own_types_tell_nan_from_null() -> None:
    kept = pd.array(pa.array([float("nan"), None]), dtype=pd.ArrowDtype(pa.float64()))
    assert read(kept, "double precision", [1.0, 1.0]) == ["nan", None]
    assert read(pd.array([1.5, None], dtype="Float64"), "double precision", [1.0, 1.0]) == [
        1.5,
        None,
    ]


def test_documents_stay_as_they_are() -> None:
    """Arrow would give each the keys of all, and make floats of whole numbers."""
    given = [{"a": 1}, {"b": [1, 2.5]}, None, "[1]", {"n": np.int64(5), "d": date(2026, 1, 1)}]
    wanted = ['{"a": 1}', '{"b": [1, 2.5]}', None, "[1]", '{"n": 5, "d": "2026-01-01"}']
    assert read(np.array(given, dtype=object), "jsonb") == wanted
    with pytest.raises(Unfit, match="JSON cannot hold") as refused:
        read(np.array([{}, {"x": float("nan")}], dtype=object), "jsonb")
    assert refused.value.row == 1


@pytest.mark.parametrize(
    "values",
    [[1, "a"], [True, 2], [NOON, AWARE], [NOON, date(2026, 1, 1)], [[1], "a"], [b"a", "a"]],
)
def test_objects_of_several_kinds_are_refused(values: list[Any]) -> None:
    with pytest.raises(Unfit, match="column x: object holds values of several kinds"):
        read(pd.Series(values, dtype=object), "text")


def test_a_time_of_nanoseconds_among_objects_is_refused() -> None:
    given = pd.Series([pd.Timestamp(1), pd.Timestamp(1001)], dtype=object)
    with pytest.raises(Unfit, match="nanoseconds"):
        read(given, "timestamp without time zone")


def test_times_of_several_zones_among_objects_are_moments() -> None:
    given = pd.Series([AWARE, AWARE.astimezone(UTC)], dtype=object)
    found = read_series(given, Column("x", "timestamp with time zone"), None)
    assert sent(found, "timestamp with time zone") == [AWARE.astimezone(UTC)] * 2


# which row is which

ROWS = pa.table({"id": [7, 8, 9], "qty": [3, 1, 2]})
TYPES = {name: Column(name, "integer") for name in ROWS.column_names}


def result(function: Any, frame: str, *, id_: str = "id", trusts: bool = False) -> Any:
    asked = Asked(TYPES, id_, row_name(TYPES), trusts)
    return read_result(function(make_frame(ROWS, frame, asked.row)), ROWS, asked)


KEEP_ORDER: list[tuple[str, Any]] = [
    ("pandas", lambda f: f),
    ("pandas", lambda f: f[["qty"]]),
    ("pandas", lambda f: f.assign(qty=f["qty"] * 2)[["qty"]]),
    ("pandas", lambda f: f.assign(qty=pd.Series([3, 1, 2]))[["qty"]]),
    ("pandas", lambda f: f.assign(qty=[3, 1, 2])[["qty"]]),
    ("pandas", lambda f: f[["qty"]].astype("float64")),
    ("pandas", lambda f: f.sort_values("qty").sort_index()[["qty"]]),
    ("pandas", lambda f: f.apply(lambda row: row, axis=1)[["qty"]]),
    ("pandas", lambda f: f.reset_index()),
    ("pandas", lambda f: f.reset_index()[["windlass_row", "qty"]]),
    ("pandas", lambda f: f.reset_index(drop=True)),  # the id proves it
    ("pandas", lambda f: f.merge(pd.DataFrame({"id": [7, 8, 9]}), on="id")),
    ("pandas", lambda f: pd.concat([f.iloc[:2], f.iloc[2:]])[["qty"]]),
    ("pandas", lambda f: pd.DataFrame({"qty": f["qty"] + 1})),
    ("pandas", lambda f: pl.from_pandas(f.reset_index())),
    ("polars", lambda f: f),
    ("polars", lambda f: f.with_columns(qty=pl.col("qty") * 2)),
    ("polars", lambda f: f.select("windlass_row", "qty")),
    ("polars", lambda f: f.select("qty", "id")),
    ("polars", lambda f: f.lazy().sort("qty").sort("windlass_row").collect()),
    ("polars", lambda f: f.to_pandas()),
    ("arrow", lambda t: t),
    ("arrow", lambda t: t.select(["windlass_row", "qty"])),
    ("arrow", lambda t: t.select(["id", "qty"])),
    ("arrow", lambda t: t.combine_chunks().to_batches()[0]),
    ("arrow", lambda t: pa.table({"id": [7, 8, 9], "qty": [1, 1, 1]})),
]


@pytest.mark.parametrize(("frame", "function"), KEEP_ORDER)
def test_rows_that_are_certainly_the_same_are_taken(frame: str, function: Any) -> None:
    assert len(result(function, frame)["qty"]) == 3


LOSE_ORDER: list[tuple[str, Any]] = [
    ("pandas", lambda f: f.sort_values("qty").reset_index(drop=True)[["qty"]]),
    ("pandas", lambda f: f.sort_values("qty", ignore_index=True)[["qty"]]),
    ("pandas", lambda f: f.sort_values("qty")[["qty"]]),
    ("pandas", lambda f: f.sort_values("qty").reset_index()),
    ("pandas", lambda f: f.sort_values("qty").set_axis(range(3))[["qty"]]),
    ("pandas", lambda f: f.iloc[[0, 0, 2]][["qty"]]),
    ("pandas", lambda f: f.iloc[[0, 0, 2]].reset_index(drop=True)),
    ("pandas", lambda f: pd.concat([f.iloc[:2], f.iloc[:1]])[["qty"]]),
    ("pandas", lambda f: f.rename_axis("other")[["qty"]]),
    ("pandas", lambda f: f.set_index("id")),
    ("pandas", lambda f: pd.DataFrame({"qty": [1, 2, 3]})),
    ("polars", lambda f: f.sort("qty")),
    ("polars", lambda f: f.sort("qty").select("qty")),
    ("polars", lambda f: f.sort("qty").select("windlass_row", "qty")),
    ("polars", lambda f: f[[0, 0, 2]].select("id", "qty")),
    ("arrow", lambda t: t.sort_by("qty").select(["qty"])),
    ("arrow", lambda t: t.sort_by("qty")),
    ("arrow", lambda t: t.take([0, 0, 2])),
]


@pytest.mark.parametrize(("frame", "function"), LOSE_ORDER)
def test_rows_that_may_be_others_are_refused(frame: str, function: Any) -> None:
    said = "another order|some of its rows twice|which of its rows is which"
    with pytest.raises(Unfit, match=said):
        result(function, frame)


@pytest.mark.parametrize("frame", ["pandas", "polars", "arrow"])
def test_a_spec_may_trust_the_order(frame: str) -> None:
    functions: dict[str, Any] = {
        "pandas": lambda f: pd.DataFrame({"qty": f["qty"].tolist()}),
        "polars": lambda f: f.select("qty"),
        "arrow": lambda t: t.select(["qty"]),
    }
    with pytest.raises(Unfit, match="which of its rows is which"):
        result(functions[frame], frame)
    assert result(functions[frame], frame, trusts=True)["qty"].to_pylist() == [3, 1, 2]
    with pytest.raises(Unfit, match="another order"):
        result(lambda _: ROWS.take([1, 0, 2]), frame, trusts=True)


def test_ids_that_do_not_tell_rows_apart_prove_nothing() -> None:
    rows = pa.table({"id": [7, 7, None], "qty": [3, 1, 2]})
    asked = Asked(TYPES, "id", "windlass_row", False)
    with pytest.raises(Unfit, match="which of its rows is which"):
        read_result(rows.select(["id", "qty"]), rows, asked)
    assert read_result(make_frame(rows, "polars", "windlass_row"), rows, asked)


def iter_nothing() -> Iterator[object]:
    yield from ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "gave a NoneType"),
        (iter_nothing(), "gave a generator"),
        (pl.LazyFrame({"id": [1]}), "gave a LazyFrame"),
        (pd.Series([1, 2, 3], name="qty"), "gave a Series"),
        ({"qty": [1, 2, 3]}, "gave a dict"),
        (pd.DataFrame([[1, 1]] * 3, columns=["qty", "qty"]), "gave a column twice: qty"),
        (pa.table([[1] * 3, [1] * 3], names=["qty", "qty"]), "gave a column twice: qty"),
        (pd.DataFrame({5: [1, 2, 3]}), "does not have: 5"),
        (pd.DataFrame({"qty": [1]}), "gave 1 rows for 3"),
        (pd.DataFrame(), "gave no columns"),
    ],
)
def test_what_is_no_result_is_named(given: Any, said: str) -> None:
    with pytest.raises(Unfit, match=said):
        result(lambda _: given, "arrow")


def test_the_rows_numbers_take_no_columns_name() -> None:
    assert row_name(["a", "windlass_row"]) == "windlass_row_"
