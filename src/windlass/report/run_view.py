"""Decides what the report of a run shows, from its published JSON: which verdict, in which order.

A report begins with how the run ended and what to do now. Relations that differ come first, then
the slow ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.model.outcome import Compared, State
from windlass.model.report import Differs, LossClass
from windlass.model.units import bytes_text, count_text, plural, seconds_text
from windlass.report.charts import average, bars, curves
from windlass.report.facts import Fact, options_of, versions_of

OPEN_RELATIONS = 15  # the others are folded
MOST_RELATIONS = 8_000
OPEN_DIFFERENCES = 50
MOST_DIFFERENCES = 5_000
MOST_OBJECTS = 400  # of one kind of loss
LONGEST_VALUE = 120  # of a value in a row that differs; the JSON has all of it

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How it ended. `tone` is good, bad or warn; `word` says the same in text."""

    tone: str
    word: str
    sentence: str


_VERDICTS = {
    State.DIFFERENT: ("bad", "Differences found"),
    State.LOSSY: ("bad", "Done, with losses"),
    State.REFUSED: ("bad", "Refused"),
    State.STOPPED: ("bad", "Stopped"),
    State.INTERRUPTED: ("warn", "Interrupted"),
    State.RUNNING: ("warn", "Not finished"),
    State.ROLLED_BACK: ("good", "Rolled back"),
    State.TAKEN_BACK: ("warn", "Taken back"),
    State.ABANDONED: ("warn", "Abandoned"),
}
_SENTENCES = {
    State.LOSSY: "Its rows caused losses that nobody has accepted.",
    State.REFUSED: "It did not start, and nothing was written.",
    State.STOPPED: "It ended before everything was done.",
    State.INTERRUPTED: "It was interrupted before everything was done.",
    State.RUNNING: "It is still running, or was killed: the journal has no end of it.",
    State.ROLLED_BACK: "The target is as it was before the run.",
    State.TAKEN_BACK: "Applications write where they did before.",
    State.ABANDONED: "The run was given up; the target keeps its copy.",
}
_PROVEN = {
    "rows": "As many rows have arrived as were read.",
    "files": "Every file is there, with the rows that were read.",
}
_LEVELS = {"full": tuple(Compared), "counts": tuple(Compared)[:3], "schema": (Compared.SCHEMA,)}


def run_view(document: Document) -> dict[str, Any]:
    """What the template needs."""
    whole = {**_NOTHING, **document}
    whole["source"] = whole["source"] or whole["asked"].get("source", "")
    whole["target"] = whole["target"] or whole["asked"].get("target", "")
    timeline = {**_NO_TIMELINE, **whole["timeline"]}
    relations = sorted(whole["relations"], key=_first)
    shown = relations[:MOST_RELATIONS]
    differences = [_difference(one) for one in whole["differences"][:MOST_DIFFERENCES]]
    return {
        "title": _title(whole),
        "run": whole["run"],
        "verdict": verdict(whole),
        "message": "" if whole["message"] == whole["state"] else whole["message"],
        "hint": whole["hint"],
        "problems": whole["problems"],
        "commands": {**_NO_COMMANDS, **whole["commands"]},
        "next_steps": (whole["cutover"] or {}).get("next_steps", ()),
        "figures": list(_figures(whole)),
        "counts": {words: rows for words, rows in whole["counts"].items() if rows},
        "facts": list(_facts(whole, timeline)),
        "bars": bars(timeline["steps"], whole["seconds"]) or _phase_bars(whole),
        "has_starts": bool(timeline["steps"]),
        "seconds": whole["seconds"],
        "curves": curves(timeline["throughput"], whole["seconds"]),
        "resumed": whole["resumed"],
        "differences": differences[:OPEN_DIFFERENCES],
        "more_differences": differences[OPEN_DIFFERENCES:],
        "unnamed_differences": _unnamed(whole, differences),
        "differing_rows": whole["differing_rows"],
        "has_values": any(one["values_of"] for one in differences),
        "relations": [_relation(one) for one in shown[:OPEN_RELATIONS]],
        "more_relations": [_relation(one) for one in shown[OPEN_RELATIONS:]],
        "unnamed_relations": len(relations) - len(shown),
        "columns": _columns(relations),
        "losses": list(losses_of(whole["losses"])),
        "loss_count": len(whole["losses"]),
        "notices": whole["notices"],
        "snapshots": whole["snapshots"],
        "cutover": whole["cutover"],
        "freeze": _freeze_bars(whole["cutover"]) if whole["cutover"] else [],
        "options": options_of(whole["asked"].get("options", {})),
        "versions": versions_of(whole["by"], whole["source"], whole["target"]),
    }


