"""Displays are made from events alone, so made-up events test them."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from windlass.model.event import (
    BytesCopied,
    Event,
    FlowPlanned,
    ItemFinished,
    ItemRetried,
    ItemStarted,
    Noticed,
    StepFinished,
    StepStarted,
)
from windlass.progress.lines import ITEM_LINES_PER_SECOND, LineProgress
from windlass.progress.tally import Tally
from windlass.progress.terminal import MOST_LINES, Screen, TerminalProgress

MB = 1 << 20
Events = list[tuple[float, Event]]  # each with its time


class Clock:
    """A clock that advances only on request."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def planned(sizes: dict[str, int], **more: object) -> FlowPlanned:
    rows = dict.fromkeys(sizes, 1000)
    return FlowPlanned("r", sizes, rows, copy_steps=("copy",), **more)  # type: ignore[arg-type]


def tally_of(events: Iterable[tuple[float, Event]]) -> Tally:
    tally = Tally()
    for now, event in events:
        tally.add(event, now)
    return tally


ONE_RELATION = planned({"s.a": 100 * MB}, loads={"s.a": 2})
HALF_COPIED: Events = [
    (0.0, ONE_RELATION),
    (0.0, StepStarted("copy", 2, 100 * MB)),
    (0.0, ItemStarted("copy", "s.a/0", "s.a", 50 * MB)),
    (1.0, BytesCopied("s.a/0", "s.a", 20 * MB)),
    (2.0, BytesCopied("s.a/0", "s.a", 20 * MB)),
    (2.0, ItemFinished("copy", "s.a/0", "s.a", 2.0, 500, 40 * MB, cost=50 * MB)),
]


def test_a_run_continues_if_nobody_reads_its_lines_any_more() -> None:
    """The page that has started it was killed, or `head` has seen enough."""
    reader, writer = os.pipe()
    os.close(reader)
    seen = []
    with suppress(BrokenPipeError), os.fdopen(writer, "w") as stream:  # its close writes as well
        with LineProgress(stream) as lines:
            lines(StepStarted("copy_tables", 1))
            lines.say("a notice")
            lines(StepFinished("copy_tables", 0.5))
        seen = [lines.tally.phases]
    assert seen


def test_a_committed_chunk_counts_by_its_size_on_disk() -> None:
    tally = tally_of(HALF_COPIED)
    assert (tally.rows, tally.moved_bytes, tally.done_bytes()) == (500, 40 * MB, 50 * MB)


def test_bytes_in_flight_count_by_what_earlier_chunks_were_on_the_wire() -> None:
    more: Events = [
        (2.0, ItemStarted("copy", "s.a/1", "s.a", 50 * MB)),
        (3.0, BytesCopied("s.a/1", "s.a", 20 * MB)),  # of 40 expected
    ]
    assert tally_of([*HALF_COPIED, *more]).done_bytes() == pytest.approx(75 * MB)


def test_the_time_left_is_what_the_rest_costs_at_the_speed_so_far() -> None:
    assert tally_of(HALF_COPIED).seconds_left(2.0) == pytest.approx(2.0)


def test_there_is_no_time_left_before_anything_was_done() -> None:
    assert tally_of(HALF_COPIED[:3]).seconds_left(5.0) is None


def test_short_steps_before_the_copy_are_not_taken_for_the_whole() -> None:
    events: Events = [
        (0.0, StepStarted("plan", 1)),
        (0.0, ItemStarted("plan", "", "")),
        (2.0, ItemFinished("plan", "", "", 2.0)),
        *((2.0 + now, event) for now, event in HALF_COPIED[:3]),
    ]
    assert tally_of(events).fraction(2.0) == 0


