"""What only SQLite and DuckDB files do as targets of loads."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landing_targets import (
    Target,
    begin,
    duckdb_target,
    load,
    new_run,
    planned,
    sqlite_target,
    table_of,
    words_of,
)
from landings import LAST, Records
from rooms import make_room
from windlass.engines.sqlite.landing.catalog import column as column_of
from windlass.engines.sqlite.landing.file import open_landing
from windlass.engines.sqlite.landing.quick import quickly
from windlass.engines.sqlite.landing.values import converter
from windlass.errors import BadRecord, ConnectionLost, Refused, WindlassError
from windlass.model.export import Kind
from windlass.model.load import Assigned, Load, Table, TableColumn
from windlass.model.past import Others
from windlass.model.relation import Name

ROWS = Records(("id", "n"), [("1", "10"), ("2", "20")])


@pytest.fixture
def room() -> Iterator[Path]:
    made = make_room()
    yield made
    shutil.rmtree(made)


@pytest.fixture
def sqlite(room: Path) -> Target:
    return sqlite_target(room)


@pytest.fixture
def duck(room: Path) -> Target:
    return duckdb_target(room)


@pytest.fixture(params=[sqlite_target, duckdb_target], ids=["sqlite", "duckdb"])
def either(request: pytest.FixtureRequest, room: Path) -> Target:
    made: Target = request.param(room)
    return made


def merged(target: Target, table: str = "kept", source: Records = ROWS, **more: Any) -> str:
    """The run of a merge by `id`."""
    run = new_run()
    with target.open() as landing:
        what = planned(landing, table, words_of("merge", **more), source)
        assert not landing.survey([what])
        load(landing, run, what, source)
    return run


def undo(target: Target, run: str) -> None:
    with target.open() as landing:
        assert not landing.undo(run, Others.REFUSE).stayed


# whose the file is


def test_a_locked_file_is_waited_for_and_then_named(sqlite: Target) -> None:
    sqlite.fresh("kept", "id {int}, n {int}")
    path = sqlite.url.removeprefix("sqlite://")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        with open_landing(sqlite.url, 0.1) as landing, pytest.raises(ConnectionLost) as caught:
            begin(landing, new_run())
    assert "another program has the file locked" in str(caught.value)
    assert caught.value.retryable


def test_others_read_and_write_a_file_while_rows_are_staged(sqlite: Target) -> None:
    sqlite.fresh("kept", "id {int} primary key, n {int}")

    class Watched(Records):
        def batches(self) -> Iterator[Any]:
            for number, batch in enumerate(super().batches()):
                yield batch
                sqlite.run(f"insert into kept values ({100 + number}, 0)")

    source = Watched(("id", "n"), [(str(n), "1") for n in range(6)])
    with open_landing(sqlite.url, 0.1) as landing:
        load(landing, new_run(), planned(landing, "kept", words_of("append"), source), source)
    assert sqlite.rows("select count(*) from kept where id >= 100 and id < 110")[0][0] >= 3


def test_a_file_that_another_process_has_open_is_named(duck: Target) -> None:
    path = duck.url.removeprefix("duckdb://")
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); input()"
    words = [sys.executable, "-c", script, path]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdin is not None
        other.stdout.readline()
        with duck.open() as landing:
            timer = threading.Timer(0.3, landing.cancel)  # which would wait longer
            timer.start()
            with pytest.raises(WindlassError):
                landing.table("kept")
            timer.join()
        other.stdin.write(b"\n")
        other.stdin.close()
        other.wait(30)


def test_a_run_that_somebody_works_on_is_refused(either: Target) -> None:
    either.fresh("kept", "id {int}")
    run = new_run()
    with either.open() as landing, either.open() as other:
        begin(landing, run)
        with landing.working(run):
            with pytest.raises(Refused):
                begin(other, run)
            with pytest.raises(Refused):
                other.undo(run, Others.REFUSE)
        begin(other, run)
    folder = Path(either.url.split("//")[1]).parent
    assert not [one for one in folder.iterdir() if one.suffix == ".lock"]


def test_tables_with_our_names_that_are_not_ours_are_left_alone(either: Target) -> None:
    either.run("create table _windlass_run (mine int)", "create table kept (id int, n int)")
    with either.open() as landing:
        what = planned(landing, "kept", words_of("append"), ROWS)
        assert "is not a table of this version" in str(landing.survey([what]))
        with pytest.raises(WindlassError, match="is not a table of this version"):
            begin(landing, new_run())
    assert either.rows("select * from _windlass_run") == []


def test_what_is_no_table_is_refused(either: Target) -> None:
    either.run("create table t (id int, n int)", "create view seen as select * from t")
    with either.open() as landing:
        assert landing.table("nothing") is None
        what = planned(landing, "t", words_of("append"), ROWS)
        view = landing.table("seen")
        assert view is not None and "is a view" in view.problems[0].message
        (problem,) = landing.survey([replace(what, table=view)])
        assert "is a view" in problem.message


# tables that are made, and columns that are added


def test_a_table_is_made_and_dropped_again(either: Target) -> None:
    types = either.types
    assigned = (Assigned("id", types["int"], field="id"), Assigned("n", types["int"], field="n"))
    with either.open() as landing:
        made = Table(Name(landing.default_schema, "made"), ())
        what = Load(made, words_of("merge"), tuple(ROWS.fields), assigned, creates=True,
                    inputs=("orders.csv",))  # fmt: skip
        assert not landing.survey([what])
        run = new_run()
        load(landing, run, what, ROWS)
        assert either.rows("select id, n from made order by id") == [(1, 10), (2, 20)]
        found = table_of(landing, "made")
        assert found.primary == ("id",)
        assert not landing.undo(run, Others.REFUSE).stayed
        assert landing.table("made") is None


def test_a_column_is_added_and_dropped_again(either: Target) -> None:
    either.fresh("kept", "id {int} primary key, n {int}")
    either.fill("kept", [(1, 1)])
    source = Records(("id", "n", "more"), [("1", "10", "x"), ("2", "20", "y")])
    with either.open() as landing:
        adds = (TableColumn("more", either.types["text"], Kind.TEXT),)
        what = planned(landing, "kept", words_of("merge"), source, adds=adds)
        assert not landing.survey([what])
        run = new_run()
        load(landing, run, what, source)
        assert either.rows("select * from kept order by id") == [(1, 10, "x"), (2, 20, "y")]
        assert not landing.undo(run, Others.REFUSE).stayed
    assert either.rows("select * from kept") == [(1, 1)]


def test_computed_columns_and_defaults_are_the_tables_own(either: Target) -> None:
    either.fresh(
        "kept",
        "id {int} primary key, n {int}, twice {int} generated always as (n * 2) virtual,"
        " state {text} default 'new, or old'",
    )
    either.run("insert into kept (id, n, state) values (1, 1, 'old')")
    with either.open() as landing:
        found = table_of(landing, "kept")
        assert [one.name for one in found.columns if one.generated] == ["twice"]
    before = either.rows("select * from kept")
    run = merged(either)
    wanted = [(1, 10, 20, "old"), (2, 20, 40, "new, or old")]
    assert either.rows("select id, n, twice, state from kept order by id") == wanted
    undo(either, run)
    assert either.rows("select * from kept") == before


def test_odd_names_are_names(either: Target) -> None:
    name, column = 'a "b" c', "Größe, in m; --"
    quoted = ['"{}"'.format(one.replace('"', '""')) for one in (name, column)]
    either.run(f'create table {quoted[0]} ("select" int primary key, {quoted[1]} int)')
    source = Records(("select", column), [("1", "5")])
    with either.open() as landing:
        what = planned(landing, quoted[0], replace(words_of("merge"), key=("select",)), source)
        run = new_run()
        load(landing, run, what, source)
        assert either.rows(f"select * from {quoted[0]}") == [(1, 5)]
        landing.undo(run, Others.REFUSE)
    assert either.rows(f"select * from {quoted[0]}") == []


# references and indexes


def test_rows_that_others_refer_to_are_merged_in_place(either: Target) -> None:
    either.run(
        "create table kept (id integer primary key, code integer unique, n integer)",
        "create table child (id integer references kept (id))",
        "insert into kept values (1, 5, 1), (2, 6, 2), (3, 7, 3)",
        "insert into child values (1), (2)",
    )
    source = Records(("id", "code", "n"), [("1", "5", "10"), ("2", "6", "20")])
    run = merged(either, source=source)
    changed = [(1, 5, 10), (2, 6, 20), (3, 7, 3)]
    assert either.rows("select * from kept order by id") == changed
    undo(either, run)
    assert either.rows("select * from kept order by id") == [(1, 5, 1), (2, 6, 2), (3, 7, 3)]


def test_a_broken_reference_changes_nothing(either: Target) -> None:
    either.run(
        "create table parent (id integer primary key)",
        "create table kept (id integer primary key, n integer references parent (id))",
    )
    with either.open() as landing:
        what = planned(landing, "kept", words_of("merge"), ROWS)
        run = new_run()
        begin(landing, run)
        landing.stage(run, what, 0, ROWS)
        with pytest.raises(WindlassError) as caught:
            landing.apply(run, what)
        assert "onstraint" in str(caught.value)
        landing.clean_up(run, what)
    assert either.rows("select * from kept") == []


def test_rows_change_places_in_an_index(duck: Target) -> None:
    """DuckDB deletes and inserts a row whose indexed column changes."""
    duck.run("create table kept (id integer primary key, n integer unique, l integer[])")
    duck.run("insert into kept values (1, 20, [1]), (2, 10, [2]), (3, 30, null)")
    before = duck.rows("select * from kept order by id")
    source = Records(("id", "n", "l"), [("1", "10", "[5, 6]"), ("2", "20", None)])
    with duck.open() as landing:
        what = planned(landing, "kept", words_of("mirror"), source)
        run = new_run()
        load(landing, run, what, source)
        assert duck.rows("select * from kept order by id") == [(1, 10, [5, 6]), (2, 20, None)]
        landing.undo(run, Others.REFUSE)
    assert duck.rows("select * from kept order by id") == before


# what is SQLite's own


def test_a_key_is_compared_as_its_index_does(sqlite: Target) -> None:
    sqlite.run("create table kept (id text collate nocase primary key, n integer)")
    sqlite.run("insert into kept values ('A', 1)")
    source = Records(("id", "n"), [("a", "5"), ("b", "6")])
    run = merged(sqlite, source=source)
    assert sqlite.rows("select * from kept order by id") == [("A", 5), ("b", 6)]
    undo(sqlite, run)
    assert sqlite.rows("select * from kept") == [("A", 1)]
    twice = Records(("id", "n"), [("x", "1"), ("X", "2")])
    with sqlite.open() as landing:
        run = new_run()
        begin(landing, run)
        what = planned(landing, "kept", words_of("merge"), twice)
        landing.stage(run, what, 0, twice)
        assert [one.rows for one in landing.check(run, what)] == [2]
    merged(sqlite, source=twice, duplicates=LAST)
    assert sqlite.rows("select * from kept where id = 'x'") == [("X", 2)]


def test_a_table_without_positions_is_loaded_by_its_key(sqlite: Target) -> None:
    sqlite.run(
        "create table kept (id text, k integer, n integer, primary key (id, k)) without rowid"
    )
    sqlite.run("insert into kept values ('1', 1, 1), ('9', 9, 9)")
    source = Records(("id", "k", "n"), [("1", "1", "5"), ("2", "2", "6")])
    before = sqlite.rows("select * from kept")
    with sqlite.open() as landing:
        for words in (replace(words_of("mirror"), key=("id", "k")), words_of("replace")):
            what = planned(landing, "kept", words, source)
            assert not landing.survey([what])
            run = new_run()
            load(landing, run, what, source)
            assert sqlite.rows("select * from kept") == [("1", 1, 5), ("2", 2, 6)]
            landing.undo(run, Others.REFUSE)
            assert sqlite.rows("select * from kept") == before


def test_numbers_that_sqlite_would_make_of_texts_are_refused(sqlite: Target) -> None:
    """A type that SQLite does not know has the affinity of a number."""
    sqlite.run("create table kept (id integer, v string)")
    for value in ("007", "1.0", "1e5", "abc", "7"):
        source = Records(("id", "v"), [("1", value)])
        with sqlite.open() as landing:
            run = new_run()
            begin(landing, run)
            what = planned(landing, "kept", words_of("append"), source)
            if value in ("abc", "7"):
                landing.stage(run, what, 0, source)
            else:
                with pytest.raises(BadRecord):
                    landing.stage(run, what, 0, source)
            landing.clean_up(run, what)


def test_a_generated_key_is_given_by_the_table_and_found_again(sqlite: Target) -> None:
    sqlite.run("create table kept (id integer primary key autoincrement, n integer)")
    sqlite.run("insert into kept (n) values (1), (2)", "delete from kept where n = 2")
    source = Records(("n",), [("5",), ("6",)])
    with sqlite.open() as landing:
        what = planned(landing, "kept", words_of("append"), source)
        run = new_run()
        load(landing, run, what, source)
        assert sqlite.rows("select * from kept") == [(1, 1), (3, 5), (4, 6)]
        landing.undo(run, Others.REFUSE)
    assert sqlite.rows("select * from kept") == [(1, 1)]


# afterwards


def test_what_a_run_left_is_removed_on_request(either: Target) -> None:
    from windlass.model.outcome import Outcome, State

    either.fresh("kept", "id {int} primary key, n {int}")
    run = merged(either)
    with either.open() as landing:
        with pytest.raises(Refused):
            landing.left(run)
        landing.end(run, State.DONE, Outcome(run, State.DONE))
        found = landing.read(run)
        assert found is not None and found.state is State.DONE
        landing.clean(landing.left(run))
        assert not landing.runs()
    tables = "select count(*) from {} where name like '\\_windlass\\_undo%' escape '\\'"
    where = (
        "sqlite_master"
        if either.name == "sqlite"
        else "(select table_name as name from duckdb_tables())"
    )
    assert either.rows(tables.format(where)) == [(0,)]


def test_many_rows_take_little_memory(duck: Target) -> None:
    """Of DuckDB, whose limit would be reached otherwise."""
    duck.run("create table kept (id bigint primary key, n varchar)")
    duck.run("insert into kept select range, 'x' from range(150000)")

    records = [(str(n), "a text that is not short " * 4) for n in range(200_000)]
    source = Records(("id", "n"), records, batch_rows=10_000)
    with duck.open() as landing:
        what = planned(landing, "kept", words_of("merge"), source)
        counts = load(landing, new_run(), what, source)
    assert (counts.inserted, counts.updated) == (50_000, 150_000)


def test_rows_of_megabytes_get_the_memory_that_they_need(duck: Target) -> None:
    """130 MB of them are more than DuckDB gets at first, and it cannot spill what it compresses."""
    duck.run("create table kept (id bigint, n varchar)")
    source = Records(("id", "n"), [(str(n), "0123456789" * 200_000) for n in range(65)])
    with duck.open() as landing:
        counts = load(
            landing, new_run(), planned(landing, "kept", words_of("append"), source), source
        )
    assert counts.inserted == 65
    with duckdb.connect(duck.url.removeprefix("duckdb://")) as file:  # without a limit
        found = file.execute("select count(*), min(length(n)) from kept").fetchall()
    assert found == [(65, 2_000_000)]


WITHOUT_PANDAS = """
import sys
from windlass.cli.main import main
try:
    main()
