"""A hint names a word of the spec, and each shell spells it its own way."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import windlass as package
from windlass.cli.commands import windlass
from windlass.cli.spelling import as_option
from windlass.flows.registry import entries_of, spec_flows
from windlass.model.wording import PASSWORD, Spelling, all_spelled, as_keyword, spelled, word

ROOT = Path(package.__file__).parent
# Shells speak as they like; these speak to pg_dump, to the server, and to commands.
OTHERS = {"cli", "airflow", "django", "demo"}
TO_PROGRAMS = {"pg_dump.py", "archive.py", "embedded.py", "actions.py"}
# Made into a page of the documentation, which is about the command line.
PAGES = {"privileges.py"}

SPELT = re.compile(r"(?<![\w-])--[a-z]|[ (]--$")

SPELLINGS = [
    (as_option, "existing", "replace", "--existing replace"),
    (as_option, "one-snapshot", "", "--one-snapshot"),
    (as_option, "connection", "", "--target"),
    (as_option, "restart", "", "--restart"),
    (as_option, "exclude", "shop.log", "--exclude 'shop.log'"),
    (as_option, "exclude", "shop.it's", """--exclude 'shop.it'"'"'s'"""),
    (as_option, "exclude", "shop.a table", "--exclude 'shop.a table'"),
    (as_option, "exclude", "shop.‹x›", "--exclude 'shop.‹x›'"),
    (as_keyword, "existing", "replace", "existing='replace'"),
    (as_keyword, "one-snapshot", "", "one_snapshot"),
]


@pytest.mark.parametrize(("spelling", "name", "value", "text"), SPELLINGS)
def test_each_shell_spells_a_word_its_own_way(
    spelling: Spelling, name: str, value: str, text: str
) -> None:
    assert spelled(f"try {word(name, value)}, or not", spelling) == f"try {text}, or not"


def test_other_text_is_left_as_it_is() -> None:
    text = "a table ‹existing=replace› of a user’s"
    assert spelled(text, as_option) == text


def test_a_word_reads_well_where_nobody_spells_it() -> None:
    assert word("existing", "replace").replace("\u2063", "") == "‹existing=replace›"


def test_a_line_is_never_broken_within_a_word() -> None:
    assert len(word("exclude", "shop.a table of mine").split(" ")) == 1


def test_all_texts_of_plain_data_are_spelled() -> None:
    found = all_spelled({"a": [word("jobs"), 1, None], "b": (word("jobs"),)}, as_option)
    assert found == {"a": ["--jobs", 1, None], "b": ("--jobs",)}


def test_every_word_in_a_message_is_an_option_of_a_command() -> None:
    known = {
        flag.removeprefix("--")
        for command in windlass.commands.values()
        for param in command.params
        if isinstance(param, click.Option)
        for flag in param.opts
    }
    known |= {entry.word for flow in spec_flows() for entry in entries_of(flow).values()}
    used = {name for path in sources(()) for name in words_in(path)}
    assert {"existing", "accept", "jobs", "restart"} <= used
    assert used - known == {PASSWORD} & used


def test_no_message_outside_of_a_shell_spells_an_option() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {text}"
        for path in sources(OTHERS)
        if path.name not in TO_PROGRAMS | PAGES
        for text in texts_in(path)
        if SPELT.search(text)
    ]
    of_export = [f"export.py: {flag}" for flag in ("--include", "--query", "--load-column")]
    of_load = [f"load.py: {flag}" for flag in ("--column", "--type")]
    flags = [*of_export, *of_load, "migrate.py: --type", "rewrite.py: --target"]  # of fields
    assert found == [f"spec/fields/{flag}" for flag in flags]


def sources(but: set[str] | tuple[()]) -> Iterator[Path]:
    for path in sorted(ROOT.rglob("*.py")):
        if path.relative_to(ROOT).parts[0] not in but:
            yield path


def words_in(path: Path) -> Iterator[str]:
    """The first argument of every call of `word`."""
    text = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)) if "word(" in text else ():
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "word":
            match node.args[0]:
                case ast.Constant(value=str(name)):
                    yield name
                case ast.Name(id="PASSWORD"):
                    yield PASSWORD


def texts_in(path: Path) -> Iterator[str]:
    """Every string but docstrings, of a file that may spell an option."""
    code = path.read_text(encoding="utf-8")
    if "--" not in code:
        return
    tree = ast.parse(code)
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    docstrings = set()
    for node in ast.walk(tree):  # a docstring comes after what it is about
        if isinstance(node, documented):
            docstrings |= {id(one.value) for one in node.body if isinstance(one, ast.Expr)}
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
        ):
            yield node.value