def slow_run(items: int = 20, seconds: float = 3.0, forecast: float = 5.0) -> Events:
    """Of two steps with `items` each, one after the other, that take far longer than the plan has
    forecast, after six seconds of planning."""
    sizes = {"s.r": items * MB}
    events: list[Event | float] = [
        StepStarted("plan", 1),
        ItemStarted("plan", "", ""),
        6.0,
        ItemFinished("plan", "", "", 6.0),
        planned(sizes, loads={"s.r": items}, forecast={"copy": forecast, "keys": forecast}),
    ]
    for step in ("copy", "keys"):
        events.append(StepStarted(step, items, items * MB))
        for number in range(items):
            item = f"s.r/{number}"
            events += [ItemStarted(step, item, "s.r", MB), seconds]
            events.append(ItemFinished(step, item, "s.r", seconds, 10, MB, cost=MB))
        events.append(StepFinished(step, items * seconds))
    now = 0.0
    found: Events = []
    for one in events:
        if isinstance(one, float):
            now += one
        else:
            found.append((now, one))
    return found


def watched(events: Events, every: float = 0.25) -> Iterator[tuple[float, float]]:
    """What a bar shows that is redrawn four times a second."""
    tally, waiting = Tally(), list(events)
    tally.started_at = 0.0
    for number in range(int(events[-1][0] / every)):
        now = number * every
        while waiting and waiting[0][0] <= now:
            tally.add(waiting.pop(0)[1], now)
        yield now, tally.fraction(now)


def test_a_bar_moves_also_where_the_forecast_was_far_too_short() -> None:
    shown = list(watched(slow_run()))
    end = shown[-1][0]
    for (before, old), (now, new) in zip(shown, shown[16:], strict=False):  # four seconds later
        if before > 7.0 and new < 0.98:
            assert new > old, f"the bar stays at {old:.1%} from {before} to {now} s of {end} s"


def test_planning_is_not_taken_for_a_part_of_a_forecast_that_is_far_too_short() -> None:
    end = slow_run()[-1][0]
    for now, fraction in watched(slow_run()):
        assert fraction <= now / end + 0.15, f"{fraction:.0%} at {now} s of {end} s"


def test_two_workers_halve_the_time_left() -> None:
    events: Events = [
        (0.0, planned({"s.a": 8 * MB}, loads={"s.a": 8})),
        (0.0, StepStarted("copy", 8, 8 * MB)),
        *((0.0, ItemStarted("copy", f"{n}", "s.a", MB)) for n in range(2)),
        *((2.0, ItemFinished("copy", f"{n}", "s.a", 2.0, 1, MB, cost=MB)) for n in range(2)),
    ]
    assert tally_of(events).seconds_left(2.0) == pytest.approx(6.0)


def test_the_rate_is_of_the_last_seconds() -> None:
    assert tally_of(HALF_COPIED[:5]).bytes_per_second(2.0) == pytest.approx(20 * MB)
    assert tally_of(HALF_COPIED[:5]).bytes_per_second(60.0) == 0


def test_bytes_of_a_retried_item_are_taken_back() -> None:
    retried = (2.0, ItemRetried("copy", "s.a/0", 1, "the source hung up", 0.1))
    assert tally_of([*HALF_COPIED[:5], retried]).done_bytes() == 0


def test_what_the_journal_had_already_is_done_but_says_nothing_about_speed() -> None:
    resumed = ItemFinished("copy", "s.a/0", "s.a", 0.0, 500, 40 * MB, resumed=True, cost=50 * MB)
    tally = tally_of([*HALF_COPIED[:2], (1.0, resumed)])
    assert tally.done_bytes() == 50 * MB
    assert (tally.bytes_per_second(1.0), tally.seconds_left(9.0)) == (0.0, None)


def test_a_second_pass_counts_nothing_twice() -> None:
    tally = tally_of([*HALF_COPIED, *((now + 5, event) for now, event in HALF_COPIED)])
    assert (tally.rows, tally.moved_bytes, tally.done_bytes()) == (500, 40 * MB, 50 * MB)


def test_a_relation_is_copied_with_its_last_chunk() -> None:
    tally = tally_of(HALF_COPIED)
    assert tally.relations_copied == 0
    tally.add(ItemFinished("copy", "s.a/1", "s.a", 1.0, 500, 40 * MB, cost=50 * MB), 3.0)
    assert tally.relations_copied == 1


def test_a_batch_counts_all_its_relations() -> None:
    batch = planned({"small": MB}, relations={"small": 40})
    tally = tally_of([(0.0, batch), (0.0, StepStarted("copy", 1))])
    tally.add(ItemFinished("copy", "small", "small", 1.0, 5, 10), 1.0)
    assert (tally.relations, tally.relations_copied) == (40, 40)


