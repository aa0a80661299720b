"""Which statements only add something that needs no rows to be read: `--apply-ddl` runs these on
the target as well. Pure. If it is not clear whether a statement is one of them, it counts as none.

A column of a built-in type that may be null or has a constant default, an index over plain columns,
and a label of an enum. A constant is one whose meaning depends on no setting and no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from windlass.engines.postgres.replication.shapes import Noted
from windlass.engines.postgres.syntax import Node, SyntaxProblem, parse
from windlass.following.definitions import Correspondence
from windlass.following.noted import for_target, own_statement
from windlass.model.relation import Name

_NUMBERS = frozenset({"int2", "int4", "int8", "float4", "float8", "numeric"})
_PLAIN = _NUMBERS | {"bool", "text", "varchar", "bpchar", "uuid", "json", "jsonb"}
"""Of these a constant default means the same in every session."""
_TYPES = _PLAIN | {
    "bit", "bytea", "cidr", "date", "inet", "interval", "macaddr", "macaddr8", "time", "timestamp",
    "timestamptz", "timetz", "varbit",
}  # fmt: skip
_INDEX_FIELDS = frozenset(
    {"idxname", "relation", "accessMethod", "indexParams", "indexIncludingParams", "unique",
     "if_not_exists", "nulls_not_distinct"}
)  # fmt: skip
_COLUMN_FIELDS = frozenset({"colname", "typeName", "is_local", "constraints"})


@dataclass(frozen=True, slots=True)
class Addition:
    """A statement for the target. Names without a schema in it are in `schema`. `makes` is the
    index that it makes, which the target may have already."""

    statement: str
    schema: str
    makes: Name | None = None


def addition(statement: str, tag: str, noted: Noted, known: Correspondence) -> Addition | None:
    """What to run on the target for a statement that the source's event trigger noted. None if it
    does more than add something, or if it is not clear which statement it was."""
    text, theirs = own_statement(statement, tag), for_target(statement, tag, known.schemas)
    if text is None or theirs is None:
        return None
    try:
        (parsed,) = parse(text)
    except (SyntaxProblem, ValueError):
        return None
    tree = parsed.tree
    if tree.tag == "AlterEnumStmt":
        schema = _schema_of_type(tree, noted)
        is_additive = bool(tree.newVal) and not tree.oldVal
    else:
        found = _relation(tree, noted)
        schema = found.schema if found else None
        is_additive = _adds_columns(tree) or _makes_index(tree)
    if schema is None or not is_additive:
        return None
    there = known.schema_of(schema)
    makes = Name(there, tree.idxname) if tree.tag == "IndexStmt" else None
    return Addition(theirs, there, makes)


def _relation(tree: Node, noted: Noted) -> Name | None:
    """The one relation that the statement names, among those that it has changed."""
    if tree.tag not in ("AlterTableStmt", "IndexStmt") or tree.relation is None:
        return None
    at = tree.relation
    if not at.inh or at.catalogname:
        return None
    names = [
        one.name
        for one in noted.shapes
        if one.name.name == at.relname and at.schemaname in ("", one.name.schema)
    ]
    return names[0] if len(names) == 1 else None


def _schema_of_type(tree: Node, noted: Noted) -> str | None:
    *schemas, name = [part.sval for part in tree.typeName]
    found = {one.schema for shape in noted.shapes for one in shape.types if one.name == name}
    found = found.intersection(schemas) if schemas else found
    return found.pop() if len(found) == 1 else None


def _adds_columns(tree: Node) -> bool:
    if tree.tag != "AlterTableStmt" or tree.objtype != "OBJECT_TABLE":
        return False
    return all(
        one.subtype == "AT_AddColumn" and one.def_ is not None and _is_plain_column(one.def_)
        for one in tree.cmds
    )


def _is_plain_column(column: Node) -> bool:
    if _set_fields(column) - _COLUMN_FIELDS:
        return False
    kind, constraints = _built_in(column.typeName), column.constraints or ()
    if kind is None:
        return False
    by_type = {one.contype: one for one in constraints}
    if len(by_type) != len(constraints):
        return False
    if by_type.keys() - {"CONSTR_DEFAULT", "CONSTR_NULL", "CONSTR_NOTNULL"}:
        return False
    default = by_type.get("CONSTR_DEFAULT")
    if default is None:
        return "CONSTR_NOTNULL" not in by_type
    return _is_constant(default.raw_expr, kind)


def _built_in(type_name: Node) -> str | None:
    """The name of a built-in type that is neither an array nor a serial."""
    if type_name.arrayBounds or type_name.setof or type_name.pct_type:
        return None
    *schemas, name = [part.sval for part in type_name.names]
    return name if schemas in ([], ["pg_catalog"]) and name in _TYPES else None


def _is_constant(node: Node | None, kind: str) -> bool:
    if node is None:
        return False
    if node.tag == "TypeCast":
        return _built_in(node.typeName) == kind and _is_constant(node.arg, kind)
    if node.tag != "A_Const":
        return False
    if node.isnull:
        return True
    if node.val.tag == "String":
        return kind in _PLAIN
    return node.val.tag in ("Integer", "Float", "Boolean") and kind in _NUMBERS | {"bool"}


def _makes_index(tree: Node) -> bool:
    """Whether it makes an index over plain columns with the defaults of their types, for which no
    function is called."""
    if tree.tag != "IndexStmt" or not tree.idxname or _set_fields(tree) - _INDEX_FIELDS:
        return False
    return tree.accessMethod == "btree" and all(
        one.name and not (one.expr or one.collation or one.opclass or one.opclassopts)
        for one in (*tree.indexParams, *(tree.indexIncludingParams or ()))
    )


def _set_fields(node: Node) -> set[str]:
    """The fields whose values are not those of a field that is not set."""
    ignored = ("tag", "location")
    absent: Mapping[str, object] = Node(node.tag).__dict__
    return {
        name
        for name, value in node.__dict__.items()
        if name not in ignored and value != absent.get(name)
    }
