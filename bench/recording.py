"""Records the events of a migration with their times, for tests to replay."""

import gzip
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from windlass.model.event import (
    BytesCopied,
    Event,
    FlowPlanned,
    ItemFinished,
    ItemRetried,
    ItemStarted,
    Noticed,
    StepFinished,
    StepStarted,
)

KINDS = {
    kind.__name__: kind
    for kind in (
        FlowPlanned, StepStarted, StepFinished, ItemStarted, ItemFinished, ItemRetried,
        BytesCopied, Noticed,
    )
}  # fmt: skip
LEAST_SECONDS = 0.1  # between two records of the bytes of one item


class Recorder:
    """Takes events; bytes of an item are added up between records."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._events: list[tuple[float, Event]] = []
        self._held: dict[str, tuple[float, BytesCopied]] = {}

    def __call__(self, event: Event) -> None:
        now = time.monotonic() - self._started
        if type(event).__name__ not in KINDS:  # of no use to a display that is replayed
            return
        if not isinstance(event, BytesCopied):
            self._events.append((now, event))
            return
        since, held = self._held.get(event.item, (now, BytesCopied(event.item, event.group, 0)))
        held = BytesCopied(event.item, event.group, held.size_bytes + event.size_bytes)
        if now - since < LEAST_SECONDS:
            self._held[event.item] = since, held
            return
        self._held.pop(event.item, None)
        self._events.append((now, held))

    def write(self, path: Path) -> None:
        lines: list[list[Any]] = [
            [round(now, 3), type(event).__name__, asdict(event)] for now, event in self._events
        ]
        text = "\n".join(json.dumps(line, separators=(",", ":")) for line in lines)
        path.write_bytes(gzip.compress(text.encode(), mtime=0))


def read_recording(path: Path) -> list[tuple[float, Event]]:
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    found = (json.loads(line) for line in lines)
    return [
        (now, KINDS[kind](**_with_tuples(fields))) for now, kind, fields in found if kind in KINDS
    ]


def _with_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