STEPS = ("copy", "keys", "verify")
ITEMS = [f"s.r{n % 5}/{n}" for n in range(10)]


@st.composite
def runs(draw: st.DrawFn) -> Events:
    """Any order of events that a run could emit, with or without costs, finished or not."""
    costs = draw(st.booleans())
    sizes = {f"s.r{n}": draw(st.integers(0, 100 * MB)) for n in range(5)}
    events: list[Event] = [planned(sizes, loads=dict.fromkeys(sizes, 2))]
    events += [StepStarted(step, 10, sum(sizes.values()) if costs else 0) for step in STEPS]
    work: list[list[Event]] = []
    for step in STEPS:
        for item in ITEMS:
            group = item.split("/")[0]
            cost = sizes[group] // 2 if costs else 0
            sent = draw(st.integers(0, 50 * MB)) if step == "copy" else 0
            part: list[Event] = [ItemStarted(step, item, group, cost)]
            part += [BytesCopied(item, group, sent)] if sent else []
            if draw(st.integers(0, 9)) == 0:
                part.append(ItemRetried(step, item, 1, "lost", 0.1))
            part.append(ItemFinished(step, item, group, 0.5, 10, sent, cost=cost))
            work.append(part[: draw(st.integers(0, len(part)))])
    for part in draw(st.permutations(work)):
        events += part
    events += [StepFinished(step, 1.0) for step in STEPS if draw(st.booleans())]
    return [(float(at), event) for at, event in enumerate(events)]


def test_steps_to_come_are_work_that_is_left() -> None:
    steps = ("find", "prove", "copy", "confirm", "switch")
    events: Events = [
        (0.0, FlowPlanned("r", {}, {}, steps=steps)),
        (0.0, StepStarted("find", 1)),
        (0.0, ItemStarted("find", "", "")),
        (2.0, ItemFinished("find", "", "", 2.0)),
        (2.0, StepFinished("find", 2.0)),
    ]
    tally = tally_of(events)
    assert tally.fraction(2.0) == pytest.approx(0.2)
    assert tally.seconds_left(2.0) == pytest.approx(8.0)


@settings(max_examples=60, deadline=None)
@given(runs())
def test_progress_never_goes_back_and_never_passes_the_end(
    events: Events,
) -> None:
    tally, before = Tally(), 0.0
    for now, event in events:
        tally.add(event, now)
        fraction = tally.fraction(now)
        assert before <= fraction <= 1.0
        before = fraction
        left = tally.seconds_left(now)
        assert left is None or left >= 0
        assert 0 <= tally.done_bytes() <= tally.size_bytes


@settings(max_examples=60, deadline=None)
@given(runs(), st.sampled_from([40, 80, 100, 140, 250]))
def test_no_line_is_wider_than_the_terminal(events: Events, width: int) -> None:
    clock = Clock()
    screen = Screen(clock=clock)
    for now, event in events:
        clock.now = now
        screen.show(event)
    for row in screen.draw(width, MOST_LINES):
        assert row.cell_len <= width


@pytest.mark.parametrize(
    "name", ["s.a" * 40, "щ.таблица", 's."quoted name"', "s.[red]not markup[/]"]
)
@pytest.mark.parametrize("width", [80, 140])
def test_any_name_fits_its_line(name: str, width: int) -> None:
    clock = Clock()
    screen = Screen(clock=clock)
    screen.show(planned({name: MB}))
    screen.show(StepStarted("copy", 1, MB))
    screen.show(ItemStarted("copy", f"{name}/0", name, MB))
    clock.now += 1
    rows = screen.draw(width, MOST_LINES)
    assert name[:8] in rows[-1].plain
    assert all(row.cell_len <= width for row in rows)


def flying(screen: Screen) -> list[str]:
    return [line.group for line in screen.lines.lines]


