"""What follows from a column's type: whether its binary form means the same on another server, and
whether a type of the same name is the same type there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from windlass.model.relation import Wire


@dataclass(frozen=True, slots=True)
class Type:
    """A row of ``sql/types.sql``. Other types are named by oid; 0 means none."""

    oid: int
    name: str
    kind: str  # pg_type.typtype: b base, c composite, d domain, e enum, m multirange, r range
    builtin: bool
    element: int  # of an array
    subtype: int
    base: int
    modifier: int  # of a domain's base type
    has_binary: bool
    has_hash: bool
    bare: str = ""  # without schema
    written_base: str = ""  # of a domain, with modifiers
    labels: Sequence[str] = ()  # of an enum, sorted
    fields: Sequence[int] = ()  # of a composite: the types of its attributes
    written_fields: Sequence[str] = ()

    @property
    def is_array(self) -> bool:
        return self.element != 0


Types = Mapping[int, Type]


def base_type(oid: int, types: Types) -> Type:
    """The base type of a domain, through all levels; any other type itself."""
    found = types[oid]
    while found.kind == "d":
        found = types[found.base]
    return found


def written_base(oid: int, written: str, types: Types) -> str:
    """As `base_type`, with the modifiers; `written` is the column's own type with its own."""
    found = types[oid]
    while found.kind == "d":
        written, found = found.written_base, types[found.base]
    return written


def definition(oid: int, written: str, types: Types) -> str:
    """What two types must have in common for a value of one to be a value of the other, on any
    server.

    User-defined types are compared by their composition, not by name. The constraints of a domain
    are ignored.
    """
    found, written = base_type(oid, types), written_base(oid, written, types)
    if found.is_array and (inside := types[found.element]) and not inside.builtin:
        return definition(inside.oid, inside.name, types) + "[]"
    if found.builtin or found.is_array:
        return written
    match found.kind:
        case "e":
            return f"enum {list(found.labels)}"
        case "c":
            pairs = zip(found.fields, found.written_fields, strict=True)
            return f"({', '.join(definition(one, text, types) for one, text in pairs)})"
        case "r":
            return f"range of {definition(found.subtype, types[found.subtype].name, types)}"
        case _:
            return found.bare + written.removeprefix(found.name)


def is_known_everywhere(oid: int, types: Types) -> bool:
    """Whether this type is the same on every server."""
    found = base_type(oid, types)
    return found.builtin and (not found.is_array or types[found.element].builtin)


# their receive functions refuse empty values, although their send functions write them
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


def names_objects(oid: int, types: Types) -> bool:
    """Whether a value is written as an object name with its schema, or contains one."""
    found = base_type(oid, types)
    if _is_reg(found):
        return found.name != "regrole"
    inside = [*found.fields, *([found.element] if found.is_array else [])]
    return any(names_objects(one, types) for one in inside)


def hashes_object_ids(oid: int, types: Types) -> bool:
    """Whether the hash of a value differs between servers, because object ids do: the hash of an
    enum is that of its label's id (hashenum), and types that contain enums inherit this."""
    found = base_type(oid, types)
    if found.kind == "e" or _is_reg(found):
        return True
    if found.kind == "m":
        return not found.builtin  # it is not known which range it belongs to
    inside = [
        *found.fields,
        *([found.element] if found.is_array else []),
        *([found.subtype] if found.kind == "r" else []),
    ]
    return any(hashes_object_ids(one, types) for one in inside)


# the hashes of their values do not depend on text, nor do those of their arrays and ranges
_WITHOUT_TEXT = {
    "bigint", "bit", "bit varying", "boolean", "bytea", "cidr", "date", "double precision", "inet",
    "integer", "interval", "macaddr", "macaddr8", "money", "numeric", "oid", "pg_lsn", "real",
    "smallint", "time with time zone", "time without time zone", "timestamp with time zone",
    "timestamp without time zone", "uuid", "xid8",
}  # fmt: skip


def hashes_text(oid: int, types: Types) -> bool:
    """Whether the hash of a value may be that of text, whose bytes depend on the database's
    encoding; or differs in any case."""
    found = base_type(oid, types)
    if hashes_object_ids(oid, types):
        return True
    inside = [
        *found.fields,
        *([found.element] if found.is_array else []),
        *([found.subtype] if found.kind == "r" else []),
    ]
    if inside:
        return any(hashes_text(one, types) for one in inside)
    return not (found.builtin and found.name in _WITHOUT_TEXT)


def _is_reg(found: Type) -> bool:
    """Whether it is regclass, regproc, regtype or the like, whose value is an oid of the source."""
    return found.builtin and found.name.startswith("reg")
