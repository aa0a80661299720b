"""Quantities for people. Programs get plain numbers: see the JSON forms."""

from __future__ import annotations

from collections.abc import Sequence

_BYTES = ("B", "kB", "MB", "GB", "TB", "PB")
_ROWS = ("", "k", "M", "G", "T")


def bytes_text(size_bytes: float) -> str:
    """``64.0 MB``, in PostgreSQL's units: 1 kB is 1024 bytes. Three significant digits."""
    for unit in _BYTES[:-1]:
        if size_bytes < 999.5:
            return f"{_three_digits(size_bytes, whole=unit == 'B')} {unit}"
        size_bytes /= 1024
    return f"{_three_digits(size_bytes)} {_BYTES[-1]}"


def share_text(done_bytes: float, all_bytes: float) -> str:
    """``1.20 of 5.10 GB``: both in the unit of the larger."""
    whole = bytes_text(all_bytes)
    unit = whole.split()[1]
    part = done_bytes / 1024 ** _BYTES.index(unit)
    return f"{_three_digits(part, whole=unit == 'B')} of {whole}"


def count_text(number: float) -> str:
    """``12.3M``: short, for a line that changes many times per second."""
    for unit in _ROWS[:-1]:
        if number < 999.5:
            return f"{_three_digits(number, whole=unit == '')}{unit}"
        number /= 1000
    return f"{_three_digits(number)}{_ROWS[-1]}"


def seconds_text(seconds: float) -> str:
    """``0.42 s``, ``12.3 s``, ``2 min 05 s``, ``3 h 07 min``, ``2 d 04 h``."""
    if seconds < 59.95:
        return f"{_three_digits(max(seconds, 0))} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24:02} h"


def milliseconds_text(took: float) -> str:
    """``213 ms``, ``12.3 s``"""
    return f"{took:,.0f} ms" if took < 10_000 else seconds_text(took / 1000)


def clock_text(seconds: float) -> str:
    """``1:05`` or ``2:01:05``: constant in width, for a running clock."""
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def plural(number: int, noun: str, nouns: str = "") -> str:
    """``1 relation``, ``2,000 relations``."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def _three_digits(number: float, *, whole: bool = False) -> str:
    if whole or number >= 99.95:
        return f"{number:.0f}"
    return f"{number:.1f}" if number >= 9.995 else f"{number:.2f}"


def several(names: Sequence[str], most: int = 2) -> str:
    """The first names of a list: ``a, b and 7 more``."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
