"""The arguments of `windlass verify` that compare what a run has copied, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from windlass.errors import Refused
from windlass.model.outcome import RunDetail
from windlass.model.report import Problem
from windlass.spec.fields.entry import Entry, Kind, Section
from windlass.spec.fields.migrate import MIGRATE
from windlass.spec.migrate import Spec
from windlass.web.watched import Watched

GONE = "snapshot"  # the run's own, which ended with it
ALSO = ("verify", "follow")


def comparing(watched: Watched, detail: RunDetail) -> tuple[str, ...]:
    """With the spec file of the page if the run had its options, and otherwise with those of the
    run, as its journal has them.

    Raises:
        Refused: only a spec file can hold the options; or the page's file has changed since it was
            read.
    """
    asked = about_rows(detail.options)
    if isinstance(watched.spec, Spec) and about_rows(watched.spec.options()) == asked:
        return watched.file_words
    if beyond := [word for word in asked if MIGRATE[word].option is None]:
        message = f"was made with {', '.join(beyond)}, which only a spec file can hold"
        hint = "start the page with the spec file of this run"
        raise Refused([Problem(f"run {detail.status.run}", message, hint)])
    return tuple(one for word, value in asked.items() for one in _written(MIGRATE[word], value))


def about_rows(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options that decide what is compared."""
    return {
        word: options[word]
        for word, entry in MIGRATE.items()
        if word in options
        and (word in ALSO or (entry.compares and entry.section is Section.WHAT and word != GONE))
    }


def _written(entry: Entry, value: Any) -> Iterator[str]:
    """An option on the command line."""
    match entry.kind:
        case Kind.FLAG:
            if value:
                yield entry.flag
        case Kind.LIST:
            yield from (f"{entry.flag}={one}" for one in value)
        case Kind.PAIRS:
            yield from (f"{entry.flag}={old}={new}" for old, new in value.items())
        case _:
            yield f"{entry.flag}={value}"
