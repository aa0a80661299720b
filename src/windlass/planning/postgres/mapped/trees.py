"""Parse trees of definitions with the names of mapped tables and columns.

A column is renamed where a statement is of one table, so that a bare name can only be its column.
A query over several tables keeps its text: the table gets the old names as an alias there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from windlass.engines.postgres.quoting import quote_identifier
from windlass.engines.postgres.syntax import Node, nodes
from windlass.model.relation import Name


class Unmapped(Exception):
    """A definition cannot be carried over, for this reason."""


class Dropped(Unmapped):
    """It uses a column that is dropped."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a mapped table: its new name, and its columns' new names by the old ones;
    dropped columns have none. `retyped` are columns that get another type."""

    old: Name
    new: Name
    columns: Mapping[str, str]
    retyped: frozenset[str]
    recounted: frozenset[str]  # those of them that were and are whole numbers: they may count up
    aliases: tuple[str, ...]  # for a query: of every column on the target, its name there

    def column(self, name: str) -> str:
        """Raises:
        Dropped: the column is.
        """
        if name not in self.columns:
            raise Dropped(f"uses column {name}, which is dropped")
        return self.columns[name]

    @property
    def renames(self) -> bool:
        """Whether a column has another name."""
        return any(old != new for old, new in self.columns.items())

    @property
    def is_plain(self) -> bool:
        """Whether a definition stays valid unchanged."""
        return self.old == self.new and not self.renames


def subject(tree: Node) -> Name | None:
    """The table that a statement is of."""
    match tree.tag:
        case "CreateStmt" | "AlterTableStmt" | "IndexStmt" | "CreateTrigStmt" | "RuleStmt":
            return _name(tree.relation)
        case "CreatePolicyStmt" | "AlterPolicyStmt":
            return _name(tree.table)
        case "CreateStatsStmt":
            relations = tree.relations or ()
            return _name(relations[0]) if relations else None
        case "GrantStmt" if tree.objtype == "OBJECT_TABLE" and len(tree.objects or ()) == 1:
            return _name(tree.objects[0])
        case "AlterPublicationStmt" if len(tree.pubobjects or ()) == 1:
            table = tree.pubobjects[0].pubtable
            return _name(table.relation) if table else None
        case "CommentStmt" | "SecLabelStmt" if tree.objtype in _OF_TABLE:
            schema, table = (one.sval for one in tree.object[:2])
            return Name(schema, table)
    return None


_OF_TABLE = {
    "OBJECT_COLUMN", "OBJECT_TABLE", "OBJECT_TABCONSTRAINT", "OBJECT_TRIGGER", "OBJECT_POLICY",
    "OBJECT_RULE",
}  # fmt: skip


def _name(range_: Node) -> Name:
    return Name(range_.schemaname, range_.relname)


# commands of ALTER TABLE whose name is that of a column
_OF_COLUMN = {
    "AT_ColumnDefault", "AT_SetNotNull", "AT_DropNotNull", "AT_SetStatistics", "AT_SetOptions",
    "AT_ResetOptions", "AT_SetStorage", "AT_SetCompression", "AT_AddIdentity", "AT_SetIdentity",
}  # fmt: skip


_OF_TYPE = {"AT_ColumnDefault", "AT_AddIdentity", "AT_SetIdentity"}


def rename_columns(tree: Node, own: Names) -> None:
    """Rename the columns in a statement of one table.

    Raises:
        Unmapped: it uses one that is dropped, or has another type; or it has a query.
    """
    if any(one.tag == "SubLink" for one in nodes(tree)):
        raise Unmapped("holds a query, in which names may mean other tables' columns")
    for node in list(nodes(tree)):
        _rename_in(node, own)


def rename_referred(tree: Node, tables: Mapping[Name, Names]) -> None:
    """Rename the columns that a foreign key refers to.

    Raises:
        Unmapped: one is dropped.
    """
    for node in nodes(tree):
        if node.tag == "Constraint" and node.pktable is not None:
            other = tables.get(_name(node.pktable))
            if other is not None:
                _rename_strings(node.pk_attrs, other)
        if node.tag == "DefElem" and node.defname == "owned_by" and isinstance(node.arg, tuple):
            schema, table, column = (one.sval for one in node.arg)
            if (other := tables.get(Name(schema, table))) is not None:
                node.arg[-1].sval = other.column(column)


def _rename_in(node: Node, own: Names) -> None:
    match node.tag:
        case "AlterTableCmd" if node.subtype in _OF_COLUMN:
            if node.subtype in _OF_TYPE and node.name in own.retyped - own.recounted:
                raise Unmapped(f"is of column {node.name}, which has another type")
            node.name = own.column(node.name)
        case "IndexElem" | "StatsElem" if node.name:
            node.name = own.column(node.name)
        case "ColumnRef":
            _rename_reference(node, own)
        case "Constraint":
            _rename_strings(node.keys, own)
            _rename_strings(node.including, own)
            _rename_strings(node.fk_attrs, own)
            _rename_strings(node.fk_del_set_cols, own)
        case "CreateTrigStmt" | "PublicationTable":
            _rename_strings(node.columns, own)
        case "AccessPriv":
            _rename_strings(node.cols, own)
        case "CommentStmt" | "SecLabelStmt" if node.objtype == "OBJECT_COLUMN":
            node.object[-1].sval = own.column(node.object[-1].sval)


def _rename_strings(names: Iterable[Node] | None, own: Names) -> None:
    for one in names or ():
        one.sval = own.column(one.sval)


def _rename_reference(node: Node, own: Names) -> None:
    """`email`, `users.email`, `new.email`."""
    *before, last = node.fields
    if last.tag != "String" or not _is_of(before, own):
        raise Unmapped("uses a row as a whole")
    if last.sval in own.retyped:
        raise Unmapped(f"uses column {last.sval}, which has another type")
    last.sval = own.column(last.sval)


def _is_of(before: list[Node], own: Names) -> bool:
    words = [one.sval for one in before]
    return not words or words in (["old"], ["new"], [own.old.name], [own.old.schema, own.old.name])


def columns_in(tree: object) -> set[str]:
    """Names of columns in an expression over one table."""
    found = (one.fields[-1] for one in nodes(tree) if one.tag == "ColumnRef")
    return {one.sval for one in found if one.tag == "String"}


def rename_relations(tree: Node, names: Mapping[Name, Name]) -> None:
    """Give tables, their indexes and their sequences their new names, wherever they are named."""
    for node in list(nodes(tree)):
        match node.tag:
            case "RangeVar" if (new := names.get(_name(node))) is not None:
                node.schemaname, node.relname = new.schema, new.name
            case "TypeName":
                _rename_pair(node.names, names)
            case "CommentStmt" | "SecLabelStmt" if isinstance(node.object, tuple):
                _rename_pair(node.object, names)
            case "DropStmt":
                for one in node.objects or ():
                    if isinstance(one, tuple):
                        _rename_pair(one, names)
            case "DefElem" if node.defname in ("owned_by", "sequence_name"):
                if isinstance(node.arg, tuple):
                    _rename_pair(node.arg, names)
            case "ColumnRef":
                if len(node.fields) == 3 and node.fields[-1].tag == "String":
                    _rename_pair(node.fields, names)
            case "A_Const" if node.val is not None and node.val.tag == "String":
                _rename_string(node.val, names)


def _rename_pair(parts: Any, names: Mapping[Name, Name]) -> None:
    """The schema and the name that a list of names begins with."""
    if not isinstance(parts, tuple) or len(parts) < 2:
        return
    first, second = parts[:2]
    if first.tag != "String" or second.tag != "String":
        return
    new = names.get(Name(first.sval, second.sval))
    if new is not None:
        first.sval, second.sval = new.schema, new.name


def _rename_string(string: Node, names: Mapping[Name, Name]) -> None:
    """Names in strings such as `'shop.users_id_seq'`, which nextval() and regclass take."""
    for old, new in names.items():
        if string.sval == qualified(old):
            string.sval = qualified(new)
            return


def qualified(name: Name) -> str:
    return f"{quote_identifier(name.schema)}.{quote_identifier(name.name)}"


def alias_tables(tree: Node, tables: Mapping[Name, Names]) -> None:
    """Let a query see mapped tables by their old names, and their columns by theirs.

    Raises:
        Unmapped: it writes into one, or uses a row as a whole.
    """
    _refuse_rows(tree)
    written = _written(tree)
    for node in list(nodes(tree)):
        if node.tag != "RangeVar" or (own := tables.get(_name(node))) is None:
            continue
        if any(node is one for one in written):
            raise Unmapped(f"writes into {own.old}")
        old = node.alias.aliasname if node.alias is not None else own.old.name
        columns = tuple(Node("String", sval=one) for one in own.aliases) if own.renames else None
        if node.alias is not None and node.alias.colnames:
            raise Unmapped(f"gives the columns of {own.old} other names")
        if columns is None and own.new.name == old:
            continue
        node.alias = Node("Alias", aliasname=old, colnames=columns)


def _refuse_rows(tree: Node) -> None:
    for node in nodes(tree):
        if node.tag == "ColumnRef" and node.fields[-1].tag != "String":
            raise Unmapped("uses a row as a whole")


def _written(tree: Node) -> list[Node]:
    return [
        one.relation
        for one in nodes(tree)
        if one.tag in ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")
    ]
