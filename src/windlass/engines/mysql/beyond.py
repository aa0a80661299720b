"""What a table or view of MySQL or MariaDB has, and no other engine. Decides what is lost; reads
only the text of SHOW CREATE TABLE and rows of the catalog. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from windlass.engines.mysql.rights import ALL
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass

# one definition a line, names always in backticks, line breaks in literals escaped
_NAME = r"`(?:[^`]|``)+`"
_KEY = re.compile(
    rf"^ +(?:UNIQUE |FULLTEXT |SPATIAL )?KEY (?P<name>{_NAME})"
    rf" (?P<columns>\((?:{_NAME}|\(\d+\)|[^`()])*\))(?P<rest>.*)$",
    re.MULTILINE,
)
_PERIOD = re.compile(rf"^ +PERIOD FOR (?P<name>{_NAME}) (?P<columns>\(.*\))", re.MULTILINE)
_COMMENT = re.compile(r"COMMENT ('(?:[^']|'')*')")
_UNUSED = re.compile(r"\b(?:IGNORED|INVISIBLE)\b")
# storage engines whose rows are those of other tables, files or servers
_ELSEWHERE = {"MRG_MYISAM", "FEDERATED", "CONNECT", "SPIDER", "BLACKHOLE", "S3", "OQGRAPH"}

_SEEN_WITH = {"EVENT": "events", "TRIGGER": "triggers", "EXECUTE": "routines"}


def lost_of(
    name: Name, text: str, columns: Iterable[dict[str, Any]], engine: str
) -> Iterator[Loss]:
    """Of a table."""

    def lost(message: str, kind: LossClass) -> Loss:
        return Loss(str(name), message, kind)

    if engine.upper() in _ELSEWHERE:
        message = (
            f"its storage engine {engine} has no rows of this table: what it shows when it is read"
            " is copied into an ordinary table"
        )
        yield lost(message, LossClass.BEHAVIOUR)
    for one in columns:
        if "invisible" in one["extra"]:
            message = (
                f"column {one['name']} is INVISIBLE: on the target, select * and an INSERT without"
                " names of columns see it"
            )
            yield lost(message, LossClass.BEHAVIOUR)
        if "zerofill" in one["type"]:
            message = f"column {one['name']} is {one['type']}: the target shows no zeros in front"
            yield lost(message, LossClass.BEHAVIOUR)
    for found in _PERIOD.finditer(text):
        if _plain(found["name"]).upper() == "SYSTEM_TIME":  # a history is named by itself
            continue
        message = (
            f"period {_plain(found['name'])} {found['columns']} is not made on the target, which"
            " does not check that it ends after its begin"
        )
        yield lost(message, LossClass.CONSTRAINTS)
    for found in _KEY.finditer(text):
        yield from (lost(*one) for one in _of_key(found))


def _of_key(found: re.Match[str]) -> Iterator[tuple[str, LossClass]]:
    name, comment = _plain(found["name"]), _COMMENT.search(found["rest"])
    if "WITHOUT OVERLAPS" in found["columns"]:
        message = f"key {name} {found['columns']}: the target accepts periods that overlap"
        yield message, LossClass.CONSTRAINTS
    if _UNUSED.search(_COMMENT.sub("", found["rest"])):
        message = f"index {name} is not used by the source, and is an ordinary one on the target"
        yield message, LossClass.STORAGE
    if comment:
        yield f"the comment of index {name} is not carried over: {comment[1]}", LossClass.COMMENTS


def lost_of_view(name: Name, one: dict[str, Any]) -> Iterator[Loss]:
    about = f"view {name}"
    if one["check_option"] not in ("", "NONE"):
        message = (
            f"WITH {one['check_option']} CHECK OPTION is not kept: rows that it does not show can"
            " be written through it"
        )
        yield Loss(about, message, LossClass.CONSTRAINTS)
    if one["security"] == "INVOKER":
        message = (
            "SQL SECURITY INVOKER is not kept: on the target it reads with the rights of its owner"
        )
        yield Loss(about, message, LossClass.BEHAVIOUR)


def unseen_with(rights: Collection[str]) -> tuple[str, ...]:
    """What a user with these rights cannot see of a database, each with the right for it."""
    if ALL in rights:
        return ()
    return tuple(f"{what} ({right})" for right, what in _SEEN_WITH.items() if right not in rights)


def _plain(name: str) -> str:
    return name[1:-1].replace("``", "`")
