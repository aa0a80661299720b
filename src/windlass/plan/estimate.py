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

# Worker-seconds for a unit of work: first guesses, set by hand after runs beside other load, not
# measured on a quiet machine yet. `python -m bench.estimates` compares forecasts with runs.
COPY_BYTE = 1 / 62e6
TEXT_COPY = 1.6  # times as long as in COPY's binary form
INDEX_BYTE = 1 / 55e6  # of a B-tree; of the heap that is scanned for it a quarter
SCAN_BYTE = INDEX_BYTE / 4
SLOW_METHODS = {"gin": 9.0, "gist": 6.0, "spgist": 4.0}  # times as long for a byte as a B-tree
FINGERPRINT_BYTE = 1 / 170e6  # on each side
COUNT_BYTE = 1 / 1e9
ANALYZE_BYTE = 1 / 130e6
ANALYZE_RELATION = 0.006
ANALYZE_MOST_BYTES = 240e6  # 30,000 pages are sampled
FOREIGN_KEY_ROW = 0.5e-6
REFRESH_BYTE = 1 / 20e6
RELATION = 0.004
STATEMENT = 0.0015
CHECKED_STATEMENT = 0.0008
START = 0.9  # reading both sides, and pg_dump
COMMIT_ROUND_TRIPS = 6  # for a relation, all its steps together

# The range: the forecast divided by this to the forecast times this.
MEASURED = 1.8
LEARNED = 1.5
_BUILDS = ("INDEX", "UNIQUE INDEX", "CONSTRAINT")
_METHOD = re.compile(r"\bUSING (\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Speeds:
    """How these servers compare with the machine that the constants are from.

    `cpu`: times as long for the same work. `read_byte`: seconds for a byte of COPY from the source
    to here, 0 if not measured. `round_trip`: seconds, of both servers together. `correction`: what
    earlier runs took, over what they were forecast to. `spread`: the range goes from the forecast
    divided by it to the forecast times it.
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
    """What is to be done, as far as a forecast has to know it."""

    relations: Sequence[RelationPlan]
    statements: Sequence[Statement]
    jobs: int
    verify: str
    copies_rows: bool
    arrives: bool = True  # else both sides are only compared
    refreshed_bytes: int = 0  # of materialised views, on the source


def estimate(work: Work, speeds: Speeds) -> Estimate:
    """A range in seconds, and the forecast that it rests on."""
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
    )


def forecast(work: Work, speeds: Speeds) -> dict[str, float]:
    """Worker-seconds of each step, by its name; steps that take next to no time are left out."""
    by_phase: dict[Phase, int] = defaultdict(int)
    for statement in work.statements:
        by_phase[statement.phase] += 1
    factor = speeds.cpu * speeds.correction
    per_statement = STATEMENT * factor + speeds.round_trip
    per_relation = RELATION * factor + speeds.round_trip * COMMIT_ROUND_TRIPS
    found: dict[str, float] = {
        "create_target_schema": per_statement * by_phase[Phase.SCHEMA],
        "create_target_tables": per_statement * by_phase[Phase.TABLES],
        "attach_indexes": per_statement * by_phase[Phase.ATTACH],
        "create_foreign_keys": per_statement * by_phase[Phase.FOREIGN_KEYS],
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
        sampled = min(size, ANALYZE_MOST_BYTES)
        step = "analyze_partitioned" if item.relation.partition_of else "analyze_tables"
        spent = (sampled * ANALYZE_BYTE + ANALYZE_RELATION) * factor + speeds.round_trip
        _add(found, step, spent)
    for item in work.relations if work.verify != "none" else ():
        byte = FINGERPRINT_BYTE if work.verify == "full" else COUNT_BYTE
        spent = item.relation.size_bytes * byte * factor + speeds.round_trip
        # the source's is noted with the copy
        _add(found, _copy_step(item) if work.arrives else "validate_content", spent)
        _add(found, "validate_content", spent)
    rows = {one.target: max(one.relation.rows, 0) for one in work.relations}
    for _, spent in _index_seconds(work, factor):
        _add(found, "create_indexes", spent + per_statement)
    _add(found, "create_primary_keys", 0.2 * found.get("create_indexes", 0.0))
    found["validate_foreign_keys"] = sum(
        FOREIGN_KEY_ROW * factor * (rows.get(one.relation, 0) if one.relation else 0)
        + per_statement
        for one in work.statements
        if one.phase is Phase.VALIDATE
    )
    if work.arrives:
        found["refresh_materialized_views"] = REFRESH_BYTE * factor * work.refreshed_bytes
    if work.verify != "none":
        found["validate_schema"] = _schema_seconds(work, factor)
    return {name: spent for name, spent in found.items() if spent}


def _copy_step(item: RelationPlan) -> str:
    return "transfer_partition" if len(item.chunks) > 1 else "transfer_table_data"


def _add(found: dict[str, float], step: str, seconds: float) -> None:
    found[step] = found.get(step, 0.0) + seconds


def _schema_seconds(work: Work, factor: float) -> float:
    return 0.3 + CHECKED_STATEMENT * factor * len(work.statements)


def _index_seconds(work: Work, factor: float) -> Iterator[tuple[Statement, float]]:
    """Of every index statement: the bytes that its relation's indexes have on the source, shared
    equally, and a scan of the relation."""
    by_relation = _indexes(work.statements)
    for item in work.relations:
        statements = by_relation.get(item.target, [])
        for one in statements:
            method = _METHOD.search(one.sql)
            slower = SLOW_METHODS.get(method[1].lower(), 1.0) if method else 1.0
            share = item.relation.index_bytes / len(statements)
            scan = item.relation.size_bytes * SCAN_BYTE
            yield one, factor * (share * INDEX_BYTE * slower + scan)


def _indexes(statements: Iterable[Statement]) -> dict[Name | None, list[Statement]]:
    """Statements that build one, by relation: not a constraint that takes over an index."""
    found: dict[Name | None, list[Statement]] = defaultdict(list)
    builds = [one for one in statements if one.phase is Phase.KEYS and one.kind in _BUILDS]
    built = {one.name for one in builds if one.kind != "CONSTRAINT"}
    for one in builds:
        if one.kind != "CONSTRAINT" or one.name not in built:
            found[one.relation].append(one)
    return found


def wall_seconds(work: Work, steps: Mapping[str, float], speeds: Speeds) -> float:
    """All of the work over the jobs, but not less than the largest relation's own chain."""
    jobs = max(work.jobs, 1)
    factor = speeds.cpu * speeds.correction
    slowest: dict[Name | None, float] = {}
    for one, spent in _index_seconds(work, factor):
        slowest[one.relation] = max(slowest.get(one.relation, 0.0), spent)
    chain = max(
        (_chain(item, factor) + slowest.get(item.target, 0.0) for item in work.relations),
        default=0.0,
    )
    spread = sum(steps.values()) / jobs
    is_copied = work.copies_rows and work.arrives
    return START * speeds.correction + max(spread, chain if is_copied else 0.0)


def _chain(item: RelationPlan, factor: float) -> float:
    """Of what cannot be spread over jobs, a chunk; the slowest index comes after it."""
    return max((chunk.size_bytes for chunk in item.chunks), default=0) * COPY_BYTE * factor
