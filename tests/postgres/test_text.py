"""Text from a database cannot forge a line of our output, or control a terminal."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest

from command import DONE, windlass
from servers import Pair
from windlass.cli.endings import Ending, text_of
from windlass.cli.exits import Exit
from windlass.model.event import Noticed
from windlass.model.report import Problem
from windlass.model.text import coloured, json_text, one_line
from windlass.progress.lines import LineProgress
from windlass.run.summary import table

HOSTILE = {
    "psql": "harmless\n\\! id",
    "ansi": "\x1b[2J\x1b]0;owned\x07red",
    "c1": "\x9b2J",
    "return": "a\rWindlass: done",
    "direction": "abc\u202edcba\u2066",
    "separator": "a\u2028b\u2029c\x85d\x0be\x0cf",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_one_line_stays_one_line_of_letters(text: str) -> None:
    found = one_line(text)
    assert len(found.splitlines()) == 1 and found.isprintable()


def test_ordinary_text_is_left_as_it_is() -> None:
    for text in ("Grüße, 日本語 \U0001f469‍\U0001f680", 'o\'clock "x" \\d', ""):
        assert one_line(text) == text


def test_our_own_colours_stay() -> None:
    assert coloured("\x1b[1mbold\x1b[0m\n\x1b[2J") == "\x1b[1mbold\x1b[0m\n\\x1b[2J"


def test_json_means_what_it_meant() -> None:
    import json

    document = {"name": "a\x9b2J\u202e\n"}
    text = json_text(json.dumps(document, ensure_ascii=False))
    assert text.isprintable() and json.loads(text) == document


def forms(text: str) -> dict[str, Callable[[], str]]:
    def log() -> str:
        stream = StringIO()
        with LineProgress(stream) as emit:
            emit(Noticed(text))
        return stream.getvalue().rstrip("\n")

    problem = Problem(text, text, text)
    return {
        "ending": lambda: text_of(Ending(Exit.REFUSED, "m", text, (problem,))),
        "table": lambda: "\n".join(table([("a",), (text,)], right=set())),
        "log": log,
    }


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_every_form_keeps_as_many_lines_as_it_has_with_a_harmless_text(text: str) -> None:
    harmless = forms("x")
    for name, form in forms(text).items():
        found = form()
        assert len(found.splitlines()) == len(harmless[name]().splitlines()), name
        assert all(letter.isprintable() or letter == "\n" for letter in coloured(found)
                   if letter != "\x1b"), name  # fmt: skip


def test_a_plan_of_hostile_names_has_no_line_of_theirs(pair: Pair) -> None:
    name = "x\n\\! id\n<script>alert(1)</script> | `a` \x1b[2J"
    pair.source.run(
        f'create table "{name}" ("{name}" int)',
        f"comment on table \"{name}\" is e'a comment\\n\\\\! id\\n\x1b]0;owned\x07'",
    )
    for words in (("plan",), ("plan", "--format", "markdown")):
        said = windlass(*words, pair=pair).expect(DONE).stdout
        lines = said.split("\n")
        assert (
            "\x1b" not in said
            and "\x07" not in said
            and "<script>alert(1)"
            not in [line for line in lines if not line.startswith(("│", "CREATE", "ALTER"))]
        )
        if "markdown" not in words:
            assert not [line for line in lines if line.lstrip().startswith("\\!")]
    ran = windlass("migrate", pair=pair).expect(DONE)
    assert not [line for line in ran.said.split("\n") if line.lstrip().startswith("\\!")]
    assert "\x1b[2J" not in ran.said
