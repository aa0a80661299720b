"""A `Plan` as the document that a reviewer signs: text, Markdown, or JSON. Pure functions.

All three say the same, the short and grave first: what moves, what it takes, what stands in the
way, what will be missing; then the long parts: relations, columns, DDL.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import TypeVar

from windlass.model.chunk import BlockRange, Chunk, KeyRange, NullKeys
from windlass.model.outcome import RunDetail
from windlass.model.plan import Arrival, ColumnPlan, Estimate, Plan, RelationPlan, Server, SetAside
from windlass.model.relation import Wire
from windlass.model.report import Loss, Problem, count_losses
from windlass.model.statement import Phase
from windlass.model.text import in_lines, one_line
from windlass.model.units import bytes_text, plural, seconds_text
from windlass.planning.left import left_json, left_verdict, left_work

INDENT = "  "
WHOLE = 1_000_000  # the width of what is no terminal
LONGEST_DEFAULT = 60  # JSON and the statements have all of it
BAR = "│ "  # before every line of SQL
_Item = TypeVar("_Item")
Style = Callable[[str], str]


class Detail(StrEnum):
    """How far a document goes."""

    BRIEF = "brief"  # up to the list of relations
    FULL = "full"  # every column, every statement


@dataclass(frozen=True, slots=True)
class Ddl:
    """A statement of the plan under the name a person knows it by."""

    phase: Phase
    object: str
    sql: str


def ddl(plan: Plan) -> list[Ddl]:
    """Every statement that would run, in the order of the run."""
    found = [Ddl(item.phase, str(item), _ended(item.sql)) for item in plan.statements]
    return [item for phase in Phase for item in found if item.phase is phase]


def _ended(sql: str) -> str:
    sql = sql.strip()
    return sql if sql.endswith(";") else f"{sql};"


# ---------------------------------------------------------------------------- what every form says


def _facts(plan: Plan, left: RunDetail | None = None) -> Iterator[tuple[str, str]]:
    """The plan in a few lines, as word and meaning."""
    made = f", made {plan.made_at} by windlass {plan.version}" if plan.made_at else ""
    yield "plan", plan.run + made
    yield "from", _server(plan.source)
    yield "to", _server(plan.target)
    renamed = [f"{old} as {new}" for old, new in plan.schemas.items() if old != new]
    kept = [old for old, new in plan.schemas.items() if old == new]
    yield "schemas", ", ".join([*kept, *renamed]) or "none"
    yield "copies", _moves(plan)
    yield "with", f"{plural(plan.jobs, 'job')} side by side, DDL by pg_dump {plan.pg_dump}"
    yield "verifies", _VERIFIES[plan.verify]
    if plan.set_aside:
        count = plural(len(plan.set_aside), "object")
        yield "sets aside", f"{count} of the target, for windlass rollback to put back"
    if plan.copies_rows and left is None:
        yield "needs", _needs(plan)
    if left is None:
        yield "takes", f"{_takes(plan.estimate)}; {plan.estimate.basis}"
    options = {key: value for key, value in plan.options.items() if key != "jobs"}
    if options:
        yield "options", ", ".join(f"{key}: {_option(value)}" for key, value in options.items())


def _needs(plan: Plan) -> str:
    indexes = sum(item.relation.index_bytes for item in plan.relations)
    return (
        f"about {bytes_text(plan.size_bytes + indexes)} of disk on the target"
        f" ({bytes_text(plan.size_bytes)} of rows and {bytes_text(indexes)} of indexes, as on the"
        " source), and room for its WAL; free space cannot be read through SQL"
    )


def _takes(estimate: Estimate) -> str:
    low, high = estimate.low_seconds, estimate.high_seconds
    if not high:
        return f"about {seconds_text(estimate.seconds)}"
    return f"{seconds_text(low)} to {seconds_text(high)}"


def _option(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return " ".join(f"{old}={new}" for old, new in value.items())
    return str(value)


_VERIFIES = {
    "none": "nothing",
    "counts": "schema, sequences and row counts",
    "full": "schema, sequences, row counts and the content of every row, by fingerprints",
}


def _server(server: Server) -> str:
    return f"{server}, as {server.user}"


def _moves(plan: Plan) -> str:
    relations = plural(len(plan.relations), "table")
    if not plan.copies_rows:
        return f"{relations}, their definitions only"
    chunks = sum(len(item.chunks) for item in plan.relations)
    words = [relations, f"about {plural(plan.estimate.rows, 'row')}"]
    words.append(f"{bytes_text(plan.size_bytes)} in {plural(chunks, 'chunk')}")
    if plan.large_objects.count:
        words.append(plural(plan.large_objects.count, "large object"))
    return ", ".join(words)


def _verdict(plan: Plan, left: RunDetail | None = None) -> str:
    """What stands in the way, and what will be missing, in one line."""
    problems = plural(len(plan.problems), "problem")
    losses = count_losses(plan.losses) if plan.losses else "No losses"
    if left and not plan.problems:
        return left_verdict(left)
    if left:
        return f"{problems}: run {plan.run} is unfinished, and cannot be resumed as it is."
    if plan.problems:
        return f"{problems}: this migration cannot start. {losses}."
    return f"No problems. {losses}."


def _work(plan: Plan) -> Iterator[tuple[str, str]]:
    """What happens, in order: phase and content."""
    kinds: dict[Phase, Counter[str]] = {phase: Counter() for phase in Phase}
    for statement in plan.statements:
        kinds[statement.phase][statement.kind.lower()] += 1
    if plan.set_aside:
        yield "set aside", _kinds(Counter(item.kind.lower() for item in plan.set_aside))
    for phase in Phase:
        if phase is Phase.KEYS and plan.copies_rows:
            yield "copy", _copying(plan)
        if phase is Phase.REST:
            yield from _after_the_rows(plan)
        if phase is Phase.LAST and plan.dependents:
            count = plural(len(plan.dependents), "object")
            yield "point", f"{count} that referred to what is set aside, at the new, at once"
        if words := _kinds(kinds[phase]):
            yield str(phase), words + _NOTES.get(phase, "")
    if plan.copies_rows:
        yield "analyze", "statistics for the planner"
    if plan.verify != "none":
        yield "verify", _VERIFIES[plan.verify]


_NOTES = {
    Phase.KEYS: "; of each table as soon as its own rows are in",
    Phase.FOREIGN_KEYS: "; not valid at first",
    Phase.VALIDATE: "; side by side",
}


def _copying(plan: Plan) -> str:
    loads = plural(len(plan.loads), "transaction")
    words = f"{bytes_text(plan.size_bytes)} in {loads}, largest tables first, one snapshot"
    text = sum(item.wire is Wire.TEXT for item in plan.relations)
    return words + (f"; {plural(text, 'table')} as text, the others binary" if text else "")


def _after_the_rows(plan: Plan) -> Iterator[tuple[str, str]]:
    if plan.large_objects.count and plan.copies_rows:
        yield "large objects", plural(plan.large_objects.count, "large object")
    if plan.sequences:
        yield "sequences", f"{plural(len(plan.sequences), 'sequence')} set to the source's values"
    if plan.materialized_views and plan.copies_rows:
        views = plural(len(plan.materialized_views), "materialised view")
        yield "refresh", f"{views}, in the order of their dependencies"


def _kinds(counts: Counter[str]) -> str:
    found = ((_KINDS.get(kind, kind), count) for kind, count in counts.items() if count)
    return ", ".join(plural(count, kind, _several(kind)) for kind, count in found)


def _several(kind: str) -> str:
    if kind.endswith("s"):
        return kind
    if kind.endswith("y") and not kind.endswith("key"):
        return f"{kind[:-1]}ies"
    return f"{kind}es" if kind.endswith(("x", "ch", "ss")) else f"{kind}s"


_KINDS = {
    "fk constraint": "foreign key",
    "acl": "grant",
    "default acl": "default grant",
    "table attach": "attached partition",
    "index attach": "attached index",
    "fk validation": "foreign key",
    "sequence owned by": "sequence owner",
    "materialized view": "materialised view",
}


def _rows(rows: int) -> str:
    return f"{rows:,}" if rows >= 0 else "?"


def _cut(chunks: Sequence[Chunk]) -> str:
    """``14 by blocks``, ``3 by id``, ``1``."""
    if len(chunks) < 2:
        return str(len(chunks))
    match chunks[0].range:
        case BlockRange():
            how = "blocks"
        case KeyRange(key=key) | NullKeys(key=key):
            how = ", ".join(key)
        case _:
            how = "rows"
    return f"{len(chunks)} by {how}"


def _column(column: ColumnPlan) -> tuple[str, str, str]:
    """Name, type and remark, each with an arrow where the target's is another."""
    remarks = [
        "not null" if column.not_null else "",
        _shortened(column.fills_itself),
        "computed by the target" if column.generated else "",
    ]
    return (
        _arrow(column.source, column.target),
        _arrow(column.source_type, column.target_type),
        ", ".join(remark for remark in remarks if remark),
    )


