"""The options of an export."""

from __future__ import annotations

from dataclasses import replace

from windlass.spec.choices import (
    Compression,
    Disposition,
    Format,
    LoadColumn,
    NestedForm,
    SchemaChange,
    Unmatched,
)
from windlass.spec.fields.entry import REQUIRED, Entries, Entry, Kind, Option, Section
from windlass.spec.fields.migrate import CONNECTION, SOURCE, cores

STORE_OPTIONS = Entry(
    word="store-options",
    kind=Kind.OTHER,
    help="Configuration of the object store, by obstore's names, such as `endpoint`.",
    example="{region: eu-central-1}",
    default=dict,
    option=None,
    tells_runs_apart=False,
)

EXPORT = Entries(
    replace(
        SOURCE,
        help=f"Source: {CONNECTION}, or a file: sqlite:///path, duckdb:///path. Default:"
        " $WINDLASS_SOURCE.",
        about="`postgresql://` URL, libpq conninfo string or service name, or a file:"
        " `sqlite:///path` or `duckdb:///path`. Default: $WINDLASS_SOURCE.",
    ),
    Entry(
        word="to",
        kind=Kind.TEXT,
        help="Folder for the files: s3://, gs://, az:// or file:///path.",
        about="Folder in an object store: `s3://bucket/path`, `gs://...`, `az://...` or"
        " `file:///path`.",
        example="s3://lake/shop",
        default=REQUIRED,
        section=Section.DATABASES,
        option=Option(metavar="URL"),
        in_example=True,
    ),
    Entry(
        word="warehouse",
        kind=Kind.TEXT,
        help="duckdb:///path, bigquery://project/dataset, postgresql://... or"
        " iceberg+sqlite:///path?warehouse=...; default: files only.",
        about="`duckdb:///path`, `bigquery://project/dataset`, `postgresql://...` or"
        " `iceberg+sqlite:///path?warehouse=...`. None: files only.",
        example="duckdb:///srv/shop.duckdb",
        section=Section.DATABASES,
        option=Option(metavar="URL"),
        tells_runs_apart=False,
    ),
    Entry(
        word="into",
        kind=Kind.TEXT,
        help="Schema of the tables in a DuckDB or PostgreSQL warehouse, or namespace in Iceberg."
        " Default: main, public, default.",
        example="shop",
        default="",
        option=Option(metavar="SCHEMA"),
    ),
    Entry(
        word="relations",
        kind=Kind.LIST,
        help="Only tables whose schema.table, or name alone, matches a shell pattern; may be"
        " repeated.",
        about="Patterns on `schema.relation`, or mappings. Default: every relation of the source.",
        example="['shop.*', {name: shop.orders, where: total > 0}]",
        default=(),
        option=Option(metavar="PATTERN", flag="--include"),
    ),
    Entry(
        word="exclude",
        kind=Kind.LIST,
        help="Leave out what matches such a pattern; may be repeated.",
        about="Shell patterns on `schema.relation`, or on the relation's name alone; what matches"
        " one is left out.",
        example="['shop.tmp_*']",
        default=(),
        option=Option(metavar="PATTERN"),
    ),
    Entry(
        word="where",
        kind=Kind.TEXT,
        help="Only rows for which this SQL condition holds, of every table.",
        about="Only rows for which this SQL condition holds, of every relation without its own"
        " `where`. Queries have their own.",
        example="updated_at >= current_date - 1",
        default="",
        option=Option(metavar="CONDITION"),
    ),
    Entry(
        word="queries",
        kind=Kind.PAIRS,
        help="Also, or only, the rows of a SELECT, under this name; may be repeated.",
        about="The rows of a SELECT, by the name of its table and files. Without `relations` only"
        " these are exported.",
        example="{daily: 'select day, count(*) as orders from orders group by day'}",
        default=dict,
        option=Option(metavar="NAME=SELECT", flag="--query"),
    ),
    Entry(
        word="table-names",
        kind=Kind.TEXT,
        help="Names of the tables in the warehouse, such as {schema}_{name}. Default: {name}.",
        about="Names of the tables in the warehouse, with `{schema}` and `{name}` of the relation.",
        example="'{schema}_{name}'",
        default="{name}",
        option=Option(metavar="TEMPLATE"),
    ),
    Entry(
        word="format",
        kind=Kind.CHOICE,
        choices=tuple(Format),
        help="Parquet (default) or CSV.",
        about="What the files are.",
        example="parquet",
        default=Format.PARQUET,
    ),
    Entry(
        word="compression",
        kind=Kind.CHOICE,
        choices=tuple(Compression),
        help="Of the files. `auto`: zstd for Parquet, gzip for CSV.",
        example="auto",
        default=Compression.AUTO,
    ),
    Entry(
        word="file-size",
        kind=Kind.SIZE,
        help="A file is ended, and the next begun, when it has grown to this size.",
        example="128MB",
        default=128 << 20,
        option=Option(metavar="SIZE"),
    ),
    Entry(
        word="nested",
        kind=Kind.CHOICE,
        choices=tuple(NestedForm),
        help="PostgreSQL's arrays and composites as text (default; not plain lists), or nested.",
        about="What PostgreSQL's arrays and composites become: `text`, but for lists of booleans,"
        " integers, floats and texts, or `nested`: lists (of lists) and structs. For Parquet.",
        example="text",
        default=NestedForm.TEXT,
    ),
    Entry(
        word="disposition",
        kind=Kind.CHOICE,
        choices=tuple(Disposition),
        help="Rows that the warehouse has are replaced (truncate, the default), kept (append), or"
        " updated where the key is the same (merge).",
        about="What happens to rows that the warehouse has: `truncate` replaces them, `append`"
        " keeps them, `merge` updates those with the same key and adds the others.",
        example="truncate",
        default=Disposition.TRUNCATE,
    ),
    Entry(
        word="schema",
        kind=Kind.CHOICE,
        choices=tuple(SchemaChange),
        help="If a table of the warehouse does not fit: refuse its relation (default), add columns"
        " and widen types, or, with truncate, replace its columns.",
        about="What happens if a table of the warehouse does not fit: `refuse` leaves its relation"
        " out, `add` adds missing columns and widens types where no value changes, `replace` makes"
        " the table's columns those of the export, which needs `truncate`.",
        example="refuse",
        default=SchemaChange.REFUSE,
        tells_runs_apart=False,
    ),
    Entry(
        word="require-rows",
        kind=Kind.FLAG,
        help="A relation without rows is an error.",
        example="false",
        default=False,
    ),
    Entry(
        word="keep-files",
        kind=Kind.FLAG,
        help="Keep the files after they are loaded.",
        about="Keep the files after they are loaded, or after the export has failed.",
        example="false",
        default=False,
        tells_runs_apart=False,
    ),
    Entry(
        word="mask",
        kind=Kind.LIST,
        help="Columns whose values become ***, by a shell pattern on schema.table.column or its"
        " end; may be repeated. One that begins with ! takes columns out again.",
        about="Shell patterns on `schema.relation.column`, or on its end: values become `***`. One"
        " that begins with `!` takes columns out again; the last that matches decides.",
        example="['*.email', '!shop.staff.email']",
        default=(),
        option=Option(metavar="PATTERN"),
    ),
    Entry(
        word="hash",
        kind=Kind.LIST,
        help="Shell patterns on `schema.relation.column`, or on its end: values become hashes with"
        " the key in $WINDLASS_HASH_KEY, the same for the same value, so that joins still work.",
        example="['*.customer_id']",
        default=(),
        option=None,
    ),
    Entry(
        word="leave-out",
        kind=Kind.LIST,
        help="Columns that are not read at all, by such a pattern; may be repeated.",
        about="Shell patterns on `schema.relation.column`, or on its end: columns that are not read"
        " at all.",
        example="[shop.customer.password_hash]",
        default=(),
        option=Option(metavar="PATTERN"),
    ),
    Entry(
        word="load-columns",
        kind=Kind.LIST,
        help=f"Add columns about the load: {', '.join(LoadColumn)}; may be repeated. With a name of"
        " yours: run=batch_id. Default names: _windlass_run and so on.",
        about="Columns about the load that are added to every relation: `run` (its id), `loaded-at`"
        " (when the relation was extracted), `read-at` and `lsn` (of the snapshot), and `source`"
        " (the database). They are called `_windlass_run` and so on, or as in `run=batch_id`.",
        example="[run, loaded-at=batch_at]",
        default=(),
        option=Option(metavar="WHAT[=NAME]", flag="--load-column"),
    ),
    Entry(
        word="before-run",
        kind=Kind.LIST,
        help="SQL statements that the warehouse runs once per run, before the first load.",
        example="['insert into audit.runs values (now())']",
        default=(),
        option=None,
    ),
    Entry(
        word="after-run",
        kind=Kind.LIST,
        help="SQL statements that the warehouse runs once per run, when every relation is loaded.",
        example="['refresh materialized view mart.daily']",
        default=(),
        option=None,
    ),
    Entry(
        word="before-load",
        kind=Kind.LIST,
        help="SQL statements before each relation's load, in its transaction; `{table}` is the"
        " relation's table.",
        example="['create table if not exists {table} (like mart.template)']",
        default=(),
        option=None,
    ),
    Entry(
        word="after-load",
        kind=Kind.LIST,
        help="SQL statements after each relation's load, in its transaction; `{table}` is the"
        " relation's table.",
        example="['grant select on {table} to readers']",
        default=(),
        option=None,
    ),
    Entry(
        word="unmatched",
        kind=Kind.CHOICE,
        choices=tuple(Unmatched),
        help="Whether patterns of `exclude`, `mask`, `hash` and `leave-out` that match nothing stop"
        " the export, or `ignore`.",
        example="refuse",
        default=Unmatched.REFUSE,
        tells_runs_apart=False,
    ),
    STORE_OPTIONS,
    Entry(
        word="jobs",
        kind=Kind.NUMBER,
        help="Tables side by side. Default: the cores.",
        about="How many relations are worked on side by side. Default: the cores.",
        example="4",
        default=cores,
        bounds=(1, 1024),
        section=Section.HOW,
        option=Option(metavar="N", letter="-j"),
        tells_runs_apart=False,
    ),
)
