"""SQLite's own SQL as tokens. Texts in its schema are read by tokens, never by patterns that a text
or a comment could mislead. Pure. https://www.sqlite.org/lang_createtable.html"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

_TOKEN = re.compile(
    r"""(?P<skipped>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<blob>[xX]'[0-9a-fA-F]*')
    | (?P<text>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
    | (?P<number>0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<mark>\|\||<<|>>|<=|>=|<>|!=|==|->>|->|.)""",
    re.VERBOSE | re.DOTALL,
)


class Sort(Enum):
    BLOB = "blob"
    TEXT = "text"
    QUOTED = "quoted"  # a name in quotes; in double quotes it may also be a text
    NUMBER = "number"
    WORD = "word"
    MARK = "mark"


@dataclass(frozen=True, slots=True)
class Token:
    sort: Sort
    text: str  # as it is written
    start: int
    end: int

    @property
    def upper(self) -> str:
        """The word in upper case; empty for anything else, so that a quoted name is never a
        keyword."""
        return self.text.upper() if self.sort is Sort.WORD else ""

    @property
    def name(self) -> str:
        """The name, without quotes. SQLite also accepts a text in place of a name."""
        if self.sort not in (Sort.QUOTED, Sort.TEXT):
            return self.text
        last = self.text[-1]
        return self.text[1:-1] if last == "]" else self.text[1:-1].replace(last * 2, last)


def tokens_of(text: str) -> list[Token]:
    return [
        Token(Sort(match.lastgroup), match[0], match.start(), match.end())
        for match in _TOKEN.finditer(text)
        if match.lastgroup != "skipped"
    ]


def group_end(tokens: Sequence[Token], at: int) -> int:
    """The position of the parenthesis that closes the one at `at`."""
    depth = 0
    for place in range(at, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[place].text, 0)
        if not depth:
            return place
    return len(tokens)


def parts_of(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """The parts between commas that are not inside parentheses."""
    begin = at = 0
    while at < len(tokens):
        if tokens[at].text == "(":
            at = group_end(tokens, at)
        elif tokens[at].text == ",":
            yield tokens[begin:at]
            begin = at + 1
        at += 1
    yield tokens[begin:]


def written(sql: str, tokens: Sequence[Token]) -> str:
    """The text of these, as it is in `sql`, comments included."""
    return sql[tokens[0].start : tokens[-1].end] if tokens else ""


def clear(sql: str, tokens: Sequence[Token], names: Collection[str]) -> str:
    """The expression in plain SQL: without comments, with quoted names in double quotes, and in
    single quotes what SQLite reads as a text because none of `names` is called that.
    https://www.sqlite.org/quirks.html#dblquote"""
    known = {name.lower() for name in names}
    pieces, end = [], tokens[0].start if tokens else 0
    for token in tokens:
        if token.start > end:
            pieces.append(" ")
        end = token.end
        if token.sort is not Sort.QUOTED:
            pieces.append(token.text)
        elif token.text[0] == '"' and token.name.lower() not in known:
            pieces.append("'{}'".format(token.name.replace("'", "''")))
        else:
            pieces.append('"{}"'.format(token.name.replace('"', '""')))
    return "".join(pieces)
