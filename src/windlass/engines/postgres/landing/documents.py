"""Documents for jsonb, which silently keeps only the last value of a key that an object has twice.
What jsonb prints in another way, such as the order of keys, stays the same value. Pure.
"""

from __future__ import annotations

import json
from typing import Any

from psycopg import sql

from windlass.engines.postgres.landing.checks import Check

# the end of a key; a quote inside a text is escaped on both sides, if not as \\u0022
_KEY_END = r'"\s*:'
# the second condition is exact, but takes ten times as long as the first, which nearly always ends
# it: jsonb has fewer keys if one was there twice
_CONDITION = """
(
    pg_catalog.strpos({0}::text, {2}) > 0
    or (select count(*) from pg_catalog.regexp_matches({0}::text, {1}, 'g'))
    <> (select count(*) from pg_catalog.regexp_matches({0}::text::jsonb::text, {1}, 'g'))
) and exists (
    with recursive parts (part) as (
        select {0}::text::json
        union all
        select one.value
        from parts, lateral (
            select value from pg_catalog.json_each(
                case when pg_catalog.json_typeof(part) = 'object' then part else '{{}}' end
            )
            union all
            select value from pg_catalog.json_array_elements(
                case when pg_catalog.json_typeof(part) = 'array' then part else '[]' end
            )
        ) one
    )
    select from parts
    where pg_catalog.json_typeof(part) = 'object'
      and (
        select count(*) <> count(distinct key collate "C")
        from pg_catalog.json_object_keys(part) as keys (key)
      )
)
"""
DOUBLED = Check(
    _CONDITION,
    "a key twice in one object, of which jsonb keeps the last value only",
    (sql.Literal(_KEY_END), sql.Literal(r"\u0022")),
)


class _Doubled(Exception):
    pass


def may_be_doubled(text: str) -> bool:
    """Whether an object of the document has a key twice. True, too, if it cannot be read."""
    try:
        json.loads(text, object_pairs_hook=_unique, parse_int=str, parse_float=str)
    except (_Doubled, ValueError, RecursionError):
        return True
    return False


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) > 1 and len({key for key, _ in pairs}) < len(pairs):
        raise _Doubled
