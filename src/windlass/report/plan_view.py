"""What the page of a plan shows, from its published JSON: whether it can start, what prevents it,
what will be missing, and then everything that it would do.

A migration's plan has its own layout. For any other flow, all of the JSON is shown, under the
JSON's names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.model.units import bytes_text, plural, seconds_text
from windlass.report.facts import Fact, Option, options_of
from windlass.report.run_view import Verdict, losses_of

OPEN_RELATIONS = 25
MOST_RELATIONS = 5_000
MOST_SHOWN_COLUMNS = 40_000  # of all tables together
MOST_SQL = 3_000_000  # characters of statements

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Statements:
    phase: str
    count: int
    sql: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of any flow's plan. Only one of its fields has content."""

    title: str
    facts: Sequence[Option] = ()
    texts: Sequence[str] = ()
    parts: Sequence[Part] = ()
    is_sql: bool = False


def plan_view(document: Document) -> dict[str, Any]:
    """What the template needs."""
    is_move = "ddl" in document and "estimate" in document
    problems = document.get("problems", ())
    losses = document.get("losses", ())
    found = {
        "title": _title(document),
        "verdict": _verdict(document),
        "problems": problems,
        "losses": list(losses_of(losses)),
        "loss_count": len(losses),
        "notices": document.get("notices", ()),
        "next": document.get("next", ""),
        "fingerprint": document.get("fingerprint", ""),
        "figures": [],
        "facts": [],
        "order": (),
        "relations": [],
        "more_relations": [],
        "unnamed_relations": 0,
        "has_targets": False,
        "others": (),
        "set_aside": (),
        "dependents": (),
        "statements": [],
        "cut_sql": False,
        "options": options_of(document.get("options") or {}),
        "parts_of_plan": [],
    }
    return {**found, **(_of_migration(document) if is_move else _of_any(document))}


def _title(document: Document) -> str:
    names = [_name(document[side]) for side in ("source", "target") if document.get(side)]
    if not names and document.get("table"):
        names = [f"{document['table']} in {document.get('database', '')}"]
    return f"Plan: {' → '.join(names)}" if names else "Plan"


def _name(side: Any) -> str:
    if isinstance(side, Mapping):
        return f"{side['database']} on {side['place']}"
    return str(side).partition(" (")[0]


def _verdict(document: Document) -> Verdict:
    problems = document.get("problems", ())
    unfinished = document.get("unfinished")
    if problems:
        word = "Cannot resume" if unfinished else "Cannot start"
        return Verdict("bad", word, f"{plural(len(problems), 'problem')}, listed below.")
    losses = len(document.get("losses", ()))
    lost = f" {plural(losses, 'loss', 'losses')}, listed below." if losses else ""
    if unfinished:
        return Verdict("warn", "Unfinished run", f"The same command resumes it.{lost}")
    return Verdict("good", "Ready", f"No problems.{lost} Nothing was written.")


def _of_migration(document: Document) -> dict[str, Any]:
    relations = document["relations"]
    shown = relations[:MOST_RELATIONS]
    columns = 0
    rows = []
    for number, one in enumerate(shown, start=1):
        columns += len(one["columns"])
        rows.append(_relation(number, one, with_columns=columns <= MOST_SHOWN_COLUMNS))
    statements, cut = _statements(document["ddl"])
    return {
        "figures": list(_figures(document)),
        "facts": list(_facts(document)),
        "order": document["order"],
        "relations": rows[:OPEN_RELATIONS],
        "more_relations": rows[OPEN_RELATIONS:],
        "unnamed_relations": len(relations) - len(shown),
        "has_targets": any(one["target"] for one in rows),
        "others": [
            f"{one['kind'].lower()} {_arrow(one['source'], one['target'])}"
            for one in document["others"]
        ],
        "set_aside": document["set_aside"],
        "dependents": document["dependents"],
        "statements": statements,
        "cut_sql": cut,
    }


def _figures(document: Document) -> Iterator[Fact]:
    summary, estimate = document["summary"], document["estimate"]
    yield Fact("Tables", f"{summary['relations']:,}", f"{summary['chunks']:,} chunks")
    yield Fact("Rows", f"{summary['rows']:,}", "estimated")
    yield Fact("Data", bytes_text(summary["bytes"]))
    yield Fact("Indexes", bytes_text(summary["index_bytes"]))
    low, high = estimate["low_seconds"], estimate["high_seconds"]
    took = f"{seconds_text(low)} to {seconds_text(high)}" if high else ""
    yield Fact("Takes about", seconds_text(estimate["seconds"]), took)
    yield Fact("Statements", f"{summary['statements']:,}")


