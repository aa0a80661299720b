"""The steps of the flow `validate`: whether two databases are equal, and where they differ. Some
also end `migrate`.

Reads only. Its steps work on any context that has a plan, a snapshot and sessions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from psycopg import sql

from windlass.engines.postgres.fingerprint import (
    Fingerprint,
    read_fingerprints,
)
from windlass.engines.postgres.presence import Present, read_presence
from windlass.engines.postgres.ranges import RANGES_SINCE
from windlass.engines.postgres.relation import block_count
from windlass.engines.postgres.sequences import read_sequences
from windlass.errors import Different, Refused, WindlassError
from windlass.flows.mapped.proving import differing_made_again, is_made_again, source_sum
from windlass.flows.migrate.sums import is_noted, read_noted
from windlass.flows.sides import Sides
from windlass.flows.validate.context import Comparison
from windlass.flows.validate.pairing import (
    noted,
    pair_among,
    partitioned,
    row_pair,
)
from windlass.flows.validate.unseen import unseen
from windlass.model.chunk import Chunk, Range, Whole
from windlass.model.event import Noticed
from windlass.model.flow import Item, Result
from windlass.model.outcome import State
from windlass.model.plan import Load, Plan, Purpose, RelationPlan
from windlass.model.relation import Name
from windlass.model.relation import Sequence as SequenceState
from windlass.model.report import Difference, DifferenceKind, LossClass, Problem
from windlass.model.units import plural, several
from windlass.planning.chunks import block_ranges
from windlass.planning.postgres.inputs import wanted
from windlass.planning.postgres.privileges import Privilege
from windlass.spec.choices import Extent, Verify
from windlass.verifying.postgres.content import LIMIT
from windlass.verifying.postgres.content import find_differences as find_differing_rows
from windlass.verifying.postgres.large_objects import count_extra, differing_large_objects

VALIDATE_CONTENT = "validate_content"
VALIDATE_LARGE_OBJECTS = "validate_large_objects"
VALIDATE_SCHEMA = "validate_schema"
VALIDATE_SEQUENCES = "validate_sequences"
SIDES = ("source", "target")
MOST_NAMED = 10_000  # rows that differ, over all relations


def reported(differences: Iterable[Difference]) -> Result:
    return {"differences": [one.to_json() for one in differences]}


# rows


def content_items(run: Sides) -> list[Item]:
    """Per side: each chunk of a large relation, each batch of small ones. The source is not read
    again if the copy noted its fingerprints."""
    if run.spec.verify_ is Verify.NONE or not run.plan.how.copies_rows:
        return []
    return [
        Item(f"{side} {load.id}", load.batch, load.size_bytes, _content_detail(side, load))
        for load in run.plan.loads
        for side in (SIDES if not is_noted(run) or _late(run, load) else SIDES[1:])
    ]


def _late(run: Sides, load: Load) -> list[Chunk]:
    """Chunks whose columns are made again to be compared."""
    return [one for one in load.chunks if is_made_again(run, run.relation(one.relation))]


def _content_detail(side: str, load: Load) -> Result:
    chunks = load.chunks
    part = f" {chunks[0].range}" if len(chunks) == 1 and chunks[0].range != Whole() else ""
    names = [str(one.relation) for one in chunks]
    return {
        "name": f"{several(names)}{part} on the {side}",
        "names": [f"{name}{part} on the {side}" for name in names],
    }


def validate_content(run: Sides, item: Item) -> Result:
    """Fingerprints (or counts) of a load's chunks on one side, computed by that server."""
    side, _, load_id = item.id.partition(" ")
    if side == "source":
        connection = run.sessions().source(run.snapshot.id)
    else:
        connection = run.sessions().target()
    alone, without_rows = partitioned(run), noted(run, "without_rows")
    names, parts = [], []
    load = run.load(load_id)
    late = _late(run, load) if side == "source" else []
    for chunk in load.chunks:
        if chunk in late or (late and is_noted(run)):
            continue
        relation = run.relation(chunk.relation)
        range_ = chunk.range if side == "source" else _target_range(run.plan, relation, chunk)
        if range_ is None or str(relation.target) in without_rows:
            continue
        sides = pair_among(run, relation, alone)
        names.append(str(relation.target))
        parts.append((sides.source if side == "source" else sides.target, range_))
    only_count = run.spec.verify_ is Verify.COUNTS
    sums: dict[str, Fingerprint] = defaultdict(Fingerprint)
    for name, one in zip(
        names, read_fingerprints(connection, parts, only_count=only_count), strict=True
    ):
        sums[name] += one
    for chunk in late:
        relation = run.relation(chunk.relation)
        if str(relation.target) not in without_rows:
            sums[str(relation.target)] += source_sum(run, relation, chunk.range)
    found = {name: one.to_json() for name, one in sums.items()}
    return {"plan": run.plan.run, "fingerprints": found}


