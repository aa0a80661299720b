"""What users and developers read is in the field's own English: phrases that must not come back.

Only those that have no good use are here; of others, such as `words` or `places`, a reader decides.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md")])
FOLDERS = ("src", "tests", "bench", "demo", "dags", "ci")
MODULES = [path for name in FOLDERS for path in sorted(ROOT.glob(f"{name}/**/*.py"))]

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
    | does\ without
    | and\ should\ at
    | for\ ever
    | in\ silence
    | and\ its\ like
    | (is|are)\ none\ of\ ours
    | what\ there\ is
    | what\ (it|they)\ (has|have)\ of
    )\b""",
    re.VERBOSE,  # of text in lower case: three times as fast as to ignore case
)
# words of the code that mean nothing to a reader
PRIVATE = re.compile(
    r"\b(essence|tickets?|survivors?|strangers?|islands?|portions?)\b", re.IGNORECASE
)


def phrases(text: str) -> list[str]:
    return [found[0] for found in BAD.finditer(" ".join(text.lower().split()))]


def running(code: str) -> str:
    """Code as one line: comments of several lines and strings in several pieces in one piece."""
    return re.sub(r'"\s*f?"', "", re.sub(r"^\s*#", "", code, flags=re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_has_none_of_them(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert phrases(text) == []
    assert PRIVATE.findall(text) == []


def test_no_message_comment_or_docstring_has_one() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in MODULES
        if path.name != Path(__file__).name
        for found in phrases(running(path.read_text(encoding="utf-8")))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    # it waits, and by\n    # now nobody knows\n    pass",
        'say("it ends without "\n    f"a word of {name}")',
        '"""What is true\n\n    by now."""',
    ],
)
def test_one_in_several_lines_is_found(code: str) -> None:
    assert phrases(running(code))


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
        "--yes does without",
        "it waited for ever",
        "the table is none of ours",
        "it keeps what it has of them",
    ],
)
def test_one_that_comes_back_is_found(text: str) -> None:
    assert phrases(text)


@pytest.mark.parametrize(
    "text",
    ["rows are told apart", "its own", "on the way", "an answer", "it moves rows", "for every row"],
)
def test_good_english_is_not(text: str) -> None:
    assert phrases(text) == []