def _facts(document: Document) -> Iterator[Fact]:
    for word, side in (("From", document["source"]), ("To", document["target"])):
        note = f"as role {side['user']}" if side["user"] else ""
        server = f"{side.get('engine', '')} {side['version']}".strip()
        yield Fact(word, f"{_name(side)} ({server})", note)
    schemas = [_arrow(old, new) for old, new in document["schemas"].items()]
    yield Fact("Schemas", ", ".join(schemas) or "none")
    yield Fact("Verifies", document["verify"])
    yield Fact("Jobs", str(document["jobs"]), "side by side")
    yield Fact("Estimate", document["estimate"]["basis"])
    if document["made_at"]:
        yield Fact("Made", document["made_at"], f"by windlass {document['version']}")
    yield Fact("Run", document["run"])
    yield Fact("Fingerprint", document["fingerprint"], "the same for plans that do the same")


def _arrow(source: object, target: object) -> str:
    return str(source) if source == target else f"{source} → {target}"


def _relation(number: int, one: Document, *, with_columns: bool) -> dict[str, Any]:
    chunks = len(one["chunks"])
    return {
        "number": number,
        "source": one["source"],
        "target": one["target"] if one["target"] != one["source"] else "",
        "rows": one["rows"],
        "bytes": one["bytes"],
        "index_bytes": one["index_bytes"],
        "key": ", ".join(one["keyset"]) or "none",
        "chunks": chunks,
        "arrival": one["arrival"],
        "where": one["where"] or "",
        "dropped": ", ".join(one["dropped"]),
        "columns": [_column(column) for column in one["columns"]] if with_columns else [],
        "is_cut": not with_columns,
    }


def _column(one: Document) -> dict[str, str]:
    remarks = [
        {"": "", "hash": f"hash of {one['source']}"}.get(one["how"] or "", one["expression"] or ""),
        "not null" if one["not_null"] else "",
        str(one["fills_itself"] or ""),
        "computed by the target" if one["generated"] else "",
        one.get("field", ""),
    ]
    return {
        "name": _arrow(one["source"] or "new", one["target"]),
        "type": _arrow(one["source_type"], one["target_type"]),
        "remark": ", ".join(remark for remark in remarks if remark),
    }


def _statements(ddl: Sequence[Document]) -> tuple[list[Statements], bool]:
    """The statements by phase, in the order in which they run; and whether some are left out."""
    found: dict[str, list[str]] = {}
    room = MOST_SQL
    for one in ddl:
        room -= len(one["sql"])
        texts = found.setdefault(one["phase"], [])
        if room >= 0:
            texts.append(one["sql"])
    counts = {phase: sum(one["phase"] == phase for one in ddl) for phase in found}
    return [
        Statements(phase, counts[phase], "\n\n".join(texts)) for phase, texts in found.items()
    ], room < 0


_KNOWN = {
    "problems", "losses", "notices", "exit_code", "next", "options", "fingerprint", "flow",
    "unfinished",
}  # fmt: skip


def _of_any(document: Document) -> dict[str, Any]:
    kept = {key: value for key, value in document.items() if key not in _KNOWN}
    whole = _part("", kept)
    return {
        "facts": [Fact(one.word, one.value, one.whole) for one in whole.facts],
        "parts_of_plan": list(whole.parts),
    }


def _part(title: str, value: Mapping[str, Any]) -> Part:
    """Show plain values as facts, lists of texts as lists, and everything else as nested parts."""
    plain: dict[str, Any] = {}
    parts: list[Part] = []
    for key, one in value.items():
        word = key.replace("_", " ")
        if one in (None, "", [], {}, False):
            continue
        if isinstance(one, Mapping) and any(map(_is_deep, one.values())):
            parts.append(_part(word, one))
        elif isinstance(one, Mapping):
            parts.append(Part(word, facts=options_of(one)))
        elif isinstance(one, list | tuple) and any(isinstance(it, Mapping) for it in one):
            parts.append(Part(word, parts=list(_each(one))))
        elif isinstance(one, list | tuple) and any(_is_sql(it) for it in one):
            parts.append(Part(word, texts=[str(it) for it in one], is_sql=True))
        elif isinstance(one, str) and _is_sql(one):
            parts.append(Part(word, texts=[one], is_sql=True))
        else:
            plain[word] = one
    return Part(title, facts=options_of(plain), parts=parts)


def _is_deep(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value)
    )


def _is_sql(value: Any) -> bool:
    return isinstance(value, str) and value.lstrip()[:7].lower().startswith(
        ("create ", "alter ", "insert ", "update ", "delete ", "select ", "comment", "with ")
    )


def _each(items: Iterable[Any]) -> Iterator[Part]:
    for number, one in enumerate(items, start=1):
        if isinstance(one, Mapping):
            name = one.get("name") or _arrow(one.get("source", ""), one.get("target", ""))
            yield _part(str(name).strip(" →") or f"{number}", one)
