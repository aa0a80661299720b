"""The runner: order, pipelining, retries and an orderly stop, with steps of plain Python."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps import PATIENCE_SECONDS, Do, Work, by_item, nothing, run, sets, step, waits_for
from windlass.errors import ConnectionLost, Interrupted, SnapshotLost, WindlassError
from windlass.model.event import (
    Event,
    ItemFinished,
    ItemRetried,
    ItemStarted,
    StepFinished,
    StepStarted,
    ignore,
)
from windlass.model.flow import Flow, Item, Result, Step
from windlass.run import local
from windlass.run.local import run_flow


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "FIRST_WAIT_SECONDS", 0.0)


# order


def test_a_flow_is_a_list_in_which_every_step_comes_after_known_ones() -> None:
    with pytest.raises(ValueError, match="step a of flow test comes after"):
        Flow("test", (step("a", "b"), step("b")))
    with pytest.raises(ValueError, match="step a of flow test"):
        Flow("test", (step("a"), step("a")))


def test_a_step_starts_when_the_steps_before_it_are_through() -> None:
    work = run(step("a", items="x y z"), step("b", "a", items="x y z"), step("c", "b"))
    assert [name for name, _ in work.started] == ["a"] * 3 + ["b"] * 3 + ["c"]


def test_a_step_that_asks_a_person_runs_in_the_main_thread() -> None:
    threads: list[threading.Thread] = []

    def ask(_: Work, __: Item) -> Result:
        threads.append(threading.current_thread())
        return {}

    steps = (step("a", items="x y"), Step("b", ask, ("a",), asks=True), step("c", "b"))
    run_flow(Flow("test", steps), Work(), jobs=3, emit=ignore)
    assert threads == [threading.main_thread()]


def test_a_step_that_fans_out_over_nothing_is_through_at_once() -> None:
    work = run(step("a", items=""), step("b", "a", items="", pipelined=True), step("c", "b"))
    assert work.started == [("c", "")]


def test_a_step_asks_for_its_items_after_the_steps_before_it_and_once() -> None:
    asked: list[set[tuple[str, str]]] = []

    def items(work: Work) -> Sequence[Item]:
        asked.append(set(work.results))
        return [Item("x")]

    fans: Step[Work] = Step("b", lambda _, __: {}, ("a",), items=items)
    run(step("a", items="x y"), fans)
    assert asked == [{("a", "x"), ("a", "y")}]


def test_results_are_collected_for_the_steps_that_come_after() -> None:
    seen: list[dict[tuple[str, str], Result]] = []

    def count(_: Work, item: Item) -> Result:
        return {"rows": len(item.id)}

    def look(work: Work, _: Item) -> None:
        seen.append(dict(work.results))

    run(step("a", items="x yy", do=count), step("b", "a", do=look))
    assert seen == [{("a", "x"): {"rows": 1}, ("a", "yy"): {"rows": 2}}]


# pipelining


def test_a_group_continues_while_another_is_still_at_it() -> None:
    indexed = threading.Event()
    copy = by_item(large=waits_for(indexed))
    work = run(
        step("copy", items="small large", do=copy),
        step("index", "copy", items="small large", pipelined=True, do=by_item(small=sets(indexed))),
        jobs=2,
    )
    assert work.is_before("index small", "index large")
    assert work.is_before("copy large", "index large")


def test_all_items_of_a_group_have_to_be_through() -> None:
    first = threading.Event()
    work = run(
        step("copy", items="t/1 t/2", do=by_item(**{"t/1": sets(first), "t/2": waits_for(first)})),
        step("index", "copy", items="t", pipelined=True),
    )
    assert work.is_before("copy t/1", "index t")
    assert work.is_before("copy t/2", "index t")


def test_a_group_that_a_step_between_does_not_have_waits_for_the_steps_before_that() -> None:
    """Keys are only those of `keyed`; still, `bare` is analysed after its rows have come."""
    analysed = threading.Event()
    work = run(
        step("copy", items="keyed bare", do=by_item(bare=waits_for(analysed))),
        step("keys", "copy", items="keyed", pipelined=True),
        step(
            "analyse", "keys", items="keyed bare", pipelined=True, do=by_item(keyed=sets(analysed))
        ),
        jobs=3,
    )
    assert work.is_before("copy bare", "analyse bare")
    assert work.is_before("keys keyed", "analyse keyed")


def test_a_step_that_is_not_pipelined_waits_for_all_groups() -> None:
    work = run(
        step("copy", items="a b"),
        step("index", "copy", items="a b", pipelined=True),
        step("attach", "index", items="a b"),
    )
    assert [name for name, _ in work.started[-2:]] == ["attach"] * 2
    assert len(work.ended) == 6


def test_what_is_begun_is_finished_before_something_new_is() -> None:
    work = run(
        step("copy", items="a b c", do=lambda _, __: time.sleep(0.02)),
        step("index", "copy", items="a b c", pipelined=True),
        jobs=1,
    )
    assert work.started.index(("index", "a")) < work.started.index(("copy", "c"))


@dataclass(frozen=True)
class Node:
    name: str
    after: tuple[str, ...]
    items: str | None
    pipelined: bool


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, 6))):
        names = [node.name for node in nodes]
        after = draw(st.sets(st.sampled_from(names), max_size=3)) if names else set()
        items = draw(st.none() | st.sets(st.sampled_from(["a", "b", "b/2", "c", "c/2"])))
        listed = None if items is None else " ".join(sorted(items))
        nodes.append(Node(f"s{number}", tuple(sorted(after)), listed, draw(st.booleans())))
    return nodes


def waits(nodes: Sequence[Node], later: Node, group: str) -> set[tuple[str, str | None]]:
    """What an item of a group waits for: steps, with the group or with None for all of them."""
    by_name = {node.name: node for node in nodes}
    found: set[tuple[str, str | None]] = set()
    todo: list[tuple[Node, str | None]] = [(later, group)]
    while todo:
        node, of = todo.pop()
        wanted = of if node.pipelined else None
        for name in node.after:
            if (name, wanted) not in found:
                found.add((name, wanted))
                todo.append((by_name[name], wanted))
    return found


@settings(deadline=None, max_examples=60)
@given(nodes=graphs(), jobs=st.integers(1, 4))
def test_any_flow_runs_every_item_once_and_after_what_it_waits_for(
    nodes: list[Node], jobs: int
) -> None:
    work = run(
        *(step(n.name, *n.after, items=n.items, pipelined=n.pipelined) for n in nodes), jobs=jobs
    )
    expected = [
        (node.name, item)
        for node in nodes
        for item in ([""] if node.items is None else node.items.split())
    ]
    assert sorted(work.ended) == sorted(expected)
    assert set(work.results) == set(expected)
    places = {event: place for place, event in enumerate(work.story)}
    for node in nodes:
        for name, item in expected:
            if name != node.name:
                continue
            for before, group in waits(nodes, node, item.split("/")[0]):
                for other, its in expected:
                    if other == before and group in (None, its.split("/")[0]):
                        assert places["end", other, its] < places["begin", name, item]


# events


def test_events_report_steps_and_items_in_order() -> None:
    events: list[Event] = []
    item = Item("x", "g", 5)
    copy: Step[Work] = Step("copy", lambda _, __: {"rows": 3, "bytes": 7}, items=lambda _: [item])
    run(copy, step("end", "copy"), emit=events.append)
    kinds = [type(event) for event in events]
    assert kinds == [StepStarted, ItemStarted, ItemFinished, StepFinished] * 2
    assert events[0] == StepStarted("copy", 1, 5)
    assert events[1] == ItemStarted("copy", "x", "g", 5)
    finished = events[2]
    assert isinstance(finished, ItemFinished)
    assert (finished.rows, finished.size_bytes, finished.cost) == (3, 7, 5)
    assert not finished.resumed


@pytest.mark.parametrize("kind", [StepStarted, ItemStarted, ItemFinished, StepFinished])
def test_a_listener_that_fails_stops_the_flow(kind: type[Event]) -> None:
    """Such as a terminal that is gone: the run ends, it does not hang."""

    def emit(event: Event) -> None:
        if isinstance(event, kind):
            raise BrokenPipeError("gone")

    with pytest.raises(BrokenPipeError):
        run(step("a", items="x y"), emit=emit)


# resuming


def test_what_an_earlier_run_finished_is_not_run_again() -> None:
    events: list[Event] = []
    work = Work(done={"copy": {"x": {"rows": 3}}})
    run(step("copy", items="x y"), step("index", "copy", items="x y", pipelined=True), work=work,
        emit=events.append)  # fmt: skip
    assert sorted(work.started) == [("copy", "y"), ("index", "x"), ("index", "y")]
    assert work.results["copy", "x"] == {"rows": 3}
    resumed = [one for one in events if isinstance(one, ItemFinished) and one.resumed]
    assert [(one.step, one.item, one.rows) for one in resumed] == [("copy", "x", 3)]


def test_a_flow_of_which_all_is_finished_runs_nothing() -> None:
    work = Work(done={"a": {"": {}}, "b": {"x": {}, "y": {}}})
    run(step("a"), step("b", "a", items="x y"), work=work)
    assert work.started == []
    assert len(work.results) == 3


# retries


def fails(error: BaseException, times: int) -> Do:
    counts: Counter[str] = Counter()

    def do(_: Work, item: Item) -> Result:
        counts[item.id] += 1
        if counts[item.id] <= times:
            raise error
        return {"rows": counts[item.id]}

    return do


@pytest.mark.parametrize("error", [ConnectionLost("hung up"), SnapshotLost("gone")])
def test_an_error_that_may_pass_is_tried_again(error: WindlassError) -> None:
    work = run(step("a", do=fails(error, 3)))
    assert work.results == {("a", ""): {"rows": 4}}


def test_the_context_mends_what_broke_before_every_new_try_in_the_worker_s_thread() -> None:
    work, threads = Work(), set[str]()
    error = ConnectionLost("hung up")
    again = fails(error, 2)

    def do(work: Work, item: Item) -> Result | None:
        threads.add(threading.current_thread().name)
        assert len(work.recovered) == len(work.started) - 1
        return again(work, item)

    run(step("a", do=do), work=work)
    assert work.recovered == [(threads.pop(), error)] * 2


def test_retries_are_reported() -> None:
    events: list[Event] = []
    run(step("a", items="x", do=fails(ConnectionLost("hung up"), 2)), emit=events.append)
    reported = [event for event in events if isinstance(event, ItemRetried)]
    assert [(one.item, one.attempt, one.reason) for one in reported] == [
        ("x", 1, "hung up"),
        ("x", 2, "hung up"),
    ]


def test_retries_come_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "ATTEMPTS", 3)
    work = Work()
    with pytest.raises(ConnectionLost, match="hung up"):
        run(step("a", do=fails(ConnectionLost("hung up"), 100)), work=work)
    assert len(work.started) == 3


@pytest.mark.parametrize("error", [WindlassError("no"), ValueError("no"), AssertionError("no")])
def test_an_error_that_will_not_pass_is_not_tried_again(error: Exception) -> None:
    work = Work()
    with pytest.raises(type(error), match="no"):
        run(step("a", do=fails(error, 1)), work=work)
    assert len(work.started) == 1
    assert work.recovered == []


def test_what_cannot_be_mended_stops_the_flow() -> None:
    class Lost(Work):
        def recover(self, error: WindlassError) -> None:
            raise SnapshotLost("the holder is gone") from error

    with pytest.raises(SnapshotLost, match="the holder is gone"):
        run(step("a", do=fails(ConnectionLost("hung up"), 1)), work=Lost())


# the stop


def until_cancelled(work: Work, _: Item) -> None:
    assert work.cancelled.wait(PATIENCE_SECONDS / 2), "nobody cancelled"
    raise WindlassError("cancelled")


def test_an_item_that_fails_stops_all_others_and_is_what_is_raised() -> None:
    both = threading.Barrier(2, timeout=PATIENCE_SECONDS / 2)

    def fail(_: Work, __: Item) -> None:
        both.wait()
        raise WindlassError("disk full")

    def wait(work: Work, item: Item) -> None:
        both.wait()
        until_cancelled(work, item)

    work = Work()
    many = " ".join(f"t{number}" for number in range(50))
    do = by_item(until_cancelled, bad=fail, good=wait)
    with pytest.raises(WindlassError, match="disk full"):
        run(step("a", items=f"bad good {many}", do=do), step("b", "a"), work=work, jobs=2)
    assert len(work.started) <= 3  # one more may have been taken before the failure was seen
    assert work.at_once == 0


def test_items_that_cannot_be_listed_stop_the_flow() -> None:
    def items(_: Work) -> Sequence[Item]:
        raise WindlassError("no list")

    work = Work()
    with pytest.raises(WindlassError, match="no list"):
        run(Step("a", lambda _, __: {}, items=items), work=work)
    assert work.cancelled.is_set()


def test_nothing_is_tried_again_after_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """An item that waits for its next try when another one fails: its next try may take hours."""
    monkeypatch.setattr(local, "FIRST_WAIT_SECONDS", 1e9)
    monkeypatch.setattr(local, "LONGEST_WAIT_SECONDS", 1e9)
    waiting = threading.Event()

    class Watched(Work):
        def recover(self, error: WindlassError) -> None:
            waiting.set()

    def fail(_: Work, __: Item) -> None:
        assert waiting.wait(PATIENCE_SECONDS / 2)
        raise WindlassError("disk full")

    work = Watched()
    again = fails(ConnectionLost("hung up"), 1)
    with pytest.raises(WindlassError, match="disk full"):
        run(step("a", items="again bad", do=by_item(again=again, bad=fail)), work=work)
    assert sorted(work.started) == [("a", "again"), ("a", "bad")]


def test_a_cancel_that_came_too_early_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one comes between two statements, where a server and an engine ignore it."""
    monkeypatch.setattr(local, "CANCEL_SECONDS", 0.01)

    class Deaf(Work):
        heard = False

        def cancel(self) -> None:
            if self.heard:
                super().cancel()
            self.heard = True

    beside = threading.Event()

    def fail(_: Work, __: Item) -> None:
        assert beside.wait(PATIENCE_SECONDS / 2)
        raise WindlassError("disk full")

    def wait(work: Work, item: Item) -> None:
        beside.set()
        until_cancelled(work, item)

    work = Deaf()
    with pytest.raises(WindlassError, match="disk full"):
        run(step("a", items="bad good", do=by_item(bad=fail, good=wait)), work=work)
    assert work.cancelled.is_set()


