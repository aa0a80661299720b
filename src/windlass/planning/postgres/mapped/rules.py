"""What a spec says about a table's columns, in the target's order. Pure: types, and what the server
thinks of expressions, are found in `resolve`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from psycopg import sql

from windlass.model.mapping import MappedColumn
from windlass.model.mask import Mask
from windlass.model.relation import Column
from windlass.spec.mapping import MappedColumnSpec

_NULL, _VALUE, _SQL, _HASH = "null", "value", "sql", "hash"
FUNCTION, TARGET_SQL = "function", "target-sql"  # made after the source was read


@dataclass(slots=True)
class Ruled:
    """The columns of the target, and what is wrong with the rules."""

    columns: list[MappedColumn] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)  # message, hint


Hashed = Callable[[str, str], str]
"""The expression that hashes a column, by name and type. Raises ValueError if there is none."""


def ruled(given: Sequence[Column], rules: Mapping[str, MappedColumnSpec], hashed: Hashed) -> Ruled:
    """Apply the rules. A column that a rule renames or hides arrives in its place, and one without
    a rule arrives unchanged. Computed columns come last."""
    known = {column.name: column for column in given}
    found = Ruled()
    made = dict(_made(known, rules, hashed, found))
    consumed = _consumed(known, rules, made)
    for column in given:
        for name in consumed.get(column.name, ()):
            found.columns.append(made.pop(name))
    found.columns += made.values()
    found.faults += _twice(found.columns)
    return found


def _made(
    known: Mapping[str, Column], rules: Mapping[str, MappedColumnSpec], hashed: Hashed, found: Ruled
) -> Iterator[tuple[str, MappedColumn]]:
    """The columns that rules make, by name on the target. Rules that only rename are left to
    `_consumed`."""
    for name, rule in rules.items():
        if rule.drop or rule.to:
            if name not in known:
                found.faults.append(_unknown(name, known))
            continue
        source = rule.from_ or name
        if (rule.from_ or rule.mask or rule.function) and source not in known:
            found.faults.append(_unknown(source, known))
            continue
        try:
            yield name, _column(name, source, rule, known, hashed)
        except ValueError as error:
            message = f"column {source}: there is no hash of {error}, whose text may vary"
            found.faults.append((message, "give sql that makes a text of it, or mask it with null"))


def _column(
    name: str, source: str, rule: MappedColumnSpec, known: Mapping[str, Column], hashed: Hashed
) -> MappedColumn:
    type_ = known[source].type if source in known else ""
    origin = source if source in known else ""
    if rule.sql:
        return MappedColumn(name, "", origin, rule.sql, _SQL)
    if rule.target_sql:
        empty = f"null::{type_ or 'text'}"
        return MappedColumn(name, "", origin, empty, TARGET_SQL, finish=rule.target_sql)
    if rule.function:
        quoted = sql.Identifier(source).as_string(None)
        return MappedColumn(name, "", source, quoted, FUNCTION, rule.function)
    if rule.mask is Mask.HASH:
        column = known[source]
        expression = hashed(source, column.base or column.type)
        return MappedColumn(name, "", source, expression, _HASH)
    if rule.mask is Mask.NULL:
        return MappedColumn(name, "", source, f"null::{type_}", _NULL)
    if rule.from_:
        return MappedColumn(name, "", source)
    literal = sql.Literal(rule.value).as_string(None)
    cast = type_ or ("text" if isinstance(rule.value, str) else "")
    return MappedColumn(name, "", origin, f"{literal}::{cast}" if cast else literal, _VALUE)


def _consumed(
    known: Mapping[str, Column],
    rules: Mapping[str, MappedColumnSpec],
    made: dict[str, MappedColumn],
) -> dict[str, list[str]]:
    """For each column of the source, what arrives in its place. Adds columns that arrive
    unchanged."""
    places: dict[str, list[str]] = {}
    for name, one in made.items():
        if one.source:
            places.setdefault(one.source, []).append(name)
    for name in known:
        rule = rules.get(name)
        if rule and rule.drop:
            continue
        target = rule.to if rule and rule.to else name
        if name in places and not (rule and rule.to):
            continue
        key = target if target not in made else f"{target}\0{name}"  # told apart: `_twice` names it
        made[key] = MappedColumn(target, "", name)
        places.setdefault(name, []).append(key)
    return places


def _twice(columns: Sequence[MappedColumn]) -> Iterator[tuple[str, str]]:
    seen: dict[str, list[str]] = {}
    for one in columns:
        seen.setdefault(one.target, []).append(one.source or one.how)
    for target, sources in seen.items():
        if len(sources) > 1:
            message = f"{' and '.join(sources)} would both be column {target}"
            yield message, "give one of them another name, or drop it"


def _unknown(name: str, known: Mapping[str, Column]) -> tuple[str, str]:
    import difflib  # only a fault needs it

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"has no column {name}", f"did you mean {near[0]}?" if near else ""
