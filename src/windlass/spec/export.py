"""The frozen `ExportSpec`: which relations go to which object store and which warehouse, and how.

`windlass.planning.exports` decides whether the source and the warehouse can do it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    model_validator,
)

from windlass.model.export import Hooked
from windlass.spec.choices import (
    Compression,
    Disposition,
    Format,
    LoadColumn,
    NestedForm,
    SchemaChange,
    Unmatched,
)
from windlass.spec.fields.export import EXPORT
from windlass.spec.model import Size, SpecModel, SpecPart, Words, made_from, with_underscores
from windlass.spec.tables import BigQueryTable

STORES = ("file", "s3", "gs", "az")
WAREHOUSES = ("duckdb", "bigquery", "snowflake", "iceberg", "postgresql", "postgres")


_COMPRESSIONS = {
    Format.PARQUET: (Compression.ZSTD, Compression.SNAPPY, Compression.GZIP, Compression.NONE),
    Format.CSV: (Compression.GZIP, Compression.NONE),
}


def _template(text: str) -> str:
    """Checked, so that a mistyped part is not taken for a name."""
    if unknown := set(re.findall(r"\{[^{}]*\}", text)) - {"{schema}", "{name}"}:
        raise ValueError(f"{', '.join(sorted(unknown))}: there are {{schema}} and {{name}}")
    return text


class RelationSpec(SpecPart):
    """Relations that a pattern matches, or the rows of a named query."""

    name: Annotated[str, Field(min_length=1)]
    """A shell pattern for `schema.relation`, or for the name alone; for a query, the name of its
    table and its files."""
    query: str = ""
    """A SELECT in the source's SQL, whose columns all have names."""
    columns: Words = ()
    """Only these columns, in this order."""
    key: Words = ()
    """Columns that identify rows, for `merge`. Default: the relation's primary or unique key."""
    watermark: str = ""
    """A column that grows with every change: only rows from its last value on are read (`merge`),
    or only later ones (`append`)."""
    overlap_seconds: Annotated[float, Field(ge=0)] = 0
    """For a watermark of time: how far before its last value reading begins, because transactions
    commit later than they stamp their rows."""
    overlap: Annotated[int | None, Field(ge=0)] = None
    """For a watermark of numbers: how far before its last value reading begins, because rows may be
    committed later than others with a higher number."""
    where: str = ""
    """Only rows for which this SQL condition holds."""
    text: Words = ()
    """Columns to be written as the source's text, whatever their type."""
    types: dict[str, str] = Field(default_factory=dict)
    """The types of SQLite's columns, whose values can be of any type: boolean, int64, float64,
    decimal(p,s), text, json, uuid, bytes, date, time, timestamp or instant."""
    cast: dict[str, str] = Field(default_factory=dict)
    """Columns, and the types in the source's SQL that it casts them to."""
    rename: dict[str, str] = Field(default_factory=dict)
    """Columns, and their names in files and warehouse. All other keys name columns as the source
    does."""
    nested: NestedForm | None = None
    """Overrides that of the export."""
    dimensions: dict[str, Annotated[int, Field(ge=1, le=6)]] = Field(default_factory=dict)
    """How many dimensions the arrays of a column have, where it is not declared as `int[][]`."""
    before_load: Hooks | None = None
    """Overrides that of the export."""
    after_load: Hooks | None = None
    """Overrides that of the export."""
    partition_by: Words = ()
    """Columns that become folders, as in Hive: `day=2024-01-31/`. For Parquet files without a
    warehouse."""
    disposition: Disposition | None = None
    """Overrides that of the export."""
    schema_: Annotated[SchemaChange | None, Field(alias="schema")] = None
    """Overrides that of the export."""
    require_rows: bool | None = None
    """Overrides that of the export."""
    table: Annotated[str, AfterValidator(_template)] = ""
    """Name of the table in the warehouse, which may hold `{schema}` and `{name}`. Default: by the
    export's `table-names`."""
    bigquery: BigQueryTable | None = None
    """How the table is stored if a load creates it: `{partition-by: created_at, cluster-by:
    [customer_id], labels: {team: sales}, expiration-days: 90}`."""

    @model_validator(mode="before")
    @classmethod
    def _a_word_is_a_pattern(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"name": data}
        return with_underscores(data)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> RelationSpec:
        if self.query and re.search(r"[*?\[]|\.", self.name):
            raise ValueError("the name of a query is one plain name, not a pattern")
        for word, value in (("overlap-seconds", self.overlap_seconds), ("overlap", self.overlap)):
            if value and not self.watermark:
                raise ValueError(f"{word}: there is no watermark to overlap")
        return self


