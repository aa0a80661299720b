"""A migration from PostgreSQL into MariaDB: what arrives, and what is named as lost or refused
before anything is written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from command import BAD_SPEC, DONE, REFUSED, STOPPED, windlass
from mariadb_server import MariaServer
from mysql_moves import CUSTOMERS, ITEMS, RIGHTS, ROWS, SHOP, Move
from servers import Database
from windlass.errors import WindlassError


@pytest.fixture
def move(
    database: Callable[[int], Database], mariadb: MariaServer, maria_database: Callable[..., str]
) -> Callable[..., Move]:
    def make(*statements: str) -> Move:
        source = database(16)
        source.run(*statements)
        into = maria_database()
        mariadb.grant("app", into, RIGHTS)
        return Move(source, mariadb, into)

    return make


def test_everything_arrives_and_works(move: Callable[..., Move]) -> None:
    one = move(*SHOP)
    found = one.migrate()
    assert (found["state"], found["verified"], found["rows"]) == ("done", "full", ROWS)
    assert found["losses"] == []
    assert one.tables() == ["busy", "customers", "items", 'odd `"name', "parts"]
    assert one.rows('select `a ``b`, `select` from `odd ``"name` order by 1, 2') == [
        (None, ""), ("1", "tab\there"), ("3", None), ("3", None), ("4", "\\N\n"), ("5", "é€😀")
    ]  # fmt: skip
    assert one.rows("select name, price, tags, active, state from customers where id = 7") == [
        ("n7", "7.70", '["a","7"]', "1", "it's {odd}")
    ]
    assert one.rows("select count(*), sum(doubled = qty * 2) from items") == [
        (str(ITEMS), str(ITEMS))
    ]
    there = one.source.rows("select count(*) from busy")[0][0]
    assert one.rows("select count(*) from busy") == [(str(there),)]
    assert one.rows(
        "select table_comment from information_schema.tables where table_name = 'customers'"
        " and table_schema = database() union all select column_comment from"
        " information_schema.columns where table_schema = database() and column_name = 'name'"
        " and table_name = 'customers'"
    ) == [("who's buying \\ here",), ("as they 'say'",)]
    # definitions work
    one.run("insert into customers (name) values ('new')")
    assert one.rows("select id, score, state, price from customers where name = 'new'") == [
        (str(CUSTOMERS + 1), "1.5", "new", "0.00")
    ]
    for statement in (
        "insert into items (customer, qty) values (1, 0)",
        "insert into items (customer) values (99999)",
        "insert into customers (name) values ('x')",
        "insert into customers (name, state) values ('xyz', 'other')",
        "update customers set email = 'e1@x' where id = 2",
        "insert into customers (name, score) values ('xyz', 'text')",
    ):
        with pytest.raises(WindlassError, match="reading: "):
            one.run("set sql_mode = 'STRICT_ALL_TABLES'", statement)
    one.run("update customers set email = 'E1@X' where id = 2")  # case counts
    one.run("update customers set email = 'e1@x ' where id = 4")  # and a blank
    one.run("delete from customers where id = 1")
    assert one.rows("select count(*) from items where customer = 1") == [("0",)]
    assert {name for (name,) in one.rows(
        "select distinct index_name from information_schema.statistics where table_schema ="
        " database() and index_name <> 'PRIMARY' and table_name not like '\\_windlass%'"
    )} == {
        "customers_email_key", "items_customer_note_key", "items_qty", "customers_tags",
        "parts_boss_fkey",
    }  # fmt: skip


# type, values in PostgreSQL's SQL, declared type in MariaDB, what it stores
TYPES = [
    ("boolean", "true, false, null", "tinyint(1)", ["1", "0", None]),
    ("smallint", "-32768, 32767", "smallint(6)", ["-32768", "32767"]),
    ("integer", "-2147483648, 2147483647", "int(11)", ["-2147483648", "2147483647"]),
    ("bigint", "-9223372036854775808, 9223372036854775807", "bigint(20)",
     ["-9223372036854775808", "9223372036854775807"]),
    ("oid", "4294967295", "int(10) unsigned", ["4294967295"]),
    ("double precision", "0.1::float8 + 0.2, 1.7976931348623157e308, 5e-324, -3, 0", "double",
     ["0.30000000000000004", "1.7976931348623157e308", "5e-324", "-3", "0"]),
    ("numeric", "'12345678901234567890123456789012345.123456789', 1.50", "decimal(65,30)",
     ["12345678901234567890123456789012345.123456789000000000000000000000",
      "1.500000000000000000000000000000"]),
    ("numeric(12,2)", "1.5, -0.07", "decimal(12,2)", ["1.50", "-0.07"]),
    ("numeric(65,30)", "0.000000000000000000000000000001", "decimal(65,30)",
     ["0.000000000000000000000000000001"]),
    ("numeric(3,-2)", "12345", "decimal(5,0)", ["12300"]),
    ("money", "12.34", "decimal(23,4)", ["12.3400"]),
    ("text", "'', E'a\\tb\\r\\n', '\\N', 'é€😀', 'a '", "longtext",
     ["", "a\tb\r\n", "\\N", "é€😀", "a "]),
    ("varchar(3)", "'abc', 'é€😀', 'a'", "varchar(3)", ["abc", "é€😀", "a"]),
    ("varchar(5000)", "'abc'", "longtext", ["abc"]),
    ("character(4)", "'a', ''", "char(4)", ["a", ""]),
    ("character(300)", "'a'", "varchar(300)", ["a"]),
    ("date", "'2026-11-29', '0001-01-01', '9999-12-31'", "date",
     ["2026-11-29", "0001-01-01", "9999-12-31"]),
    ("time", "'23:59:59.9', '24:00'", "time(6)", ["23:59:59.900000", "24:00:00.000000"]),
    ("timetz", "'10:00:00+02'", "varchar(32)", ["10:00:00+02"]),
    ("timestamp", "'2026-11-29 23:59:59.000001', '0099-12-31', '9999-12-31 23:59:59.999999'",
     "datetime(6)",
     ["2026-11-29 23:59:59.000001", "0099-12-31 00:00:00.000000", "9999-12-31 23:59:59.999999"]),
    ("timestamptz", "'2026-11-29 01:30:00+02', '2050-01-01 00:00:00+00'", "datetime(6)",
     ["2026-11-28 23:30:00.000000", "2050-01-01 00:00:00.000000"]),
    ("interval", "'1 year 2 mons 03:04:05.6'", "varchar(128)", ["1 year 2 mons 03:04:05.6"]),
    ("uuid", "'01234567-89AB-cdef-0123-456789abcdef'", "char(36)",
     ["01234567-89ab-cdef-0123-456789abcdef"]),
    ("jsonb", """'{"b": 1.50, "a": [null, "é\\"\\\\"]}'""", "longtext",
     ['{"a": [null, "é\\"\\\\"], "b": 1.50}']),
    ("int[]", "'{1,null}', '{{1,2},{3,4}}', '{}'", "longtext", ["[1,null]", "[[1,2],[3,4]]", "[]"]),
    ("text[]", """'{"a,b",NULL,"q\\"uote"}'""", "longtext", ['["a,b",null,"q\\"uote"]']),
    ("bit(3)", "'101'", "varchar(3)", ["101"]),
    ("bit varying", "'1010'", "longtext", ["1010"]),
    ("inet", "'10.0.0.1/8', 'fe80::1'", "varchar(50)", ["10.0.0.1/8", "fe80::1"]),
    ("cidr", "'10.0.0.0/8'", "varchar(50)", ["10.0.0.0/8"]),
    ("macaddr", "'08:00:2b:01:02:03'", "varchar(32)", ["08:00:2b:01:02:03"]),
    ("int4range", "'[1,5)'", "longtext", ["[1,5)"]),
    ("name", "'abc'", "varchar(64)", ["abc"]),
    ("tsvector", "'a b'", "longtext", ["'a' 'b'"]),
    ("point", "'(1.5,2)'", "longtext", ["(1.5,2)"]),
    ("public.mood", "'sad', 'o''k {0}', '2'", "enum('sad','o''k {0}','2')",
     ["sad", "o'k {0}", "2"]),
    ("public.odd", "'', 'a '", "varchar(2)", ["", "a "]),
    ("public.pair", "'(1,x)'", "longtext", ["(1,x)"]),
    ("public.short", "'abc'", "longtext", ["abc"]),
]  # fmt: skip
MADE_TYPES = (
    "create type public.mood as enum ('sad', 'o''k {0}', '2')",
    "create type public.odd as enum ('', 'a ')",
    "create type public.pair as (a int, b text)",
    "create domain public.short as text",
)


def test_every_type_arrives_exactly(move: Callable[..., Move]) -> None:
    statements = list(MADE_TYPES)
    for at, (type_, values, _, _) in enumerate(TYPES):
        statements.append(f"create table t{at} (n int, v {type_})")
        given = ", ".join(
            f"({n}, cast({value} as text)::{type_})" for n, value in enumerate(_split(values))
        )
        statements.append(f"insert into t{at} values {given}")
    one = move(*statements)
    found = one.migrate()
    assert (found["verified"], found["losses"]) == ("full", [])
    columns = (
        "select table_name, column_type from information_schema.columns"
        " where table_schema = database() and column_name = 'v'"
    )
    declared = {str(table): type_ for table, type_ in one.rows(columns)}
    stored = {
        type_: (
            declared[f"t{at}"],
            [value for (value,) in one.rows(f"select v from t{at} order by n")],
        )
        for at, (type_, *_) in enumerate(TYPES)
    }
    assert stored == {type_: (declared, values) for type_, _, declared, values in TYPES}


def test_floats_and_bytes_arrive_bit_by_bit(move: Callable[..., Move]) -> None:
    one = move(
        "create table t (n int, f real, b bytea, k bytea unique)",
        "insert into t values (1, 0.1, '\\x00ff5c0a0d09', '\\x00'), (2, 1e-45, '', null),"
        " (3, 3.4028235e38, null, '\\x5c4e')",
    )
    assert one.migrate()["verified"] == "full"
    assert one.rows("select concat(f * 1e0), hex(b), hex(k) from t order by n") == [
        ("0.10000000149011612", "00FF5C0A0D09", "00"),
        ("1.401298464324817e-45", "", None),
        ("3.4028234663852886e38", None, "5C4E"),
    ]


def _split(values: str) -> list[str]:
    """Values of a row of TYPES: apart at commas that are in no text."""
    found, text, within = [], "", False
    for character in values:
        within ^= character == "'"
        if character == "," and not within:
            found.append(text.strip())
            text = ""
        else:
            text += character
    return [*found, text.strip()]


def test_no_value_is_lost_in_silence(move: Callable[..., Move]) -> None:
    deep = "'" + "[" * 40 + "]" * 40 + "'"
    one = move(
        "create table t (id int primary key, f float8, g float8 not null, a int[], n numeric,"
        " w numeric(70,35), d date, m timestamp, z timestamptz not null, j jsonb, k text unique,"
        " q numeric(5,2))",
        "insert into t values (1, 'NaN', 'NaN', '[0:1]={7,8}', 1e-31, 1e34, 'infinity',"
        f" '0044-03-15 BC', 'infinity', {deep}, repeat('x', 800), 'NaN'),"
        " (2, '-0', 1, '{1}', 1e36, 1e-35, '2026-01-01', '10000-01-01', '2040-01-01', '{}', 'a',"
        " 1.25), (3, '-Infinity', 2, null, 'Infinity', null, null, null, '2026-01-01', null,"
        " null, 1)",
    )
    null = "becomes NULL"
    assert set(one.problems()) == {
        ("public.t.f", f"2 values: NaN or infinite, which {null}"),
        ("public.t.f", "1 value: negative zero, which becomes 0: no sign of it is kept"),
        ("public.t.g", f"1 value: NaN or infinite, which {null}, in a column that is NOT NULL"),
        ("public.t.a", "1 value: an array whose first index is not 1, which is left out"),
        ("public.t.n", f"2 values: no number of 35 digits before the point, which {null}"),
        ("public.t.n", "1 value: more than 30 digits after the point: rounded"),
        ("public.t.w", "1 value: more than 30 digits after the point: rounded"),
        ("public.t.d", f"1 value: infinite, or not of the years 1 to 9999: {null}"),
        ("public.t.m", f"2 values: infinite, or not of the years 1 to 9999: {null}"),
        ("public.t.z", f"1 value: infinite, or not of the years 1 to 9999: {null}, in a column that"
         " is NOT NULL"),
        ("public.t.j", f"1 value: more than 31 levels, which is no JSON to MariaDB: {null}"),
        ("public.t.k", f"1 value: more than 768 characters, which a key cannot have: {null}"),
        ("public.t.q", f"1 value: NaN, which {null}"),
    }  # fmt: skip
    kept = ("--type", "t.g=text", "--type", "t.z=varchar(40)", "--type", "t.n=text")
    moved = one.migrate(*kept, "--accept", "values")
    assert moved["verified"] == "full"
    assert {loss["class"] for loss in moved["losses"]} == {"values"}
    assert one.rows("select f, g, a, n, d, m, j, k, q from t order by id") == [
        (None, "NaN", "[7,8]", "0.0000000000000000000000000000001", None, None, None, None, None),
        ("0", "1", "[1]", "1000000000000000000000000000000000000", "2026-01-01", None, "{}", "a",
         "1.25"),
        (None, "2", None, "Infinity", None, None, None, None, "1.00"),
    ]  # fmt: skip
    assert [z for (z,) in one.rows("select z from t order by id")] == [
        "infinity", "2040-01-01 00:00:00+00", "2026-01-01 00:00:00+00"
    ]  # fmt: skip


def test_people_choose_other_types(move: Callable[..., Move]) -> None:
    one = move(
        "create table t (id int primary key, n numeric, z timestamptz, j json, s text, d numeric)",
        "insert into t values (1, 1.5, '2026-01-01 12:00:00.5+00', '{\"a\":  1}', 'abcd', 7),"
        " (2, 0.1, '2040-01-01', null, 'ab', 1.25), (3, null, null, null, null, 1e20)",
    )
    words = ("t.n=double", "t.z=timestamp", "t.j=json", "t.s=varchar(3)", "t.d=bigint")
    given = [word for one in words for word in ("--type", one)]
    refused = dict(one.problems("--type", "t.n=decimal(70,2)"))["types: t.n"]
    begins = "'decimal(70,2)' is none of the types of MariaDB that can be chosen here: bigint,"
    assert refused.startswith(begins)
    assert set(one.problems(*given)) == {
        ("public.t.z", "1 value: infinite, or not of the years 1970 to 2038: becomes NULL"),
        ("public.t.s", "1 value: more than 3 characters: becomes NULL"),
        ("public.t.d", "2 values: no integer of 64 bits: becomes NULL"),
    }
    assert one.migrate(*given, "--accept", "values")["verified"] == "full"
    assert one.rows("select n, z, j, s, d from t order by id") == [
        ("1.5", "2026-01-01 12:00:00.500000", '{"a":  1}', None, "7"),
        ("0.1", None, None, "ab", None),
        (None, None, None, None, None),
    ]


def test_what_is_equal_is_what_was_equal(move: Callable[..., Move]) -> None:
    """Case, accents and blanks at the end make other keys, as they do on the source."""
    one = move(
        "create table p (k text primary key, c char(3) unique)",
        "insert into p values ('a', 'x'), ('A', 'X'), ('á', 'y'), ('a ', 'z'), (E'a\\t', null)",
        "create table c (k text references p (k), primary key (k))",
        "insert into c values ('a'), ('a '), (E'a\\t')",
        "create view v as select p.k, count(c.k) as n from p left join c on c.k = p.k group by p.k",
        "create table parts (k text references p (k), n int, primary key (n, k))",
        "insert into parts values ('a ', 1), ('a', 1)",
    )
    found = one.migrate()
    assert (found["verified"], found["losses"]) == ("full", [])
    assert one.rows("select count(*) from p where k = 'a'") == [("1",)]
    assert one.rows("select sum(n) from v") == [("3",)]
    with pytest.raises(WindlassError):
        one.run("insert into parts values ('b', 1)")


def test_what_mariadb_has_no_counterpart_for_is_named_with_its_text(
    move: Callable[..., Move],
) -> None:
    one = move(
        "create domain short as text check (value <> 'bad')",
        "create table t (id int primary key, note text check (note ~ '^x'),"
        " s short, ts tsvector, made text generated always as (reverse(note)) stored,"
        " up timestamptz default now() + interval '1 day', n numeric(8,2), other bigserial,"
        " twice numeric(9,2) generated always as (n * 2) stored, doc json,"
        " day date, next date generated always as (day + 1) stored,"
        " half int generated always as (id / 2) stored,"
        " exclude using gist (int4range(id, id + 1) with &&))",
        "create table u (id bigint, t int references t (id) deferrable, old int,"
        " b bigint references t (id))",
        "alter table u add constraint late foreign key (old) references t (id) not valid",
        "create index t_gin on t using gin (ts)",
        "create index t_part on t (id) where n > 1",
        "create unique index t_lower on t (lower(note))",
        "create index t_note on t (note, id)",
        "create view v as select note ~ 'x' as y from t",
        "create materialized view m as select id from t",
        "create function f() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger tr before insert on t for each row execute function f()",
        "insert into t (id, note, n, day) values (1, 'x', 1.25, '2026-01-31'), (3, 'x2', 1, null)",
    )
    found = one.command("plan").expect(REFUSED).result
    kinds = {loss["class"] for loss in found["losses"]}
    texts = {f"{loss['object']}: {loss['message']}" for loss in found["losses"]}
    assert texts == {
        "public.t: check t_note_check is not enforced: CHECK ((note ~ '^x'::text))",
        "public.t.s: public.short is not enforced: CHECK ((VALUE <> 'bad'::text))",
        "public.t.doc: is not checked to be JSON, as the server takes other texts for it: --type"
        " can say json",
        "public.t: column made is not computed, but has its values: reverse(note)",
        "public.t: column next is not computed, but has its values: (day + 1)",
        "public.t: column up has no default on the target: (now() + '1 day'::interval)",
        "public.t: column other does not count up: only an integer that is the first column of the"
        " primary key does in MySQL",
        "public.t: constraint t_int4range_excl is not enforced: EXCLUDE USING gist"
        " (int4range(id, (id + 1)) WITH &&)",
        "public.u: foreign key late is not enforced, as it was never validated on the source:"
        " FOREIGN KEY (old) REFERENCES public.t(id) NOT VALID",
        "public.u: foreign key u_t_fkey is checked at once: it is not deferrable",
        "public.u: foreign key u_b_fkey is not enforced, as b is bigint, and id is int",
        "public.t: index t_gin is not made, as MariaDB has no gin: CREATE INDEX t_gin ON public.t"
        " USING gin (ts)",
        "public.t: index t_part is not made, as MariaDB has no partial indexes: CREATE INDEX t_part"
        " ON public.t USING btree (id) WHERE (n > (1)::numeric)",
        "public.t: index t_lower is not made, as MariaDB has no indexes on expressions: CREATE"
        " UNIQUE INDEX t_lower ON public.t USING btree (lower(note))",
        "public.t: index t_note: finds less by note, of which it has the first 191 characters",
        "view public.v: is not made on the target: SELECT (note ~ 'x'::text) AS y FROM public.t;",
        "view public.m: is not made on the target: SELECT id FROM public.t;",
        "function public.f(): is not made on the target",
        "trigger public.t.tr: is not made on the target: CREATE TRIGGER tr BEFORE INSERT ON"
        " public.t FOR EACH ROW EXECUTE FUNCTION public.f()",
    }
    accepted = [word for kind in kinds for word in ("--accept", kind)]
    assert one.migrate(*accepted)["verified"] == "full"
    assert one.rows("select made, twice, next, half from t order by id") == [
        ("x", "2.50", "2026-02-01", "0"), ("2x", "2.00", None, "1")
    ]  # fmt: skip
    one.run("insert into t (id, n) values (7, 3)")
    assert one.rows("select twice, half from t where id = 7") == [("6.00", "3")]


def test_a_column_that_counts_up_is_in_no_check_and_computes_nothing(
    move: Callable[..., Move],
) -> None:
    one = move(
        "create table checked (id int generated by default as identity primary key,"
        " parent int check (parent > 0), constraint other check (parent <> id))",
        "create table computing (id int generated by default as identity primary key,"
        " twice int generated always as (id * 2) stored)",
        "insert into checked (parent) values (7)",
        "insert into computing default values",
    )
    accepted = ("--accept", "constraints", "--accept", "behaviour")
    found = one.migrate(*accepted)
    assert {(loss["object"], loss["message"].partition(",")[0]) for loss in found["losses"]} == {
        ("public.checked", "check other is not enforced"),
        ("public.computing", "column id does not count up: a computed column reads it"),
    }
    one.run("insert into checked (parent) values (2)")
    assert one.rows("select id, parent from checked order by 1") == [("1", "7"), ("2", "2")]
    assert one.rows("select twice from computing") == [("2",)]


def test_what_cannot_be_is_refused_before_anything_is_written(move: Callable[..., Move]) -> None:
    one = move(
        "create table a (id int)",
        'create table "A" (id int)',
        'create table b (c int, "C" int)',
        "create table _windlass_own (id int)",
        'create table "blank " (id int)',
        "create table d ()",
    )
    assert dict(one.problems()) == {
        'public."A" and public.a': "would have the same name in MariaDB",
        "public.b": "columns c and C are one in MariaDB",
        "public._windlass_own": "names that begin with _windlass_ are those of the journal",
        'public."blank "': "a name that MySQL does not take: empty, with a blank at its end, or"
        " beyond U+FFFF",
        "public.d": "has no columns, which MariaDB needs",
    }
    only = ("--include", "a")
    words = ("--type", "a.id=date", "--existing", "fill", "--map-schema", "public=x")
    found = dict(one.problems(*only, *words))
    assert set(found) == {"existing", "types: a.id", "map-schema"}
    one.run("create table a (x int)")
    assert dict(one.problems(*only)) == {
        f"{one.database}.a": f"exists in MySQL {one.database} on 127.0.0.1:{one.server.port}"
    }
    assert one.tables() == ["a"]
    one.command("plan", "--follow").expect(BAD_SPEC)
    one.command("plan", "--target", f"{one.url}?nonsense=1").expect(BAD_SPEC)


def test_a_server_without_load_data_local_gets_inserts(
    move: Callable[..., Move], mariadb: MariaServer
) -> None:
    big = (
        "create table big (id int primary key, v text, b bytea)",
        "insert into big select 1, repeat('é', 1000000), decode(repeat('005c', 300000), 'hex')",
    )
    one = move(*SHOP, *big)
    mariadb.run("mysql", "set global local_infile = 0")
    try:
        plan = one.command("plan").expect(DONE).result
        assert any("does not allow LOAD DATA LOCAL" in text for text in plan["notices"])
        stopped = one.command("migrate").expect(STOPPED)
        assert "max_allowed_packet is 4,194,304" in stopped.said
        found = one.migrate("--restart", "--exclude", "big")
    finally:
        mariadb.run("mysql", "set global local_infile = 1")
    assert (found["verified"], found["rows"]) == ("full", ROWS)
    assert "big" not in one.tables()
    # with it, a value may be longer than a statement of the server's
    one.command("rollback", found["run"], "--yes").expect(DONE)
    assert one.migrate("--include", "big")["verified"] == "full"


def test_only_the_structure_arrives_if_asked_for(move: Callable[..., Move]) -> None:
    one = move(*SHOP)
    assert one.migrate("--schema-only")["rows"] == 0
    assert one.rows("select count(*) from items") == [("0",)]
    one.run("insert into customers (name) values ('xy')")
    with pytest.raises(WindlassError):
        one.run("insert into items (customer) values (7)")


def test_rights_that_are_missing_are_a_problem_of_the_plan(move: Callable[..., Move]) -> None:
    one = move(*SHOP)
    one.server.grant("low", one.database, ["select", "insert", "create"])
    low = one.server.url(one.database, "low")
    env = {"WINDLASS_SOURCE": one.source.url, "WINDLASS_TARGET": low}
    found = windlass("plan", "--json", env=env).expect(REFUSED).result["problems"]
    assert [(it["object"], it["message"]) for it in found] == [
        ("target", "low lacks rights on it: ALTER, CREATE TEMPORARY TABLES, CREATE VIEW, DELETE,"
         " DROP, INDEX, LOCK TABLES, REFERENCES, SHOW VIEW, UPDATE"),
    ]  # fmt: skip
    wrong = one.url.replace("app:", "nobody:")
    said = windlass("plan", env={**env, "WINDLASS_TARGET": wrong}).expect(REFUSED).said
    assert "check user and password in the URL" in said
