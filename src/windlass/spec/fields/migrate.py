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
        help="Migrate only tables that match a shell pattern on schema.table, such as"
        " 'shop.order*'.",
        compares=True,
        comparing="Compare only tables that match a shell pattern on schema.table, such as"
        " 'shop.order*'.",
        about="Shell patterns on `schema.table`; only objects that match one are migrated.",
        example="['shop.*']",
        default=(),
        option=Option(metavar="PATTERN"),
    ),
    Entry(
        word="exclude",
        kind=Kind.LIST,
        help="Leave out tables that match a shell pattern on schema.table.",
        about="Shell patterns on `schema.table`; objects that match one are left out.",
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
        help="Number of chunks copied, or indexes built, in parallel. Default: the number of"
        " cores.",
        compares=True,
        comparing="Number of chunks compared in parallel. Default: the number of cores.",
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
        help="How to split large tables; auto: by block ranges if the server supports it, else by"
        " keys.",
        about="How to split large tables. `auto`: not at all while other tables keep all jobs busy,"
        " up to eight chunks; otherwise by block ranges if the server supports it, else by keys.",
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
        about="Split only tables with at least this many rows (by the server's estimate), into two"
        " chunks or more. 0: only the size decides.",
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
        about="The most chunks of one table. 0: as many as follow from its size.",
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
        about="Make no chunk with fewer rows than this, by the server's estimate.",
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
        help="Fill tables unlogged, then make them logged; auto (default): only if the target has"
        " wal_level = minimal, as it takes longer otherwise.",
        about="Whether to fill tables unlogged, and make them logged before their indexes are"
        " built. `auto`: only tables in several chunks, and only if the target has `wal_level ="
        " minimal`; otherwise it takes longer, as all rows are written to the WAL afterwards.",
        example="auto",
        default=Unlogged.AUTO,
        section=Section.HOW,
        tells_runs_apart=False,
    ),
    Entry(
        word="existing",
        kind=Kind.CHOICE,
        choices=tuple(Existing),
        help="If tables exist on the target: refuse (default) stops before anything is written;"
        " replace sets them aside first, see rollback; fill loads into empty ones.",
        about="What to do if tables exist on the target: `refuse` stops before anything is written,"
        " `replace` sets them aside first (see rollback), `fill` loads into empty ones.",
        example="refuse",
        default=Existing.REFUSE,
    ),
    Entry(
        word="accept",
        kind=Kind.LIST,
        choices=ACCEPTABLE,
        help="Migrate although the plan names a loss of this class; may be given several times.",
        about="Classes of losses to accept. A loss is something that the source has and the target"
        " will not have; `plan` names each with its class, and a loss of any other class stops it."
        " Owners and grants of roles that the target lacks, and how rows are stored, are notices"
        " and need not be accepted.",
        example="[constraints]",
        default=(),
        tells_runs_apart=False,
    ),
    Entry(
        word="verify",
        kind=Kind.CHOICE,
        choices=tuple(Verify),
        help="What to compare after the copy. Default: full, the content of every row.",
        compares=True,
        comparing="What to compare: row counts, or full (default): the content of every row.",
        about="What to compare after the copy: `full`, the content of every row, or `counts`, row"
        " counts. Definitions and sequences are compared with both.",
        example="full",
        default=Verify.FULL,
        section=Section.PROOF,
        tells_runs_apart=False,
    ),
    Entry(
        word="one-snapshot",
        kind=Kind.FLAG,
        help="Stop, instead of continuing with a second snapshot, if the first is lost.",
        example="false",
        default=False,
        section=Section.HOW,
        tells_runs_apart=False,
    ),
    Entry(
        word="allow-empty-source",
        kind=Kind.FLAG,
        help="Continue although the source is empty and the target is not.",
        about="Continue although the source is empty and the target is not. Otherwise this is"
        " refused, as the two may be swapped.",
        example="false",
        default=False,
        tells_runs_apart=False,
    ),
    Entry(
        word="allow-unmatched",
        kind=Kind.FLAG,
        help="If a pattern excludes nothing, report a notice instead of refusing.",
        about="If a pattern excludes nothing, report a notice instead of refusing: for specs that"
        " are used repeatedly.",
        compares=True,
        example="false",
        default=False,
        tells_runs_apart=False,
    ),
    Entry(
        word="types",
        kind=Kind.PAIRS,
        help="From or into another engine: the type of a column on the target, if its values do not"
        " decide it; may be given several times.",
        compares=True,
        comparing="From or into another engine: the type of a column, as in the migration.",
        about="From or into another engine: types of columns on the target, by `table.column`,"
        " where the plan asks for them. Of MongoDB by `collection.path`: each path becomes a"
        " column.",
        example="{orders.created: timestamptz}",
        default=dict,
        option=Option(metavar="COLUMN=TYPE", flag="--type"),
    ),
    Entry(
        word="django",
        kind=Kind.TEXT,
        help="From another engine: the settings module of the Django project that uses the source."
        " Its migrations create the tables, its models decide the types.",
        compares=True,
        comparing="From another engine: the settings module of the Django project, as in the"
        " migration.",
        about="From another engine: the settings module of the Django project that uses the source."
        " Its migrations create the tables on the target, and its models decide the types.",
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
        help="Read in this exported snapshot of the source; another session holds it.",
        about="An exported snapshot of the source to read in; another session holds it.",
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
        comparing="Compare both sides of a migration that follows, as of one moment, while"
        " applications write.",
        help="After the copy, apply changes made on the source, until `windlass cutover` or"
        " `windlass abandon`.",
        about="After the copy, apply changes made on the source, until `windlass cutover` lets"
        " applications write to the target, or `windlass abandon` gives up. See docs/follow.md.",
        example="false",
        default=False,
        section=Section.HOW,
        tells_runs_apart=False,  # its runs are of another flow
    ),
    Entry(
        word="no-reverse",
        kind=Kind.FLAG,
        help="When following: no way back after the cutover, and no requirements for it.",
        about="When following: prepare no way back after the cutover. Then the target does not need"
        " what that requires: wal_level = logical, and rights to replicate.",
        example="false",
        default=False,
        section=Section.HOW,
        tells_runs_apart=False,
    ),
    Entry(
        word="set-identity",
        kind=Kind.FLAG,
        help="When following: set the replica identity of tables that have none, until the end.",
        about="When following: give tables without a replica identity one, a unique index or FULL,"
        " on both sides. `finish` and `abandon` put back what was there.",
        example="false",
        default=False,
        section=Section.HOW,
        tells_runs_apart=False,
    ),
    Entry(
        word="max-retained-wal",
        kind=Kind.SIZE,
        help="When following: drop the source's slot and stop before the slot keeps more WAL than"
        " this. Default: the server's limit.",
        about="When following: drop the source's slot and stop before the slot keeps more WAL than"
        " this. 0: only the server's limit, max_slot_wal_keep_size, applies.",
        example="50GB",
        default=0,
        section=Section.HOW,
        option=Option(metavar="SIZE"),
        tells_runs_apart=False,
    ),
    Entry(
        word="apply-ddl",
        kind=Kind.FLAG,
        help="When following: also apply statements that only add columns, indexes or enum labels"
        " to the target, instead of stopping.",
        about="When following: also apply statements of the source that only add columns, indexes"
        " or enum labels to the target, instead of stopping. See docs/follow.md.",
        example="false",
        default=False,
        section=Section.HOW,
        tells_runs_apart=False,
    ),
)
