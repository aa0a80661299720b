"""Each type of MySQL and MariaDB arrives with every value, or its loss is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from arriving import Arrived, arrive, reading_of
from mariadb_server import MariaServer
from sent_rows import arrived, send
from servers import Database, Server
from windlass.engines.mysql.origin import MysqlOrigin
from windlass.model.chunk import Whole
from windlass.model.translation import Answers, Digest, Fit, Reading, SourceTable


@dataclass(frozen=True)
class Case:
    """A column `v` of a type, what is in it, and what PostgreSQL has of it. `problem` is part of
    the message while losses of values are not accepted, `loss` once they are."""

    type: str
    values: tuple[str, ...]  # literals of MariaDB
    arrives: tuple[str | None, ...]  # PostgreSQL's texts
    becomes: str  # the type that was chosen
    problem: str = ""
    loss: str = ""
    answer: str = ""  # a type that people have chosen
    still: str = ""  # a problem even so


MOST = "12345678901234567890123456789012345.123456789012345678901234567890"
POINT = "0101000000000000000000f03f0000000000000040"
ZERO = "2 dates such as 0000-00-00 or 2020-02-31"
JSON = """'{"b": 1.50, "a": [1e2, "\\\\u00e9"], "bb": null, "c": "\\\\\\\\ \\\\" \\\\n"}'"""

CASES = {
    "int unsigned": Case(
        "int unsigned", ("0", "4294967295"), ("0", "4294967295"), "integer of 64 bits"
    ),
    "smallint unsigned": Case("smallint unsigned", ("65535",), ("65535",), "integer of 32 bits"),
    "mediumint unsigned": Case(
        "mediumint unsigned", ("16777215",), ("16777215",), "integer of 32 bits"
    ),
    "bigint unsigned": Case(
        "bigint unsigned", ("18446744073709551615",), ("18446744073709551615",), "decimal(20,0)"
    ),
    "bigint unsigned as bigint": Case(
        "bigint unsigned", ("9223372036854775807",), ("9223372036854775807",),
        "integer of 64 bits", answer="bigint",
    ),
    "bigint unsigned that bigint is too small for": Case(
        "bigint unsigned", ("18446744073709551615",), (), "", answer="bigint",
        problem="1 value", still="cannot have the chosen type (first: id = 1)",
    ),
    "bigint": Case(
        "bigint", ("-9223372036854775808",), ("-9223372036854775808",), "integer of 64 bits"
    ),
    "zerofill": Case("int(6) zerofill", ("42",), ("42",), "integer of 64 bits"),
    "tinyint(1) of flags": Case(
        "tinyint(1)", ("0", "1", "null"), ("false", "true", None), "boolean"
    ),
    "tinyint(1) of numbers": Case("tinyint(1)", ("0", "2"), ("0", "2"), "integer of 16 bits"),
    "tinyint(1) as smallint": Case(
        "tinyint(1)", ("0", "1"), ("0", "1"), "integer of 16 bits", answer="smallint"
    ),
    "decimal": Case(
        "decimal(65,30)", (f"-{MOST}", "1"), (f"-{MOST}", f"1.{'0' * 30}"), "decimal(65,30)"
    ),
    "decimal with other digits": Case(
        "decimal(10,4)", ("1.5", "-2"), ("1.50", "-2.00"), "decimal(8,2)", answer="numeric(8,2)"
    ),
    "float": Case(
        "float", ("16777217", "0.1", "-1.5e-10", "3.4028234e38", "1e-45"),
        ("1.6777216e+07", "0.1", "-1.5e-10", "3.4028235e+38", "1e-45"), "float of 32 bits",
    ),
    "double": Case(
        "double", ("0.1e0 + 0.2e0", "1e300", "5e-324", "123456789012345678e0", "-1e-5", "1e15"),
        ("0.30000000000000004", "1e+300", "5e-324", "1.2345678901234568e+17", "-1e-05", "1e+15"),
        "float of 64 bits",
    ),
    "year": Case("year", ("0", "2026"), ("0", "2026"), "integer of 16 bits"),
    "bit(1)": Case("bit(1)", ("b'1'", "b'0'", "null"), ("true", "false", None), "boolean"),
    "bit(10)": Case("bit(10)", ("5", "1023"), ("0000000101", "1111111111"), "bits(10)"),
    "bit(64)": Case("bit(64)", ("18446744073709551615",), ("1" * 64,), "bits(64)"),
    "date": Case("date", ("'9999-12-31'", "null"), ("9999-12-31", None), "date"),
    "date, impossible": Case(
        "date", ("'0000-00-00'", "'2020-02-31'", "'2020-02-29'"), (None, None, "2020-02-29"),
        "date",
        problem=f"{ZERO}, which PostgreSQL does not have (first: id = 1)",
        loss=f"NULL in place of {ZERO}",
    ),
    "date, impossible, not null": Case(
        "date not null", ("'2020-00-10'",), (), "", problem="NOT NULL", still="NOT NULL"
    ),
    "date as text": Case(
        "date not null", ("'2020-00-10'",), ("2020-00-10",), "text", answer="text"
    ),
    "datetime": Case(
        "datetime(3)", ("'2026-03-29 02:30:00.125'",), ("2026-03-29 02:30:00.125",), "timestamp"
    ),
    "datetime, impossible": Case(
        "datetime(6)", ("'2020-05-00 10:00:00'", "'0000-01-01 00:00:00'"), (None, None),
        "timestamp", problem="2 dates", loss="NULL in place of 2 dates",
    ),
    "datetime as instant": Case(
        "datetime", ("'2026-03-29 02:30:00'",), ("2026-03-29 02:30:00+00",), "instant",
        answer="timestamptz",
    ),
    "timestamp": Case(
        "timestamp(6) null", ("'2026-06-01 00:00:00.000001'",), ("2026-06-01 00:00:00.000001+00",),
        "instant",
    ),
    "time of day": Case("time(2)", ("'23:59:59.99'",), ("23:59:59.99",), "time"),
    "time beyond a day": Case(
        "time(1)", ("'-838:59:59.5'", "'00:00:01'", "'-00:00:00.5'"),
        ("-838:59:59.5", "00:00:01", "-00:00:00.5"), "interval",
    ),
    "enum": Case("enum('b','a','x''y\\\\')", ("'a'", "'x''y\\\\'"), ("a", "x'y\\"), "enum"),
    "enum without label": Case(
        "enum('b','a')", ("'a'", "'?'"), ("a", None), "enum",
        problem="1 value without a label ('')", loss="NULL in place of 1 value without a label",
    ),
    "enum as text": Case("enum('b','a')", ("'a'", "'?'"), ("a", ""), "text", answer="text"),
    "set": Case(
        "set('a','b\"c','d\\\\e')", ("'a,d\\\\e'", "''", "'b\"c'", "null"),
        ('{a,"d\\\\e"}', "{}", '{"b\\"c"}', None), "set",
    ),
    "char": Case("char(5)", ("'ab  '",), ("ab",), "text(5)"),
    "varchar": Case(
        "varchar(60)",
        ("'tab\\tline\\nreturn\\rback\\\\slash\\b'", "'\\\\N'", "'\\\\.'", "''", "' a '", "'😀'"),
        ("tab\tline\nreturn\rback\\slash\b", "\\N", "\\.", "", " a ", "😀"), "text(60)",
    ),
    "latin1 is cp1252": Case(
        "varchar(9) character set latin1", ("x'80e981'",), ("€é\x81",), "text(9)"
    ),
    "sjis": Case("varchar(9) character set sjis", ("_sjis x'835c'",), ("ソ",), "text(9)"),
    "ucs2": Case("varchar(9) character set ucs2", ("_ucs2 x'00e9005c'",), ("é\\",), "text(9)"),
    "text with U+0000": Case(
        "text", ("'a\\0b'", "'c'"), ("ab", "c"), "text",
        problem="1 value with U+0000, which PostgreSQL's text cannot hold (first: id = 1)",
        loss="U+0000 is left out of 1 value",
    ),
    "half of a surrogate pair": Case(
        "varchar(9)", ("_utf8mb4 x'61eda08062'", "'ok'"), ("a?b", "ok"), "text(9)",
        problem="1 value with bytes that are no utf8mb4 (first: id = 1)",
        loss="bytes that do not decode become ?",
    ),
    "binary": Case(
        "binary(4)", ("x'0001ff'", "x'5c783031'"), ("\\x0001ff00", "\\x5c783031"), "bytes"
    ),
    "blob": Case("longblob", ("x'000a5c09'", "''"), ("\\x000a5c09", "\\x"), "bytes"),
    "bytes as uuid": Case(
        "binary(16)", ("x'123e4567e89b12d3a456426655440000'", "null"),
        ("123e4567-e89b-12d3-a456-426655440000", None), "uuid", answer="uuid",
    ),
    "text as uuid": Case(
        "char(36)", ("'123E4567-e89b-12d3-a456-426655440000'",),
        ("123e4567-e89b-12d3-a456-426655440000",), "uuid", answer="uuid",
    ),
    "uuid": Case(
        "uuid", ("'123e4567-e89b-12d3-a456-426655440000'",),
        ("123e4567-e89b-12d3-a456-426655440000",), "uuid",
    ),
    "inet6": Case("inet6", ("'::ffff:1.2.3.4'",), ("::ffff:1.2.3.4",), "text"),
    "json": Case(
        "json", (JSON, "null"),
        ('{"a": [100, "é"], "b": 1.50, "c": "\\\\ \\" \\n", "bb": null}', None), "json",
        loss="1 value: other blanks, order of keys or form of numbers",
    ),
    "json with doubled keys": Case(
        "json", ("'{\"a\": 1, \"a\": 2}'",), ('{"a": 2}',), "json",
        problem="1 value with doubled keys", loss="of doubled keys in 1 value the last stays",
    ),
    "json that jsonb refuses": Case(
        "json", ("'[\"\\\\u0000\"]'",), (), "", problem="1 value that jsonb refuses",
        still="1 value that jsonb refuses",
    ),
    "json as text": Case(
        "json", ("'[\"\\\\u0000\"]'",), ('["\\u0000"]',), "text", answer="text"
    ),
    "geometry": Case(
        "point", ("st_geomfromtext('POINT(1 2)')",), (f"\\x{POINT}",), "bytes",
        loss="becomes bytea: well-known binary",
    ),
    "geometry with an SRID": Case(
        "geometry", ("st_geomfromtext('POINT(1 2)', 4326)",), (f"\\x{POINT}",), "bytes",
        problem="the SRID of 1 value is left out", loss="the SRID of 1 value is left out",
    ),
}  # fmt: skip


@dataclass
class Moved:
    """A case's table: what was found without any loss accepted, with all, and what arrived."""

    asked: Fit
    fit: Fit
    reading: Reading
    arrived: Arrived | None


