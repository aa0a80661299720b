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
    help="Configuration of the object store, with obstore's names, such as `endpoint`.",
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
        help="duckdb:///path, bigquery://project/dataset, postgresql://...,"
        " snowflake://user@account/database/schema or iceberg+sqlite:///path?warehouse=...;"
        " default: files only.",
        about="`duckdb:///path`, `bigquery://project/dataset`, `postgresql://...`,"
        " `snowflake://user@account/database/schema` or `iceberg+sqlite:///path?warehouse=...`."
        " None: files only.",
        example="duckdb:///srv/shop.duckdb",
        section=Section.DATABASES,
        option=Option(metavar="URL"),
        tells_runs_apart=False,
    ),
    Entry(
        word="into",
        kind=Kind.TEXT,
        help="Schema of the tables in a DuckDB, PostgreSQL or Snowflake warehouse, or namespace in"
        " Iceberg. Default: main, public, the URL's, default.",
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
        help="Leave out tables that match such a pattern; may be repeated.",
        about="Shell patterns on `schema.relation`, or on the relation's name alone; relations that"
        " match one are left out.",
        example="['shop.tmp_*']",
        default=(),
        option=Option(metavar="PATTERN"),
    ),
    Entry(
        word="where",
        kind=Kind.TEXT,
        help="Export only rows of every table for which this SQL condition holds.",
        about="Export only rows for which this SQL condition holds, of every relation without its"
        " own `where`. It does not apply to queries.",
        example="updated_at >= current_date - 1",
        default="",
        option=Option(metavar="CONDITION"),
    ),
    Entry(
        word="queries",
        kind=Kind.PAIRS,
        help="Also export the result of a SELECT under this name, or only such results; may be"
        " repeated.",
        about="Results of SELECTs, by the name of the table and files. Without `relations`, only"
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
        about="Format of the files.",
        example="parquet",
        default=Format.PARQUET,
    ),
    Entry(
        word="compression",
        kind=Kind.CHOICE,
        choices=tuple(Compression),
        help="Compression of the files. `auto`: zstd for Parquet, gzip for CSV.",
        example="auto",
        default=Compression.AUTO,
    ),
    Entry(
        word="file-size",
        kind=Kind.SIZE,
        help="Start another file when one has grown to this size.",
        example="128MB",
        default=128 << 20,
        option=Option(metavar="SIZE"),
    ),
    Entry(
        word="nested",
        kind=Kind.CHOICE,
        choices=tuple(NestedForm),
        help="Write PostgreSQL's arrays and composites as text (default, except plain lists), or"
        " nested.",
        about="How PostgreSQL's arrays and composites are written to Parquet: as `text`, except"
        " lists of booleans, integers, floats and texts, or `nested`: as lists (of lists) and"
        " structs.",
        example="text",
        default=NestedForm.TEXT,
    ),
    Entry(
        word="disposition",
        kind=Kind.CHOICE,
        choices=tuple(Disposition),
        help="Replace rows in the warehouse (truncate, the default), keep them (append), or update"
        " those with the same key (merge).",
        about="What happens to existing rows in the warehouse: `truncate` replaces them, `append`"
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
        help="Write *** instead of the values of columns that match a shell pattern on"
        " schema.table.column or its end; may be repeated. A pattern after ! excludes columns.",
        about="Shell patterns on `schema.relation.column`, or on its end: values are written as"
        " `***`. A pattern after `!` excludes columns; the last pattern that matches decides.",
        example="['*.email', '!shop.staff.email']",
        default=(),
        option=Option(metavar="PATTERN"),
    ),
    Entry(
        word="hash",
        kind=Kind.LIST,
        help="Shell patterns on `schema.relation.column`, or on its end: values are written as"
        " hashes with the key in $WINDLASS_HASH_KEY. Equal values have equal hashes, so joins still"
        " work.",
        example="['*.customer_id']",
        default=(),
        option=None,
    ),
    Entry(
        word="leave-out",
        kind=Kind.LIST,
        help="Do not read columns that match such a pattern; may be repeated.",
        about="Shell patterns on `schema.relation.column`, or on its end: columns that are not read"
        " at all.",
        example="[shop.customer.password_hash]",
        default=(),
        option=Option(metavar="PATTERN"),
    ),
    Entry(
        word="load-columns",
        kind=Kind.LIST,
        help=f"Add columns about the load: {', '.join(LoadColumn)}; may be repeated. To name one:"
        " run=batch_id. Default names: _windlass_run and so on.",
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
        help="SQL statements that the warehouse runs once per run, after all relations are loaded.",
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
        help="If a pattern of `exclude`, `mask`, `hash` or `leave-out` matches nothing: `refuse`"
        " the export (default), or `ignore` that.",
        example="refuse",
        default=Unmatched.REFUSE,
        tells_runs_apart=False,
    ),
    STORE_OPTIONS,
    Entry(
        word="jobs",
        kind=Kind.NUMBER,
        help="Number of tables exported in parallel. Default: the number of cores.",
        about="Number of relations exported in parallel. Default: the number of cores.",
        example="4",
        default=cores,
        bounds=(1, 1024),
        section=Section.HOW,
        option=Option(metavar="N", letter="-j"),
        tells_runs_apart=False,
    ),
)
