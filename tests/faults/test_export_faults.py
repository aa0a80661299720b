"""Exports that are killed, disconnected, or run while others change the source."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from awaiting import until
from command import finish, start, windlass
from export_shop import SLEEPING, shop, table
from exporting import export, files, rows, spec_file
from killing import kill
from locking import holding
from servers import Database
from windlass.errors import ConnectionLost
from windlass.flows.export.records import FOLDER, Records

__all__ = ["shop"]  # fixtures

HOLDERS = "select count(*) from pg_stat_activity where application_name = 'windlass snapshot'"


def test_objects_that_vanish_between_steps_are_missed(shop: Database, tmp_path: Path) -> None:
    """The extract's manifest is there, its file is not."""
    words = {"relations": "shop.orders", "keep_files": True}
    folder = extracted(shop, tmp_path, **words)
    (folder / "part-00001.parquet").unlink()
    ran = export(shop, tmp_path, "--run", "one", **words).expect(4)
    assert "part-00001.parquet has vanished" in ran.result["message"]
    (folder / "manifest.json").unlink()
    export(shop, tmp_path, "--run", "one", **words).expect(0)
    assert len(table(tmp_path)) == 100


def extracted(source: Database, folder: Path, **words: Any) -> Path:
    """Where the files of run `one` are. It is as if it had been killed before the load."""
    export(source, folder, "--run", "one", **words).expect(0)
    (folder / "w.duckdb").unlink()
    (found,) = (folder / "files").glob("*/one-*")
    return found


def test_a_file_that_was_cut_short_is_noticed(shop: Database, tmp_path: Path) -> None:
    words = {"relations": "shop.orders", "keep_files": True}
    file = extracted(shop, tmp_path, **words) / "part-00001.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    ran = export(shop, tmp_path, "--run", "one", **words).expect(4)
    assert "were written" in ran.result["message"]


def test_two_exports_at_once_both_end_right(shop: Database, tmp_path: Path) -> None:
    """Both hold their snapshots before either can read: the table is locked until then."""
    path = spec_file(tmp_path, relations="shop.orders", disposition="append")
    env = {"WINDLASS_SOURCE": shop.url}
    with shop.connect() as holder:
        holder.execute("begin; lock table shop.orders")
        both = [start("export", "--json", "-f", str(path), env=env) for _ in range(2)]
        until(lambda: shop.value(HOLDERS) == 2)
    for process in both:
        finish(process).expect(0)
    assert len(table(tmp_path)) == 200
    assert files(tmp_path) == []


def test_dropping_a_table_waits_for_its_readers(shop: Database, tmp_path: Path) -> None:
    """The snapshot's holder has locked what it has looked at."""
    shop.run(
        "create table shop.slow as select n as id from generate_series(1, 1500) n",
        "create view shop.waiting as select id, pg_sleep(0.001) is null as woke from shop.slow",
    )
    path = spec_file(tmp_path, relations=["shop.waiting", "shop.orders"], jobs=1)
    process = start("export", "--json", "-f", str(path), env={"WINDLASS_SOURCE": shop.url})
    until(lambda: shop.value(SLEEPING))
    shop.run("set lock_timeout = '20s'; drop table shop.orders")
    ran = finish(process).expect(0)
    assert len(table(tmp_path)) == 100 and ran.result["state"] == "done"


def test_what_the_server_says_while_rows_are_read_decides_about_another_try(
    shop: Database,
) -> None:
    from windlass.engines.postgres.arrow import ArrowReader
    from windlass.engines.postgres.column_kinds import column_of
    from windlass.engines.postgres.session import Address, Role
    from windlass.engines.postgres.snapshot import SnapshotHolder
    from windlass.errors import WindlassError
    from windlass.model.export import Export

    shop.run(
        "create function shop.boom(n int, code text) returns int language plpgsql as $$ begin"
        """ if n > 90 then raise exception 'no value "%"', 'hidden' using errcode = code; end if;"""
        " return n; end $$"
    )
    address = Address.parse("source", shop.url)
    said = {"40001": True, "40P01": True, "57014": True, "53100": False, "22012": False}
    column = column_of("n", "integer", 23, -1)
    holder = SnapshotHolder(address, "test")
    with closing(holder), address.connect(Role.SOURCE, "test") as like:
        for code, helps in said.items():
            rows_of = f"(select shop.boom(id, '{code}') as n from shop.orders) as v"
            reader = ArrowReader(address, like, holder.numbered(1).id, "test")
            with pytest.raises(WindlassError) as error:
                list(reader.batches(Export("v", "v", rows_of, (column,), "truncate"), {}))
            reader.close()
            assert error.value.retryable is helps and "hidden" not in str(error.value), code