@pytest.fixture(scope="module")
def target(server: Callable[[int], Server]) -> Iterator[Database]:
    made = server(18).create_database()
    yield made
    server(18).drop_database(made)


@pytest.fixture(scope="module")
def origin(mariadb: MariaServer) -> Iterator[MysqlOrigin]:
    statements = []
    for number, case in enumerate(CASES.values()):
        rows = ", ".join(f"({at}, {value})" for at, value in enumerate(case.values, 1))
        statements += [
            f"create table t{number} (id int primary key, v {case.type})",
            f"insert into t{number} values {rows}",
        ]
    database = mariadb.create_database(*statements)
    with MysqlOrigin(mariadb.url(database)) as made:
        made.hold()
        yield made
    mariadb.drop_database(database)


@pytest.fixture(scope="module")
def tables(origin: MysqlOrigin) -> dict[str, SourceTable]:
    by_name = {one.name.name: one for one in origin.schemas().tables}
    return {name: by_name[f"t{number}"] for number, name in enumerate(CASES)}


def moved(name: str, origin: MysqlOrigin, table: SourceTable, target: Database) -> Moved:
    case = CASES[name]
    types = {"v": case.answer} if case.answer else {}
    asked = origin.fit(table, Answers(types))
    fit = origin.fit(table, Answers(types, accepts_values=True))
    arrived = None if case.still else arrive(origin, table, fit, target)
    return Moved(asked, fit, reading_of(table, fit), arrived)


