"""Reads both sides and makes the plan: everything before a run may write."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import version

from windlass.engines.origin import Origin
from windlass.engines.postgres import catalog
from windlass.engines.postgres.census import Answer, Question
from windlass.engines.postgres.ddl import cores_of
from windlass.engines.postgres.largeobjects import Collisions
from windlass.engines.postgres.trial import count_true, try_out
from windlass.errors import Interrupted, WindlassError
from windlass.flows.migrate.target_reading import (
    dump_target,
    read_references_with_states,
    start_reading,
)
from windlass.flows.translate.hold import TranslateHold
from windlass.flows.translate.made import probe_made
from windlass.flows.translate.sides import Both, look_at
from windlass.journal import door
from windlass.model.chunk import Whole
from windlass.model.plan import Address, Plan, Purpose
from windlass.model.relation import LargeObjects, Name
from windlass.model.report import Loss, LossClass, Problem, loss_problems
from windlass.model.translation import (
    Answers,
    Field,
    Fit,
    Reading,
    Sort,
    SourceColumn,
    SourceSchema,
    SourceTable,
    SourceView,
    Type,
)
from windlass.planning.answering import problems_of_unused, spellings
from windlass.planning.chunks import count_between_engines, streams_at_once
from windlass.planning.naming import target_name
from windlass.planning.postgres.inputs import (
    Questions,
    Read,
    Request,
    SourceRead,
    TargetRead,
)
from windlass.planning.postgres.make import make_plan
from windlass.planning.postgres.select import is_wanted
from windlass.planning.postgres.translated.archive import Archive, Fitted, Trials, unscanned
from windlass.planning.postgres.translated.finish import Sources, as_read
from windlass.planning.postgres.translated.modelled import losses_of
from windlass.planning.postgres.translated.naming import folded, folded_name, in_schema
from windlass.planning.postgres.translated.source import catalog_of
from windlass.planning.postgres.translated.views import after_rows, relations_of
from windlass.spec.migrate import Spec
from windlass.trust.planted import read_foreign_schemas
from windlass.version import __version__

SAMPLE_BYTES = 1 << 20  # of rows that expressions are tried with


def read_and_translate(
    run: str, spec: Spec, hold: TranslateHold, purpose: Purpose = Purpose.MOVE
) -> Plan:
    """Read everything in the snapshot, and scan every row of what is selected. The plan contains
    its problems."""
    origin, target = hold.origin, hold.control
    states: dict[Address, str] = {}
    with _beside() as beside:
        there = beside.submit(catalog.read_catalog, target).result()
        sides = look_at(spec, hold, there, purpose)
        request = Request(
            run, _in_postgres(spec, sides.schema, sides.default), purpose, sides.called
        )
        wanted, problems = _chosen(sides, request)
        chosen = [one for one in wanted if sides.takes(one)]
        reading_target = start_reading(beside, target, sides.there)
        fits = _fit_all(hold, chosen, request.spec, sides)
        target_read = reading_target()
    views = sides.views(request)
    problems += [*sides.problems(wanted, views), *(p for one in fits for p in sides.misfits(one))]
    if purpose is Purpose.MOVE:
        problems += door.read_problems(target)
    trials = Trials(
        partial(try_out, target), partial(count_true, target), cache(partial(_some_rows, origin))
    )
    archive = sides.archive(fits, origin.dialect, there.server.user, trials, views)
    read = Read(
        source=_source_read(origin, sides, wanted, fits, archive, target_read, views),
        target=target_read,
        ask=_questions(hold, sides, states),
        pg_dump="",
        entries=archive.entries,
    )
    at_once = streams_at_once(spec.jobs, cores_of(target))
    count = partial(count_between_engines, spec, at_once=at_once)
    sources = Sources(fits, origin.server, origin.cut, count)
    plan = sides.labelled(after_rows(as_read(make_plan(request, read, problems), sources)))
    losses = list(_losses(fits, archive, sides, request, wanted))
    plan = _finished(plan, spec, losses, origin, states)
    notices = (*plan.findings.notices, *sides.notices())
    plan = replace(plan, findings=replace(plan.findings, notices=notices))
    if spec.mapping:
        plan = probe_made(plan, origin, target)
    if purpose is Purpose.COMPARE:
        return plan
    planted = read_foreign_schemas(
        target, {item.target.schema for item in plan.relations}, plan.objects.owners
    )
    problems = [*plan.findings.problems, *planted]
    return replace(plan, findings=replace(plan.findings, problems=tuple(problems)))


@contextmanager
def _beside() -> Iterator[ThreadPoolExecutor]:
    """A thread for the target's session, so that the source need not wait for its answers."""
    pool = ThreadPoolExecutor(1, "windlass-target")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _source_read(
    origin: Origin,
    sides: Both,
    wanted: Sequence[SourceTable],
    fits: Sequence[Fitted],
    archive: Archive,
    target: TargetRead,
    views: Sequence[SourceView],
) -> SourceRead:
    """The source as it would be in a PostgreSQL of the target's version. Tables that are not
    selected are known by name only."""
    scanned = {one.table.name for one in fits}
    left = {one.name for one in wanted if not sides.takes(one)}
    others = [
        unscanned(one, sides.default)
        for one in sides.schema.tables
        if one.name not in scanned | left
    ]
    there = target.catalog.server
    server = replace(origin.server, version=there.version, encoding=there.encoding)
    known = catalog_of(server, [*fits, *others], archive.computed)
    relations = sorted([*known.relations, *relations_of(archive, views)], key=lambda one: one.name)
    return SourceRead(
        catalog=replace(known, relations=tuple(relations)),
        key_constraints=archive.keys,
        foreign_keys=archive.foreign_keys,
        invalid_indexes=(),
        subscriptions=(),
        large_objects=LargeObjects(),
        properties=target.properties,  # nothing of the source's belongs to the database
        open_schemas=target.open_schemas,
        locale=target.locale,
    )


