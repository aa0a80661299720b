"""Divides a plan's statements into the items of steps, each run in one transaction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from windlass.journal.records import ROLLBACK, Line
from windlass.model.chunk import Whole
from windlass.model.flow import Item, Result
from windlass.model.plan import Plan
from windlass.model.relation import Name
from windlass.model.statement import Phase, Statement
from windlass.model.units import several
from windlass.planning.chunks import is_shared

ATTACH_COST = 16 << 10  # bytes whose index would take as long to build
LARGE_OBJECTS_AT_ONCE = 32  # in one transaction

IN_ORDER = {
    Phase.SCHEMA: "create_target_schema",
    Phase.TABLES: "create_target_tables",
    Phase.ATTACH: "attach_indexes",
    Phase.FOREIGN_KEYS: "create_foreign_keys",
    Phase.REST: "create_triggers_and_rules",
    Phase.GRANTS: "grant_privileges",
    Phase.LAST: "create_event_triggers",
}
TRANSFERS = ("copy_tables", "copy_chunks")
SET_STEP = IN_ORDER[Phase.SCHEMA]  # the first step that changes something
CREATE_TABLES = IN_ORDER[Phase.TABLES]
SET_SEQUENCES = "set_sequences"
UNDOING = (ROLLBACK, "begun")  # the journal line of a rollback that takes more than one transaction
CONVERT_TABLES = "convert_tables_to_logged"
CREATE_INDEXES = "create_indexes"
CREATE_PRIMARY_KEYS = "create_primary_keys"
VALIDATE_FOREIGN_KEYS = "validate_foreign_keys"
SET_ASIDE = "set aside"  # the first step's item that runs before all others
BEFORE = "before"  # the first step's item that notes what a rollback restores
DEFAULTS = "default privileges"  # the first item of the grants step
REPOINT = "repoint_dependents"
REPOINTED = "references"  # the item that repoints all dependents at once


@dataclass(frozen=True, slots=True)
class Portion:
    item: Item
    statements: tuple[Statement, ...]
    is_free: bool = False  # whether it may run in any order with the step's other portions


def divide(plan: Plan) -> dict[str, list[Portion]]:
    """Every statement in exactly one portion, by step. The same plan divides the same way."""
    by_phase: dict[Phase, list[Statement]] = defaultdict(list)
    for statement in plan.statements:
        by_phase[statement.phase].append(statement)
    most = plan.how.most_statements
    found = {step: list(_in_order(by_phase[phase], most)) for phase, step in IN_ORDER.items()}
    found[CREATE_TABLES] = [*_by_component(by_phase[Phase.TABLES], most)]
    batches = {item.target: item.batch for item in plan.relations}
    sizes: dict[str, int] = defaultdict(int)
    for item in plan.relations:
        sizes[item.batch] += item.relation.size_bytes
    found[CONVERT_TABLES] = [
        portion
        for batch, some in _by_batch(by_phase[Phase.LOGGED], batches).items()
        for portion in _of_batch(batch, some, sizes, most)
    ]
    keys = _by_batch(by_phase[Phase.KEYS], batches)
    found[CREATE_INDEXES] = [
        portion for batch, some in keys.items() for portion in _indexes(batch, some, sizes, most)
    ]
    found[CREATE_PRIMARY_KEYS] = [
        portion
        for batch, some in keys.items()
        if _is_large(batch)
        for added in [_added(batch, some)]
        for portion in _of_batch(batch, added, _costs(added, sizes), most)
    ]
    found[VALIDATE_FOREIGN_KEYS] = [
        portion
        for batch, some in _by_batch(by_phase[Phase.VALIDATE], batches).items()
        for portion in _of_batch(batch, some, sizes, most)
    ]
    return found


def expected_items(plan: Plan) -> dict[str, list[str]]:
    """Every line in the journal of a finished run, except those that depend on the rows."""
    found = {step: [one.item.id for one in portions] for step, portions in divide(plan).items()}
    for load in plan.loads:
        is_cut = not isinstance(load.chunks[0].range, Whole)
        step = TRANSFERS[is_cut]
        found.setdefault(step, []).extend(chunk.id for chunk in load.chunks)
    if plan.dependents:
        found[REPOINT] = [REPOINTED, *(one.object for one in plan.dependents if one.validate)]
    return found


def load_result(lines: Sequence[Line]) -> Result:
    """The result of a load whose chunks have these lines."""
    return {
        "rows": sum(line.rows for line in lines),
        "bytes": sum(line.size_bytes for line in lines),
        "seconds": round(sum(line.seconds for line in lines), 3),
        "success": True,  # an item that fails has no result
    }


def _in_order(statements: Sequence[Statement], most: int) -> Iterator[Portion]:
    for start in range(0, len(statements), most):
        number = str(start // most + 1)
        yield Portion(Item(number), tuple(statements[start : start + most]))


def _by_component(statements: Sequence[Statement], most: int) -> Iterator[Portion]:
    """Independent components, run in parallel if there are many statements; a large component stays
    in order."""
    sizes = Counter(statement.component for statement in statements)
    half = max(most // 2, 1)
    free = {component for component, size in sizes.items() if component and size <= half}
    if len(statements) <= most:
        free = set()
    yield from _in_order([one for one in statements if one.component not in free], most)
    groups: dict[int, list[Statement]] = defaultdict(list)
    for statement in statements:
        if statement.component in free:
            groups[statement.component].append(statement)
    some: list[Statement] = []
    number = 0
    for place, group in enumerate(groups.values(), 1):
        some += group
        if len(some) >= half or place == len(groups):
            number += 1
            yield Portion(Item(f"relations {number}"), tuple(some), is_free=True)
            some = []


def _by_batch(
    statements: Iterable[Statement], batches: dict[Name, str]
) -> dict[str, list[Statement]]:
    """Statements by the batch of their relation; under "" those of partitioned relations and views,
    which wait for no rows."""
    found: dict[str, list[Statement]] = defaultdict(list)
    for statement in statements:
        batch = batches.get(statement.relation, "") if statement.relation else ""
        found[batch].append(statement)
    return dict(found)


def _is_large(batch: str) -> bool:
    return bool(batch) and not is_shared(batch)


def _added(batch: str, statements: Sequence[Statement]) -> list[Statement]:
    """Statements that come after the indexes of a large relation."""
    return [one for one in statements if not _is_built_alone(batch, one)]


def _costs(added: Sequence[Statement], sizes: Mapping[str, int]) -> Mapping[str, int]:
    """The cost of constraints: small if they take over an index; that of the index if one builds
    its own."""
    is_built = any(one.excludes for one in added)
    return sizes if is_built else dict.fromkeys(sizes, ATTACH_COST)


def _is_built_alone(batch: str, statement: Statement) -> bool:
    return _is_large(batch) and statement.kind in ("INDEX", "UNIQUE INDEX")


def _of_batch(
    batch: str, statements: Sequence[Statement], sizes: Mapping[str, int], most: int
) -> Iterator[Portion]:
    for number, portion in enumerate(_in_order(statements, most), 1):
        made = list(dict.fromkeys(str(one.relation or one.name) for one in portion.statements))
        id_ = f"{batch or 'relations without rows'} {number}"
        item = Item(id_, batch, sizes[batch], {"name": several(made), "names": made})
        yield Portion(item, portion.statements)


def _indexes(
    batch: str, statements: list[Statement], sizes: dict[str, int], most: int
) -> Iterator[Portion]:
    """Each index of a large relation separately, in parallel; all indexes of another batch
    together."""
    if not _is_large(batch):
        yield from _of_batch(batch, statements, sizes, most)
        return
    for statement in statements:
        if _is_built_alone(batch, statement):
            id_ = f"{statement.name.name} ({statement.id})"
            item = Item(id_, batch, sizes[batch], {"name": _index_name(statement)})
            yield Portion(item, (statement,))


def _index_name(statement: Statement) -> str:
    """The name of a constraint's index, without the relation that the archive puts in front."""
    name, relation = statement.name, statement.relation
    own = name.name.removeprefix(f"{relation.name} ") if relation else name.name
    return str(Name(name.schema, own))
