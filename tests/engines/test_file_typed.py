"""Parquet files and workbooks: typed values arrive as they are, or as their exact text."""

from __future__ import annotations

import datetime as dt
import math
import uuid
import zipfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from windlass.engines.base import BATCH_BYTES, arrow_type
from windlass.engines.inputs import open_inputs
from windlass.engines.landing import Input
from windlass.errors import BadRecord, Refused, WindlassError
from windlass.model.export import Kind
from windlass.model.inputs import Excel, FilesFrom
from workbooks import ERROR, write

UTC = dt.UTC
NS = 1_704_164_645_123_456_789  # 2024-01-02 03:04:05.123456789


def opened(path: Path, **given: Any) -> Input:
    (one,) = open_inputs(FilesFrom((str(path),), **given))
    return one


def parquet(folder: Path, values: pa.Array) -> Input:
    path = folder / "rows.parquet"
    pq.write_table(pa.table({"v": values}), path)
    return opened(path)


def rows(source: Input) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for batch in source.batches() for row in batch.to_pylist()]


@pytest.mark.parametrize(
    ("type_", "value", "kind"),
    [
        (pa.bool_(), True, Kind.BOOLEAN),
        (pa.int8(), -128, Kind.INT16),
        (pa.uint8(), 255, Kind.INT16),
        (pa.uint16(), 65_535, Kind.INT32),
        (pa.uint32(), 2**32 - 1, Kind.INT64),
        (pa.int64(), -(2**63), Kind.INT64),
        (pa.uint64(), 2**64 - 1, Kind.DECIMAL),
        (pa.float32(), 0.5, Kind.FLOAT32),
        (pa.float64(), 1e300, Kind.FLOAT64),
        (pa.decimal128(38, 10), Decimal("1234567890123456789012345678.0123456789"), Kind.DECIMAL),
        (pa.string(), "é\n", Kind.TEXT),
        (pa.large_string(), "x", Kind.TEXT),
        (pa.binary(), b"\0\xff", Kind.BYTES),
        (pa.binary(3), b"\0\xff1", Kind.BYTES),
        (pa.date32(), dt.date(1, 1, 1), Kind.DATE),
        (pa.time32("ms"), dt.time(3, 4, 5, 6000), Kind.TIME),
        (pa.time64("us"), dt.time(3, 4, 5, 6), Kind.TIME),
        (pa.timestamp("ms"), dt.datetime(2024, 1, 2, 3, 4, 5, 6000), Kind.TIMESTAMP),
        (pa.timestamp("us", "UTC"), dt.datetime(2024, 1, 2, 3, tzinfo=UTC), Kind.INSTANT),
        (pa.timestamp("us", "Europe/Paris"), dt.datetime(2024, 7, 2, 3, tzinfo=UTC), Kind.INSTANT),
        (pa.list_(pa.int32()), [1, None, 3], Kind.INT32),
        (pa.uuid(), uuid.UUID(int=5), Kind.UUID),
    ],
)
def test_a_value_of_parquet_keeps_its_type(
    type_: pa.DataType, value: Any, kind: Kind, tmp_path: Path
) -> None:
    stored = pa.array([value.bytes], pa.binary(16)) if kind is Kind.UUID else None
    values = type_.wrap_array(stored) if stored else pa.array([value], type_)
    source = parquet(tmp_path, pa.concat_arrays([values, pa.nulls(1, type_)]))
    column = source.fields[0].column
    assert column is not None
    assert (column.kind, rows(source)) == (kind, [(value,), (None,)])
    assert all(batch.schema.field(0).type == arrow_type(column) for batch in source.batches())


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (pa.array([10**40], pa.decimal256(50, 2)), Kind.TEXT, f"1{'0' * 40}.00"),
        (pa.array([NS], pa.timestamp("ns")), Kind.TEXT, "2024-01-02 03:04:05.123456789"),
        (pa.array([NS], pa.timestamp("ns", "UTC")), Kind.TEXT, "2024-01-02 03:04:05.123456789Z"),
        (pa.array([11_045_123_456_789], pa.time64("ns")), Kind.TEXT, "03:04:05.123456789"),
        (pa.array([-90_000_001], pa.duration("us")), Kind.TEXT, "-PT90.000001S"),
        (
            pa.array([{"a": Decimal("1.10"), "b": [b"x"]}],
                     pa.struct([("a", pa.decimal128(5, 2)), ("b", pa.list_(pa.binary()))])),
            Kind.JSON,
            '{"a": 1.10, "b": ["eA=="]}',
        ),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int8())), Kind.JSON, '{"k": 1}'),
        (pa.array([[[1], None]], pa.list_(pa.list_(pa.int8()))), Kind.JSON, "[[1], null]"),
        (
            pa.array([{"t": NS, "n": math.nan, "d": None}],
                     pa.struct([("t", pa.timestamp("ns")), ("n", pa.float64()),
                                ("d", pa.date32())])),
            Kind.JSON,
            '{"t": "2024-01-02 03:04:05.123456789", "n": "nan", "d": null}',
        ),
    ],
)  # fmt: skip
def test_what_no_type_of_ours_holds_is_exact_text(
    values: pa.Array, kind: Kind, expected: str, tmp_path: Path
) -> None:
    source = parquet(tmp_path, pa.concat_arrays([values, pa.nulls(1, values.type)]))
    assert source.fields[0].column is not None
    assert source.fields[0].column.kind is kind
    assert rows(source) == [(expected,), (None,)]


