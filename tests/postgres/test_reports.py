"""The report of real runs: however one ends, of each flow, and of runs of the past."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from command import BAD_SPEC, DIFFERENT, DONE, REFUSED, STOPPED, migrate, verify, windlass
from exporting import export
from follow_runs import until_lag_known
from pages import Page, page_faults
from pursued import TABLES as FOLLOWED
from pursued import following
from rewrites import fill, write_spec
from servers import PASSWORD, Database, Pair
from stopping import run_of, stopped

__all__ = ["stopped"]  # fixtures
SHOP = (
    "create table item (id int primary key, name text)",
    "insert into item select n, 'item ' || n from generate_series(1, 500) n",
    'create table "<b>bold" (name text)',
    "create sequence tickets",
)


def read(file: Path) -> Page:
    """A report that is whole, and shows no password."""
    html = file.read_text(encoding="utf-8")
    assert page_faults(html) == []
    assert PASSWORD not in html
    assert file.stat().st_mode & 0o077 == 0
    return Page(html)


def test_a_migration_its_comparison_and_its_past(pair: Pair, tmp_path: Path) -> None:
    pair.source.run(*SHOP)
    file = tmp_path / "run.html"
    found = migrate(pair, "--jobs", "3", "--report", str(file)).expect(DONE).result
    page = read(file)
    assert "Done and verified" in page.text and "<b>bold" in page.text
    assert f"windlass rollback {found['run']}" in page.text
    assert found["asked"]["options"] == {"jobs": 3}
    assert found["asked"]["fingerprint"][:16] in page.text
    steps = {one["name"]: one for one in found["timeline"]["steps"]}
    assert steps["copy_tables"]["rows"] == 500
    assert sum(found["timeline"]["throughput"]["rows"]) == 500
    assert found["by"]["source_role"] and found["by"]["source_role"] in page.text

    later = tmp_path / "later.html"
    windlass("status", found["run"], "--report", str(later), pair=pair).expect(DONE)
    page = read(later)
    assert {"Done and verified", "Timeline"} <= set(page.texts) and "<b>bold" in page.text

    pair.target.run("update item set name = 'other' where id = 7")
    again = tmp_path / "again.html"
    verify(pair, "--report", str(again)).expect(DIFFERENT)
    page = read(again)
    assert "Differences found" in page.text and "id = 7" in page.text
    assert "windlass verify" in page.text and "--repair" in page.text
    assert "windlass rollback" not in page.text  # a comparison has written nothing


def test_a_run_that_failed_has_a_report(pair: Pair, tmp_path: Path) -> None:
    pair.source.run(*SHOP)
    pair.target.run("create table item (id int)")
    file = tmp_path / "run.html"
    migrate(pair, "--report", str(file)).expect(REFUSED)
    page = read(file)
    assert page.text.index("Refused") < page.text.index("item")
    assert "--existing" in page.text  # as the command line spells it
    nowhere = {"WINDLASS_TARGET": "postgresql://app:hush-hush@127.0.0.1:9/shop"}
    windlass("migrate", "--report", str(file), pair=pair, env=nowhere).expect(STOPPED)
    assert "Stopped" in read(file).text and "hush-hush" not in read(file).text


def test_a_stopped_run_of_the_past_has_one(stopped: Pair, tmp_path: Path) -> None:
    file = tmp_path / "run.html"
    windlass("status", run_of(stopped), "--report", str(file), pair=stopped).expect(DONE)
    page = read(file)
    assert "Stopped" in page.text and "copy tables" in page.text


def test_a_report_that_cannot_be_written_is_refused_before_anything_is(
    pair: Pair, tmp_path: Path
) -> None:
    pair.source.run(*SHOP)
    for place in (tmp_path, tmp_path / "none" / "run.html"):
        ran = migrate(pair, "--report", str(place)).expect(REFUSED)
        assert ran.result["problems"][0]["object"] == "--report"
    assert pair.target.rows("select to_regclass('item')") == [(None,)]
    windlass("status", "--report", "x.html", pair=pair).expect(BAD_SPEC)


def test_a_rewrite_and_an_export_have_one(
    pair: Pair, database: Callable[[int], Database], tmp_path: Path
) -> None:
    messages = fill(database(16))
    file = tmp_path / "rewrite.html"
    spec = str(write_spec(tmp_path, "set: {body: {sql: upper(body)}}"))
    ran = windlass(
        "rewrite", "-f", spec, "--report", str(file), env={"WINDLASS_TARGET": messages.url}
    )
    ran.expect(DONE)
    assert {"Rows written", "write rows", "How to undo it"} <= set(read(file).texts)
    pair.source.run(*SHOP)
    file = tmp_path / "export.html"
    found = export(pair.source, tmp_path, relations=["public.item"], report=str(file))
    assert found.code == DONE
    assert {"public.item", "500", "extract"} <= set(read(file).texts)


def test_a_load_has_one(pair: Pair, tmp_path: Path) -> None:
    """Also one whose rows are refused."""
    pair.target.run("create table item (id int primary key, name text)")
    (tmp_path / "items.csv").write_text("id,name\n1,one\n2,two\n")
    file = tmp_path / "load.html"
    words = ("--into", "public.item", "--load", "append", "--report", str(file))
    load = ("load", str(tmp_path / "items.csv"), *words)
    ran = windlass(*load, pair=pair).expect(DONE)
    page = read(file)
    assert {"public.item", "apply rows", "How to undo it"} <= set(page.texts), page.texts
    assert "Load" in page.headings[0] and "items.csv" in page.text
    windlass("rollback", "--yes", ran.stdout.split("rollback ")[-1].split()[0], pair=pair)
    (tmp_path / "items.csv").write_text("id,name\n1,one\nx,two\n")
    windlass(*load, pair=pair).expect(REFUSED)
    page = read(file)
    assert "Refused" in page.text and "id" in page.text


@pytest.mark.full
def test_a_cutover_and_the_end_of_its_run_have_one(
    logical: Callable[[int], Database], tmp_path: Path
) -> None:
    pair = Pair(logical(16), logical(18))
    pair.source.run(*FOLLOWED)
    file = tmp_path / "cutover.html"

    def reported(*words: str) -> Page:
        windlass(*words, "--report", str(file), pair=pair).expect(DONE)
        found = read(file)
        file.unlink()
        return found

    with following(pair) as follower:
        until_lag_known(pair, follower)
        page = reported("cutover", "--rehearse")
        assert page.headings[0].startswith("Rehearsal") and "Rehearsed" in page.text
        page = reported("cutover", "--yes")
        assert page.headings[0].startswith("Cutover") and "Cut over" in page.text
        assert "Applications write to the target now" in page.text
        page = reported("finish", "--yes")
    assert "is finished" in page.text
    assert {"shop.accounts", "Timeline"} <= set(page.texts)


@pytest.mark.full
def test_a_run_that_is_given_up_has_one(logical: Callable[[int], Database], tmp_path: Path) -> None:
    pair = Pair(logical(16), logical(18))
    pair.source.run(*FOLLOWED)
    file = tmp_path / "end.html"
    with following(pair):
        windlass("finish", "--yes", "--report", str(file), pair=pair).expect(REFUSED)
        assert "has not been cut over" in read(file).text
        windlass("abandon", "--yes", "--report", str(file), pair=pair).expect(DONE)
    page = read(file)
    assert "Abandoned" in page.text and "shop.accounts" in page.text
    assert "windlass rollback" in page.text


def test_a_plan_is_a_page(pair: Pair, tmp_path: Path) -> None:
    pair.source.run(*SHOP)
    html = windlass("plan", "--format", "html", pair=pair).expect(DONE).stdout
    assert page_faults(html) == []
    page = Page(html)
    saved = json.loads(windlass("plan", "--format", "json", pair=pair).expect(DONE).stdout)
    for words in ("Ready", "CREATE TABLE public.item", "<b>bold", "Signature", "windlass migrate",
                  saved["fingerprint"]):  # fmt: skip
        assert words in page.text, words
