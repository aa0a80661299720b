"""A comparison as a scheduler runs it: in a migration's snapshot, and in parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from servers import Pair
from windlass.errors import Different, WindlassError
from windlass.flows.migrate.context import Migration
from windlass.flows.migrate.outline import MIGRATE
from windlass.flows.validate.context import Comparison
from windlass.flows.validate.outline import VALIDATE
from windlass.model.event import Event, FlowPlanned
from windlass.run.local import run_flow
from windlass.spec.migrate import Spec
from windlass.spec.model import validated

SHOP = """
create table sale (id bigserial primary key, n int);
insert into sale (n) select generate_series(1, 100);
create sequence apart;
"""


def spec_of(pair: Pair, **words: Any) -> Spec:
    return validated(Spec, {"source": pair.source.url, "target": pair.target.url, **words})


@contextmanager
def moved(pair: Pair) -> Iterator[Migration]:
    """All of it, and its snapshot is still held."""
    pair.source.run(SHOP)
    with Migration(spec_of(pair)) as run:
        run_flow(MIGRATE, run, jobs=2, emit=run.emit)
        yield run


def compare(pair: Pair, **words: Any) -> dict[str, Any]:
    with Comparison(spec_of(pair, **words)) as run:
        run_flow(VALIDATE, run, jobs=2, emit=run.emit)
        return dict(run.result("generate_validation_report"))


def test_a_source_that_keeps_writing_is_equal_in_the_snapshot_of_its_move(pair: Pair) -> None:
    with moved(pair) as run:
        pair.source.run("insert into sale (n) values (101)", "select nextval('apart')")
        report = compare(pair, snapshot=run.snapshot.id)
        assert report == {"state": "done", "relations": 1, "notices": []}
        pair.target.run("select setval('apart', 7)")
        with pytest.raises(Different) as caught:
            compare(pair, snapshot=run.snapshot.id)
        assert [one.object for one in caught.value.differences] == ["public.apart"]


def test_sequences_are_left_out_in_a_snapshot_of_which_no_run_is_known_and_it_is_said(
    pair: Pair,
) -> None:
    with moved(pair) as run:
        pair.target.run("drop schema windlass cascade")
        pair.source.run("select nextval('apart')")
        (notice,) = compare(pair, snapshot=run.snapshot.id)["notices"]
        assert notice == "not compared, as no snapshot holds them: public.apart, public.sale_id_seq"


CONTENT = "validate_content"


@pytest.mark.parametrize("lost", ["a piece", "another plan's"])
def test_what_nobody_has_compared_is_not_called_equal(pair: Pair, lost: str) -> None:
    pair.source.run(SHOP)
    pair.target.run(SHOP, "delete from sale")
    before = VALIDATE.only("read_both_sides", "prepare_validation", CONTENT)
    with Comparison(spec_of(pair)) as run:
        run_flow(before, run, jobs=1, emit=run.emit)
        results = run.results[CONTENT]
        assert len(results) == 2  # one side each
        if lost == "a piece":
            results.clear()
        else:
            for id_, result in results.items():
                results[id_] = {**result, "plan": "an earlier one"}
        with pytest.raises(WindlassError, match="not all of the plan has been compared") as caught:
            run_flow(VALIDATE.only("find_differences"), run, jobs=1, emit=run.emit)
        assert caught.value.hint.startswith("clear prepare_validation")


def test_a_comparison_is_not_shown_as_a_copy(pair: Pair) -> None:
    pair.source.run("create table t (a int)")
    pair.target.run("create table t (a int)")
    events: list[Event] = []
    with Comparison(spec_of(pair), events.append) as run:
        run.begin_reading()
    (planned,) = (event for event in events if isinstance(event, FlowPlanned))
    assert (planned.doing, planned.copy_steps) == ("Comparing", ())