def test_nanoseconds_that_are_whole_microseconds_are_timestamps(tmp_path: Path) -> None:
    source = parquet(tmp_path, pa.array([NS // 1000 * 1000], pa.timestamp("ns")))
    assert rows(source) == [(dt.datetime(2024, 1, 2, 3, 4, 5, 123456),)]


def test_dictionaries_are_their_values(tmp_path: Path) -> None:
    source = parquet(tmp_path, pa.array(["x", None, "x"]).dictionary_encode())
    assert rows(source) == [("x",), (None,), ("x",)]


def test_batches_of_large_values_are_small(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    large = pa.array([b"%d" % at + b"x" * (1 << 20) for at in range(40)], pa.binary())
    small = pa.array([b""] * 5000, pa.binary())
    pq.write_table(pa.table({"v": pa.concat_arrays([small, large, small])}), path)
    batches = list(opened(path).batches())
    assert sum(batch.num_rows for batch in batches) == 10_040
    assert max(batch.nbytes for batch in batches) <= BATCH_BYTES


def test_nul_in_text_of_parquet_is_named_by_its_record(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match="record 2, column v: NUL in text"):
        rows(parquet(tmp_path, pa.array(["x", "a\0b"])))


def test_columns_of_one_name_and_what_is_no_parquet_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(BadRecord, match="2 fields with this name"):
        opened(tmp_path / "rows.parquet")
    data = (tmp_path / "rows.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(data[:-10])
    with pytest.raises(WindlassError, match=r"cut\.parquet: cannot be read as Parquet"):
        opened(tmp_path / "cut.parquet")


def test_files_whose_types_differ_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([1]), "b": ["x"]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"a": ["1"], "c": ["x"]}), tmp_path / "2.parquet")
    with pytest.raises(Refused) as caught:
        open_inputs(FilesFrom((f"{tmp_path}/*.parquet",)))
    messages = [problem.message for problem in caught.value.problems]
    assert messages == [
        f"lacks the field b, which {tmp_path}/1.parquet has",
        f"has the field c, which {tmp_path}/1.parquet lacks",
        f"a is text, in {tmp_path}/1.parquet int64",
    ]


def workbook(
    folder: Path, table: Sequence[Sequence[Any]], at: tuple[int, int] = (0, 0), sheet: str = "one"
) -> Path:
    path = folder / "rows.xlsx"
    book = xlsxwriter.Workbook(path)
    book.add_worksheet("other").write(0, 0, "x")
    target = book.add_worksheet(sheet)
    formats = {
        dt.datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"}),
        dt.date: book.add_format({"num_format": "yyyy-mm-dd"}),
        dt.time: book.add_format({"num_format": "hh:mm:ss"}),
        dt.timedelta: book.add_format({"num_format": "[h]:mm:ss"}),
    }
    for row, values in enumerate(table, at[0]):
        for column, value in enumerate(values, at[1]):
            if type(value) in formats:
                target.write_datetime(row, column, value, formats[type(value)])
            elif isinstance(value, str) and value.startswith("#"):
                target.write_formula(row, column, "=1/0", None, value)
            else:
                target.write(row, column, value)
    book.close()
    return path


ONE = Excel(sheet="one")


def test_cells_are_exact_text(tmp_path: Path) -> None:
    values: list[tuple[Any, str | None]] = [
        (1, "1"), (1.5, "1.5"), (1e20, "100000000000000000000"), (1e-7, "0.0000001"),
        ("007", "007"),
        (" x\n", " x\n"), (True, "true"), (None, None), (dt.date(2024, 1, 2), "2024-01-02"),
        (dt.datetime(2024, 1, 2, 3, 4, 5, 123_000), "2024-01-02 03:04:05.123000"),
        (dt.time(3, 4, 5), "03:04:05"), (dt.timedelta(hours=36, seconds=5), "36:00:05"),
        (12345678901234, "12345678901234"),
    ]  # fmt: skip
    cells: list[list[Any]] = [["k", "v"]]
    cells += [[at, value] for at, (value, _) in enumerate(values)]
    path = workbook(tmp_path, cells)
    assert [row[1] for row in rows(opened(path, excel=ONE))] == [text for _, text in values]


def test_rows_without_values_are_none_and_lines_are_those_of_the_sheet(tmp_path: Path) -> None:
    table: list[list[Any]] = [["a", "b"], [1, 2], [None, None], [3, None]]
    source = opened(workbook(tmp_path, table, at=(2, 0)), excel=Excel(sheet=2, skip=1))
    assert rows(source) == [("1", "2"), ("3", None)]
    assert [source.line_of(record) for record in range(1, 4)] == [4, 6, 0]


def test_every_cell_with_an_error_is_named(tmp_path: Path) -> None:
    path = workbook(tmp_path, [["a", "b"], [1, "#DIV/0!"], ["#N/A", 2]])
    with pytest.raises(BadRecord) as caught:
        opened(path, excel=ONE)
    assert [(one.line, one.column) for one in caught.value.bad] == [(2, "B"), (3, "A")]


FORMATS = (".ods", ".xls", ".xlsb")


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_workbook_of_another_format_is_read_alike(suffix: str, tmp_path: Path) -> None:
    table: list[list[Any]] = [
        ["k", "v", "n"], [1, "gr\u00fcn & <x>", 0.1], [2, "007", -1e-7], [], [3, True, None],
        [4, False, 12345678901234.0],
    ]  # fmt: skip
    source = opened(write(tmp_path / f"rows{suffix}", table))
    assert rows(source) == [
        ("1", "gr\u00fcn & <x>", "0.1"), ("2", "007", "-0.0000001"), ("3", "true", None),
        ("4", "false", "12345678901234"),
    ]  # fmt: skip
    assert [source.line_of(record) for record in range(1, 5)] == [2, 3, 5, 6]


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_error_is_named_in_every_format(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"rows{suffix}", [["a", "b"], [1, 2], [], [3, ERROR]])
    with pytest.raises(BadRecord) as caught:
        opened(path)
    assert [(one.line, one.column) for one in caught.value.bad] == [(4, "B")]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ([["a"], [1, 2]], "line 2: has a value beyond the last of 1 fields"),
        ([["a", None, "c"], [1, 2, 3]], "name 2 of the header is empty"),
        ([["a", "a"], [1, 2]], "2 fields with this name"),
        ([], "the sheet is empty"),
    ],
)
def test_a_sheet_that_is_not_a_table_is_refused(
    table: list[list[Any]], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(BadRecord, match=expected):
        rows(opened(workbook(tmp_path, table), excel=ONE))


def test_a_sheet_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    path = workbook(tmp_path, [["a"]])
    with pytest.raises(WindlassError, match="no sheet two") as caught:
        opened(path, excel=Excel(sheet="two"))
    assert caught.value.hint == "one of: other, one"


def test_what_is_no_workbook_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.xlsx").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(WindlassError, match="cannot be read as a workbook"):
        opened(tmp_path / "rows.xlsx")


def test_a_workbook_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path, [["a"]])
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xl/big.xml", "w") as member,
    ):
        for _ in range(300):
            member.write(bytes(1 << 20))
    with pytest.raises(WindlassError, match="decompresses to 300 MB"):
        opened(path, excel=ONE)
