"""A plan as Markdown, for an issue, a pull request or a web page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from windlass.model.outcome import RunDetail
from windlass.model.plan import Plan
from windlass.model.statement import Phase
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


def markdown(
    plan: Plan,
    *,
    next_command: str = "",
    detail: Detail = Detail.FULL,
    left: RunDetail | None = None,
    restart_command: str = "",
) -> str:
    """The plan for an issue or a pull request. A page that asks for approval itself gets no next
    command."""
    numbered = enumerate(work(plan), start=1)
    remaining = what_is_left(plan, left)
    chapters: list[tuple[str, Iterable[str]]] = [
        ("Problems", _markdown_problems(plan)),
        ("What is left", (f"- **{word}**: {_escaped(what)}" for word, what in remaining)),
        ("Losses", _bullets(loss_lines(plan))),
        ("Notices", _bullets(plan.findings.notices)),
        ("Set aside on the target", _bullets(set_aside_lines(plan))),
        ("What refers to it", _bullets(dependent_lines(plan))),
        ("Order of work", (f"{n}. **{word}**: {_escaped(what)}" for n, (word, what) in numbered)),
        ("Tables, in the order of copying", _markdown_relations(plan)),
        ("Views and the like", _bullets(other_lines(plan))),
    ]
    if detail is Detail.FULL:
        chapters += [
            ("Columns", _markdown_columns(plan)),
            ("Sequences", _bullets(arrow(*pair) for pair in plan.sequences)),
            ("Statements, in the order of running", _markdown_statements(plan)),
        ]
    parts = [f"# Plan: {_escaped(plan.source.database)} to {_escaped(plan.target.database)}", ""]
    parts += [f"- **{word}**: {_escaped(meaning)}" for word, meaning in facts(plan, left)]
    parts += ["", f"**{verdict(plan, left)}**"]
    for title, lines in chapters:
        parts += _chapter(title, lines)
    if next_command:
        restart = f"`{restart_command}`" if left else ""
        parts += ["", "---", "", "  \n".join(closing(plan, f"`{next_command}`", restart))]
        parts += ["", "Reviewed by: ____________________ Date: ____________"]
    return "\n".join(parts) + "\n"


def _chapter(title: str, lines: Iterable[str]) -> list[str]:
    found = list(lines)
    return ["", f"## {title}", "", *found] if found else []


def _escaped(words: str) -> str:
    words = one_line(words)
    for letter in "\\`*_<>|[]&~":
        words = words.replace(letter, f"\\{letter}")
    return " ".join(words.split())


def _bullets(lines: Iterable[str]) -> Iterator[str]:
    return (f"- {_escaped(line)}" for line in lines)


def _markdown_relations(plan: Plan) -> Iterator[str]:
    if plan.relations:
        yield from _markdown_table(RELATION_HEADER, relation_rows(plan), RIGHT)


def _markdown_problems(plan: Plan) -> Iterator[str]:
    for number, problem in enumerate(plan.findings.problems, start=1):
        hint = f" — {_escaped(problem.hint)}" if problem.hint else ""
        yield f"{number}. **{_escaped(problem.object)}**: {_escaped(problem.message)}{hint}"


def _markdown_columns(plan: Plan) -> Iterator[str]:
    for item in plan.relations:
        yield f"### {_escaped(arrow(item.relation.name, item.target))}"
        yield ""
        for line in mapped_lines(item):
            yield from (_escaped(line), "")
        rows = [column_cells(item, column) for column in item.columns]
        yield from _markdown_table(("column", "type", "remark"), rows)
        yield ""


def _markdown_table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: frozenset[int] = frozenset(),
) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|" + "|".join(" --: " if at in right else " --- " for at in range(len(header))) + "|"
    for row in rows:
        yield f"| {' | '.join(_escaped(cell) for cell in row)} |"


def _markdown_statements(plan: Plan) -> Iterator[str]:
    statements = ddl(plan)
    fence = "```"
    while any(fence in item.sql for item in statements):
        fence += "`"
    for phase in Phase:
        if found := [in_lines(item.sql) for item in statements if item.phase is phase]:
            yield from (f"### {phase}", "", f"{fence}sql", "\n\n".join(found), fence, "")
