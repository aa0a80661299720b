"""What can be done from the page of `windlass serve`: only what can be recorded, and with the
arguments of the run that is looked at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from windlass.cli.options import read_kept_spec
from windlass.cli.voice import Voice
from windlass.errors import BadSpec, Refused
from windlass.flows.specs import read_any
from windlass.model.outcome import RunDetail, RunStatus, State
from windlass.web.access import WEB_TOKEN, Person
from windlass.web.actions import action_named, actions_of
from windlass.web.jobs import Job, command_environment
from windlass.web.reading import why
from windlass.web.watched import Watched, title_of, watch_spec, watch_target

OLD, NEW = "postgresql://old/shop", "postgresql://new/shop"
STATUS = RunStatus("20261130_0600_abcd", State.DIFFERENT, "shop on old:5432", "", "")
FILE = f"source: {OLD}\ntarget: {NEW}\nschema: [shop]\njobs: 7\n"


def spec_file(folder: Path, text: str) -> Watched:
    file = folder / "spec.yaml"
    file.write_text(text)
    return watch_spec(read_any(file), file)


def arguments(name: str, watched: Watched, **options: object) -> tuple[str, ...]:
    action = action_named(name)
    assert action is not None
    return action.arguments(watched, RunDetail(STATUS, options=dict(options)))


@pytest.mark.parametrize(
    "target", ["sqlite:///srv/shop.db", "duckdb:///srv/shop.duckdb", "mysql://new/shop"]
)
def test_nothing_is_offered_where_nobody_could_see_who_has_done_it(target: str) -> None:
    watched = watch_target(target, OLD)
    assert not list(actions_of(watched, STATUS))
    assert not list(actions_of(watched, replace(STATUS, flow="load")))
    assert list(actions_of(watch_target(NEW, OLD), STATUS))


def test_a_store_of_exports_has_no_buttons(tmp_path: Path) -> None:
    watched = spec_file(tmp_path, f"source: {OLD}\nto: file://{tmp_path}\n")
    assert not list(actions_of(watched, replace(STATUS, flow="export")))


@pytest.mark.parametrize(
    ("text", "target"),
    [
        (f"target: {NEW}\n", NEW),
        (f"flow: cutover\ntarget: {NEW}\n", NEW),
        (f"connection: {NEW}\ntable: orders\nselect: id > 1\nset: {{a: {{sql: upper(a)}}}}\n", NEW),
        (f"flow: load\ntarget: {NEW}\nloads: [{{from: /srv/a.csv, into: public.a}}]\n", NEW),
        ("to: file:///srv/store\n", ""),
    ],
)
def test_to_look_at_the_runs_of_a_spec_needs_no_source(
    text: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WINDLASS_SOURCE", raising=False)
    file = tmp_path / "spec.yaml"
    file.write_text(text)
    watched = watch_spec(read_kept_spec(Voice.of([]), file), file)
    assert (watched.target, watched.has_source) == (target, False)
    assert watched.where == (target or watched.spec)


@pytest.mark.parametrize("name", ["verify", "repair"])
def test_a_run_is_compared_with_its_own_options(name: str) -> None:
    both, more = watch_target(NEW, OLD), {"verify": (), "repair": ("--repair", "--yes")}[name]
    assert arguments(name, both) == ("verify", *more)
    options = {
        "schema": ["shop", "-x"],
        "map-schema": {"shop": "store"},
        "data-only": True,
        "verify": "sampled",
        "jobs": 3,
        "existing": "replace",
        "snapshot": "00000003-1",
        "report": "/srv/report.html",
    }
    assert arguments(name, both, **options) == (
        "verify",
        "--schema=shop",
        "--schema=-x",
        "--map-schema=shop=store",
        "--data-only",
        "--verify=sampled",
        *more,
    )


def test_a_run_with_the_options_of_the_spec_file_is_compared_with_the_file(tmp_path: Path) -> None:
    watched = spec_file(tmp_path, FILE)
    file = ("-f", str(watched.file))
    assert arguments("verify", watched, schema=["shop"], jobs=2) == ("verify", *file)
    assert arguments("verify", watched, schema=["other"]) == ("verify", "--schema=other")
    assert arguments("cutover", watched) == ("cutover", "--yes")


def test_what_only_a_file_can_hold_is_refused_and_not_left_out() -> None:
    mapping = {"shop.orders": {"where": "id > 5"}}
    with pytest.raises(Refused) as refused:
        arguments("repair", watch_target(NEW, OLD), mapping=mapping)
    text, hint = why(refused.value)
    assert "mapping, which only a spec file can hold" in text
    assert "start the page with" in hint


def test_a_cutover_has_the_options_of_its_file(tmp_path: Path) -> None:
    watched = spec_file(tmp_path, f"flow: cutover\nsource: {OLD}\ntarget: {NEW}\nmax-freeze: 2s\n")
    assert arguments("back", watched) == ("cutover", "-f", str(watched.file), "--back", "--yes")
    action = action_named("back")
    assert action is not None
    assert "limit (2s)" in " ".join(action.asks(watched, STATUS).says)


@pytest.mark.parametrize("text", ["", FILE.replace("new", "elsewhere")])
def test_a_spec_file_that_has_changed_is_not_used(text: str, tmp_path: Path) -> None:
    """It might name another target, where nobody has asked for anything."""
    watched = spec_file(tmp_path, FILE)
    assert watched.file is not None
    watched.file.write_text(text)
    with pytest.raises(Refused) as refused:
        arguments("repair", watched, schema=["shop"])
    assert "has changed" in why(refused.value)[0]
    watched.file.unlink()
    with pytest.raises(Refused):
        arguments("verify", watched, schema=["shop"])


def test_a_repair_names_the_databases_of_the_page_and_asks_if_the_run_has_others() -> None:
    action = action_named("repair")
    assert action is not None
    same = " ".join(action.asks(watch_target(NEW, OLD), STATUS).says)
    assert "equal those of shop on old:5432" in same
    assert "same database?" not in same
    other = " ".join(action.asks(watch_target(NEW, "postgresql://third/shop"), STATUS).says)
    assert "equal those of shop on third:5432" in other
    assert "is from shop on old:5432. Are both the same database?" in other


def test_a_command_does_not_get_the_token_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WEB_TOKEN, "a-token-of-the-page")
    found = command_environment({"WINDLASS_TARGET": NEW})
    assert found["WINDLASS_TARGET"] == NEW
    assert WEB_TOKEN not in found


def test_the_record_has_who_has_interrupted_a_command() -> None:
    action = action_named("verify")
    assert action is not None
    job = Job("1", watch_target(NEW, OLD), STATUS.run, action, Person("anne"), ("verify",), "")
    assert job.ending(0) == "exit code 0"
    job.interrupted_by = "bob"
    assert job.ending(130) == "exit code 130, interrupted by bob"


@pytest.mark.parametrize(
    "url", ["mysql://app:hunter22/secret@db/shop", "mysql://[app:hunter22", "mysql://app:hunter22"]
)
def test_what_is_no_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(BadSpec) as error:
        title_of(url)
    assert "hunter22" not in str(error.value)
