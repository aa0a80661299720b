"""A migration from or into each engine is killed, 40 times for each way: at places of its journal,
and at moments that nobody chose. The same command ends it: every row is there once, all objects are
those of a run that nobody has killed, and a rollback leaves nothing.

`TESTS_SEED` gives other moments."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from command import DONE, REFUSED, finish, kill_group, start, windlass
from killed_way import Way
from killed_ways import INTO_POSTGRES, OUT_OF_POSTGRES, Servers, make_way
from killing import count, is_killed, kill
from sampling import choose_seed

WAYS = (*INTO_POSTGRES, *OUT_OF_POSTGRES)
PLACED = MOMENTS = 20
ATTEMPTS = 20  # to kill a run before it has ended
SEED = choose_seed()
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def ways(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Way]]:
    """Each one's source is made once."""
    found: dict[str, Way] = {}
    get = request.getfixturevalue
    servers = Servers(lambda: get("server")(16), lambda: get("mariadb"), lambda: get("mongodb"))
    with ExitStack() as stack:

        def of_name(name: str) -> Way:
            if name not in found:
                found[name] = make_way(name, servers, tmp_path_factory.mktemp("way"), stack)
            found[name].renew()
            return found[name]

        yield of_name


@pytest.fixture(scope="module")
def measured(ways: Callable[[str], Way]) -> Callable[[str], Way]:
    """With an empty target, after a run that nobody has killed."""

    def of_name(name: str) -> Way:
        way = ways(name)
        if not way.counts:
            windlass("--version")  # what runs fork from has started
            began = time.monotonic()
            run = way.migrate()["run"]
            way.seconds, way.made = time.monotonic() - began, way.objects()
            assert way.rows() == way.source_rows
            way.command("rollback", run, "--yes").expect(DONE)
            assert way.is_empty()
            way.renew()
            way.counts = count(way.counted, way.words, way.env)
            assert all(way.counts), dict(zip(way.counted, way.counts, strict=True))
            way.renew()
        return way

    return of_name


def placed(way: Way, number: int) -> str:
    """A place of one kind after the other, over the whole of the run."""
    kind, at = number % len(way.counted), number // len(way.counted)
    place, each = way.counted[kind], PLACED // len(way.counted)
    when = 1 + at * way.counts[kind] // each
    what, _, since = place.partition(" since ")
    return f"{what} {when} since {since}" if since else f"{what} {when}"


def is_killed_after(way: Way, seconds: float, *words: str) -> bool:
    process = start(*words, "--json", env=way.env)
    if not process.wait(seconds):
        kill_group(process)
    return finish(process).code == -signal.SIGKILL


def is_killed_in_time(way: Way, part: float) -> str:
    """Kill a run at a part of its length; the next one sooner, if the machine has become faster."""
    for attempt in range(ATTEMPTS):
        moment = part * way.seconds * 0.85**attempt
        if is_killed_after(way, moment, *way.words):
            return f"after {moment:.2f} of {way.seconds:.2f} s"
        way.renew()
    raise AssertionError(f"{way.name}: no run was killed in {ATTEMPTS} attempts")


def ends(way: Way, rng: random.Random, number: int, record: Record) -> None:
    """After a kill: kill every fourth one again, and the rollback of every fifth one."""
    if number % 4 == 3:
        moment = rng.random() * way.seconds
        record("killed again", is_killed_after(way, moment, *way.words))
    found = way.migrate()
    assert (found["state"], found["verified"]) == ("done", "full")
    assert way.rows() == way.source_rows
    assert way.objects() == way.made
    undo = ("rollback", found["run"], "--yes")
    if number % 5 == 4:
        record("rollback killed", is_killed_after(way, rng.random() * way.seconds / 3, *undo))
        ran = way.command(*undo)
        assert ran.code == DONE or (ran.code == REFUSED and way.is_empty()), ran.why
    else:
        way.command(*undo).expect(DONE)
    assert way.is_empty()


@pytest.mark.full
@pytest.mark.parametrize("number", range(PLACED))
@pytest.mark.parametrize("name", WAYS)
def test_killed_at_a_place_of_its_journal_every_row_arrives_once(
    measured: Callable[[str], Way], name: str, number: int, record_property: Record
) -> None:
    way, rng = measured(name), random.Random(f"{SEED} {name} {number}")
    place = placed(way, number)
    assert is_killed(place, way.words, way.env), f"{place}: the run did not come to it"
    record_property("killed", f"{name}: {place}: {way.progress()}")
    ends(way, rng, number, record_property)


@pytest.mark.full
@pytest.mark.parametrize("number", range(MOMENTS))
@pytest.mark.parametrize("name", WAYS)
def test_killed_at_any_moment_every_row_arrives_once(
    measured: Callable[[str], Way], name: str, number: int, record_property: Record
) -> None:
    way, rng = measured(name), random.Random(f"{SEED} {name} moment {number}")
    when = is_killed_in_time(way, (number + rng.random()) / MOMENTS)
    record_property("killed", f"{name}: {when}: {way.progress()}")
    ends(way, rng, number, record_property)


@pytest.mark.parametrize("name", WAYS)
def test_killed_while_it_copies_every_row_arrives_once(
    ways: Callable[[str], Way], name: str
) -> None:
    way = ways(name)
    kill(way.early, way.words, way.env)
    assert way.migrate()["verified"] == "full"
    assert way.rows() == way.source_rows
