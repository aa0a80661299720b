"""The options of a load: those of each load in a file, and those of the whole run."""

from __future__ import annotations

from windlass.model.load_words import Duplicates, Matched, Missing, Take
from windlass.spec.choices import Frame, InputFormat, LoadName, LoadSchema, Packing
from windlass.spec.fields.entry import Entries, Entry, Kind, Option, Section
from windlass.spec.fields.export import STORE_OPTIONS
from windlass.spec.fields.migrate import CONNECTION, cores

_ONE_LOAD = (
    Entry(
        word="from",
        kind=Kind.LIST,
        help="Also load this file, URL or pattern, such as 's3://bucket/day=*/*.parquet'; may be"
        " repeated.",
        about="Files, URLs (`https://`, `s3://`, `gs://`, `az://`, `file://`) or shell patterns of"
        " them; or mappings: `{source: sqlite:///srv/shop.db, query: select ...}`, or `relation`"
        " instead of `query`, or `{api: {url: https://..., records: data, next: links.next}}`.",
        example="[orders.csv]",
        default=(),
        section=Section.DATABASES,
        option=Option(metavar="FILE"),
        in_example=True,
    ),
    Entry(
        word="into",
        kind=Kind.TEXT,
        help="Table to load into: schema.table, or table for the default schema.",
        example="shop.orders",
        default="",
        section=Section.DATABASES,
        option=Option(metavar="TABLE"),
        in_example=True,
    ),
    Entry(
        word="load",
        kind=Kind.CHOICE,
        choices=tuple(LoadName),
        help="append: add all rows. insert: add those with a new key. merge: also update others."
        " replace: replace all rows of the table. mirror: the same, by key. slice: replace the"
        " rows of `slice`. history: close changed rows, add new ones.",
        about="`append` adds all rows; `insert` adds those whose key is not in the table; `merge`"
        " also updates the others; `replace` replaces all rows of the table; `mirror` does so by"
        " key, and leaves equal rows alone; `slice` replaces the rows that `slice` selects;"
        " `history` closes changed rows and adds new ones. Each stands for a set of the options"
        " below.",
        example="merge",
        in_example=True,
    ),
    Entry(
        word="key",
        kind=Kind.LIST,
        help="Columns that match rows of the input with rows of the table; may be repeated.",
        about="Columns of the table that match rows of the input with rows of the table.",
        example="[id]",
        default=(),
        option=Option(metavar="COLUMN"),
        in_example=True,
    ),
    Entry(
        word="take",
        kind=Kind.CHOICE,
        choices=tuple(Take),
        help="Which rows the input has: all, those since a watermark, or those where a slice holds."
        " Default: by `since` and `slice`.",
        about="Which rows the input has: `all`, those `since` a watermark, or those `where` the"
        " slice holds. Default: by `since` and `slice`.",
        example="all",
    ),
    Entry(
        word="matched",
        kind=Kind.CHOICE,
        choices=tuple(Matched),
        help="If a row's key is in the table: update the row, skip it, or refuse the load.",
        about="If a row's key is in the table: `update` the row, `skip` it, or `refuse` the load.",
        example="update",
    ),
    Entry(
        word="missing",
        kind=Kind.CHOICE,
        choices=tuple(Missing),
        help="If the input lacks a row of the table: keep it, delete it, or mark it in `mark`.",
        about="If the input lacks a row of the table: `keep` it, `delete` it, or `mark` it in the"
        " column `mark`.",
        example="keep",
    ),
    Entry(
        word="duplicates",
        kind=Kind.CHOICE,
        choices=tuple(Duplicates),
        help="If rows of the input have the same key: refuse the load (default), or load the last.",
        about="If rows of the input have the same key: `refuse` the load (default), or load the"
        " `last`, in the input's order or by `last-by`.",
        example="refuse",
    ),
    Entry(
        word="last-by",
        kind=Kind.TEXT,
        help="Column that decides which of several rows with one key is the last.",
        example="updated_at",
        default="",
        option=Option(metavar="COLUMN"),
    ),
    Entry(
        word="history",
        kind=Kind.FLAG,
        help="Close a changed row and add the new one, instead of updating it.",
        example="false",
        default=False,
    ),
    Entry(
        word="valid-from",
        kind=Kind.TEXT,
        help="Column of a history: the time from which a row is valid.",
        example="valid_from",
        default="valid_from",
        option=Option(metavar="COLUMN"),
    ),
    Entry(
        word="valid-to",
        kind=Kind.TEXT,
        help="Column of a history: the time until which a row was valid; NULL: it still is.",
        example="valid_to",
        default="valid_to",
        option=Option(metavar="COLUMN"),
    ),
    Entry(
        word="mark",
        kind=Kind.TEXT,
        help="Column to set in rows that the input lacks: a boolean to true, a timestamp to the"
        " time of the load.",
        example="deleted_at",
        default="",
        option=Option(metavar="COLUMN"),
    ),
    Entry(
        word="slice",
        kind=Kind.TEXT,
        help="Condition in the target's SQL: the input replaces the rows for which it holds.",
        about="Condition in the target's SQL over the table's columns: the input replaces the rows"
        " for which it holds. Rows of the input for which it does not hold are refused.",
        example="\"day = '2026-01-31'\"",
        default="",
        option=Option(metavar="CONDITION"),
    ),
    Entry(
        word="since",
        kind=Kind.TEXT,
        help="Column of a source's query that grows with every change: read only rows from its last"
        " loaded value on.",
        about="Column of a query or relation that grows with every change: read only rows from its"
        " last loaded value on, including that value.",
        example="updated_at",
        default="",
        option=Option(metavar="COLUMN"),
    ),
    Entry(
        word="overlap-seconds",
        kind=Kind.NUMBER,
        help="Also read rows up to this many seconds before the last value, as transactions commit"
        " later than they stamp their rows.",
        example="600",
        default=0,
        bounds=(0, None),
        option=Option(metavar="N"),
    ),
    Entry(
        word="format",
        kind=Kind.CHOICE,
        choices=tuple(InputFormat),
        help="Of the files. Default: by their names.",
        example="csv",
    ),
    Entry(
        word="compression",
        kind=Kind.CHOICE,
        choices=tuple(Packing),
        help="Of the files. Default: by their names.",
        example="gzip",
    ),
    Entry(
        word="csv",
        kind=Kind.PAIRS,
        help="Format of CSV: delimiter, quote, escape, header, null, encoding, skip, comment,"
        " decimal; may be repeated. Example: 'delimiter=;'",
        about="Format of CSV; nothing is guessed. The example shows the defaults, except for"
        " `null`: by default no text stands for NULL, and an empty field is an empty text."
        " `escape: ''` means that quotes are doubled; `names` are used instead of the header's.",
        example="{delimiter: ',', quote: '\"', escape: '', header: true, null: [''],"
        " encoding: utf-8, skip: 0, comment: '', decimal: '.'}",
        default=dict,
        option=Option(metavar="NAME=VALUE", empty=True),
    ),
    Entry(
        word="sheet",
        kind=Kind.TEXT,
        help="Sheet of an Excel file, by name or number, from 1. Default: the first.",
        example="Orders",
        default="",
        option=Option(metavar="NAME"),
    ),
    Entry(
        word="member",
        kind=Kind.TEXT,
        help="The file inside a zip archive. Default: the only one.",
        example="orders.csv",
        default="",
        option=Option(metavar="NAME"),
    ),
    Entry(
        word="unlimited",
        kind=Kind.FLAG,
        help="Decompress files of any size. Default: refuse a file that becomes 250 times as large,"
        " or larger than 100 GB.",
        example="false",
        default=False,
    ),
    Entry(
        word="columns",
        kind=Kind.PAIRS,
        help="Load a field into a column of another name; FIELD= drops the field. May be repeated."
        " A spec file also takes SQL and masks.",
        about="Maps fields to columns of other names: `created: created_at`; `note: null` drops"
        " the field. Or says how columns are computed: `{sql: 'round(total, 2)'}`, in the target's"
        " SQL over the fields, `{value: web}`, or `{from: mail, mask: hash}`. Masks are `hash`,"
        " with the key in $WINDLASS_HASH_KEY, and `null`. A column with `compare: false` is set in"
        " new rows, and in rows that differ in another column.",
        example="{created: created_at, note: null, total: {sql: 'round(total, 2)'}}",
        default=dict,
        option=Option(metavar="FIELD=COLUMN", flag="--column", empty=True),
    ),
    Entry(
        word="types",
        kind=Kind.PAIRS,
        help="Types of columns that are created, in the target's SQL; may be repeated.",
        about="Types, in the target's SQL, of columns that are created. For an existing column,"
        " another type is refused.",
        example="{id: bigint, total: 'numeric(12,2)'}",
        default=dict,
        option=Option(metavar="COLUMN=TYPE", flag="--type"),
    ),
    Entry(
        word="census",
        kind=Kind.FLAG,
        help="Find the types of created columns by reading all values of the input.",
        about="Find the types of created columns by reading all values of the input. Default: a"
        " field of text needs one in `types`.",
        example="false",
        default=False,
    ),
    Entry(
        word="create",
        kind=Kind.FLAG,
        help="Create the table if there is none.",
        example="false",
        default=False,
    ),
    Entry(
        word="schema",
        kind=Kind.CHOICE,
        choices=tuple(LoadSchema),
        help="If the input has fields that the table lacks: refuse the load (default), or add"
        " columns.",
        about="If the input has fields that the table has no column for: `refuse` the load"
        " (default), or `add` columns.",
        example="refuse",
        default=LoadSchema.REFUSE,
    ),
    Entry(
        word="expect",
        kind=Kind.LIST,
        help="SQL condition that every row must meet before anything is changed; may be repeated.",
        about="Conditions that the rows must meet before anything is changed: SQL conditions, or"
        " mappings with `not-null`, `unique`, `range`, `accepted`, `foreign-key`, `rows` or `sql`;"
        " with `severity: warn`, a violation is reported, and the load continues.",
        example="['total >= 0', {not-null: [id]}, {range: {total: [0, 1000000]}}, {accepted:"
        " {state: [new, paid]}}, {foreign-key: {customer_id: shop.customers.id}}, {rows: [1, null],"
        " severity: warn}]",
        default=(),
        option=Option(metavar="CONDITION"),
    ),
    Entry(
        word="max-bad",
        kind=Kind.NUMBER,
        help="Set aside up to N records that cannot be loaded. Default: 0, the first one stops the"
        " load.",
        about="Set aside up to this many records that cannot be loaded, in a table, with the"
        " reason. Default: 0, the first one stops the load.",
        example="0",
        default=0,
        bounds=(0, None),
        option=Option(metavar="N"),
    ),
    Entry(
        word="show-values",
        kind=Kind.FLAG,
        help="Show bad values, and not only their positions.",
        example="false",
        default=False,
        tells_runs_apart=False,
    ),
    Entry(
        word="keep-failing",
        kind=Kind.FLAG,
        help="Keep rows that do not meet an expectation in a table, for inspection.",
        example="false",
        default=False,
    ),
    Entry(
        word="allow-empty",
        kind=Kind.FLAG,
        help="Let an input without rows empty the table, or the slice.",
        about="Let an input without rows empty the table, or the slice. Default: it is refused.",
        example="false",
        default=False,
    ),
    Entry(
        word="function",
        kind=Kind.TEXT,
        help="Python function, package.module:name, that takes each batch of the input and returns"
        " the rows to load.",
        example="shop.reviews:clean",
        option=Option(metavar="FUNCTION"),
    ),
    Entry(
        word="frame",
        kind=Kind.CHOICE,
        choices=tuple(Frame),
        help="What the function takes: an Arrow table (default), or a frame of pandas or polars.",
        example="arrow",
        default=Frame.ARROW,
    ),
    STORE_OPTIONS,
)

