"""Writes Arrow batches as lines of CSV, with values as PostgreSQL's text, which every warehouse can
load. For sources that write no CSV themselves."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from windlass.engines.base import TEXT_FILES, Facts
from windlass.model.export import Column, Kind
from windlass.transfer.shape import constant

if TYPE_CHECKING:
    import pyarrow as pa

_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31, in days since 1970
_DAY = 86_400_000_000  # microseconds
_PADDED = ("character(", "bpchar")  # their trailing blanks do not count


def csv_lines(
    batches: Iterable[pa.RecordBatch], columns: Sequence[Column], target: Facts
) -> Iterator[bytes]:
    """CSV lines, one per row, with line ends."""
    import pyarrow.compute as pc

    writers = [_writer(column, target) for column in columns]
    for batch in batches:
        pairs = zip(writers, batch.columns, strict=True)
        fields = [pc.fill_null(write(array), target.csv_null) for write, array in pairs]
        lines = fields[0] if len(fields) == 1 else pc.binary_join_element_wise(*fields, ",")
        for line in lines.to_pylist():
            yield f"{line}\n".encode()


def with_constants(
    lines: Iterable[bytes | bytearray | memoryview], columns: Sequence[Column], target: Facts
) -> Iterator[bytes | bytearray | memoryview]:
    """Add the columns that a source lacks to its own lines, each of which is a row."""
    import pyarrow as pa

    added = [one for one in columns if one.load]
    if not added:
        yield from lines
        return
    batch = pa.RecordBatch.from_arrays(
        [constant(one, one.load, 1) for one in added if one.load], names=[one.name for one in added]
    )
    (end,) = csv_lines([batch], added, target)
    for line in lines:
        yield b"%b,%b" % (bytes(line).removesuffix(b"\n"), end)


def plain_texts(array: Any, column: Column) -> Any:
    """The values of a column that is not a list, as PostgreSQL's cast to text prints them."""
    import pyarrow as pa

    if isinstance(array, pa.ExtensionArray) and column.kind is not Kind.UUID:
        array = array.storage
    if column.kind in (Kind.TEXT, Kind.JSON):
        texts = array.cast(pa.string())
        return _without_padding(texts) if column.type.startswith(_PADDED) else texts
    return _writer(column, TEXT_FILES)(array)


Writer = Callable[[Any], Any]


def _writer(column: Column, target: Facts) -> Writer:
    """A function that converts an array of a column's values to texts, quoted where necessary."""
    if column.is_list:
        return _each(lambda value: _quoted_text(_list_text(value)))
    match column.kind:
        case Kind.TEXT | Kind.JSON:
            return _quoted
        case Kind.BYTES:
            return _each(_base64 if target.csv_base64 else _hex)
        case Kind.UUID:
            return _each(_uuid)
        case Kind.DECIMAL:
            return _each(lambda value: f"{value:f}")
        case Kind.FLOAT32 | Kind.FLOAT64:
            return _floats
        case Kind.DATE:
            return _dates
        case Kind.TIME:
            return _times
        case Kind.TIMESTAMP:
            return lambda array: _stamps(array, "")
        case Kind.INSTANT:
            return lambda array: _stamps(array, "+00")
    return _cast


def _without_padding(texts: Any) -> Any:
    import pyarrow.compute as pc

    return pc.utf8_rtrim(texts, " ")


def _cast(array: Any) -> Any:
    import pyarrow as pa

    return array.cast(pa.string())


def _each(text: Callable[[Any], str]) -> Writer:
    """Convert value by value, for types that Arrow cannot print, or prints differently."""

    def write(array: Any) -> Any:
        import pyarrow as pa

        values = array.to_pylist()
        return pa.array([None if one is None else text(one) for one in values], pa.string())

    return write


def _quoted(array: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    doubled = pc.replace_substring(array, '"', '""')
    return pc.binary_join_element_wise('"', doubled, '"', "")


def _quoted_text(text: str) -> str:
    return '"{}"'.format(text.replace('"', '""'))


def _hex(value: bytes) -> str:
    return f"\\x{value.hex()}"


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _uuid(value: bytes | UUID) -> str:
    return str(value if isinstance(value, UUID) else UUID(bytes=value))


def _floats(array: Any) -> Any:
    """Print floats with enough digits to be exact."""
    import pyarrow.compute as pc

    texts = pc.replace_substring_regex(_cast(array), r"^(-?)inf$", r"\1Infinity")
    return pc.replace_substring_regex(texts, r"^-?nan$", "NaN")


def _list_text(values: Sequence[Any]) -> str:
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, str):
        return '"{}"'.format(value.replace("\\", "\\\\").replace('"', '\\"'))
    return repr(value)


# dates and times: Arrow's text for years with four digits


def _dates(array: Any) -> Any:
    import pyarrow as pa

    return _within(array, pa.int32(), _FIRST_DAY, _LAST_DAY, _cast, _day_text)


def _times(array: Any) -> Any:
    import pyarrow as pa

    def plain(some: Any) -> Any:
        return _trimmed(_cast(some))

    return _within(array, pa.int64(), 0, _DAY - 1, plain, lambda _: "24:00:00")


def _stamps(array: Any, zone: str) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    def plain(some: Any) -> Any:
        texts = _trimmed(_cast(some.view(pa.int64()).view(pa.timestamp("us"))))
        return pc.binary_join_element_wise(texts, zone, "")

    low, high = _FIRST_DAY * _DAY, (_LAST_DAY + 1) * _DAY - 1
    return _within(array, pa.int64(), low, high, plain, lambda micros: _stamp_text(micros, zone))


def _trimmed(texts: Any) -> Any:
    """Without trailing zeros of the microseconds."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(texts, r"(\.0{6}|0{1,5})$", "")


def _within(
    array: Any, plain: Any, low: int, high: int, fast: Writer, slow: Callable[[int], str]
) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = array.view(plain)
    edges = pc.min_max(numbers).as_py()
    if edges["min"] is None or (edges["min"] >= low and edges["max"] <= high):
        return fast(array)
    inside = pc.and_(pc.greater_equal(numbers, low), pc.less_equal(numbers, high))
    texts = fast(pc.if_else(inside, numbers, pa.scalar(None, plain)).view(array.type))
    rest = pc.if_else(inside, pa.scalar(None, plain), numbers).to_pylist()
    slowly = pa.array([None if one is None else slow(one) for one in rest], pa.string())
    return pc.coalesce(texts, slowly)


def _day_text(days: int) -> str:
    if abs(days) == (1 << 31) - 1:
        return "infinity" if days > 0 else "-infinity"
    year, month, day = _civil(days)
    era = " BC" if year < 1 else ""
    return f"{year if year > 0 else 1 - year:04}-{month:02}-{day:02}{era}"


def _stamp_text(micros: int, zone: str) -> str:
    if abs(micros) == (1 << 63) - 1:
        return "infinity" if micros > 0 else "-infinity"
    days, rest = divmod(micros, _DAY)
    day, _, era = _day_text(days).partition(" ")
    seconds, fraction = divmod(rest, 1_000_000)
    minutes, second = divmod(seconds, 60)
    end = f".{fraction:06}".rstrip("0") if fraction else ""
    clock = f"{minutes // 60:02}:{minutes % 60:02}:{second:02}{end}"
    return f"{day} {clock}{zone}{' ' + era if era else ''}"


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month and day from days since 1970, in the proleptic Gregorian calendar. The year 0 is
    1 BC. After http://howardhinnant.github.io/date_algorithms.html#civil_from_days"""
    era, of_era = divmod(days + 719_468, 146_097)
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return year + era * 400 + (month <= 2), month, day
