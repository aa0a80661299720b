"""A plan as text, for a terminal or a log."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import groupby

from windlass.model.outcome import RunDetail
from windlass.model.plan import Plan
from windlass.model.report import Problem
from windlass.model.text import in_lines, one_line
from windlass.planning.document.contents import (
    Detail,
    arrow,
    closing,
    ddl,
    dependent_lines,
    facts,
    loss_lines,
    other_lines,
    set_aside_lines,
    verdict,
    what_is_left,
)
from windlass.planning.document.tables import (
    RELATION_HEADER,
    RIGHT,
    column_cells,
    mapped_lines,
    relation_rows,
)
from windlass.planning.document.work import work

INDENT = "  "

WHOLE = 1_000_000  # the width where there is no terminal

BAR = "│ "  # before every line of SQL

Style = Callable[[str], str]


def text(
    plan: Plan,
    *,
    next_command: str,
    width: int = 100,
    wraps: bool = True,
    detail: Detail = Detail.FULL,
    heading: Style = str,
    left: RunDetail | None = None,
    restart_command: str = "",
) -> str:
    """The plan for a terminal or a log. `heading` may make headings stand out; `left` is the
    unfinished run that carries out the plan. Without `wraps` each problem and each object has one
    line."""
    line_width = width if wraps else WHOLE
    sections: list[tuple[str, Iterable[str]]] = [
        ("Problems", _problems(plan.findings.problems, line_width)),
        ("What is left", _pairs(what_is_left(plan, left), width)),
        ("Losses", (_bullet(words, width) for words in loss_lines(plan))),
        ("Notices", (_bullet(notice, width) for notice in plan.findings.notices)),
        ("Set aside on the target", _indented(set_aside_lines(plan), line_width)),
        ("What refers to it", (_bullet(words, width) for words in dependent_lines(plan))),
        ("Order of work", _pairs(work(plan), width, numbered=True)),
        ("Tables, in the order of copying", _relation_table(plan, width)),
        ("Views and the like", _indented(other_lines(plan), line_width)),
    ]
    if detail is Detail.FULL:
        sections += [
            ("Columns", _columns(plan)),
            ("Sequences", _indented((arrow(*pair) for pair in plan.sequences), line_width)),
            ("Statements, in the order of running", _statements(plan)),
        ]
    parts = [heading("Plan"), *_pairs(facts(plan, left), width), "", verdict(plan, left)]
    for title, lines in sections:
        parts += _section(heading(title), lines)
    restart = restart_command if left else ""
    parts += ["", verdict(plan, left), *closing(plan, next_command, restart)]
    return "\n".join(parts) + "\n"


def _section(title: str, lines: Iterable[str]) -> list[str]:
    """Nothing if there are no lines."""
    found = list(lines)
    return ["", title, *found] if found else []


def _pairs(
    pairs: Iterable[tuple[str, str]], width: int, *, numbered: bool = False
) -> Iterator[str]:
    found = list(pairs)
    widest = max((len(word) for word, _ in found), default=0)
    for number, (word, meaning) in enumerate(found, start=1):
        head = f"{INDENT}{number:>2}  " if numbered else INDENT
        head += f"{word:<{widest}}  "
        yield from _wrapped(meaning, width, head, " " * len(head))


def _wrapped(words: str, width: int, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        one_line(words),
        max(width, len(rest) + 20),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first]


def _bullet(words: str, width: int) -> str:
    return "\n".join(_wrapped(words, width, f"{INDENT}- ", f"{INDENT}  "))


def _problems(problems: Sequence[Problem], width: int) -> list[str]:
    """A hint is printed once for several problems in a row that share it."""
    lines = []
    for number, problem in enumerate(problems, start=1):
        next_hint = problems[number].hint if number < len(problems) else ""
        head = f"{INDENT}{number:>2}  "
        words = f"{problem.object}: {problem.message}"
        lines += _wrapped(words, width, head, " " * len(head))
        if problem.hint and problem.hint != next_hint:
            lines += _wrapped(f"→ {problem.hint}", width, " " * len(head), " " * (len(head) + 2))
    return lines


def _indented(lines: Iterable[str], width: int) -> Iterator[str]:
    return (each for line in lines for each in _wrapped(line, width, INDENT, INDENT * 2))


# columns of the table of relations, the least important first; JSON and Markdown have all of them
_SPARED = ("COPY format", "key", "indexes", "chunks")


def _relation_table(plan: Plan, width: int) -> list[str]:
    """Leaves out columns that the terminal has no room for: a wrapped table is unreadable."""
    if not plan.relations:
        return []
    header, rows = list(RELATION_HEADER), [list(row) for row in relation_rows(plan)]
    right = {header[at] for at in RIGHT}
    for name in ("", *_SPARED):
        if name:
            at = header.index(name)
            for line in (header, *rows):
                del line[at]
        lines = list(_table(header, rows, {header.index(one) for one in right if one in header}))
        if max(map(len, lines)) <= width:
            break
    return lines


def _columns(plan: Plan) -> Iterator[str]:
    for item in plan.relations:
        yield f"{INDENT}{one_line(arrow(item.relation.name, item.target))}"
        yield from (f"{INDENT * 2}{line}" for line in mapped_lines(item))
        cells = [column_cells(item, column) for column in item.columns]
        yield from _table((), cells, indent=INDENT * 2)


def _statements(plan: Plan) -> Iterator[str]:
    """Statements behind a bar, which shows where each begins and that it is not our own text."""
    for phase, items in groupby(ddl(plan), key=lambda item: item.phase):
        yield from ("", f"-- {phase}")
        for item in items:
            yield from (f"{BAR}{line}".rstrip() for line in in_lines(item.sql).split("\n"))


def _table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Collection[int] = frozenset(),
    indent: str = INDENT,
) -> Iterator[str]:
    """Aligned columns. Names are never cut, because a reviewer needs them whole."""
    found = [[one_line(cell) for cell in line] for line in ([header, *rows] if header else rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*found, strict=True)]
    for line in found:
        cells = (
            f"{cell:>{width}}" if at in right else f"{cell:<{width}}"
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield (indent + "  ".join(cells)).rstrip()
