"""The content of a plan in every form: its facts, its verdict, and its lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from windlass.model.outcome import RunDetail
from windlass.model.plan import Estimate, Plan, Server, SetAside
from windlass.model.report import count_losses
from windlass.model.statement import Phase
from windlass.model.units import bytes_text, plural, seconds_text
from windlass.planning.document.work import verifies
from windlass.planning.estimate import BUSY_TASK_SECONDS, TASK_SECONDS
from windlass.planning.left import left_verdict, left_work


class Detail(StrEnum):
    """How far a document goes."""

    BRIEF = "brief"  # up to the list of relations
    FULL = "full"  # every column, every statement


@dataclass(frozen=True, slots=True)
class Ddl:
    """A statement of the plan, with its name for people."""

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


def facts(plan: Plan, left: RunDetail | None = None) -> Iterator[tuple[str, str]]:
    """The plan in a few lines: words and their meanings."""
    made = f", made {plan.made.at} by windlass {plan.made.version}" if plan.made.at else ""
    yield "plan", plan.run + made
    yield "from", _server(plan.source)
    yield "to", _server(plan.target)
    renamed = [f"{old} as {new}" for old, new in plan.schemas.items() if old != new]
    kept = [old for old, new in plan.schemas.items() if old == new]
    yield "schemas", ", ".join([*kept, *renamed]) or "none"
    yield "copies", _moves(plan)
    tools = ", ".join(f"{name} {version}" for name, version in plan.made.tools.items())
    yield "with", f"{plural(plan.how.jobs, 'job')} side by side, DDL by {tools}"
    yield "verifies", verifies(plan)
    if plan.set_aside:
        count = plural(len(plan.set_aside), "object")
        yield "sets aside", f"{count} of the target, for windlass rollback to put back"
    if plan.how.copies_rows and left is None:
        yield "needs", _needs(plan)
    if left is None:
        yield "takes", f"{_takes(plan)}; {plan.estimate.basis}"
    options = {key: value for key, value in plan.made.options.items() if key != "jobs"}
    if options:
        yield "options", ", ".join(f"{key}: {_option(value)}" for key, value in options.items())


def _needs(plan: Plan) -> str:
    indexes = sum(item.relation.index_bytes for item in plan.relations)
    return (
        f"about {bytes_text(plan.size_bytes + indexes)} of disk on the target"
        f" ({bytes_text(plan.size_bytes)} of rows and {bytes_text(indexes)} of indexes, as on the"
        " source), and room for its WAL; free space cannot be read through SQL"
    )


def _takes(plan: Plan) -> str:
    work = _range(plan.estimate)
    if not plan.how.tasks:
        return work
    tasks = plan.how.tasks
    low, high = tasks * TASK_SECONDS, tasks * BUSY_TASK_SECONDS
    starting = f"{seconds_text(low)} to {seconds_text(high)}"
    return f"{work} of work, and {starting} to start {tasks} tasks one after another"


def _range(estimate: Estimate) -> str:
    low, high = estimate.low_seconds, estimate.high_seconds
    if not high:
        return f"about {seconds_text(estimate.seconds)}"
    return f"{seconds_text(low)} to {seconds_text(high)}"


def _option(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict) and any(isinstance(one, dict) for one in value.values()):
        return " ".join(value)
    if isinstance(value, dict):
        return " ".join(f"{old}={new}" for old, new in value.items())
    return str(value)


def _server(server: Server) -> str:
    return f"{server}, as {server.user}" if server.user else str(server)


def _moves(plan: Plan) -> str:
    relations = plural(len(plan.relations), "table")
    if not plan.how.copies_rows:
        return f"{relations}, their definitions only"
    chunks = sum(len(item.chunks) for item in plan.relations)
    words = [relations, f"about {plural(plan.estimate.rows, 'row')}"]
    words.append(f"{bytes_text(plan.size_bytes)} in {plural(chunks, 'chunk')}")
    if plan.objects.large_objects.count:
        words.append(plural(plan.objects.large_objects.count, "large object"))
    return ", ".join(words)


def verdict(plan: Plan, left: RunDetail | None = None) -> str:
    """Whether it can start, and what will be missing, in one line."""
    problems = plural(len(plan.findings.problems), "problem")
    losses = count_losses(plan.findings.losses) if plan.findings.losses else "No losses"
    if left and not plan.findings.problems:
        return left_verdict(left)
    if left:
        return f"{problems}: run {plan.run} is unfinished, and cannot be resumed as it is."
    if plan.findings.problems:
        return f"{problems}: this migration cannot start. {losses}."
    return f"No problems. {losses}."


def loss_lines(plan: Plan) -> Iterator[str]:
    """All losses, with those of the same kind together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for loss in plan.findings.losses:
        groups.setdefault((loss.kind, loss.message), []).append(loss.object)
    return (f"{kind}: {', '.join(some)}: {message}" for (kind, message), some in groups.items())


def set_aside_lines(plan: Plan) -> Iterator[str]:
    for item in plan.set_aside:
        signature = item.signature
        name = item.name if item.name.schema else item.name.name
        yield f"{item.kind.lower()} {name}{signature} → {_place(item)}"


def dependent_lines(plan: Plan) -> Iterator[str]:
    """Objects elsewhere that refer to set-aside ones, and what happens to them."""
    for one in plan.dependents:
        old = f"; the old one → {_place(one.aside)}" if one.aside else ""
        later = ", and validated" if one.validate else ", and refreshed" if one.refresh else ""
        new = ", ".join(one.refers_to)
        yield f"{one.object}: created again to refer to the new {new}{later}{old}"


def _place(item: SetAside) -> str:
    return f"schema {item.backup_schema}" if item.name.schema else f"renamed {item.backup_schema}"


def other_lines(plan: Plan) -> Iterator[str]:
    return (f"{kind.lower()} {arrow(*names)}" for kind, *names in plan.objects.others)


def closing(plan: Plan, next_command: str, restart: str = "") -> list[str]:
    """The last lines: what to run next. `restart` is given if a run is unfinished."""
    if plan.findings.problems:
        first = f"Nothing was written. Fix the problems above, then run: {next_command}"
    elif restart:
        first = f"Nothing was written. To resume it: {next_command}"
    else:
        first = f"Nothing was written. To run it: {next_command}"
    return [first, f"To undo what it has done and start over: {restart}"] if restart else [first]


def what_is_left(plan: Plan, left: RunDetail | None) -> Iterator[tuple[str, str]]:
    verify = verifies(plan) if plan.how.verify != "none" else ""
    return left_work(left, verify) if left else iter(())


def arrow(source: object, target: object) -> str:
    return str(source) if source == target else f"{source} → {target}"
