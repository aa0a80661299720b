"""Objects that only superusers may create. If the target's user may not, they are refused; or left
out, as a named loss, if nothing else needs them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from windlass.engines.postgres.archive import Entry
from windlass.engines.postgres.trial import TryOut
from windlass.model.plan import Server
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.statement import Statement
from windlass.planning.postgres.roles import is_of_all
from windlass.planning.postgres.select import describe

_FOR_SUPERUSERS = {
    "ACCESS METHOD", "FOREIGN DATA WRAPPER", "OPERATOR CLASS", "OPERATOR FAMILY",
    "PROCEDURAL LANGUAGE", "TEXT SEARCH PARSER", "TEXT SEARCH TEMPLATE",
}  # fmt: skip

# hosted servers differ in which roles may create these, so the server is asked
_EVENT_TRIGGER = """\
create function pg_temp.windlass_trial() returns event_trigger language plpgsql as 'begin end';
create event trigger windlass_trial on sql_drop execute function pg_temp.windlass_trial();
"""
_ALL_TABLES = "create publication windlass_trial for all tables;\n"
_ALL_OF_SCHEMA = """\
create schema windlass_trial;
create publication windlass_trial for tables in schema windlass_trial;
"""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The entries that the target can get, and the losses of the others."""

    entries: tuple[Entry, ...]
    losses: tuple[Loss, ...] = ()


def without_barred(
    entries: Sequence[Entry], target: Server, there: Collection[int], try_out: TryOut
) -> LeftOut:
    """Without event triggers and publications that this user may not create, and their comments.
    `there` are the ids of entries whose object the target has already."""
    if target.superuser:
        return LeftOut(tuple(entries))
    trials = {one.id: script for one in entries if one.id not in there
              if (script := _trial(one))}  # fmt: skip
    refused = try_out(trials.values()) if trials else {}
    barred = {id_: refused[script] for id_, script in trials.items() if script in refused}
    kept: list[Entry] = []
    losses: list[Loss] = []
    for entry in entries:
        of = barred.keys() & {*entry.depends_on}
        if entry.id in barred:
            refusal = barred[entry.id]
            why = "" if refusal.state == _NO_PRIVILEGE else f": {refusal}"
            message = f"left out: {target.user} may not create it on the target{why}"
        elif of and entry.kind in ("COMMENT", "SECURITY LABEL"):
            message = "left out with what it belongs to"
        else:
            kept.append(entry)
            continue
        losses.append(Loss(describe(entry), message, LossClass.OBJECTS))
    return LeftOut(tuple(kept), tuple(losses))


_NO_PRIVILEGE = "42501"


def _trial(entry: Entry) -> str:
    """A script that shows whether such an object may be created; "" if anybody may."""
    match entry.kind:
        case "EVENT TRIGGER":
            return _EVENT_TRIGGER
        case "PUBLICATION" if is_of_all(entry.definition):
            return _ALL_TABLES
        case "PUBLICATION TABLES IN SCHEMA":
            return _ALL_OF_SCHEMA
    return ""


def superuser_problems(statements: Iterable[Statement], target: Server) -> list[Problem]:
    """Objects that only a superuser may create on this server, and that others may need."""
    if target.superuser:
        return []
    found = [str(one) for one in statements if _is_for_superusers(one)]
    hint = "connect to the target as a superuser, or take them out of the source"
    return [
        Problem(name, f"only a superuser can create it, and {target.user} is not one", hint)
        for name in dict.fromkeys(found)
    ]


def _is_for_superusers(statement: Statement) -> bool:
    """Base types and functions in C name machine code; the shell of a type does not."""
    text = statement.sql.partition("\n    AS ")[0]  # without the body
    if statement.kind in _FOR_SUPERUSERS:
        return True
    if statement.kind == "TYPE":
        return re.search(r"^\s*INPUT = ", text, re.MULTILINE) is not None
    if statement.kind in ("FUNCTION", "PROCEDURE"):
        return re.search(r"^\s*LANGUAGE (c|internal)\b", text, re.MULTILINE) is not None
    return statement.kind == "CAST" and " WITHOUT FUNCTION" in text
