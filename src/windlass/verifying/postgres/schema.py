"""Schema difference: compares the definitions in the source's archive with those on the target.

Both sides are read from the catalogs by the same pg_dump, and written as statements for this
target: with renamed objects, without roles that it lacks, and without reported losses. So "the same
definition" has one meaning for every kind of object.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Protocol

from windlass.engines.postgres.archive import ATTRIBUTES, PARTS, RELATION_KINDS
from windlass.engines.postgres.grants import same_privileges
from windlass.engines.postgres.meaning import Doubt, Since, doubts
from windlass.engines.postgres.printing import CannotPrint
from windlass.model.relation import Name
from windlass.model.report import Difference, DifferenceKind
from windlass.model.statement import Statement

Key = tuple[str, Name]
_GRANTS = {"ACL", "DEFAULT ACL"}
_JUDGED_AT_ONCE = 50


class Judge(Protocol):
    """Decides whether two texts that are written differently mean the same."""

    def are_alike(self, doubts: Sequence[Doubt]) -> list[bool]:
        """Decides many pairs at once: returns those that are certainly the same."""

    def is_same(self, doubt: Doubt) -> bool:
        """Decides about one of the remaining pairs."""


@dataclass(frozen=True, slots=True)
class Leeway:
    """Where the target may deviate from the source's archive.

    Statements are given by name. `filled` relations keep their own definitions, `reordered` ones
    cannot have their columns in the source's order.
    """

    left_out: Collection[str] = ()  # the target may have it all the same
    excused: Collection[str] = ()
    reowned: Mapping[str, Collection[str]] = field(default_factory=dict)  # grants, with both owners
    filled: Collection[Name] = ()
    reordered: Collection[Name] = ()


@dataclass(frozen=True, slots=True)
class Ties:
    """Which entry belongs to which, where the statements alone do not show it. Ids are those of
    entries."""

    depends_on: Mapping[int, Collection[int]] = field(default_factory=dict)  # of what is expected
    belongs_to: Mapping[int, Collection[Key]] = field(default_factory=dict)  # of what was found
    adds_to: Mapping[int, Collection[Key]] = field(
        default_factory=dict
    )  # likewise: a partition's parent
    selected: Set[Key] = frozenset()
    owners: Mapping[Name, Name] = field(
        default_factory=dict
    )  # relations whose columns sequences feed


def compare_schemas(
    expected: Iterable[Statement],
    found: Iterable[Statement],
    *,
    judge: Judge,
    since: Since,
    leeway: Leeway = Leeway(),
    ties: Ties = Ties(),
) -> list[Difference]:
    """What is missing, different or extra on the target. Names are the target's.

    Extra objects that nobody selected are no difference; extra parts of a selected relation (an
    index, a trigger) or of another selected object (a comment, a grant) are. What belongs to a
    missing relation is not reported separately.
    """
    both = _Both.of(_by_key(expected, leeway.filled), _by_key(found, leeway.filled), leeway, ties)
    said = _Comparison(judge, since, leeway.reordered, leeway.reowned).differences(both.pairs())
    found_differences = (both.difference(key, said) for key in sorted(both.names))
    return [one for one in found_differences if one is not None]


@dataclass(frozen=True, slots=True)
class _Both:
    """The statements of both sides by kind and name, and which relations the target lacks."""

    wanted: Mapping[Key, list[Statement]]
    there: Mapping[Key, list[Statement]]
    names: Mapping[Key, str]
    kinds: Mapping[Name, str]  # of the target's relations
    kept: Set[Name]  # relations that both have
    implied: Set[int]  # ids of what cannot exist without the others
    leeway: Leeway
    ties: Ties

    @classmethod
    def of(
        cls,
        wanted: Mapping[Key, list[Statement]],
        there: Mapping[Key, list[Statement]],
        leeway: Leeway,
        ties: Ties,
    ) -> _Both:
        kinds = {name: kind for kind, name in there if kind in RELATION_KINDS}
        relations = {name: kind for kind, name in wanted if kind in RELATION_KINDS}
        gone = {n for kind, n in wanted if kind in RELATION_KINDS and kinds.get(n) != kind}
        fed = {name for name, owner in ties.owners.items() if owner in gone}
        return cls(
            wanted,
            there,
            {key: str(some[0]) for key, some in ({**there, **wanted}).items()},
            kinds,
            relations.keys() - gone,
            _implied(wanted, gone, fed, ties.depends_on),
            leeway,
            ties,
        )

    def pairs(self) -> Iterator[tuple[Key, Sequence[Statement], Sequence[Statement]]]:
        """What must be compared: what both sides have, and grants on objects with another owner."""
        for key in sorted(self.names):
            if self._is_compared(key) and self.names[key] not in self.leeway.excused:
                yield key, self.wanted.get(key, ()), self.there.get(key, ())

    def _is_compared(self, key: Key) -> bool:
        both = key in self.wanted and key in self.there
        return both or self.names[key] in self.leeway.reowned

    def difference(self, key: Key, said: Mapping[Key, str]) -> Difference | None:
        """The difference, if it counts. `said` describes how the statements of a kind and name
        differ."""
        statement = (self.wanted.get(key) or self.there[key])[0]
        name, leeway = self.names[key], self.leeway
        if name in leeway.excused or (name in leeway.left_out and key not in self.wanted):
            return None
        if name in leeway.reowned and statement.id in self.implied:
            return None
        if self._is_compared(key):
            message = said.get(key)
            return _difference(statement, message) if message else None
        if key not in self.there:
            message = _absent(self.kinds.get(statement.name))
            return None if statement.id in self.implied else _difference(statement, message)
        counts = self._is_part(statement)
        return _difference(statement, "is on the target only") if counts else None

    def _is_part(self, statement: Statement) -> bool:
        """Whether something that only the target has belongs to a selected object."""
        of = self.ties.belongs_to.get(statement.id, ())
        if statement.kind in PARTS and statement.relation in self.kept:
            return True
        if statement.kind in ATTRIBUTES and of and set(of) <= self.ties.selected:
            return True
        added = self.ties.adds_to.get(statement.id, ())
        more = [one for one in added if one[1] not in self.leeway.filled]
        return not self.ties.selected.isdisjoint(more)


def only_there(
    expected: Iterable[Statement], found: Iterable[Statement], schemas: Collection[str] | None
) -> list[str]:
    """Names of what only the target has, without its parts; of these schemas only, if given."""
    wanted = {(one.kind, one.name) for one in expected}
    return sorted(
        str(one)
        for one in found
        if one.kind not in PARTS
        and (schemas is None or one.name.schema in schemas)
        and (one.kind, one.name) not in wanted
    )


def _implied(
    wanted: Mapping[Key, list[Statement]],
    gone: Collection[Name],
    fed: Collection[Name],
    depends_on: Mapping[int, Collection[int]],
) -> set[int]:
    """The ids of what cannot exist without the missing relations, but not theirs."""
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
) -> dict[Key, list[Statement]]:
    groups: dict[Key, list[Statement]] = defaultdict(list)
    for statement in statements:
        if not _is_of_extension(statement) and statement.relation not in filled:
            groups[statement.kind, _name(statement)].append(statement)
    return groups


def _is_of_extension(statement: Statement) -> bool:
    return statement.kind == "COMMENT" and statement.name.name.startswith("EXTENSION ")


def _name(statement: Statement) -> Name:
    """The name without IN: since version 14, definitions have it before a procedure's arguments,
    and references to the procedure have not."""
    name = statement.name
    if not name.name.startswith("PROCEDURE "):
        return name
    return Name(name.schema, re.sub(r"(?<=[(,])( ?)IN ", r"\1", name.name))


@dataclass(frozen=True, slots=True)
class _Written:
    """Two different texts of one statement, and the doubts about whether they mean the same."""

    one: str
    other: str
    doubts: list[Doubt] | None  # None: they do not mean the same


@dataclass(frozen=True, slots=True)
class _Comparison:
    judge: Judge
    since: Since
    reordered: Collection[Name]
    reowned: Mapping[str, Collection[str]]

    def differences(
        self, pairs: Iterable[tuple[Key, Sequence[Statement], Sequence[Statement]]]
    ) -> dict[Key, str]:
        """How the statements of each kind and name differ; nothing for those that mean the same.
        The judge is asked about many at once, of which as many are held in memory."""
        said: dict[Key, str] = {}
        waiting: dict[Key, list[_Written]] = {}
        for key, wanted, there in pairs:
            found = self._compare(wanted, there)
            if isinstance(found, str):
                said[key] = found
            elif found:
                waiting[key] = found
            if len(waiting) >= _JUDGED_AT_ONCE:
                said |= self._judged(waiting)
                waiting.clear()
        return {key: text for key, text in (said | self._judged(waiting)).items() if text}

    def _compare(
        self, wanted: Sequence[Statement], there: Sequence[Statement]
    ) -> str | list[_Written]:
        """How they differ; or the questions for the judge."""
        left, right = Counter(one.sql for one in wanted), Counter(one.sql for one in there)
        lost, more = sorted((left - right).elements()), sorted((right - left).elements())
        if not lost and not more:
            return ""
        if all(one.kind in _GRANTS for one in (*wanted, *there)):
            scripts = "".join(lost), "".join(more)
            owners = self.reowned.get(str((wanted or there)[0]), ())
            same = same_privileges(*scripts, maintain=self.since.maintain, apart_from=owners)
            return "" if same else _how(*scripts)
        if len(lost) != len(more):
            return _how("".join(lost), "".join(more))
        free = wanted[0].kind == "TABLE" and wanted[0].name in self.reordered
        return [
            _Written(*pair, doubts(*pair, self.since, in_any_order=free))
            for pair in zip(lost, more, strict=True)
        ]

    def _judged(self, waiting: Mapping[Key, Sequence[_Written]]) -> dict[Key, str]:
        asked = [doubt for some in waiting.values() for one in some for doubt in one.doubts or ()]
        answers = zip(asked, self.judge.are_alike(asked), strict=True)
        alike = {id(doubt) for doubt, is_alike in answers if is_alike}
        return {key: self._first_difference(some, alike) for key, some in waiting.items()}

    def _first_difference(self, some: Iterable[_Written], alike: Collection[int]) -> str:
        return next((said for one in some if (said := self._difference(one, alike))), "")

    def _difference(self, one: _Written, alike: Collection[int]) -> str:
        if one.doubts is None:
            return _how(one.one, one.other)
        try:
            left = (doubt for doubt in one.doubts if id(doubt) not in alike)
            same = all(self.judge.is_same(doubt) for doubt in left)
        except CannotPrint as error:
            return f"is written differently, and could not be compared: {error}"
        return "" if same else _how(one.one, one.other)


def _how(one: str, other: str) -> str:
    """Some of the lines that only one side has; otherwise the first line in another place."""
    left, right = ([line for line in text.splitlines() if line.strip()] for text in (one, other))
    lost = list((Counter(left) - Counter(right)).elements())
    more = list((Counter(right) - Counter(left)).elements())
    if not lost and not more:
        moved = next((pair for pair in zip(left, right, strict=True) if pair[0] != pair[1]), None)
        lost, more = ([moved[0]], [moved[1]]) if moved else ([], [])
        return f"is defined in another order ({_sides(lost, more)})"
    return f"is defined differently ({_sides(lost, more)})"


def _sides(lost: Sequence[str], more: Sequence[str]) -> str:
    sides = (("source", lost), ("target", more))
    return ", ".join(
        f"{side}: {'; '.join(line.strip().rstrip(',') for line in lines[:3])}"
        for side, lines in sides
        if lines
    )


def _difference(statement: Statement, message: str) -> Difference:
    is_part = statement.kind in PARTS | RELATION_KINDS and statement.relation is not None
    relation = str(statement.relation) if is_part else ""
    return Difference(DifferenceKind.SCHEMA, str(statement), message, relation=relation)
