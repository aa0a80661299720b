"""Compares attributes that no dump contains, as far as the target has the roles for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set

from windlass.engines.postgres.attributes import Attribute, Value
from windlass.model.relation import Name
from windlass.model.report import Difference, DifferenceKind
from windlass.verifying.postgres.schema import Key

_USUAL = Value("as usual", "")


def differing_attributes(
    source: Mapping[Attribute, Value],
    target: Mapping[Attribute, Value],
    *,
    compared: Set[Key],
    may_be: Callable[[str], bool],
) -> Iterator[Difference]:
    """The attributes that differ, of objects that are `compared`. Names are the target's, in
    `source` as well.

    `may_be`: whether a role can own or be granted anything on the target. Attributes that need any
    other role are losses.
    """
    for key in sorted(source.keys() | target.keys()):
        expected, found = source.get(key, _USUAL), target.get(key, _USUAL)
        if (key.kind, key.name) not in compared or expected == found:
            continue
        if expected.role and not may_be(expected.role):
            continue
        message = f"{key.attribute}: source: {expected.value}, target: {found.value}"
        relation = str(key.name) if key.kind == "TABLE" else ""
        yield Difference(DifferenceKind.SCHEMA, str(key), message, relation=relation)


def renamed(
    attributes: Mapping[Attribute, Value], schemas: Mapping[str, str]
) -> dict[Attribute, Value]:
    """The attributes, under the target's names."""
    return {
        Attribute(key.kind, _renamed(key, schemas), key.attribute): value
        for key, value in attributes.items()
    }


def _renamed(key: Attribute, schemas: Mapping[str, str]) -> Name:
    if key.kind == "SCHEMA":
        return Name("", schemas.get(key.name.name, key.name.name))
    return Name(schemas.get(key.name.schema, key.name.schema), key.name.name)
