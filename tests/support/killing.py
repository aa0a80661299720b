"""An export or a load that ends as by kill -9, at a place that a test names."""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import Pipe
from typing import Any

from command import environment, forked

SECONDS = 120.0


def kill(place: str, words: Sequence[str], env: Mapping[str, str]) -> None:
    """Run the command until it is at a place:

    ``before STEP``, ``after STEP``: of the flow
    ``call PACKAGE.MODULE.NAME``, ``call ... 3``: a function of ours, before its third call;
    ``return ... 3``: after it
    ``duckdb WORDS``, ``postgres WORDS``: a statement of the warehouse's that matches
    ``statement 7 since PACKAGE.MODULE.NAME``: before the seventh statement that psycopg executes
    after a function of ours was called first; ``answer 7 since ...``: just after it
    """
    code = _exit_code(place, words, env)
    assert code == -signal.SIGKILL, f"{place}: ended with {code}"


def is_killed(place: str, words: Sequence[str], env: Mapping[str, str]) -> bool:
    """As `kill`, for a place to which the command may not come: whether it was killed there."""
    return _exit_code(place, words, env) == -signal.SIGKILL


def count(places: Sequence[str], words: Sequence[str], env: Mapping[str, str]) -> list[int]:
    """How often the command, which is not killed, comes to each of these places: ``call ...``,
    ``return ...``, ``statement since ...`` or ``answer since ...``, without numbers."""
    receiver, sender = Pipe(duplex=False)
    process = forked(_count, list(places), list(words), environment(None, env), sender)
    sender.close()
    assert receiver.poll(SECONDS), "it has not ended"
    found: list[int] = receiver.recv()
    process.join(SECONDS)
    assert process.exitcode == 0
    return found


def _exit_code(place: str, words: Sequence[str], env: Mapping[str, str]) -> int | None:
    process = forked(_die, place, list(words), environment(None, env))
    process.join(SECONDS)
    return process.exitcode


def _count(places: list[str], words: list[str], env: Mapping[str, str], sender: Any) -> None:
    _begin(env)
    found = [0] * len(places)

    def counting(at: int) -> Callable[[int], None]:
        def reached(number: int) -> None:
            found[at] = max(found[at], number)

        return reached

    for at, place in enumerate(places):
        kind, _, what = place.partition(" ")
        _COUNTED[kind](kind, what.removeprefix("since "), counting(at))
    from windlass.cli.main import run

    code = run(words)
    sender.send(found)
    sys.exit(code)


def _begin(env: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(env)
    for number in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _die(place: str, words: list[str], env: Mapping[str, str]) -> None:
    _begin(env)
    kind, _, what = place.partition(" ")
    if kind in ("before", "after"):
        what = f"{words[0]} {what}"
    _KINDS[kind](kind, what)
    from windlass.cli.main import run

    sys.exit(run(words))


def _now() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _step(kind: str, what: str) -> None:
    from importlib import import_module

    command, _, name = what.partition(" ")
    flow = import_module(f"windlass.flows.{command}.steps")
    work = getattr(flow, name)

    def run(context: Any, item: Any) -> None:
        if kind == "after":
            work(context, item)
        _now()

    setattr(flow, name, run)


def _call(kind: str, what: str) -> None:
    from windlass.engines.objects import store

    store.BUFFER_BYTES = 100  # what is written is at the store at once
    place, _, number = what.partition(" ")
    _watch_calls(kind, place, _die_at(int(number or 1)))


def _die_at(wanted: int) -> Callable[[int], None]:
    def reached(number: int) -> None:
        if number == wanted:
            _now()

    return reached


def _watch_calls(kind: str, place: str, reached: Callable[[int], None]) -> None:
    import pkgutil

    owner_place, _, name = place.rpartition(".")
    owner = pkgutil.resolve_name(owner_place)
    work, numbers = getattr(owner, name), itertools.count(1)

    def run(*words: Any, **more: Any) -> Any:
        number = next(numbers)  # each thread's call has a number that no other one has
        if kind == "call":
            reached(number)
        done = work(*words, **more)
        if kind == "return":
            reached(number)
        return done

    setattr(owner, name, run)


def _statement(kind: str, what: str) -> None:
    """Functions of modules only."""
    wanted, _, place = what.partition(" since ")
    _watch_statements(kind, place, _die_at(int(wanted)))


def _watch_statements(kind: str, place: str, reached: Callable[[int], None]) -> None:
    import pkgutil

    import psycopg

    owner_place, _, name = place.rpartition(".")
    owner, execute = pkgutil.resolve_name(owner_place), psycopg.Cursor.execute
    work, numbers, begun = getattr(owner, name), itertools.count(1), threading.Event()

    def begin(*words: Any, **more: Any) -> Any:
        begun.set()
        return work(*words, **more)

    def run(cursor: Any, *words: Any, **more: Any) -> Any:
        # each thread's statement has a number that no other one has
        number = next(numbers) if begun.is_set() else 0
        if number and kind == "statement":
            reached(number)
        done = execute(cursor, *words, **more)
        if number and kind == "answer":
            reached(number)
        return done

    for module in list(sys.modules.values()):  # those that have imported it, too
        if getattr(module, name, None) is work:
            setattr(module, name, begin)
    setattr(owner, name, begin)
    setattr(psycopg.Cursor, "execute", run)  # noqa: B010


class _Deadly:
    """A connection of DuckDB's, whose own methods cannot be replaced."""

    def __init__(self, connection: Any, pattern: str) -> None:
        self._connection, self._pattern = connection, pattern

    def execute(self, query: str, *words: Any) -> Any:
        if re.search(self._pattern, query):
            _now()
        return self._connection.execute(query, *words)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __enter__(self) -> _Deadly:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _duckdb(_: str, pattern: str) -> None:
    import duckdb

    connect = duckdb.connect

    def deadly(*words: Any, **more: Any) -> Any:
        return _Deadly(connect(*words, **more), pattern)

    setattr(duckdb, "connect", deadly)  # noqa: B010


def _postgres(_: str, pattern: str) -> None:
    """Its sessions are psycopg's, and ADBC's where Arrow's batches are loaded."""
    import psycopg
    from adbc_driver_manager import dbapi

    for owner in (psycopg.Cursor, dbapi.Cursor):
        _guard(owner, pattern)


def _guard(owner: Any, pattern: str) -> None:
    from psycopg import sql

    execute = owner.execute

    def run(cursor: Any, query: Any, *words: Any, **more: Any) -> Any:
        if re.search(pattern, query if isinstance(query, str) else sql.as_string(query)):
            _now()
        return execute(cursor, query, *words, **more)

    owner.execute = run


_KINDS = {
    "before": _step,
    "after": _step,
    "call": _call,
    "return": _call,
    "duckdb": _duckdb,
    "postgres": _postgres,
    "statement": _statement,
    "answer": _statement,
}
_COUNTED = {
    "call": _watch_calls,
    "return": _watch_calls,
    "statement": _watch_statements,
    "answer": _watch_statements,
}