def test_ctrl_c_cancels_what_is_in_flight_and_is_reported_as_such() -> None:
    """The signal itself, to the main thread, where a shell's users send it."""
    main = threading.main_thread()
    assert threading.current_thread() is main
    assert main.ident is not None
    ident = main.ident

    def press(work: Work, item: Item) -> None:
        time.sleep(0.05)  # until the main thread has come to rest
        signal.pthread_kill(ident, signal.SIGINT)
        until_cancelled(work, item)

    work = Work()
    flow = Flow("test", (step("a", items="x y", do=by_item(x=press, y=until_cancelled)),))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(Interrupted) as caught:
            run_flow(flow, work, jobs=2, emit=ignore)
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught.value.__suppress_context__
    assert work.at_once == 0


@pytest.mark.parametrize(
    "error", [None, WindlassError("no"), ZeroDivisionError(), KeyboardInterrupt()]
)
@pytest.mark.parametrize("jobs", [1, 4])
def test_every_worker_ends_and_leaves(error: BaseException | None, jobs: int) -> None:
    work, before = Work(), set(threading.enumerate())
    raised = Interrupted if isinstance(error, KeyboardInterrupt) else type(error)
    with nullcontext() if error is None else pytest.raises(raised):  # type: ignore[type-var]
        run(step("a", do=fails(error, 1) if error else nothing), work=work, jobs=jobs)
    assert len(set(work.left)) == len(work.left) == jobs
    assert [thread for thread in threading.enumerate() if thread not in before] == []


# jobs


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_as_many_items_as_jobs_run_at_once_and_never_more(jobs: int) -> None:
    together = threading.Barrier(jobs, timeout=PATIENCE_SECONDS / 2)
    many = " ".join(f"t{number}" for number in range(4 * jobs))

    def meet(_: Work, __: Item) -> None:
        together.wait()

    work = run(
        step("a", items=many, do=meet),
        step("b", "a", items=many, pipelined=True),
        jobs=jobs,
    )
    assert work.most_at_once == jobs