def _url(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not the URL of a folder in an object store")
    scheme, colon, rest = value.partition("://")
    if not colon or scheme not in STORES or not rest:
        known = ", ".join(f"{one}://" for one in STORES)
        raise ValueError(f"not the URL of a folder in an object store ({known})")
    return value.rstrip("/")


_CONNINFO = re.compile(r"\s*[a-z_]+\s*=")  # libpq's `host=... dbname=...`, as schedulers have


def _warehouse(value: Any) -> Any:
    if isinstance(value, str) and not _CONNINFO.match(value):
        scheme, colon, rest = value.partition("://")
        if not colon or scheme.partition("+")[0] not in WAREHOUSES or not rest:
            raise ValueError(
                "not a warehouse: duckdb:///path, bigquery://project/dataset, postgresql://...,"
                " snowflake://user@account/database/schema or iceberg+sqlite:///path?warehouse=..."
            )
    return value


def _load_columns(texts: tuple[str, ...]) -> tuple[str, ...]:
    names = []
    for text in texts:
        what, equals, name = text.partition("=")
        if what not in list(LoadColumn):
            raise ValueError(f"{what!r} is none of {', '.join(LoadColumn)}")
        if equals and not name.strip():
            raise ValueError(f"{text!r} has no name for the column")
        names.append(name or LoadColumn(what).default_name)
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two columns would be called {min(twice)}")
    return texts


_CONTROL = re.compile(
    r"(?>\s|--[^\n]*\n|/\*.*?\*/)*(begin|start|commit|end|rollback|abort|savepoint|release|prepare)\b",
    re.IGNORECASE | re.DOTALL,
)


def _hooks(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        if not text.strip(" ;\n\t"):
            raise ValueError("a statement is empty")
        if _CONTROL.match(text):
            raise ValueError(f"{text.strip()!r}: a hook is part of the load's transaction")
    return tuple(text.strip().rstrip("; \n\t") for text in texts)


Hooks = Annotated[Words, AfterValidator(_hooks)]


field = partial(made_from, EXPORT)


class ExportSpec(SpecModel):
    """An export: from a database to files, and from there into a warehouse."""

    flow: ClassVar = "export"
    entries: ClassVar = EXPORT

    source: SecretStr | None = field("source")
    to: Annotated[str, BeforeValidator(_url)] = field("to")
    warehouse: Annotated[SecretStr | None, BeforeValidator(_warehouse)] = field("warehouse")
    into: str = field("into")
    relations: tuple[RelationSpec, ...] = field("relations")
    exclude: Words = field("exclude")
    where: str = field("where")
    queries: dict[str, str] = field("queries")
    table_names: Annotated[str, AfterValidator(_template)] = field("table-names")
    format: Format = field("format")
    compression: Compression = field("compression")
    file_size: Size = field("file-size")
    nested: NestedForm = field("nested")
    disposition: Disposition = field("disposition")
    schema_: SchemaChange = field("schema")
    require_rows: bool = field("require-rows")
    keep_files: bool = field("keep-files")
    mask: Words = field("mask")
    hash: Words = field("hash")
    leave_out: Words = field("leave-out")
    load_columns: Annotated[Words, AfterValidator(_load_columns)] = field("load-columns")
    before_run: Hooks = field("before-run")
    after_run: Hooks = field("after-run")
    before_load: Hooks = field("before-load")
    after_load: Hooks = field("after-load")
    unmatched: Unmatched = field("unmatched")
    store_options: dict[str, str] = field("store-options")
    jobs: int = field("jobs")

    @model_validator(mode="before")
    @classmethod
    def _one_relation_is_a_list(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("relations"), str | dict):
            return {**data, "relations": [data["relations"]]}
        return data

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> ExportSpec:
        if self.compression not in (Compression.AUTO, *_COMPRESSIONS[self.format]):
            possible = ", ".join(_COMPRESSIONS[self.format])
            raise ValueError(f"compression: {self.format} files can have {possible}")
        if "{name}" not in self.table_names:
            raise ValueError("table-names: without {name}, all tables have one name")
        kind = self.warehouse_kind
        if kind == "bigquery" and not self.to.startswith("gs://"):
            raise ValueError("to: BigQuery loads from gs:// only")
        if kind in ("iceberg", "snowflake") and self.format is Format.CSV:
            raise ValueError(f"format: {kind.capitalize()} loads Parquet only")
        if kind == "bigquery" and self.into:
            raise ValueError("into: the dataset is part of the warehouse's URL")
        if self.where and all(one.query for one in self.wanted):
            raise ValueError("where: there are queries alone, and a query has its own")
        for name in self.queries:
            if not re.fullmatch(r"\w+", name):
                raise ValueError(
                    f"queries: {name!r} is not a name: give one, as in daily=select ..."
                )
        if fault := next(self._hook_faults, ""):
            raise ValueError(fault)
        for one in self.wanted:
            if fault := next(self._faults(one), ""):
                raise ValueError(f"relations: {one.name} {fault}")
        return self

    @property
    def wanted(self) -> tuple[RelationSpec, ...]:
        """The relations and queries that are requested; all relations if none are."""
        named = tuple(RelationSpec(name=name, query=text) for name, text in self.queries.items())
        every = () if named else (RelationSpec(name="*"),)
        return tuple(self._with_where(one) for one in self.relations or every) + named

    def _with_where(self, one: RelationSpec) -> RelationSpec:
        if one.query or one.where or not self.where:
            return one
        return one.model_copy(update={"where": self.where})

    @property
    def columns_of_load(self) -> dict[str, LoadColumn]:
        """By name."""
        pairs = [text.partition("=") for text in self.load_columns]
        return {name or LoadColumn(what).default_name: LoadColumn(what) for what, _, name in pairs}

    @property
    def warehouse_kind(self) -> str:
        """duckdb, bigquery, snowflake, iceberg, postgres, or nothing."""
        if self.warehouse is None:
            return ""
        url = self.warehouse.get_secret_value()
        if _CONNINFO.match(url):
            return "postgres"
        scheme = url.partition("://")[0].partition("+")[0]
        return "postgres" if scheme.startswith("postgres") else scheme

    @property
    def compressed_by(self) -> Compression:
        if self.compression is Compression.AUTO:
            return _COMPRESSIONS[self.format][0]
        return self.compression

    def disposition_of(self, relation: RelationSpec) -> Disposition:
        return relation.disposition or self.disposition

    def hooks_of(self, relation: RelationSpec) -> Hooked:
        before, after = relation.before_load, relation.after_load
        return Hooked(
            self.before_load if before is None else before,
            self.after_load if after is None else after,
        )

    @property
    def hooks(self) -> Hooked:
        """Of the whole run."""
        return Hooked(self.before_run, self.after_run)

    @property
    def _hook_faults(self) -> Iterator[str]:
        own = self.hooks
        every = [own, *map(self.hooks_of, self.wanted)]
        if not any(every):
            return
        if not self.warehouse_kind:
            yield "hooks: there is no warehouse to run before- and after-statements in"
        if self.warehouse_kind == "bigquery":
            yield (
                "hooks: BigQuery loads by jobs, which are no transactions, so statements could not"
                " be run exactly once with them: run them after the export"
            )
        if self.warehouse_kind == "iceberg":
            yield "hooks: a catalog of Iceberg runs no statements: run them after the export"
        for text in (*own.before, *own.after):
            if "{table}" in text:
                yield f"hooks: {text!r} is of the whole run, which has no {{table}}"

    def nests(self, relation: RelationSpec) -> bool:
        """Whether its nested columns stay nested."""
        return (relation.nested or self.nested) is NestedForm.NESTED

    def schema_of(self, relation: RelationSpec) -> SchemaChange:
        return relation.schema_ or self.schema_

    def _faults(self, one: RelationSpec) -> Iterator[str]:
        """Why some of a relation's keys exclude each other."""
        kind, disposition = self.warehouse_kind, self.disposition_of(one)
        empties, appends = disposition is Disposition.TRUNCATE, disposition is Disposition.APPEND
        if self.schema_of(one) is SchemaChange.REPLACE and not empties:
            yield "keeps rows of its table: schema: replace needs disposition: truncate"
        if one.watermark and empties:
            yield "has a watermark, which only merge and append use"
        if (one.overlap_seconds or one.overlap) and appends and not kind:
            yield "has an overlap, which would append rows to files twice; use merge"
        if one.partition_by and (kind or self.format is Format.CSV):
            yield "has partition-by, which is for Parquet files without a warehouse"
        if self.nests(one) and self.format is Format.CSV:
            yield "has nested: nested, and CSV holds text alone: export Parquet"
        if self.nests(one) and kind == "iceberg":
            yield "has nested: nested, which loads into Iceberg cannot write: leave it out"
        if self.nests(one) and kind == "snowflake":
            yield (
                "has nested: nested: leave it out, and Snowflake gets lists as JSON, which a column"
                " of type VARIANT or ARRAY holds parsed"
            )
        if one.dimensions and not self.nests(one):
            yield "has dimensions, which are for nested: nested"
        if one.bigquery and kind != "bigquery":
            yield "has bigquery, which is for tables of a BigQuery warehouse"
        by_key = disposition is Disposition.MERGE or (kind and one.watermark)
        if by_key and kind == "iceberg":
            yield (
                "is merged or has a watermark: loads into Iceberg do not look for rows by their"
                " key; use truncate, or append all rows"
            )
        if one.query and not one.key and by_key:
            yield "is a query: merge and a watermark need its key"
