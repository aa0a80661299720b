"""Replaces words in the text of a statement, and proves that nothing else changed.

Few nodes of the tree have positions in the text. So each word that might be one of the leaves to
change is replaced by a unique mark, and the text is parsed again: the leaf that has the mark
belongs to the word. A word whose mark changes more than one leaf is grammar (``GRANT ... TO
PUBLIC``, ``WITH NO DATA``), not a name. The new text is parsed as well: its tree must equal the
first tree with exactly those leaves changed; otherwise this raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from windlass.engines.postgres.quoting import quote_identifier
from windlass.engines.postgres.syntax import Path, SyntaxProblem, Token, parse, scan, shape
from windlass.errors import WindlassError

Shape = dict[Path, object]  # a tree laid flat: its leaves' values, its nodes' types


def apply_edits(sql: str, tree: object, edits: dict[Path, str]) -> str:
    before = shape(tree)
    named = {before[path] for path in edits}
    words = [token for token in scan(sql) if _may_be(_word(sql, token), token, named)]
    found = _locate(sql, before, words)
    renamed = _splice(sql, {found[path]: new for path, new in edits.items() if path in found})
    if shape(trees_of(renamed)) != {**before, **edits}:
        raise WindlassError(
            f"cannot rename a schema in {head_of(sql)}: the new text would not mean the same",
            hint="please report this statement; until then leave the object out, "
            "or keep the schema's name",
        )
    return renamed


def _locate(sql: str, tree: Shape, words: Sequence[Token]) -> dict[Path, Token]:
    """Find the leaves that `words` belong to. Parses once if all are names, more often if some are
    grammar."""
    if not words:
        return {}
    marks = {f"windlass_{at}_mark": word for at, word in enumerate(words)}
    try:
        marked = shape(trees_of(_splice(sql, {word: mark for mark, word in marks.items()})))
    except SyntaxProblem:
        marked = {}
    found = {path: marks[leaf] for path, leaf in marked.items() if leaf in marks}
    if marked.keys() == tree.keys() and all(
        leaf == tree[path] for path, leaf in marked.items() if path not in found
    ):
        return found
    if len(words) == 1:
        return {}
    half = len(words) // 2
    return _locate(sql, tree, words[:half]) | _locate(sql, tree, words[half:])


def _splice(sql: str, words: Mapping[Token, str]) -> str:
    pieces: list[str] = []
    done = 0
    for token in sorted(words):
        word = _word(sql, token)
        pieces += sql[done : token.start], _quote(words[token], word, token)
        done = token.end
    return "".join([*pieces, sql[done:]])


def _word(sql: str, token: Token) -> str:
    return sql[token.start : token.end]


def _may_be(word: str, token: Token, named: set[object]) -> bool:
    """Whether the word may be one of the leaves `named`; always, if it has escapes."""
    if token.kind in ("SCONST", "USCONST", "UIDENT"):
        return True
    if word.startswith('"'):
        return word[1:-1].replace('""', '"') in named
    is_word = token.kind == "IDENT" or token.keyword != "NO_KEYWORD"
    return is_word and fold(word) in named


def _quote(value: str, word: str, token: Token) -> str:
    """`value` as a replacement for `word`: a name for a name, a string for a string."""
    if token.kind not in ("SCONST", "USCONST"):
        return quote_identifier(value)
    if word.startswith("$"):
        tag = word[: word.index("$", 1) + 1]
        if (tag + value + tag).find(tag, 1) == len(tag) + len(value):
            return tag + value + tag
    quoted = "'" + value.replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in value else quoted


def fold(text: str) -> str:
    """To lower case as the server does it: ASCII only."""
    return text.encode().lower().decode()


def head_of(sql: str) -> str:
    """The beginning of the statement, for people. Ends before the first string, which may be a
    password."""
    lines = [line for line in sql.splitlines() if line.strip() and not line.startswith("--")]
    head = re.split("['$]", lines[0], maxsplit=1)[0].strip() if lines else ""
    return f"`{head[:77]}...`" if len(head) > 80 else f"`{head}`"


def trees_of(sql: str) -> object:
    return tuple(statement.tree for statement in parse(sql))
