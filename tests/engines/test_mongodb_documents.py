"""Documents as Extended JSON, beside what the driver's library and the form's own rules say."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from decimal import Decimal
from struct import pack
from typing import Any
from uuid import UUID

import pytest

from windlass.engines.jsonb_text import jsonb_text
from windlass.engines.mongodb.elements import DOCUMENT, Unfit, find
from windlass.engines.mongodb.extended import Notes, extended
from windlass.engines.mongodb.values import Misfit, reader
from windlass.model.translation import Field, Sort, Type

bson = pytest.importorskip("bson")
from bson import json_util  # noqa: E402
from bson.binary import Binary  # noqa: E402
from bson.code import Code  # noqa: E402
from bson.datetime_ms import DatetimeMS  # noqa: E402
from bson.decimal128 import Decimal128  # noqa: E402
from bson.int64 import Int64  # noqa: E402
from bson.max_key import MaxKey  # noqa: E402
from bson.min_key import MinKey  # noqa: E402
from bson.objectid import ObjectId  # noqa: E402
from bson.regex import Regex  # noqa: E402
from bson.timestamp import Timestamp  # noqa: E402

VALUES: Mapping[str, Any] = {
    "int": 7, "long": Int64(2**62), "negative": -(2**31), "double": 0.1, "whole": 5.0,
    "large": 1e300, "zero": -0.0, "nan": float("nan"), "infinite": float("-inf"),
    "text": 'é€😀 "quoted" \\ \t\n\x01', "empty": "", "yes": True, "no": False, "null": None,
    "oid": ObjectId("65f000000000000000000001"), "bytes": b"\x00\xff", "old": Binary(b"ab", 2),
    "uuid": Binary(UUID(int=7).bytes, 4), "date": datetime.datetime(2020, 2, 29, 1, 2, 3, 4000),
    "far": DatetimeMS(2**60), "regex": Regex("a/b", "im"), "code": Code("f()"),
    "scoped": Code("f()", {"x": 1}), "stamp": Timestamp(5, 6), "least": MinKey(), "most": MaxKey(),
    "decimal": Decimal128("1.50"), "tiny": Decimal128("1E-6176"), "inf": Decimal128("Infinity"),
    "list": [1, [2.5, {"b": None, "a": []}], {}], "inner": {"zz": 1, "b": {"c": "d"}, "é": 2},
}  # fmt: skip


def document(value: Any) -> bytes:
    return bytes(bson.encode({"v": value}))


def written(data: bytes) -> str:
    return extended(data, DOCUMENT, 0, Notes())


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_written_as_the_driver_writes_it_and_jsonb_prints_it(name: str) -> None:
    theirs = json_util.dumps({"v": VALUES[name]}, json_options=json_util.CANONICAL_JSON_OPTIONS)
    assert written(document(VALUES[name])) == jsonb_text(theirs)


def test_what_only_old_servers_have_is_written_too() -> None:
    oid = bytes(range(12))
    elements = (
        b"\x06u\0" + b"\x0es\0" + pack("<i", 3) + b"ab\0" + b"\x0cp\0" + pack("<i", 2) + b"c\0"
    )
    data = _whole(elements + oid)
    assert written(data) == (
        '{"p": {"$dbPointer": {"$id": {"$oid": "000102030405060708090a0b"}, "$ref": "c"}},'
        ' "s": {"$symbol": "ab"}, "u": {"$undefined": true}}'
    )


def _whole(elements: bytes) -> bytes:
    return pack("<i", len(elements) + 5) + elements + b"\0"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (document("a\0b"), "U+0000"),
        (document({"x": [Regex("a")], "y": "\0"}), "U+0000"),
        (_whole(b"\x02v\0" + pack("<i", 2) + b"\xff\0"), "not UTF-8"),
        (_whole(b"\x44v\0"), "unknown kind 0x44"),
    ],
)
def test_what_jsonb_cannot_hold_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(Unfit, match=why.replace("+", r"\+")):
        written(data)


def test_what_is_nested_deeper_than_python_follows_is_refused_and_a_hundred_levels_are_not() -> (
    None
):
    def nested(levels: int) -> bytes:
        data = _whole(b"")
        for _ in range(levels):
            data = _whole(b"\x03a\0" + data)
        return data

    assert written(nested(100)).count("{") == 101
    with pytest.raises(Unfit, match="deep"):
        written(nested(20_000))


def test_of_doubled_keys_the_last_is_kept_and_they_are_counted() -> None:
    data = _whole(b"\x10a\0" + pack("<i", 1) + b"\x10a\0" + pack("<i", 2))
    notes = Notes()
    assert extended(data, DOCUMENT, 0, notes) == '{"a": {"$numberInt": "2"}}'
    assert notes.doubled == 1
    assert find(data, [b"a"]) == (0x10, data.rindex(pack("<i", 2)))


def test_an_object_that_looks_like_a_type_of_extended_json_is_counted() -> None:
    notes = Notes()
    extended(document([{"$oid": "x"}, {"$ref": "c", "$id": 1}]), DOCUMENT, 0, notes)
    assert notes.ambiguous == 1


def test_keys_keep_their_order_where_that_tells_values_apart() -> None:
    texts = {
        extended(document(one), DOCUMENT, 0, Notes(keeps_order=True))
        for one in ({"b": 1, "a": 2}, {"a": 2, "b": 1})
    }
    assert len(texts) == 2


M = Misfit
CASES: list[tuple[Type, Any, Any]] = [
    (Type(Sort.INTEGER, bits=32), 5.0, "5"),
    (Type(Sort.INTEGER, bits=32), Decimal128("7E+2"), "700"),
    (Type(Sort.INTEGER, bits=32), Int64(2**31), M),
    (Type(Sort.INTEGER, bits=64), 2.0**63, M),
    (Type(Sort.INTEGER, bits=64), 1.5, M),
    (Type(Sort.INTEGER, bits=64), Decimal128("1E+6000"), M),
    (Type(Sort.INTEGER, bits=64), "5", M),
    (Type(Sort.DECIMAL), 0.1, "0.1"),
    (Type(Sort.DECIMAL), Decimal128("1.50"), "1.50"),
    (Type(Sort.DECIMAL), Decimal128("-1E+3"), "-1000"),
    (Type(Sort.DECIMAL), -0.0, "0"),
    (Type(Sort.DECIMAL), Decimal128(f"-{'9' * 34}"), f"-{'9' * 34}"),
    (Type(Sort.DECIMAL, precision=40, scale=2), Decimal128(f"{'9' * 33}.5"), f"{'9' * 33}.50"),
    (Type(Sort.DECIMAL), float("nan"), M),
    (Type(Sort.DECIMAL, precision=5, scale=2), 123.4, "123.40"),
    (Type(Sort.DECIMAL, precision=5, scale=2), Decimal128("-0.0500"), "-0.05"),
    (Type(Sort.DECIMAL, precision=5, scale=2), 0, "0.00"),
    (Type(Sort.DECIMAL, precision=5, scale=2), 1000, M),
    (Type(Sort.DECIMAL, precision=5, scale=2), 0.125, M),
    (Type(Sort.DECIMAL, precision=5), 12345.0, "12345"),
    (Type(Sort.FLOAT, bits=64), Int64(2**53 + 1), M),
    (Type(Sort.FLOAT, bits=64), 1e300, "1e+300"),
    (Type(Sort.FLOAT, bits=32), 0.1, M),
    (Type(Sort.FLOAT, bits=32), 0.5, "0.5"),
    (Type(Sort.FLOAT, bits=64), Decimal128("0.5"), M),
    (Type(Sort.TEXT), ObjectId("65f000000000000000000001"), "65f000000000000000000001"),
    (Type(Sort.TEXT), True, M),
    (Type(Sort.TEXT, length=2), "abc", M),
    (Type(Sort.BOOLEAN), True, "t"),
    (Type(Sort.BOOLEAN), 1, M),
    (Type(Sort.DATE), datetime.datetime(2020, 2, 29), "2020-02-29"),
    (Type(Sort.DATE), datetime.datetime(2020, 2, 29, 1), M),
    (Type(Sort.DATE), "2020-02-29", "2020-02-29"),
    (Type(Sort.DATE), "2020-02-30", M),
    (Type(Sort.TIMESTAMP), datetime.datetime(1, 1, 1), "0001-01-01 00:00:00.000000"),
    (Type(Sort.INSTANT), DatetimeMS(253402300800000), M),
    (Type(Sort.INSTANT), DatetimeMS(1), "1970-01-01 00:00:00.001000+00"),
    (Type(Sort.UUID), Binary(UUID(int=7).bytes, 4), str(UUID(int=7))),
    (Type(Sort.UUID), Binary(UUID(int=7).bytes, 3), M),
    (Type(Sort.UUID), str(UUID(int=10)).upper(), str(UUID(int=10))),
    (Type(Sort.BYTES), b"\x00\xff", "00ff"),
    (Type(Sort.JSON), [1], '[{"$numberInt": "1"}]'),
    (Type(Sort.BOOLEAN), None, None),
]


@pytest.mark.parametrize(("type_", "value", "text"), CASES)
def test_a_value_becomes_a_column_exactly_or_does_not_fit(
    type_: Type, value: Any, text: Any
) -> None:
    read = reader(Field("v", type_, "v"))
    if text is M:
        with pytest.raises(Misfit):
            read(document(value))
        return
    assert read(document(value)) == text
    if type_.sort is Sort.DECIMAL and not isinstance(value, Decimal128):
        assert Decimal(text) == Decimal(repr(value))


def test_a_path_through_what_is_no_document_does_not_fit() -> None:
    read = reader(Field("v_b", Type(Sort.TEXT), "v.b"))
    assert [read(document(one)) for one in ({"b": "x"}, {"c": 1}, None)] == ["x", None, None]
    for wrong in (5, [{"b": "x"}], "b"):
        with pytest.raises(Misfit):
            read(document(wrong))