def _finished(
    plan: Plan,
    spec: Spec,
    losses: Sequence[Loss],
    origin: Origin,
    states: Mapping[Address, str],
) -> Plan:
    findings = replace(
        plan.findings,
        losses=(*plan.findings.losses, *losses),
        problems=(*plan.findings.problems, *loss_problems(losses, spec.accept)),
        notices=(*plan.findings.notices, *origin.notices()),
    )
    made = replace(
        plan.made,
        at=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        version=__version__,
        options=spec.options(),
        tools={"sqlglot": version("sqlglot")} if origin.dialect else {},
    )
    return replace(
        plan,
        findings=findings,
        made=made,
        how=replace(plan.how, notes_sums=False),
        dependents=tuple(
            replace(one, state=states.get(one.address, "")) for one in plan.dependents
        ),
    )


def _in_postgres(spec: Spec, schema: SourceSchema, default: str) -> Spec:
    """The spec with names and patterns as the target has them. `default` is the schema that
    replaces the source's only one."""
    old = next((one.name.schema for one in schema.tables), "")

    def named(name: str) -> str:
        return default if default and name == old else folded(name)

    def matching(patterns: Iterable[str]) -> tuple[str, ...]:
        return tuple(in_schema(one, old, default) for one in patterns)

    words = {
        "schemas": tuple(map(named, spec.schemas)),
        "include": matching(spec.include),
        "exclude": matching(spec.exclude),
        "map_schema": {named(one): new for one, new in spec.map_schema.items()},
    }
    return spec.model_copy(update=words)


def _chosen(sides: Both, request: Request) -> tuple[list[SourceTable], list[Problem]]:
    """The selected tables, and problems for answers whose column is in no selected table."""
    chosen = [
        one
        for one in sides.schema.tables
        if is_wanted(folded_name(one.name, sides.default), request.wanted)
    ]
    known = {}
    for one in chosen:
        for column in one.columns:
            names = _names(one, column, sides, request.spec)
            known.update(dict.fromkeys(names, names))
    return chosen, list(problems_of_unused(request.spec.types, known))


def _names(table: SourceTable, column: SourceColumn, sides: Both, spec: Spec) -> tuple[str, ...]:
    """By which the user may call a column. `spec` has the target's schemas."""
    into = table.mapping.into if table.mapping else folded_name(table.name, sides.default)
    return spellings(table.name, target_name(into, spec.map_schema), column.written)


