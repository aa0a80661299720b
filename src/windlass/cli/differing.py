"""Writes every row that differs into a file, one JSON object per line, however many there are.

A run's outcome names no more of them than a journal should hold.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from windlass.errors import BadSpec
from windlass.model.outcome import Outcome
from windlass.model.report import Difference, DifferenceKind

_ROWS = {DifferenceKind.MISSING, DifferenceKind.EXTRA, DifferenceKind.CHANGED}


class Differing:
    """Collects rows while they are found. Steps call it one after the other."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def add(self, difference: Difference) -> None:
        self._file.write(_line(difference))

    def forget(self) -> None:
        """Start over: after a lost snapshot or a repair, rows are compared again."""
        self._file.seek(0)
        self._file.truncate()

    def finish(self, outcome: Outcome) -> None:
        """Add the other differences: definitions, counts, sequences, large objects."""
        for difference in outcome.proof.differences:
            if difference.kind not in _ROWS:
                self.add(difference)
        self._file.flush()

    def lines(self) -> Iterator[str]:
        """The rows, each as a JSON object."""
        self._file.seek(0)
        return (line.rstrip("\n") for line in self._file)


@contextmanager
def differing(path: Path | None) -> Iterator[Differing]:
    """Keeps the rows in the file, or in a temporary one while the command runs.

    Raises:
        BadSpec: the file cannot be written.
    """
    if path is None:
        with tempfile.TemporaryFile("w+", encoding="utf-8") as kept:
            yield Differing(kept)
        return
    try:
        path.touch(mode=0o600)  # only its owner may read keys and values of rows
        file = path.open("w+", encoding="utf-8")
    except OSError as error:
        raise BadSpec([f"differences: {path}: {error.strerror}"]) from None
    with file:
        yield Differing(file)


def _line(difference: Difference) -> str:
    found = difference.to_json()
    del found["rows"]
    return json.dumps(found) + "\n"