def _target_range(plan: Plan, item: RelationPlan, chunk: Chunk) -> Range | None:
    """The target's block range for a chunk, as keys may sort differently there; None if another
    chunk covers everything.

    The bounds are the source's, and the last range is open. So it does not matter if the target has
    another size, and every row is in exactly one range.
    """
    if len(item.chunks) == 1:
        return chunk.range
    if plan.target.version < RANGES_SINCE:  # scans everything for any range
        return Whole() if chunk.number == 0 else None
    ranges = block_ranges(block_count(item.relation), len(item.chunks))
    return ranges[chunk.number] if chunk.number < len(ranges) else None


def find_differences(run: Sides, _: Item) -> Result:
    """Add up the fingerprints, and find the differing rows where the sums differ.

    Raises:
        WindlassError: the fingerprints do not cover the plan's chunks exactly once.
    """
    level = run.spec.verify_
    if level is Verify.NONE or not run.plan.how.copies_rows:
        return {}
    _check_compared(run)
    sums: dict[str, dict[str, Fingerprint]] = {side: defaultdict(Fingerprint) for side in SIDES}
    counted: Counter[str] = Counter()
    places = {str(item.target): str(item.enters) for item in run.plan.relations}
    for item_id, result in run.results[VALIDATE_CONTENT].items():
        side = item_id.partition(" ")[0]
        for name, json in result["fingerprints"].items():
            found = Fingerprint.from_json(json)
            sums[side][places[name]] += found
            counted[name] += found.rows if side == "target" else 0
    noted = read_noted(run)
    as_copied = {name for name in noted.sums if is_noted(run) or noted.is_older(name)}
    for name in as_copied:
        found = noted.sums[name]
        sums["source"][name] = found if level is Verify.FULL else Fingerprint(found.rows)
    entered = {item.enters: item for item in run.plan.relations}
    differing = [
        item
        for name, item in entered.items()
        if sums["source"][str(name)] != sums["target"][str(name)]
    ]
    older = [str(item.enters) for item in differing if noted.is_older(str(item.enters))]
    moments = {name: noted.moments(name) for name in older if name in as_copied}
    notices = list(_say_since(run, older, as_copied))
    for notice in notices:
        run.emit(Noticed(notice))
    return {
        "relations": len(run.plan.relations),
        "verified": level.value,
        "counted": dict(counted),
        "differing": [str(item.enters) for item in differing],
        "notices": notices,
        **reported(_explained(run, differing, sums, moments)),
    }


def _check_compared(run: Sides) -> None:
    """Check that everything was compared, under this plan: in another plan the same chunk may have
    other rows."""
    wanted = {item.id for item in content_items(run)}
    found = run.results[VALIDATE_CONTENT]
    wrong = wanted ^ {id_ for id_, one in found.items() if one.get("plan") == run.plan.run}
    if wrong:
        raise WindlassError(
            f"not all of the plan has been compared: {several(sorted(wrong))}",
            hint="clear prepare_validation and all after it",
        )


def _explained(
    run: Sides,
    differing: Iterable[RelationPlan],
    sums: Mapping[str, Mapping[str, Fingerprint]],
    moments: Mapping[str, str],
) -> Iterator[Difference]:
    """Explain the differences of all relations. Names no more rows than fit into the journal and a
    message.

    `moments` has the time at which relations were read that are compared with an earlier snapshot.
    Their differing rows can only be searched in the present source.
    """
    room = MOST_NAMED
    for item in differing:
        if moment := moments.get(str(item.enters)):
            message = f"is not what was read from the source at {moment}"
            yield Difference(DifferenceKind.CONTENT, str(item.enters), message)
        for one in _explain(run, item, sums, min(room, LIMIT)):
            room -= one.kind is not DifferenceKind.COUNT and not one.rows
            yield one


