"""Where a change goes: for each relation as the source describes it, the target's relation, its
columns and its key. Decides whether the two still fit together, but not how a change is applied."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from psycopg.rows import dict_row

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.replication.messages import Relation, RelationColumn
from windlass.engines.postgres.session import Connection
from windlass.errors import SchemaChanged
from windlass.model.relation import Name
from windlass.model.wording import word

# Types with lower ids have the same id on every server. Those of information_schema and of users do
# not.
_STABLE_IDS = 10000
# Types for which equal values have equal texts: bool, bytea, "char", name, int8, int2, int4, text,
# oid, cidr, macaddr, inet, varchar, date, time, timestamp, timestamptz, bit, varbit, macaddr8,
# uuid, pg_lsn. Not numeric, as 1.0 = 1.00; nor float8, as 0 = -0.
_EXACT = {
    16, 17, 18, 19, 20, 21, 23, 25, 26, 650, 829, 869, 1043, 1082, 1083, 1114, 1184, 1560, 1562,
    774, 2950, 3220,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column that changes are written to."""

    name: str
    position: int  # in the rows that the source sends
    is_settable: bool = True  # false: GENERATED ALWAYS AS IDENTITY, which UPDATE may not set
    is_exact: bool = True  # equal values have the same text

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """From a relation of the source to one of the target. Equal by identity only."""

    source: Name
    target: Name
    columns: tuple[Column, ...]  # in the order of the source's rows; none that is generated
    key: tuple[Column, ...]  # by which a row is found; empty: by all columns, or not at all
    width: int  # values in a row of the source
    identity: str  # of the source's relation: d(efault), n(othing), f(ull), i(ndex)
    is_partitioned: bool = False
    is_unique: bool = True  # the target has at most one row for each key
    kept: tuple[str, ...] = ()  # columns of the target that the source does not have

    @property
    def positions(self) -> tuple[int, ...]:
        """Where the values of `columns` are in a row."""
        return tuple(column.position for column in self.columns)

    @property
    def key_positions(self) -> tuple[int, ...]:
        return tuple(column.position for column in self.key)

    @property
    def is_full(self) -> bool:
        """Whether a row is found by all of its values."""
        return self.identity == "f" and not self.key


class _Found(NamedTuple):
    """A column of the target, as the catalog query gives it."""

    relation: int
    schema: str
    name: str
    kind: str
    column: str | None
    type_id: int
    modifier: int
    type_schema: str
    type_name: str
    type: str
    is_generated: bool
    is_always_identity: bool
    is_deterministic: bool


class _Key(NamedTuple):
    columns: tuple[str, ...]
    is_not_null: bool
    # sorted in the server's default order, and its collation does not equate different texts
    is_orderly: bool


@dataclass(slots=True)
class _Target:
    kind: str
    columns: dict[str, _Found] = field(default_factory=dict)
    keys: list[_Key] = field(default_factory=list)


AGAIN = "make the same change on the target, then run the same command again"
BY_REPAIR = (
    "compare both sides, repair what differs and follow from there: windlass verify"
    f" {word('follow')} {word('repair')}"
)
AFRESH = f"make the same change on the target, then {BY_REPAIR}"
_EXCHANGED = (
    "exchanged its name with another table, and whether the target's did so as well cannot be seen"
)


def _is_exchanged(name: Name, now: Mapping[Name, Name]) -> bool:
    """Whether renames lead from a name back to it."""
    after = now.get(name)
    while after is not None and after != name:
        after = now.get(after)
    return after == name


