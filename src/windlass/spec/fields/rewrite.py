"""The options of a rewrite. All except the database are given in a file."""

from __future__ import annotations

from windlass.spec.choices import Backup, Delete, Frame, Order
from windlass.spec.fields.entry import REQUIRED, Entries, Entry, Kind, Option, Section
from windlass.spec.fields.migrate import CONNECTION

REWRITE = Entries(
    Entry(
        word="connection",
        kind=Kind.TEXT,
        help=f"The database: {CONNECTION}. Default: $WINDLASS_TARGET.",
        about="`postgresql://` URL, libpq conninfo string or service name. Default:"
        " $WINDLASS_TARGET.",
        example="postgresql://app@db.example.com:5432/shop",
        section=Section.DATABASES,
        option=Option(metavar="T", flag="--target"),
        variable="WINDLASS_TARGET",
        tells_runs_apart=False,
        in_example=True,
    ),
    Entry(
        word="schema",
        kind=Kind.TEXT,
        help="The table's schema.",
        example="shop",
        default="public",
        option=None,
        in_example=True,
    ),
    Entry(
        word="table",
        kind=Kind.TEXT,
        help="The table.",
        example="review",
        default=REQUIRED,
        option=None,
        in_example=True,
    ),
    Entry(
        word="backup-schema",
        kind=Kind.TEXT,
        help="Where the backup is kept, under the table's name; made where it is missing.",
        example="backup",
        default="backup",
        option=None,
    ),
    Entry(
        word="select",
        kind=Kind.TEXT,
        help="SQL condition: which rows are rewritten; `true`: all of them.",
        example="stars = 1",
        default=REQUIRED,
        option=None,
        in_example=True,
    ),
    Entry(
        word="set",
        kind=Kind.OTHER,
        help="Columns that the table has: `column: {value: ...}` or `column: {sql: ...}`.",
        example="{body: {sql: upper(body)}}",
        default=dict,
        option=None,
        in_example=True,
    ),
    Entry(
        word="add",
        kind=Kind.OTHER,
        help="The same for columns that the table may lack; `type` where it cannot be known.",
        example="{checked: {value: true}}",
        default=dict,
        option=None,
    ),
    Entry(
        word="function",
        kind=Kind.TEXT,
        help="`package.module:name` of a Python function over batches of rows, after `set` and"
        " `add`.",
        example="shop.reviews:clean",
        option=None,
    ),
    Entry(
        word="frame",
        kind=Kind.CHOICE,
        choices=tuple(Frame),
        help="What the function takes and returns: a pandas or polars frame, or an Arrow table.",
        example="pandas",
        default=Frame.PANDAS,
        option=None,
    ),
    Entry(
        word="batch-rows",
        kind=Kind.NUMBER,
        help="The most rows that the function is given at once.",
        example="20000",
        default=20_000,
        bounds=(1, 1_000_000),
        section=Section.HOW,
        option=None,
        tells_runs_apart=False,
    ),
    Entry(
        word="order",
        kind=Kind.CHOICE,
        choices=tuple(Order),
        help="How the rows that the function returns are matched to those that it was given."
        " `checked`: by the frame's index, its last column or `id`, or else refused; `trusted`: by"
        " their order alone.",
        example="checked",
        default=Order.CHECKED,
        option=None,
    ),
    Entry(
        word="key",
        kind=Kind.TEXT,
        help="The column by which rows belong together; see `delete`.",
        example="product_id",
        option=None,
    ),
    Entry(
        word="id",
        kind=Kind.TEXT,
        help="The column that names a row: `stamp` needs one, and so does a rollback where the"
        " table has no key.",
        example="id",
        option=None,
        in_example=True,
    ),
    Entry(
        word="stamp",
        kind=Kind.TEXT,
        help="The column that is set to the time of the run when a row is written. Default: none.",
        example="checked_at",
        option=None,
        in_example=True,
    ),
    Entry(
        word="drop-duplicates",
        kind=Kind.OTHER,
        help="Of rows that are equal after the change, keep the first: in all columns, or in"
        " these.",
        example="false",
        default=False,
        option=None,
    ),
    Entry(
        word="delete",
        kind=Kind.CHOICE,
        choices=tuple(Delete),
        help="`selected`: only duplicates go. `all_with_key`: so do the rows that have the `key` of"
        " a selected row and were not selected themselves; they are in the backup.",
        example="selected",
        default=Delete.SELECTED,
        option=None,
    ),
    Entry(
        word="backup",
        kind=Kind.CHOICE,
        choices=tuple(Backup),
        help="`full`: the whole table; `touched`: the rows that are rewritten or deleted; `none`.",
        example="full",
        default=Backup.FULL,
        option=None,
    ),
    Entry(
        word="keep-backups",
        kind=Kind.NUMBER,
        help="How many backups of the table are kept, this run's included. The newest has the"
        " table's name, those before it `windlass_RUN`; `windlass rollback` finds them by their"
        " runs.",
        example="1",
        default=1,
        bounds=(1, 1000),
        option=None,
        tells_runs_apart=False,
    ),
)
