"""A migration from one engine into another, to be killed again and again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from command import DONE, Ran, windlass
from mariadb_server import MariaServer
from mongo_server import MongoServer
from servers import Server

Rows = Mapping[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Compared:
    """A table: its rows on both sides, and of which Python type their values are."""

    source: str
    target: str
    kinds: tuple[Callable[[Any], Any], ...]

    def rows(self, found: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
        made = [
            tuple(
                None if one is None else kind(one.decode() if isinstance(one, bytes) else one)
                for kind, one in zip(self.kinds, row, strict=True)
            )
            for row in found
        ]
        return sorted(made, key=repr)


class Way(ABC):
    """From one engine into another. The source stays; each migration gets an empty target."""

    name: str
    words: tuple[str, ...] = ("migrate",)
    counted: tuple[str, ...]  # places of `killing.count`
    early: str  # a place of `killing.kill` to which each run comes, in the middle of its rows
    source_rows: Rows
    source_url: str
    source_server: Server | MariaServer | MongoServer | None = None  # None: it is a file

    @property
    def target_server(self) -> Server | MariaServer | None:
        return None

    def change(self) -> None:
        """Write to the source."""
        raise AssertionError("the tests of this engine write in another way")

    def __init__(self) -> None:
        self.seconds = 0.0  # that an undisturbed run takes
        self.counts: list[int] = []
        self.made: object = None  # what the target has after an undisturbed run

    @property
    @abstractmethod
    def target_url(self) -> str: ...

    @abstractmethod
    def renew(self) -> None:
        """Have an empty target."""

    @abstractmethod
    def rows(self) -> Rows: ...

    @abstractmethod
    def objects(self) -> object:
        """All that the target has, with definitions."""

    @abstractmethod
    def is_empty(self) -> bool:
        """Whether the target has nothing but a journal."""

    @abstractmethod
    def lines(self) -> list[str]:
        """The steps of the lines in the journal; may raise where there is none."""

    @property
    def env(self) -> dict[str, str]:
        return {"WINDLASS_SOURCE": self.source_url, "WINDLASS_TARGET": self.target_url}

    def command(self, *words: str) -> Ran:
        return windlass(*words, "--json", env=self.env)

    def migrate(self) -> dict[str, Any]:
        return self.command(*self.words).expect(DONE).result

    def progress(self) -> str:
        """How far a killed run has come."""
        found: list[str] = []
        with suppress(Exception):  # no journal yet, or none that can be read
            found = self.lines()
        return f"{len(found)} lines" + (f", last {found[-1]}" if found else "")