@dataclass(slots=True)
class Routes:
    """The routes of a run. `names` has every relation that it follows, with its name on the target.

    `ids` are the source's object ids of these relations when the run began; `types` are the names
    of the source's types that are not built in. Without them, renamed relations and replaced user
    types are not noticed here.
    """

    names: Mapping[Name, Name]
    ids: Mapping[int, Name] = field(default_factory=dict)
    types: Mapping[int, Name] = field(default_factory=dict)
    target_only: frozenset[tuple[Name, str]] = frozenset()  # columns that the source lacks
    # what was renamed on both sides since, by its object id on the source: its names now
    renamed: Mapping[int, tuple[Name, Name]] = field(default_factory=dict)
    # Partitioned tables: a TRUNCATE names them as well. None: what is not in `names` is left out.
    parents: Collection[Name] | None = None
    _changing: set[Name] = field(default_factory=set)
    _session: Connection | None = None
    _targets: dict[Name, _Target] = field(default_factory=dict)
    _known: dict[Relation, Route | None] = field(default_factory=dict)
    _first: dict[Name, Relation] = field(default_factory=dict)

    def read(self, session: Connection) -> None:
        """Read the target's catalog, now or again."""
        with explaining("reading the catalog", side="target"):
            self._session, self._targets = session, _read_targets(session)
        self._known.clear()

    def change(self, names: Mapping[Name, Name]) -> None:
        """Prepare for a transaction that changes the definitions of these relations; the target is
        ready for it. Rows that the transaction wrote before may lack a column, or have one more."""
        self.names = {**names, **self.names}
        self._changing = {*names}
        for name in names:
            self._first.pop(name, None)
        self._known.clear()

    def exchanged(self, called: Mapping[int, Name]) -> list[str]:
        """Relations that have exchanged their names, as sentences. `called` has, by object id, the
        names of the relations that a transaction has changed."""
        moved = self._moved(called)
        return [f"{was}: {_EXCHANGED}" for was in moved if _is_exchanged(was, moved)]

    def left_behind(self, called: Mapping[int, Name]) -> list[str]:
        """Relations of the target that still have a name which the source's no longer has."""
        moved = self._moved(called)
        return [
            f"{was}: is now called {moved[was]}, and the target still has it"
            for was in moved.keys() - {*moved.values()}
            if self.names.get(was) in self._targets
        ]

    def rename(self, called: Mapping[int, Name]) -> None:
        """Follow renames that the target is ready for."""
        moved = {*self._moved(called).values()}
        places = {id: (name, self._target_of(name)) for id, name in called.items() if name in moved}
        self.renamed = {**self.renamed, **places}
        self.names = {**self.names, **dict(places.values())}

    def _moved(self, called: Mapping[int, Name]) -> dict[Name, Name]:
        """New names of renamed relations, by their names until now."""
        return {
            was: name
            for id, name in called.items()
            if (was := self._called(id)) is not None and was != name
        }

    def _called(self, id: int) -> Name | None:
        """A relation's name until now."""
        return self.renamed[id][0] if id in self.renamed else self.ids.get(id)

    def _target_of(self, source: Name) -> Name:
        schemas = {old.schema: new.schema for old, new in self.names.items()}
        return Name(schemas.get(source.schema, source.schema), source.name)

    def settle(self) -> None:
        """End what `change` has begun."""
        if self._changing:
            self._changing = set()
            self._known.clear()

    def apart(self, relation: Relation) -> list[str]:
        """Why changes of a relation would not fit, as sentences. Asking changes nothing."""
        source = Name(relation.schema, relation.name)
        target = self._targets.get(self.names[source])
        if target is None:
            return [f"the target has no table {self.names[source]}"]
        return [*self._differences(source, relation, target)]

    def route(self, relation: Relation) -> Route | None:
        """Where changes of this relation go; None if the run does not follow it.

        Raises:
            SchemaChanged: the source's relation is not what the target's was made from; or
                nothing but what is followed should come, and this is something else.
        """
        try:
            return self._known[relation]
        except KeyError:
            found = self._known[relation] = self._find_now(relation)
            return found

    def _find_now(self, relation: Relation) -> Route | None:
        """Find the route; if it does not fit, read the target's catalog again: somebody may have
        made the same change there."""
        try:
            return self._find(relation)
        except SchemaChanged:
            if self._session is None:
                raise
            self.read(self._session)
            return self._find(relation)

    def _find(self, relation: Relation) -> Route | None:
        source = Name(relation.schema or "pg_catalog", relation.name)
        was = self._called(relation.id)
        if was is not None and was != source:
            # the transaction wrote the row before it renamed the relation
            if was in self._changing:
                source = was
            else:
                self._rename(relation.id, was, source)
        if source not in self.names:
            if self.parents is not None and source not in self.parents:
                raise _changed(source, ["it is new: a partition, or published by somebody else"])
            return None
        target = self._targets.get(self.names[source])
        if target is None:
            raise _changed(source, [f"the target has no table {self.names[source]}"])
        differences = [*self._differences(source, relation, target)]
        if differences:
            raise _changed(source, differences, AFRESH if source in self._changing else AGAIN)
        self._first.setdefault(source, relation)
        return _route(source, self.names[source], relation, target)

    def _rename(self, id: int, was: Name, source: Name) -> None:
        """Follow a rename that the target has as well.

        Raises:
            SchemaChanged: it has not.
        """
        renamed = self._target_of(source)
        if renamed not in self._targets or self.names[was] in self._targets:
            is_there = renamed in self._targets  # for example after an exchange of names
            raise _changed(was, [f"it is now called {source}"], AFRESH if is_there else AGAIN)
        self.names = {**self.names, source: renamed}
        self.renamed = {**self.renamed, id: (source, renamed)}

    def _differences(self, source: Name, relation: Relation, target: _Target) -> Iterator[str]:
        """The differences since the run began, as sentences."""
        sent = {column.name for column in relation.columns}
        missing, more = sent - target.columns.keys(), self._more(source, sent, target)
        # columns that were added or dropped; both could be a column that was renamed
        if source not in self._changing or (missing and more):
            yield from (f"the target has no column {name}" for name in sorted(missing))
            yield from (f"column {name} is no longer sent by the source" for name in more)
        for column in relation.columns:
            there = target.columns.get(column.name)
            if there is not None and not self._is_same_type(column, there):
                now = self._type(column)
                yield f"column {column.name} has type {now}, on the target {there.type}"
        first = self._first.get(source)
        if first is not None and _identity(first) != _identity(relation):
            yield f"rows are identified by {_identity(relation)}, before by {_identity(first)}"
        elif relation.identity != "f":
            key = {column.name for column in relation.columns if column.is_key}
            if key and not any(set(unique.columns) == key for unique in target.keys):
                lacks = "which no unique index of the target has"
                yield f"rows are identified by {_listed(key)}, {lacks}"

    def _more(self, source: Name, sent: Collection[str], target: _Target) -> list[str]:
        """Columns of the target that the source should send, but does not."""
        return [
            name
            for name, there in target.columns.items()
            if not there.is_generated
            and (source, name) not in self.target_only
            and name not in sent
        ]

    def _is_same_type(self, column: RelationColumn, there: _Found) -> bool:
        if column.modifier != there.modifier:
            return False
        if column.type_id < _STABLE_IDS:
            return column.type_id == there.type_id
        named = self.types.get(column.type_id)
        if named is None:
            return there.type_id >= _STABLE_IDS
        if named.name != there.type_name:
            return False
        schemas = {old.schema: new.schema for old, new in self.names.items()}
        return there.type_schema in (named.schema, schemas.get(named.schema))

    def _type(self, column: RelationColumn) -> str:
        """A column's type, for people; its name if that is known here."""
        if column.type_id >= _STABLE_IDS:
            return str(self.types.get(column.type_id, "another type"))
        assert self._session is not None  # as the target's catalog was read
        with explaining("reading the catalog", side="target"):
            row = self._session.execute(
                "select format_type(%s::oid, %s)", (column.type_id, column.modifier)
            ).fetchone()
        return str(row[0]) if row else "another type"


