"""Whether the target's relations still fit the source's: the differences, as sentences. Pure.

Compares what decides how rows are applied. Texts that servers print differently, such as that of a
default or a check, are not compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from windlass.engines.postgres.replication.shapes import (
    ColumnShape,
    ConstraintShape,
    Noted,
    Shape,
    TypeShape,
)
from windlass.model.relation import Name

APART, NEW = "apart", "new_tables"  # in a run's details: what differs, tables that are not followed
UNPUBLISHED = "is no longer published on the source"


@dataclass(frozen=True, slots=True)
class Correspondence:
    """Which relation of the target belongs to each relation of the source. `names` has those that
    are followed; relations made later have the same name, in the schema that `schemas` gives. For
    `filled` relations, which existed before the run, only the columns must fit."""

    names: Mapping[Name, Name]
    schemas: Mapping[str, str] = field(default_factory=dict)
    filled: Collection[Name] = ()

    def target_of(self, source: Name) -> Name:
        return self.names.get(source) or Name(self.schema_of(source.schema), source.name)

    def schema_of(self, schema: str) -> str:
        return self.schemas.get(schema, schema)

    def follows(self, source: Name) -> bool:
        return source in self.names


def after(noted: Iterable[Noted]) -> tuple[dict[Name, Shape], list[Name]]:
    """What the statements of one transaction leave behind: the last shape of each relation, and the
    relations that were dropped."""
    shapes: dict[int, Shape] = {}
    gone: list[Name] = []
    for one in noted:
        gone = [name for name in gone if name not in {shape.name for shape in one.shapes}]
        gone += one.dropped
        shapes |= {shape.oid: shape for shape in one.shapes}
        shapes = {oid: shape for oid, shape in shapes.items() if shape.name not in one.dropped}
    return {shape.name: shape for shape in shapes.values()}, gone


def made_again(noted: Iterable[Noted], shapes: Mapping[Name, Shape]) -> list[str]:
    """Columns that one transaction has dropped and created again. Nothing shows whether the target
    has done the same, and its rows would keep values that the source has lost."""
    return [
        f"{name}: column {column} was dropped and made again in one transaction, which cannot be"
        " followed"
        for one in noted
        for name, column in one.columns
        if name in shapes and column in shapes[name].columns
    ]


def differences(
    shapes: Mapping[Name, Shape],
    gone: Iterable[Name],
    targets: Mapping[Name, Shape],
    known: Correspondence,
) -> list[str]:
    """Why the target does not fit a source that has `shapes` and lacks `gone`; `targets` has the
    relations of the target that correspond to them."""
    found = []
    for name, shape in shapes.items():
        there = targets.get(known.target_of(name))
        if there is None:
            found.append(f"{name}: the target has no table {known.target_of(name)}")
        else:
            found += [f"{name}: {one}" for one in _of_relation(shape, there, known)]
    for name in gone:
        if known.follows(name) and known.target_of(name) in targets:
            found.append(f"{name}: is no longer on the source")
    return found


def _of_relation(shape: Shape, there: Shape, known: Correspondence) -> Iterator[str]:
    is_filled = shape.name in known.filled
    for name, column in shape.columns.items():
        if name not in there.columns:
            yield f"the target has no column {name}"
        else:
            yield from _of_column(name, column, there.columns[name], known, is_filled)
    yield from _of_types(shape, there, known)
    if is_filled:
        return
    for name in there.columns.keys() - shape.columns.keys():
        yield f"column {name} is only on the target"
    yield from _of_constraints(shape, there, known)
    if shape.parent is not None and there.parent is not None:
        if known.target_of(shape.parent) != there.parent:
            yield f"it is a partition of {shape.parent}, on the target of {there.parent}"
    elif shape.parent is not there.parent:  # one of the two is None
        yield f"it is {'no longer ' if shape.parent is None else ''}a partition on the source"


def _of_column(
    name: str, column: ColumnShape, there: ColumnShape, known: Correspondence, is_filled: bool
) -> Iterator[str]:
    if not _is_same_type(column, there, known):
        now, before = _type(column), _type(there)
        yield f"column {name} has type {now}, on the target {before}"
    if is_filled:
        return
    if column.is_not_null != there.is_not_null:
        yield f"column {name} is {'' if column.is_not_null else 'no longer '}NOT NULL on the source"
    if (column.is_generated, column.identity) != (there.is_generated, there.identity):
        yield f"column {name} is generated in another way on the source"
    elif column.has_default != there.has_default and not column.is_generated:
        has = "has a default" if column.has_default else "no longer has a default"
        yield f"column {name} {has} on the source"


def _is_same_type(column: ColumnShape, there: ColumnShape, known: Correspondence) -> bool:
    schemas = (column.type.schema, known.schema_of(column.type.schema))
    return (
        column.type.name == there.type.name
        and there.type.schema in schemas
        and column.modifier == there.modifier
    )


def _type(column: ColumnShape) -> str:
    name = column.type.name if column.type.schema == "pg_catalog" else str(column.type)
    return name if column.modifier < 0 else f"{name} (modifier {column.modifier})"


def _of_constraints(shape: Shape, there: Shape, known: Correspondence) -> Iterator[str]:
    for name, constraint in shape.constraints.items():
        is_outside = constraint.refers is not None and not known.follows(constraint.refers)
        if name not in there.constraints:
            if not is_outside:
                yield f"the target has no constraint {name}"
        elif _described(constraint) != _described(there.constraints[name]):
            yield f"constraint {name} is another one on the source"
    for name in there.constraints.keys() - shape.constraints.keys():
        yield f"constraint {name} is only on the target"


def _described(constraint: ConstraintShape) -> tuple[str, tuple[str, ...]]:
    return constraint.kind, constraint.columns


def _of_types(shape: Shape, there: Shape, known: Correspondence) -> Iterator[str]:
    found = {one.name: one for one in _named(there)}
    for one in _named(shape):
        other = found.get(Name(known.schema_of(one.name.schema), one.name.name))
        other = other or found.get(one.name)
        if other is not None and not _are_alike(one.type, other.type, known):
            yield f"type {one.name} is {_parts(one.type)}, on the target {_parts(other.type)}"


@dataclass(frozen=True, slots=True)
class _NamedType:
    name: Name
    type: TypeShape


def _named(shape: Shape) -> list[_NamedType]:
    return [_NamedType(name, one) for name, one in shape.types.items()]


def _are_alike(one: TypeShape, other: TypeShape, known: Correspondence) -> bool:
    if one.kind != other.kind:
        return False
    if one.kind != "d":
        return one.parts == other.parts
    # a domain's base type is printed with its schema
    return [_bare(part) for part in one.parts] == [_bare(part) for part in other.parts]


def _bare(part: object) -> str:
    return str(part).rpartition(".")[2]


def _parts(one: TypeShape) -> str:
    return f"({', '.join(str(part[0] if isinstance(part, tuple) else part) for part in one.parts)})"