@pytest.mark.parametrize("name", CASES)
def test_every_value_arrives_or_its_loss_is_named(
    name: str, origin: MysqlOrigin, tables: dict[str, SourceTable], target: Database
) -> None:
    case, found = CASES[name], moved(name, origin, tables[name], target)
    said = "; ".join(one.text for one in found.asked.problems)
    assert case.problem in said if case.problem else not said
    left = "; ".join(one.message for one in found.fit.problems)
    assert case.still in left if case.still else not left
    lost = "; ".join(one.message for one in found.fit.losses)
    assert case.loss in lost if case.loss else not lost
    if found.arrived is None:
        return
    assert found.fit.fields[1].type.described == case.becomes
    assert [row[1] for row in found.arrived.rows('id, v::text collate "C"')] == list(case.arrives)
    digest = origin.digest(found.reading, Whole())
    assert digest == found.arrived.digest() == found.arrived.digest_of_ours()
    sent = send(origin, found.reading)
    assert sent is None or sent == arrived(target, found.reading)
    assert sum(origin.buckets(found.reading).values(), Digest()) == digest
    rows = list(origin.rows(found.reading, list(origin.buckets(found.reading))))
    assert sorted(map(repr, (one.texts for one in rows))) == sorted(
        map(repr, found.arrived.texts())
    )
