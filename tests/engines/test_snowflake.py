"""Snowflake as a warehouse, as fakesnow plays it: what is there only there. What is the same in
every warehouse is in the files `test_warehouse_*`, `test_hooks` and `test_load_columns`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from pydantic import SecretStr
from sqlglot import exp

from exporting import export, spec_file
from killing import kill
from servers import PASSWORD, Database
from snowflake_fake import FakeSnowflake
from warehouses import File, file
from windlass.engines.objects.store import ObjectStore
from windlass.engines.snowflake import staging
from windlass.engines.snowflake.books import Books
from windlass.engines.snowflake.merging import Filling
from windlass.engines.snowflake.session import Session
from windlass.engines.snowflake.target import SnowflakeTarget
from windlass.errors import ConnectionLost
from windlass.flows.export.context import Exporting
from windlass.flows.export.manifests import Manifests

__all__ = ["file"]  # a fixture


@pytest.fixture
def orders(file: File) -> File:
    file.run(
        "create table orders (id bigint, note varchar, seen timestamp)",
        "insert into orders values (1, 'a', '2024-02-29 12:00:00.000001'), (2, null, null)",
    )
    return file


def load(source: Any, there: FakeSnowflake, folder: Path, *options: str, **words: Any) -> Any:
    given = {"relations": {"name": "*orders", "key": "id"}, "warehouse": there.url, **words}
    return export(source, folder, *options, **given)


def problem(ran: Any) -> str:
    (found,) = ran.expect(3).result["problems"]
    return f"{found['object']}: {found['message']} ({found['hint']})"


# values

TYPES = (
    "create schema shop",
    "create table shop.v (id int primary key, small smallint, big bigint, r real, d float8,"
    " n numeric(38,2), free numeric, t text, c char(3), j jsonb, u uuid, b bytea, day date,"
    " clock time, at timestamp, moment timestamptz, tags text[], ok boolean, m money)",
    "insert into shop.v values (1, -32768, 9223372036854775807, 0.1, 'NaN',"
    " 123456789012345678901234567890123456.78, 1.5, E'a\\'b\\n\"ü', 'x', '{\"a\": [1, 2.50]}',"
    " '00000000-0000-0000-0000-0000000000ff', '\\x00ff', '0001-01-01', '23:59:59.999999',"
    " '2024-02-29 12:00:00.000001', '2024-02-29 12:00:00.000001+02', '{a,NULL,\"\"}', true, '1.5')",
    "insert into shop.v (id, t, b, tags, d, day, at, moment, clock, n) values (2, '', '', '{}',"
    " '-Infinity', '9999-12-31', '9999-12-31 23:59:59.999999', '0001-01-01 00:00:00Z', '00:00', 0)",
    "insert into shop.v (id, day, at, moment, clock, n) values (3, 'infinity', '-infinity',"
    " '0044-03-15 12:00 BC', '24:00', 'NaN')",
    "insert into shop.v (id) values (4)",
)


def test_every_value_arrives_or_is_a_named_loss(
    database: Callable[[int], Database], snowflake: FakeSnowflake, tmp_path: Path
) -> None:
    source = database(16)
    source.run(*TYPES)
    ran = export(source, tmp_path, relations="shop.v", warehouse=snowflake.url).expect(0).result
    lost = {one["object"].rpartition(".")[2] for one in ran["losses"]}
    assert lost == {"day", "at", "moment", "clock", "n"}
    names = "small, big, r, d, n, free, t, c, j, u, b, day, clock, at, moment, tags, ok, m"
    texts = ", ".join(f'cast("{name.upper()}" as varchar)' for name in names.split(", "))
    first, second, third, fourth = snowflake.rows(
        f"select {texts} from {snowflake.schema}.v order by id"
    )
    assert first == (
        "-32768", "9223372036854775807", "0.10000000149011612", "nan",
        "123456789012345678901234567890123456.78", "1.5", "a'b\n\"ü", "x  ",
        '{"a": [1, 2.50]}', "00000000-0000-0000-0000-0000000000ff", "\\x00\\xFF", "0001-01-01",
        "23:59:59.999999", "2024-02-29 12:00:00.000001", "2024-02-29 10:00:00.000001+00",
        '["a",null,""]', "true", "$1.50",
    )  # fmt: skip
    assert second[3:5] == ("-inf", "0.00") and second[6] == "" and second[10] == ""
    assert second[11:16] == (
        "9999-12-31", "00:00:00", "9999-12-31 23:59:59.999999", "0001-01-01 00:00:00+00", "[]",
    )  # fmt: skip
    assert set(third) == set(fourth) == {None}


def test_types_are_those_that_snowflake_has_for_them(
    database: Callable[[int], Database], snowflake: FakeSnowflake, tmp_path: Path
) -> None:
    source = database(16)
    source.run(*TYPES)
    export(source, tmp_path, relations="shop.v", warehouse=snowflake.url).expect(0)
    types = {row[0]: row[1] for row in snowflake.rows(f"describe table {snowflake.schema}.v")}
    assert types == {
        "ID": "NUMBER(38,0)", "SMALL": "NUMBER(38,0)", "BIG": "NUMBER(38,0)", "R": "FLOAT",
        "D": "FLOAT", "N": "NUMBER(38,2)", "FREE": "VARCHAR(16777216)", "T": "VARCHAR(16777216)",
        "C": "VARCHAR(16777216)", "J": "VARCHAR(16777216)", "U": "VARCHAR(16777216)",
        "B": "BINARY(8388608)", "DAY": "DATE", "CLOCK": "TIME(9)", "AT": "TIMESTAMP_NTZ(9)",
        "MOMENT": "TIMESTAMP_TZ(9)", "TAGS": "VARCHAR(16777216)", "OK": "BOOLEAN",
        "M": "VARCHAR(16777216)",
    }  # fmt: skip


@pytest.mark.parametrize("disposition", ["truncate", "append", "merge"])
def test_json_is_parsed_where_the_table_has_a_column_for_that(
    disposition: str,
    database: Callable[[int], Database],
    snowflake: FakeSnowflake,
    tmp_path: Path,
) -> None:
    source = database(16)
    source.run(
        "create table docs (id int primary key, doc jsonb, tags text[], plain jsonb)",
        """insert into docs values (1, '{"a": [1, "b"]}', '{x,NULL}', '{"k": 1}')""",
        "insert into docs (id) values (2)",
    )
    table = f"{snowflake.schema}.docs"
    snowflake.run(f"create table {table} (id int, doc variant, tags array, plain varchar)")
    words = {"relations": "public.docs", "disposition": disposition, "warehouse": snowflake.url}
    export(source, tmp_path, **words).expect(0)
    found = snowflake.rows(f"select doc:a[1]::varchar, tags[0]::varchar, plain from {table}"
                           " order by id")  # fmt: skip
    assert found == [("b", "x", '{"k": 1}'), (None, None, None)]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("c2 = null where c1 = 1", "note otherwise than the files have it: 1 values became 0"),
        ("c3 = '1970-01-01' where c1 = 1", "seen otherwise than the files have it: their lowest"),
    ],
)
def test_values_that_snowflake_reads_otherwise_than_the_files_have_them_are_refused(
    change: str,
    what: str,
    orders: File,
    snowflake: FakeSnowflake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An option of COPY that is off reads a timestamp as another one, without an error."""
    check = staging._check

    def changed(session: Session, *given: Any) -> None:
        session.run(f"update {given[2].table.as_string(None)} set {change}")
        check(session, *given)

    monkeypatch.setattr(staging, "_check", changed)
    ran = load(orders, snowflake, tmp_path).expect(4)
    assert what in ran.result["message"]
    assert snowflake.rows(f"select count(*) from {snowflake.schema}.orders") == [(0,)]