def _fit_all(
    hold: TranslateHold, tables: Sequence[SourceTable], spec: Spec, sides: Both
) -> list[Fitted]:
    """Scan the tables, the largest first, so that a long scan does not start last. `spec` has the
    target's schemas."""
    types = {name.lower(): value for name, value in spec.types.items()}
    accepts = LossClass.VALUES in spec.accept

    def fit(one: SourceTable) -> Fitted:
        mine = sides.types(one) | {
            column.name: types[name]
            for column in one.columns
            for name in _names(one, column, sides, spec)
            if name in types
        }
        return Fitted(one, _fit(hold, one, Answers(mine, accepts)), sides.default)

    ordered = sorted(tables, key=lambda one: -one.size_bytes)
    with ThreadPoolExecutor(max(1, min(spec.jobs, 4)), "windlass-scan") as pool:
        found = {one.table.name: one for one in pool.map(fit, ordered)}
    return [found[one.name] for one in tables]


def _fit(hold: TranslateHold, table: SourceTable, answers: Answers) -> Fit:
    """Scan a table. If the engine refuses its mapping, that is a problem of this table."""
    try:
        return hold.fit(table, answers)
    except WindlassError as error:
        if table.selected is None or error.retryable or isinstance(error, Interrupted):
            raise
        hint = "correct its mapping; see docs/mapping.md"
        problem = Problem(str(table.name), f"cannot be read as it is mapped: {error}", hint)
        fields = tuple(Field(one.name, Type(Sort.TEXT)) for one in table.columns)
        return Fit(fields, 0, 0, (problem,))


def _some_rows(origin: Origin, one: Fitted) -> bytes:
    """Some rows as lines of COPY; all rows of a small table."""
    is_small = one.fit.size_bytes < SAMPLE_BYTES
    blocks = origin.lines(
        Reading(one.table.name, one.fit.fields, selected=one.table.selected), Whole()
    )
    try:
        return b"".join(blocks) if is_small else next(blocks, b"")
    finally:
        if isinstance(blocks, Generator):
            blocks.close()


def _losses(
    fits: Iterable[Fitted],
    archive: Archive,
    sides: Both,
    request: Request,
    wanted: Sequence[SourceTable],
) -> Iterator[Loss]:
    schema = sides.schema
    for one in fits:
        # a comparison creates nothing, so losses of behaviour do not matter
        for loss in sides.losses_of(one):
            if request.migrates or loss.kind is LossClass.VALUES:
                yield loss
    if not request.migrates:
        return
    yield from archive.losses
    if sides.mapped is not None:
        yield from sides.mapped.losses
    if sides.project is not None:
        yield from losses_of(sides.project, wanted)
        return
    names = {one.name for one in wanted}
    yield from (loss for name, loss in schema.lost if name in names)
    for kind, name in schema.others:
        # the table of a trigger is not known: it may be a selected one
        wanted_ = is_wanted(folded_name(name, sides.default), request.wanted)
        if kind == "trigger" or wanted_:
            yield Loss(f"{kind} {name}", "is not made on the target", LossClass.OBJECTS)


def _questions(hold: TranslateHold, sides: Both, states: dict[Address, str]) -> Questions:
    target = hold.control

    def empty(names: Iterable[Name]) -> Mapping[Name, bool]:
        asked = {name: sides.is_refilled(name) for name in names}
        rest = [name for name, refilled in asked.items() if not refilled]
        return {**asked, **catalog.read_emptiness(target, rest)}

    return Questions(
        bounds=lambda relation, count: (),
        census=_unasked,
        count_names=lambda name, columns, schemas: [0] * len(columns),
        empty=empty,
        try_out=partial(try_out, target),
        collisions=Collisions,
        references=partial(read_references_with_states, target, states),
        target_archive=cache(partial(dump_target, hold.target, target, sides.there)),
    )


def _unasked(name: Name, questions: Sequence[Question]) -> Sequence[Answer]:
    """Asks nothing: COPY refuses values that do not fit an existing column, and the comparison
    finds those that the column changes."""
    return [Answer() for _ in questions]
