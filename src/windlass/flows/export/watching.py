"""Watches the locks of an export's source: who keeps it waiting, and who waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from windlass.errors import WindlassError
from windlass.model.event import Emit


@contextmanager
def watching(
    source: Any, run: Callable[[], str], jobs: int, emit: Emit, cancel: Callable[[], None]
) -> Iterator[None]:
    """End the export if DDL of others and its own readers wait for each other; `cancel` stops the
    readers. Only PostgreSQL's source, which has `held_at`, holds locks that others wait for.

    Raises:
        GaveWay: it has let go.
    """
    if not hasattr(source, "held_at"):
        yield
        return
    from windlass.flows.demands import Demands  # these load PostgreSQL's driver
    from windlass.flows.lock_watch import watching_source

    gave_way: list[WindlassError] = []

    def ours() -> tuple[int, Sequence[str]]:
        _, pid = source.held_at or (None, 0)
        name = f"windlass export {run()}"
        return pid, (name, f"{name} rows")

    def give_way(error: WindlassError) -> None:
        gave_way[:] = [error]
        cancel()

    demands = Demands(ours, emit, give_way)
    with watching_source(lambda: (source.held_at or (None,))[0], jobs, emit, demands):
        try:
            yield
        except WindlassError as error:
            if gave_way and error is not gave_way[0]:
                raise gave_way[0] from error
            raise