# names


def test_plain_names_need_no_quotes_and_others_are_kept(
    file: File, snowflake: FakeSnowflake, tmp_path: Path
) -> None:
    file.run(
        'create table "Order Lines" (id bigint, "Mixed" bigint, "we ird" varchar, "select" bigint,'
        ' "ünï" bigint, UPPER bigint)',
        """insert into "Order Lines" values (1, 2, 'x', 4, 5, 6)""",
        "create table orders as select 1 as id, 2 as n",
    )
    words = {"relations": ["main.Order Lines", "main.orders"], "disposition": "append"}
    for _ in range(2):
        export(file, tmp_path, **words, warehouse=snowflake.url).expect(0)
    found = snowflake.rows(
        'select id, "Mixed", "we ird", "SELECT", "ünï", upper from'
        f' {snowflake.schema}."Order Lines"'
    )
    assert found == [(1, 2, "x", 4, 5, 6)] * 2
    assert snowflake.rows(f"select id, n from {snowflake.schema}.orders") == [(1, 2)] * 2


# exactly once


@pytest.mark.parametrize("disposition", ["append", "truncate"])
@pytest.mark.parametrize(
    "place",
    [
        "call windlass.engines.snowflake.staging._check",
        "call windlass.engines.snowflake.books:Books.lock",
        "call windlass.engines.snowflake.books:Books.add",  # the lock is held
        "after load",
    ],
)
def test_a_killed_run_has_loaded_each_row_once_when_it_is_resumed(
    place: str, disposition: str, orders: File, snowflake: FakeSnowflake, tmp_path: Path
) -> None:
    table = f"{snowflake.schema}.orders"
    snowflake.run(f"create table {snowflake.schema}.log (said varchar)")
    words: dict[str, Any] = {
        "relations": "main.orders",
        "warehouse": snowflake.url,
        "disposition": disposition,
        "after_load": "insert into log values ('after')",
    }
    path = spec_file(tmp_path, **words)
    kill(place, ["export", "--json", "-f", str(path)], {"WINDLASS_SOURCE": orders.url})
    if place.endswith("Books.add"):  # as Snowflake does after some minutes
        assert snowflake.end_transactions() >= 1
    assert export(orders, tmp_path, **words).expect(0).result["resumed"]
    assert snowflake.rows(f"select id from {table} order by id") == [(1,), (2,)]
    assert snowflake.rows(f"select said from {snowflake.schema}.log") == [("after",)]