STEPS = ("read_source", "extract", "check_objects", "load", "check_rows", "clean_up")
WRITING = "call windlass.transfer.files:_Counted.write 6"
PLACES = (
    *(f"{when} {step}" for step in STEPS for when in ("before", "after")),
    WRITING,
    "call windlass.flows.export.manifests:Manifests.write",
    "duckdb insert into .*_windlass_loads",  # the rows are there, and not committed
    "duckdb ^commit",
)


@pytest.mark.parametrize("place", PLACES)
def test_a_killed_run_is_resumed(place: str, shop: Database, tmp_path: Path) -> None:
    """Nothing is lost, nothing doubled, and no file stays, not even one that was begun."""
    words: dict[str, Any] = {"relations": "shop.orders", "disposition": "append"}
    path = spec_file(tmp_path, **words)
    command = ["export", "--json", "-f", str(path), "--run", "monday"]
    kill(place, command, {"WINDLASS_SOURCE": shop.url})
    if place == WRITING:
        assert any("#" in name for name in files(tmp_path)), "nothing was begun"
    ran = export(shop, tmp_path, "--run", "monday", **words).expect(0)
    assert ran.result["verified"] == "rows"
    assert len(table(tmp_path)) == 100
    assert files(tmp_path) == []


@pytest.mark.parametrize("disposition", ["append", "truncate"])
@pytest.mark.parametrize("place", ["postgres insert into .*_windlass_loads", "after load"])
def test_a_run_killed_while_loading_postgres_is_resumed(
    place: str,
    disposition: str,
    shop: Database,
    database: Callable[[int], Database],
    tmp_path: Path,
) -> None:
    there = database(18)
    words = {"relations": "shop.orders", "warehouse": there.url, "disposition": disposition}
    export(shop, tmp_path, "--run", "sunday", **words).expect(0)
    shop.run("insert into shop.orders values (101, now(), 'more')")
    path = spec_file(tmp_path, **words)
    command = ["export", "--json", "-f", str(path), "--run", "monday"]
    kill(place, command, {"WINDLASS_SOURCE": shop.url})
    export(shop, tmp_path, "--run", "monday", **words).expect(0)
    expected = 201 if disposition == "append" else 101
    assert there.value("select count(*) from orders") == expected
    assert files(tmp_path) == []


BETWEEN = tuple(f"{when} {step}" for step in STEPS for when in ("before", "after"))
LOADING = {
    "duckdb": (
        "duckdb create temp table windlass_new",
        "duckdb insert into .*orders",
        "duckdb insert into .*_windlass_loads",
        "duckdb ^commit",
    ),
    "postgresql": (
        "postgres with arrived as .*orders",
        "postgres insert into .*_windlass_loads",
        "postgres drop table",  # everything is there, and not committed
    ),
}


def appends(source: Database, folder: Path, **words: Any) -> None:
    """The same command once more, and once more after it has ended, as a schedule does."""
    for _ in range(2):
        assert export(source, folder, **words).expect(0).result["verified"] == "rows"


@pytest.mark.parametrize("place", [*BETWEEN, *LOADING["duckdb"]])
def test_rows_appended_to_duckdb_are_there_once_after_a_kill(
    place: str, shop: Database, tmp_path: Path
) -> None:
    words = kill_an_append(place, shop, tmp_path)
    appends(shop, tmp_path, **words)
    assert table(tmp_path) == EXPECTED and files(tmp_path) == []


