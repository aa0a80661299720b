"""A relation as its mapping defines it: the rows that arrive, with their new names and values.
Copying, counting and comparing all read it, so that what is proven is what was declared."""

from __future__ import annotations

from psycopg import sql

from windlass.engines.postgres.conversions import Named
from windlass.model.mapping import Mapping
from windlass.model.relation import Name


def key_settings(key_id: str) -> tuple[str, str]:
    """Settings for our sessions on the source, with the key padded as HMAC needs it. They are named
    after the key, so that a process with another key fails and hashes nothing."""
    return f"windlass.hash_inner_{key_id}", f"windlass.hash_outer_{key_id}"


# types whose text is the same everywhere, as exports hash them
_HASHED = {
    "text", "character varying", "character", "bpchar", "smallint", "integer", "bigint", "uuid",
    "date",
}  # fmt: skip


def rows(name: Name, mapping: Mapping | None) -> sql.Composed:
    """What to read from in place of the relation. ONLY, because a row belongs to one relation.

    Positions of rows stay readable, as a chunk is a range of them.
    """
    table = sql.Identifier(name.schema, name.name)
    if mapping is None:
        return sql.SQL("only {}").format(table)
    columns = [
        sql.SQL("{} as {}").format(value(one.source, one.expression), sql.Identifier(one.target))
        for one in mapping.columns
    ]
    return sql.SQL("(select ctid, {} from only {} where {}) as {}").format(
        sql.SQL(", ").join(columns),
        table,
        condition(mapping.where),
        sql.Identifier(name.name),
    )


def value(source: str, expression: str) -> sql.Composable:
    return sql.SQL("({})").format(text(expression)) if expression else sql.Identifier(source)


def condition(where: str) -> sql.Composable:
    return sql.SQL("({})").format(text(where)) if where else sql.SQL("true")


def text(expression: str) -> sql.SQL:
    """A user's SQL, unchanged. It was parsed as one expression, so it ends where it should; the
    line break ends a comment."""
    return sql.SQL(expression + "\n")


def hashed(column: str, type_: str, key_id: str) -> str:
    """The HMAC-SHA256 of a column's text, as hexadecimal digits; NULL for NULL.

    Raises:
        ValueError: of such a type there is none, as its text depends on who writes it.
    """
    name = sql.Identifier(column).as_string(None)
    kind = Named.parse(type_).name
    if kind == "numeric":  # with any scale
        written = f"trim_scale({name})::text"
    elif kind in _HASHED:  # not citext, whose equal values would have different hashes
        written = f"{name}::text"
    else:
        raise ValueError(type_)
    inner, outer = (f"current_setting('{one}')::bytea" for one in key_settings(key_id))
    message = f"{inner} || convert_to({written}, 'UTF8')"
    return f"encode(sha256({outer} || sha256({message})), 'hex')"
