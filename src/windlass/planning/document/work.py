"""The order of a plan's work: its phases, and what each does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from windlass.model.plan import Plan
from windlass.model.relation import Wire
from windlass.model.statement import Phase
from windlass.model.units import bytes_text, plural

_VERIFIES = {
    "none": "nothing",
    "counts": "schema, sequences and row counts",
    "full": "schema, sequences, row counts and the content of every row, by fingerprints",
}


# the definitions of two engines are not compared
_VERIFIES_ACROSS = {
    "none": "nothing",
    "counts": "row counts",
    "full": "row counts and the content of every row, by digests of the same text on both sides",
}


def verifies(plan: Plan) -> str:
    """What is compared after the copy."""
    return (_VERIFIES_ACROSS if plan.is_across else _VERIFIES)[plan.how.verify]


def work(plan: Plan) -> Iterator[tuple[str, str]]:
    """What happens, in order: phase and content."""
    kinds: dict[Phase, Counter[str]] = {phase: Counter() for phase in Phase}
    for statement in plan.statements:
        kinds[statement.phase][statement.kind.lower()] += 1
    if plan.set_aside:
        yield "set aside", _kinds(Counter(item.kind.lower() for item in plan.set_aside))
    for phase in Phase:
        if phase is Phase.KEYS and plan.how.copies_rows:
            yield "copy", _copying(plan)
        if phase is Phase.REST:
            yield from _after_the_rows(plan)
        if phase is Phase.LAST and plan.dependents:
            count = plural(len(plan.dependents), "object")
            yield "point", f"{count} that referred to set-aside objects, at the new ones, at once"
        if words := _kinds(kinds[phase]):
            yield str(phase), words + _note(plan, phase)
    if plan.how.copies_rows:
        yield "analyze", "statistics for the planner"
    if plan.how.verify != "none":
        yield "verify", verifies(plan)
    if plan.made.options.get("follow"):
        yield "follow", _FOLLOWING


def _note(plan: Plan, phase: Phase) -> str:
    if phase is Phase.KEYS and plan.how.tasks:  # a scheduler runs one step after another
        return "; when all rows are in"
    return _NOTES.get(phase, "")


_FOLLOWING = (
    "changes on the source, which gets a publication, a slot, event triggers and the schema"
    " windlass until finish or abandon removes them"
)
_NOTES = {
    Phase.KEYS: "; of each table as soon as its own rows are in",
    Phase.FOREIGN_KEYS: "; not valid at first",
    Phase.VALIDATE: "; side by side",
}


def _copying(plan: Plan) -> str:
    loads = plural(len(plan.loads), "transaction")
    words = f"{bytes_text(plan.size_bytes)} in {loads}, largest tables first, one snapshot"
    text = sum(item.wire is Wire.TEXT for item in plan.relations)
    if plan.is_across:
        return f"{words}; as text"
    return words + (f"; {plural(text, 'table')} as text, the others binary" if text else "")


def _after_the_rows(plan: Plan) -> Iterator[tuple[str, str]]:
    if plan.objects.large_objects.count and plan.how.copies_rows:
        yield "large objects", plural(plan.objects.large_objects.count, "large object")
    if plan.sequences:
        yield "sequences", f"{plural(len(plan.sequences), 'sequence')} set to the source's values"
    if plan.objects.materialized_views and plan.how.copies_rows:
        views = plural(len(plan.objects.materialized_views), "materialised view")
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
