"""Reads rows of CSV value by value: every dialect, and what is wrong with a row.

`windlass.engines.files.csv_blocks` is several times as fast for simple dialects, and uses this to
find out what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from windlass.engines.files.csv_dialect import Dialect

Values = list[str | None]


@dataclass(frozen=True, slots=True)
class Malformed(Exception):
    """The row at `start` of the text is malformed, because of what is `at` that position."""

    start: int
    reason: str
    at: int = -1  # -1: it has no end


class Tokens:
    """Reads rows of one dialect from text."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        delimiter, quote = re.escape(dialect.delimiter), re.escape(dialect.quote)
        escape = re.escape(dialect.escape)
        inside = "".join(sorted({*(c for c in dialect.quote + dialect.escape)}))
        stops = f"[^{re.escape(inside + dialect.delimiter[0])}\r\n]"
        if len(dialect.delimiter) > 1:
            stops = f"(?:{stops}|(?!{delimiter}){re.escape(dialect.delimiter[0])})"
        self._plain = re.compile(f"{stops}*")
        self._loose = re.compile(f"(?:(?!{delimiter})[^\r\n])*")
        # possessive: without it, backtracking through 128 MB without a closing quote takes a minute
        if escape:
            body = f"[^{quote}{escape}]*+(?:{escape}.[^{quote}{escape}]*+)*+"
            self._escaped = re.compile(f"{escape}([{quote}{escape}])")
        else:
            body = f"[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+"
        self._quoted = re.compile(f"{quote}({body}){quote}", re.DOTALL) if quote else None
        self._end = re.compile(f"({delimiter})|\r?\n")

    def sifted(self, text: str) -> Iterator[tuple[Values | Malformed | None, int, int]]:
        """Like `rows` of a text that is not final, but continues after wrong rows: a wrong row ends
        with the line in which that shows."""
        at = 0
        while at < len(text):
            for values, start, end in self.rows(text, final=False, start=at):
                yield values, start, end
                at = end
            fault = self._fault(text, at)
            end = text.find("\n", fault.at) + 1 if fault and fault.at >= 0 else 0
            if fault is None or not end:
                return
            yield fault, at, end
            at = end

    def _fault(self, text: str, start: int) -> Malformed | None:
        try:
            self._row(text, start, final=True)
        except Malformed as fault:
            return fault
        return None

    def rows(
        self, text: str, *, final: bool, start: int = 0
    ) -> Iterator[tuple[Values | None, int, int]]:
        """The values of each row, or None for a comment, with the positions where the row begins
        and where the next one does. Stops before an incomplete row, which a `final` text does not
        have.

        Raises:
            Malformed: a row is wrong; only in the `final` text, as elsewhere it may be incomplete.
        """
        at, size = start, len(text)
        while at < size:
            if self._dialect.comment and text.startswith(self._dialect.comment, at):
                end = text.find("\n", at) + 1
                if not end and not final:
                    return
                end = end or size
                yield None, at, end
            else:
                found = self._row(text, at, final=final)
                if found is None:
                    return
                values, end = found
                yield values, at, end
            at = end

    def _row(self, text: str, start: int, *, final: bool) -> tuple[Values, int] | None:
        values: Values = []
        at, size = start, len(text)
        quoted, plain, ending = self._quoted, self._plain, self._end
        quote, nulls = self._dialect.quote, self._dialect.nulls
        while True:
            if quoted and text.startswith(quote, at):
                found = quoted.match(text, at)
                if found is None:
                    return self._unfinished(start, "a quote is not closed", final=final)
                values.append(self._unescaped(found[1]))
            else:
                found = plain.match(text, at)
                assert found is not None  # it may be empty
                if self._dialect.escape and text.startswith(self._dialect.escape, found.end()):
                    found = self._with_escape(text, at) or found
                value = found[0]
                values.append(None if value in nulls else value)
            at = found.end()
            end = ending.match(text, at)
            if end is None:
                if final and text[at : at + 2] in ("", "\r"):
                    return values, size
                return self._unfinished(start, self._reason(text, at, found), final=final, at=at)
            at = end.end()
            if end[1] is None:
                return values, at

    def _with_escape(self, text: str, at: int) -> re.Match[str] | None:
        """A value with an escape outside of quotes. Programs disagree on its meaning, so only NULL
        may have one."""
        found = self._loose.match(text, at)
        value = found[0].removesuffix("\r") if found else ""
        return (
            re.compile(re.escape(value)).match(text, at) if value in self._dialect.nulls else None
        )

    def _unescaped(self, text: str) -> str:
        dialect = self._dialect
        if dialect.escape:
            return self._escaped.sub(r"\1", text) if dialect.escape in text else text
        return text.replace(dialect.quote * 2, dialect.quote) if dialect.quote in text else text

    def _reason(self, text: str, at: int, found: re.Match[str]) -> str:
        if self._quoted and found.re is self._quoted:
            return "something follows a closing quote"
        if text.startswith("\r", at):
            return "a carriage return outside of quotes"
        if self._dialect.escape and text.startswith(self._dialect.escape, at):
            return "an escape outside of quotes"
        return "a quote inside of a value that is not quoted"

    @staticmethod
    def _unfinished(start: int, reason: str, *, final: bool, at: int = -1) -> None:
        """Why the row ends too early; None if the rest of it may follow."""
        if final:
            raise Malformed(start, reason, at)
