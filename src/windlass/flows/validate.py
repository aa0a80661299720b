"""The flow `validate`: are two databases equal, and if not, where. Also the end of `migrate`.

Reads only. Its steps work on any context that has a plan, a snapshot and sessions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from windlass.engines.postgres.archive import Dumping, find_pg_dump
from windlass.engines.postgres.catalog import read_existing, read_sequence_owners
from windlass.engines.postgres.fingerprint import (
    Fingerprint,
    pair,
    read_blocks,
    read_count,
    read_fingerprint,
    root_pair,
)
from windlass.engines.postgres.sequences import read_sequences
from windlass.flows.migration import Migration
from windlass.model.chunk import Range
from windlass.model.flow import Flow, Item, Result, Step
from windlass.model.plan import Arrival, Plan, RelationPlan
from windlass.model.relation import Name, Sequence
from windlass.model.report import Difference, DifferenceKind
from windlass.plan.chunks import block_ranges
from windlass.plan.planner import wanted
from windlass.plan.select import select_entries
from windlass.plan.statements import Surroundings, Written, write_statements
from windlass.spec.spec import Extent, Verify
from windlass.verify.content import find_differences
from windlass.verify.large_objects import differing_large_objects
from windlass.verify.schema import compare_schemas

VALIDATE_CONTENT = "validate_content"
SIDES = ("source", "target")


def validate_schema(run: Migration, _: Item) -> Result:
    """Dump both sides with one pg_dump, and compare what the target would be asked for."""
    if run.spec.extent is Extent.DATA or run.spec.verify_ is Verify.NONE:
        return {}
    found = _differing_schema(run)
    run.differ(found)
    return {"differences": len(found)}


def _differing_schema(run: Migration) -> list[Difference]:
    plan, spec = run.plan, run.spec
    pg_dump = find_pg_dump(plan.source.major, plan.target.major)
    assert pg_dump is not None  # the plan was made with it
    source = run.sessions().source(run.snapshot.id)
    target = run.sessions().target()
    dumps = [
        Dumping(pg_dump, run.source.environment(source), run.snapshot.id),
        Dumping(pg_dump, run.target.environment(target)),
    ]
    try:
        existing = read_existing(target)
        owners = read_sequence_owners(source)
        entries, there = (dump.entries() for dump in dumps)
    finally:
        for dump in dumps:
            dump.close()
    names = {item.relation.name for item in plan.relations} | {name for _, name, _ in plan.others}
    owned_by = {item.name: item.owner for item in owners if item.owner}
    selected = select_entries(entries, names, wanted(spec), owned_by).entries
    renamed = {old: new for old, new in plan.schemas.items() if old != new}

    def written(schemas: Mapping[str, str], some: object) -> Written:
        around = Surroundings(existing, plan.target.user, schemas, plan.target.superuser)
        return write_statements(some, around)  # type: ignore[arg-type]

    expected = written(renamed, selected)
    return compare_schemas(
        expected.statements,
        written({}, there).statements,
        excused=expected.reowned | {loss.object for loss in run.losses()},
        filled=() if run.only_compares else _filled(plan),
        names_not_null=plan.source.major >= 18,
    )


def _filled(plan: Plan) -> set[Name]:
    """Relations that keep the definitions they had on the target before the run."""
    return {item.target for item in plan.relations if item.arrival is Arrival.FILL}


# rows


def content_items(run: Migration) -> list[Item]:
    """Per side: the chunks of large relations one by one, a batch of small ones in one go."""
    if run.spec.verify_ is Verify.NONE or not run.plan.copies_rows:
        return []
    return [
        Item(f"{side} {load.id}", load.batch, load.size_bytes)
        for load in run.plan.loads
        for side in SIDES
    ]


def validate_content(run: Migration, item: Item) -> Result:
    """Fingerprints (or counts) of a load's chunks on one side, computed by that server."""
    side, _, load_id = item.id.partition(" ")
    found: dict[str, list[int | str]] = {}
    for chunk in run.load(load_id).chunks:
        relation = run.relation(chunk.relation)
        one = _read(run, relation, side, chunk.number, chunk.range)
        found[str(relation.enters)] = _json(_fingerprint(found.get(str(relation.enters))) + one)
    return {"fingerprints": found}


def _read(run: Migration, item: RelationPlan, name: str, number: int, range_: Range) -> Fingerprint:
    sides = pair(item, run.plan.source, run.plan.target)
    if name == "source":
        connection, side = run.sessions().source(run.snapshot.id), sides.source
    else:
        connection, side = run.sessions().target(), sides.target
        # its blocks are its own: the same number of ranges, over what it has
        if len(item.chunks) > 1:
            blocks = read_blocks(connection, side)
            ranges = block_ranges(blocks, len(item.chunks))
            if number >= len(ranges):
                return Fingerprint()
            range_ = ranges[number]
    if run.spec.verify_ is Verify.COUNTS:
        return Fingerprint(read_count(connection, side, range_))
    return read_fingerprint(connection, side, range_)


