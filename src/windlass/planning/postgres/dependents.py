"""Finds the other objects of the target that refer to what `replace` sets aside, and decides how
they come to refer to the new objects.

If an object can be recreated from its definition, that is done in the transaction that removes the
old object. An object that cannot be (a column of a type, a child of a relation) is a problem that
names it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from psycopg import sql

from windlass.engines.postgres.archive import PARTS, Entry
from windlass.engines.postgres.catalog import ForeignKey
from windlass.engines.postgres.references import Reference
from windlass.engines.postgres.relation import CatalogRelation
from windlass.model.plan import Address, Dependent, SetAside
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.statement import Phase, Statement
from windlass.planning.naming import backup_name, is_backup
from windlass.planning.postgres.select import describe
from windlass.planning.postgres.statements import write_statements
from windlass.planning.postgres.surroundings import Surroundings
from windlass.planning.postgres.two_steps import VALIDATION

# holds nothing but its definition, and can be moved into another schema
_TAKEN = {
    "AGGREGATE", "COLLATION", "CONVERSION", "DOMAIN", "FOREIGN TABLE", "FUNCTION",
    "MATERIALIZED VIEW", "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY", "PROCEDURE",
    "TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "TEXT SEARCH PARSER",
    "TEXT SEARCH TEMPLATE", "TYPE", "VIEW",
}  # fmt: skip
# a part of something that stays: dropped, and made again
_REDONE = {
    "CAST", "DEFAULT", "EVENT TRIGGER", "FK CONSTRAINT", "POLICY", "PUBLICATION TABLE", "RULE",
    "TRANSFORM", "TRIGGER",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Replacing:
    """What is set aside, what replaces it, and what the target has."""

    run: str
    set_aside: Sequence[SetAside]
    arriving: Mapping[Name, CatalogRelation]  # the source's relations by their names on the target
    made: Collection[tuple[str, Name]]  # kind and name of the run's own statements
    references: Sequence[Reference]
    archive: Callable[[], Sequence[Entry]]  # the target's
    foreign_keys: Sequence[ForeignKey]  # the target's
    populated: Collection[Name]  # of the target's materialized views
    around: Surroundings


@dataclass(frozen=True, slots=True)
class Repointing:
    """What is recreated, what only follows into the backup schema, and what prevents the run."""

    dependents: tuple[Dependent, ...] = ()
    followers: tuple[SetAside, ...] = ()
    problems: tuple[Problem, ...] = ()


def plan_repointing(replacing: Replacing) -> Repointing:
    """Decide for everything that refers, directly or not, to what is set aside."""
    aside = {item.address for item in replacing.set_aside}
    outside = [one for one in replacing.references if not is_backup(one.schema)]
    if not any(_touches(one, aside) for one in outside):
        return Repointing()
    return _Repointing(replacing, outside).result()


def _touches(reference: Reference, aside: Collection[Address]) -> bool:
    leads_out = reference.kind == "CHILD" and reference.top in aside and reference.to not in aside
    return leads_out or (reference.to in aside and reference.top not in aside)


class _Repointing:
    def __init__(self, replacing: Replacing, references: Sequence[Reference]) -> None:
        self._given = replacing
        self._references = references
        self._entries = list(replacing.archive())
        self._by_address = {(one.catalog, one.oid): one for one in self._entries if one.oid}
        self._signed = {
            address: key for key, address in replacing.around.existing.addresses.items()
        }
        self._names = {item.address: item.name for item in replacing.set_aside}
        self._inside = {item.address for item in replacing.set_aside}
        self._taken: dict[Address, list[Reference]] = {}
        self._redone: dict[Address, list[Reference]] = defaultdict(list)
        self._followers: dict[Address, SetAside] = {}
        self._problems: list[Problem] = []

    def result(self) -> Repointing:
        self._close()
        refused = [_cannot(one) for one in self._references if self._leads_out(one)]
        redone = {
            part: some for part, some in self._redone.items() if some[0].top not in self._inside
        }
        dependents = self._written({**self._taken, **redone})
        problems = dict.fromkeys([*refused, *self._problems])
        return Repointing(tuple(dependents), tuple(self._followers.values()), tuple(problems))

    def _leads_out(self, one: Reference) -> bool:
        return one.kind == "CHILD" and one.top in self._inside and one.to not in self._inside

    def _close(self) -> None:
        """Also check objects that refer to objects which are taken along."""
        seen: set[int] = set()
        grown = True
        while grown:
            grown = False
            for at, one in enumerate(self._references):
                if at in seen or one.to not in self._inside or one.top in self._inside:
                    continue
                seen.add(at)
                grown = True
                self._decide(one)
        for some in self._taken.values():
            some += [r for r in self._references if r.top == some[0].top and r.to in self._names]
        for one in (each for some in self._taken.values() for each in some):
            self._check_column(one)

    def _decide(self, one: Reference) -> None:
        top = self._by_address.get(one.top)
        if one.kind in _REDONE and (one.kind == "DEFAULT" or one.part in self._by_address):
            self._redone[one.part].append(one)
            self._check_column(one)
        elif top and top.kind in _TAKEN and one.top in self._signed:
            self._taken[one.top] = [one]
            self._inside.add(one.top)
        elif one.kind == "STATISTICS" and self._follows(one):
            self._followers[one.top] = self._set_aside(one.top)
            self._inside.add(one.top)
        else:
            self._problems.append(_cannot(one))

    def _follows(self, one: Reference) -> bool:
        """Whether it follows its relation, as statistics and indexes do."""
        of = {each.to for each in self._references if each.top == one.top and each.column}
        return one.top in self._signed and bool(of) and of <= self._names.keys()

    def _set_aside(self, address: Address) -> SetAside:
        signed = self._signed[address]
        kind, schema, name, _ = signed
        identity = self._given.around.existing.identities.get(signed, "")
        backup = backup_name(self._given.run, schema)
        return SetAside(kind, Name(schema, name), identity, backup, address)

    def _check_column(self, one: Reference) -> None:
        """Check that the new relation has the column that is referred to."""
        name = self._names.get(one.to)
        relation = self._given.arriving.get(name) if name else None
        if relation is None or not one.column:
            return
        if one.column not in {column.name for column in relation.columns}:
            message = f"refers to column {one.column} of {one.refers_to}, which will not have it"
            self._problems.append(Problem(one.object, message, _DROP))

    def _written(self, found: Mapping[Address, list[Reference]]) -> list[Dependent]:
        mine: dict[int, Address] = {}
        for entry in self._entries:
            address = (entry.catalog, entry.oid)
            if address in found:
                mine[entry.id] = address
            elif entry.kind in PARTS:
                owners = [mine[id_] for id_ in entry.depends_on if id_ in mine]
                if owners:
                    mine[entry.id] = owners[-1]
        entries = [entry for entry in self._entries if entry.id in mine]
        keys = {key.oid: key for key in self._given.foreign_keys}
        written = write_statements(entries, self._given.around, foreign_keys=keys)
        self._problems += written.problems
        statements: dict[Address, list[Statement]] = {address: [] for address in mine.values()}
        for statement in written.statements:
            # its id differs from all of the source's
            statements[mine[statement.id]].append(replace(statement, id=-statement.id))
        dependents = [
            self._dependent(address, found[address], tuple(some))
            for address, some in statements.items()
            if not (some and some[0].kind in ("CAST", "TRANSFORM") and self._are_made(some))
        ]
        defaults = [
            self._default(some) for address, some in found.items() if address not in statements
        ]
        return [*dependents, *defaults]

    def _dependent(
        self, address: Address, references: Sequence[Reference], statements: tuple[Statement, ...]
    ) -> Dependent:
        entry = self._by_address[address]
        found = Dependent(
            object=describe(entry),
            refers_to=tuple(dict.fromkeys(one.refers_to for one in references)),
            statements=statements,
            address=address,
        )
        if address in self._taken:
            name, refresh = Name(entry.schema, entry.tag), ""
            if name in self._given.populated:
                view = sql.Identifier(name.schema, name.name)
                refresh = sql.SQL("REFRESH MATERIALIZED VIEW {};\n").format(view).as_string(None)
            return replace(found, aside=self._set_aside(address), refresh=refresh)
        match entry.kind:
            case "FK CONSTRAINT":
                return self._foreign_key(found, entry, references)
            case "PUBLICATION TABLE":
                return self._publication(found, entry, references)
            case "CAST" | "TRANSFORM" if any(self._is_of_type(one) for one in references):
                return found  # the old one stays with the old type
            case _:
                return replace(found, drop=entry.drop, restore=_script(statements))

    def _is_of_type(self, reference: Reference) -> bool:
        entry = self._by_address.get(reference.to)
        return entry is None or entry.kind != "FUNCTION"

    def _foreign_key(
        self, found: Dependent, entry: Entry, references: Sequence[Reference]
    ) -> Dependent:
        """Created NOT VALID at first, because the referring relation has rows."""
        self._check_key(found, references)
        made = tuple(one for one in found.statements if one.kind != VALIDATION)
        validate = _script(one for one in found.statements if one.kind == VALIDATION)
        return replace(
            found, statements=made, drop=entry.drop, restore=_script(made), validate=validate
        )

    def _check_key(self, found: Dependent, references: Sequence[Reference]) -> None:
        relations = {self._names[one.to] for one in references if one.to in self._names}
        for name in relations & self._given.arriving.keys():
            columns = {one.column for one in references if one.column}
            relation = self._given.arriving[name]
            known = {column.name for column in relation.columns}
            if columns <= known and columns not in [set(key) for key in relation.unique]:
                some = ", ".join(sorted(columns))
                message = f"needs a unique key on {name} ({some}), which the source's does not have"
                self._problems.append(Problem(found.object, message, _DROP))

    def _publication(
        self, found: Dependent, entry: Entry, references: Sequence[Reference]
    ) -> Dependent:
        """A membership in a publication. The archive has no DROP for it, because it ends with the
        relation; but here the relation stays."""
        by_id = {one.id: one for one in self._entries}
        publication = next(
            by_id[id_] for id_ in entry.depends_on if by_id[id_].kind == "PUBLICATION"
        )
        old = next(item for item in self._given.set_aside if item.address == references[0].to)
        drop = sql.SQL("ALTER PUBLICATION {} DROP TABLE ONLY {};\n").format(
            sql.Identifier(publication.tag), sql.Identifier(old.backup_schema, old.name.name)
        )
        return replace(
            found,
            drop=drop.as_string(None),
            statements=() if self._are_made(found.statements) else found.statements,
            restore=_script(found.statements),
        )

    def _are_made(self, statements: Iterable[Statement]) -> bool:
        """Whether the run itself creates all of them, because the source has them too."""
        return all((one.kind, one.name) in self._given.made for one in statements)

    def _default(self, references: Sequence[Reference]) -> Dependent:
        """A default that the archive has inside the relation's own text."""
        one = references[0]
        column = sql.SQL("ALTER TABLE ONLY {} ALTER COLUMN {} ").format(
            sql.Identifier(one.schema, one.relation), sql.Identifier(one.default_of)
        )
        set_default = column + sql.SQL("SET DEFAULT {};\n").format(sql.SQL(one.expression))
        drop = (column + sql.SQL("DROP DEFAULT;\n")).as_string(None)
        relation = Name(one.schema, one.relation)
        statement = Statement(
            id=0,
            kind="DEFAULT",
            name=Name(one.schema, f"{one.relation} {one.default_of}"),
            sql=set_default.as_string(None),
            drop=drop,
            phase=Phase.REST,
            relation=relation,
        )
        return Dependent(
            object=str(statement),
            refers_to=tuple(dict.fromkeys(each.refers_to for each in references)),
            statements=(statement,),
            drop=drop,
            restore=statement.sql,
            address=one.part,
        )


_DROP = "drop it, or exclude what it refers to"


def _script(statements: Iterable[Statement]) -> str:
    return "".join(statement.sql for statement in statements)


def _cannot(one: Reference) -> Problem:
    if one.kind == "CHILD":
        return Problem(
            one.object,
            f"is a child or partition of {one.refers_to}, and only one of them would be replaced",
            "select both, or detach it",
        )
    return Problem(
        one.object,
        f"refers to {one.refers_to}, which would be set aside",
        "select what it belongs to as well, or exclude or drop one of them",
    )
