"""A statement that the source's event trigger noted, for people: its text, if it was sent as one
statement; otherwise what it did. Anything else that a client sent with it is not shown."""

from __future__ import annotations

from collections.abc import Mapping

from windlass.engines.postgres.rename import rename_schemas
from windlass.engines.postgres.syntax import SyntaxProblem, split
from windlass.errors import WindlassError

_MOST_WORDS = 5  # the first words of a statement, which name the kind of object
_SHOWN = 2000  # characters of a statement


def shown(statement: str, tag: str, objects: tuple[str, ...]) -> str:
    """What was done."""
    if found := own_statement(statement, tag):
        text = " ".join(found.split()) if "'" not in found and '"' not in found else found
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return f"{tag} {', '.join(objects)}".strip()


def own_statement(statement: str, tag: str) -> str | None:
    """The one statement in a text that has this command tag; None if it is not clear which, for
    example inside a function."""
    try:
        found = [one for one in split(statement) if _is_of_tag(one, tag)]
    except SyntaxProblem:
        return None
    return found[0] if len(found) == 1 else None


def _is_of_tag(statement: str, tag: str) -> bool:
    words = [word.upper() for word in statement.split()[:_MOST_WORDS]]
    verb, *kind = tag.split()
    return words[:1] == [verb] and all(word in words for word in kind[:1])


def for_target(statement: str, tag: str, schemas: Mapping[str, str]) -> str | None:
    """The statement with the target's schemas; None if that is not clear. Names without a schema
    stay as they are."""
    found = own_statement(statement, tag)
    if found is None:
        return None
    try:
        renamed = rename_schemas(found, schemas)
    except WindlassError:
        return None
    return None if renamed.losses else renamed.sql
