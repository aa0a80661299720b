"""How soon the page of `windlass serve` is seen: a run of many relations, in a real browser.

The run is a real one of so many empty tables. Making it loads the machine for a while, so the looks
begin once that is over. A browser with an empty cache, for each repetition a
new one, opens the list, the run, a search in its tables, and its log. The browser itself reports
the first contentful paint, from the start of the navigation, and the size of each response.
"""

import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench.data import Scale
from bench.machine import read_load
from bench.measure import RunFailed, measure
from bench.result import Figures, Goal, Measured, Metric, judged
from bench.servers import Server, running
from bench.setup import Setup, take_turns
from bench.shell import environment

CHROMIUM = "/usr/bin/chromium"
SECONDS = 60.0
CALM = 1.5  # load
CALM_SECONDS = 270.0
log = logging.getLogger(__name__)
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of page; `path` has {run}."""

    name: str
    title: str
    path: str


KINDS = (
    Kind("list", "the list of runs", ""),
    Kind("run", "the run", "runs/bench/{run}"),
    Kind("search", "a search in its tables", "runs/bench/{run}?search=t49"),
    Kind("log", "its log, with every item", "runs/bench/{run}/log?items=all"),
)
GOALS = tuple(
    Goal(subject=kind.name, metric=metric, at_most=most)
    for kind in KINDS
    for metric, most in ((Metric.FIRST_PAINT_SECONDS, 1.0), (Metric.LARGEST_RESPONSE_KB, 300.0))
)


def measure_page(setup: Setup) -> Measured:
    relations = setup.choose(5_000, 200)
    with running(setup.folder / "server", setup.programs) as server:
        _fill(server, relations)
        run = _migrate(server, setup)
        with _serving(server) as url, _browser() as browser:
            _look(browser, url, KINDS[1], run)  # so that everything is loaded once
            load_before = _await_calm() if setup.scale is Scale.FULL else read_load()

            def look(kind: Kind) -> Figures:
                return _look(browser, url, kind, run)

            cases = take_turns(KINDS, look, setup.repeat)
    data = f"the journal of a migration of {relations:,} tables"
    return Measured(data=data, cases=cases, goals=judged(GOALS, cases), load_before=load_before)


def _await_calm() -> float:
    """The load, once that of making the data is over, or after a few minutes."""
    log.info("the data is there; waiting for a calm machine")
    deadline = time.monotonic() + CALM_SECONDS
    while (load := read_load()) > CALM and time.monotonic() < deadline:
        time.sleep(1)
    return load


def _fill(server: Server, relations: int) -> None:
    for name in ("source", "bench"):
        server.make_empty(name)
    with server.connect("source") as connection:
        for first in range(0, relations, 500):  # a transaction needs a lock for each
            last = min(first + 500, relations)
            connection.execute(
                "do $$ begin for i in "
                + f"{first}..{last - 1}"
                + " loop execute format('create table t%s (id int primary key)', i);"
                " end loop; end $$"
            )


def _migrate(server: Server, setup: Setup) -> str:
    """The run's name."""
    with setup.empty_folder() as folder:
        urls = {"SOURCE": server.url("source"), "TARGET": server.url("bench")}
        script = 'windlass migrate --quiet --source "$SOURCE" --target "$TARGET"'
        measure(script, environment(folder) | urls, folder)
    with server.connect("bench") as connection:
        row = connection.execute("select run from windlass.run").fetchone()
    assert row is not None
    return str(row[0])


@contextmanager
def _serving(server: Server) -> Iterator[str]:
    """The address of the page."""
    call = [sys.executable, "-m", "windlass", "serve", "--port", "0"]
    call += ["--target", server.url("bench")]
    with subprocess.Popen(call, stderr=subprocess.PIPE, text=True, env={**os.environ}) as process:
        try:
            assert process.stderr is not None
            found = next(filter(None, (re.search(r"http://\S+", one) for one in process.stderr)))
            yield found[0]
        finally:
            process.terminate()


@contextmanager
def _browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def _look(browser: Any, url: str, kind: Kind, run: str) -> Figures:
    """Raises:
    RunFailed: nothing was painted in time.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        tab = context.new_page()
        sizes: list[int] = []
        tab.on("response", lambda one: sizes.append(_size(one)))
        tab.goto(url + kind.path.format(run=run))
        deadline = time.monotonic() + SECONDS
        while (painted := tab.evaluate(PAINT)) is None:
            if time.monotonic() > deadline:
                raise RunFailed(f"{kind.name}: nothing was painted")
            tab.evaluate("new Promise(done => requestAnimationFrame(done))")
        if not tab.locator("main h1").count():
            raise RunFailed(f"{kind.name}: not the page")
    finally:
        context.close()
    return {
        Metric.FIRST_PAINT_SECONDS: painted / 1000,
        Metric.LARGEST_RESPONSE_KB: max(sizes) / 1000,
    }


def _size(response: Any) -> int:
    """Bytes of a response; a stream of events has no end, and is not counted."""
    if "event-stream" in response.headers.get("content-type", ""):
        return 0
    return len(response.body())