def test_of_two_processes_that_load_the_same_one_does(
    orders: File, snowflake: FakeSnowflake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill, when Snowflake still works on what the first has sent. The second waits for
    its lock; fakesnow ends it there, as Snowflake does when it has waited for too long."""
    words = {"relations": "main.orders", "warehouse": snowflake.url, "disposition": "append"}
    first = export(orders, tmp_path, "--run", "one", **words, keep_files=True).expect(0)
    assert first.result["rows"] == 2
    snowflake.run(f"delete from {snowflake.schema}._windlass_loads",
                  f"delete from {snowflake.schema}.orders")  # fmt: skip
    store = ObjectStore(f"file://{tmp_path}/files", {})
    with Exporting(_spec(orders, tmp_path, **words), run="one") as run:
        run.prepare()
        (one,) = run.exports
        manifest = Manifests(store, "one", run._destination).read(one)
    assert manifest is not None
    fill, seen = Filling.fill, list[int]()

    def slow(self: Filling, read: int) -> int:
        arrived = fill(self, read)
        if not seen:
            seen.append(1)
            with SnowflakeTarget(snowflake.url) as faster:
                assert faster.load(one, manifest, store).is_new
        return arrived

    monkeypatch.setattr(Filling, "fill", slow)
    with SnowflakeTarget(snowflake.url) as target:
        with pytest.raises(ConnectionLost):
            target.load(one, manifest, store)
        found = target.load(one, manifest, store)
        assert (found.rows, found.is_new) == (2, False)
    assert snowflake.rows(f"select count(*) from {snowflake.schema}.orders") == [(2,)]


def _spec(source: File, folder: Path, **words: Any) -> Any:
    from windlass.spec.export import ExportSpec

    return ExportSpec(source=SecretStr(source.url), to=f"file://{folder}/files", **words)


def test_a_lock_is_taken_before_each_line(
    orders: File, snowflake: FakeSnowflake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snowflake has no unique keys that would keep a second line out."""
    calls: list[str] = []

    def noted(name: str, work: Callable[..., None]) -> Callable[..., None]:
        def run(*given: Any) -> None:
            calls.append(name)
            work(*given)

        return run

    for name in ("lock", "add"):
        monkeypatch.setattr(Books, name, noted(name, getattr(Books, name)))
    words = {"before_run": "select 1", "after_run": "select 1"}
    load(orders, snowflake, tmp_path, **words).expect(0)
    assert calls == ["lock", "add"] * 3


# columns that are replaced


def test_a_table_is_made_again_when_its_columns_are_replaced(
    orders: File, snowflake: FakeSnowflake, tmp_path: Path
) -> None:
    load(orders, snowflake, tmp_path).expect(0)
    orders.run(
        "alter table orders alter column id type varchar", "alter table orders drop column seen"
    )
    words = {"schema": "replace"}
    said = problem(load(orders, snowflake, tmp_path, **words, after_load="select 1"))
    assert "cannot be in one transaction with hooks" in said
    load(orders, snowflake, tmp_path, **words).expect(0)
    assert snowflake.rows(f"select * from {snowflake.schema}.orders order by 1") == [
        ("1", "a"), ("2", None),
    ]  # fmt: skip


def test_increments_begin_again_where_a_table_was_made_again(
    orders: File, snowflake: FakeSnowflake, tmp_path: Path
) -> None:
    relation = {"name": "main.orders", "key": "id"}
    increments = {"relations": {**relation, "watermark": "id"}, "disposition": "merge"}
    load(orders, snowflake, tmp_path, **increments).expect(0)
    fewer = {"relations": {**relation, "where": "id < 2"}, "schema": "replace"}
    snowflake.run(f"alter table {snowflake.schema}.orders add column mine varchar")
    load(orders, snowflake, tmp_path, **fewer).expect(0)
    load(orders, snowflake, tmp_path, **increments).expect(0)
    found = snowflake.rows(f"select id from {snowflake.schema}.orders order by id")
    assert found == [(1,), (2,)]


# refusals, before anything is written


def test_what_snowflake_cannot_do_is_refused_before_anything_is_written(
    orders: File, snowflake: FakeSnowflake, tmp_path: Path
) -> None:
    table = f"{snowflake.schema}.orders"
    orders.run("alter table orders add column tiny decimal(38,38)")
    assert "Snowflake has at most 37" in problem(load(orders, snowflake, tmp_path))
    orders.run("alter table orders drop column tiny")
    snowflake.run(f"create table {table} (id int, note varchar(10), seen timestamp)")
    said = problem(load(orders, snowflake, tmp_path))
    assert "note is VARCHAR(10), not VARCHAR(16777216)" in said
    snowflake.run(f"drop table {table}", f'create table {snowflake.schema}."oRders" (id int)')
    missing = {"warehouse": snowflake.url.replace(snowflake.schema, "nowhere")}
    said = problem(load(orders, snowflake, tmp_path, **missing))
    assert "Snowflake local shop.nowhere: there is no schema nowhere" in said
    for words, said in (
        ({"format": "csv"}, "Snowflake loads Parquet only"),
        ({"nested": "nested"}, "Snowflake gets lists as JSON"),
        ({"warehouse": "snowflake://local/shop"}, "the user is missing"),
    ):
        assert said in load(orders, snowflake, tmp_path, **words).expect(2).result["message"]
    assert not (tmp_path / "files").exists() or not list((tmp_path / "files").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("create table x (id int)", "CREATE would end the transaction"),
        ("truncate table {table}", "TRUNCATE would end the transaction"),
        ("call x()", "CALL would end the transaction"),
        ("/* a */ alter table {table} add column x int", "ALTER would end the transaction"),
        ("select ';'; select 1", "these are several statements"),
    ],
)
def test_hooks_that_would_commit_the_load_are_refused(
    text: str, said: str, orders: File, snowflake: FakeSnowflake, tmp_path: Path
) -> None:
    ran = load(orders, snowflake, tmp_path, after_load=text).expect(4)
    assert said in ran.result["message"]
    assert snowflake.rows(f"select count(*) from {snowflake.schema}.orders") == [(0,)]


# statements


def test_every_statement_is_snowflakes_and_none_has_the_password(
    orders: File, snowflake: FakeSnowflake, tmp_path: Path
) -> None:
    """sqlglot, in a newer version than fakesnow's, parses all of them in Snowflake's dialect."""
    before = len(snowflake.statements())
    for words in (
        {"disposition": "truncate"},
        {"disposition": "merge"},
        {"disposition": "append", "load_columns": ["run", "loaded-at"]},
        {"schema": "replace"},
        {"before_run": "select 1", "before_load": "delete from {table} where id = 1"},
    ):
        load(orders, snowflake, tmp_path, **{"schema": "add", **words}).expect(0)
        orders.run("alter table orders add column if not exists more bigint")
    texts = snowflake.statements()[before:]
    kinds = set()
    for text in texts:
        assert PASSWORD not in text
        (tree,) = sqlglot.parse(text, read="snowflake")
        assert tree is not None and not isinstance(tree, exp.Command), text
        kinds.add(type(tree).__name__)
    assert kinds >= {"Copy", "Put", "Merge", "Insert", "Delete", "Create", "Alter", "Update"}
