"""Opens the inputs of a spec, reads the tables, and makes the plan of each load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from windlass.engines.aside import Aside, setting_aside
from windlass.engines.landing import Input, Landing
from windlass.errors import Refused
from windlass.flows.load.fetched import Fetched
from windlass.flows.load.hashed import with_hashes
from windlass.flows.load.inputs import opened_of
from windlass.flows.load.unchanged import Known
from windlass.loading.columns import HASHES
from windlass.loading.created import TYPES, types_for
from windlass.loading.made import LoadPlan, make
from windlass.loading.words import words_of
from windlass.model.export import Kind
from windlass.model.hashing import HASH_KEY
from windlass.model.load import Field, Load, Table
from windlass.model.mask import Mask
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.spec.choices import LoadSchema
from windlass.spec.load import LoadSpec, OneLoad


@dataclass(frozen=True, slots=True)
class Prepared:
    """Every load of a run with its inputs, and all that prevents them."""

    plans: tuple[LoadPlan, ...] = ()
    inputs: Mapping[str, Sequence[Input]] = field(default_factory=dict)  # by load
    problems: tuple[Problem, ...] = ()

    @property
    def to_do(self) -> tuple[LoadPlan, ...]:
        """Those that have not been loaded before."""
        found = tuple(one for one in self.plans if not one.loaded_by)
        if len(found) == 1:
            return (replace(found[0], load=replace(found[0].load, at_once=True)),)
        return found

    @property
    def notices(self) -> tuple[str, ...]:
        return tuple(text for one in self.plans for text in one.notices)


def prepare(
    spec: LoadSpec, target: Landing, fetched: Fetched, known: Known | None = None
) -> Prepared:
    """Find everything that would stop the loads. Writes nothing to the target.

    Raises:
        WindlassError: the target, or an input, cannot be reached now.
    """
    made = [_prepared(one, target, fetched, known or Known()) for one in spec.wanted]
    plans = [plan for plan, _ in made]
    problems = [*_twice(plans), *(fault for one in plans for fault in one.problems)]
    if not problems:
        problems += target.survey([one.load for one in plans if not one.is_unread])
    return Prepared(
        tuple(plans),
        {plan.name: inputs for plan, inputs in made},
        tuple(dict.fromkeys(problems)),
    )


def _prepared(
    one: OneLoad, target: Landing, fetched: Fetched, before: Known
) -> tuple[LoadPlan, Sequence[Input]]:
    table = target.table(one.into)
    name = table.name if table else name_of(one.into, target.default_schema)
    known = table or Table(name, ())
    if table and (unchanged := before.unchanged(one, table, target, fetched)):
        return unchanged, ()
    other = before.hashed_otherwise(one, str(name), target)
    inputs, opened = opened_of(one, known, target, fetched, whole=bool(other))
    if inputs and not opened.problems:
        try:
            one, inputs = one.fitted(inputs)
        except Refused as error:
            nothing = Load(Table(name, ()), words_of(one), (), ())
            return LoadPlan(nothing, config="", problems=error.problems), inputs
        opened = replace(opened, fields=tuple(inputs[0].fields))
    types: dict[str, str] = {}
    if table is None or one.schema_ is LoadSchema.ADD:
        engine = target.facts.engine
        read = [setting_aside(it, Aside(one.max_bad)) for it in inputs]
        types = types_for(one, opened.fields, table, engine, partial(_counted, read))
        types[HASHES] = TYPES[engine][Kind.TEXT]
    plan = make(one, name, table, opened, types, target.place)
    if other:
        plan = _hashed_anew(plan, other)
    return with_hashes(plan, inputs)


def _hashed_anew(plan: LoadPlan, run: str) -> LoadPlan:
    """A plan for a table whose last load, `run`, hashed with another key."""
    masked = [one.column for one in plan.load.assigned if one.mask is Mask.HASH]
    found = [one for one in masked if one in plan.load.words.key]
    if found:
        message = (
            f"column {found[0]} is in the key, and run {run} has loaded the table without the key"
            f" that is in {HASH_KEY} now: its rows would not be found"
        )
        hint = f"give {HASH_KEY} the value that it had, or undo that run first"
        return replace(plan, problems=(*plan.problems, Problem(plan.name, message, hint)))
    if not plan.load.watermark:
        return plan
    text = f"all rows are read, and not only those from the watermark on: run {run} had not"
    notice = f"{plan.name}: {text} the key that is in {HASH_KEY} now"
    return replace(plan, notices=(*plan.notices, notice))


def _counted(inputs: Sequence[Input]) -> Sequence[Field]:
    from windlass.engines.files.census import census  # only the creation of a table needs it

    return census(inputs)


def name_of(into: str, default_schema: str) -> Name:
    """Of a table that need not exist: ``schema.table`` or ``table``."""
    if "." in into:
        return Name.read(into)
    return Name(default_schema, into.strip('"'))


def _twice(plans: Sequence[LoadPlan]) -> list[Problem]:
    """A run loads a table only once: its staging table and its before-image are named after the
    table."""
    counts = Counter(one.name for one in plans)
    hint = "make it one load with both inputs, or load one after the other in two runs"
    return [
        Problem(name, f"{count} loads of this run go into it", hint)
        for name, count in counts.items()
        if count > 1
    ]
