"""Bars on a terminal, redrawn in place: the whole run, and what is in flight now.

The display is calm because its height is stable: a used line stays, a relation keeps its line while
in flight, and a finished one stays visible until its line is needed. So 2,000 relations never
scroll.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from windlass.model.event import (
    Asked,
    Event,
    FlowPlanned,
    Followed,
    ItemFinished,
    ItemRetried,
    Noticed,
)
from windlass.model.step_text import step_text
from windlass.model.text import one_line
from windlass.model.units import (
    bytes_text,
    clock_text,
    count_text,
    plural,
    seconds_text,
    share_text,
)
from windlass.progress.streams import stream_text
from windlass.progress.tally import Flight, GroupTally, StepTally, Tally

REDRAWS_PER_SECOND = 8
MOST_LINES = 12  # in flight; the rest is only counted
HEAD_LINES = 8  # everything else, and the shell's prompt
SHORT_SECONDS = 0.3  # items that end sooner get no line: it would only flash
MOST_RETRIES_SHOWN = 3
WIDEST = 140

READING = "Reading both databases"
FULL, HALF, EMPTY = "━", "╸", "─"
_NUMBERED = re.compile(r" \(\d+\)$")


@dataclass(slots=True)
class Line:
    """A line below the totals: a group in one step."""

    step: str
    group: str
    done: ItemFinished | None = None
    item: str = ""
    since: float = 0.0


class Lines:
    """Which group is on which line. A line is reused only after its group is done."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.more = 0

    def update(self, flights: list[Flight], most: int, now: float) -> None:
        """Assign lines to groups in flight for long enough to be read."""
        flying: dict[tuple[str, str], Flight] = {}
        for flight in flights:
            flying.setdefault((flight.step, flight.group), flight)
        for line in self.lines:
            if (line.step, line.group) in flying:
                line.item, line.done = flying.pop((line.step, line.group)).item, None
        waiting = [f for f in flying.values() if now - f.started_at >= SHORT_SECONDS]
        for flight in waiting[:]:
            free = self._free(flights, most)
            if free is None:
                break
            free.step, free.group, free.item = flight.step, flight.group, flight.item
            free.since, free.done = flight.started_at, None
            waiting.remove(flight)
        self.more = len(waiting)

    def _free(self, flights: list[Flight], most: int) -> Line | None:
        busy = {(flight.step, flight.group) for flight in flights}
        for line in self.lines[:most]:
            if (line.step, line.group) not in busy:
                return line
        if len(self.lines) < most:
            self.lines.append(Line("", ""))
            return self.lines[-1]
        return None

    def finish(self, event: ItemFinished) -> None:
        for line in self.lines:
            if (line.step, line.group) == (event.step, event.group):
                line.done = event