_NOTHING: Document = {
    "run": "", "state": "", "seconds": 0.0, "relations": (), "losses": (), "differences": (),
    "problems": (), "snapshots": (), "notices": (), "phases": {}, "verified": "", "compared": (),
    "differing_rows": {}, "sequences": 0, "message": "", "hint": "", "source": "", "target": "",
    "set_aside": 0, "counts": {}, "resumed": False, "repaired": False, "already": False,
    "cutover": None, "rows": 0, "bytes": 0, "asked": {}, "by": {}, "timeline": {}, "commands": {},
}  # fmt: skip
_NO_COMMANDS = {"resume": "", "repair": "", "undo": ""}
_NO_TIMELINE: Document = {
    "started_at": "",
    "finished_at": "",
    "steps": (),
    "throughput": {"every_seconds": 0.0, "bytes": (), "rows": ()},
}


def _title(whole: Document) -> str:
    noun = whole["asked"].get("noun") or "run"
    names = [name.partition(" (")[0] for name, _ in _sides(whole) if name]
    return f"{noun[:1].upper()}{noun[1:]}" + (f": {' → '.join(names)}" if names else "")


def _sides(whole: Document) -> list[tuple[str, str]]:
    """From where to where, each with its role: a flip back leaves the target."""
    by = whole["by"]
    sides = [(whole[side], _as_role(by.get(f"{side}_role", ""))) for side in ("source", "target")]
    is_back = (whole["cutover"] or {}).get("direction") == "back"
    return sides[::-1] if is_back else sides


def verdict(whole: Document) -> Verdict:
    """The verdict in words, and in a colour that only repeats them."""
    state = whole["state"]
    if state == State.DONE:
        return _done(whole)
    if state not in _VERDICTS:  # a command that had no run
        return Verdict("bad", state.capitalize() or "Failed", "It did not start.")
    tone, word = _VERDICTS[state]
    if state == State.DIFFERENT:
        number = sum(one.get("rows") or 1 for one in whole["differences"])
        return Verdict(tone, word, f"The two sides are not equal: {plural(number, 'difference')}.")
    sentence = _SENTENCES[state]
    if state == State.STOPPED and not whole["run"]:
        sentence = "It could not begin."
    return Verdict(tone, word, sentence)


def _done(whole: Document) -> Verdict:
    if whole["cutover"]:
        rehearsed = whole["cutover"]["is_rehearsal"]
        word = "Rehearsed" if rehearsed else "Cut over"
        return Verdict("good", word, _cutover_sentence(whole["cutover"]))
    parts = whole["compared"] or _LEVELS.get(whole["verified"], ())
    if parts:
        *some, last = map(str, parts)
        names = f"{', '.join(some)} and {last}" if some else last
        apart = " Losses are listed below." if whole["losses"] else ""
        missing = Compared.CONTENT not in parts
        left = " The content of rows was not compared." if missing else ""
        return Verdict("good", "Done and verified", f"Compared and equal: {names}.{left}{apart}")
    if proven := _PROVEN.get(whole["verified"]):
        return Verdict("good", "Done and checked", proven)
    if whole["counts"] or whole["already"] or not whole["relations"]:
        return Verdict("good", "Done", "It did what it was asked to do.")
    return Verdict("warn", "Done, not verified", "Both sides were not compared.")


def _cutover_sentence(cutover: Document) -> str:
    where = "the target" if cutover["direction"] == "forward" else "the source"
    if cutover["is_rehearsal"]:
        return "Nothing was closed; the times are what a cutover would take."
    return f"Applications write to {where} now."


def _figures(whole: Document) -> Iterator[Fact]:
    """The few numbers that everybody asks for."""
    relations = whole["relations"]
    if relations:
        differing = sum(bool(one["differs"]) for one in relations)
        note = f"{differing:,} of them not equal" if differing else ""
        yield Fact("Tables", f"{len(relations):,}", note)
    if whole["rows"]:
        yield Fact("Rows", f"{whole['rows']:,}", _rate(whole, "rows"))
    if whole["bytes"]:
        yield Fact("Data", bytes_text(whole["bytes"]), _rate(whole, "bytes"))
    if whole["sequences"]:
        yield Fact("Sequences", f"{whole['sequences']:,}")
    if whole["seconds"]:
        yield Fact("Took", seconds_text(whole["seconds"]))
    if whole["losses"]:
        yield Fact("Not carried over", f"{len(whole['losses']):,}", "see Losses")


def _rate(whole: Document, what: str) -> str:
    throughput = whole["timeline"].get("throughput", {})
    rate = average(throughput.get(what, ()), throughput.get("every_seconds", 0.0))
    if not rate:
        return ""
    return f"{bytes_text(rate)}/s" if what == "bytes" else f"{count_text(rate)} rows/s"


