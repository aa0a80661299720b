"""The contract of every export source, tested on every engine."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from command import finish, start
from engines import MADE, Engine, never, over_engines, values_of
from exporting import export, files, rows, spec_file, stop
from servers import Database
from windlass.engines.base import FILES, Source
from windlass.engines.registry import ENGINES, open_source
from windlass.errors import Interrupted
from windlass.model.export import Export, Request


@pytest.fixture
def engine(
    request: pytest.FixtureRequest, database: Callable[[int], Database], tmp_path: Path
) -> Engine:
    return MADE[request.param](database, tmp_path)


def filled(engine: Engine, count: int = 100) -> Engine:
    """With a table `orders` of some rows."""
    key, text = engine.types["int"], engine.types["text"]
    engine.run(f"create table orders (id {key} primary key, note {text})")
    for low in range(0, count, 500):
        some = ", ".join(f"({n}, 'note {n}')" for n in range(low, min(low + 500, count)))
        engine.run(f"insert into orders values {some}")
    return engine


@pytest.fixture
def held(engine: Engine) -> Iterator[Source]:
    """The source of a filled database, in whose snapshot everything is read."""
    with open_source(filled(engine).url) as source:
        source.hold()
        yield source


def export_of(source: Source, name: str = "orders") -> Export:
    """All of a table."""
    (relation,) = [one for one in source.relations() if one.name.name == name]
    request = Request(str(relation.name), relation)
    columns = source.describe(request).columns
    return Export(request.name, name, source.item(request), columns, "truncate")


def read(source: Source) -> list[dict[str, Any]]:
    """All rows of `orders`, as the source has them."""
    with source.reading(export_of(source), FILES, "run") as found:
        return [row for batch in found.batches() for row in batch.to_pylist()]


# which relations there are


@over_engines()
def test_a_pattern_means_tables_and_a_view_has_to_be_named(engine: Engine, tmp_path: Path) -> None:
    filled(engine, 3).run(
        "create view seen as select id from orders", "create table _windlass_x (a int)"
    )
    export(engine, tmp_path, relations="*").expect(0)
    tables = "select table_name from duckdb_tables() where table_name not like '\\_%' escape '\\'"
    assert values_of(rows(tmp_path, tables)) == ["orders"]
    export(engine, tmp_path, relations=engine.named("seen")).expect(0)
    assert len(rows(tmp_path, "select * from seen")) == 3


@over_engines()
def test_names_of_any_kind_are_names(engine: Engine, tmp_path: Path) -> None:
    odd = ("select", 'a "b" c', "Größe, in m", "a.b", "x;--")
    for name in odd:
        quoted = '"{}"'.format(name.replace('"', '""'))
        engine.run(f'create table {quoted} ({quoted} int, "from" int)')
        engine.run(f"insert into {quoted} values (1, 2)")
    export(engine, tmp_path).expect(0)
    for name in odd:
        quoted = '"{}"'.format(name.replace('"', '""'))
        assert rows(tmp_path, f'select {quoted}, "from" from {quoted}') == [(1, 2)]


@over_engines()
def test_what_a_word_names_wrongly_is_refused_at_once(engine: Engine, tmp_path: Path) -> None:
    filled(engine, 3)
    words: Any = [
        "nothing",
        {"name": "broken", "query": "select * from missing"},
        {"name": engine.named("orders"), "columns": ["nope"], "where": "id > 1"},
        {"name": "worse", "query": "select 1 as a", "where": "no such thing"},
    ]
    ran = export(engine, tmp_path, relations=words, mask="*.secret").expect(3)
    reported = dict.fromkeys(one["object"] for one in ran.result["problems"])
    assert list(reported) == ["nothing", "broken", engine.named("orders"), "worse"]
    assert files(tmp_path) == []


# what arrives


@over_engines()
@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize("warehouse", ["duckdb", "postgresql"])
def test_values_are_the_same_on_both_sides(
    warehouse: str,
    form: str,
    engine: Engine,
    database: Callable[[int], Database],
    tmp_path: Path,
) -> None:
    types = engine.types
    engine.run(
        f"create table v (n {types['int']}, i {types['int']}, f {types['float']},"
        f" t {types['text']}, b {types['bytes']})"
    )
    some, none = engine.binary
    engine.run(
        "insert into v values"
        f" (1, 9223372036854775807, 0.1, 'a,\"b\"', {some}),"
        f" (2, -9223372036854775808, -1e300, '', {none}),"
        " (3, 0, 5e-324, '  ü€😀 ', null),"
        " (4, null, null, null, null)"
    )
    there = database(18)
    words = {"warehouse": there.url} if warehouse == "postgresql" else {}
    export(engine, tmp_path, relations="v", format=form, **words).expect(0)
    query = "select i, f, t, b from v order by n"
    found = there.rows(query) if warehouse == "postgresql" else rows(tmp_path, query)
    assert found == [
        (9223372036854775807, 0.1, 'a,"b"', b"\x00\xff\x27"),
        (-9223372036854775808, -1e300, "", b""),
        (0, 5e-324, "  ü€😀 ", None),
        (None, None, None, None),
    ]


@over_engines()
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_an_empty_table_is_a_table(form: str, engine: Engine, tmp_path: Path) -> None:
    engine.run(f"create table nobody (a {engine.types['int']}, t {engine.types['text']})")
    export(engine, tmp_path, relations="nobody", format=form).expect(0)
    assert [row[1] for row in rows(tmp_path, "describe nobody")] == ["BIGINT", "VARCHAR"]
    assert rows(tmp_path, "select * from nobody") == []
    ran = export(engine, tmp_path, relations="nobody", require_rows=True).expect(4)
    assert "has no rows" in ran.result["message"]


@over_engines()
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_many_rows_arrive_in_several_files(form: str, engine: Engine, tmp_path: Path) -> None:
    """More than a batch of each engine's, and every one of them once."""
    digits = "(select 0 as d union all select 1 union all select 2 union all select 3 union all"
    digits += " select 4 union all select 5 union all select 6 union all select 7)"
    powers = "({})".format(" + ".join(f"d{at}.d * {8**at}" for at in range(6)))
    joined = " cross join ".join(f"{digits} as d{at}" for at in range(6))
    text = f"'row ' || {powers} || '{'-' * 100}'"
    engine.run(f"create table many as select {powers} as n, {text} as t from {joined}")
    words = {"format": form, "file_size": "256kB", "compression": "none", "keep_files": True}
    ran = export(engine, tmp_path, relations="many", **words).expect(0)
    assert ran.result["rows"] == 8**6 and ran.result["verified"] == "rows"
    query = "select count(distinct n), sum(n), count(distinct t) from many"
    assert rows(tmp_path, query) == [(8**6, 8**6 * (8**6 - 1) // 2, 8**6)]
    assert len(files(tmp_path)) > 2


@over_engines()
def test_columns_can_be_chosen_hidden_and_made_text(engine: Engine, tmp_path: Path) -> None:
    types = engine.types
    engine.run(
        f"create table people (id {types['int']}, email {types['text']}, score {types['float']},"
        f" password {types['text']})",
        "insert into people values (1, 'a@example.com', 0.5, 'hunter2'), (2, null, null, 'x')",
    )
    words: Any = {"name": "people", "text": "score", "columns": ["score", "email", "id"]}
    export(engine, tmp_path, relations=words, mask="*.email").expect(0)
    assert rows(tmp_path, "select * from people order by id") == [
        ("0.5", "***", 1), (None, None, 2),
    ]  # fmt: skip
    export(engine, tmp_path, relations={"name": "people", "table": "p"},
           leave_out="people.password").expect(0)  # fmt: skip
    assert [row[0] for row in rows(tmp_path, "describe p")] == ["id", "email", "score"]


@over_engines()
def test_a_query_and_a_condition_are_the_sources_own_sql(engine: Engine, tmp_path: Path) -> None:
    filled(engine)
    query = f"select id % 2 as half, count(*) as many from {engine.named('orders')}\n"
    query += " group by id % 2; "
    words: Any = [
        {"name": "halves", "query": query},
        {"name": engine.named("orders"), "where": "id < 7 -- and nothing else"},
    ]  # fmt: skip
    export(engine, tmp_path, relations=words).expect(0)
    assert rows(tmp_path, "select half, many from halves order by 1") == [(0, 50), (1, 50)]
    assert rows(tmp_path, "select count(*) from orders") == [(7,)]


# snapshots


@over_engines(duckdb=never("nobody can write to a file that is open"))
def test_what_is_written_after_the_snapshot_is_not_read(engine: Engine, held: Source) -> None:
    engine.run("update orders set note = 'later'", "insert into orders values (1000, 'later')")
    assert {row["note"] for row in read(held)} == {f"note {n}" for n in range(100)}


@over_engines(duckdb=never("nobody can write to a file that is open"))
def test_sessions_side_by_side_read_one_snapshot(engine: Engine, held: Source) -> None:
    """While one of them reads, somebody writes, and then another one begins."""
    wanted = export_of(held)
    with held.reading(wanted, FILES, "run") as first:
        batches = first.batches()
        next(batches)
        engine.run("delete from orders where id > 9")
        with held.reading(wanted, FILES, "run") as second:
            assert sum(batch.num_rows for batch in second.batches()) == 100
        batches.close()


@over_engines()
def test_a_table_is_not_dropped_under_its_readers(engine: Engine, held: Source) -> None:
    wanted = export_of(held)
    held.keep([wanted])
    dropping = threading.Thread(target=_try, args=(engine.run, "drop table orders"))
    with held.reading(wanted, FILES, "run") as found:
        batches = found.batches()
        count = next(batches).num_rows
        dropping.start()
        assert count + sum(batch.num_rows for batch in batches) == 100
    held.__exit__(None, None, None)
    dropping.join(20)
    assert not dropping.is_alive()


def _try(run: Callable[..., None], statement: str) -> None:
    """It is refused, waits, or is seen by nobody: each engine has its way."""
    with suppress(Exception):
        run(statement)


@over_engines(sqlite=never("a snapshot is of one process"))
def test_another_process_reads_in_the_same_snapshot(engine: Engine) -> None:
    """As a scheduler's tasks do; here it is another source, which joins."""
    with open_source(filled(engine).url) as holder, open_source(engine.url) as other:
        snapshot = holder.hold()
        other.join(snapshot)
        with other.reading(export_of(holder), FILES, "run") as found:
            assert sum(batch.num_rows for batch in found.batches()) == 100


@over_engines()
def test_the_facts_of_an_engine_are_true(engine: Engine, held: Source) -> None:
    facts = held.facts
    assert facts.engine == engine.name
    assert any(facts.engine in one.schemes and one.source for one in ENGINES)


@over_engines()
def test_lines_of_csv_are_all_rows_or_the_engine_writes_none(held: Source) -> None:
    with held.reading(export_of(held), FILES, "run") as found:
        lines = found.lines()
        assert lines is None or len(list(lines)) == 100


# increments


@over_engines()
def test_merging_reads_from_the_watermark_on(engine: Engine, tmp_path: Path) -> None:
    filled(engine)
    words: Any = {
        "relations": {"name": engine.named("orders"), "watermark": "id"},
        "disposition": "merge",
    }
    export(engine, tmp_path, **words).expect(0)
    engine.run(
        "insert into orders values (100, 'new')",
        "update orders set note = 'changed' where id = 99",
        "update orders set note = 'not seen' where id = 1",
    )
    ran = export(engine, tmp_path, **words).expect(0)
    assert ran.result["rows"] == 2
    found = dict(rows(tmp_path, "select id, note from orders"))
    assert (len(found), found[1], found[99], found[100]) == (101, "note 1", "changed", "new")


@over_engines()
def test_rows_without_a_watermark_are_always_read(engine: Engine, tmp_path: Path) -> None:
    types = engine.types
    engine.run(
        f"create table o (id {types['int']} primary key, at {types['text']})".replace(
            "at ", '"at" '
        ),
        "insert into o values (1, '2024-01-01'), (2, null), (3, '2024-06-01')",
    )
    words: Any = {"relations": {"name": "o", "watermark": "at"}, "disposition": "merge"}
    export(engine, tmp_path, **words).expect(0)
    assert export(engine, tmp_path, **words).expect(0).result["rows"] == 2  # NULL, and the last


@over_engines()
def test_merging_takes_a_unique_key_where_there_is_no_primary_one(
    engine: Engine, tmp_path: Path
) -> None:
    types = engine.types
    engine.run(f"create table o (a {types['int']} not null unique, t {types['text']})")
    engine.run("insert into o values (1, 'one')")
    for note in ("one", "two"):
        engine.run(f"update o set t = '{note}'")
        export(engine, tmp_path, relations="o", disposition="merge").expect(0)
    assert rows(tmp_path, "select * from o") == [(1, "two")]
    engine.run(f"create table k (a {types['int']})")
    ran = export(engine, tmp_path, relations="k", disposition="merge").expect(3)
    assert "has no key to merge by" in ran.said


@over_engines()
def test_the_same_run_loads_nothing_twice(engine: Engine, tmp_path: Path) -> None:
    filled(engine)
    for _ in range(2):
        ran = export(engine, tmp_path, "--run", "monday", disposition="append").expect(0)
        stop(tmp_path, "monday")
    assert any("nothing is loaded again" in notice for notice in ran.result["notices"])
    assert rows(tmp_path, "select count(*) from orders") == [(100,)]


# faults


@over_engines()
def test_what_is_read_can_be_stopped(engine: Engine, held: Source) -> None:
    """Whatever runs, and whatever would begin."""
    request = Request("endless", None, engine.endless)
    stopped: list[BaseException] = []
    begun = threading.Event()

    def work() -> None:
        try:
            begun.set()
            columns = held.describe(request).columns
            wanted = Export("endless", "endless", held.item(request), columns, "truncate")
            with held.reading(wanted, FILES, "run") as found:
                for _ in found.batches():
                    pass
        except BaseException as error:
            stopped.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    while thread.is_alive():  # it may be between two statements
        held.cancel()
        thread.join(0.05)
    assert [type(one) for one in stopped] == [Interrupted]
    with pytest.raises(Interrupted):
        read(held)


@over_engines()
def test_a_value_that_cannot_be_computed_stops_the_export_without_showing_it(
    engine: Engine, tmp_path: Path
) -> None:
    filled(engine, 3)
    query = f"select {engine.failing} as v from {engine.named('orders')}"
    words: Any = {"name": "bad", "query": query}
    ran = export(engine, tmp_path, relations=words)
    assert ran.code in (3, 4)
    assert "note 0" not in ran.said
    assert files(tmp_path) == []


@over_engines()
def test_ctrl_c_leaves_no_files(engine: Engine, tmp_path: Path) -> None:
    """While rows are read, or counted: whichever takes an engine so long."""
    words: Any = [{"name": "endless", "query": engine.endless}]
    path = spec_file(tmp_path, source=engine.url, relations=words)
    process = start("export", "--json", "-f", str(path))
    deadline = time.monotonic() + 60
    while "step=read_source" not in process.said()[1]:
        assert time.monotonic() < deadline, "it has not begun"
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    ended = finish(process).expect(130)
    assert ended.result["state"] == "interrupted"
    assert files(tmp_path) == []
