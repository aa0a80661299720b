"""The words of a count."""

from __future__ import annotations

from windlass.spec.fields.entry import REQUIRED, Entries, Entry, Kind

COUNT = Entries(
    Entry(
        word="text-file",
        kind=Kind.TEXT,
        help="The file whose lines are counted.",
        example="/tmp/lines.txt",
        default=REQUIRED,
        in_example=True,
    ),
)