def _facts(whole: Document, timeline: Document) -> Iterator[Fact]:
    by, asked = whole["by"], whole["asked"]
    for name, (place, role) in zip(("From", "To"), _sides(whole), strict=True):
        if place:
            yield Fact(name, place, role)
    if timeline["started_at"]:
        yield Fact("Started", _moment(timeline["started_at"]))
    if timeline["finished_at"]:
        yield Fact("Ended", _moment(timeline["finished_at"]))
    if by.get("user"):
        yield Fact("By", f"{by['user']} on {by['host']}" if by.get("host") else by["user"])
    if by.get("external_run"):
        user = f"started by {by['scheduler_user']}" if by.get("scheduler_user") else ""
        yield Fact("Scheduled as", by["external_run"], user, by.get("external_url", ""))
    if whole["run"]:
        yield Fact("Run", whole["run"])
    yield from _plan_facts(asked)
    if whole["set_aside"]:
        yield Fact("Set aside", plural(whole["set_aside"], "object"), "put back by undoing the run")


def _plan_facts(asked: Document) -> Iterator[Fact]:
    if asked.get("fingerprint"):
        yield Fact("Plan", asked["fingerprint"][:16], "fingerprint")
    if asked.get("reviewed_at"):
        yield Fact("Plan reviewed", f"from a file, made {_moment(asked['reviewed_at'])}")
    if asked.get("approved_by"):
        yield Fact("Plan approved by", asked["approved_by"])


def _as_role(role: str) -> str:
    return f"as role {role}" if role else ""


def _moment(iso: str) -> str:
    return f"{iso[:19].replace('T', ' ')} UTC" if iso[10:11] == "T" else iso


def _phase_bars(whole: Document) -> list[Any]:
    """Bars for a result of an earlier version, which has how long each step took, not when."""
    nothing = dict.fromkeys(("items", "resumed", "retries", "rows", "bytes"), 0)
    steps = [
        {"name": name, "after": (), "start_seconds": 0.0, "seconds": took, **nothing}
        for name, took in whole["phases"].items()
    ]
    return bars(steps, max(whole["phases"].values(), default=0.0))


def _freeze_bars(cutover: Document) -> list[Any]:
    nothing = dict.fromkeys(("items", "resumed", "retries", "rows", "bytes"), 0)
    steps, at = [], 0.0
    for name, took in cutover["parts_ms"].items():
        steps.append({"name": name, "after": (), "start_seconds": at, "seconds": took, **nothing})
        at += took
    return bars(steps, at)


def _first(one: Document) -> tuple[Any, ...]:
    return (not one["differs"], -one["seconds"], -one["bytes"], -one["rows"], one["source"])


_DIFFERS = {
    Differs.MISSING: "missing",
    Differs.ROWS: "rows differ",
    Differs.DEFINITION: "definition differs",
}
_LEVEL_WORDS = {
    "full": "equal: every row",
    "counts": "equal: row counts",
    "schema": "equal: definition",
    "rows": "rows counted",
    "files": "files checked",
}


def _relation(one: Document) -> dict[str, Any]:
    differs = _DIFFERS.get(one["differs"], one["differs"])
    proof = _LEVEL_WORDS.get(one["verified"], one["verified"]) or "not compared"
    tone = "bad" if differs else "good" if one["verified"] else "plain"
    return {**one, "proof": differs or proof, "tone": tone}


def _columns(relations: Sequence[Document]) -> dict[str, bool]:
    """Which columns of the table of relations have something to show."""
    return {
        "target": any(one["target"] not in ("", one["source"]) for one in relations),
        "bytes": any(one["bytes"] for one in relations),
        "seconds": any(one["seconds"] for one in relations),
        "chunks": any(one["chunks"] > 1 for one in relations),
        "snapshots": any(set(one["snapshots"]) - {1} for one in relations),
    }


def _difference(one: Document) -> dict[str, Any]:
    """`values_of` has each column with its values on the source and on the target."""
    source, target = one["source"], one["target"]
    has_both = source is not None and target is not None
    values = [
        (column, _value(source.get(column)), _value(target.get(column)))
        for column in (one["columns"] if has_both else ())
    ]
    return {"rows": 0, **one, "values_of": values}


def _value(value: str | None) -> str:
    if value is None:
        return "NULL"
    return repr(value if len(value) <= LONGEST_VALUE else f"{value[:LONGEST_VALUE]}…")


def _unnamed(whole: Document, shown: Sequence[Document]) -> int:
    """Differences that are counted, or left out here."""
    return sum(one.get("rows") or 0 for one in shown) + len(whole["differences"]) - len(shown)


def losses_of(losses: Iterable[Document]) -> Iterator[dict[str, Any]]:
    """The losses, those of one kind together; those that stop a run come first."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in losses:
        groups.setdefault((one["class"], one["message"]), []).append(one["object"])
    order = {one.value: at for at, one in enumerate(sorted(LossClass, key=lambda it: it.is_notice))}
    for (kind, message), objects in sorted(groups.items(), key=lambda it: order.get(it[0][0], 99)):
        yield {
            "class": kind,
            "message": message,
            "objects": objects[:3],
            "more": objects[3:MOST_OBJECTS],
            "rest": max(len(objects) - MOST_OBJECTS, 0),
        }
