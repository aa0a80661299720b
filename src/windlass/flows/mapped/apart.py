"""Runs the same functions in another process with another seed for the hashes of texts. Results
that depend on the calling process are found, as both are compared.

Run as a module, it is that process. It reads lines of COPY from standard input, and writes frames
to standard output: a letter, a length in four bytes, and that many bytes.
"""

from __future__ import annotations

import json
import os
import secrets
import struct
import subprocess
import sys
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict
from io import BufferedReader
from typing import IO, Any

from windlass.errors import WindlassError
from windlass.flows.mapped.calling import Caller, Work

_LINES, _FAULT, _END = b"l", b"f", b"e"
_HEAD = struct.Struct(">cI")
_BLOCK = 1 << 16


def through_another_process(work: Work, blocks: Generator[bytes]) -> Iterator[bytes]:
    """The results of the functions for these lines, from the other process.

    Raises:
        WindlassError: a function failed, or the process ended.
    """
    seed = {"PYTHONHASHSEED": str(secrets.randbelow(1 << 32))}
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    feeding = _Feeding(process, work, blocks)
    feeding.start()
    try:
        yield from _frames(process, work, feeding)
    finally:
        feeding.stop()
        process.kill()
        feeding.join()
        process.wait()
        if process.stdout:
            process.stdout.close()


def closable(blocks: Iterator[bytes]) -> Generator[bytes]:
    """The same items. Closing it also closes what it reads, if that can be closed."""
    try:
        yield from blocks
    finally:
        if (close := getattr(blocks, "close", None)) is not None:
            close()


def _frames(process: subprocess.Popen[bytes], work: Work, feeding: _Feeding) -> Iterator[bytes]:
    assert process.stdout is not None, "it is a pipe"
    while len(head := process.stdout.read(_HEAD.size)) == _HEAD.size:
        kind, length = _HEAD.unpack(head)
        body = process.stdout.read(length)
        if kind == _END:
            return
        if kind == _FAULT:
            fault = json.loads(body)
            raise WindlassError(fault["message"], hint=fault["hint"])
        yield body
    feeding.join()
    if feeding.failed is not None:
        raise feeding.failed
    names = ", ".join(name for name, _ in work.functions)
    raise WindlassError(
        f"{work.table}: function {names}: the process that calls it again has ended",
        hint="it may have called os._exit, or run out of memory",
    )


class _Feeding(threading.Thread):
    """Writes the lines. An error in reading them is kept in `failed`."""

    def __init__(
        self, process: subprocess.Popen[bytes], work: Work, blocks: Generator[bytes]
    ) -> None:
        super().__init__(name="windlass-functions", daemon=True)
        self._process, self._work = process, work
        self._blocks = blocks
        self._stopped = False
        self.failed: Exception | None = None

    def stop(self) -> None:
        self._stopped = True

    def run(self) -> None:
        assert self._process.stdin is not None, "it is a pipe"
        with suppress(BrokenPipeError), self._process.stdin as pipe, closing(self._blocks):
            pipe.write(json.dumps(asdict(self._work)).encode() + b"\n")
            try:
                for block in self._blocks:
                    if self._stopped:
                        return
                    pipe.write(block)
            except BrokenPipeError:
                raise
            except Exception as error:  # of the source; raised where the lines are requested
                self.failed = error
                self._process.kill()


def main() -> None:
    """Read what to do, then lines, until their end."""
    out, given = os.fdopen(os.dup(1), "wb"), os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)  # keep what a function prints out of the lines
    try:
        caller = Caller(_read_work(given))
        while block := given.read1(_BLOCK):
            _send(out, caller.feed(block))
        _send(out, caller.finish())
    except WindlassError as error:
        body = json.dumps({"message": str(error), "hint": error.hint}).encode()
        out.write(_HEAD.pack(_FAULT, len(body)) + body)
    else:
        out.write(_HEAD.pack(_END, 0))
    out.flush()


def _read_work(given: BufferedReader) -> Work:
    words: dict[str, Any] = json.loads(given.readline())
    words["columns"] = tuple((name, type_) for name, type_ in words["columns"])
    words["functions"] = tuple((name, tuple(made)) for name, made in words["functions"])
    words["sent"], words["not_null"] = tuple(words["sent"]), tuple(words["not_null"])
    return Work(**words)


def _send(out: IO[bytes], blocks: Iterable[bytes]) -> None:
    for block in blocks:
        out.write(_HEAD.pack(_LINES, len(block)) + block)
    out.flush()


if __name__ == "__main__":
    main()
