"""Checks of a load that are the same for every warehouse: that the table fits, rows have keys, and
all rows have arrived."""

from __future__ import annotations

import json
from collections.abc import Iterable

from windlass.engines.base import OURS
from windlass.errors import WindlassError
from windlass.model.export import Column, Export
from windlass.model.fit import Fit

RECORDS = f"{OURS}loads"  # beside the tables that are loaded


OF_RUN = f"{OURS}run"  # in place of a table, in the records of what was run once per run
BEFORE_LOAD, AFTER_LOAD = "before-load", "after-load"


def hook_text(text: str, table: str) -> str:
    """The user's statement. It may name the table that is loaded."""
    return text.replace("{table}", table)


def hook_doing(when: str, number: int, of: str) -> str:
    """What a hook is called in a message: the statement itself may contain anything."""
    return f"running statement {number} of {when} of {of}"


def hook_ended_load(doing: str) -> WindlassError:
    return WindlassError(
        f"{doing}: it has ended the transaction of the load",
        hint="leave COMMIT and ROLLBACK out: the statement is part of the load's transaction",
    )


def column_names(columns: Iterable[Column]) -> str:
    """The record of which columns a load has filled."""
    return json.dumps([one.name for one in columns])


def loaded_names(records: Iterable[str | None]) -> frozenset[str]:
    """The columns that any of these loads has filled."""
    return frozenset(str(name) for one in records if one for name in json.loads(one))


def check_fit(fit: Fit) -> None:
    """Check that the table fits. Called right before the load, as the table may have changed since
    planning.

    Raises:
        WindlassError: it does not fit.
    """
    if fit.problems:
        first = fit.problems[0]
        raise WindlassError(f"{first.object}: {first.message}", hint=first.hint)


def not_unique(export: Export) -> WindlassError:
    return WindlassError(
        f"{export.name}: several rows have the same key ({', '.join(export.key)})",
        hint="nothing was loaded; give the relation a `key` that tells its rows apart",
    )


def ambiguous(export: Export) -> WindlassError:
    return WindlassError(
        f"{export.table}: several rows of the table have the same key ({', '.join(export.key)})",
        hint="nothing was loaded; keep one row of each key, or load the table with `truncate` once",
    )


def check_arrived(export: Export, read: int, arrived: int) -> None:
    """Check that every row arrived. Called before the load is committed.

    Raises:
        WindlassError: not every row that was read has arrived.
    """
    if read != arrived:
        raise WindlassError(
            f"{export.name}: {read:,} rows were read, {arrived:,} have arrived in {export.table}",
            hint="nothing was loaded; see whether a trigger or a rule of the table discards rows",
        )


def without_key(export: Export) -> WindlassError:
    return WindlassError(
        f"{export.name}: rows have no key (NULL in {', '.join(export.key)})",
        hint="nothing was loaded; give the relation another `key`, or a `where` without them",
    )
