"""The input of a plan: the user's request, and what was read on both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from windlass.engines.postgres.archive import Entry
from windlass.engines.postgres.catalog import Catalog, Existing, ForeignKey, KeyConstraint
from windlass.engines.postgres.database import Properties
from windlass.engines.postgres.largeobjects import Collisions
from windlass.engines.postgres.locale import C, Locale
from windlass.engines.postgres.locks import LockRoom
from windlass.engines.postgres.meaning import Since
from windlass.engines.postgres.own_schemas import NO_OWN_SCHEMAS, OwnSchemas
from windlass.engines.postgres.references import Reference
from windlass.engines.postgres.trial import TryOut
from windlass.engines.postgres.undumped import NOTHING_UNDUMPED, Undumped
from windlass.model.plan import Purpose
from windlass.model.relation import LargeObjects, Name, Relation
from windlass.planning.chunks import Bounds
from windlass.planning.estimate import ASSUMED, Speeds
from windlass.planning.postgres.narrowing import Census
from windlass.planning.postgres.object_names import CountNames
from windlass.planning.postgres.select import Wanted
from windlass.spec.choices import Existing as OnExisting
from windlass.spec.choices import Extent
from windlass.spec.migrate import Spec


@dataclass(frozen=True, slots=True)
class Request:
    """A user's request: to migrate, or only to compare."""

    run: str
    spec: Spec
    purpose: Purpose = Purpose.MOVE
    called: Mapping[Name, Name] = field(default_factory=dict)
    """The real names of what is planned under the name that it gets."""

    @property
    def migrates(self) -> bool:
        return self.purpose is Purpose.MOVE

    @property
    def creates(self) -> bool:
        """Whether it creates objects on the target."""
        return self.migrates and self.spec.extent is not Extent.DATA

    @property
    def copies_rows(self) -> bool:
        return self.spec.extent is not Extent.SCHEMA

    @property
    def existing(self) -> OnExisting:
        """What to do with existing objects. A comparison always works on existing ones."""
        return self.spec.existing if self.migrates else OnExisting.FILL

    @property
    def wanted(self) -> Wanted:
        return wanted(self.spec, self.called)


def wanted(spec: Spec, called: Mapping[Name, Name] = MappingProxyType({})) -> Wanted:
    """The options of a spec that select relations. `called` has the real names."""
    return Wanted(spec.schemas, spec.include, spec.exclude, spec.allow_unmatched, called)


@dataclass(frozen=True, slots=True)
class SourceRead:
    """The source, in the snapshot."""

    catalog: Catalog
    key_constraints: Sequence[KeyConstraint]
    foreign_keys: Sequence[ForeignKey]
    invalid_indexes: Sequence[Name]
    subscriptions: Sequence[str]
    large_objects: LargeObjects
    properties: Properties  # of the database
    open_schemas: Mapping[str, bool]  # each, and whether PUBLIC may create in it
    own_schemas: OwnSchemas = NO_OWN_SCHEMAS  # where earlier runs keep things
    # large objects that earlier runs keep, by run
    kept_objects: Mapping[str, int] = field(default_factory=dict)
    undumped: Undumped = NOTHING_UNDUMPED
    locale: Locale = C


@dataclass(frozen=True, slots=True)
class TargetRead:
    """The target before the run."""

    catalog: Catalog
    existing: Existing
    foreign_keys: Sequence[ForeignKey]
    large_objects: LargeObjects
    properties: Properties
    open_schemas: Mapping[str, bool]
    locks: LockRoom
    may_silence_triggers: bool
    logs_little: bool = False  # wal_level is minimal
    own_schemas: OwnSchemas = NO_OWN_SCHEMAS
    locale: Locale = C


@dataclass(frozen=True, slots=True)
class Questions:
    """What planning may still ask the two servers. Asking changes nothing."""

    bounds: Bounds
    census: Census
    count_names: CountNames
    empty: Callable[[Iterable[Name]], Mapping[Name, bool]]
    try_out: TryOut  # on the target, rolled back
    collisions: Callable[[], Collisions]  # of large objects
    references: Callable[[], Sequence[Reference]]  # of the target
    target_archive: Callable[[], Sequence[Entry]]


@dataclass(frozen=True, slots=True)
class Read:
    """Everything that was read before planning, and what may still be asked."""

    source: SourceRead
    target: TargetRead
    ask: Questions
    pg_dump: str
    entries: Sequence[Entry] = ()  # of the source's archive
    speeds: Speeds = ASSUMED
    arriving: Mapping[Name, Relation] = field(default_factory=dict)
    """Relations whose columns have other types on the target than they are read with, by name."""

    @property
    def since(self) -> Since:
        """What changed in the versions between the two."""
        return Since.of(self.source.catalog.server.major, self.target.catalog.server.major)
