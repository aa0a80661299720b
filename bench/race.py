"""Run the entries: data made once, order rotated, every copy from an empty target and checked."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.cases import Entry
from bench.census import Census, difference, read_census
from bench.data import Dataset, Scale
from bench.measure import Figures, Metric, RunFailed, measure
from bench.servers import Server
from bench.shell import environment

log = logging.getLogger(__name__)

COPY = "copy"


@dataclass(slots=True)
class Results:
    """What was measured, and why something was not. An entry that failed once has no figures."""

    figures: dict[Entry, list[Figures]] = field(default_factory=dict)
    failures: dict[Entry, str] = field(default_factory=dict)
    source_bytes: dict[Dataset, int] = field(default_factory=dict)

    def values(self, entry: Entry, metric: Metric) -> list[float]:
        return [figures[metric] for figures in self.figures.get(entry, [])]


@dataclass(frozen=True, slots=True)
class Race:
    """Two servers, a folder for the clients' files, and how much is run on them."""

    source: Server
    target: Server
    folder: Path
    scale: Scale
    repeat: int

    def run(self, entries: list[Entry]) -> Results:
        results = Results()
        for dataset in dict.fromkeys(entry.dataset for entry in entries):
            with self._filled(dataset) as size_bytes:
                results.source_bytes[dataset] = size_bytes
                self._run_dataset([e for e in entries if e.dataset == dataset], results)
        return results

    @contextmanager
    def _filled(self, dataset: Dataset) -> Iterator[int]:
        """Make the data set on the source, for as long as it is raced on; gives its size."""
        self.source.make_empty(dataset.name)
        with self._empty_folder() as folder:
            places = {"SOURCE": self.source.url(dataset.name)}
            figures = measure(dataset.script(self.scale), environment(folder) | places, folder)
        with self.source.connect(dataset.name) as connection:
            row = connection.execute("select pg_database_size(current_database())").fetchall()[0]
        size_bytes: int = row[0]
        log.info(
            "filled dataset=%s bytes=%d seconds=%.1f",
            dataset.name,
            size_bytes,
            figures[Metric.SECONDS],
        )
        try:
            yield size_bytes
        finally:
            self.source.drop(dataset.name)
            self.target.drop(COPY)

    def _run_dataset(self, entries: list[Entry], results: Results) -> None:
        with self.source.connect(entries[0].dataset.name) as connection:
            expected = read_census(connection)
        for turn in range(self.repeat):
            first = turn % len(entries)
            for entry in entries[first:] + entries[:first]:
                if entry in results.failures:
                    continue
                try:
                    figures = self._run_once(entry, expected)
                except RunFailed as failure:
                    results.failures[entry] = str(failure)
                    results.figures.pop(entry, None)
                    log.info("failed %s error=%s", _words(entry), failure)
                else:
                    results.figures.setdefault(entry, []).append(figures)
                    log.info("ran %s %s", _words(entry), _figures_words(figures))

    def _run_once(self, entry: Entry, expected: Census) -> Figures:
        """Copy once, and compare the whole target with the source.

        Raises:
            RunFailed: the contestant failed, or the target is not what the source is.
        """
        self.target.make_empty(COPY)
        self.source.checkpoint()
        self.target.checkpoint()
        source, target = self.source.url(entry.dataset.name), self.target.url(COPY)
        with self._empty_folder() as folder:
            figures = entry.contestant.run(source, target, folder)
        with self.target.connect(COPY) as connection:
            differences = difference(expected, read_census(connection))
        if differences:
            raise RunFailed(f"an incomplete copy: {differences}")
        return figures

    @contextmanager
    def _empty_folder(self) -> Iterator[Path]:
        self.folder.mkdir()
        try:
            yield self.folder
        finally:
            shutil.rmtree(self.folder)


def _words(entry: Entry) -> str:
    return f"dataset={entry.dataset.name} contestant={entry.contestant.name}"


def _figures_words(figures: Figures) -> str:
    return " ".join(f"{metric.name.lower()}={value:.2f}" for metric, value in figures.items())
