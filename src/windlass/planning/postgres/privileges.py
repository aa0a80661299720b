"""The privileges that windlass checks for, each with the GRANT that gives it: the basis of the
plan's problems, and of docs/privileges.md::

    python -m windlass.planning.postgres.privileges > docs/privileges.md
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from psycopg import sql

from windlass.model.report import Problem


class Privilege(Enum):
    """`grant` goes before the object's name; `short` is for messages, `why` for the page."""

    READ_SCHEMA = (
        "USAGE ON SCHEMA",
        "USAGE",
        "source",
        "schemas that something is copied from",
    )
    READ_TABLE = ("SELECT ON", "SELECT", "source", "every table that is copied or compared")
    READ_SEQUENCE = ("SELECT ON SEQUENCE", "SELECT", "source", "sequences in those schemas")
    CREATE = ("CREATE ON DATABASE", "CREATE", "target", "the journal, and schemas that are created")
    CREATE_IN = (
        "CREATE ON SCHEMA",
        "CREATE",
        "target",
        "existing schemas in which objects are created",
    )
    COMPARE_SCHEMA = ("USAGE ON SCHEMA", "USAGE", "target", "`verify`: schemas that are compared")
    COMPARE_TABLE = ("SELECT ON", "SELECT", "target", "`verify`: tables that are compared")
    COMPARE_SEQUENCE = ("SELECT ON SEQUENCE", "SELECT", "target", "`verify`: sequences")

    @property
    def grant(self) -> str:
        return self.value[0]

    @property
    def short(self) -> str:
        return self.value[1]

    @property
    def side(self) -> str:
        return self.value[2]

    @property
    def why(self) -> str:
        return self.value[3]

    def lacking(self, about: str, user: str, on: sql.Identifier) -> Problem:
        """The problem of a user without the privilege, with the statement that grants it."""
        name, to = on.as_string(None), sql.Identifier(user).as_string(None)
        return Problem(
            about,
            f"{user} needs {self.short} on the {self.side}",
            f"GRANT {self.grant} {name} TO {to}",
        )


_HEAD = """\
# Privileges

<!-- Made by `python -m windlass.planning.postgres.privileges`; a test compares the two. -->

The roles that Windlass connects as need these privileges. The plan checks them before anything is
written, and lists every missing GRANT, for all objects at once. Neither side needs a superuser.
On both sides the role needs CONNECT on the database, which every role has unless it was revoked,
and pg_hba.conf has to admit it.
"""
_SIDES = {
    "source": "## On the source\n\nThe sessions are read-only.",
    "target": "## On the target\n\nThe owner of the database has all of these.",
}
_ALSO = {
    "source": (
        "Row-level security must not hide rows: connect as the tables' owner, or as a role with"
        " BYPASSRLS. Large objects: SELECT on each, or membership in their owner.",
        "For a role that may read a whole database, on version 14 and newer:"
        " `GRANT pg_read_all_data TO reader`. It does not read large objects.",
    ),
    "target": (
        "Created objects belong to the role that owns them on the source: the role you connect as"
        " must be a member of that role, or a superuser. Otherwise they belong to your role, and a"
        " notice says so.",
        "Some kinds of objects need a superuser: functions in C, base types, operator classes,"
        " foreign data wrappers. The plan names each. Event triggers, and publications of all"
        " tables or of a schema's tables, are tried; one that may not be created is a loss that"
        " `--accept objects` accepts.",
        "`--existing fill` and `--data-only` load into existing tables: INSERT, and ownership"
        " or a superuser, to disable triggers; otherwise triggers that would fire are problems.",
        "`--existing replace` and `rollback` move and drop objects, so they need ownership of"
        " them.",
        "TEMPORARY on the database, which every role has unless it was revoked: without it,"
        " definitions that the two servers print differently cannot be compared, and are reported.",
        "The journal belongs to the role that created the schema `windlass`; see"
        " [security](security.md) for how others may use it.",
        "[Rewrite](rewrite.md#privileges) has its own list.",
    ),
}


def page() -> str:
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _HEAD
    for side, title in _SIDES.items():
        yield from (title, "", "| GRANT | for |", "| --- | --- |")
        for one in Privilege:
            if one.side == side:
                yield f"| `{one.grant} …` | {one.why} |"
        yield ""
        for words in _ALSO[side]:
            yield f"- {words}"
        yield ""


if __name__ == "__main__":
    import sys

    sys.stdout.write(page())
