"""The frozen `Spec` of a migration, from YAML, Python or options. Unknown keys are refused.

It does not decide whether the databases support it (`windlass.planning`), or how it is done
(`windlass.flows`).
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    SecretStr,
    WithJsonSchema,
    model_validator,
)

from windlass.model.report import ACCEPTABLE, LossClass
from windlass.spec.choices import ChunkBy, Existing, Extent, Unlogged, Verify
from windlass.spec.fields.migrate import MIGRATE
from windlass.spec.mapping import MappingSpec
from windlass.spec.model import AnySize, Size, SpecModel, Words, list_of_one, made_from, word_of

_CLASS = {"enum": [one.value for one in ACCEPTABLE]}


def _acceptable(one: LossClass) -> LossClass:
    if one.is_notice:
        raise ValueError(f"{one} are only ever noticed: leave it out")
    return one


Classes = Annotated[
    tuple[Annotated[LossClass, AfterValidator(_acceptable)], ...],
    BeforeValidator(list_of_one),
    WithJsonSchema({"anyOf": [_CLASS, {"type": "array", "items": _CLASS}]}),
]
field = partial(made_from, MIGRATE)


def _is_of_others(url: str) -> bool:
    """Whether a URL is of another engine than PostgreSQL. Conninfo strings and service names are
    not."""
    if url.lower().startswith("odbc:"):
        return True
    scheme, separator, _ = url.partition("://")
    return bool(separator) and "=" not in scheme and not scheme.lower().startswith("postgres")


class FlowOf:
    """The flow of a migration's spec: `follow` if requested, `translate` from another engine,
    `convert` into another one; `migrate` for the class itself."""

    def __get__(self, spec: Spec | None, owner: type[Spec]) -> str:
        if spec is None:
            return "migrate"
        if spec.is_translated:
            return "translate"
        if spec.is_converted:
            return "convert"
        return "follow" if spec.follow else "migrate"


class Spec(SpecModel):
    """A migration: source, target, selection and options."""

    flow: ClassVar[Any] = FlowOf()
    entries: ClassVar = MIGRATE

    source: SecretStr | None = field("source")
    target: SecretStr | None = field("target")
    schemas: Words = field("schema")
    include: Words = field("include")
    exclude: Words = field("exclude")
    map_schema: dict[str, str] = field("map-schema")
    mapping: dict[str, MappingSpec] = field("mapping")
    schema_only: bool = field("schema-only")
    data_only: bool = field("data-only")
    jobs: int = field("jobs")
    chunk_by: ChunkBy = field("chunk-by")
    chunk_size: Size = field("chunk-size")
    chunk_threshold: int = field("chunk-threshold")
    max_chunks: int = field("max-chunks")
    min_chunk_rows: int = field("min-chunk-rows")
    unlogged: Unlogged = field("unlogged")
    existing: Existing = field("existing")
    accept: Classes = field("accept")
    verify_: Verify = field("verify")
    one_snapshot: bool = field("one-snapshot")
    allow_empty_source: bool = field("allow-empty-source")
    allow_unmatched: bool = field("allow-unmatched")
    types: dict[str, str] = field("types")
    django: str = field("django")
    django_folder: str = field("django-folder")
    django_python: str = field("django-python")
    snapshot: str = field("snapshot")
    follow: bool = field("follow")
    no_reverse: bool = field("no-reverse")
    set_identity: bool = field("set-identity")
    max_retained_wal: AnySize = field("max-retained-wal")
    apply_ddl: bool = field("apply-ddl")

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Spec:
        if self.schema_only and self.data_only:
            raise ValueError("schema-only and data-only exclude each other")
        if self.data_only and self.existing is Existing.REPLACE:
            raise ValueError("data-only fills relations that exist: it cannot replace them")
        if len(set(self.map_schema.values())) < len(self.map_schema):
            raise ValueError("map-schema gives two schemas the same new name")
        if self.is_translated and self.is_converted:
            raise ValueError(
                "one of the two has to be PostgreSQL: migrate into a PostgreSQL database first,"
                " then from there"
            )
        if self.snapshot and self.is_translated:
            raise ValueError("snapshot is PostgreSQL's: leave it out for another engine")
        if self.django:
            self._agrees_with_a_project()
        elif self.django_folder or self.django_python:
            raise ValueError("django-folder and django-python are about a project: give django")
        if self.follow:
            self._can_follow()
        elif words := [word for word, given in self._about_following if given]:
            raise ValueError(f"{', '.join(words)}: only for a run that follows, so give follow")
        if self.types and self._is_within_postgres:
            raise ValueError(
                "types are for a source or a target of another engine: between PostgreSQL databases"
                " the types of a mapping's columns decide"
            )
        if self.mapping and self.django:
            raise ValueError("django decides what becomes of tables: leave out mapping")
        if self.mapping and self.is_converted:
            raise ValueError(
                "mapping is of a migration into PostgreSQL: leave it out for this target"
            )
        return self

    def _can_follow(self) -> None:
        """Raises:
        ValueError: it cannot.
        """
        if self.is_converted:
            raise ValueError("follow applies changes to PostgreSQL only: leave it out")
        if self.is_translated:
            raise ValueError("follow reads PostgreSQL's log: a source of another engine has none")
        if self.schema_only:
            raise ValueError("follow applies rows: schema-only excludes it")
        if self.mapping:
            raise ValueError(
                "follow applies the source's changes as they are, column by column: leave out"
                " mapping, or migrate without follow"
            )
        if self.snapshot:
            raise ValueError(
                "follow takes the snapshot in which its stream begins: leave out snapshot"
            )

    @property
    def _about_following(self) -> tuple[tuple[str, object], ...]:
        """Options that have a meaning for a run that follows, by their words."""
        return (
            ("no-reverse", self.no_reverse),
            ("set-identity", self.set_identity),
            ("max-retained-wal", self.max_retained_wal),
            ("apply-ddl", self.apply_ddl),
        )

    @property
    def _is_within_postgres(self) -> bool:
        """Whether both sides are known, and are PostgreSQL."""
        is_known = self.source is not None and self.target is not None
        return is_known and not (self.is_translated or self.is_converted)

    def _agrees_with_a_project(self) -> None:
        """Raises:
        ValueError: it does not.
        """
        scheme = self.source.get_secret_value().partition(":")[0].lower() if self.source else ""
        if scheme and scheme not in ("sqlite", "mysql", "mariadb"):
            raise ValueError("django is for a source that is SQLite, MySQL or MariaDB")
        if self.schema_only:
            raise ValueError("django fills the tables that migrations make: leave out schema-only")
        if self.existing is Existing.REPLACE:
            raise ValueError("django fills the tables that migrations make: it replaces none")
        if self.map_schema:
            raise ValueError("map-schema: a project's tables are where its search_path says")

    @property
    def is_translated(self) -> bool:
        """Whether the source is of another engine than PostgreSQL."""
        return self.source is not None and _is_of_others(self.source.get_secret_value())

    @property
    def hashes(self) -> bool:
        """Whether a column is hashed with the key of the environment."""
        return any(one.hashes for one in self.mapping.values())

    @property
    def is_converted(self) -> bool:
        """Whether the target is of another engine than PostgreSQL."""
        return self.target is not None and _is_of_others(self.target.get_secret_value())

    @property
    def written_database(self) -> SecretStr | None:
        """The database whose journal has the runs."""
        return self.target

    @property
    def extent(self) -> Extent:
        if self.schema_only:
            return Extent.SCHEMA
        return Extent.DATA if self.data_only or self.django else Extent.ALL

    def options(self) -> dict[str, Any]:
        """The options without the two sides, by the keys of a spec file; defaults are left out."""
        given = self.model_dump(
            mode="json", by_alias=True, exclude={"source", "target"}, exclude_defaults=True
        )
        return {word_of(key): value for key, value in given.items()}