def _shortened(text: str) -> str:
    text = one_line(text)
    return text if len(text) <= LONGEST_DEFAULT else f"{text[: LONGEST_DEFAULT - 1]}…"


def _arrow(source: object, target: object) -> str:
    return str(source) if source == target else f"{source} → {target}"


_ARRIVES = {
    Arrival.CREATE: "created",
    Arrival.REPLACE: "replaced",
    Arrival.FILL: "filled",
    Arrival.REFUSE: "exists",
}


def _losses(plan: Plan) -> Iterator[str]:
    """Every one; those of the same kind together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for loss in plan.losses:
        groups.setdefault((loss.kind, loss.message), []).append(loss.object)
    return (f"{kind}: {', '.join(some)}: {message}" for (kind, message), some in groups.items())


def _set_aside(plan: Plan) -> Iterator[str]:
    for item in plan.set_aside:
        signature = item.signature
        name = item.name if item.name.schema else item.name.name
        yield f"{item.kind.lower()} {name}{signature} → {_place(item)}"


def _dependents(plan: Plan) -> Iterator[str]:
    """What refers to set-aside objects from elsewhere, and what happens to it."""
    for one in plan.dependents:
        old = f"; the old one → {_place(one.aside)}" if one.aside else ""
        later = ", and validated" if one.validate else ", and refreshed" if one.refresh else ""
        new = ", ".join(one.refers_to)
        yield f"{one.object}: created again to refer to the new {new}{later}{old}"


def _place(item: SetAside) -> str:
    return f"schema {item.backup_schema}" if item.name.schema else f"renamed {item.backup_schema}"


def _others(plan: Plan) -> Iterator[str]:
    return (f"{kind.lower()} {_arrow(*names)}" for kind, *names in plan.others)


def _arrival(item: RelationPlan) -> str:
    words = _ARRIVES[item.arrival]
    return words if item.enters == item.target else f"{words}; rows go in through {item.enters}"


_RELATION_HEADER = (
    "#", "table", "rows", "size", "indexes", "key", "chunks", "COPY format", "on the target",
)  # fmt: skip
_RIGHT = frozenset({0, 2, 3, 4})


def _relation_rows(plan: Plan) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        (
            str(number),
            _arrow(item.relation.name, item.target),
            _rows(item.relation.rows),
            bytes_text(item.relation.size_bytes),
            bytes_text(item.relation.index_bytes),
            ", ".join(item.relation.keyset) or "none",
            _cut(item.chunks),
            str(item.wire),
            _arrival(item),
        )
        for number, item in enumerate(plan.relations, start=1)
    ]
    return [*rows, _sums(plan)] if len(rows) > 1 else rows


def _sums(plan: Plan) -> tuple[str, ...]:
    relations = [item.relation for item in plan.relations]
    return (
        "",
        "all",
        _rows(sum(max(one.rows, 0) for one in relations)),
        bytes_text(plan.size_bytes),
        bytes_text(sum(one.index_bytes for one in relations)),
        "",
        str(sum(len(item.chunks) for item in plan.relations)),
        "",
        "",
    )


def _closing(plan: Plan, next_command: str, restart: str = "") -> list[str]:
    """The last lines: what to run next. `restart` is given where a run is unfinished."""
    if plan.problems:
        first = f"Nothing was written. Fix the problems above, then run: {next_command}"
    elif restart:
        first = f"Nothing was written. To resume it: {next_command}"
    else:
        first = f"Nothing was written. To run it: {next_command}"
    return [first, f"To undo what it has done and start over: {restart}"] if restart else [first]


def _what_is_left(plan: Plan, left: RunDetail | None) -> Iterator[tuple[str, str]]:
    verify = _VERIFIES[plan.verify] if plan.verify != "none" else ""
    return left_work(left, verify) if left else iter(())


# ------------------------------------------------------------------------------------------- text


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
    """For a terminal or a log. `heading` may make headings stand out; `left` is the unfinished run
    that carries the plan out. Without `wraps` each problem and each object has one line."""
    line_width = width if wraps else WHOLE
    sections: list[tuple[str, Iterable[str]]] = [
        ("Problems", _problems(plan.problems, line_width)),
        ("What is left", _pairs(_what_is_left(plan, left), width)),
        ("Losses", (_bullet(words, width) for words in _losses(plan))),
        ("Notices", (_bullet(notice, width) for notice in plan.notices)),
        ("Set aside on the target", _indented(_set_aside(plan), line_width)),
        ("What refers to it", (_bullet(words, width) for words in _dependents(plan))),
        ("Order of work", _pairs(_work(plan), width, numbered=True)),
        ("Tables, in the order of copying", _relation_table(plan, width)),
        ("Views and the like", _indented(_others(plan), line_width)),
    ]
    if detail is Detail.FULL:
        sections += [
            ("Columns", _columns(plan)),
            ("Sequences", _indented((_arrow(*pair) for pair in plan.sequences), line_width)),
            ("Statements, in the order of running", _statements(plan)),
        ]
    parts = [heading("Plan"), *_pairs(_facts(plan, left), width), "", _verdict(plan, left)]
    for title, lines in sections:
        parts += _section(heading(title), lines)
    restart = restart_command if left else ""
    parts += ["", _verdict(plan, left), *_closing(plan, next_command, restart)]
    return "\n".join(parts) + "\n"


def _section(title: str, lines: Iterable[str]) -> list[str]:
    """Nothing at all when there is nothing to say."""
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
    """What to do is said once where several in a row have the same answer."""
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


# of the table of relations, the least missed first; JSON and Markdown have all of them
_SPARED = ("COPY format", "key", "indexes", "chunks")


def _relation_table(plan: Plan, width: int) -> list[str]:
    """Without some columns where a terminal has no room for them: a wrapped table is unreadable."""
    if not plan.relations:
        return []
    header, rows = list(_RELATION_HEADER), [list(row) for row in _relation_rows(plan)]
    right = {header[at] for at in _RIGHT}
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
        yield f"{INDENT}{one_line(_arrow(item.relation.name, item.target))}"
        yield from _table((), [_column(column) for column in item.columns], indent=INDENT * 2)


def _statements(plan: Plan) -> Iterator[str]:
    """Behind a bar, which shows where each begins and that it is none of our own text."""
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
    """Aligned columns; names are never cut, a reviewer needs them whole."""
    found = [[one_line(cell) for cell in line] for line in ([header, *rows] if header else rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*found, strict=True)]
    for line in found:
        cells = (
            f"{cell:>{width}}" if at in right else f"{cell:<{width}}"
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield (indent + "  ".join(cells)).rstrip()


# --------------------------------------------------------------------------------------- Markdown


def markdown(
    plan: Plan,
    *,
    next_command: str = "",
    detail: Detail = Detail.FULL,
    left: RunDetail | None = None,
    restart_command: str = "",
) -> str:
    """For an issue or a pull request; without a next command for a page that asks by itself."""
    numbered = enumerate(_work(plan), start=1)
    remaining = _what_is_left(plan, left)
    chapters: list[tuple[str, Iterable[str]]] = [
        ("Problems", _markdown_problems(plan)),
        ("What is left", (f"- **{word}**: {_escaped(what)}" for word, what in remaining)),
        ("Losses", _bullets(_losses(plan))),
        ("Notices", _bullets(plan.notices)),
        ("Set aside on the target", _bullets(_set_aside(plan))),
        ("What refers to it", _bullets(_dependents(plan))),
        ("Order of work", (f"{n}. **{word}**: {_escaped(what)}" for n, (word, what) in numbered)),
        ("Tables, in the order of copying", _markdown_relations(plan)),
        ("Views and the like", _bullets(_others(plan))),
    ]
    if detail is Detail.FULL:
        chapters += [
            ("Columns", _markdown_columns(plan)),
            ("Sequences", _bullets(_arrow(*pair) for pair in plan.sequences)),
            ("Statements, in the order of running", _markdown_statements(plan)),
        ]
    parts = [f"# Plan: {_escaped(plan.source.database)} to {_escaped(plan.target.database)}", ""]
    parts += [f"- **{word}**: {_escaped(meaning)}" for word, meaning in _facts(plan, left)]
    parts += ["", f"**{_verdict(plan, left)}**"]
    for title, lines in chapters:
        parts += _chapter(title, lines)
    if next_command:
        restart = f"`{restart_command}`" if left else ""
        parts += ["", "---", "", "  \n".join(_closing(plan, f"`{next_command}`", restart))]
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
        yield from _markdown_table(_RELATION_HEADER, _relation_rows(plan), _RIGHT)


def _markdown_problems(plan: Plan) -> Iterator[str]:
    for number, problem in enumerate(plan.problems, start=1):
        hint = f" — {_escaped(problem.hint)}" if problem.hint else ""
        yield f"{number}. **{_escaped(problem.object)}**: {_escaped(problem.message)}{hint}"


def _markdown_columns(plan: Plan) -> Iterator[str]:
    for item in plan.relations:
        yield f"### {_escaped(_arrow(item.relation.name, item.target))}"
        yield ""
        rows = [_column(column) for column in item.columns]
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


# ------------------------------------------------------------------------------------------- JSON


def document(plan: Plan, left: RunDetail | None = None) -> dict[str, object]:
    """For programs: plain numbers, every chunk, every statement."""
    return {
        "run": plan.run,
        "unfinished": left_json(left) if left else None,
        "made_at": plan.made_at,
        "version": plan.version,
        "options": dict(plan.options),
        "fingerprint": plan.fingerprint,
        "source": _server_json(plan.source),
        "target": _server_json(plan.target),
        "schemas": dict(plan.schemas),
        "summary": _summary_json(plan),
        "estimate": {
            "seconds": plan.estimate.seconds,
            "low_seconds": plan.estimate.low_seconds,
            "high_seconds": plan.estimate.high_seconds,
            "bytes": plan.estimate.size_bytes,
            "rows": plan.estimate.rows,
            "basis": plan.estimate.basis,
        },
        "jobs": plan.jobs,
        "verify": plan.verify,
        "pg_dump": plan.pg_dump,
        "copies_rows": plan.copies_rows,
        "problems": _each(
            plan.problems, lambda p: {"object": p.object, "message": p.message, "hint": p.hint}
        ),
        "losses": _each(plan.losses, Loss.to_json),
        "notices": list(plan.notices),
        "set_aside": _each(
            plan.set_aside,
            lambda item: {
                "kind": item.kind,
                "name": str(item.name),
                "signature": item.signature,
                "backup_schema": item.backup_schema,
            },
        ),
        "dependents": _each(
            plan.dependents,
            lambda one: {
                "object": one.object,
                "refers_to": list(one.refers_to),
                "backup_schema": one.aside.backup_schema if one.aside else None,
                "statements": [statement.sql for statement in one.statements],
            },
        ),
        "order": [{"phase": phase, "content": content} for phase, content in _work(plan)],
        "relations": _each(plan.relations, _relation_json),
        "others": [
            {"kind": kind, "source": str(source), "target": str(target)}
            for kind, source, target in plan.others
        ],
        "sequences": [{"source": str(s), "target": str(t)} for s, t in plan.sequences],
        "materialized_views": [str(name) for name in plan.materialized_views],
        "large_objects": plan.large_objects.count,
        "ddl": _each(
            ddl(plan),
            lambda item: {"phase": str(item.phase), "object": item.object, "sql": item.sql},
        ),
    }


def _each(items: Iterable[_Item], to_json: Callable[[_Item], object]) -> list[object]:
    return [to_json(item) for item in items]


def _server_json(server: Server) -> dict[str, object]:
    return {
        "place": server.place,
        "database": server.database,
        "user": server.user,
        "version": server.version_text,
        "identity": server.identity,
    }


def _summary_json(plan: Plan) -> dict[str, object]:
    return {
        "relations": len(plan.relations),
        "others": len(plan.others),
        "rows": plan.estimate.rows,
        "bytes": plan.size_bytes,
        "index_bytes": sum(item.relation.index_bytes for item in plan.relations),
        "chunks": sum(len(item.chunks) for item in plan.relations),
        "transactions": len(plan.loads),
        "sequences": len(plan.sequences),
        "large_objects": plan.large_objects.count,
        "statements": len(ddl(plan)),
        "set_aside": len(plan.set_aside),
        "losses": len(plan.losses),
        "problems": len(plan.problems),
    }


def _relation_json(item: RelationPlan) -> dict[str, object]:
    return {
        "source": str(item.relation.name),
        "target": str(item.target),
        "enters": str(item.enters),
        "arrival": str(item.arrival),
        "wire": str(item.wire),
        "rows": item.relation.rows if item.relation.rows >= 0 else None,
        "bytes": item.relation.size_bytes,
        "index_bytes": item.relation.index_bytes,
        "keyset": list(item.relation.keyset),
        "partition_of": str(item.relation.partition_of) if item.relation.partition_of else None,
        "batch": item.batch,
        "columns": [
            {
                "source": column.source,
                "source_type": column.source_type,
                "target": column.target,
                "target_type": column.target_type,
                "generated": column.generated,
                "not_null": column.not_null,
                "fills_itself": column.fills_itself,
            }
            for column in item.columns
        ],
        "chunks": [
            {"number": chunk.number, "range": str(chunk.range), "bytes": chunk.size_bytes}
            for chunk in item.chunks
        ],
    }
