"""Our function that a followed source runs in its event triggers: its name and body, both to create
it and to recognize it. It notes in `windlass.ddl` which statements change what a run follows.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

_PREFIX = "note_ddl_"
FUNCTION = rf"^{_PREFIX}(\d{{8}}_\d{{4}}_[0-9a-f]{{4}})$"
"""Matches the names of these functions; the group is the run."""


def function_name(run: str) -> str:
    """Its name in schema `windlass`."""
    return f"{_PREFIX}{run}"


@cache
def function_body() -> str:
    """What the function of a run does; `{run}` stands for the run."""
    body = _text("note_ddl.sql").replace("{shapes}", shapes_query("touched"))
    return body.replace("{within}", _text("within.sql"))


def shapes_query(relations: str) -> str:
    """The query for the shapes of relations: an array expression has their oids."""
    query = _text("shapes.sql").replace("{within}", _text("within.sql"))
    return query.replace("{relations}", relations)


def _text(name: str) -> str:
    return (resources.files("windlass.trust") / name).read_text(encoding="utf-8")
