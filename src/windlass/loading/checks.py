"""Which of a load's options do not work with its table. Pure; `windlass.loading.words` finds faults
that do not depend on the table.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from windlass.model.export import Kind
from windlass.model.load import Expect, Expectation, Table
from windlass.model.load_words import LoadWords, Matched, Missing
from windlass.model.report import Problem
from windlass.model.wording import word

_MARKS = (Kind.BOOLEAN, Kind.TIMESTAMP, Kind.INSTANT, Kind.DATE)


def table_problems(
    words: LoadWords, table: Table, filled: Sequence[str], expected: Sequence[Expectation]
) -> Iterator[Problem]:
    """`filled` are the columns that the input fills; `table` has those that are created too."""
    known = [one.name for one in table.columns]
    for message, hint in (
        *_of_key(words, known, filled),
        *_of_history(words, table, filled),
        *_of_mark(words, table, filled),
        *_of_expectations(expected, known, filled),
    ):
        yield Problem(str(table.name), message, hint)


Fault = tuple[str, str]


def _of_key(words: LoadWords, known: Sequence[str], filled: Sequence[str]) -> Iterator[Fault]:
    for name in dict.fromkeys(words.key):
        if name not in known:
            yield f"the key's column {name} is not in the table", near(name, known)
        elif name not in filled:
            yield (
                f"the key's column {name} is not filled by the input",
                f"load it from a field: {word('columns', f'FIELD={name}')}",
            )
    if words.last_by and words.last_by not in filled:
        yield (
            f"{words.last_by}, by which the last duplicate is chosen, is not filled by the input",
            near(words.last_by, filled),
        )
    if words.matched is Matched.UPDATE and words.key and not set(filled) - set(words.key):
        yield (
            "every column that the input fills is part of the key, so nothing could be updated",
            f"give {word('load', 'insert')}",
        )


def _of_history(words: LoadWords, table: Table, filled: Sequence[str]) -> Iterator[Fault]:
    if not words.history:
        return
    for option, name in (("valid-from", words.valid_from), ("valid-to", words.valid_to)):
        column = table.column(name)
        if name in filled:
            yield f"column {name} is set by the history, and the input fills it", _leave_out(name)
        elif column is None and table.columns:
            yield (
                f"a history needs column {name}, which the table lacks",
                f"add it, or name another: {word(option)}",
            )
        elif column and column.kind not in (*_MARKS[1:], None):
            yield f"column {name} of the history is {column.type}", "it has to hold a time"
        elif column and option == "valid-to" and column.not_null:
            yield f"column {name} is NOT NULL, and a row that is still valid has no value", ""
    alone = [key for key in table.keys if set(key) <= set(words.key)]
    for key in alone:
        yield (
            f"{', '.join(key)} is unique in the table, which leaves no room for a row's versions",
            f"make it unique together with {words.valid_from}",
        )


def _of_mark(words: LoadWords, table: Table, filled: Sequence[str]) -> Iterator[Fault]:
    if words.missing is not Missing.MARK or not words.mark:
        return
    column = table.column(words.mark)
    if column is None:
        yield (
            f"column {words.mark}, for marks, is not in the table",
            near(words.mark, [one.name for one in table.columns]),
        )
    elif words.mark in filled:
        yield (
            f"column {words.mark} is set by the load, and the input fills it",
            _leave_out(words.mark),
        )
    elif column.kind not in (*_MARKS, None):
        yield f"column {words.mark}, for marks, is {column.type}", "it has to be boolean or a time"


def _of_expectations(
    expected: Sequence[Expectation], known: Sequence[str], filled: Sequence[str]
) -> Iterator[Fault]:
    for one in expected:
        for name in one.columns:
            if name not in filled:
                what = "is not filled by the input" if name in known else "is not in the table"
                yield f"expectation {one.described}: column {name} {what}", near(name, filled)
        if one.kind is Expect.FOREIGN_KEY and one.refers_to.count(".") not in (1, 2):
            yield (
                f"expectation {one.described}: {one.refers_to!r} is not schema.table.column",
                "write it as in customer_id: shop.customers.id",
            )
        if one.kind is Expect.ROWS and not (one.low or one.high):
            yield "expectation rows(): neither a least nor a greatest number is given", ""


def notices(words: LoadWords, table: Table) -> Iterator[str]:
    """What a user should know although it does not prevent the load."""
    is_unique = any(set(key) <= set(words.key) for key in table.keys)
    if words.key and table.columns and not words.history and not is_unique:
        yield (
            f"{table.name}: no unique constraint says that {', '.join(words.key)} tells rows"
            " apart: the load checks its own rows, and every row with the same key is changed"
        )


def near(name: str, names: Sequence[str]) -> str:
    found = difflib.get_close_matches(name, names, n=1)
    twins = [one for one in names if one.lower() == name.lower()]
    if twins or found:
        return f"did you mean {(twins or found)[0]}?"
    return f"there are {', '.join(names[:20])}" if names else ""


def _leave_out(name: str) -> str:
    return f"leave it out: {word('columns', f'{name}=')}"