@pytest.mark.parametrize("place", [*BETWEEN, *LOADING["postgresql"]])
def test_rows_appended_to_postgres_are_there_once_after_a_kill(
    place: str, shop: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    there = database(18)
    words = kill_an_append(place, shop, tmp_path, warehouse=there.url)
    appends(shop, tmp_path, **words)
    assert there.rows("select id, note from orders order by id, note") == EXPECTED
    assert files(tmp_path) == []


EXPECTED = [*((n, "new") for n in range(1, 101)), (101, "more"), (102, "more"), (103, "no time")]


def kill_an_append(place: str, source: Database, folder: Path, **more: Any) -> dict[str, Any]:
    """The second run of an increment, which reads again what has the last watermark, or none."""
    relation = {"name": "shop.orders", "watermark": "at"}
    words: dict[str, Any] = {"relations": relation, "disposition": "append", **more}
    source.run(
        "alter table shop.orders alter at drop not null",
        "insert into shop.orders values (103, null, 'no time')",
    )
    export(source, folder, **words).expect(0)
    source.run("insert into shop.orders select n, max(at), 'more'"
               " from shop.orders, generate_series(101, 102) n group by n")  # fmt: skip
    path = spec_file(folder, **words)
    kill(place, ["export", "--json", "-f", str(path)], {"WINDLASS_SOURCE": source.url})
    return words


def test_a_run_that_is_interrupted_cleans_up(shop: Database, tmp_path: Path) -> None:
    shop.run(
        "create table shop.long as select n as id, md5(n::text) from generate_series(1, 300000) n",
        "create view shop.slow as select *, pg_sleep(0.001) is null as woke from shop.long",
    )
    path = spec_file(tmp_path, relations="shop.slow", file_size="64kB")
    process = start("export", "--json", "-f", str(path), env={"WINDLASS_SOURCE": shop.url})
    until(lambda: shop.value(SLEEPING))
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGINT)
    ended = finish(process).expect(130)
    assert [one["source"] for one in ended.result["relations"]] == ["shop.slow"]
    assert files(tmp_path) == []
    to = f"file://{tmp_path}/files"
    (listed,) = windlass("status", "--json", "--to", to).expect(0).result["runs"]
    assert (listed["relations_done"], listed["relations"]) == (0, 1)
    until(lambda: not shop.value(SLEEPING))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_that_waits_for_a_lock_while_it_plans_can_be_interrupted(
    number: signal.Signals, shop: Database, tmp_path: Path
) -> None:
    path = spec_file(tmp_path, relations="shop.orders")
    waiting = f"{HOLDERS} and wait_event_type = 'Lock'"
    with holding(shop, "lock table shop.orders in access exclusive mode"):
        process = start("export", "--json", "-f", str(path), env={"WINDLASS_SOURCE": shop.url})
        until(lambda: shop.value(waiting))
        os.kill(process.pid, number)
        finish(process, 30).expect(130)
    assert not shop.value(HOLDERS)


def test_a_source_that_hangs_up_is_read_again_in_a_new_snapshot(
    shop: Database, tmp_path: Path
) -> None:
    shop.run(
        "create table shop.long as select n as id from generate_series(1, 1500) n",
        "create view shop.slow as select *, pg_sleep(0.001) is null as woke from shop.long",
    )
    path = spec_file(tmp_path, relations="shop.slow")
    process = start("export", "--json", "-f", str(path), env={"WINDLASS_SOURCE": shop.url})
    until(lambda: shop.value(SLEEPING))
    shop.run("select pg_terminate_backend(pid) from pg_stat_activity"
             " where application_name like 'windlass%'")  # fmt: skip
    ran = finish(process).expect(0)
    assert any("new snapshot" in notice for notice in ran.result["notices"])
    assert rows(tmp_path, "select count(*) from slow") == [(1500,)]


@pytest.mark.parametrize("part", ["unfinished", "write"])
def test_a_store_that_is_away_when_the_export_begins_hides_no_run_to_resume(
    part: str, shop: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = {"relations": "shop.orders", "disposition": "append"}
    first = export(shop, tmp_path, **words).expect(0).result["run"]
    (record,) = (tmp_path / "files" / FOLDER).glob("*.json")
    record.write_text(record.read_text().replace('"state": "done"', '"state": "interrupted"', 1))
    works, failures = getattr(Records, part), [ConnectionLost("the store is away")]

    def away_once(*given: Any) -> Any:
        if failures:
            raise failures.pop()
        return works(*given)

    monkeypatch.setattr(Records, part, away_once)
    again = export(shop, tmp_path, **words).expect(0).result
    assert (again["run"], again["resumed"], failures) == (first, True, [])
    assert len(table(tmp_path)) == 100
