"""Long lines fit the terminal, names stay whole, and a pipe gets one line each."""

from __future__ import annotations

import os
import pty
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from fcntl import ioctl

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from command import REFUSED, environment, windlass
from sample_plan import refused_plan
from servers import Pair
from windlass.cli.endings import Ending, text_of
from windlass.cli.exits import Exit
from windlass.model.plan import SetAside
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.planning.document.text import text as plan_text
from windlass.progress.wrapping import WHOLE, hang

WIDTH = 80
LONG = (
    "a view of the target that refers to it cannot be made again, as a column of it is used there"
)
PROBLEM = Problem(
    "view shop.sales_of_last_year_by_region", LONG, f"drop it first, or keep it: {LONG}"
)


def test_problems_hang_below_their_number() -> None:
    said = click.unstyle(text_of(Ending(Exit.REFUSED, "refused", LONG, (PROBLEM,)), width=WIDTH))
    lines = said.splitlines()
    assert max(map(len, lines)) <= WIDTH
    first, second = lines[1:3]
    assert first.startswith("   1  view shop.") and second.startswith("      ")
    assert second[6] != " "


def test_what_is_no_terminal_gets_one_line_for_each_problem() -> None:
    said = text_of(Ending(Exit.REFUSED, "refused", "", (PROBLEM, PROBLEM)))
    assert said.count("\n") == 3  # two problems, and what to do about both


@given(st.text(), st.integers(20, 200))
def test_wrapping_loses_no_word(words: str, width: int) -> None:
    whole = " ".join(hang(words, WHOLE)[0].split())
    assert " ".join(" ".join(hang(words, width, "  → ")).split()).removeprefix("→").strip() == whole


@pytest.mark.parametrize("wraps", [True, False])
def test_a_plan_wraps_problems_and_what_is_set_aside_where_it_is_asked_to(wraps: bool) -> None:
    aside = SetAside(
        "FUNCTION", Name("shop", "price_of"), f"(IN {', IN '.join(['a numeric'] * 12)})", "backup"
    )
    plan = replace(refused_plan(PROBLEM), set_aside=(aside,))
    said = plan_text(plan, next_command="x", width=WIDTH, wraps=wraps)
    found = [line for line in said.splitlines() if line.startswith(("   1  view", "  function"))]
    assert len(found) == 2
    assert (max(map(len, found)) <= WIDTH) is wraps


def on_a_terminal(*words: str, pair: Pair, answer: bytes = b"") -> str:
    """What the command shows on one of eighty columns."""
    parent, child = pty.openpty()
    ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
    env = {**environment(pair), "TERM": "dumb"}
    process = subprocess.Popen(
        [sys.executable, "-m", "windlass", *words], stdin=child, stdout=child, stderr=child, env=env
    )
    os.close(child)
    os.write(parent, answer)
    said = b""
    while True:
        try:
            part = os.read(parent, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        said += part
    process.wait(60)
    os.close(parent)
    return click.unstyle(said.decode()).replace("\r\n", "\n")


def test_a_terminal_of_eighty_columns_is_enough(pair: Pair) -> None:
    name = "a_table_with_a_name_that_leaves_little_room_on_a_line"
    for side in (pair.source, pair.target):
        side.run(f"create table {name} (id int)")
    problem = f"   1  public.{name}: exists on"
    lines = on_a_terminal("migrate", "-q", pair=pair).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert any(line.startswith(problem) for line in lines)
    said = windlass("migrate", "-q", pair=pair).expect(REFUSED).stderr
    assert f"   1  public.{name}: exists on the target\n" in said


def test_the_question_before_a_rollback_fits_as_well(pair: Pair) -> None:
    pair.source.run("create table t (id int)")
    windlass("migrate", "-q", pair=pair).expect(0)
    run = pair.target.value("select run from windlass.run")
    said = on_a_terminal("rollback", "-q", run, pair=pair, answer=b"n\n")
    question = said[said.index("Rolling back run") :]
    assert max(map(len, question.splitlines())) <= WIDTH
    assert "Roll back? [y/N]" in " ".join(question.split())