def _route(source: Name, name: Name, relation: Relation, target: _Target) -> Route:
    columns = [
        Column(
            sent.name,
            position,
            is_settable=not there.is_always_identity,
            is_exact=there.type_id in _EXACT and there.is_deterministic,
        )
        for position, sent in enumerate(relation.columns)
        for there in [target.columns.get(sent.name)]
        if there is not None  # otherwise dropped by the transaction that the row belongs to
    ]
    key, is_unique = _key(relation, target)
    generated = {name for name, there in target.columns.items() if there.is_generated}
    return Route(
        source=source,
        target=name,
        columns=tuple(column for column in columns if column.name not in generated),
        key=tuple(column for column in columns if column.name in key),
        width=len(relation.columns),
        identity=relation.identity,
        is_partitioned=target.kind == "p",
        # without a column that UPDATE may set, a row has no net change
        is_unique=is_unique
        and not key & generated
        and any(column.is_settable for column in columns),
        kept=tuple(target.columns.keys() - {column.name for column in columns} - generated),
    )


def _key(relation: Relation, target: _Target) -> tuple[frozenset[str], bool]:
    """The columns by which a row is found, and whether there is at most one row for each value.

    Under FULL the source sends all old values: then the target's own key finds the row.
    """
    if relation.identity == "f":
        sent = {column.name for column in relation.columns}
        generated = {name for name, there in target.columns.items() if there.is_generated}
        for key in target.keys:
            if key.is_not_null and key.is_orderly and set(key.columns) <= sent - generated:
                return frozenset(key.columns), True
        return frozenset(), False
    columns = frozenset(column.name for column in relation.columns if column.is_key)
    fitting = [key for key in target.keys if set(key.columns) == columns]
    return columns, any(key.is_orderly for key in fitting)


def _read_targets(session: Connection) -> dict[Name, _Target]:
    """The relations that can hold rows."""
    targets: dict[Name, _Target] = {}
    by_id: dict[int, _Target] = {}
    for row in session.execute(load("followed_columns")):
        found = _Found(*row)  # type: ignore[arg-type]
        name = Name(found.schema, found.name)
        target = targets.setdefault(name, _Target(found.kind))
        by_id[found.relation] = target
        if found.column is not None:
            target.columns[found.column] = found
    with session.cursor(row_factory=dict_row) as cursor:
        for key in cursor.execute(load("keys")):
            if key["is_unique"] and key["relation"] in by_id:
                unique = _Key(tuple(key["columns"]), key["not_null"], key["is_orderly"])
                by_id[key["relation"]].keys.append(unique)
    return targets


def _identity(relation: Relation) -> str:
    """How the source identifies rows."""
    if relation.identity == "f":
        return "all columns"
    key = {column.name for column in relation.columns if column.is_key}
    return _listed(key) if key else "nothing"


def _listed(names: Iterable[str]) -> str:
    return f"({', '.join(sorted(names))})"


def _changed(source: Name, differences: list[str], hint: str = AGAIN) -> SchemaChanged:
    return SchemaChanged(
        f"{source} has changed on the source: {'; '.join(differences)}",
        hint=hint,
        relation=str(source),
    )
