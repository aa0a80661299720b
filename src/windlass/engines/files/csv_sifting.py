"""Takes rows that cannot be read out of blocks of CSV, and passes them on.

A row with too few or too many values, or with bytes that are not text, ends where any row would. A
row with a misplaced quote ends with the line in which that shows. A quote that is never closed has
no end; it cannot be set aside, as everything after it would be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from windlass.engines.files.csv_blocks import MOST_RECORD_BYTES, Rows, is_right, whole
from windlass.engines.files.csv_dialect import Dialect
from windlass.engines.files.csv_tokens import Malformed, Tokens, Values

Fault = Callable[[Values], str]  # what is wrong with the values of a row; empty: nothing
Take = Callable[[str, int, int, str], None]  # reason, record, line, text


@dataclass(frozen=True, slots=True)
class Sifted:
    """A block without its bad rows. `lines` says where each record begins; None if no row is bad,
    and the first one is in `line`. `rows` is None if no row is good."""

    rows: Rows | None
    record: int
    line: int
    lines: tuple[int, ...] | None = None

    @property
    def records(self) -> int:
        if self.lines is not None:
            return len(self.lines)
        return len(self.rows.ends) if self.rows else 0


class Endless(Exception):
    """From this line on, nothing can be read as rows."""

    def __init__(self, record: int, line: int, *, is_long: bool) -> None:
        super().__init__(record, line)
        self.record, self.line, self.is_long = record, line, is_long


@dataclass(slots=True)
class Sifting:
    """One pass over a file, after its header."""

    dialect: Dialect
    tokens: Tokens
    columns: int
    fault: Fault
    take: Take
    record: int
    line: int

    def sifted(self, blocks: Iterable[bytes]) -> Iterator[Sifted]:
        """Raises:
        Endless: a quote is not closed, or a row is too long.
        """
        pieces: list[bytes] = []
        size = wanted = 0
        for block in chain(blocks, [b""]):
            pieces.append(block)
            size += len(block)
            if block and size < wanted:
                continue
            rest = b"".join(pieces)
            if not block and rest and not rest.endswith(b"\n"):
                rest += b"\n"
            wanted = 0
            while rest:
                found, done = self._next(rest)
                if not done:
                    wanted = 2 * len(rest)
                    break
                rest = rest[done:]
                yield found
            if rest and (not block or len(rest) > MOST_RECORD_BYTES):
                raise Endless(self.record, self.line, is_long=bool(block))
            pieces, size = [rest], len(rest)

    def _next(self, rest: bytes) -> tuple[Sifted, int]:
        """The first rows, and their size in bytes; empty if no row is complete."""
        rows = whole(rest, self.dialect)
        if rows is not None and is_right(rows, self.dialect, self.columns):
            found = Sifted(rows, self.record, self.line)
            self.record += len(rows.ends)
            self.line += rows.data.count(b"\n")
            return found, len(rows.data)
        return self._sift(rest if rows is None else rows.data)

    def _sift(self, data: bytes) -> tuple[Sifted, int]:
        text = data.decode("utf-8", "surrogateescape")
        record, line, lines = self.record, self.line, list[int]()
        good: list[str] = []
        at = 0
        for values, start, end in self.tokens.sifted(text):
            reason = values.reason if isinstance(values, Malformed) else self.fault(values or [])
            lines.append(self.line)
            if reason:
                self.take(reason, self.record, self.line, text[start:end])
            else:
                good.append(text[start:end])
            self.record += 1
            self.line += text.count("\n", start, end)
            at = end
        made = whole("".join(good).encode("utf-8", "surrogateescape"), self.dialect)
        is_fine = made is None or is_right(made, self.dialect, self.columns)
        assert is_fine, "a block is not right, but each of its rows is"
        done = len(text[:at].encode("utf-8", "surrogateescape"))
        return Sifted(made, record, line, tuple(lines)), done