finally:
    print([one for one in ("pandas", "pyarrow.pandas_compat") if one in sys.modules])
"""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", "id,n\n1,10\n2,20\n"),
        ("rows.jsonl", '{"id": 1, "n": "10"}\n{"id": 2, "n": "\\\\ 20"}\n'),
    ],
)
def test_a_load_imports_no_pandas(duck: Target, tmp_path: Path, name: str, content: str) -> None:
    """Arrow does for a list of Python, where pandas is installed, and it takes 45 MB."""
    duck.run("create table kept (id bigint, n varchar)")
    (tmp_path / name).write_text(content)
    options = ["--target", duck.url, "--into", "kept", "--load", "append", "-q"]
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_PANDAS, "load", str(tmp_path / name), *options],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout.splitlines()[-1] == "[]"
    assert len(duck.rows("select * from kept")) == 2


TEXTS = (
    st.from_regex(r"[+-]?[0-9]{0,20}", fullmatch=True),
    st.from_regex(r"-?[0-9]{1,8}(\.[0-9]{0,8})?", fullmatch=True),
    st.dates().map(str),
    st.datetimes().map(str),
    st.text(max_size=8),
)
TYPES = (
    "integer", "real", "decimal(8,2)", "decimal", "varchar(5)", "date", "datetime", "numeric(3,3)",
)  # fmt: skip


@given(st.one_of([st.lists(st.none() | one, max_size=4) for one in TEXTS]), st.sampled_from(TYPES))
def test_whole_arrays_are_converted_as_single_values_are(values: list[Any], type_: str) -> None:
    column = column_of("v", type_)
    found = quickly(pa.array(values, pa.string()), column)
    if found is not None:
        convert = converter(column)
        assert found == [None if one is None else convert(one) for one in values]


def test_rows_are_found_again_without_an_index(sqlite: Target) -> None:
    """In minutes, if each were looked for in the whole table."""
    sqlite.fresh("kept", "id {int}, n {int}, valid_from {moment}, valid_to {moment}")
    with sqlite.open() as landing:
        for number in range(2):
            records = [(str(at), str(number)) for at in range(10_000)]
            source = Records(("id", "n"), records, batch_rows=5000)
            run = new_run()
            load(landing, run, planned(landing, "kept", words_of("history"), source), source)
        assert not landing.undo(run, Others.REFUSE).stayed
    assert sqlite.rows("select count(*), max(n), max(valid_to) from kept") == [(10_000, 0, None)]
