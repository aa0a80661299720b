"""How values of a type are copied: in binary only if the bytes contain nothing specific to the
source server."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.engines.postgres.types import Type, base_type, wire
from windlass.model.relation import Wire


def make(
    oid: int,
    name: str,
    kind: str = "b",
    *,
    builtin: bool | None = None,
    array_of: int = 0,
    subtype: int = 0,
    base: int = 0,
    has_binary: bool = True,
) -> Type:
    """A row as ``sql/types.sql`` reads it. User-defined oids begin at 16384."""
    return Type(
        oid=oid,
        name=name,
        kind=kind,
        builtin=oid < 16384 if builtin is None else builtin,
        element=array_of,
        subtype=subtype,
        base=base,
        modifier=-1,
        has_binary=has_binary,
        has_hash=True,
    )


ROWS = [
    make(23, "integer"),
    make(25, "text"),
    make(1700, "numeric"),
    make(2950, "uuid"),
    make(3802, "jsonb"),
    make(26, "oid"),
    make(600, "point"),
    make(1033, "aclitem", has_binary=False),
    make(2205, "regclass"),
    make(2206, "regtype"),
    make(24, "regproc"),
    make(4191, "regcollation"),
    make(22, "int2vector", array_of=21),
    make(30, "oidvector", array_of=26),
    make(1007, "integer[]", array_of=23),
    make(1009, "text[]", array_of=25),
    make(2210, "regclass[]", array_of=2205),
    make(1034, "aclitem[]", array_of=1033, has_binary=True),
    make(3904, "int4range", "r", subtype=23),
    make(4451, "int4multirange", "m", subtype=23),
    make(3905, "int4range[]", array_of=3904),
    make(2249, "record", "p"),
    make(13000, "information_schema.sql_identifier", "d", builtin=False, base=19),
    make(19, "name"),
    make(20000, "shop.mood", "e"),
    make(20001, "shop.mood[]", array_of=20000),
    make(20002, "shop.pair", "c"),
    make(20003, "shop.pair[]", array_of=20002),
    make(20004, "shop.mood_range", "r", subtype=20000),
    make(20005, "shop.mood_multirange", "m", subtype=20000),
    make(20006, "citext"),
    make(20007, "citext[]", array_of=20006),
    make(20008, "shop.only_text", has_binary=False),
    make(20009, "shop.only_text[]", array_of=20008),
    make(20010, "shop.registration"),  # begins like reg*, but is none
    make(20100, "shop.age", "d", base=23),
    make(20101, "shop.age[]", array_of=20100),
    make(20102, "shop.grown_age", "d", base=20100),
    make(20103, "shop.ages", "d", base=1007),
    make(20104, "shop.feeling", "d", base=20000),
    make(20105, "shop.feelings", "d", base=20001),
    make(20106, "shop.couple", "d", base=20002),
    make(20107, "shop.relation", "d", base=2205),
    make(20108, "shop.grown_ages", "d", base=20101),
    make(20109, "shop.span", "d", base=3904),
]
TYPES = {row.oid: row for row in ROWS}
OIDS = {row.name: row.oid for row in ROWS}

BINARY = [
    "integer", "text", "numeric", "uuid", "jsonb", "oid", "point", "name",
    "integer[]", "text[]", "int4range", "int4multirange", "int4range[]",
    "shop.mood",  # sends its label
    "citext", "shop.registration",
    "shop.age", "shop.grown_age", "shop.ages", "shop.feeling", "shop.span",
    "information_schema.sql_identifier",
]  # fmt: skip
TEXT = [
    "regclass", "regtype", "regproc", "regcollation", "regclass[]",  # are object ids
    "shop.mood[]", "citext[]", "shop.age[]", "shop.pair[]",  # send their element's
    "shop.pair", "record",  # send their fields'
    "shop.mood_range", "shop.mood_multirange",
    "aclitem", "aclitem[]", "shop.only_text", "shop.only_text[]",  # have no binary form
    "int2vector", "oidvector",  # would not read an empty one
    "shop.feelings", "shop.couple", "shop.relation", "shop.grown_ages",  # domains over such
]  # fmt: skip


@pytest.mark.parametrize("name", BINARY)
def test_goes_in_binary(name: str) -> None:
    assert wire(OIDS[name], TYPES) is Wire.BINARY


@pytest.mark.parametrize("name", TEXT)
def test_goes_as_text(name: str) -> None:
    assert wire(OIDS[name], TYPES) is Wire.TEXT


def test_every_type_of_the_table_has_its_way() -> None:
    assert sorted([*BINARY, *TEXT]) == sorted(OIDS)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("integer", "integer"),
        ("shop.mood", "shop.mood"),
        ("shop.age", "integer"),
        ("shop.grown_age", "integer"),
        ("shop.ages", "integer[]"),
        ("shop.age[]", "shop.age[]"),
        ("shop.grown_ages", "shop.age[]"),
    ],
)
def test_a_domain_is_what_lies_under_it(name: str, base: str) -> None:
    assert base_type(OIDS[name], TYPES).name == base


@settings(deadline=None)
@given(depth=st.integers(0, 30), of=st.sampled_from(ROWS))
def test_a_domain_travels_as_its_base_type_however_deep(depth: int, of: Type) -> None:
    types, top = dict(TYPES), of.oid
    for number in range(depth):
        types[30000 + number] = make(30000 + number, f"shop.d{number}", "d", base=top)
        top = 30000 + number
    assert base_type(top, types) == base_type(of.oid, types)
    assert wire(top, types) is wire(of.oid, types)
