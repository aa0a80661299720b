"""The choices of a spec, with their spellings."""

from __future__ import annotations

from enum import StrEnum


class ChunkBy(StrEnum):
    AUTO = "auto"
    CTID = "ctid"
    KEYSET = "keyset"
    WHOLE = "whole"


class Unlogged(StrEnum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Existing(StrEnum):
    """What to do with existing objects of the target."""

    REFUSE = "refuse"
    REPLACE = "replace"
    FILL = "fill"


class Verify(StrEnum):
    NONE = "none"
    COUNTS = "counts"
    FULL = "full"


class Extent(StrEnum):
    """Which parts of the selected relations are migrated."""

    ALL = "all"
    SCHEMA = "schema-only"
    DATA = "data-only"


class Frame(StrEnum):
    """What a rewrite's function takes and returns."""

    PANDAS = "pandas"
    POLARS = "polars"
    ARROW = "arrow"


class Order(StrEnum):
    """How the rows that a function returned are matched to those that it was given."""

    CHECKED = "checked"
    TRUSTED = "trusted"


class Delete(StrEnum):
    """The rows that a rewrite deletes besides duplicates."""

    SELECTED = "selected"
    ALL_WITH_KEY = "all_with_key"


class Fencing(StrEnum):
    """How writers are kept out of the database that applications leave."""

    AUTO = "auto"  # a pool is paused if one is given; then as `readonly`
    READONLY = "readonly"
    LOCK = "lock"
    NONE = "none"


class Backup(StrEnum):
    """The rows that a rewrite backs up."""

    AUTO = "auto"  # all rows of a table up to some size; of a larger one, those that change
    FULL = "full"
    TOUCHED = "touched"
    NONE = "none"


class Format(StrEnum):
    """Of an export's files."""

    PARQUET = "parquet"
    CSV = "csv"


class Compression(StrEnum):
    """Of an export's files."""

    AUTO = "auto"
    ZSTD = "zstd"
    SNAPPY = "snappy"
    GZIP = "gzip"
    NONE = "none"


class Disposition(StrEnum):
    """What to do with rows that a warehouse already has."""

    TRUNCATE = "truncate"
    APPEND = "append"
    MERGE = "merge"


class SchemaChange(StrEnum):
    """What to do with a warehouse's table whose columns are not those of the export."""

    REFUSE = "refuse"
    ADD = "add"
    REPLACE = "replace"


class NestedForm(StrEnum):
    """How exported columns with nested values are written."""

    TEXT = "text"
    NESTED = "nested"


class LoadColumn(StrEnum):
    """What a column that Windlass adds to an export holds about the load of a row."""

    RUN = "run"
    LOADED_AT = "loaded-at"
    READ_AT = "read-at"
    LSN = "lsn"
    SOURCE = "source"

    @property
    def default_name(self) -> str:
        return f"_windlass_{self.value.replace('-', '_')}"


class PartitionUnit(StrEnum):
    """How much time a partition of a BigQuery table covers."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class Unmatched(StrEnum):
    """What to do if patterns of an export match nothing."""

    REFUSE = "refuse"
    IGNORE = "ignore"


class LoadName(StrEnum):
    """Short names, each for a set of the options in `windlass.model.load_words`."""

    APPEND = "append"
    INSERT = "insert"
    MERGE = "merge"
    REPLACE = "replace"
    MIRROR = "mirror"
    SLICE = "slice"
    HISTORY = "history"


class LoadSchema(StrEnum):
    """What to do with fields that a load's table has no column for."""

    REFUSE = "refuse"
    ADD = "add"


class InputFormat(StrEnum):
    """Of the files of a load."""

    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    JSON = "json"
    PARQUET = "parquet"
    EXCEL = "excel"


class Packing(StrEnum):
    """How the files of a load are compressed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    BZ2 = "bz2"
    XZ = "xz"
    ZIP = "zip"
