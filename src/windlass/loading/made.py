"""Makes the plan of one load from its spec, the fields of its inputs, and the table. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from windlass.loading.checks import notices, table_problems
from windlass.loading.columns import Fitted, fit
from windlass.loading.expectations import expectations_of
from windlass.loading.words import contradictions, words_of
from windlass.model.digest import digest
from windlass.model.export import Kind
from windlass.model.load import BadRules, Field, Identity, Load, Table, TableColumn
from windlass.model.load_words import LoadWords
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.wording import word
from windlass.spec.choices import LoadSchema
from windlass.spec.load import OneLoad, config_of

_DELIMITERS = ";\t|,"


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known about a load's inputs: their locations, the fields that all of them have, and
    what shows whether they have changed."""

    places: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    identities: tuple[Identity, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def mark(self) -> str:
        """The same as long as no input changes; empty if that is not known of one."""
        known = [one.sha256 or one.etag for one in self.identities]
        if not known or not all(known):
            return ""
        return digest(list(zip(self.places, known, strict=True)))


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """One load, and what is known of it before it begins."""

    load: Load
    config: str  # identifies it among the loads of all runs
    mark: str = ""  # of its inputs: the same while they do not change
    fitted: Fitted = field(default_factory=Fitted)
    problems: tuple[Problem, ...] = ()
    notices: tuple[str, ...] = ()
    size_bytes: int = 0  # of all inputs, as far as known
    loaded_by: str = ""  # the run that has loaded the same, if nothing is to be done
    allows_empty: bool = False
    identities: tuple[Identity, ...] = ()  # of its inputs
    hash_key: str = ""  # identifies the key that values are hashed with
    is_unread: bool = False  # its inputs are unchanged, as their servers say
    may_drift: bool = False  # fields that the last load had may be gone

    @property
    def name(self) -> str:
        return self.load.name


def make(
    spec: OneLoad,
    name: Name,
    table: Table | None,
    opened: Opened,
    types: Mapping[str, str] | None = None,
    place: str = "the target",
) -> LoadPlan:
    """The plan of a load into a table, which is None if there is none of this name. `types` are the
    target's for fields that columns are created for; `place` is the target, for people."""
    words = words_of(spec)
    problems = [*contradictions(spec, subject=str(name)), *opened.problems]
    creates = table is None
    known = table or Table(name, ())
    problems += known.problems
    if creates and not spec.create:
        problems.append(_no_table(name, place))
    fitted = Fitted()
    if undivided := _undivided(spec, known, opened.fields):
        problems.append(Problem(str(name), *undivided))
    elif opened.fields and (table is not None or spec.create):
        fitted = fit(spec, opened.fields, known, types or {}, creates=creates)
        problems += fitted.problems
        problems += _faults(spec, words, known, fitted)
    if creates:
        known = replace(known, columns=fitted.adds)
        if words.key and not words.history:
            known = replace(known, keys=(words.key,), primary=words.key)
    load = Load(
        table=known,
        claimed=() if creates else _claimed(spec, known),
        words=words,
        fields=opened.fields,
        assigned=fitted.assigned,
        expectations=expectations_of(spec, fitted.assigned),
        creates=creates,
        adds=() if creates else fitted.adds,
        bad=BadRules(spec.max_bad, spec.show_values, spec.keep_failing),
        function=spec.function or "",
        watermark=spec.since,
        inputs=opened.places,
    )
    return LoadPlan(
        load,
        config=digest(config_of(spec)),
        mark=opened.mark,
        fitted=fitted,
        problems=tuple(dict.fromkeys(problems)),
        notices=(*notices(words, known), *_of_texts(spec, known, opened.fields)),
        size_bytes=sum(max(one.size_bytes, 0) for one in opened.identities),
        identities=opened.identities,
        allows_empty=spec.allow_empty,
        may_drift=spec.schema_ is LoadSchema.ADD,
    )


def _claimed(spec: OneLoad, table: Table) -> tuple[TableColumn, ...]:
    """Columns that are there already, with the types that the user gives them."""
    there = {one.name for one in table.columns}
    return tuple(TableColumn(name, type_) for name, type_ in spec.types.items() if name in there)


def _undivided(spec: OneLoad, table: Table, fields: Sequence[Field]) -> tuple[str, str] | None:
    """What is wrong with an input's only field, if it probably stands for several."""
    if len(fields) != 1 or fields[0].name in (spec.columns or {}) or table.column(fields[0].name):
        return None
    name = fields[0].name
    found = [one for one in _DELIMITERS if all(name.split(one)) and one in name]
    if not found:
        return None
    message = f"the input has one field, {name!r}: it has another delimiter"
    return message, word("csv", f"delimiter={found[0]}")


def _of_texts(spec: OneLoad, table: Table, fields: Sequence[Field]) -> Iterator[str]:
    """A watermark that is text on both sides."""
    for one in fields:
        is_text = one.name == spec.since and one.column and one.column.kind is Kind.TEXT
        if is_text and (column := table.column(one.name)) and column.kind is Kind.TEXT:
            yield f"the watermark {one.name} is text, compared as bytes: v10 comes before v9"


def _no_table(name: Name, place: str) -> Problem:
    hint = f"create it, or let the load do so with {word('create')}"
    return Problem(str(name), f"there is no such table in {place}", hint)


def _meant(table: Table, fitted: Fitted) -> Sequence[TableColumn]:
    """Columns that would be created, if their types were known."""
    return [TableColumn(one, "") for one in fitted.meant if table.column(one) is None]


def _faults(spec: OneLoad, words: LoadWords, table: Table, fitted: Fitted) -> Sequence[Problem]:
    whole = replace(table, columns=(*table.columns, *fitted.adds, *_meant(table, fitted)))
    filled = [*(one.column for one in fitted.assigned), *fitted.meant]
    return list(table_problems(words, whole, filled, expectations_of(spec)))