def _say_since(run: Sides, older: Sequence[str], as_copied: Collection[str]) -> Iterator[str]:
    """A notice of differences that may be later changes of the source."""
    if not older:
        return
    is_full = run.spec.verify_ is Verify.FULL
    only_rows = [one for one in older if one in as_copied] if is_full else []
    whole = [one for one in older if one not in as_copied]
    for names, what in ((only_rows, "rows of "), (whole, "")):
        if names:
            verb = "are" if what or len(names) > 1 else "is"
            named = "named by comparison" if what else "compared"
            yield (
                f"{what}{several(names)} {verb} {named} with the source as of"
                f" {run.snapshot.moment}, as the snapshot of the copy is gone: what has changed"
                " there since is among the differences"
            )


def _explain(
    run: Sides,
    item: RelationPlan,
    sums: Mapping[str, Mapping[str, Fingerprint]],
    limit: int,
) -> Iterator[Difference]:
    """The row count, if it differs, then the rows themselves, if they can be identified."""
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
    if is_made_again(run, item):
        yield from differing_made_again(run, item, source, limit)
        return
    yield from find_differing_rows(
        run.sessions().source(run.snapshot.id),
        run.sessions().target(),
        row_pair(run, item),
        limit=limit,
        show_values=run.show_values,
        every=run.on_difference,
    )


def validate_sequences(run: Sides, _: Item) -> Result:
    """Compare with the values that the run set, because the source keeps counting; otherwise with
    the source.

    Snapshots do not cover sequences: within another session's snapshot, only sequences that its run
    set are compared.
    """
    if run.spec.verify_ is Verify.NONE or not run.plan.how.copies_rows:
        return {}
    if not run.plan.sequences:
        return {"compared": True}
    target = run.sessions().target()
    present = read_presence(target, side="target")
    there = [name for _, name in run.plan.sequences if _is_sequence(present.get(name))]
    states = {str(one.name): one for one in read_sequences(target, there, side="target")}
    wanted = _wanted_sequences(run)
    left_out = [name for name in states if name not in wanted]
    if left_out:
        run.emit(Noticed(_say_left_out(left_out)))
    return {
        "compared": not left_out,
        "sequences": len(states) - len(left_out),
        "left_out": left_out,
        **reported(
            Difference(
                DifferenceKind.SEQUENCE,
                name,
                f"is at {_say(found)}, expected {_say(state)}",
            )
            for name, state in wanted.items()
            # a missing one is a schema difference
            if (found := states.get(name)) and not _stand_equal(found, state)
        ),
    }


def _stand_equal(one: SequenceState, other: SequenceState) -> bool:
    return (one.last_value, one.is_called) == (other.last_value, other.is_called)


def _is_sequence(found: Present | None) -> bool:
    return found is not None and found.kind == "S"


def _wanted_sequences(run: Sides) -> dict[str, SequenceState]:
    """The expected values, by the sequence's name on the target."""
    pairs = run.plan.sequences
    values = run.sequences_set()
    if values is not None:
        named = {str(name): name for _, name in pairs}
        return {
            text: SequenceState(name, *values[text])
            for text, name in named.items()
            if text in values
        }
    source = run.sessions().source(run.snapshot.id)
    states = read_sequences(source, [name for name, _ in pairs], side="source")
    return {
        str(target): SequenceState(target, state.last_value, state.is_called)
        for (_, target), state in zip(pairs, states, strict=True)
    }


def _say_left_out(names: Sequence[str]) -> str:
    return f"not compared, as no snapshot holds them: {several(names)}"


def _say(state: SequenceState) -> str:
    return f"{state.last_value}{'' if state.is_called else ' (not called yet)'}"


