"""The report of a run that a command was asked for, in the words of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.cli.spelling import as_option

if TYPE_CHECKING:
    from windlass.cli.voice import Voice


def open_report(voice: Voice) -> None:
    """From now on the end of this command goes into the file that its spec names.

    Raises:
        Refused: it cannot be written.
    """
    if not voice.asked_report:
        return
    from windlass.run.reporting import check

    check(voice.asked_report)
    voice.report = Path(voice.asked_report)


def write_report(voice: Voice, document: Mapping[str, Any]) -> None:
    """Write what ``--json`` prints as a page, if the command was asked to."""
    if voice.report is None:
        return
    from windlass.run.reporting import write_document

    if fault := write_document(voice.report, document, as_option):
        voice.aside(f"windlass: the report was not written into {voice.report}: {fault}")
