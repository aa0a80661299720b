"""What the shell shows of a run's end: on stdout, as JSON, and on stderr."""

from __future__ import annotations

from dataclasses import replace

import click
import pytest

from moves import OUTCOME, SIDES, Capture, Moves, moves, stdout_json
from sample_plan import LOSS, PROBLEM
from windlass.cli import show
from windlass.cli.main import run
from windlass.cli.voice import Voice
from windlass.cli.watch import watching
from windlass.errors import (
    TargetFull,
)
from windlass.flows.migrate.outline import MIGRATE
from windlass.flows.validate.outline import VALIDATE
from windlass.model.event import ItemRetried, Noticed
from windlass.model.outcome import Outcome, Proof, Reason, State, Totals
from windlass.model.report import Difference, DifferenceKind, Differs
from windlass.model.wording import word
from windlass.run.hints import way_on

__all__ = ["moves"]  # fixtures
DIFFERENCES = tuple(
    Difference(
        DifferenceKind.CHANGED,
        "shop.r1",
        "the row differs",
        {"id": str(n)},
        ("name",),
        {"name": "before"},
        {"name": None},
    )
    for n in range(50)
)
DIFFERING = Proof("full", differences=DIFFERENCES)


# ----------------------------------------------------------------------------------------- results


def shown(outcome: Outcome, width: int = 100) -> str:
    return show.outcome_text(
        outcome, MIGRATE.words, width=width, again="AGAIN", repair="REPAIR", rollback="ROLLBACK"
    )


def test_options_in_notices_are_spelled_while_it_runs(capfd: pytest.CaptureFixture[str]) -> None:
    with watching(Voice(), "Working") as emit:
        emit(Noticed(f"after windlass verify {word('follow')}"))
        emit(ItemRetried("copy", "shop.a", 1, f"raise {word('jobs', '2')}", 0.1))
    said = capfd.readouterr().err
    assert "windlass verify --follow" in said and "raise --jobs 2" in said


def test_a_good_end_shows_what_was_moved_and_proven() -> None:
    said = shown(OUTCOME)
    for words in ("435,000", "435 MB", "41.3 s", "rows/s", "content of every row", "0/1A2B3C4D"):
        assert words in said
    assert LOSS.message in said
    assert "AGAIN" not in said
    assert "ROLLBACK" not in said


def test_what_was_not_verified_is_not_called_verified() -> None:
    assert "Not verified." in shown(replace(OUTCOME, proof=Proof()))
    said = " ".join(shown(replace(OUTCOME, proof=Proof("counts"))).split())
    assert "row counts are equal, apart from what is not carried over." in said
    assert "Content was not compared." in said


def test_what_was_set_aside_can_be_put_back() -> None:
    assert "ROLLBACK" in shown(replace(OUTCOME, totals=Totals(set_aside=2)))


def test_a_stopped_run_says_how_to_resume() -> None:
    hint = way_on(TargetFull("no space left", hint="make space"))
    reason = Reason("no space left", hint)
    said = shown(replace(OUTCOME, state=State.STOPPED, reason=reason))
    for words in ("no space left", "make space", "AGAIN"):
        assert words in said


def test_differences_are_shown_up_to_a_limit_and_counted_beyond() -> None:
    said = shown(replace(OUTCOME, state=State.DIFFERENT, proof=DIFFERING))
    assert "50 differences" in said
    assert "(id=19)" in said
    assert "(id=20)" not in said
    assert "and 30 more" in said
    assert "name: 'before' → NULL" in said
    assert "REPAIR" in said


@pytest.mark.parametrize(
    ("count", "line", "total"),
    [(1, "1 table differs: shop.r0.", "1 differs"), (2, "2 tables differ: shop.r0", "2 differ")],
)
def test_one_table_differs_and_two_differ(count: int, line: str, total: str) -> None:
    items = [
        replace(item, source=f"shop.r{n}", differs=Differs.ROWS if n < count else Differs.NOT)
        for n, item in enumerate(OUTCOME.relations)
    ]
    found = replace(OUTCOME, state=State.DIFFERENT, proof=DIFFERING, relations=tuple(items))
    assert line in show.outcome_line(found, VALIDATE.words)
    assert f"30 compared, {total}\n" in shown(found)


def test_losses_of_one_kind_are_reported_together() -> None:
    losses = tuple(replace(LOSS, object=f"shop.r{n}") for n in range(60))
    said = shown(replace(OUTCOME, losses=losses), width=400)
    assert "60 losses" in said
    assert said.count(LOSS.message) == 1
    assert "shop.r4 and 55 more" in said


def test_a_schema_difference_is_not_said_to_be_mended_by_copying() -> None:
    schema = replace(DIFFERENCES[0], kind=DifferenceKind.SCHEMA)
    proof = Proof("full", differences=(schema,))
    assert "REPAIR" not in shown(replace(OUTCOME, state=State.DIFFERENT, proof=proof))


def test_the_largest_relations_are_shown_and_the_others_counted() -> None:
    said = shown(OUTCOME)
    assert "shop.r29 → store.r29" in said
    assert "and 20 smaller" in said


def test_json_holds_everything_that_text_leaves_out(moves: Moves, capsys: Capture) -> None:
    moves.answer = replace(OUTCOME, state=State.DIFFERENT, proof=DIFFERING)
    assert run(["migrate", *SIDES, "--json"]) == 1
    found = stdout_json(capsys)
    assert (len(found["relations"]), len(found["differences"])) == (30, 50)
    assert (found["rows"], found["state"]) == (435_000, "different")


def test_a_refusal_lists_every_problem_with_what_to_do(moves: Moves, capsys: Capture) -> None:
    other = replace(PROBLEM, object="extension postgis", hint="install it")
    moves.answer = replace(OUTCOME, state=State.REFUSED, reason=Reason(problems=(PROBLEM, other)))
    assert run(["migrate", *SIDES]) == 3
    said = capsys.readouterr().err
    for words in ("2 problems", "nothing was written", PROBLEM.hint, "extension postgis"):
        assert words in said


def test_one_answer_to_many_problems_is_said_once(moves: Moves, capsys: Capture) -> None:
    many = tuple(replace(PROBLEM, object=f"shop.r{n}") for n in range(60))
    moves.answer = replace(OUTCOME, state=State.REFUSED, reason=Reason(problems=many))
    assert run(["migrate", *SIDES]) == 3
    said = capsys.readouterr().err
    assert all(f"shop.r{n}: " in said for n in range(60))
    assert said.count(PROBLEM.hint) == 1


def test_progress_and_notices_go_to_stderr(moves: Moves, capsys: Capture) -> None:
    run(["migrate", *SIDES])
    said = capsys.readouterr()
    assert 'notice="something to know"' in said.err
    assert "something to know" not in said.out


def test_quiet_is_two_lines_and_no_progress(moves: Moves, capsys: Capture) -> None:
    run(["migrate", "--source", "old", "--target", "new", "-q"])  # no password to be warned of
    said = capsys.readouterr()
    assert said.err == ""
    assert len(said.out.splitlines()) == 2


@pytest.mark.parametrize("width", [40, 80, 120])
def test_sentences_fit_the_terminal(width: int) -> None:
    notice = "shop.r1 was read from two snapshots, because the first was lost on the way"
    said = shown(replace(OUTCOME, relations=(), notices=(notice,), losses=(LOSS,) * 3), width)
    lines = click.unstyle(said).splitlines()
    sentences = [line for line in lines if "→" not in line]
    assert max(len(line) for line in sentences) <= max(width, 34)
