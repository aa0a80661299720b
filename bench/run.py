"""Run a benchmark: its setting up, its measurement, and the result that is written."""

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from bench.data import Scale
from bench.machine import find_program, read_load, read_revision, read_surroundings
from bench.registry import Benchmark
from bench.result import Measured, Result, read_result, write_result
from bench.servers import POSTGRES_BIN
from bench.setup import Setup, temporary_folder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks of a run; a benchmark has its own `repeat` otherwise."""

    into: Path
    repeat: int | None = None
    scale: Scale = Scale.FULL
    programs: Path = POSTGRES_BIN
    keep: Path | None = None


def load(path: str) -> Callable[..., object]:
    """The function at an import path such as `bench.pages.copying:render`."""
    module, _, name = path.partition(":")
    return cast(Callable[..., object], getattr(importlib.import_module(module), name))


def missing_programs(benchmark: Benchmark, programs: Path) -> list[str]:
    needed = [*benchmark.needs, *([str(programs / "initdb")] if benchmark.uses_servers else [])]
    return [name for name in needed if find_program(name) is None]


def run(benchmark: Benchmark, request: Request) -> Result:
    """Measure, and write the result. Notes on earlier figures stay, with their date.

    Raises:
        RunFailed: nothing was measured.
    """
    measure = cast(Callable[[Setup], Measured], load(benchmark.function))
    surroundings = read_surroundings(request.programs, with_servers=benchmark.uses_servers)
    began, load_before, revision = datetime.now(UTC), read_load(), read_revision()
    with temporary_folder() as folder:
        repeat = request.repeat or benchmark.repeat
        setup = Setup(folder, repeat, request.scale, request.programs, request.keep)
        measured = measure(setup)
    earlier = request.into / f"{benchmark.name}.json"
    before = read_result(earlier) if earlier.exists() else None
    result = Result(
        benchmark=benchmark.name,
        data=measured.data,
        cases=measured.cases,
        goals=measured.goals,
        surroundings=surroundings,
        measured_at=began.replace(microsecond=0),
        revision=revision,
        load_before=load_before if measured.load_before is None else measured.load_before,
        notes=before.notes if before else (),
        notes_on=before.notes_on if before else None,
    )
    log.info("wrote file=%s", write_result(result, request.into).name)
    return result
