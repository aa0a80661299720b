"""Keys of a DuckDB file, which its engine holds in memory until they are built or committed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from file_moves import IntoDuckDb
from killing import kill
from servers import Database
from windlass.engines.duckdb.destination.file import DuckDbFile
from windlass.engines.duckdb.session import has_too_little_memory
from windlass.errors import WindlassError

Moved = Callable[..., IntoDuckDb]


@pytest.fixture
def move(database: Callable[[int], Database], tmp_path: Path) -> Moved:
    def make(*statements: str) -> IntoDuckDb:
        source = database(16)
        source.run(*statements)
        return IntoDuckDb(source, tmp_path / "shop.duckdb")

    return make


@pytest.mark.full
def test_a_commit_gets_the_memory_that_keys_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With less, the commit fails, and no other attempt can insert these rows."""
    rows, limit_mb = 3_000_000, 180
    made = f"create table t (id varchar primary key); set memory_limit = '{limit_mb}MB'"

    def fill_it(file: DuckDbFile) -> None:
        file.make()
        with file.transaction(file.building, "copying t") as session:
            session.execute(made)
            session.execute(
                f"insert into t select 'key-' || lpad(i::varchar, 28, '0') from range({rows}) r(i)"
            )

    enough = DuckDbFile(str(tmp_path / "enough.duckdb"))
    fill_it(enough)
    with enough.session(enough.building, "counting") as session:
        assert session.execute("select count(*) from t").fetchall() == [(rows,)]
    enough.close()
    monkeypatch.setattr("windlass.engines.duckdb.destination.file.COMMIT_MB", limit_mb)
    scarce = DuckDbFile(str(tmp_path / "scarce.duckdb"))
    with pytest.raises(WindlassError, match="copying t: DuckDB lacks memory for the commit") as it:
        fill_it(scarce)
    assert "restart" in it.value.hint and not has_too_little_memory(it.value.__cause__)
    scarce.close()


def test_a_key_to_which_nothing_refers_is_made_after_the_rows(move: Moved) -> None:
    one = move(
        "create table t (id int primary key, note text, other int unique)",
        "create table parents (id int primary key)",
        "create table children (a int, b text, p int references parents (id), primary key (b, a))",
        "insert into t select i, 'note', -i from generate_series(1, 3000) i",
        "insert into parents values (1)",
        "insert into children values (1, 'x', 1)",
    )
    kill("call windlass.flows.convert.steps.create_indexes 1", ["migrate"], one.env)
    keys = "select table_name from duckdb_constraints() where constraint_type = 'PRIMARY KEY'"
    with duckdb.connect(f"{one.path}-windlass-building") as session:
        made = {name for (name,) in session.execute(keys).fetchall()}
    assert "parents" in made and not {"t", "children"} & made
    found = one.migrate()
    assert (found["losses"], found["verified"], found["rows"]) == ([], "full", 3002)
    for broken in (
        "insert into t values (1, 'again', 0)",
        "insert into t values (null, 'none', 0)",
        "insert into parents values (1)",
        "insert into children values (1, 'x', 1)",
        "insert into children values (2, 'x', 2)",
    ):
        with pytest.raises(duckdb.ConstraintException):
            one.run(broken)
    one.run("insert into children values (2, 'x', 1)")


@pytest.mark.full
def test_an_index_that_does_not_fit_is_built_again_with_more_memory(move: Moved) -> None:
    """The source's statistics do not know the rows, so the first attempt has too little."""
    one = move(
        "create table t (id text primary key) with (autovacuum_enabled = off)",
        "insert into t select md5(i::text) || md5((-i)::text) from generate_series(1, 400000) i",
    )
    found = one.migrate()
    assert (found["losses"], found["verified"], found["rows"]) == ([], "full", 400_000)
    with pytest.raises(duckdb.ConstraintException):
        one.run("insert into t select * from t limit 1")
