"""The screen of `windlass demo --cutover`: where clients write, and how far the demo is.

It asks the demo for its state at every redraw. Its height never changes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from windlass.demo.cutover import CLIENTS, Act, Place, Play
from windlass.model.units import clock_text, seconds_text
from windlass.progress.streams import lag_text
from windlass.progress.terminal import REDRAWS_PER_SECOND, WIDEST, clipped

BLOCKS = " ▁▂▃▄▅▆▇█"
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
TITLE_WIDTH = 25  # the longest command
LEAST_BARS = 8


class DemoScreen:
    """The screen in its present state. Rich asks for it at every redraw."""

    def __init__(self, play: Play) -> None:
        self.play = play

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, WIDEST) - 1
        self.play.acknowledged.read()
        yield from (clipped(row, width) for row in self._rows(width))

    def _rows(self, width: int) -> Iterator[Text]:
        play, now = self.play, time.monotonic()
        clock = clock_text(now - play.started_at)
        yield Text("A ledger moves ", style="bold").append(
            f"while {CLIENTS} clients write to it  {clock}", "not bold"
        )
        yield Text("")
        for side, place in play.places.items():
            yield self._side(side, place, width, now)
        yield Text("")
        for act in play.acts:
            yield act_row(act, now)
        yield Text("")
        yield self._totals(now)

    def _side(self, side: str, place: Place, width: int, now: float) -> Text:
        is_open = place.port == self.play.open_port
        text = Text(f"  {side}  ", style="").append(f"PostgreSQL {place.version}  ", "dim")
        said = self._open(place, now) if is_open else self._following(side)
        bars = max(width - len(text) - 34, LEAST_BARS)
        text.append(self._bars(place.port, bars, now), "green" if is_open else "bright_black")
        return text.append(f"  {said}", "" if is_open else "dim")

    def _open(self, place: Place, now: float) -> str:
        rate = self.play.acknowledged.by_second[place.port, int(now) - 1]
        return f"◀ clients write, {rate:,}/s"

    def _following(self, side: str) -> str:
        """What is known about the stream that arrives there."""
        found = self.play.status.following if self.play.status else None
        if found is None or found.phase == "copying":
            return "is copied to" if side == "target" and found else ""
        wanted = "forward" if side == "target" else "back"
        for one in found.streams:
            if one.direction == wanted and one.applies and one.lag_ms is not None:
                return f"follows, {lag_text(one.lag_ms)} behind"
        return ""

    def _bars(self, port: int, width: int, now: float) -> str:
        """Transfers in each of the last seconds, relative to the best second."""
        counts = self.play.acknowledged.by_second
        most = max(counts.copy().values(), default=0) or 1
        last = int(now) - 1  # the current second is not over
        first = max(int(self.play.started_at), last - width + 1)
        shares = [counts[port, second] / most for second in range(first, last + 1)]
        return "".join(BLOCKS[_height(share)] for share in shares)

    def _totals(self, now: float) -> Text:
        count = self.play.acknowledged.count
        return Text(f"  {count:,} transfers acknowledged and written down", style="dim")


def _height(share: float) -> int:
    """The height of a bar: nothing is empty, the best is full, and small values are hardly
    visible."""
    return min(max(round(share * 8), 1), 8) if share else 0


def act_row(act: Act, now: float) -> Text:
    title = f"{act.title:<{TITLE_WIDTH}}  "
    if act.began is None:
        return Text(f"    {title}", style="dim")
    if act.is_running:
        dots = SPINNER[int(now * REDRAWS_PER_SECOND) % len(SPINNER)]
        row = Text(f"  {dots} ", style="cyan").append(title, "not bold bright_white")
        return row.append(f"{act.doing}  {seconds_text(now - act.began)}", "not bold cyan")
    mark, style = ("✗", "red") if act.failed else ("✓", "green")
    return Text(f"  {mark} ", style=style).append(title, "default").append(act.done, "default")