def test_two_thousand_relations_take_no_more_lines_than_ten() -> None:
    clock = Clock()
    screen = Screen(clock=clock)
    names = [f"s.r{n}" for n in range(2000)]
    screen.show(planned(dict.fromkeys(names, MB)))
    screen.show(StepStarted("copy", 2000, 2000 * MB))
    heights = set()
    for number, name in enumerate(names):
        screen.show(ItemStarted("copy", f"{name}/0", name, MB))
        clock.now += 0.5
        if number < 100 or number % 20 == 0:  # drawing is what takes long
            heights.add(len(screen.draw(80, 6)))
        screen.show(ItemFinished("copy", f"{name}/0", name, 0.5, 1, MB, cost=MB))
    assert max(heights) <= 4 + 1 + 6


def test_a_relation_keeps_its_line_while_others_come_and_go() -> None:
    clock = Clock()
    screen = Screen(clock=clock)
    names = [f"s.r{n}" for n in range(20)]
    screen.show(planned(dict.fromkeys(names, MB)))
    screen.show(StepStarted("copy", 20, 20 * MB))
    screen.show(ItemStarted("copy", "s.r7/0", "s.r7", MB))
    clock.now += 1
    screen.draw(80, 3)
    place = flying(screen).index("s.r7")
    for name in names:
        if name != "s.r7":
            screen.show(ItemStarted("copy", f"{name}/0", name, MB))
            clock.now += 1
            screen.draw(80, 3)
            assert flying(screen)[place] == "s.r7"
            screen.show(ItemFinished("copy", f"{name}/0", name, 1.0, 1, MB, cost=MB))


def test_a_run_without_a_plan_still_shows_its_steps() -> None:
    clock = Clock()
    screen = Screen("Comparing both databases", clock)
    screen.show(StepStarted("validate_schema", 1))
    assert len(screen.draw(80, 3)) == 1
    screen.show(StepStarted("validate_content", 2, 2 * MB))
    screen.show(ItemStarted("validate_content", "s.a/0", "s.a", MB))
    clock.now += 1
    rows = [row.plain for row in screen.draw(80, 3)]
    assert rows[0] == "Comparing both databases"
    assert "validate content 0/2" in rows[2]
    assert "s.a" in rows[-1]


def test_what_is_over_in_a_moment_gets_no_line() -> None:
    clock = Clock()
    screen = Screen(clock=clock)
    screen.show(planned({"s.a": MB, "s.b": MB}))
    screen.show(ItemStarted("copy", "s.a/0", "s.a", MB))
    clock.now += 0.05
    assert len(screen.draw(80, 3)) == 4


def test_what_does_not_fit_is_counted() -> None:
    clock = Clock()
    screen = Screen(clock=clock)
    names = [f"s.r{n}" for n in range(9)]
    screen.show(planned(dict.fromkeys(names, MB)))
    for name in names:
        screen.show(ItemStarted("copy", f"{name}/0", name, MB))
    clock.now += 1
    assert screen.draw(80, 3)[-1].plain == "  and 6 more"


def shown(events: Iterable[Event], *, width: int = 120) -> list[str]:
    """What is on the screen a second after these."""
    clock = Clock()
    screen = Screen(clock=clock)
    for event in events:
        screen.show(event)
    clock.now += 1
    return [row.plain for row in screen.draw(width, MOST_LINES)]


def test_steps_and_what_they_work_on_are_called_as_people_call_them() -> None:
    rows = shown(
        [
            planned({"s.a": MB, "s.b": MB}),
            StepStarted("copy_chunks", 11),
            ItemStarted("copy_chunks", "s.a/3", "s.a", MB),
            StepStarted("create_indexes", 2),
            ItemStarted("create_indexes", "a_pkey (3805)", "s.a"),
            StepStarted("create_primary_keys", 2),
            ItemStarted("create_primary_keys", "s.b 1", "s.b"),
            StepStarted("create_foreign_keys", 1),
            ItemStarted("create_foreign_keys", "", ""),
        ]
    )
    text = "\n".join(rows)
    assert "copy chunks 0/11" in text
    assert "partition" not in text
    assert [row.split() for row in rows[-3:]] == [
        ["s.a", "create", "indexes", "a_pkey", "1.00", "s"],
        ["s.b", "create", "primary", "keys", "1.00", "s"],
        ["all", "tables", "create", "foreign", "keys", "1.00", "s"],
    ]


