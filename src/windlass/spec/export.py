"""The frozen `ExportSpec`: which relations go to which object store and which warehouse, and how.

What it does not decide: whether the source and the warehouse can do it (`flows.exporting`).
"""

from __future__ import annotations

import os
import re
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from windlass.spec.spec import Size

STORES = ("file", "s3", "gs", "az")
WAREHOUSES = ("duckdb", "bigquery", "postgresql", "postgres")


class Format(StrEnum):
    PARQUET = "parquet"
    CSV = "csv"


class Compression(StrEnum):
    AUTO = "auto"
    ZSTD = "zstd"
    SNAPPY = "snappy"
    GZIP = "gzip"
    NONE = "none"


class Disposition(StrEnum):
    TRUNCATE = "truncate"
    APPEND = "append"
    MERGE = "merge"


class Unmatched(StrEnum):
    REFUSE = "refuse"
    IGNORE = "ignore"


_COMPRESSIONS = {
    Format.PARQUET: (Compression.ZSTD, Compression.SNAPPY, Compression.GZIP, Compression.NONE),
    Format.CSV: (Compression.GZIP, Compression.NONE),
}


def _words(value: Any) -> Any:
    """`key: id` means `key: [id]`."""
    return [value] if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


class RelationSpec(BaseModel):
    """Relations that a pattern names, or the rows of a query under its own name."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: Annotated[str, Field(min_length=1)]
    """Shell pattern on `schema.relation`, or on the name alone; for a query the name of its table
    and its files."""
    query: str = ""
    """A SELECT of the source's, whose columns all have names."""
    columns: Words = ()
    """Only these columns, in this order."""
    key: Words = ()
    """Columns that tell rows apart, for `merge`. Default: the relation's primary or unique key."""
    watermark: str = ""
    """A column that grows with every change: only rows from its last value on are read."""
    overlap_seconds: Annotated[float, Field(ge=0)] = 0
    """How far before the last value of a watermark of time reading begins, as transactions commit
    later than they stamp their rows."""
    where: str = ""
    """Only rows for which this SQL condition holds."""
    text: Words = ()
    """Columns to be written as PostgreSQL's text, whatever their type."""
    disposition: Disposition | None = None
    """Instead of the export's own."""
    require_rows: bool | None = None
    """Instead of the export's own."""
    table: str = ""
    """Name of the table in the warehouse. Default: the relation's name."""

    @model_validator(mode="before")
    @classmethod
    def _a_word_is_a_pattern(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"name": data}
        if isinstance(data, dict):
            return {str(key).replace("-", "_"): value for key, value in data.items()}
        return data

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> RelationSpec:
        if self.query and re.search(r"[*?\[]|\.", self.name):
            raise ValueError("the name of a query is one plain name, not a pattern")
        if self.overlap_seconds and not self.watermark:
            raise ValueError("overlap-seconds: there is no watermark to overlap")
        return self


def _url(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not the URL of a folder in an object store")
    scheme, colon, rest = value.partition("://")
    if not colon or scheme not in STORES or not rest:
        known = ", ".join(f"{one}://" for one in STORES)
        raise ValueError(f"not the URL of a folder in an object store ({known})")
    return value.rstrip("/")


_CONNINFO = re.compile(r"\s*[a-z_]+\s*=")  # libpq's `host=... dbname=...`, as of a scheduler


def _warehouse(value: Any) -> Any:
    if isinstance(value, str) and not _CONNINFO.match(value):
        scheme, colon, rest = value.partition("://")
        if not colon or scheme.partition("+")[0] not in WAREHOUSES or not rest:
            raise ValueError(
                "not a warehouse: duckdb:///path, bigquery://project/dataset or postgresql://..."
            )
    return value


class ExportSpec(BaseModel):
    """An export: from a PostgreSQL database to files, and from there into a warehouse."""

    flow: ClassVar = "export"

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    source: SecretStr | None = None
    """`postgresql://` URL, libpq conninfo string or service name. Default: $WINDLASS_SOURCE."""
    to: Annotated[str, BeforeValidator(_url)]
    """Folder in an object store: `s3://bucket/path`, `gs://...`, `az://...` or `file:///path`."""
    warehouse: Annotated[SecretStr | None, BeforeValidator(_warehouse)] = None
    """`duckdb:///path`, `bigquery://project/dataset` or `postgresql://...`. None: files only."""
    into: str = ""
    """Schema of the tables in a DuckDB or PostgreSQL warehouse. Default: main, public."""
    relations: tuple[RelationSpec, ...] = ()
    """Patterns on `schema.relation`, or mappings. Default: every relation of the source."""
    exclude: Words = ()
    """Shell patterns on `schema.relation`, or on the relation's name alone; what matches one is
    left out."""
    format: Format = Format.PARQUET
    """What the files are."""
    compression: Compression = Compression.AUTO
    """Of the files. `auto`: zstd for Parquet, gzip for CSV."""
    file_size: Size = 128 << 20
    """A file is ended, and the next begun, when it has grown to this size."""
    disposition: Disposition = Disposition.TRUNCATE
    """What happens to rows that the warehouse has: `truncate` replaces them, `append` keeps them,
    `merge` replaces those with the same key."""
    require_rows: bool = False
    """A relation without rows is an error."""
    keep_files: bool = False
    """Keep the files after they are loaded, or after the export has failed."""
    mask: Words = ()
    """Shell patterns on `schema.relation.column`, or on its end: values become `***`."""
    leave_out: Words = ()
    """Shell patterns on `schema.relation.column`, or on its end: columns that are not read at
    all."""
    unmatched: Unmatched = Unmatched.REFUSE
    """Whether words of `exclude`, `mask` and `leave-out` that name nothing stop the export, or
    `ignore`."""
    store_options: dict[str, str] = Field(default_factory=dict)
    """Configuration of the object store, by obstore's names, such as `endpoint`."""
    jobs: Annotated[int, Field(ge=1, le=1024)] = Field(default_factory=lambda: os.cpu_count() or 1)
    """How many relations are worked on side by side. Default: the cores."""

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
        kind = self.warehouse_kind
        if kind == "bigquery" and not self.to.startswith("gs://"):
            raise ValueError("to: BigQuery loads from gs:// only")
        if kind == "bigquery" and self.into:
            raise ValueError("into: the dataset is part of the warehouse's URL")
        for one in self.relations:
            merges = self.disposition_of(one) is Disposition.MERGE
            if one.watermark and not (merges and kind):
                raise ValueError(
                    f"relations: {one.name} has a watermark, which only merge into a warehouse uses"
                )
            if merges and one.query and not one.key:
                raise ValueError(f"relations: {one.name} is a query: merge needs its key")
        return self

    @property
    def warehouse_kind(self) -> str:
        """duckdb, bigquery, postgres, or nothing."""
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
