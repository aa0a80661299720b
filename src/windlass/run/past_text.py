"""What a repair or a clean-up would do, and what it has done, as text. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from windlass.model.past import Left
from windlass.model.repair import Change, Forecast
from windlass.model.units import bytes_text, plural
from windlass.run.summary import table

MOST_RELATIONS = 20


def forecast_text(forecast: Forecast) -> str:
    """Per relation and in total, and on which side."""
    rows = [
        (name, *(f"{found[kind]:,}" for kind in Change))
        for name, found in forecast.relations.items()
        if found
    ]
    rows.sort(key=lambda row: row[0])
    lines = [f"To make {forecast.target} match {forecast.source}:"]
    if rows:
        header = ("table", "updates", "inserts", "deletes")
        total = ("all", *(f"{forecast.total[kind]:,}" for kind in Change))
        shown: Sequence[tuple[str, ...]] = [header, *rows[:MOST_RELATIONS], total]
        lines += table(shown, right={1, 2, 3})
        if len(rows) > MOST_RELATIONS:
            lines.append(f"  and {len(rows) - MOST_RELATIONS:,} more tables")
    if forecast.sequences:
        lines.append(f"  sets {plural(forecast.sequences, 'sequence')}")
    if forecast.large_objects:
        lines.append(f"  copies {plural(forecast.large_objects, 'large object')} again")
    if forecast.stays:
        lines.append("  No repair changes definitions. These stay different:")
        lines += [f"    {one}" for one in forecast.stays[:MOST_RELATIONS]]
        if len(forecast.stays) > MOST_RELATIONS:
            lines.append(f"    and {len(forecast.stays) - MOST_RELATIONS:,} more")
    return "\n".join(lines)


def _set_aside(left: Left) -> str:
    named = [f"{kind.lower()} {name}" for kind, name in left.renamed]
    copies = plural(len(left.large_objects), "large object") if left.large_objects else ""
    backup = f"backup {left.backup}" if left.backup else ""
    files = plural(left.files, "file") if left.files else ""
    tables = ", ".join(map(str, left.tables))
    return ", ".join(filter(None, [*left.schemas, *named, copies, backup, files, tables]))


def left_rows(left: Sequence[Left]) -> list[tuple[str, ...]]:
    header = ("run", "state", "ended", "set aside", "size")
    rows = [
        (one.run, one.state or "not in journal", one.finished_at[:19], _set_aside(one),
         bytes_text(one.size_bytes) if one.size_bytes or one.schemas or one.files else "")
        for one in left
    ]  # fmt: skip
    return [header, *rows]


def left_text(left: Sequence[Left]) -> str:
    """The text about what was removed."""
    if not left:
        return "Nothing to remove."
    size = bytes_text(sum(one.size_bytes for one in left))
    of_files = any(one.files for one in left)
    dropped = [
        plural(sum(counts), what)
        for what, counts in (
            ("schema", [len(one.schemas) for one in left]),
            ("renamed object", [len(one.renamed) for one in left]),
            ("large object", [len(one.large_objects) for one in left]),
            ("rewrite backup", [int(one.backup is not None) for one in left]),
            ("file", [one.files for one in left]),
            ("kept table", [len(one.tables) for one in left]),
        )
        if sum(counts) or (what == "schema" and not of_files)
    ]
    lines = table(left_rows(left), right={4})
    forgot = f"forgot {plural(len(left), 'run')}"
    verb = "Removed" if of_files else "Dropped"
    done = f"{verb} {', '.join(dropped)} ({size}) and {forgot}."
    return "\n".join([*lines, "", done])
