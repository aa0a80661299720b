"""Compares plans' estimates with the duration of their migrations.

Databases of different shapes are planned and migrated. With `--keep` the events of each migration
are recorded, for tests to replay.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.data import Dataset, pgbench, psql
from bench.measure import RunFailed, measure
from bench.recording import Recorder
from bench.result import Case, Figures, Goal, Measured, Metric, is_held, judged
from bench.servers import Server, running
from bench.setup import Setup, take_turns
from bench.shell import environment
from windlass import api
from windlass.demo.shop import fill
from windlass.flows.migrate.planned import plan_migration
from windlass.model.event import ignore
from windlass.model.outcome import State
from windlass.spec.migrate import Spec

ALL = "all"
GOALS = (Goal(subject=ALL, metric=Metric.SHARE_HELD, at_least=0.8),)


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape of data, and how it is migrated. `fill` takes a URL and an empty folder."""

    title: str
    fill: Callable[[str, Path], None]
    options: dict[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.title.replace(",", "").replace(" ", "_")


def _shop(scale: float) -> Callable[[str, Path], None]:
    return lambda url, _: fill(url, scale)


def _script(script: str) -> Callable[[str, Path], None]:
    whole = Dataset("estimates", "estimates", full=script).script()
    return lambda url, folder: _measure_fill(whole, url, folder)


def _measure_fill(script: str, url: str, folder: Path) -> None:
    measure(script, environment(folder) | {"SOURCE": url}, folder)


SHAPES = (
    Shape("shop", _shop(1)),
    Shape("shop, one job", _shop(1), {"jobs": 1}),
    Shape("shop, large", _shop(3)),
    Shape("pgbench 2", _script(pgbench(2))),
    Shape("pgbench 20", _script(pgbench(20))),
    Shape("pgbench 20, not verified", _script(pgbench(20)), {"verify": "none"}),
    Shape("events", _script(psql("events.sql", rows=1_000_000))),
    Shape("documents", _script(psql("toast.sql", rows=60_000))),
    Shape("500 relations", _script(psql("small.sql", relations=500))),
    Shape("words", _script(psql("words.sql", rows=400_000))),
)


def measure_estimates(setup: Setup) -> Measured:
    shapes = setup.choose(SHAPES, SHAPES[3:4])
    with (
        running(setup.folder / "source", setup.programs) as source,
        running(setup.folder / "target", setup.programs) as target,
    ):

        def run(shape: Shape) -> Figures:
            return _run(shape, source, target, setup)

        cases = take_turns(shapes, run, setup.repeat)
    held = sum(map(is_held, cases)) / len(cases)
    whole = Case(name=ALL, title="all databases", group=ALL, runs=({Metric.SHARE_HELD: held},))
    return Measured(
        data="databases of different shapes", cases=(*cases, whole), goals=judged(GOALS, [whole])
    )


def _run(shape: Shape, source: Server, target: Server, setup: Setup) -> Figures:
    """Raises:
    RunFailed: the migration did not end well.
    """
    source.make_empty("db")
    target.make_empty("db")
    with setup.empty_folder() as folder:
        shape.fill(source.url("db"), folder)
    source.checkpoint()
    options = {"source": source.url("db"), "target": target.url("db"), **shape.options}
    spec = Spec.model_validate(options)
    plan = plan_migration(spec, ignore).plan
    recorder = Recorder()
    outcome = api.migrate(spec, recorder)
    if outcome.state is not State.DONE:
        raise RunFailed(f"{outcome.state} {outcome.reason.message} {outcome.reason.problems}")
    if setup.keep:
        setup.keep.mkdir(exist_ok=True)
        recorder.write(setup.keep / f"{shape.name}.jsonl.gz")
    return {
        Metric.SIZE_MIB: plan.size_bytes / 2**20,
        Metric.LOW_SECONDS: plan.estimate.low_seconds,
        Metric.HIGH_SECONDS: plan.estimate.high_seconds,
        Metric.SECONDS: outcome.seconds,
    }
