"""Documents for jsonb, which silently keeps only the last value of a key that an object has twice.
What jsonb prints in another way, such as the order of keys, stays the same value. Pure.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from psycopg import sql

from windlass.engines.postgres.landing.checks import Check

# jsonb has fewer colons if a key was there twice: as many as the document has, if no text in it
# writes one as \u003a. What is exact takes much longer, and nearly no document needs it.
_CONDITION = """
(
    pg_catalog.strpos({0}::text, {1}) > 0
    or pg_catalog.length({0}::text)
       - pg_catalog.length(pg_catalog.replace({0}::text, ':', ''))
    <> pg_catalog.length({0}::text::jsonb::text)
       - pg_catalog.length(pg_catalog.replace({0}::text::jsonb::text, ':', ''))
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
_IN_LIST = f"""
exists (
    select from pg_catalog.unnest({{0}}::json[]) as each (one)
    where {_CONDITION.replace("{0}", "each.one")}
)
"""
_REASON = "a key twice in one object, of which jsonb keeps the last value only"
DOUBLED = Check(_CONDITION, _REASON, (sql.Literal(r"\u003"),))
DOUBLED_IN_LIST = replace(DOUBLED, condition=_IN_LIST)


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