LOAD = Entries(
    Entry(
        word="target",
        kind=Kind.TEXT,
        help=f"Target: {CONNECTION}, or a file: duckdb:///path, sqlite:///path, or Snowflake:"
        " snowflake://user@account/database/schema. Default: $WINDLASS_TARGET.",
        about="`postgresql://` URL, libpq conninfo string or service name, or a file:"
        " `duckdb:///path` or `sqlite:///path`, or `snowflake://user@account/database/schema`."
        " Default: $WINDLASS_TARGET.",
        example="postgresql://app@db.example.com/shop",
        section=Section.DATABASES,
        option=Option(metavar="T"),
        variable="WINDLASS_TARGET",
        tells_runs_apart=False,
        in_example=True,
    ),
    *_ONE_LOAD,
    Entry(
        word="loads",
        kind=Kind.OTHER,
        help="More loads of the same run: a list of mappings with the keys above. Keys above, apart"
        " from `from` and `into`, are the defaults of each.",
        example="[{from: customers.csv, into: shop.customers}, {from: refunds.csv, into:"
        " shop.refunds, load: append, key: []}]",
        default=(),
        option=None,
    ),
    Entry(
        word="again",
        kind=Kind.FLAG,
        help="Also load inputs that have not changed since they were last loaded.",
        example="false",
        default=False,
        section=Section.HOW,
        tells_runs_apart=False,
    ),
    Entry(
        word="jobs",
        kind=Kind.NUMBER,
        help="Number of files read in parallel. Default: the number of cores.",
        about="Number of files read in parallel. Default: the number of cores.",
        example="4",
        default=cores,
        bounds=(1, 1024),
        section=Section.HOW,
        option=Option(metavar="N", letter="-j"),
        tells_runs_apart=False,
    ),
)
