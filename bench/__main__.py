"""`python -m bench`: words of the command line into a race, its results onto screen and page."""

import argparse
import json
import logging
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from bench.cases import CASES, CONTESTANTS, Case, Entry, entries_of
from bench.contestants import Command, Contestant
from bench.data import Scale
from bench.machine import describe_machine
from bench.race import Race
from bench.report import as_data, is_all_reached, results_text, write_page
from bench.servers import running
from bench.shell import search_path

T = TypeVar("T")

INSTALL = "as root: apt-get install postgresql-15 pgcopydb; windlass: pip install -e ."


def main() -> int:
    """Exit 0: everything reached; 1: something failed or was missed; 2: bad words or set-up."""
    parser = _parser()
    options = parser.parse_args()
    cases: tuple[Case, ...] = tuple(options.cases) or CASES
    contestants: tuple[Contestant, ...] = tuple(options.only) or CONTESTANTS
    if options.write and (options.cases or options.only):
        parser.error("--write writes the whole page: name no case and no contestant with it")
    entries = entries_of(cases, contestants)
    if missing := _missing_programs(entries):
        parser.error(f"not found: {', '.join(missing)}; {INSTALL}")

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped
    machine = describe_machine()
    with tempfile.TemporaryDirectory(prefix="windlass-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the servers may run under another account
        with running(folder / "source") as source, running(folder / "target") as target:
            race = Race(source, target, folder / "work", options.scale, options.repeat)
            results = race.run(entries)

    print(results_text(cases, results, options.scale))
    if options.json:
        options.json.write_text(json.dumps(as_data(results, machine, options.scale), indent=2))
    if options.write:
        write_page(options.write, results, machine, options.scale, options.repeat)
    return 0 if is_all_reached(cases, results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Windlass against its peers."
    )
    case_names = ", ".join(case.name for case in CASES)
    names = ", ".join(contestant.name for contestant in CONTESTANTS)
    parser.add_argument("cases", nargs="*", type=_case, metavar="case", help=case_names)
    parser.add_argument(
        "--only", action="append", default=[], type=_contestant, metavar="CONTESTANT", help=names
    )
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--scale", type=Scale, metavar="{small,full}", default=Scale.FULL)
    parser.add_argument("--json", type=Path, metavar="FILE", help="every measurement")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the page, in markdown")
    return parser


def _case(name: str) -> Case:
    return _named(name, {case.name: case for case in CASES})


def _contestant(name: str) -> Contestant:
    return _named(name, {contestant.name: contestant for contestant in CONTESTANTS})


def _named(name: str, known: dict[str, T]) -> T:
    if name not in known:
        raise argparse.ArgumentTypeError(f"no such name: {name}; there are {', '.join(known)}")
    return known[name]


def _missing_programs(entries: Iterable[Entry]) -> list[str]:
    contestants = (entry.contestant for entry in entries)
    programs = {c.program for c in contestants if isinstance(c, Command)} | {"initdb", "pgcopydb"}
    return sorted(p for p in programs if shutil.which(p, path=search_path()) is None)


if __name__ == "__main__":
    sys.exit(main())