def validate_large_objects(run: Sides, _: Item) -> Result:
    """Compare a digest of each, computed by its server, and owner, grants and comment."""
    is_everything = run.purpose is Purpose.COMPARE and wanted(run.spec).is_everything
    if run.spec.verify_ is not Verify.FULL or not run.plan.how.copies_rows:
        return {}
    if not (run.plan.objects.large_objects.count or is_everything):
        return {}
    source, target = run.sessions().source(run.snapshot.id), run.sessions().target()
    found = list(differing_large_objects(source, target))
    extra = count_extra(source, target) if is_everything else 0
    notices = []
    if extra:
        notices = [f"{plural(extra, 'large object')} on the target only, not compared"]
        run.emit(Noticed(notices[0]))
    return {
        "objects": run.plan.objects.large_objects.count,
        "notices": notices,
        "differing": [oid for oid, _ in found],
        **reported(difference for _, difference in found),
    }


# the beginning of a comparison


def read_both_sides(run: Comparison, _: Item) -> Result:
    """Plan the comparison; it writes nothing and takes no lock.

    Raises:
        Refused: a side cannot be reached, or this user may not read what is to be compared.
    """
    run.begin_reading()
    present = read_presence(run.sessions().target(), side="target")
    problems = list(dict.fromkeys(_reading_problems(run.plan, present)))
    if problems:
        raise Refused(problems)
    found = {item.target: present.get(item.target) for item in run.plan.relations}
    without_rows = {name: one for name, one in found.items() if not (one and one.takes_rows)}
    only_rows = run.spec.extent is Extent.DATA  # else shown by the definitions
    return {
        **run.handle,
        **reported(_unseen(run, present, without_rows) if only_rows else ()),
        "relations": len(run.plan.relations),
        "without_rows": [str(name) for name in without_rows],
        "partitioned": [str(name) for name, one in found.items() if one and one.kind == "p"],
    }


def _unseen(
    run: Comparison, present: Mapping[Name, Present], without_rows: Mapping[Name, Present | None]
) -> Iterator[Difference]:
    for name, one in without_rows.items():
        yield Difference(DifferenceKind.SCHEMA, f"table {name}", _instead(one), relation=str(name))
    for loss in run.plan.findings.losses:
        if loss.object.startswith("sequence ") and loss.kind is LossClass.OBJECTS:
            yield Difference(DifferenceKind.SCHEMA, loss.object, _instead(None))
    source = read_presence(run.sessions().source(run.snapshot.id), side="source")
    yield from unseen(run.plan, source.keys(), present)


def _instead(found: Present | None) -> str:
    return "is missing on the target" if found is None else "is not a table on the target"


def _reading_problems(plan: Plan, present: Mapping[Name, Present]) -> Iterator[Problem]:
    """Relations of the target that this user may not read."""
    user = plan.target.user
    named = sql.Identifier(user).as_string(None)
    for name in (*plan.targets, *(name for _, name in plan.sequences)):
        found = present.get(name)
        if found is None or found.kind not in "rpS":
            continue
        quoted = sql.Identifier(name.schema, name.name)
        if not found.reachable:
            schema = sql.Identifier(name.schema)
            yield Privilege.COMPARE_SCHEMA.lacking(f"schema {name.schema}", user, schema)
        if not found.selectable:
            sequence, table = Privilege.COMPARE_SEQUENCE, Privilege.COMPARE_TABLE
            kind = sequence if found.kind == "S" else table
            yield kind.lacking(str(name), user, quoted)
        elif found.hides_rows:
            yield Problem(
                str(name),
                f"row security would hide rows of the target from {user}",
                f"ALTER ROLE {named} BYPASSRLS, or connect as its owner",
            )


def generate_validation_report(run: Comparison, _: Item) -> Result:
    """Raises:
    Different: with every difference that was found.
    """
    left_out = run.result(VALIDATE_SEQUENCES).get("left_out")
    notices = [_say_left_out(left_out)] if left_out else []
    notices += run.result(VALIDATE_SCHEMA).get("notices", [])
    notices += run.result(VALIDATE_LARGE_OBJECTS).get("notices", [])
    summary = {"relations": len(run.plan.relations), "notices": notices}
    if run.differences:
        raise Different(run.differences, {"state": State.DIFFERENT.value, **summary})
    return {"state": State.DONE.value, **summary}
