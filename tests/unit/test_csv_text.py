"""Dates, times and numbers as lines of CSV: the text that PostgreSQL has for them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.engines.base import FILES, arrow_type
from windlass.engines.bigquery.facts import FACTS as BIGQUERY
from windlass.model.export import Column, Kind
from windlass.transfer.text import csv_lines


def lines(column: Column, values: list[Any], target: Any = FILES) -> list[str]:
    array = pa.array(values, arrow_type(column))
    batch = pa.RecordBatch.from_arrays([array], names=[column.name])
    return [line.decode().removesuffix("\n") for line in csv_lines([batch], [column], target)]


def of(kind: Kind, **words: Any) -> Column:
    return Column("c", "", kind, **words)


MOST = (1 << 63) - 1


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        (of(Kind.TEXT), 'a,"b"\n', '"a,""b""\n"'),
        (of(Kind.TEXT), "", '""'),
        (of(Kind.TEXT), None, ""),
        (of(Kind.BOOLEAN), True, "true"),
        (of(Kind.FLOAT64), 1e16, "1e+16"),
        (of(Kind.FLOAT64), float("-inf"), "-Infinity"),
        (of(Kind.FLOAT64), float("nan"), "NaN"),
        (of(Kind.DECIMAL, precision=38, scale=10), Decimal("1E-10"), "0.0000000001"),
        (of(Kind.BYTES), b"\x00\xff", r"\x00ff"),
        (of(Kind.DATE), (1 << 31) - 1, "infinity"),
        (of(Kind.DATE), 1 - (1 << 31), "-infinity"),
        (of(Kind.DATE), 2_932_897, "10000-01-01"),
        (of(Kind.TIME), 86_400_000_000, "24:00:00"),
        (of(Kind.TIME), 500_000, "00:00:00.5"),
        (of(Kind.TIMESTAMP), -1, "1969-12-31 23:59:59.999999"),
        (of(Kind.INSTANT), 0, "1970-01-01 00:00:00+00"),
        (of(Kind.INSTANT), MOST, "infinity"),
        (of(Kind.TIMESTAMP), -62_135_596_800_000_001, "0001-12-31 23:59:59.999999 BC"),
        (of(Kind.INT32, is_list=True), [1, None], '"{1,NULL}"'),
        (of(Kind.TEXT, is_list=True), ['a"', "NULL"], '"{""a\\"""",""NULL""}"'),
    ],
)
def test_a_value_has_the_text_that_postgres_has(column: Column, value: Any, text: str) -> None:
    assert lines(column, [value]) == [text]


def test_bigquery_has_its_own_null_and_bytes() -> None:
    assert lines(of(Kind.BYTES), [b"\x00", None], BIGQUERY) == ["AA==", r"\N:windlass"]


@given(st.dates(), st.integers(-3_000_000, 3_000_000))
def test_days_far_away_follow_the_calendar(near: date, days: int) -> None:
    """Those of Python's years as Python writes them; others 400 years, which have the same days,
    from one that it knows."""
    far = (near - date(1970, 1, 1)).days
    assert lines(of(Kind.DATE), [far]) == [near.isoformat()]
    year, *rest = lines(of(Kind.DATE), [days])[0].removesuffix(" BC").split("-")
    cycles = (days + 719_162) // 146_097
    same = date(1, 1, 1) + timedelta(days=days + 719_162 - cycles * 146_097)
    assert rest == same.isoformat().split("-")[1:]
    shown = int(year) if "BC" not in lines(of(Kind.DATE), [days])[0] else 1 - int(year)
    assert shown == same.year + cycles * 400


@given(st.lists(st.datetimes() | st.none(), max_size=5))
def test_timestamps_are_read_back_as_they_were(values: list[datetime | None]) -> None:
    texts = lines(of(Kind.TIMESTAMP), values)
    assert [datetime.fromisoformat(text) if text else None for text in texts] == values