def test_a_step_that_has_nothing_to_do_yet_is_not_shown_as_at_work() -> None:
    rows = shown(
        [
            planned({"s.a": MB}, steps=("copy", "convert_tables_to_logged", "create_indexes")),
            StepStarted("copy", 1, MB),
            ItemStarted("copy", "s.a/0", "s.a", MB),
            StepStarted("convert_tables_to_logged", 1),
        ]
    )
    assert "● copy   ○ 2 to come" in rows


@pytest.mark.parametrize(
    ("doing", "target", "title"),
    [
        ("Migrating", "new on b", "Migrating old on a → new on b"),
        ("Comparing", "new on b", "Comparing old on a → new on b"),
        ("Rewriting", "", "Rewriting old on a"),
    ],
)
def test_the_title_says_what_is_done(doing: str, target: str, title: str) -> None:
    event = planned({"s.a": MB}, source="old on a", target=target, doing=doing)
    assert shown([event])[0] == title


def test_bars_leave_nothing_behind_but_what_was_noticed() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, height=24)
    with TerminalProgress(console) as bars:
        for _, event in HALF_COPIED:
            bars(event)
        bars(Noticed("s.a was read from two snapshots"))
    assert "s.a was read from two snapshots" in stream.getvalue()
    assert stream.getvalue().rstrip().endswith("\x1b[2K")  # the last thing done is to wipe


def lines_of(events: Iterable[tuple[float, Event]]) -> list[str]:
    clock, stream = Clock(), io.StringIO()
    with LineProgress(stream, clock, lambda: "T") as progress:
        for now, event in events:
            clock.now = 100.0 + now
            progress(event)
    return stream.getvalue().splitlines()


def test_a_log_has_a_line_for_each_chunk_and_each_change() -> None:
    assert lines_of([*HALF_COPIED, (2.5, StepFinished("copy", 2.5))]) == [
        "T run=r state=planned relations=1 bytes=104857600 rows=1000",
        "T step=copy state=started items=2",
        "T step=copy item=s.a/0 state=done rows=500 bytes=41943040 seconds=2.00",
        "T step=copy state=finished seconds=2.50",
    ]


def test_thousands_of_items_become_a_line_a_second_and_none_is_missing() -> None:
    events: Events = [
        (n / 2500, ItemFinished("copy", f"s.r{n}/0", f"s.r{n}", 0.1, 2, 10)) for n in range(5000)
    ]
    lines = lines_of(events)
    assert len(lines) <= 3 * (ITEM_LINES_PER_SECOND + 1)
    assert sum(int(found) for line in lines for found in re.findall(r"rows=(\d+)", line)) == 10_000
    own = sum("item=" in line for line in lines)
    summed = sum(int(found) for line in lines for found in re.findall(r"items=(\d+)", line))
    assert own + summed == 5000


def test_a_step_of_one_nameless_item_takes_two_lines() -> None:
    events: Events = [
        (0.0, StepStarted("attach", 1)),
        (0.0, ItemStarted("attach", "", "")),
        (0.1, ItemFinished("attach", "", "", 0.1)),
        (0.1, StepFinished("attach", 0.1)),
    ]
    assert [line.split()[2] for line in lines_of(events)] == ["state=started", "state=finished"]


def test_words_with_spaces_and_quotes_are_quoted() -> None:
    lost = ItemRetried("copy", 's."x y"/0', 1, 'said "no"\nand left', 0.5)
    assert lines_of([(0.0, lost)]) == [
        r'T step=copy item="s.\"x y\"/0" state=retried attempt=1 wait_seconds=0.50'
        r' reason="said \"no\"\nand left"'
    ]


def test_a_long_copy_says_how_far_it_is() -> None:
    events: Events = [
        *HALF_COPIED[:3],
        *((float(n), BytesCopied("s.a/0", "s.a", MB)) for n in range(1, 31)),
    ]
    running = [line for line in lines_of(events) if "state=running" in line]
    assert len(running) == 3
    assert "phase=copy" in running[-1]
    assert "seconds_left=" in running[-1]
