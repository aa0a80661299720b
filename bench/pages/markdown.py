"""Markdown shared by all pages: tables, goals, the origin of the figures."""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date

from bench.result import Case, Goal, Metric, Relation, Result, Statistic

WIDTH = 100
FROM_HERE_WHOLE = 100.0


def document(*blocks: str) -> str:
    """Blocks of Markdown, an empty line between them. Empty ones are left out."""
    return "\n\n".join(block.strip("\n") for block in blocks if block.strip()) + "\n"


def page_of(title: str, results: Sequence[Result], introduction: str, *blocks: str) -> str:
    """A page about one result: what was measured and where, then `blocks`, then the notes."""
    (result,) = results
    return document(
        f"# {title}",
        made_from(results),
        introduction,
        data_text(result),
        measured_on(result),
        surroundings_list(result),
        *blocks,
        notes(result),
    )


def section_of(title: str, result: Result, introduction: str, *blocks: str) -> str:
    """A section about one of a page's results: as `page_of`, with the goals."""
    return document(
        f"## {title}",
        introduction,
        data_text(result),
        measured_on(result),
        surroundings_list(result),
        *blocks,
        goals_table(result),
        notes(result),
    )


def paragraph(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns in which no row has anything are left out."""
    body = list(rows)
    kept = [at for at in range(len(head)) if not body or any(row[at] for row in body)]
    lines = [[line[at] for at in kept] for line in (head, *body)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "".join("| " + " | ".join(map(str.ljust, line, widths)) + " |\n" for line in lines)


def number(value: float) -> str:
    """With its significant decimals, at most two; below one, three."""
    if value >= FROM_HERE_WHOLE:
        return f"{value:,.0f}"
    return f"{value:.{2 if value >= 1 else 3}f}".rstrip("0").rstrip(".")


def fixed(value: float | None, decimals: int) -> str:
    """With this many decimals; "" if unknown."""
    return "" if value is None else f"{value:,.{decimals}f}"


Column = tuple[str, Callable[[Case], str]]
"""A column of a table of cases: its head, and what it shows of a case."""


def cases_table(head: str, cases: Iterable[Case], *columns: Column) -> str:
    """A row for each case: its title, then the columns."""
    rows = [[case.title, *(text(case) for _, text in columns)] for case in cases]
    return table([head, *(name for name, _ in columns)], rows)


def sections_by_group(
    results: Iterable[Result],
    sections: Mapping[str, tuple[str, str]],
    *columns: Column,
    head: Callable[[str], str] = lambda group: "",
) -> list[str]:
    """A section for each result, with a table for each group of its cases."""
    found = []
    for result in results:
        title, text = sections[result.benchmark]
        groups = dict.fromkeys(case.group for case in result.cases)
        tables = (cases_table(head(one), result.group(one), *columns) for one in groups)
        found.append(section_of(title, result, text, *tables))
    return found


def median_column(metric: Metric, decimals: int, head: str = "") -> Column:
    return head or metric.title, lambda case: median_of(case, metric, decimals)


def seconds_column(decimals: int = 1, head: str = "seconds") -> Column:
    """The median of the seconds, or that the case failed."""
    return head, lambda case: failed_or(case, median_of(case, Metric.SECONDS, decimals))


def span_column(metric: Metric, decimals: int) -> Column:
    return "min-max", lambda case: span_of(case, metric, decimals)


def failed_or(case: Case, text: str) -> str:
    return "**failed**" if case.failed else text


def median_of(case: Case, metric: Metric, decimals: int) -> str:
    return fixed(case.figure(metric), decimals)


def span_of(case: Case, metric: Metric, decimals: int) -> str:
    """The minimum and maximum of the repetitions."""
    spread = case.spread(metric)
    if spread is None:
        return ""
    if spread.runs == 1:
        return "one run"
    if spread.low is None or spread.high is None:
        return ""
    return f"{fixed(spread.low, decimals)}-{fixed(spread.high, decimals)}"


def bound_text(goal: Goal) -> str:
    if goal.at_most is not None:
        return f"at most {number(goal.at_most)}"
    return f"at least {number(goal.at_least)}" if goal.at_least is not None else ""


def verdict_text(goal: Goal) -> str:
    return "yes" if goal.is_reached else "**no**"


def goals_table(result: Result) -> str:
    """What was asked and what was measured; the empty string if nothing was asked."""
    rows = [
        [
            _goal_text(goal, result),
            bound_text(goal),
            "not measured" if goal.measured is None else number(goal.measured),
            verdict_text(goal),
        ]
        for goal in result.goals
    ]
    return table(["goal", "asked", "measured", "reached"], rows) if rows else ""


def _goal_text(goal: Goal, result: Result) -> str:
    metric = goal.metric.title
    if goal.statistic is Statistic.MINIMUM:
        metric = f"least {metric}"
    subject = _title(goal.subject, result)
    if goal.peer is None:
        return f"{subject}: {metric}"
    peer = _title(goal.peer, result)
    if goal.relation is Relation.DIFFERENCE:
        return f"{subject}: {metric} more than {peer}"
    return f"{subject} / {peer}: {metric}"


def _title(name: str, result: Result) -> str:
    case = result.case(name)
    return case.title if case else name


def made_from(results: Sequence[Result]) -> str:
    """Where the page's figures are kept, and how to measure again."""
    names = [result.benchmark for result in results]
    files = ", ".join(f"`{name}.json`" for name in names)
    return paragraph(
        f"`python -m bench render` writes this page from {files} in `bench/results/`;"
        f" `python -m bench run {' '.join(names)}` measures again."
    )


def measured_on(result: Result) -> str:
    """When it was measured, and what."""
    if result.transcribed:
        return paragraph(
            "These figures were measured before results were kept in files. They are those of"
            f" this page as of {day_text(result.transcribed.written_on)}; what it did not say is"
            " left out."
        )
    when = f"Measured on {day_text(result.day)}" if result.day else "Measured"
    revision = f", at revision {result.revision}" if result.revision else ""
    return f"{when}{revision}."


def data_text(result: Result) -> str:
    """What was measured, how often, and how busy the machine was before."""
    spreads = [case.spread(metric) for case in result.group("") for metric in Metric]
    runs = max((spread.runs for spread in spreads if spread and spread.runs), default=0)
    often = {0: "", 1: " One run each."}.get(runs, f" Medians of {runs} runs, in turn.")
    load = result.load_before
    before = f" Load before the run: {load:.2f}." if load is not None else ""
    return paragraph(f"Data: {result.data}.{often}{before}")


def day_text(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def surroundings_list(result: Result) -> str:
    """The machine, the versions and the servers' settings, as bullets."""
    around = result.surroundings
    facts = {**around.machine, **around.versions}
    if around.server_settings:
        settings = (f"{name}={value}" for name, value in around.server_settings.items())
        facts["settings of both servers"] = ", ".join(settings)
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def notes(result: Result) -> str:
    """What people wrote about the figures; says so if it is about earlier ones."""
    if not result.notes:
        return ""
    text = "\n".join(result.notes)
    if result.notes_on and result.day and result.notes_on != result.day:
        return f"Written about the figures of {day_text(result.notes_on)}:\n\n{text}"
    return text
