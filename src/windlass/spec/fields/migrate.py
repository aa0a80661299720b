"""The options of a migration, most of which also apply to a comparison."""

from __future__ import annotations

import os

from windlass.model.report import ACCEPTABLE
from windlass.spec.choices import ChunkBy, Existing, Unlogged, Verify
from windlass.spec.fields.entry import Entries, Entry, Kind, Option, Section

CONNECTION = "postgresql:// URL, libpq conninfo string or service name"


def cores() -> int:
    """The number of usable CPU cores."""
    return os.cpu_count() or 1


SOURCE = Entry(
    word="source",
    kind=Kind.TEXT,
    help=f"Source database: {CONNECTION}. Default: $WINDLASS_SOURCE.",
    about="`postgresql://` URL, libpq conninfo string or service name. Default: $WINDLASS_SOURCE.",
    compares=True,
    example="postgresql://app@old.example.com:5432/shop",
    section=Section.DATABASES,
    option=Option(metavar="S"),
    variable="WINDLASS_SOURCE",
    tells_runs_apart=False,
    in_example=True,
)

MIGRATE = Entries(
    SOURCE,
    Entry(
        word="target",
        kind=Kind.TEXT,
        help="Target database, given in the same way. Default: $WINDLASS_TARGET.",
        about="The same for the target. Default: $WINDLASS_TARGET.",
        compares=True,
        example="postgresql://app@new.example.com:5432/shop",
        section=Section.DATABASES,
        option=Option(metavar="T"),
        variable="WINDLASS_TARGET",
        tells_runs_apart=False,
        in_example=True,
    ),
    Entry(
        word="schema",
        kind=Kind.LIST,
        help="Migrate only this schema; may be given several times. Default: all user schemas.",
        compares=True,
        comparing="Compare only this schema; may be given several times. Default: all user"
        " schemas.",
        about="Schemas to migrate. Default: all user schemas.",
        example="[shop, audit]",
        default=(),
        option=Option(metavar="NAME"),
    ),
    Entry(
        word="include",
        kind=Kind.LIST,
        help="Migrate only what matches a shell pattern on schema.table, such as 'shop.order*'.",
        compares=True,
        comparing="Compare only what matches a shell pattern on schema.table, such as"
        " 'shop.order*'.",
        about="Shell patterns on `schema.table`; only what matches one is migrated.",
        example="['shop.*']",
        default=(),
        option=Option(metavar="PATTERN"),
    ),
    Entry(
        word="exclude",
        kind=Kind.LIST,
        help="Leave out what matches a shell pattern on schema.table.",
        about="Shell patterns on `schema.table`; what matches one is left out.",
        compares=True,
        example="['*.tmp_*']",
        default=(),
        option=Option(metavar="PATTERN"),
    ),
    Entry(
        word="map-schema",
        kind=Kind.PAIRS,
        help="Give a schema another name on the target; may be given several times.",
        compares=True,
        comparing="A schema that has another name on the target; may be given several times.",
        about="Schemas that get another name on the target: `old: new`.",
        example="{shop: store}",
        default=dict,
        option=Option(metavar="OLD=NEW"),
    ),
    Entry(
        word="mapping",
        kind=Kind.OTHER,
        help="What becomes of tables on their way: names, rows and columns.",
        about="What becomes of tables on their way, by `schema.table` of the source: `into` another"
        " name, only rows `where` a condition holds, `columns` that are renamed, dropped, computed"
        " or masked, and their `types` on the target. See docs/mapping.md.",
        compares=True,
        example="{shop.users: {into: crm.people, columns: {mail: email, phone: {mask: hash}}}}",
        default=dict,
        option=None,
    ),
    Entry(
        word="schema-only",
        kind=Kind.FLAG,
        help="Migrate definitions, no rows.",
        compares=True,
        comparing="Compare definitions, no rows.",
        example="false",
        default=False,
    ),
    Entry(
        word="data-only",
        kind=Kind.FLAG,
        help="Copy rows into tables that exist already.",
        compares=True,
        comparing="Compare rows and sequences, no definitions.",
        example="false",
        default=False,
    ),
    Entry(
        word="jobs",
        kind=Kind.NUMBER,
        help="How many chunks are copied, or indexes built, side by side. Default: the cores.",
        compares=True,
        comparing="How many chunks are compared side by side. Default: the cores.",
        example="4",
        default=cores,
        bounds=(1, 1024),
        section=Section.HOW,
        option=Option(metavar="N", letter="-j"),
        tells_runs_apart=False,
    ),
    Entry(
        word="chunk-by",
        kind=Kind.CHOICE,
        choices=tuple(ChunkBy),
        help="What large tables are split by; auto: block ranges where the server can, else keys.",
        about="What large tables are split by. `auto`: nothing while other tables keep all jobs"
        " busy, up to eight chunks; else block ranges where the server can, else keys.",
        compares=True,
        example="auto",
        default=ChunkBy.AUTO,
        section=Section.HOW,
        tells_runs_apart=False,
    ),
    Entry(
        word="chunk-size",
        kind=Kind.SIZE,
        help="Size of a chunk, such as 64MB, the default.",
        about="Size of a chunk, for example `64MB`.",
        compares=True,
        example="64MB",
        default=64 << 20,
        section=Section.HOW,
        option=Option(metavar="BYTES"),
        tells_runs_apart=False,
    ),
    Entry(
        word="chunk-threshold",
        kind=Kind.NUMBER,
        help="Split tables with at least this many rows. Default: by size.",
        about="Tables with at least this many rows (by the server's estimate) are split into two"
        " chunks or more, others are not. 0: size alone decides.",
        compares=True,
        example="1000000",
        default=0,
        bounds=(0, None),
        section=Section.HOW,
        option=Option(metavar="ROWS"),
        tells_runs_apart=False,
    ),
    Entry(
        word="max-chunks",
        kind=Kind.NUMBER,
        help="Split a table into this many chunks at most. Default: by size.",
        about="The most chunks that one table is split into. 0: as many as its size asks for.",
        compares=True,
        example="64",
        default=0,
        bounds=(0, None),
        section=Section.HOW,
        option=Option(metavar="N"),
        tells_runs_apart=False,
    ),
    Entry(
        word="min-chunk-rows",
        kind=Kind.NUMBER,
        help="Make no chunk with fewer rows than this.",
        about="No chunk is planned with fewer rows than this, by the server's estimate.",
        compares=True,
        example="100000",
        default=0,
        bounds=(0, None),
        section=Section.HOW,
        option=Option(metavar="ROWS"),
        tells_runs_apart=False,
    ),
    Entry(
        word="unlogged",
        kind=Kind.CHOICE,
        choices=tuple(Unlogged),
        help="Fill tables unlogged, then make them logged; auto (default): only where the target"
        " has wal_level = minimal, as it takes longer elsewhere.",
        about="Whether tables are filled unlogged, and made logged before their indexes are built."
        " `auto`: tables in several chunks, and only where the target has `wal_level = minimal`;"
        " elsewhere it takes longer, as all is written to the log afterwards.",
        example="auto",
        default=Unlogged.AUTO,
        section=Section.HOW,
        tells_runs_apart=False,
    ),
    Entry(
        word="existing",
        kind=Kind.CHOICE,
        choices=tuple(Existing),
        help="Tables that the target has already: refuse (default) stops before anything is"
        " written; replace sets them aside first, see rollback; fill loads into empty ones.",
        about="What to do with tables that the target has already: `refuse` stops before anything"
        " is written, `replace` sets them aside first (see rollback), `fill` loads into empty"
        " ones.",
        example="refuse",
        default=Existing.REFUSE,
    ),
    Entry(
        word="accept",
        kind=Kind.LIST,
        choices=ACCEPTABLE,
        help="Migrate although the plan names a loss of this class; may be given several times.",
        about="Classes of losses to accept: what the target will not have although the source has"
        " it. A loss of any other class stops the plan; `plan` names each with its class. Owners"
        " and grants of roles that the target lacks, and how rows are stored, are notices and need"
        " not be accepted.",
        example="[constraints]",
        default=(),
        tells_runs_apart=False,
    ),
    Entry(
        word="verify",
        kind=Kind.CHOICE,
        choices=tuple(Verify),
        help="What is compared after the copy. Default: full, the content of every row.",
        compares=True,
        comparing="How far to compare: row counts, or full (default): the content of every row.",
        about="What is compared after the copy: `full`, the content of every row, or `counts`, row"
        " counts; definitions and sequences with both.",
        example="full",
        default=Verify.FULL,
        section=Section.PROOF,
        tells_runs_apart=False,
    ),
    Entry(
        word="one-snapshot",
        kind=Kind.FLAG,
        help="Stop rather than continue with a second snapshot when the first is lost.",
        example="false",
        default=False,
        section=Section.HOW,
        tells_runs_apart=False,
    ),
    Entry(
        word="allow-empty-source",
        kind=Kind.FLAG,
        help="Continue although the source has nothing, and the target has something.",
        about="Continue although the source has nothing, and the target has something. Refused"
        " otherwise, as the two may be swapped.",
        example="false",
        default=False,
        tells_runs_apart=False,
    ),
    Entry(
        word="allow-unmatched",
        kind=Kind.FLAG,
        help="A pattern that excludes nothing is a notice, not a refusal.",
        about="A pattern that excludes nothing is a notice, not a refusal: for a spec that is used"
        " again and again.",
        compares=True,
        example="false",
        default=False,
        tells_runs_apart=False,
    ),
    Entry(
        word="types",
        kind=Kind.PAIRS,
        help="From another engine: the type of a column on the target, where its values leave it"
        " open; may be given several times.",
        compares=True,
        comparing="From another engine: the type of a column, as the migration was given it.",
        about="From another engine: types of columns on the target, by `table.column`, where the"
        " plan asks for them. Of MongoDB by `collection.path`: each path becomes a column.",
        example="{orders.created: timestamptz}",
        default=dict,
        option=Option(metavar="COLUMN=TYPE", flag="--type"),
    ),
    Entry(
        word="django",
        kind=Kind.TEXT,
        help="From another engine: the settings module of the Django project whose database it is."
        " Its migrations make the tables, its models decide the types.",
        compares=True,
        comparing="From another engine: the settings module of the Django project, as the migration"
        " was given it.",
        about="From another engine: the settings module of the Django project whose database it is."
        " The project's migrations make the tables on the target, and its models decide the types.",
        example="shop.settings",
        default="",
        option=Option(metavar="MODULE"),
    ),
    Entry(
        word="django-folder",
        kind=Kind.TEXT,
        help="The folder of that project, with its manage.py. Default: the current one.",
        about="The folder of the Django project, with its manage.py. Default: the current one.",
        compares=True,
        example="/srv/shop",
        default="",
        option=Option(metavar="DIR"),
        tells_runs_apart=False,
    ),
    Entry(
        word="django-python",
        kind=Kind.TEXT,
        help="The project's interpreter. Default: venv/bin/python or .venv/bin/python in its"
        " folder, else the one that runs windlass.",
        about="The Django project's interpreter. Default: `venv/bin/python` or `.venv/bin/python`"
        " in its folder, else the one that runs windlass.",
        compares=True,
        example="/srv/shop/venv/bin/python",
        default="",
        option=Option(metavar="FILE"),
        tells_runs_apart=False,
    ),
    Entry(
        word="snapshot",
        kind=Kind.TEXT,
        help="Read in this exported snapshot of the source, which another session holds.",
        about="An exported snapshot of the source to read in, which another session holds.",
        compares=True,
        example="00000003-0000001B-1",
        default="",
        option=Option(metavar="ID"),
        tells_runs_apart=False,
    ),
    Entry(
        word="follow",
        kind=Kind.FLAG,
        compares=True,
        comparing="Compare a pair of which the target follows: both sides as of one moment,"
        " while applications write.",
        help="After the copy, apply what is written to the source, until `windlass cutover` or"
        " `windlass abandon`.",
        about="After the copy, apply what is written to the source in the meantime, until `windlass"
        " cutover` makes the target the one that is written to, or `windlass abandon` gives up. See"
        " docs/follow.md.",
        example="false",
        default=False,
        section=Section.HOW,
        tells_runs_apart=False,  # its runs are of another flow
    ),
    Entry(
        word="no-reverse",
        kind=Kind.FLAG,
        help="Follow without a way back after the cutover, and without what that needs.",
        about="Of `follow`: do without a way back after the cutover, and so without what that needs"
        " of the target: wal_level = logical, and rights to replicate.",
        example="false",
        default=False,
        section=Section.HOW,
        tells_runs_apart=False,
    ),
    Entry(
        word="max-retained-wal",
        kind=Kind.SIZE,
        help="When following: drop the source's slot, and stop, rather than let it keep more WAL"
        " than this. Default: the server's own limit.",
        about="When following: drop the source's slot, and stop, rather than let it keep more WAL"
        " than this. 0: only the server's own limit, max_slot_wal_keep_size, counts.",
        example="50GB",
        default=0,
        section=Section.HOW,
        option=Option(metavar="SIZE"),
        tells_runs_apart=False,
    ),
    Entry(
        word="apply-ddl",
        kind=Kind.FLAG,
        help="When following: apply statements that only add (columns, indexes, labels of enums) to"
        " the target as well, rather than stop.",
        about="When following: apply statements of the source that only add (columns, indexes,"
        " labels of enums) to the target as well, rather than stop. See docs/follow.md.",
        example="false",
        default=False,
        section=Section.HOW,
        tells_runs_apart=False,
    ),
)
