"""What the page of `windlass serve` shows of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from windlass.engines.names import name_of
from windlass.model.acts import Act
from windlass.model.following import FollowingStatus, Phase
from windlass.model.outcome import Progress, RelationProgress, RunDetail, RunStatus, State
from windlass.web.actions import actions_of
from windlass.web.views import (
    compared_again,
    ending_text,
    percent_of,
    run_line,
    table_page,
    tone_of,
)
from windlass.web.watched import title_of, watch_target, with_keys

PASSWORD = "hunter22-secret"
STATUS = RunStatus(
    "20261130_0600_abcd", State.DONE, "shop on old", "2026-11-30T06:00:00", "", verified="full"
)
RUNNING = replace(
    STATUS,
    state=State.RUNNING,
    active=True,
    progress=Progress(1, 4, 10, 25, bytes_planned=100),
)


def following(phase: Phase, status: RunStatus = RUNNING) -> RunStatus:
    return replace(status, flow="follow", following=FollowingStatus(phase, 1.0))


def relation(name: str, done: int, chunks: int = 4) -> RelationProgress:
    return RelationProgress(name, done * 10, done * 100, chunks * 100, done, chunks, 1.0)


@pytest.mark.parametrize(
    ("status", "tone", "text"),
    [
        (STATUS, "good", "done"),
        (replace(STATUS, state=State.DIFFERENT), "bad", "different"),
        (RUNNING, "plain", "running 25%"),
        (replace(RUNNING, active=False), "bad", "killed 25%"),
        (replace(RUNNING, state=State.INTERRUPTED, active=False), "warn", "interrupted 25%"),
        (following(Phase.FOLLOWING), "plain", "following"),
        (replace(following(Phase.FOLLOWING), active=False), "warn", "following, stopped"),
    ],
)
def test_a_state_is_told_by_words_and_not_by_colour_alone(
    status: RunStatus, tone: str, text: str
) -> None:
    assert (tone_of(status), run_line(status).state) == (tone, text)


def test_only_what_is_copied_has_a_bar() -> None:
    assert percent_of(RUNNING) == 25
    assert percent_of(following(Phase.COPYING)) == 25
    assert percent_of(following(Phase.FOLLOWING)) is None
    assert percent_of(STATUS) is None


def test_tables_at_work_come_first_and_are_found_by_name() -> None:
    begun = replace(relation("d", 0), copying=True)
    detail = RunDetail(
        RUNNING, relations=(relation("a", 4), relation("b", 0), relation("c", 2), begun)
    )
    assert [(one.name, one.state) for one in table_page(detail).lines] == [
        ("c", "copying"),
        ("d", "copying"),
        ("b", "waiting"),
        ("a", "done"),
    ]
    found = table_page(detail, "B")
    assert ([one.name for one in found.lines], found.found, found.all) == (["b"], 1, 4)


@pytest.mark.parametrize(
    ("asked", "shown", "first"), [(1, 1, "t000"), (3, 3, "t200"), (9, 3, "t200")]
)
def test_many_tables_have_pages(asked: int, shown: int, first: str) -> None:
    detail = RunDetail(RUNNING, relations=tuple(relation(f"t{i:03}", 4) for i in range(250)))
    page = table_page(detail, number=asked)
    assert (page.number, page.pages, page.lines[0].name) == (shown, 3, first)


@pytest.mark.parametrize(
    ("status", "names"),
    [
        (STATUS, ["verify", "repair", "rollback"]),
        (replace(STATUS, state=State.DIFFERENT), ["verify", "repair", "rollback"]),
        (replace(STATUS, state=State.ROLLED_BACK), []),
        (RUNNING, []),
        (following(Phase.COPYING), ["abandon"]),
        (following(Phase.FOLLOWING), ["rehearse", "cutover", "abandon"]),
        (following(Phase.FREEZING), []),
        (following(Phase.SWITCHED), ["back", "finish"]),
        (replace(STATUS, flow="rewrite"), ["rollback"]),
    ],
)
def test_a_run_has_the_buttons_of_its_state(status: RunStatus, names: list[str]) -> None:
    both = watch_target("postgresql://new/shop", "postgresql://old/shop")
    assert [one.name for one in actions_of(both, status)] == names


def test_without_the_source_only_a_rollback_is_possible() -> None:
    alone = watch_target("postgresql://new/shop")
    assert [one.name for one in actions_of(alone, STATUS)] == ["rollback"]


@pytest.mark.parametrize(
    ("url", "title"),
    [
        (f"postgresql://app:{PASSWORD}@db.example.com:5433/shop", "shop on db.example.com:5433"),
        (f"host=db dbname=shop password={PASSWORD}", "shop on db:5432"),
        (f"mysql://app:{PASSWORD}@db/shop", "mysql://db/shop"),
        ("sqlite:///srv/shop.db", "sqlite:///srv/shop.db"),
        (f"odbc:DSN=shop;UID=app;PWD={PASSWORD}", "ODBC shop"),
    ],
)
def test_a_title_has_no_password(url: str, title: str) -> None:
    assert title_of(url) == title == name_of(url)
    assert PASSWORD not in repr(watch_target(url, url))


def test_targets_of_the_same_name_have_different_keys() -> None:
    urls = ["postgresql://a/shop", "postgresql://b/shop", "mysql://c/shop", "sqlite:///srv/shop.db"]
    found = with_keys([watch_target(one) for one in urls])
    assert [one.key for one in found] == ["shop", "shop-2", "shop-3", "shop-db"]


def test_targets_with_one_title_are_told_apart() -> None:
    """They share no series of metrics either."""
    shop = watch_target("postgresql://db/shop")
    found = with_keys([shop, replace(shop, file=Path("/srv/shop.yaml")), shop])
    title = "shop on db:5432"
    assert [one.title for one in found] == [title, f"{title} (shop.yaml)", f"{title} (2)"]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ("exit code 0", "done (exit code 0)"),
        ("exit code 1", "differences or losses were found (exit code 1)"),
        ("exit code -15, interrupted by ann", "interrupted (exit code -15, interrupted by ann)"),
        ("exit code 3", "refused (exit code 3)"),
        ("exit code 77", "failed (exit code 77)"),
        ("", "running, or its process died"),
        ("triggered", "triggered"),
    ],
)
def test_the_end_of_a_command_is_shown_in_words(result: str, words: str) -> None:
    assert ending_text(result) == words


@pytest.mark.parametrize(
    ("acts", "is_named"),
    [
        ([], False),
        ([("Verify again", "exit code 1")], True),
        ([("Roll back", "exit code 3"), ("Verify again", "exit code 1")], True),
        ([("Verify again", ""), ("Verify again", "exit code 1")], True),
        ([("Verify again", "exit code 4"), ("Verify again", "exit code 1")], True),
        ([("Repair differences", "exit code 0"), ("Verify again", "exit code 1")], False),
        ([("Repair differences", "done"), ("Verify again", "exit code 1")], False),  # by a DAG
        ([("Repair differences", "not done: x"), ("Verify again", "exit code 1")], True),
        ([("Abandon", "exit code 1")], False),
    ],
)
def test_a_later_comparison_that_found_differences_is_named(
    acts: list[tuple[str, str]], is_named: bool
) -> None:
    """The run's own result stays what it was: its tables were equal when it ended."""
    made = tuple(
        Act(STATUS.run, what, "windlass", "ann", "127.0.0.1", result=result)
        for what, result in acts  # the newest first
    )
    assert bool(compared_again(RunDetail(STATUS, None, acts=made))) is is_named
    undone = replace(STATUS, state=State.ROLLED_BACK)
    assert not compared_again(RunDetail(undone, None, acts=made))