class Screen:
    """The current look of the bars. Rich asks for it at every redraw."""

    def __init__(self, doing: str = READING, clock: Callable[[], float] = time.monotonic) -> None:
        """`doing` is the title while no plan is known."""
        self.doing = doing
        self.tally = Tally()
        self.followed: Followed | None = None  # once it follows
        self.lines = Lines()
        self.lock = threading.Lock()
        self._clock = clock
        self.tally.started_at = clock()  # the time before the first event counts too

    def show(self, event: Event) -> None:
        with self.lock:
            self.tally.add(event, self._clock())
            if isinstance(event, Followed):
                self.followed = event
            if isinstance(event, ItemFinished):
                self.lines.finish(event)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, WIDEST) - 1
        most = max(min(MOST_LINES, console.height - HEAD_LINES), 1)
        with self.lock:
            yield from self.draw(width, most)

    def draw(self, width: int, most: int) -> list[Text]:
        """Every line, none wider than `width`."""
        now = self._clock()
        tally = self.tally
        if not tally.planned and all(step.items < 2 for step in tally.steps.values()):
            return [clipped(_waiting(self.doing, tally, now), width)]
        if self.followed and tally.planned:
            rows = [_title(tally.planned, width), *_following(self.followed)]
            return [clipped(row, width) for row in rows]
        self.lines.update(list(tally.flights.values()), most, now)
        rows = [
            _title(tally.planned, width) if tally.planned else Text(self.doing, style="bold"),
            _overall(tally, now, width),
            _phases(tally, width),
        ]
        if tally.planned and tally.copy_steps:
            rows.insert(2, _totals(tally, now, width))
        if self.lines.lines:
            rows.append(Text(""))
            rows += [self._row(line, width, now) for line in self.lines.lines]
        if self.lines.more:
            rows.append(Text(f"  and {self.lines.more} more", style="dim"))
        return [clipped(row, width) for row in rows]

    def _row(self, line: Line, width: int, now: float) -> Text:
        tally = self.tally
        group = tally.groups.get(line.group)
        name_width = max(width * 3 // 10, 20)
        flying = any(
            flight.step == line.step and flight.group == line.group
            for flight in tally.flights.values()
        )
        label = _group_label(line.group, group) or _whole(tally)
        text = Text("  ").append(_fit(label, name_width), style="" if flying else "dim")
        if line.step in tally.copy_steps and group and (flying or not group.copied):
            return text.append("  ").append_text(self._copying(group, width - name_width - 4))
        if not flying:
            return text.append("  ").append_text(_finished(line, group, tally.copy_steps))
        seconds = seconds_text(now - line.since)
        return text.append("  ").append_text(
            _ends(
                Text(f"{step_text(line.step)}  ", style="yellow").append(_item_label(line)),
                Text(seconds, style="dim"),
                width - name_width - 4,
            )
        )

    def _copying(self, group: GroupTally, width: int) -> Text:
        fraction = self.tally.group_fraction(group)
        words = f"{share_text(fraction * group.size_bytes, group.size_bytes):>17}"
        rows = f"{count_text(group.rows)} rows" if group.rows else ""
        percent = f"{fraction:4.0%} "
        room = width - len(percent) - len(words) - 14
        bar = _bar(fraction, max(room, 6))
        text = Text().append_text(bar).append(percent).append(words, style="dim")
        return text.append(f"{rows:>13}", style="dim") if room >= 6 else text


class TerminalProgress:
    """Draws while open, and erases everything at the end: the result has it all."""

    def __init__(self, console: Console | None = None, *, doing: str = READING) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.screen = Screen(doing)
        self._retries_shown = 0
        self._live = Live(
            self.screen,
            console=self.console,
            refresh_per_second=REDRAWS_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )

    def __enter__(self) -> TerminalProgress:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        self.screen.show(event)
        match event:
            case Noticed():
                self.say(event.message)
            case Asked(is_over=False):
                self._live.stop()
            case Asked():
                self._live.start(refresh=True)
            case ItemRetried() if self._retries_shown < MOST_RETRIES_SHOWN:
                self._retries_shown += 1
                self.say(f"{step_text(event.step)} {event.item}: {event.reason}; trying again")
            case _:
                pass

    def say(self, message: str) -> None:
        """A line above the bars that stays."""
        self.console.print(Text(one_line(message), style="yellow"))


def _waiting(doing: str, tally: Tally, now: float) -> Text:
    seconds = now - tally.started_at if tally.started_at is not None else 0.0
    dots = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"[int(now * REDRAWS_PER_SECOND) % 10]
    return Text(f"{dots} ", style="cyan").append(doing).append(f"  {clock_text(seconds)}", "dim")


def _title(planned: FlowPlanned, width: int) -> Text:
    verb = "Resuming" if planned.resumed else planned.doing
    if not planned.source:
        return Text(f"{verb} run {planned.run}", style="bold")
    if not planned.target:
        return Text(f"{verb} ", style="bold").append(planned.source, style="not bold")
    names = f"{planned.source} → {planned.target}"
    if len(names) + len(verb) >= width:  # without the version in brackets
        names = f"{planned.source.split(' (')[0]} → {planned.target.split(' (')[0]}"
    if len(names) + len(verb) >= width:
        names = f"{planned.source.split(' on ')[0]} → {planned.target.split(' on ')[0]}"
    return Text(f"{verb} ", style="bold").append(names, style="not bold")


def _following(event: Followed) -> list[Text]:
    return [
        Text("● ", style="cyan")
        .append(f"{event.phase}  ")
        .append(stream_text(one), style="not bold")
        for one in event.streams
    ]


def _overall(tally: Tally, now: float, width: int) -> Text:
    fraction, left = tally.fraction(now), tally.seconds_left(now)
    elapsed = clock_text(now - tally.started_at if tally.started_at is not None else 0.0)
    words = Text(f"{fraction:5.0%}", style="bold").append(f"  {elapsed:>5}", style="not bold")
    if left is not None:
        words.append(f"  {clock_text(left)} left", style="not bold cyan")
    steady = max(words.cell_len, 24)  # so that the bar does not jump as the words change
    return _bar(fraction, width - steady).append_text(words)


def _totals(tally: Tally, now: float, width: int) -> Text:
    words = [
        share_text(tally.done_bytes(), tally.size_bytes),
        f"{count_text(tally.rows)} rows",
        f"{tally.relations_copied:,} of {plural(tally.relations, 'table')}",
    ]
    copying = any(step.name in tally.copy_steps for step in tally.running_steps)
    if copying and (rate := tally.bytes_per_second(now)):
        words[1:1] = [f"{bytes_text(rate)}/s"]
        if rows := tally.rows_per_second(now):
            words[3:3] = [f"{count_text(rows)} rows/s"]
    if tally.retries:
        words.append(plural(tally.retries, "retry", "retries"))
    while len(words) > 2 and len(" · ".join(words)) > width:
        words.pop()
    return Text(" · ".join(words))


def _phases(tally: Tally, width: int) -> Text:
    """The number of finished steps, the running steps, and the number to come; what does not fit is
    left out."""
    planned = tally.planned.steps if tally.planned else ()
    names = dict.fromkeys((*planned, *tally.steps))
    running = tally.running_steps
    done = len(tally.steps) - len(running)
    busy = [step for step in running if step.name in tally.phases]
    coming = len(names) - done - len(busy)
    parts = [Text("✓ ", style="green").append(plural(done, "step"))] if done else []
    parts += [_running(step) for step in busy]
    if coming:
        parts.append(Text(f"○ {coming} to come", style="dim"))
    while len(parts) > 1 and sum(part.cell_len + 3 for part in parts) - 3 > width:
        parts.pop()
    return Text("   ").join(parts)


def _running(step: StepTally) -> Text:
    mark = Text("● ", style="cyan")
    return mark.append(f"{step_text(step.name)} {_progress_of(step)}".rstrip())


def _progress_of(step: StepTally) -> str:
    return f"{step.done:,}/{step.items:,}" if step.items > 1 else ""


def _group_label(name: str, group: GroupTally | None) -> str:
    if group and group.relations > 1:
        return f"{group.relations:,} small tables"
    return name


def _whole(tally: Tally) -> str:
    """The subject of a step without groups."""
    return "all tables" if len(tally.groups) > 1 else ""


def _item_label(line: Line) -> str:
    """The item's label: without the group's name, or a number that only makes it unique."""
    if not line.group or line.item == line.group or line.item.startswith(f"{line.group} "):
        return ""
    return _NUMBERED.sub("", line.item.removeprefix(f"{line.group}/"))


def _finished(line: Line, group: GroupTally | None, copy_steps: tuple[str, ...]) -> Text:
    text = Text("✓ ", style="green dim").append(step_text(line.step), style="dim")
    words = []
    if group and line.step in copy_steps:
        words = [f"{count_text(group.rows)} rows", bytes_text(group.moved_bytes)]
    elif line.done:
        words = [seconds_text(line.done.seconds)]
    return text.append("  " + "  ".join(words), style="dim")


def _bar(fraction: float, width: int) -> Text:
    halves = int(fraction * width * 2)
    whole, half = divmod(halves, 2)
    text = Text(FULL * whole, style="green" if fraction >= 1 else "cyan")
    text.append(HALF * half, style="cyan")
    return text.append(EMPTY * (width - whole - half), style="bright_black")


def _ends(left: Text, right: Text, width: int) -> Text:
    """Texts at both ends of a line."""
    room = width - right.cell_len - 1
    left.truncate(max(room, 1), overflow="ellipsis")
    return left.append(" " * max(width - left.cell_len - right.cell_len, 1)).append_text(right)


def _fit(name: str, width: int) -> str:
    """Cut in the middle: the schema and the end of a name matter most."""
    if len(name) > width:
        head = (width - 1) // 2
        name = f"{name[:head]}…{name[len(name) - (width - 1 - head) :]}"
    return f"{name:<{width}}"


def _safe(row: Text) -> Text:
    """Text in which names from the database cannot break out of the line."""
    if row.plain != (plain := one_line(row.plain)):
        row = Text(plain)
    return row


def clipped(row: Text, width: int) -> Text:
    row = _safe(row)
    row.no_wrap = True
    row.truncate(width, overflow="ellipsis")
    return row
