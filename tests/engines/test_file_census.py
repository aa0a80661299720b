"""Types from a census: all values decide, and what was written is seen from what is stored."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windlass.engines.files.census import census
from windlass.engines.inputs import open_inputs
from windlass.model.export import Kind
from windlass.model.inputs import Csv, FilesFrom, Json
from windlass.model.load import Field


def found(folder: Path, *values: str) -> Field:
    path = folder / "rows.csv"
    path.write_text("v\n" + "".join(f'"{value}"\n' if value else "\n" for value in values))
    (field,) = census(open_inputs(FilesFrom((str(path),), csv=Csv(nulls=("",)))))
    return field


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-20", "0"], "int64"),
        (["9223372036854775807", "-9223372036854775808"], "int64"),
        (["9223372036854775808"], "decimal(19,0)"),
        (["1", "1.50", "-12.125"], "decimal(5,3)"),
        (["1" * 38], "decimal(38,0)"),
        (["1" * 39], "text"),
        (["1" * 30, "0.000000001"], "text"),
        (["007"], "text"),
        (["+1"], "text"),
        (["-0"], "text"),
        (["1e5"], "text"),
        ([" 1"], "text"),
        (["1,5"], "text"),
        (["NaN"], "text"),
        (["true", "false"], "boolean"),
        (["true", "f"], "text"),
        (["True"], "text"),
        (["2024-02-29", "0001-01-01"], "date"),
        (["2023-02-29"], "text"),
        (["0000-00-00"], "text"),
        (["2024-1-2"], "text"),
        (["2024-01-02 03:04:05", "2024-01-02T03:04:05.123456"], "timestamp"),
        (["2024-01-02 03:04:05.1234567"], "text"),
        (["2024-01-02 24:00:00"], "text"),
        (["2024-01-02 03:04:05+01"], "text"),
        (["2024-01-02", "2024-01-02 03:04:05"], "text"),
        (["1", "true"], "text"),
        (["1", "", "2"], "int64"),
        (["", ""], "text"),
        ([], "text"),
    ],
)
def test_the_narrowest_type_holds_every_value(
    values: list[str], expected: str, tmp_path: Path
) -> None:
    column = found(tmp_path, *values).column
    assert column is not None
    assert column.described == expected


def test_one_value_at_the_end_of_the_last_file_decides(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("v\n" + "1\n" * 200_000)
    (tmp_path / "2.csv").write_text("v\n" + "1\n" * 200_000 + "1x\n")
    (field,) = census(open_inputs(FilesFrom((f"{tmp_path}/*.csv",))))
    assert field.column is not None and field.column.kind is Kind.TEXT


def test_numbers_with_a_decimal_comma_are_decimals(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    dialect = Csv(delimiter="|", decimal=",", numbers=("v",))
    path.write_text("v\n1,50\n-2\n")
    (field,) = census(open_inputs(FilesFrom((str(path),), csv=dialect)))
    assert field.column is not None and field.column.described == "decimal(3,2)"


def test_keys_that_objects_lack_are_null(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a":1,"b":true}\n{"a":2.5}\n')
    fields = census(open_inputs(FilesFrom((str(path),), json=Json())))
    found = [(one.column.described, one.column.not_null) for one in fields if one.column]
    assert found == [("decimal(2,1)", True), ("boolean", False)]


numbers = st.integers(-(10**20), 10**20) | st.decimals(
    allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(numbers, min_size=1, max_size=5))
def test_every_number_fits_into_the_type_that_is_found(
    tmp_path: Path, values: list[int | Decimal]
) -> None:
    column = found(tmp_path, *[f"{value:f}" if value else "0" for value in values]).column
    assert column is not None
    for value in map(Decimal, values):
        if column.kind is Kind.INT64:
            assert value == int(value) and -(2**63) <= value < 2**63
        else:
            assert column.kind is Kind.DECIMAL
            scaled = value.scaleb(column.scale)
            assert scaled == int(scaled) and abs(scaled) < 10**column.precision
