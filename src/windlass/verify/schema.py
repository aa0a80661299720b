"""Schema difference: what the source's archive asks of the target against what the target has.

Both sides are read from the catalogs by the same pg_dump and written as the statements that this
target would get: renamed, without roles that it lacks, without what is a named loss. So there is
one meaning of "the same definition", for every kind of object there is.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from windlass.engines.postgres.archive import PARTS, RELATION_KINDS
from windlass.engines.postgres.grants import Privileges, privileges
from windlass.engines.postgres.qualifiers import say_the_same
from windlass.model.relation import Name
from windlass.model.report import Difference, DifferenceKind
from windlass.model.statement import Statement

Key = tuple[str, Name]
# kinds that carry no definition of their own worth a comparison on the target
_NOT_COMPARED = {"SCHEMA", "EXTENSION"}
# pg_dump leaves out the names that it would expect, but expects others for long names
_NAMED_NOT_NULL = re.compile(r' CONSTRAINT (?:"(?:[^"]|"")*"|[\w$]+) NOT NULL')


def compare_schemas(
    expected: Iterable[Statement],
    found: Iterable[Statement],
    *,
    excused: Collection[str] = (),
    filled: Collection[Name] = (),
    names_not_null: bool = True,
    depends_on: Mapping[int, Collection[int]] = MappingProxyType({}),
    owners: Mapping[Name, Name] = MappingProxyType({}),
) -> list[Difference]:
    """What is missing, different or too much on the target, but for what is `excused` by name.

    Names are the target's. Objects of the target that nobody selected are no difference; parts of
    a selected relation (an index, a trigger) are. `filled` relations keep their own definitions.
    What belongs to a missing relation is missing with it, and not told: `depends_on` has the
    expected entries' own words by id, `owners` the relations whose columns sequences feed.
    `names_not_null`: the source is of version 18, which gives every NOT NULL a name.
    """
    if not names_not_null:
        found = map(_without_not_null_names, found)
    wanted, there = _by_key(expected, filled), _by_key(found, filled)
    relations = {name for kind, name in wanted if kind == "TABLE"}
    kinds = {name: kind for kind, name in there if kind in RELATION_KINDS}
    gone = {n for kind, n in wanted if kind in RELATION_KINDS and kinds.get(n) != kind}
    fed = {name for name, owner in owners.items() if owner in gone}
    implied = _implied(wanted, gone, fed, depends_on)
    differences = []
    for key in sorted(wanted.keys() | there.keys()):
        statement = (wanted.get(key) or there[key])[0]
        if str(statement) in excused:
            continue
        if key not in there:
            if statement.id not in implied:
                differences.append(_difference(statement, _absent(kinds.get(statement.name))))
        elif key not in wanted:
            if statement.kind in PARTS and statement.relation in relations - gone:
                differences.append(_difference(statement, "is on the target only"))
        elif not _same(wanted[key], there[key]):
            differences.append(_difference(statement, _how(wanted[key], there[key])))
    return differences


def _implied(
    wanted: Mapping[Key, list[Statement]],
    gone: Collection[Name],
    fed: Collection[Name],
    depends_on: Mapping[int, Collection[int]],
) -> set[int]:
    """The ids of what cannot be there without the relations that are gone, apart from these."""
    statements = [one for some in wanted.values() for one in some]
    missing = {one.id for one in statements if one.kind in RELATION_KINDS and one.relation in gone}
    found = {one.id for one in statements if one.kind == "SEQUENCE" and one.name in fed}
    grown = -1
    while grown < len(found):  # an archive's ids are in no order
        grown = len(found)
        found |= {
            one.id
            for one in statements
            if one.kind in PARTS and not (missing | found).isdisjoint(depends_on.get(one.id, ()))
        }
    return found


def _absent(kind: str | None) -> str:
    return f"is a {kind.lower()} on the target" if kind else "is missing on the target"


def _by_key(
    statements: Iterable[Statement], filled: Collection[Name]
) -> Mapping[Key, list[Statement]]:
    groups: dict[Key, list[Statement]] = defaultdict(list)
    for statement in statements:
        if statement.kind not in _NOT_COMPARED and statement.relation not in filled:
            groups[statement.kind, statement.name].append(statement)
    return groups


def _without_not_null_names(statement: Statement) -> Statement:
    return replace(statement, sql=_NAMED_NOT_NULL.sub(" NOT NULL", statement.sql))


def _same(wanted: Iterable[Statement], there: Iterable[Statement]) -> bool:
    if _text(wanted) == _text(there):
        return True
    if all(statement.kind == "ACL" for statement in (*wanted, *there)):
        return _privileges(wanted) == _privileges(there)
    return say_the_same(_sql(wanted), _sql(there))


def _privileges(statements: Iterable[Statement]) -> Privileges:
    return privileges(_sql(statements))


def _sql(statements: Iterable[Statement]) -> str:
    return "".join(statement.sql for statement in statements)


def _text(statements: Iterable[Statement]) -> list[str]:
    """As a bag of lines: columns may stand in another order (an inherited one comes first), and
    grants in any."""
    return sorted(
        line.strip().rstrip(",") for one in statements for line in one.sql.splitlines() if line
    )


def _how(wanted: Iterable[Statement], there: Iterable[Statement]) -> str:
    """The lines that only one side has, a few of them."""
    left, right = _text(wanted), _text(there)
    lost = [line for line in left if line not in right]
    more = [line for line in right if line not in left]
    parts = [
        f"{side}: {'; '.join(lines[:3])}"
        for side, lines in (("source", lost), ("target", more))
        if lines
    ]
    return f"is defined differently ({', '.join(parts)})"


def _difference(statement: Statement, message: str) -> Difference:
    return Difference(DifferenceKind.SCHEMA, str(statement), message)
