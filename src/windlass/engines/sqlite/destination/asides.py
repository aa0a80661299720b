"""Sets tables and views of an SQLite file aside, in the transaction that makes the new ones, and
puts them back.

SQLite renames a table together with what belongs to it, and changes every view, trigger and foreign
key that names it: https://www.sqlite.org/lang_altertable.html#alter_table_rename. A view has no
rename: it is dropped, and made again from its statement.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.engines.statements import names, statement
from windlass.errors import Refused
from windlass.model.conversion import Replacing, SetAside, Standing
from windlass.model.report import Problem

OWN = "_windlass_"
_AFTERWARDS = "drop it, and make it again afterwards; or leave the table out"


@dataclass(frozen=True, slots=True)
class _Object:
    kind: str
    name: str
    table: str  # that it belongs to
    text: str | None


def replacing(session: Any, run: str, wanted: Collection[str], standing: Standing) -> Replacing:
    """`wanted` are in lower case."""
    found = _objects(session)
    moved = [one for one in found if _moves(one, wanted)]
    views = {one.name.lower() for one in moved if one.kind == "view"}
    triggers = [one for one in found if one.kind == "trigger" and one.table.lower() in views]
    free = {one.name.lower() for one in moved} | {one.name.lower() for one in triggers}
    return Replacing(
        Standing(False, standing.names - free, standing.problems),
        (
            *map(_dropped, triggers),  # first, as SQLite renames nothing that a view needs
            *(_dropped(one) for one in reversed(moved) if one.kind == "view"),
            *(_aside(one, run) for one in moved if one.kind == "table"),
        ),
        tuple(_hindrances(session, found, moved)),
    )


def _objects(session: Any) -> list[_Object]:
    query = "select type, name, tbl_name, sql from sqlite_schema"
    return [_Object(*row) for row in session.execute(query).fetchall()]


def _moves(one: _Object, wanted: Collection[str]) -> bool:
    return one.kind in ("table", "view") and one.name.lower() in wanted


def _aside(one: _Object, run: str) -> SetAside:
    return SetAside("table", one.name, f"{OWN}{run}_{one.name}")


def _dropped(one: _Object) -> SetAside:
    return SetAside(one.kind, one.name, text=one.text or "")


def _hindrances(
    session: Any, found: Sequence[_Object], moved: Sequence[_Object]
) -> Iterator[Problem]:
    """What stays, and would refer to the rows that are set aside."""
    free = [one.name for one in moved]
    lower = {one.lower() for one in free}
    tables = {one.name.lower() for one in moved if one.kind == "table"}
    query = 'select distinct "table" from pragma_foreign_key_list(?)'
    for one in found:
        if one.table.lower() in lower or one.name.lower().startswith(OWN):
            continue
        if one.kind == "table":
            for (parent,) in session.execute(query, (one.name,)).fetchall():
                if parent.lower() in tables:
                    message = f"refers to {parent} by a foreign key, and would refer to old rows"
                    yield Problem(one.name, message, "select it as well, or drop the key")
            continue
        used = next((it for it in free if _uses(one.text or "", it)), "")
        if used and one.kind in ("view", "trigger"):
            message = f"uses {used}, and would use the rows that are set aside"
            yield Problem(f"{one.kind} {one.name}", message, _AFTERWARDS)


def _uses(text: str, name: str) -> bool:
    """Whether a definition may use a table: a word or a quoted name."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) is not None


def set_aside(session: Any, run: str, asides: Sequence[SetAside]) -> None:
    """Raises:
    Refused: the file has changed since the plan.
    """
    wanted = {one.name.lower() for one in asides if one.kind != "trigger"}
    now = replacing(session, run, wanted, Standing(False))
    changed = [
        Problem(one.name, "has changed since the plan", "run the same command again")
        for one in {*asides} ^ {*now.set_aside}
    ]
    if problems := [*now.problems, *changed]:
        raise Refused(problems)
    session.execute("pragma legacy_alter_table = off")
    for one in asides:
        if one.aside:
            session.execute(_rename(one.name, one.aside))
        else:
            session.execute(_drop(one.kind, one.name))


def put_back(session: Any, asides: Sequence[SetAside]) -> None:
    """In the opposite order."""
    session.execute("pragma legacy_alter_table = off")
    for one in reversed(asides):
        session.execute(_rename(one.aside, one.name) if one.aside else one.text)


def drop(session: Any, asides: Sequence[SetAside]) -> None:
    for one in asides:
        if one.aside:
            session.execute(_drop("table", one.aside))


def kept(session: Any, asides: Sequence[SetAside]) -> list[str]:
    there = {one.name for one in _objects(session)}
    return [one.aside for one in asides if one.aside in there]


def _rename(old: str, new: str) -> str:
    return statement("alter table {old} rename to {new}", old=names(old), new=names(new))


def _drop(kind: str, name: str) -> str:
    head = {"table": "drop table if exists", "view": "drop view", "trigger": "drop trigger"}[kind]
    return f"{head} {names(name).as_string(None)}"
