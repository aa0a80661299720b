"""Turns short names of loads into options and back, and finds options that contradict each other.

Pure. What depends on the table is in `windlass.loading.checks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from windlass.model.load_words import Duplicates, LoadWords, Matched, Missing, Take
from windlass.model.report import Problem
from windlass.model.wording import word
from windlass.spec.choices import LoadName
from windlass.spec.load import OneLoad

ALL, SINCE, WHERE = Take.ALL, Take.SINCE, Take.WHERE


@dataclass(frozen=True, slots=True)
class Short:
    """What a short name stands for; None: the user decides, or it does not apply."""

    keyed: bool
    missing: tuple[Missing, ...]  # the first is the default
    matched: Matched | None = None
    takes: tuple[Take, ...] = (ALL, SINCE, WHERE)
    history: bool = False
    doing: str = ""


KEEP, DELETE, MARK = Missing.KEEP, Missing.DELETE, Missing.MARK
SHORT: dict[LoadName, Short] = {
    LoadName.APPEND: Short(False, (KEEP,), doing="adds every row"),
    LoadName.INSERT: Short(True, (KEEP,), Matched.SKIP),
    LoadName.MERGE: Short(True, (KEEP,), Matched.UPDATE),
    LoadName.REPLACE: Short(False, (DELETE,), takes=(ALL,)),
    LoadName.MIRROR: Short(True, (DELETE, MARK), Matched.UPDATE, takes=(ALL,)),
    LoadName.SLICE: Short(False, (DELETE,), takes=(WHERE,)),
    LoadName.HISTORY: Short(True, (DELETE, KEEP), Matched.UPDATE, takes=(ALL, SINCE), history=True),
}


def words_of(spec: OneLoad) -> LoadWords:
    """The options of a load. `contradictions` reports those that contradict each other."""
    short = SHORT[spec.load] if spec.load else None
    take = _take(spec)
    matched = spec.matched or (short and short.matched) or _matched(spec)
    missing = spec.missing or (_missing(short, spec, take) if short else KEEP)
    return LoadWords(
        take=take,
        key=spec.key,
        matched=matched,
        missing=missing,
        duplicates=spec.duplicates or (Duplicates.LAST if spec.last_by else Duplicates.REFUSE),
        history=spec.history or bool(short and short.history),
        name=str(spec.load or ""),
        last_by=spec.last_by,
        slice=spec.slice,
        mark=spec.mark,
        valid_from=spec.valid_from,
        valid_to=spec.valid_to,
    )


def _take(spec: OneLoad) -> Take:
    if spec.take:
        return spec.take
    if spec.since:
        return SINCE
    return WHERE if spec.slice else ALL


def _matched(spec: OneLoad) -> Matched:
    """An existing row is refused, unless the input is everything that the table should hold."""
    return Matched.UPDATE if spec.load is LoadName.REPLACE and spec.key else Matched.REFUSE


def _missing(short: Short, spec: OneLoad, take: Take) -> Missing:
    if spec.mark and MARK in short.missing:
        return MARK
    if short.history and take is SINCE:  # what did not change is not read
        return KEEP
    return short.missing[0]


def short_name(words: LoadWords) -> LoadName | None:
    """The short name that stands for these options, if one does."""
    for name, short in SHORT.items():
        fits = (
            short.keyed == bool(words.key)
            and (short.matched in (None, words.matched) or not short.keyed)
            and words.missing in short.missing
            and words.take in short.takes
            and words.history == short.history
        )
        if fits:
            return name
    return None


def contradictions(spec: OneLoad, *, subject: str = "") -> Iterator[Problem]:
    """Why the options of a load cannot be combined, each with what would be right."""
    words, subject = words_of(spec), subject or spec.into
    for message, hint in (*_unsaid(spec), *_against_the_name(spec, words), *_wrong(spec, words)):
        yield Problem(subject, message, hint)


Fault = tuple[str, str]


def _unsaid(spec: OneLoad) -> Iterator[Fault]:
    own = (spec.matched, spec.missing, spec.history, spec.slice)
    if spec.load is None and not any(own):
        yield (
            "it is not specified what happens to the rows",
            f"give {word('load')}: append adds them all, merge updates those that are there by"
            " their key, replace makes them the table's content",
        )


def _against_the_name(spec: OneLoad, words: LoadWords) -> Iterator[Fault]:
    """Why the other options do not fit the short name."""
    if spec.load is None:
        return
    name, short = spec.load, SHORT[spec.load]
    if short.keyed and not spec.key:
        yield (
            f"load {name} finds rows by a key, and none is given",
            f"give {word('key')}, the columns that tell rows apart",
        )
    if not short.keyed and spec.key and name is not LoadName.REPLACE:
        instead = {LoadName.APPEND: "insert", LoadName.SLICE: "mirror"}[name]
        rather = f", or {word('load', instead)}" if name is LoadName.APPEND else ""
        yield (
            f"load {name} does not look for rows, so a key has no meaning",
            f"leave out {word('key')}{rather}",
        )
    if spec.matched and spec.matched is not short.matched:
        means = f"means matched {short.matched}" if short.matched else "does not look for rows"
        yield (
            f"load {name} {means}, not {spec.matched}",
            f"leave out {word('load')} or {word('matched')}",
        )
    if spec.missing and spec.missing not in short.missing:
        means = " or ".join(short.missing)
        yield (
            f"load {name} means missing {means}, not {spec.missing}",
            f"leave out {word('load')} or {word('missing')}",
        )
    if spec.history and not short.history:
        yield (
            f"load {name} keeps no history",
            f"give {word('load', 'history')}, or leave out {word('history')}",
        )
    if words.take not in short.takes:
        yield _wrong_take(name, short, words)


def _wrong_take(name: LoadName, short: Short, words: LoadWords) -> Fault:
    if name is LoadName.SLICE:
        return (
            "load slice replaces the rows of a slice, and none is given",
            f"give {word('slice')}, a condition such as day = '2026-01-31'",
        )
    if words.take is SINCE:
        return (
            f"load {name} needs all rows: with a watermark the input has only those that changed,"
            " and the others would count as deleted",
            f"leave out {word('since')}, or give {word('load', 'merge')}",
        )
    return (
        f"load {name} takes {' or '.join(short.takes)}, not {words.take}",
        f"leave out {word('slice')}, or give {word('load', 'slice')}",
    )


def _wrong(spec: OneLoad, words: LoadWords) -> Iterator[Fault]:
    """Faults that do not depend on the short name."""
    named = spec.load is not None  # the name's own rules have reported it
    yield from _wrong_takes(spec, words, named=named)
    if not named and spec.matched and not words.key:
        yield (
            f"matched {spec.matched} finds rows by a key, and none is given",
            f"give {word('key')}, the columns that tell rows apart",
        )
    if not named and words.missing is MARK and not words.key:
        yield (
            "missing rows are found by a key, and none is given",
            f"give {word('key')}, the columns that tell rows apart",
        )
    if words.history and not words.key and not named:
        yield "a history finds rows by a key, and none is given", f"give {word('key')}"
    if words.history and spec.matched and spec.matched is not Matched.UPDATE:
        yield (
            f"a history closes rows that changed, and matched {spec.matched} leaves them",
            f"leave out {word('matched')}",
        )
    if words.history and words.missing is MARK:
        yield "a history closes missing rows, and marks none", f"leave out {word('missing')}"
    if words.missing is MARK and not words.mark:
        yield (
            "missing rows are marked, and no column is given",
            f"give {word('mark')}, a boolean or timestamp column of the table",
        )
    if words.mark and words.missing is not MARK:
        yield (
            f"there is a column for marks, {words.mark}, and missing rows are {_kept(words)}",
            f"give {word('missing', 'mark')}, or leave out {word('mark')}",
        )
    if words.duplicates is Duplicates.LAST and not words.key:
        yield (
            "without a key no rows are duplicates",
            f"give {word('key')}, or leave out {word('duplicates')} and {word('last-by')}",
        )
    if words.last_by and spec.duplicates is Duplicates.REFUSE:
        yield (
            "duplicates are refused, and there is a column to choose the last one by",
            f"leave out {word('last-by')}, or give {word('duplicates', 'last')}",
        )
    for one in sorted({one for one in words.key if words.key.count(one) > 1}):
        yield f"the key names {one} twice", ""


def _wrong_takes(spec: OneLoad, words: LoadWords, *, named: bool) -> Iterator[Fault]:
    if words.take is SINCE and words.missing is not KEEP and not named:
        yield (
            f"missing rows are {_kept(words)}, and with a watermark the input lacks all that did"
            " not change",
            f"give {word('missing', 'keep')}, or leave out {word('since')}",
        )
    if words.take is SINCE and not spec.since:
        yield "rows are taken since a watermark, and none is given", f"give {word('since')}"
    if spec.since and words.take is not SINCE:
        yield (
            f"there is a watermark, {spec.since}, and {words.take} rows are taken",
            f"give {word('take', 'since')}, or leave out {word('since')}",
        )
    if words.take is WHERE and not words.slice and spec.load is not LoadName.SLICE:
        yield "rows of a slice are taken, and none is given", f"give {word('slice')}"
    if words.slice and words.take is not WHERE:
        yield (
            f"there is a slice, and {words.take} rows are taken",
            f"give {word('take', 'where')}, or leave out {word('slice')}",
        )
    if spec.overlap_seconds and not spec.since:
        yield (
            "there is no watermark to overlap",
            f"give {word('since')}, or leave out {word('overlap-seconds')}",
        )
    if spec.since and not words.key:
        why = (
            "an overlap reads rows again"
            if spec.overlap_seconds
            else "its last value is read again"
        )
        yield (
            f"{why}, and without a key they would be added twice",
            f"give {word('load', 'merge')} or {word('load', 'insert')}, and {word('key')}",
        )
    if spec.since and not all(one.is_query for one in spec.from_):
        yield (
            "a watermark is for queries and relations: a file is read wholly",
            f"leave out {word('since')}: merge leaves equal rows alone",
        )


def _missing_in_words(words: LoadWords) -> str:
    if words.missing is KEEP:
        return "no row of the table is deleted"
    which = f" for which {words.slice}" if words.slice else ""
    lacks = f"{' and' if which else ''} that the input lacks"
    if words.history:
        return f"rows of the table{which}{lacks} are closed"
    if words.missing is MARK:
        return f"rows of the table{which}{lacks} are marked in {words.mark}"
    which = which or (lacks if words.key else "")
    all_ = "" if which else "all "
    both = lacks if words.slice and words.key else ""
    return f"{all_}rows of the table{which}{both} are deleted, in the same transaction"


def _kept(words: LoadWords) -> str:
    return {KEEP: "kept", DELETE: "deleted", MARK: "marked"}[words.missing]


def in_sentences(words: LoadWords) -> tuple[str, ...]:
    """What happens to the rows, for people."""
    key = ", ".join(words.key)
    found = []
    if words.history:
        found.append(f"a row whose {key} is new is added; one that changed is closed"
                     f" ({words.valid_to}) and added again ({words.valid_from})")  # fmt: skip
    elif not words.key:
        found.append("every row of the input is added")
    else:
        found.append({
            Matched.UPDATE: f"a row whose {key} is in the table is updated where it differs, others"
            " are added",
            Matched.SKIP: f"a row whose {key} is in the table is skipped, others are added",
            Matched.REFUSE: f"rows are added; one whose {key} is in the table stops the load",
        }[words.matched])  # fmt: skip
    found.append(_missing_in_words(words))
    if words.slice:
        found.append("a row of the input outside of the slice stops the load")
    if words.key:
        chosen = f" by {words.last_by}" if words.last_by else ""
        found.append({
            Duplicates.REFUSE: f"two rows of the input with one {key}, or one without it, stop the"
            " load",
            Duplicates.LAST: f"of several rows of the input with one {key} the last{chosen} counts",
        }[words.duplicates])  # fmt: skip
    return tuple(found)
