"""Translates what a pg_dump newer than the target writes into syntax that the target knows.

If no pg_dump of the target's version is installed, a newer one is used. It reads every server back
to 9.2, but writes for its own version.
"""

from __future__ import annotations

import re

from psycopg import sql

from windlass.engines.postgres.syntax import split, to_text, tree_of

# NOT NULL as a constraint of a child table, on a column that it has from its parent: 18
_OF_CHILD = re.compile(r"^\s+NOT NULL ", re.MULTILINE)
_NAMES_NOT_NULL = 18


def in_older_words(definition: str, *, kind: str, major: int) -> str:
    """The definition of an object of pg_dump's `kind`, for a server of that major version."""
    is_table = kind in ("TABLE", "FOREIGN TABLE")
    if major >= _NAMES_NOT_NULL or not is_table or not _OF_CHILD.search(definition):
        return definition
    return "".join(
        f"{one};\n" for text in split(definition) for one in _without_table_constraints(text)
    )


def _without_table_constraints(text: str) -> list[str]:
    """A CREATE TABLE, and an ALTER TABLE for each NOT NULL column."""
    tree = tree_of(text)
    table = tree.base if tree.tag == "CreateForeignTableStmt" else tree
    if table.tag != "CreateStmt":
        return [text]
    elements = table.tableElts or ()
    own = [one for one in elements if one.tag == "Constraint" and one.contype == "CONSTR_NOTNULL"]
    if not own:
        return [text]
    table.tableElts = tuple(one for one in elements if one not in own)
    name = sql.Identifier(table.relation.schemaname, table.relation.relname)
    form = sql.SQL("ALTER TABLE ONLY {} ALTER COLUMN {} SET NOT NULL")
    columns = (key.sval for one in own for key in one.keys)
    alter = [form.format(name, sql.Identifier(column)).as_string(None) for column in columns]
    return [to_text(tree), *alter]
