"""The contract of every target of loads, tested on every engine: a model in plain Python says what
a table has to hold."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import load_model
from landing_targets import (
    Target,
    begin,
    duckdb_target,
    load,
    new_run,
    over_targets,
    planned,
    postgres_target,
    sqlite_target,
    words_of,
)
from landings import LAST, Records
from load_model import Refuses, counted
from rooms import make_room
from servers import Database
from windlass.errors import BadRecord, Refused, WindlassError
from windlass.model.past import Others
from windlass.model.report import Problem


@pytest.fixture
def target(request: pytest.FixtureRequest, database: Callable[[int], Database]) -> Iterator[Target]:
    if request.param == "postgresql":
        yield postgres_target(database(18))
        return
    room = make_room()
    make = sqlite_target if request.param == "sqlite" else duckdb_target
    yield make(room)
    shutil.rmtree(room)


examples = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
keys = st.integers(0, 6)
numbers = st.none() | st.integers(0, 3)
distinct = st.lists(st.tuples(keys, numbers), max_size=7, unique_by=lambda row: row[0])
any_rows = st.lists(st.tuples(st.none() | keys, numbers), max_size=7)

KEYED = "id {int} not null primary key, n {int}, gone {bool} not null default false"
KEYLESS = "id {int}, n {int}"


def texts(records: list[tuple[int | None, ...]]) -> list[tuple[str | None, ...]]:
    return [tuple(None if one is None else str(one) for one in row) for row in records]


def kept(target: Target) -> list[tuple[Any, ...]]:
    return target.rows("select id, n, case when gone then 1 else 0 end from kept")


@over_targets()
@examples
@given(
    rows=st.lists(st.tuples(keys, numbers, st.booleans()), max_size=6, unique_by=lambda r: r[0]),
    runs=st.lists(
        st.tuples(st.sampled_from(["insert", "refuse", "merge", "replace", "mirror", "mark"]),
                  st.one_of(distinct, any_rows)),
        max_size=3,
    ),
)  # fmt: skip
def test_loads_by_a_key_do_what_their_words_say_and_can_be_undone(
    target: Target, rows: list[Any], runs: list[Any]
) -> None:
    target.fresh("kept", KEYED)
    target.fill("kept", rows)
    with target.open() as landing:
        states = _run_all(target, landing, "kept", kept, runs, load_model.keyed)
        _undo_all(target, landing, kept, states)


@over_targets()
@examples
@given(
    rows=any_rows,
    runs=st.lists(st.tuples(st.sampled_from(["append", "replace", "slice"]), any_rows), max_size=3),
)
def test_loads_without_a_key_do_what_their_words_say_and_can_be_undone(
    target: Target, rows: list[Any], runs: list[Any]
) -> None:
    target.fresh("events", KEYLESS)
    target.fill("events", rows)

    def model(word: str, rows: list[Any], records: list[Any]) -> list[Any]:
        return load_model.keyless(word, rows, records, 2)

    with target.open() as landing:
        states = _run_all(target, landing, "events", events, runs, model)
        _undo_all(target, landing, events, states)


def events(target: Target) -> list[tuple[Any, ...]]:
    return target.rows("select id, n from events")


def _run_all(
    target: Target, landing: Any, table: str, read: Any, runs: list[Any], model: Any
) -> list[tuple[str, Any]]:
    """Each load, and what it changed nothing of if it has to be refused. Returns the runs, with
    the rows before each."""
    states = []
    for word, records in runs:
        before, run = read(target), new_run()
        words = words_of(word, slice="n < 2" if word == "slice" else "")
        source = Records(("id", "n"), texts(records))
        what = planned(landing, table, words, source)
        try:
            wanted = model(word, before, records)
        except Refuses:
            _refused(landing, run, what, source)
            assert counted(read(target)) == counted(before)
            continue
        counts = load(landing, run, what, source)
        assert counted(read(target)) == counted(wanted)
        assert counts.read == len(records)
        assert len(wanted) - len(before) == counts.inserted - (
            0 if word == "mark" else counts.deleted
        )
        states.append((run, before))
    return states


def _refused(landing: Any, run: str, what: Any, source: Records) -> None:
    """By one of the steps, before anything is changed."""
    begin(landing, run)

    def try_it() -> None:
        landing.stage(run, what, 0, source)
        if broken := landing.check(run, what):
            raise Refused([Problem(what.name, str(one)) for one in broken])
        landing.apply(run, what)

    with pytest.raises((Refused, BadRecord)):
        try_it()
    landing.clean_up(run, what)


def _undo_all(target: Target, landing: Any, read: Any, states: list[tuple[str, Any]]) -> None:
    for run, before in reversed(states):
        foreseen = landing.foresee(run)
        assert not foreseen.written and not foreseen.blocked
        assert not landing.undo(run, Others.REFUSE).stayed
        assert counted(read(target)) == counted(before)
        assert landing.foresee(run) is None
        assert landing.undo(run, Others.REFUSE).already


@over_targets()
@examples
@given(runs=st.lists(distinct, min_size=1, max_size=3))
def test_a_history_keeps_every_version(target: Target, runs: list[Any]) -> None:
    target.fresh("versions", "id {int}, n {int}, valid_from {moment}, valid_to {moment}")

    def read(target: Target) -> list[tuple[Any, ...]]:
        query = "select id, n, case when valid_to is null then 1 else 0 end from versions"
        return target.rows(query)

    with target.open() as landing:
        states = []
        for records in runs:
            before, run = read(target), new_run()
            wanted = load_model.history(before, records)
            source = Records(("id", "n"), texts(records))
            load(landing, run, planned(landing, "versions", words_of("history"), source), source)
            assert counted(read(target)) == counted(wanted)
            assert target.rows("select id from versions where valid_from is null"
                               " or valid_to < valid_from") == []  # fmt: skip
            states.append((run, before))
        _undo_all(target, landing, read, states)


@over_targets()
@examples
@given(records=st.lists(st.tuples(keys, numbers), max_size=9), by=st.booleans())
def test_the_last_of_several_rows_with_one_key_is_loaded(
    target: Target, records: list[Any], by: bool
) -> None:
    target.fresh("kept", KEYED)
    words = words_of("merge", duplicates=LAST, last_by="n" if by else "")
    if by:  # NULLs are the first
        wanted = load_model.last_of_each(
            sorted(records, key=lambda row: -1 if row[1] is None else row[1])
        )
    else:
        wanted = load_model.last_of_each(records)
    with target.open() as landing:
        source = Records(("id", "n"), texts(records))
        load(landing, new_run(), planned(landing, "kept", words, source), source)
    assert counted([row[:2] for row in kept(target)]) == counted(wanted)


@over_targets()
def test_null_and_doubled_keys_are_found_and_named(target: Target) -> None:
    target.fresh("kept", "id {int} unique, n {int}")
    records = [("1", "1"), (None, "2"), ("1", "3"), ("4", "4")]
    with target.open() as landing:
        source = Records(("id", "n"), records)
        what = planned(landing, "kept", words_of("merge"), source)
        begin(landing, "bad")
        landing.stage("bad", what, 0, source)
        found = {one.expectation.described: one for one in landing.check("bad", what)}
        assert found["not-null(id)"].keys == ("orders.csv: record 2",)
        assert (found["unique(id)"].rows, found["unique(id)"].keys) == (2, ("id = 1",))
        with pytest.raises(WindlassError):
            landing.apply("bad", what)
    assert target.rows("select * from kept") == []
