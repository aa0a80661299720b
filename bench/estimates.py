"""`python -m bench.estimates`: how far plans' estimates are from what their runs take.

Ten databases of different shapes are planned and migrated; a run's events are kept on wish, as
tests replay them.
"""

import argparse
import logging
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.data import SQL
from bench.machine import describe_machine
from bench.measure import measure
from bench.recording import Recorder
from bench.servers import Server, running
from bench.shell import search_path
from windlass import api
from windlass.demo.shop import fill
from windlass.model.outcome import State
from windlass.model.units import bytes_text
from windlass.spec.migrate import Spec

Fill = Callable[[str, Path], None]
TO_REACH = 0.8  # of all cases


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    fill: Fill
    options: dict[str, object]


def _shop(scale: float) -> Fill:
    return lambda url, _: fill(url, scale)


def _script(*lines: str) -> Fill:
    def run(url: str, folder: Path) -> None:
        environment = {"PATH": search_path(), "SOURCE": url, "SQL": str(SQL), "HOME": str(folder)}
        measure("\n".join(lines), environment, folder)

    return run


def _psql(file: str, **variables: int) -> str:
    words = " ".join(f"-v {name}={value}" for name, value in variables.items())
    return f'psql -qX -o /dev/null -v ON_ERROR_STOP=1 {words} -f "$SQL/{file}" "$SOURCE"'


ANALYZE = 'vacuumdb -q --analyze "$SOURCE"'
CASES = (
    Case("shop", _shop(1), {}),
    Case("shop, one job", _shop(1), {"jobs": 1}),
    Case("shop, large", _shop(3), {}),
    Case("pgbench 2", _script('pgbench -i -q -s 2 "$SOURCE"', ANALYZE), {}),
    Case("pgbench 20", _script('pgbench -i -q -s 20 "$SOURCE"', ANALYZE), {}),
    Case("pgbench 20, not verified", _script('pgbench -i -q -s 20 "$SOURCE"', ANALYZE),
         {"verify": "none"}),
    Case("events", _script(_psql("events.sql", rows=1_000_000), ANALYZE), {}),
    Case("documents", _script(_psql("toast.sql", rows=60_000), ANALYZE), {}),
    Case("500 relations", _script(_psql("small.sql", relations=500), ANALYZE), {}),
    Case("words", _script(_psql("words.sql", rows=400_000), ANALYZE), {}),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    case: Case
    size_bytes: int
    low_seconds: float
    high_seconds: float
    seconds: float

    @property
    def holds(self) -> bool:
        return self.low_seconds <= self.seconds <= self.high_seconds


def run_case(case: Case, source: Server, target: Server, folder: Path, keep: Path | None) -> Result:
    source.make_empty("db")
    target.make_empty("db")
    case.fill(source.url("db"), folder)
    source.checkpoint()
    spec = Spec.model_validate(
        {"source": source.url("db"), "target": target.url("db"), **case.options}
    )
    plan = api.plan(spec).plan
    recorder = Recorder()
    outcome = api.migrate(spec, recorder)
    if outcome.state is not State.DONE:
        raise SystemExit(f"{case.name}: {outcome.state} {outcome.message} {outcome.problems}")
    if keep:
        keep.mkdir(exist_ok=True)
        recorder.write(keep / f"{case.name.replace(' ', '_').replace(',', '')}.jsonl.gz")
    found = plan.estimate
    return Result(case, plan.size_bytes, found.low_seconds, found.high_seconds, outcome.seconds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.estimates", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the runs' events here")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page")
    parser.add_argument("--case", action="append", help="only this one", default=[])
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    cases = [case for case in CASES if not options.case or case.name in options.case]
    results = []
    machine = describe_machine()
    with tempfile.TemporaryDirectory(prefix="windlass-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        work = folder / "work"
        work.mkdir()
        with running(folder / "source") as source, running(folder / "target") as target:
            for case in cases:
                result = run_case(case, source, target, work, options.keep)
                results.append(result)
                print(_row(result), flush=True)
    if options.write:
        options.write.write_text(page(results, machine))
    good = sum(result.holds for result in results)
    return 0 if good >= TO_REACH * len(results) else 1


def _row(result: Result) -> str:
    held = "yes" if result.holds else "no"
    return (
        f"| {result.case.name} | {bytes_text(result.size_bytes)} | {result.low_seconds:.1f} to"
        f" {result.high_seconds:.1f} | {result.seconds:.1f} | {held} |"
    )


def page(results: list[Result], machine: dict[str, str]) -> str:
    good = sum(result.holds for result in results)
    lines = [
        "# Estimates",
        "",
        "What `windlass plan` estimates, and what the migration then took. Made by"
        " `python -m bench.estimates --write docs/estimates.md`.",
        "",
        *(f"- {name}: {value}" for name, value in machine.items()),
        "",
        f"The range held in {good} of {len(results)} cases (wanted: 8 of 10).",
        "",
        "| case | rows and TOAST | estimate, s | took, s | held |",
        "| --- | --: | --: | --: | --- |",
        *(_row(result) for result in results),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
