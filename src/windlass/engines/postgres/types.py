"""What a column's type decides: whether its binary form means the same on another server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from windlass.model.relation import Wire


@dataclass(frozen=True, slots=True)
class Type:
    """A row of ``sql/types.sql``. Other types are named by oid; 0 means none."""

    oid: int
    name: str
    kind: str  # pg_type.typtype: b base, c composite, d domain, e enum, m multirange, r range
    builtin: bool
    element: int
    is_array: bool
    subtype: int
    base: int
    modifier: int  # of a domain's base type
    has_binary: bool
    has_hash: bool


Types = Mapping[int, Type]


def base_type(oid: int, types: Types) -> Type:
    """The type under a domain, however deep; any other type itself."""
    found = types[oid]
    while found.kind == "d":
        found = types[found.base]
    return found


# their receive functions refuse an empty one, which their send functions write
_STRICT = {"int2vector", "oidvector", "tsquery"}


def wire(oid: int, types: Types) -> Wire:
    """Binary where the bytes carry no object id of the source server.

    Arrays and composites send the oids of their element and field types, which differ between
    servers for user-defined ones (array_send, record_send); reg* types are oids themselves. An
    enum sends its label, a domain sends its base type.
    """
    found = base_type(oid, types)
    if found.builtin and found.name in _STRICT:
        return Wire.TEXT
    if found.is_array:
        inside = types[found.element]
        safe = inside.builtin and not _is_reg(inside) and inside.has_binary
        safe = safe and inside.name not in _STRICT
    elif found.kind in ("c", "p"):
        safe = False
    elif found.kind in ("r", "m"):
        safe = found.builtin
    else:
        safe = found.has_binary and not _is_reg(found)
    return Wire.BINARY if safe else Wire.TEXT


def _is_reg(found: Type) -> bool:
    """regclass, regproc, regtype and the like, whose value is an oid of the source."""
    return found.builtin and found.name.startswith("reg")
