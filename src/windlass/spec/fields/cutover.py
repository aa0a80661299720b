"""The options of a cutover."""

from __future__ import annotations

from windlass.spec.choices import Fencing
from windlass.spec.fields.entry import Entries, Entry, Kind, Option, Section
from windlass.spec.fields.migrate import MIGRATE, SOURCE

CUTOVER = Entries(
    SOURCE,
    MIGRATE["target"],
    Entry(
        word="max-lag",
        kind=Kind.TEXT,
        help="Refuse if the other side was further behind than this in the last minute.",
        example="1s",
        default="1s",
        section=Section.HOW,
        option=Option(metavar="TIME"),
        tells_runs_apart=False,
    ),
    Entry(
        word="max-freeze",
        kind=Kind.TEXT,
        help="How long writers may be stopped; a cutover that takes longer is taken back.",
        example="5s",
        default="5s",
        section=Section.HOW,
        option=Option(metavar="TIME"),
        tells_runs_apart=False,
    ),
    Entry(
        word="fence",
        kind=Kind.CHOICE,
        choices=tuple(Fencing),
        help="How to stop writers. readonly: new sessions are read-only, existing ones are"
        " ended; lock: writers wait for a lock, and are ended once all changes have arrived; none:"
        " you have stopped them. auto: readonly, behind a paused pool if one is given.",
        about="How to stop writers. `readonly`: new sessions are read-only, existing ones are"
        " ended; `lock`: writers wait for a lock, and are ended once all changes have arrived;"
        " `none`: you have stopped them. `auto`: readonly, behind a paused pool if one is given.",
        example="auto",
        default=Fencing.AUTO,
        section=Section.HOW,
        tells_runs_apart=False,
    ),
    Entry(
        word="pgbouncer",
        kind=Kind.TEXT,
        help="URL of the pool that applications use, with a user who may use its console; clients"
        " wait while it is paused.",
        about="URL of the pool that applications use, with a user who may use PgBouncer's console."
        " Clients wait while the pool is paused.",
        example="postgresql://admin@pool.example.com:6432/shop",
        section=Section.HOW,
        option=Option(metavar="URL"),
        tells_runs_apart=False,
    ),
    Entry(
        word="on-switch",
        kind=Kind.TEXT,
        help="Command that redirects applications to the other side; it runs once that side is"
        " open, with WINDLASS_HOST, WINDLASS_PORT and WINDLASS_DATABASE.",
        example="/usr/local/bin/lead-to-new",
        default="",
        section=Section.HOW,
        option=Option(metavar="CMD"),
        tells_runs_apart=False,
    ),
    Entry(
        word="no-reverse",
        kind=Kind.FLAG,
        help="Prepare no way back.",
        example="false",
        default=False,
        section=Section.HOW,
        tells_runs_apart=False,
    ),
    Entry(
        word="no-recopy",
        kind=Kind.FLAG,
        help="Do not copy unlogged tables and large objects again: the other side keeps its present"
        " copies.",
        example="false",
        default=False,
        section=Section.HOW,
        tells_runs_apart=False,
    ),
    Entry(
        word="spare",
        kind=Kind.LIST,
        help="Do not end sessions of this role; may be given several times.",
        example="[monitoring]",
        default=(),
        section=Section.HOW,
        option=Option(metavar="ROLE"),
        tells_runs_apart=False,
    ),
)
