"""Past exports: the same command resumes, `status` lists, `rollback` removes files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from command import Ran, windlass
from exporting import export, files, rows, spec_file
from killing import kill
from servers import Database
from windlass.engines.objects.store import ObjectStore
from windlass.flows.export.records import Records
from windlass.model.outcome import State

ORDERS = (
    "create schema shop",
    "create table shop.orders (id int primary key, note text)",
    "insert into shop.orders select n, 'new' from generate_series(1, 100) n",
)
FILES: dict[str, Any] = {"relations": "shop.orders", "warehouse": None}
LOADED: dict[str, Any] = {"relations": "shop.orders", "disposition": "append"}


@pytest.fixture
def shop(database: Callable[[int], Database]) -> Database:
    source = database(16)
    source.run(*ORDERS)
    return source


def records(folder: Path) -> Records:
    return Records(ObjectStore(f"file://{folder}/files"))


def command(shop: Database, folder: Path, verb: str, *words: str, **spec: Any) -> Ran:
    file = str(spec_file(folder, **spec))
    return windlass(verb, *words, "-f", file, env={"WINDLASS_SOURCE": shop.url})


@pytest.mark.parametrize("place", ["after extract", "after load", "duckdb ^commit"])
def test_the_same_command_resumes_an_export_that_was_killed(
    place: str, shop: Database, tmp_path: Path
) -> None:
    path = spec_file(tmp_path, **LOADED)
    kill(place, ["export", "--json", "-f", str(path)], {"WINDLASS_SOURCE": shop.url})
    (killed,) = records(tmp_path).all()
    ran = export(shop, tmp_path, **LOADED).expect(0)
    assert ran.result["run"] == killed.run and ran.result["resumed"] is True
    assert rows(tmp_path, "select count(*) from orders") == [(100,)]
    assert files(tmp_path) == []


def test_the_same_command_after_the_end_is_another_export(shop: Database, tmp_path: Path) -> None:
    first, second = (export(shop, tmp_path, **LOADED).expect(0).result for _ in range(2))
    assert first["run"] != second["run"] and not second["resumed"]
    assert rows(tmp_path, "select count(*) from orders") == [(200,)]


def stopped(shop: Database, folder: Path, **spec: Any) -> str:
    """A run whose process was killed after its files were written."""
    path = spec_file(folder, **spec)
    kill("after extract", ["export", "--json", "-f", str(path)], {"WINDLASS_SOURCE": shop.url})
    return records(folder).all()[0].run


@pytest.mark.parametrize(
    ("options", "words"), [(("--restart",), FILES), ((), {**FILES, "format": "csv"})]
)
def test_another_export_does_not_resume(
    options: tuple[str, ...], words: dict[str, Any], shop: Database, tmp_path: Path
) -> None:
    killed = stopped(shop, tmp_path, **FILES)
    ran = export(shop, tmp_path, *options, **words).expect(0).result
    assert ran["run"] != killed and not ran["resumed"]


def test_a_run_that_a_process_works_on_is_left_to_it(shop: Database, tmp_path: Path) -> None:
    killed = stopped(shop, tmp_path, **FILES)
    kept = records(tmp_path)
    record = kept.read(killed)
    assert record is not None
    now = datetime.now(UTC)
    kept.write(replace(record, process="1 on another machine", alive_at=now.isoformat()))
    assert export(shop, tmp_path, **FILES).expect(0).result["run"] != killed
    long_ago = (now - timedelta(minutes=2)).isoformat()
    newest = replace(record, run="silent", process="1 on another machine", alive_at=long_ago)
    kept.begin(replace(newest, started_at=(now + timedelta(hours=1)).isoformat()))
    assert export(shop, tmp_path, **FILES).expect(0).result["run"] == "silent"


def test_two_processes_do_not_work_on_one_run_that_has_a_name(
    shop: Database, tmp_path: Path
) -> None:
    export(shop, tmp_path, "--run", "monday", **FILES).expect(0)
    kept = records(tmp_path)
    record = kept.read("monday")
    assert record is not None
    now = datetime.now(UTC).isoformat()
    other = replace(record, state=State.RUNNING, process="1 on another machine", alive_at=now)
    kept.write(other)
    refused = export(shop, tmp_path, "--run", "monday", **FILES).expect(3)
    assert "in progress: process 1 on another machine" in refused.said
    assert kept.read("monday") == other


@pytest.mark.parametrize("words", [FILES, LOADED])
def test_files_that_were_written_before_a_mask_was_given_are_written_again(
    words: dict[str, Any], shop: Database, tmp_path: Path
) -> None:
    path = spec_file(tmp_path, **words)
    arguments = ["export", "--json", "--run", "monday", "-f", str(path)]
    kill("after extract", arguments, {"WINDLASS_SOURCE": shop.url})
    export(shop, tmp_path, "--run", "monday", mask="*.note", keep_files=True, **words).expect(0)
    query = "select distinct note from read_parquet($$%s$$)" % (tmp_path / "files/*/*/*.parquet")
    with duckdb.connect() as connection:
        assert connection.execute(query).fetchall() == [("***",)]


@pytest.mark.parametrize("name", ["../../x", "a/b", "damaged"])
def test_a_run_without_a_record_that_can_be_read_is_named(
    name: str, shop: Database, tmp_path: Path
) -> None:
    export(shop, tmp_path, **FILES).expect(0)
    (tmp_path / "files" / "_windlass_runs" / "damaged.json").write_text('{"run":')
    for verb in (["status", name], ["rollback", "--yes", name]):
        ran = command(shop, tmp_path, *verb, **FILES).expect(3)
        assert f"run {name}" in ran.said and "Traceback" not in ran.said


def test_status_lists_exports_and_shows_one(shop: Database, tmp_path: Path) -> None:
    run = export(shop, tmp_path, **FILES).expect(0).result["run"]
    listed = command(shop, tmp_path, "status", "--json", **FILES).expect(0).result["runs"]
    assert [(one["run"], one["flow"], one["state"], one["rows"]) for one in listed] == [
        (run, "export", "done", 100)
    ]
    shown = command(shop, tmp_path, "status", run, **FILES).expect(0).said
    assert run in shown and "1 of 1" in shown


def test_past_exports_are_found_without_their_databases(shop: Database, tmp_path: Path) -> None:
    run = export(shop, tmp_path, **FILES).expect(0).result["run"]
    file = str(spec_file(tmp_path, **FILES))
    assert run in windlass("status", "-f", file).expect(0).said
    assert "Nothing to remove" in windlass("clean", "-f", file).expect(0).said
    assert "1 file" in windlass("rollback", "--yes", run, "-f", file).expect(0).said


def test_rollback_removes_the_files_of_an_export(shop: Database, tmp_path: Path) -> None:
    run = export(shop, tmp_path, **FILES).expect(0).result["run"]
    assert files(tmp_path)
    done = command(shop, tmp_path, "rollback", "--yes", run, **FILES).expect(0)
    assert "1 file" in done.said
    assert files(tmp_path) == []
    again = command(shop, tmp_path, "rollback", "--yes", run, **FILES).expect(0)
    assert "lready rolled back" in again.said
    (record,) = records(tmp_path).all()
    assert record.state is State.ROLLED_BACK


def test_rollback_does_not_remove_what_others_have_put_there(
    shop: Database, tmp_path: Path
) -> None:
    run = export(shop, tmp_path, **FILES).expect(0).result["run"]
    (folder,) = (one.parent for one in (tmp_path / "files").rglob("manifest.json"))
    (folder / "mine.txt").write_text("precious")
    refused = command(shop, tmp_path, "rollback", "--yes", run, **FILES).expect(3)
    assert "mine.txt" in refused.said
    assert (folder / "mine.txt").read_text() == "precious"
    command(shop, tmp_path, "rollback", "--yes", "--force", run, **FILES).expect(0)
    assert files(tmp_path) == []


def test_rollback_knows_what_is_not_of_a_run_that_never_finished(
    shop: Database, tmp_path: Path
) -> None:
    run = stopped(shop, tmp_path, **FILES)
    (manifest,) = (tmp_path / "files").rglob("manifest.json")
    manifest.unlink()  # as if it had been killed while it wrote
    (manifest.parent / "mine.txt").write_text("precious")
    refused = command(shop, tmp_path, "rollback", "--yes", run, **FILES).expect(3)
    assert "mine.txt" in refused.said and "part-00001" not in refused.said


def test_what_was_loaded_cannot_be_rolled_back_and_says_so(shop: Database, tmp_path: Path) -> None:
    run = export(shop, tmp_path, **LOADED).expect(0).result["run"]
    refused = command(shop, tmp_path, "rollback", "--yes", run, **LOADED).expect(3)
    assert "were not kept" in refused.said
    assert rows(tmp_path, "select count(*) from orders") == [(100,)]


def test_what_may_have_been_loaded_cannot_be_rolled_back_and_says_so(
    shop: Database, tmp_path: Path
) -> None:
    """Its files were written, and what became of the load is not known."""
    run = export(shop, tmp_path, **LOADED).expect(0).result["run"]
    kept = records(tmp_path)
    record = kept.read(run)
    assert record is not None and record.outcome is not None
    read = tuple(replace(one, verified="") for one in record.outcome.relations)
    kept.write(
        replace(record, state=State.STOPPED, outcome=replace(record.outcome, relations=read))
    )
    refused = command(shop, tmp_path, "rollback", "--yes", run, **LOADED).expect(3)
    assert "may have loaded" in refused.said


def test_clean_removes_the_files_of_runs_that_nothing_resumes(
    shop: Database, tmp_path: Path
) -> None:
    """Not those of the run that the same command resumes, of one at work, or of anybody else."""
    dead = stopped(shop, tmp_path, **LOADED)
    (manifest,) = (tmp_path / "files").rglob("manifest.json")
    manifest.unlink()  # as if it had been killed while it wrote
    folder = manifest.parent
    (folder / "mine.txt").write_text("precious")
    (folder / "part-00002.parquet#1").write_text("begun")
    assert "Nothing to remove" in command(shop, tmp_path, "clean", "--yes", **LOADED).expect(0).said
    export(shop, tmp_path, "--restart", **LOADED).expect(0)
    kept = records(tmp_path)
    record = kept.read(dead)
    assert record is not None
    now = datetime.now(UTC).isoformat()
    kept.write(replace(record, process="1 on another machine", alive_at=now))
    assert "Nothing to remove" in command(shop, tmp_path, "clean", "--yes", **LOADED).expect(0).said
    refused = command(shop, tmp_path, "clean", "--yes", dead, **LOADED).expect(3)
    assert "in progress" in refused.said
    kept.write(record)
    to = ("--to", f"file://{tmp_path}/files")
    done = windlass("clean", "--yes", *to).expect(0)
    assert "Removed 2 files" in done.said
    assert [one.name for one in folder.iterdir()] == ["mine.txt"]
    assert kept.read(dead) is None
    assert len(windlass("status", "--json", *to).expect(0).result["runs"]) == 1


def test_clean_removes_what_a_named_run_would_need_to_resume(
    shop: Database, tmp_path: Path
) -> None:
    dead = stopped(shop, tmp_path, **FILES)
    assert command(shop, tmp_path, "clean", "--yes", dead, **FILES).expect(0)
    assert files(tmp_path) == []


def test_a_relation_that_is_gone_when_a_run_resumes_leaves_no_files(
    shop: Database, tmp_path: Path
) -> None:
    shop.run("create table shop.gone as select 1 as id")
    words = {"relations": "shop.*", "disposition": "append", "jobs": 1}
    path = spec_file(tmp_path, **words)
    kill("after load", ["export", "--json", "-f", str(path)], {"WINDLASS_SOURCE": shop.url})
    shop.run("drop table shop.gone")
    ran = export(shop, tmp_path, **words).expect(0)
    assert ran.result["resumed"] is True
    assert files(tmp_path) == []


@pytest.mark.parametrize("form", [("-q",), ("--json",)], ids=["quiet", "json"])
def test_a_run_that_was_killed_after_its_load_is_not_doubled_by_the_same_command(
    form: tuple[str, ...], shop: Database, tmp_path: Path
) -> None:
    path = spec_file(tmp_path, **LOADED)
    kill("after load", ["export", *form, "-f", str(path)], {"WINDLASS_SOURCE": shop.url})
    ran = command(shop, tmp_path, "export", *form, **LOADED).expect(0)
    assert rows(tmp_path, "select count(*) from orders") == [(100,)]
    if form == ("-q",):
        assert "resumed" in ran.stdout
    else:
        assert ran.result["resumed"] is True


def test_a_run_that_left_no_record_is_named_with_those_that_did(
    shop: Database, tmp_path: Path
) -> None:
    run = export(shop, tmp_path, **FILES).expect(0).result["run"]
    refused = command(shop, tmp_path, "rollback", "--yes", "nosuch", **FILES).expect(3)
    assert "nosuch" in refused.said and run in refused.said


def test_plan_shows_what_an_export_would_do_and_writes_nothing(
    shop: Database, tmp_path: Path
) -> None:
    planned = command(shop, tmp_path, "plan", **LOADED).expect(0)
    assert "shop.orders" in planned.said and "windlass export" in planned.said
    assert sorted(one.name for one in tmp_path.iterdir()) == ["export.yaml"]
    found = command(shop, tmp_path, "plan", "--json", **LOADED).expect(0).result
    assert [one["name"] for one in found["relations"]] == ["shop.orders"]
    wrong = command(shop, tmp_path, "plan", relations=["shop.orders", "shop.nothing"]).expect(3)
    assert "shop.nothing" in wrong.said
    killed = stopped(shop, tmp_path, **FILES)
    assert killed in command(shop, tmp_path, "plan", **FILES).expect(0).said


def test_a_record_holds_no_secret(shop: Database, tmp_path: Path) -> None:
    export(shop, tmp_path, **LOADED).expect(0)
    folder = tmp_path / "files" / "_windlass_runs"
    (path,) = folder.glob("*.json")
    assert json.loads(path.read_text())["state"] == "done"
    for one in folder.iterdir():
        text = one.read_text()
        for name in (f"file://{tmp_path}", f"duckdb:///{tmp_path}"):  # as reports have them
            text = text.replace(name, "")
        assert "://" not in text
