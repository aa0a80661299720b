"""Prometheus' text format, version 0.0.4: written, and read back.

It is written here, as it is small: a line for a sample, two before a family, and three characters
to escape. The library prometheus-client would be one more dependency for everybody, or an extra
that a run lacks; the tests read what is written here with its parser. The format:
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from windlass.metrics.families import FAMILIES, Key, Samples, is_of
from windlass.metrics.live import LIVE_FAMILIES

PREFIX = "windlass_"
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_ESCAPED = re.compile(r"\\(.)")
_KINDS = {family.name: family for family in (*FAMILIES, *LIVE_FAMILIES)}


class NotOurs(ValueError):
    """A line that is not a sample of ours. The message shows only its number."""


def written(samples: Samples) -> str:
    """Families in their order, each with its help and its kind; series by their labels."""
    names = dict.fromkeys((*_KINDS, *sorted(name for name, _ in samples)))
    return "".join(line for name in names for line in _family(name, samples))


def _family(name: str, samples: Samples) -> Iterator[str]:
    found = sorted((key for key in samples if key[0] == name), key=lambda key: key[1])
    if found and name in _KINDS:
        yield f"# HELP {name} {_KINDS[name].help}\n"
        yield f"# TYPE {name} {_KINDS[name].kind}\n"
    for key in found:
        labels = ",".join(f'{label}="{_escape(value)}"' for label, value in key[1])
        yield f"{name}{{{labels}}} {_number(samples[key])}\n"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    """The shortest text that reads as the same number."""
    whole = value == value and abs(value) < 1e15 and int(value) == value
    return str(int(value)) if whole else repr(float(value))


def read(text: str) -> dict[Key, float]:
    """What `written` has written.

    Raises:
        NotOurs: there is something else in it.
    """
    found = {}
    for number, line in _lines(text):
        key, value = _sample(number, line)
        if not key[0].startswith(PREFIX):
            raise NotOurs(f"line {number} is not of windlass")
        found[key] = value
    return found


def read_ours(text: str, labels: Mapping[str, str]) -> dict[Key, float]:
    """Our series with these labels, out of the series of many, such as a Pushgateway shows them.

    Raises:
        NotOurs: it is something else.
    """
    lines = ((number, line) for number, line in _lines(text) if line.startswith(PREFIX))
    samples = (_sample(number, line) for number, line in lines)
    return {key: value for key, value in samples if is_of(key, labels)}


def _lines(text: str) -> Iterable[tuple[int, str]]:
    lines = enumerate(text.split("\n"), 1)  # a label may hold all other ends of lines
    return ((number, line) for number, line in lines if line.strip() and line[0] != "#")


def _sample(number: int, line: str) -> tuple[Key, float]:
    match = _SAMPLE.fullmatch(line)
    if match is None:
        raise NotOurs(f"line {number} is not a sample")
    labels, place, text = {}, 0, match[2] or ""
    while place < len(text):
        label = _LABEL.match(text, place)
        if label is None:
            raise NotOurs(f"line {number} has something other than labels")
        labels[label[1]] = _ESCAPED.sub(_unescaped, label[2])
        place = label.end()
    try:
        return (match[1], tuple(sorted(labels.items()))), float(match[3])
    except ValueError:
        raise NotOurs(f"line {number} has no number") from None


def _unescaped(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
