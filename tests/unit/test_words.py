"""What users read is in the field's own English: phrases that must not come back.

Only those that have no good use are here; of others, such as `words` or `places`, a reader decides.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md")])
MODULES = sorted(ROOT.glob("src/**/*.py"))
HELP = ROOT / "src/windlass/cli/commands.py"  # whose docstrings are shown

BAD = re.compile(
    r"""\b(
      of\ (one's|its|their|his|her|our|your)\ own
    | (goes|go|going|gone|went)\ on\b(?!\ to\b)
    | anew
    | (is|are|was|were|be|been)\ told\b(?!\ apart)
    | stands?\ at\ \{
    | in\ the\ way\b(?!\ (that|in|of\ doing))
    | by\ (now|then)
    | meanwhile
    | at\ last
    | without\ a\ word
    | has\ to\ be\ given
    | taken\ for\ abandoned
    | is\ there\ to\ confirm
    | takes?\ the\ words\ of
    | (is|are)\ for\ superusers\ to\ make
    | if\ that\ may\ be
    | used\ to\ be
    | namesake
    | (a|another|every|this|finished)\ move
    | where\ (it|they)\ stands?
    | (what\ )?stands\ there
    | not\ there\ any\ more
    | ought\ to
    | worth\ another\ try
    | by\ whatever
    | beside\ us
    | what\ is\ asked\ for
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
# words of the code that mean nothing to a reader
PRIVATE = re.compile(
    r"\b(essence|tickets?|survivors?|strangers?|islands?|portions?)\b", re.IGNORECASE
)


def phrases(text: str) -> list[str]:
    return [found[0] for found in BAD.finditer(" ".join(text.split()))]


def strings(path: Path) -> Iterator[str]:
    """What code says, without docstrings; both halves of a string with values in it together."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bodies = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    hidden = set()
    for node in ast.walk(tree):  # a docstring comes after what it is about
        if isinstance(node, bodies):
            if node.body and isinstance(node.body[0], ast.Expr):
                hidden.add(id(node.body[0].value))
        elif isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
        elif isinstance(node, ast.Constant) and (path == HELP or id(node) not in hidden):
            yield node.value if isinstance(node.value, str) else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_has_none_of_them(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert phrases(text) == []
    assert PRIVATE.findall(text) == []


def test_no_message_has_one() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {text[:70]!r}"
        for path in MODULES
        for text in strings(path)
        if phrases(text)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "a folder of its own",
        "the run\ngoes on",
        "it is told",
        "what is in the way",
        "by now",
        "rows are changed where they stand",
        "it used to be",
        "every move",
        "if that may be",
        "what stands there",
        "it ought to be",
        "the backup is not there any more",
    ],
)
def test_one_that_comes_back_is_found(text: str) -> None:
    assert phrases(text)


@pytest.mark.parametrize(
    "text", ["rows are told apart", "its own", "on the way", "an answer", "it moves rows"]
)
def test_good_english_is_not(text: str) -> None:
    assert phrases(text) == []
