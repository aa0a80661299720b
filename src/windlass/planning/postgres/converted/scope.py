"""Which tables and views another engine gets, and what they are called there. Pure."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from windlass.engines.destination import Destination, folded
from windlass.model.conversion import PgOther, PgStructure, PgTable, PgView
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.wording import word
from windlass.planning.patterns import matches
from windlass.planning.postgres.select import Wanted, is_wanted


@dataclass(frozen=True, slots=True)
class Scope:
    """What is selected; `names` are the target's by the source's."""

    tables: tuple[PgTable, ...]
    views: tuple[PgView, ...]
    names: Mapping[Name, Name]
    losses: tuple[Loss, ...]
    problems: tuple[Problem, ...]


def scope_of(
    structure: PgStructure,
    wanted: Wanted,
    schemas: Mapping[str, str],
    target: Destination,
) -> Scope:
    tables = parents_first([one for one in structure.tables if is_wanted(one.name, wanted)])
    views = tuple(one for one in structure.views if is_wanted(one.name, wanted))
    known = [one.name for one in tables] + [one.name for one in views]
    names = {one: target.named(one, schemas) for one in known}
    problems = [
        *_unmatched(structure, wanted),
        *_unreadable(tables),
        *_collisions(names, target),
        *_misnamed(tables, names, target),
    ]
    if not tables and not problems:
        problems.append(Problem("source", "has no tables that are selected"))
    losses = tuple(_left_out(structure.others, {one.name for one in tables}, wanted))
    return Scope(tables, views, names, losses, tuple(problems))


def _unmatched(structure: PgStructure, wanted: Wanted) -> Iterator[Problem]:
    known = [one.name for one in structure.tables] + [one.name for one in structure.views]
    plain = [one.plain for one in known]
    patterns = [*wanted.include, *(() if wanted.may_be_unmatched else wanted.exclude)]
    for pattern in patterns:
        if not any(matches(name, pattern) for name in known):
            yield Problem(f"pattern {pattern}", "matches no relation", _nearest(pattern, plain))
    there = {one.schema for one in known}
    for schema in wanted.schemas:
        if schema not in there:
            yield Problem(
                f"schema {schema}", "has no tables on the source", _nearest(schema, there)
            )


def _nearest(text: str, words: Iterable[str]) -> str:
    near = difflib.get_close_matches(text, list(words), n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else ""


def _unreadable(tables: Sequence[PgTable]) -> Iterator[Problem]:
    for one in tables:
        if not one.readable:
            hint = "grant select on it, or leave it out: " + word("exclude", one.name.plain)
            yield Problem(str(one.name), "cannot be read", hint)


def _collisions(names: Mapping[Name, Name], target: Destination) -> Iterator[Problem]:
    by_target: dict[str, list[Name]] = defaultdict(list)
    for source, name in names.items():
        by_target[folded(target, name)].append(source)
    for sources in by_target.values():
        if len(sources) > 1:
            these = " and ".join(map(str, sources))
            message = f"would have the same name in {target.engine}"
            yield Problem(these, message, f"leave one out: {word('exclude', sources[-1].plain)}")


def _misnamed(
    tables: Sequence[PgTable], names: Mapping[Name, Name], target: Destination
) -> Iterator[Problem]:
    for source, name in names.items():
        if why := target.name_problem(name.name):
            yield Problem(str(source), why, f"leave it out: {word('exclude', source.plain)}")
    for table in tables:
        seen: dict[str, str] = {}
        for column in table.columns:
            same = target.same(column.name)
            if same in seen:
                message = f"columns {seen[same]} and {column.name} are one in {target.engine}"
                yield Problem(str(table.name), message, "rename one of them on the source")
            seen[same] = column.name
        if not table.columns:
            message = f"has no columns, which {target.engine} needs"
            yield Problem(str(table.name), message, word("exclude", table.name.plain))


def _left_out(others: Sequence[PgOther], tables: Iterable[Name], wanted: Wanted) -> Iterator[Loss]:
    chosen = set(tables)
    for one in others:
        if one.relation:
            if Name(one.schema, one.relation) not in chosen:
                continue
        elif not wanted.is_everything:
            continue
        if one.kind == "large objects":
            yield Loss(f"{one.name} large objects", "are not copied", LossClass.OBJECTS)
            continue
        text = f": {one.text}" if one.text else ""
        yield Loss(f"{one.kind} {one.place}", f"is not made on the target{text}", LossClass.OBJECTS)


def parents_first(tables: Sequence[PgTable]) -> tuple[PgTable, ...]:
    """A table after those that it refers to, where there is no circle."""
    by_name = {one.name: one for one in tables}
    ordered: dict[Name, PgTable] = {}

    def place(table: PgTable, above: tuple[Name, ...]) -> None:
        if table.name in ordered or table.name in above:
            return
        for one in table.constraints:
            if one.refers_to in by_name:
                place(by_name[one.refers_to], (*above, table.name))
        ordered[table.name] = table

    for one in tables:
        place(one, ())
    return tuple(ordered.values())
