"""`python -m bench`: list the benchmarks, run them, render the pages, compare two results."""

import argparse
import logging
import signal
import sys
from itertools import chain
from pathlib import Path

from bench.compare import Change, Verdict, compare, unlike
from bench.data import Scale
from bench.measure import RunFailed
from bench.pages.markdown import goals_table, number, table
from bench.registry import BENCHMARKS, Benchmark, named
from bench.render import DOCS, render
from bench.result import RESULTS, Result, read_result, read_results
from bench.run import Request, missing_programs, run
from bench.servers import POSTGRES_BIN

log = logging.getLogger("bench")


def main() -> int:
    """Exit 0: all reached; 1: something failed, was missed or is worse; 2: bad options."""
    options = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped
    code: int = options.do(options)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("list", help="the benchmarks, and when each was measured")
    command.set_defaults(do=_list)
    command = commands.add_parser("run", help="measure, and write a result for each benchmark")
    command.set_defaults(do=_run)
    _add_run_options(command)
    command = commands.add_parser("render", help="write the pages in docs/ from the results")
    command.set_defaults(do=_render)
    command = commands.add_parser("compare", help="what differs by more than noise")
    command.add_argument("old", type=Path, help="a result, or a folder of results")
    command.add_argument("new", type=Path, help="the same")
    command.set_defaults(do=_compare)
    return parser


def _add_run_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        type=_benchmarks,
        help="which, or the beginning of several names, such as load; all without one",
    )
    command.add_argument("--repeat", type=int, metavar="N", help="instead of each one's own number")
    command.add_argument(
        "--scale",
        type=Scale,
        metavar="{full,small}",
        default=Scale.FULL,
        help="small only shows that everything runs, and needs --into",
    )
    command.add_argument("--into", type=Path, metavar="FOLDER", help="instead of bench/results")
    command.add_argument(
        "--bin", type=Path, default=POSTGRES_BIN, metavar="FOLDER", help="the servers' programs"
    )
    command.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="record the events of what estimates migrates"
    )
    command.set_defaults(error=command.error)


def _benchmarks(name: str) -> list[Benchmark]:
    if found := named(name):
        return found
    known = ", ".join(one.name for one in BENCHMARKS)
    raise argparse.ArgumentTypeError(f"there is no benchmark {name}; there are {known}")


def _list(_: argparse.Namespace) -> int:
    results = read_results()
    rows = [_listed(one, results.get(one.name)) for one in BENCHMARKS]
    print(table(["name", "measures", "page", "figures of"], rows), end="")
    return 0


def _listed(benchmark: Benchmark, result: Result | None) -> list[str]:
    day = str(result.day or "") if result else benchmark.never_run or "not measured"
    return [benchmark.name, benchmark.title, f"docs/{benchmark.page}", day]


def _run(options: argparse.Namespace) -> int:
    if options.scale is Scale.SMALL and not options.into:
        options.error("figures of --scale small are not for the pages: name a folder with --into")
    into: Path = options.into or RESULTS
    into.mkdir(parents=True, exist_ok=True)
    wanted = list(chain.from_iterable(options.names)) or BENCHMARKS
    request = Request(into, options.repeat, options.scale, options.bin, options.keep)
    return max(_run_one(one, request) for one in wanted)


def _run_one(benchmark: Benchmark, request: Request) -> int:
    if missing := missing_programs(benchmark, request.programs):
        log.error("not run benchmark=%s missing=%s", benchmark.name, ",".join(missing))
        return 1
    log.info("running benchmark=%s", benchmark.name)
    try:
        result = run(benchmark, request)
    except RunFailed as failure:
        log.error("failed benchmark=%s error=%s", benchmark.name, failure)
        return 1
    print(goals_table(result), end="")
    return 0 if result.is_reached else 1


def _render(_: argparse.Namespace) -> int:
    for path in render(read_results()):
        print(f"wrote {path.relative_to(DOCS.parent)}")
    return 0


def _compare(options: argparse.Namespace) -> int:
    old, new = _read(options.old), _read(options.new)
    names = [name for name in old if name in new]
    if not names:
        log.error("no benchmark is in both")
        return 1
    for name in names:
        if others := unlike(old[name], new[name]):
            log.warning("not alike benchmark=%s differing=%s", name, ", ".join(others))
    changes = [(name, one) for name in names for one in compare(old[name], new[name])]
    head = ["benchmark", "case", "figure", "old", "new", "new / old", "verdict"]
    print(table(head, [_compared(name, one) for name, one in changes]), end="")
    bad = {Verdict.WORSE, Verdict.MISSING}
    return 1 if any(one.verdict in bad for _, one in changes) else 0


def _read(path: Path) -> dict[str, Result]:
    if path.is_dir():
        return read_results(path)
    result = read_result(path)
    return {result.benchmark: result}


def _compared(name: str, one: Change) -> list[str]:
    new = number(one.new.median) if one.new else ""
    ratio = number(one.new.median / one.old.median) if one.new else ""
    return [
        name,
        one.case.title,
        one.metric.title,
        number(one.old.median),
        new,
        ratio,
        one.verdict.value,
    ]


if __name__ == "__main__":
    sys.exit(main())
