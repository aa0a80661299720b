"""Removes what the target lacks from entries: passwords, compression, tablespaces, methods."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from windlass.engines.postgres.archive import Entry
from windlass.engines.postgres.catalog import Existing
from windlass.engines.postgres.older import in_older_words
from windlass.engines.postgres.syntax import to_text, tree_of
from windlass.model.report import Loss, LossClass
from windlass.planning.postgres.select import describe
from windlass.planning.postgres.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class Adapted:
    """An entry that the target accepts, and whether it kept its tablespace and access method."""

    entry: Entry
    tablespace: bool
    access_method: bool
    losses: tuple[Loss, ...]


def adapt(entry: Entry, around: Surroundings, methods: Collection[str]) -> Adapted:
    """Remove what the target lacks; `methods` are the access methods that it will have."""
    existing, losses = around.existing, list[Loss]()
    text = _without_passwords(entry, entry.definition, losses)
    text = in_older_words(text, kind=entry.kind, major=around.major)
    text = _as_compressed(entry, text, existing.compressions, losses)
    tablespace = not entry.tablespace or entry.tablespace in existing.tablespaces
    if not tablespace:
        losses.append(_missing(entry, f"tablespace {entry.tablespace}"))
    access_method = entry.access_method in ("", *methods)
    if not access_method:
        losses.append(_missing(entry, f"access method {entry.access_method}"))
    return Adapted(replace(entry, definition=text), tablespace, access_method, tuple(losses))


def _missing(entry: Entry, what: str) -> Loss:
    return Loss(describe(entry), f"{what} does not exist on the target", LossClass.STORAGE)


def _without_passwords(entry: Entry, text: str, losses: list[Loss]) -> str:
    """A user mapping without its password, which would end up in the plan and in the journal."""
    if entry.kind != "USER MAPPING" or "password" not in text.lower():
        return text
    message = "its password is not carried over: set it again"
    losses.append(Loss(describe(entry), message, LossClass.SECRETS))
    mapping = tree_of(text)
    mapping.options = tuple(
        one for one in mapping.options or () if "password" not in one.defname.lower()
    )
    return f"{to_text(mapping)};\n"


# a separate line in pg_dump's text
_COMPRESSED = re.compile(
    r'^ALTER TABLE ONLY [^\n]+ ALTER COLUMN ("(?:[^"]|"")+"|[\w$]+) SET COMPRESSION (\w+);\n',
    re.MULTILINE,
)


def _as_compressed(
    entry: Entry, text: str, compressions: Collection[str], losses: list[Loss]
) -> str:
    """The text without compression methods that the server was built without: its default
    applies."""
    if entry.kind not in ("TABLE", "MATERIALIZED VIEW") or " SET COMPRESSION " not in text:
        return text
    lacking: list[tuple[str, str]] = [
        (column, method)
        for column, method in _COMPRESSED.findall(text)
        if method not in compressions
    ]
    for method in dict.fromkeys(method for _, method in lacking):
        columns = ", ".join(column for column, of in lacking if of == method)
        message = f"{columns} cannot be compressed by {method}: the target is built without it"
        losses.append(Loss(describe(entry), message, LossClass.STORAGE))
    return _COMPRESSED.sub(lambda found: found[0] if found[2] in compressions else "", text)


def access_methods(entries: Sequence[Entry], existing: Existing) -> set[str]:
    """The access methods that tables can have: existing ones, created ones, and those of
    extensions."""
    found = {name for kind, _, name, _ in existing.objects if kind == "ACCESS METHOD"} | {"heap"}
    found |= {entry.tag for entry in entries if entry.kind == "ACCESS METHOD"}
    if any(entry.kind == "EXTENSION" and entry.tag not in existing.extensions for entry in entries):
        found |= {entry.access_method for entry in entries}
    return found