def _json(fingerprint: Fingerprint) -> list[int | str]:
    """A total may be more than 64 bits: as text."""
    return [fingerprint.rows, str(fingerprint.total)]


def _fingerprint(json: list[int | str] | None) -> Fingerprint:
    return Fingerprint(int(json[0]), int(json[1])) if json else Fingerprint()


def collect_all_results(run: Migration, _: Item) -> Result:
    """Add the fingerprints up, and look for the rows wherever the sums differ."""
    sums: dict[str, dict[str, Fingerprint]] = {side: defaultdict(Fingerprint) for side in SIDES}
    for item_id, result in run.results[VALIDATE_CONTENT].items():
        side = item_id.partition(" ")[0]
        for name, json in result["fingerprints"].items():
            sums[side][name] += _fingerprint(json)
    entered = {item.enters: item for item in run.plan.relations}
    differing = [
        item
        for name, item in entered.items()
        if sums["source"][str(name)] != sums["target"][str(name)]
    ]
    for item in differing:
        run.differ(_explain(run, item, sums))
    run.differing = differing
    if run.spec.verify_ is not Verify.NONE:
        run.verified = run.spec.verify_.value
    return {"relations": len(run.plan.relations), "differing": len(differing)}


def _explain(
    run: Migration, item: RelationPlan, sums: Mapping[str, Mapping[str, Fingerprint]]
) -> Iterator[Difference]:
    """The count first where it differs, then the rows themselves where they can be told."""
    name = str(item.enters)
    source, target = sums["source"][name], sums["target"][name]
    if source.rows != target.rows:
        yield Difference(
            DifferenceKind.COUNT,
            name,
            f"has {source.rows:,} rows on the source and {target.rows:,} on the target",
        )
    if run.spec.verify_ is not Verify.FULL:
        return
    yield from find_differences(
        run.sessions().source(run.snapshot.id),
        run.sessions().target(),
        root_pair(item, run.plan.source, run.plan.target),
        show_values=run.show_values,
    )


def validate_sequences(run: Migration, _: Item) -> Result:
    """Against what the run has set, as the source goes on counting; else against the source."""
    if run.spec.verify_ is Verify.NONE or not run.plan.sequences:
        return {}
    states = {
        str(state.name): state
        for state in read_sequences(
            run.sessions().target(), [target for _, target in run.plan.sequences], side="target"
        )
    }
    for name, wanted_state in _wanted_sequences(run).items():
        found = states[name]
        if (found.last_value, found.is_called) != wanted_state:
            wanted_say = _say(Sequence(found.name, *wanted_state))
            message = f"stands at {_say(found)}, and should at {wanted_say}"
            run.differ([Difference(DifferenceKind.SEQUENCE, name, message)])
    return {"sequences": len(states)}


def _wanted_sequences(run: Migration) -> dict[str, tuple[int, bool]]:
    """By the sequence's name on the target."""
    values = run.results["set_sequences"].get("", {}).get("values")
    if values is not None:
        return {name: (value, called) for name, (value, called) in values.items()}
    source = run.sessions().source(run.snapshot.id)
    pairs = run.plan.sequences
    states = read_sequences(source, [name for name, _ in pairs], side="source")
    return {
        str(target): (state.last_value, state.is_called)
        for (_, target), state in zip(pairs, states, strict=True)
    }


def _say(state: Sequence) -> str:
    return f"{state.last_value}{'' if state.is_called else ' (not called yet)'}"


def validate_large_objects(run: Migration, _: Item) -> Result:
    """By a digest of each, computed by its server."""
    if run.spec.verify_ is not Verify.FULL or not run.plan.large_objects.count:
        return {}
    found = list(
        differing_large_objects(run.sessions().source(run.snapshot.id), run.sessions().target())
    )
    run.differing_large_objects = [oid for oid, _ in found]
    run.differ(difference for _, difference in found)
    return {"objects": run.plan.large_objects.count}


def read_both_sides(run: Migration, _: Item) -> Result:
    """Plan the comparison; it writes nothing and takes no lock."""
    run.begin_reading()
    return {"relations": len(run.plan.relations)}


VALIDATE: Flow[Migration] = Flow(
    "validate",
    (
        Step("read_both_sides", read_both_sides),
        Step("validate_schema", validate_schema, ("read_both_sides",)),
        Step(VALIDATE_CONTENT, validate_content, ("read_both_sides",), items=content_items),
        Step("validate_sequences", validate_sequences, ("read_both_sides",)),
        Step("validate_large_objects", validate_large_objects, ("read_both_sides",)),
        Step("collect_all_results", collect_all_results, (VALIDATE_CONTENT, "validate_schema")),
    ),
)
