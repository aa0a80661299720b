"""Copies of one data set from a full source into an empty target, each compared with the source."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench.census import Census, difference, read_census
from bench.contestants import Contestant
from bench.data import Dataset
from bench.measure import RunFailed, measure
from bench.result import Case, Figures, Metric
from bench.servers import Server, running
from bench.setup import Setup, take_turns
from bench.shell import environment

log = logging.getLogger(__name__)

COPY = "copy"


@dataclass(frozen=True, slots=True)
class Race:
    """Two running servers, and how the copies between them are run."""

    source: Server
    target: Server
    setup: Setup

    def run(self, dataset: Dataset, contestants: Sequence[Contestant]) -> tuple[str, list[Case]]:
        """What the data were, in words, and a case for each contestant."""
        with self._filled(dataset) as size_bytes:
            with self.source.connect(dataset.name) as connection:
                expected = read_census(connection)

            def run_once(contestant: Contestant) -> Figures:
                return self._run_once(dataset, contestant, expected)

            cases = take_turns(contestants, run_once, self.setup.repeat)
        scale = self.setup.choose("", ", at a small scale")
        return f"{dataset.title}{scale} ({size_bytes / 1e6:,.0f} MB)", list(cases)

    @contextmanager
    def _filled(self, dataset: Dataset) -> Iterator[int]:
        """Make the data set on the source and yield its size; drop it afterwards."""
        self.source.make_empty(dataset.name)
        with self.setup.empty_folder() as folder:
            shell = environment(folder) | {"SOURCE": self.source.url(dataset.name)}
            seconds = measure(dataset.script(self.setup.scale), shell, folder)[Metric.SECONDS]
        with self.source.connect(dataset.name) as connection:
            row = connection.execute("select pg_database_size(current_database())").fetchall()[0]
        size_bytes: int = row[0]
        log.info("filled dataset=%s bytes=%d seconds=%.1f", dataset.name, size_bytes, seconds)
        try:
            yield size_bytes
        finally:
            self.source.drop(dataset.name)
            self.target.drop(COPY)

    def _run_once(self, dataset: Dataset, contestant: Contestant, expected: Census) -> Figures:
        """Copy once, and compare the whole target with the source.

        Raises:
            RunFailed: the contestant failed, or the target differs from the source.
        """
        self.target.make_empty(COPY)
        self.source.checkpoint()
        self.target.checkpoint()
        source, target = self.source.url(dataset.name), self.target.url(COPY)
        with self.setup.empty_folder() as folder:
            figures = contestant.run(source, target, folder)
        with self.target.connect(COPY) as connection:
            differences = difference(expected, read_census(connection))
        if differences:
            raise RunFailed(f"an incomplete copy: {differences}")
        return figures


@contextmanager
def racing(setup: Setup) -> Iterator[Race]:
    """Two servers, for as long as something is raced between them."""
    with (
        running(setup.folder / "source", setup.programs) as source,
        running(setup.folder / "target", setup.programs) as target,
    ):
        yield Race(source, target, setup)
