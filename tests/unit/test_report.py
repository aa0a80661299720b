"""The page of a result and of a plan: what it says first, what it never does, how large it gets."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages import Page, page_faults
from sample_outcome import HOSTILE, sample_outcome, sample_result
from sample_plan import LOSS, PROBLEM, refused_plan, sample_plan
from windlass.flows.registry import flow_named
from windlass.model.account import Account, Work
from windlass.model.event import BytesCopied, ItemFinished, ItemRetried, ItemStarted, ignore
from windlass.model.hiding import HIDDEN, without_secrets
from windlass.model.outcome import Cutover, Outcome, State
from windlass.planning.document.as_json import document
from windlass.report.facts import options_of
from windlass.report.page import plan_page, run_page
from windlass.run.accounting import MOST_INTERVALS, Accounting, Meter, timeline_of
from windlass.run.published import outcome_json
from windlass.run.reporting import problems_of, write
from windlass.spec.load import LoadSpec
from windlass.spec.migrate import Spec

MIGRATE = flow_named("migrate")
SOURCE, TARGET = "postgresql://reader:hush-hush@old/shop", "host=new dbname=shop user=owner"


def as_printed(outcome: Outcome) -> dict[str, Any]:
    """As a file has it that was saved of ``--json``."""
    return dict(json.loads(json.dumps(outcome_json(outcome))))


def test_a_report_replaces_no_device_and_no_link(tmp_path: Path) -> None:
    device, link, linked = tmp_path / "device", tmp_path / "link", tmp_path / "report.html"
    os.mkfifo(device)
    link.symlink_to(linked)
    (problem,) = problems_of(str(device))
    assert "is not a regular file" in problem.message
    assert "is not a regular file" in write(device, "page")
    assert stat.S_ISFIFO(device.stat().st_mode)
    assert (list(problems_of(str(link))), write(link, "page")) == ([], "")
    assert (link.is_symlink(), linked.read_text()) == (True, "page")


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_a_name_that_no_file_can_have_is_a_problem_before_the_run(
    name: str, tmp_path: Path
) -> None:
    path = f"{tmp_path}/{name}"
    assert len(list(problems_of(path))) == 1
    assert write(Path(path), "page")


@pytest.mark.parametrize("state", State)
def test_a_page_says_first_how_the_run_ended(state: State) -> None:
    page = Page(run_page(as_printed(sample_outcome(state))))
    before = page.text[: page.text.index("Summary")].lower()
    words = {
        "different": "differences found",
        "done": "done and verified",
        "running": "not finished",
    }
    assert words.get(state.value, state.value.partition(",")[0]) in before


def test_a_run_that_stopped_says_what_to_do_before_anything_else() -> None:
    html = run_page(as_printed(sample_outcome(State.STOPPED)))
    page = Page(html)
    assert page_faults(html) == []
    assert page.headings[1] == "What happened, and what to do now"
    at = [page.text.index(one) for one in ("the target hung up", "--jobs 4", "Tables")]
    assert at == sorted(at)


def test_everything_that_is_known_is_on_the_page() -> None:
    page = Page(run_page(as_printed(sample_outcome())))
    for words in (
        "shop on 127.0.0.1:5418 (PostgreSQL 18.1)", "as role reader", "as role owner",
        "ada on db-admin-1", "2026-11-30 06:18:00 UTC", "Grace Hopper", "c0ffee", "id = 7",
        "email: NULL → 'a@example.com'", "name: 'Ann' → ''", "1,200 rows", "PostgreSQL 16.14",
        "3 values have a NUL, which text cannot hold", "0/1A2B3C4", "after create target tables",
        "windlass rollback 20261130-061800", "windlass verify --repair", "Python", "2 retried",
    ):  # fmt: skip
        assert words in page.text, words


def test_a_flip_back_is_from_the_target_to_the_source_in_title_and_summary() -> None:
    outcome = replace(sample_outcome(State.DONE), source="old", target="new")
    ended = replace(outcome, cutover=Cutover("back", "following"))
    words = " ".join(Page(run_page(as_printed(ended))).text.split())
    assert "new → old" in words
    assert re.search(r"Summary From new .*?To old ", words), words


@pytest.mark.parametrize(
    ("sessions", "words"), [(1, "1 session was ended."), (2, "2 sessions were ended.")]
)
def test_a_cutover_says_how_many_sessions_it_ended(sessions: int, words: str) -> None:
    ended = replace(
        sample_outcome(State.DONE), cutover=Cutover("forward", "switched", sessions=sessions)
    )
    assert words in Page(run_page(as_printed(ended))).text


def test_a_section_of_options_without_any_is_left_out() -> None:
    shown = {one.word for one in options_of({"load": "append", "csv": {}, "jobs": 2})}
    assert shown == {"load", "jobs"}


def test_names_are_text_whatever_they_are() -> None:
    html = run_page(as_printed(sample_outcome(name=f"shop.{HOSTILE}")))
    assert page_faults(html) == []
    assert f"shop.{HOSTILE}_0" in Page(html).text
    assert "<script" not in html


def test_values_that_turn_text_around_are_seen() -> None:
    html = run_page(as_printed(sample_outcome(name="shop.\u202eevil\u200b")))
    assert "\u202e" not in html and r"shop.\u202eevil\u200b_1" in html


def test_an_error_before_any_run_has_a_page() -> None:
    error = {"state": "bad spec", "exit_code": 2, "message": "jobs: not a number", "hint": "help",
             "problems": [PROBLEM.to_json()]}  # fmt: skip
    html = run_page(error)
    assert page_faults(html) == []
    text = Page(html).text
    assert text.index("Bad spec") < text.index("jobs: not a number") < text.index(PROBLEM.message)


def test_a_result_that_an_earlier_version_saved_has_a_page() -> None:
    saved = as_printed(sample_outcome())
    old = {key: one for key, one in saved.items() if key not in Account.__dataclass_fields__}
    html = run_page(old)
    assert page_faults(html) == []
    assert "copy tables" in html and "How long each step took" in html


def test_many_tables_stay_readable() -> None:
    many = as_printed(sample_outcome(relations=5_000))
    html = run_page(many)
    page = Page(html)
    assert len(html) < 3_000_000
    unfolded = [one for one in page.texts if one.startswith("shop.table_")]
    first = unfolded.index("shop.table_0")  # which differs
    assert first < unfolded.index("shop.table_4999") < unfolded.index("shop.table_1")
    assert "shop.table_1" in page.folded and "shop.table_0" not in page.folded


def test_a_plan_has_all_that_is_signed() -> None:
    plan = json.loads(json.dumps({**document(sample_plan()), "next": "windlass migrate"}))
    html = plan_page(plan)
    text = Page(html).text
    assert page_faults(html) == []
    for words in (
        "Ready", LOSS.message, "CREATE TABLE store.orders", "128 MB", "Signature", "bigint",
        sample_plan().fingerprint, "1,200,000", "windlass migrate",
    ):  # fmt: skip
        assert words in text, words
    hostile = json.loads(json.dumps(plan).replace("orders", "<script>"))
    assert "<script" not in plan_page(hostile)


def test_a_plan_with_problems_says_so_first() -> None:
    text = Page(plan_page(document(refused_plan()))).text
    assert text.index("Cannot start") < text.index(PROBLEM.message) < text.index("Tables")


def test_a_plan_of_another_flow_shows_all_that_it_says() -> None:
    plan = {
        "table": "shop.item", "database": "shop", "selected": 12, "columns_added": {"<b>": "text"},
        "statements": ["UPDATE shop.item SET name = '<i>'"], "problems": [],
        "loads": [{"name": "items", "columns": [{"name": "id", "type": "bigint"}], "rows": 3}],
    }  # fmt: skip
    html = plan_page(plan)
    assert page_faults(html) == []
    for words in ("UPDATE shop.item SET name = '<i>'", "<b>", "items", "bigint", "selected"):
        assert words in Page(html).text


@given(st.lists(st.tuples(st.floats(0, 9_000), st.floats(0, 500), st.integers(0, 10**12))))
def test_the_meter_keeps_amounts_and_is_bounded(pieces: list[tuple[float, float, int]]) -> None:
    meter = Meter()
    for start, took, size in pieces:
        meter.add(start, start + took, size, rows=size)
    found = meter.read()
    assert len(found.bytes) <= MOST_INTERVALS
    assert sum(found.bytes) == pytest.approx(sum(one[2] for one in pieces), rel=1e-9)


def test_what_was_sent_before_it_was_committed_counts_once() -> None:
    accounting = Accounting.of(MIGRATE, Spec.of(source=SOURCE, target=TARGET, jobs=3))
    emit = accounting.watching(ignore)
    emit(ItemStarted("copy_tables", "a", "a"))
    emit(BytesCopied("a", "a", 600))
    emit(ItemRetried("copy_tables", "a", 1, "cut", 0.1))
    emit(ItemFinished("copy_tables", "a", "a", 0.2, rows=5, size_bytes=1_000))
    emit(ItemFinished("copy_tables", "b", "b", 0.0, rows=5, size_bytes=1_000, resumed=True))
    found = accounting.account()
    (step,) = found.timeline.steps
    assert (step.items, step.resumed, step.retries, step.rows) == (2, 1, 1, 5)
    assert step.after == MIGRATE.step("copy_tables").after
    assert sum(found.timeline.throughput.bytes) == 1_000
    assert (found.by.source_role, found.by.target_role) == ("reader", "owner")
    assert found.asked.options == {"jobs": 3}


def test_a_journal_gives_a_timeline() -> None:
    work = [Work("create_indexes", 3, 9), Work("copy_tables", 0, 4, 10, 999)]
    found = timeline_of(MIGRATE, work, "2026-11-30T06:18:00Z")
    assert [(one.name, one.start_seconds, one.seconds) for one in found.steps] == [
        ("copy_tables", 0, 4),
        ("create_indexes", 3, 6),
    ]
    assert sum(found.throughput.bytes) == 999


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"store-options": {"aws_secret_access_key": "hush"}},
         {"store-options": {"aws_secret_access_key": HIDDEN}}),
        ("https://x.example/f.csv?sig=hush", f"https://x.example/f.csv?{HIDDEN}"),
        ("postgresql://me:hush@h/d", f"postgresql://me:{HIDDEN}@h/d"),
        (["dsn password=hush"], [f"dsn password={HIDDEN}"]),
        ({"token": "hush"}, {"token": HIDDEN}),
    ],
)  # fmt: skip
def test_no_secret_is_among_the_options(value: Any, shown: Any) -> None:
    assert without_secrets(value) == shown


def test_the_options_of_a_load_have_no_secrets() -> None:
    spec = LoadSpec.of(
        target="postgresql://me:hush-hush@h/d",
        **{"from": ["https://u:hush-hush@x.example/a.csv?sig=hush-hush"], "into": "shop.item"},
    )
    asked = json.dumps(spec.asked())
    assert "shop.item" in asked and "hush" not in asked


def test_a_report_does_not_identify_a_run() -> None:
    with_one = Spec.of(source=SOURCE, target=TARGET, report="/tmp/r.html")
    assert with_one.config() == Spec.of(source=SOURCE, target=TARGET).config()


def test_only_a_page_loads_what_renders_it() -> None:
    code = (
        "import sys, windlass, windlass.api, windlass.cli.main, windlass.run.conduct;"
        "sys.exit('jinja2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_sample_is_what_is_published() -> None:
    """So these tests are about what commands print."""
    from result_schema import faults

    printed = as_printed(replace(sample_outcome(), notices=()))
    assert faults({**printed, "exit_code": 1}) == []
    assert sample_result(State.DONE)["state"] == "done"
