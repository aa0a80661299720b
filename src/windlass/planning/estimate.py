"""How long a migration takes: a forecast of every step's work, and a range for the whole.

Pure: speeds come from outside, as constants of one machine, as measured on both servers, or as
learned from earlier runs into the same target. It decides nothing about the run.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from windlass.model.plan import Estimate, RelationPlan
from windlass.model.relation import Name, Wire
from windlass.model.statement import Phase, Statement
from windlass.planning.chunks import is_shared
from windlass.planning.naming import target_name

# Worker-seconds for a unit of work, from `python -m bench run estimates` on two cores.
COPY_BYTE = 1 / 55e6
TEXT_COPY = 1.6  # times COPY's binary form
INDEX_BYTE = 1 / 85e6  # of a B-tree; scanning its heap takes a quarter of that
SCAN_BYTE = INDEX_BYTE / 4
SLOW_METHODS = {"gin": 18.0, "gist": 9.0, "spgist": 6.0}  # times a B-tree, for each byte
EXCLUDE = 10.0  # times the index alone, as every row is looked up before it is added
FINGERPRINT_BYTE = 1 / 170e6  # on each side
COUNT_BYTE = 1 / 1e9
COMPARED_RELATION = 0.0008
ANALYZE_BYTE = 1 / 1.5e9
ANALYZE_VALUE = 0.8e-6  # of a sampled row
ANALYZE_RELATION = 0.0006
ANALYZE_PARTITION = 0.4  # times a table's time, as there is less to sample and to sort
# pages that are read, and rows that are sampled (300 times the statistics target)
ANALYZE_MOST = 30_000
FOREIGN_KEY_ROW = 0.5e-6
REFRESH_BYTE = 1 / 110e6  # of what the view's query reads
RELATION = 0.0018
LOAD = 0.03  # a transaction of rows, where a relation has its own
ITEM = 0.012  # an index or a comparison that only one relation has
STATEMENT = 0.0005
CREATE = 0.0015  # a relation, or an index without rows
CHECKED_STATEMENT = 0.0005
CHECK = 0.25  # pg_dump of the target, without writing the statements
START = 0.35  # reading both sides, and pg_dump
START_STATEMENT = 0.0004
SIDE_BY_SIDE = 0.8  # n workers do n to the power of this, as they share cores and disks
COMMIT_ROUND_TRIPS = 6  # for a relation, all its steps together
PAGE_BYTES = 8192
# From when a task of a scheduler is ready until it is done, without its work: Airflow 3.3 with the
# LocalExecutor, with idle cores and without. Rough, derived from how long whole runs took.
TASK_SECONDS, BUSY_TASK_SECONDS = 1.2, 4.0

# In these steps one worker is busy, and the others have nothing to do.
ALONE = (
    "create_target_schema", "attach_indexes", "create_foreign_keys", "analyze_partitioned",
    "create_triggers_and_rules", "grant_privileges", "refresh_materialized_views",
    "create_event_triggers", "validate_schema",
)  # fmt: skip

# The range: the forecast divided by this to the forecast times this.
MEASURED = 1.8
LEARNED = 1.5
_BUILDS = ("INDEX", "UNIQUE INDEX", "CONSTRAINT")
_METHOD = re.compile(r"\bUSING (\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Speeds:
    """How these servers compare with the machine on which the constants were measured.

    `cpu`: how many times as long the same work takes. `read_byte`: seconds to read a byte by COPY
    from the source; 0 if not measured. `round_trip`: seconds, both servers together. `correction`:
    how long earlier runs took, divided by their forecast. `spread`: the range goes from the
    forecast divided by this to the forecast times this.
    """

    cpu: float = 1.0
    read_byte: float = 0.0
    round_trip: float = 0.0
    correction: float = 1.0
    spread: float = 2.5
    basis: str = "assumed rates, not measured on your servers"


ASSUMED = Speeds()


@dataclass(frozen=True, slots=True)
class Work:
    """The work to do, as far as a forecast needs to know it."""

    relations: Sequence[RelationPlan]
    statements: Sequence[Statement]
    jobs: int
    verify: str
    copies_rows: bool
    arrives: bool = True  # otherwise both sides are only compared
    refreshed_bytes: int = 0  # bytes that materialised views read


def estimate(work: Work, speeds: Speeds) -> Estimate:
    """A range in seconds, and the forecast that it is based on."""
    steps = forecast(work, speeds)
    seconds = wall_seconds(work, steps, speeds)
    relations = work.relations if work.copies_rows else ()
    return Estimate(
        seconds=round(seconds, 1),
        low_seconds=round(seconds / speeds.spread, 1),
        high_seconds=round(seconds * speeds.spread, 1),
        size_bytes=sum(item.relation.size_bytes for item in relations),
        rows=sum(max(item.relation.rows, 0) for item in relations),
        basis=speeds.basis,
        steps={name: round(spent, 4) for name, spent in steps.items()},
        workers=float(work.jobs),
        refreshed_bytes=work.refreshed_bytes,
    )


def forecast(work: Work, speeds: Speeds) -> dict[str, float]:
    """Worker-seconds of each step, by its name, without steps that take almost no time."""
    by_phase: dict[Phase, int] = defaultdict(int)
    for statement in work.statements:
        by_phase[statement.phase] += 1
    factor = speeds.cpu * speeds.correction
    per_statement = STATEMENT * factor + speeds.round_trip
    per_create = CREATE * factor + speeds.round_trip
    per_relation = RELATION * factor + speeds.round_trip * COMMIT_ROUND_TRIPS
    found: dict[str, float] = {
        "create_target_schema": per_statement * by_phase[Phase.SCHEMA],
        "create_target_tables": per_create * by_phase[Phase.TABLES],
        "attach_indexes": per_statement * by_phase[Phase.ATTACH],
        "create_foreign_keys": _key_seconds(work, Phase.FOREIGN_KEYS, factor, per_statement),
        "create_triggers_and_rules": per_statement * by_phase[Phase.REST],
        "grant_privileges": per_statement * by_phase[Phase.GRANTS],
        "create_event_triggers": per_statement * by_phase[Phase.LAST],
    }
    if not work.copies_rows:
        found["validate_schema"] = _schema_seconds(work, factor)
        return found
    for item in work.relations if work.arrives else ():
        size = item.relation.size_bytes
        step = _copy_step(item)
        form = TEXT_COPY if item.wire is Wire.TEXT else 1.0
        byte = max(COPY_BYTE * form * factor, speeds.read_byte * speeds.correction)
        _add(found, step, size * byte + per_relation)
        if not is_shared(item.batch):
            _add(found, step, LOAD * factor * len(item.chunks))
        step = "analyze_partitioned" if item.relation.partition_of else "analyze_tables"
        _add(found, step, _analyze_seconds(item, factor) + speeds.round_trip)
    for item in work.relations if work.verify != "none" else ():
        byte = FINGERPRINT_BYTE if work.verify == "full" else COUNT_BYTE
        fixed = COMPARED_RELATION if is_shared(item.batch) else ITEM
        spent = (item.relation.size_bytes * byte + fixed) * factor + speeds.round_trip
        # the source's fingerprint is noted during the copy
        _add(found, _copy_step(item) if work.arrives else "validate_content", spent)
        _add(found, "validate_content", spent)
    for item, statement, spent in _index_seconds(work, factor):
        fixed = 0.0 if is_shared(item.batch) else ITEM * factor
        _add(found, _build_step(item, statement), spent + per_create + fixed)
    found["validate_foreign_keys"] = _key_seconds(work, Phase.VALIDATE, factor, per_statement)
    if work.arrives:
        found["refresh_materialized_views"] = REFRESH_BYTE * factor * work.refreshed_bytes
    if work.verify != "none":
        found["validate_schema"] = _schema_seconds(work, factor)
    return {name: spent for name, spent in found.items() if spent}


def _copy_step(item: RelationPlan) -> str:
    return "copy_chunks" if len(item.chunks) > 1 else "copy_tables"


def _add(found: dict[str, float], step: str, seconds: float) -> None:
    found[step] = found.get(step, 0.0) + seconds


def _schema_seconds(work: Work, factor: float) -> float:
    return (CHECK + CHECKED_STATEMENT * len(work.statements)) * factor


def _analyze_seconds(item: RelationPlan, factor: float) -> float:
    """ANALYZE reads a sample of rows, and the pages that they are in."""
    relation = item.relation
    pages, rows = (
        min(max(count, 0), ANALYZE_MOST)
        for count in (relation.scan_bytes // PAGE_BYTES, relation.rows)
    )
    values = rows * len(relation.columns)
    spent = pages * PAGE_BYTES * ANALYZE_BYTE + values * ANALYZE_VALUE + ANALYZE_RELATION
    return factor * spent * (ANALYZE_PARTITION if relation.partition_of else 1.0)


def _key_seconds(work: Work, phase: Phase, factor: float, per_statement: float) -> float:
    """Foreign keys look up every row, unless they are created NOT VALID."""
    schemas = {item.relation.name.schema: item.target.schema for item in work.relations}
    rows: dict[Name | None, int] = defaultdict(int)
    for item in work.relations:
        rows[item.target] += max(item.relation.rows, 0)
        if root := item.relation.partition_of:
            rows[target_name(root, schemas)] += max(item.relation.rows, 0)
    return sum(
        per_statement
        + (0 if "NOT VALID" in one.sql else FOREIGN_KEY_ROW * factor * rows[one.relation])
        for one in work.statements
        if one.phase is phase
    )


def _build_step(item: RelationPlan, statement: Statement) -> str:
    """The step that builds an index. Constraints of a large relation are added once its indexes
    exist; an index that only its constraint can build (EXCLUDE) is built at that time."""
    is_added = not is_shared(item.batch) and statement.kind == "CONSTRAINT"
    return "create_primary_keys" if is_added else "create_indexes"


def _index_seconds(work: Work, factor: float) -> Iterator[tuple[RelationPlan, Statement, float]]:
    """The time of every index statement: the bytes of its relation's indexes on the source, shared
    equally, and a scan of the relation."""
    by_relation = _indexes(work.statements)
    for item in work.relations:
        statements = by_relation.get(item.target, [])
        for one in statements:
            method = _METHOD.search(one.sql)
            slower = SLOW_METHODS.get(method[1].lower(), 1.0) if method else 1.0
            slower *= EXCLUDE if one.excludes else 1.0
            share = item.relation.index_bytes / len(statements)
            scan = item.relation.scan_bytes * SCAN_BYTE
            yield item, one, factor * (share * INDEX_BYTE * slower + scan)


def _indexes(statements: Iterable[Statement]) -> dict[Name | None, list[Statement]]:
    """Statements that build an index, by relation; not constraints that take over an index."""
    found: dict[Name | None, list[Statement]] = defaultdict(list)
    builds = [one for one in statements if one.phase is Phase.KEYS and one.kind in _BUILDS]
    built = {one.name for one in builds if one.kind != "CONSTRAINT"}
    for one in builds:
        if one.kind != "CONSTRAINT" or one.name not in built:
            found[one.relation].append(one)
    return found


def wall_seconds(work: Work, steps: Mapping[str, float], speeds: Speeds) -> float:
    """How long the work takes: that of a single worker, plus the rest divided by the jobs, but not
    less than the chain of the largest relation."""
    jobs = max(work.jobs, 1)
    factor = speeds.cpu * speeds.correction
    slowest: dict[Name | None, float] = {}
    for _, one, spent in _index_seconds(work, factor):
        slowest[one.relation] = max(slowest.get(one.relation, 0.0), spent)
    chain = max(
        (_chain(item, factor) + slowest.get(item.target, 0.0) for item in work.relations),
        default=0.0,
    )
    alone = sum(spent for name, spent in steps.items() if name in ALONE)
    spread = (sum(steps.values()) - alone) / jobs**SIDE_BY_SIDE
    is_copied = work.copies_rows and work.arrives
    begin = (START + START_STATEMENT * len(work.statements)) * factor
    return float(begin + alone + max(spread, chain if is_copied else 0.0))


def _chain(item: RelationPlan, factor: float) -> float:
    """The part of a relation that jobs cannot share: one chunk, followed by the slowest index."""
    return max((chunk.size_bytes for chunk in item.chunks), default=0) * COPY_BYTE * factor
