"""Finds the leaves of a parse tree that name a schema, and the strings with SQL that may name
one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from windlass.engines.postgres.syntax import Node, Path


@dataclass(frozen=True, slots=True)
class Site:
    """A leaf that names a schema, or (`language` given) a string with SQL that may."""

    path: Path
    text: str
    language: str = ""


# (list of names, position of the schema, counted from the end): schema.name is 2, schema.table.name
# 3
_QUALIFIED: dict[str, tuple[tuple[str, int], ...]] = {
    "A_Expr": (("name", 2),),
    "AlterCollationStmt": (("collname", 2),),
    "AlterDomainStmt": (("typeName", 2),),
    "AlterEnumStmt": (("typeName", 2),),
    "AlterOpFamilyStmt": (("opfamilyname", 2),),
    "AlterStatsStmt": (("defnames", 2),),
    "AlterTSConfigurationStmt": (("cfgname", 2),),
    "AlterTSDictionaryStmt": (("dictname", 2),),
    "AlterTypeStmt": (("typeName", 2),),
    "CollateClause": (("collname", 2),),
    "ColumnRef": (("fields", 3),),
    "CreateAmStmt": (("handler_name", 2),),
    "CreateConversionStmt": (("conversion_name", 2), ("func_name", 2)),
    "CreateDomainStmt": (("domainname", 2),),
    "CreateEnumStmt": (("typeName", 2),),
    "CreateEventTrigStmt": (("funcname", 2),),
    "CreateFunctionStmt": (("funcname", 2),),
    "CreateOpClassItem": (("order_family", 2),),
    "CreateOpClassStmt": (("opclassname", 2), ("opfamilyname", 2)),
    "CreateOpFamilyStmt": (("opfamilyname", 2),),
    "CreatePLangStmt": (("plhandler", 2), ("plinline", 2), ("plvalidator", 2)),
    "CreateRangeStmt": (("typeName", 2),),
    "CreateStatsStmt": (("defnames", 2),),
    "CreateTrigStmt": (("funcname", 2),),
    "DefineStmt": (("defnames", 2),),
    "FuncCall": (("funcname", 2),),
    "IndexElem": (("collation", 2), ("opclass", 2)),
    "ObjectWithArgs": (("objname", 2),),
    "PartitionElem": (("collation", 2), ("opclass", 2)),
    "RangeTableSample": (("method", 2),),
    "SortBy": (("useOp", 2),),
    "SubLink": (("operName", 2),),
}

# attributes that hold only a schema name
_PLAIN: dict[str, str] = {
    "AlterObjectSchemaStmt": "newschema",
    "CreateSchemaStmt": "schemaname",
    "ImportForeignSchemaStmt": "local_schema",
    "PublicationObjSpec": "name",
    "RangeVar": "schemaname",
}

# statements about an object of any kind: (the kind of object, the object or the list of them)
_ABOUT: dict[str, tuple[str, str]] = {
    "AlterExtensionContentsStmt": ("objtype", "object"),
    "AlterObjectSchemaStmt": ("objectType", "object"),
    "AlterOwnerStmt": ("objectType", "object"),
    "CommentStmt": ("objtype", "object"),
    "DropStmt": ("removeType", "objects"),
    "GrantStmt": ("objtype", "objects"),
    "RenameStmt": ("renameType", "object"),
    "SecLabelStmt": ("objtype", "object"),
}

# schema.table.name
_OF_A_RELATION = {
    "OBJECT_COLUMN",
    "OBJECT_POLICY",
    "OBJECT_RULE",
    "OBJECT_TABCONSTRAINT",
    "OBJECT_TRIGGER",
}

# access method, then schema.name
_OF_A_METHOD = {"OBJECT_OPCLASS", "OBJECT_OPFAMILY"}

# options whose value is a list of names, counted as in _QUALIFIED
_OPTIONS = {"handler": 2, "owned_by": 3, "sequence_name": 2, "support": 2, "validator": 2}

# how the server reads a string of such a type: a statement that parses with the string in it
_OBJECT_TYPES = {
    "regclass": "table {}",
    "regcollation": "drop collation {}",
    "regconfig": "drop text search configuration {}",
    "regdictionary": "drop text search dictionary {}",
    "regnamespace": "drop schema {}",
    "regoper": "select 1 operator({}) 1",
    "regoperator": "drop operator {}",
    "regproc": "drop function {}",
    "regprocedure": "drop function {}",
    "regtype": "select null::{}",
}

LANGUAGES = {**_OBJECT_TYPES, "search_path": "set search_path to {}", "sql": "{}"}

TEXTS = {"bpchar", "cstring", "name", "text", "unknown", "varchar"}

# functions that take an object's name as a string: (which argument, how it is read)
_ARGUMENTS: dict[str, tuple[int, str]] = {
    **{kind: (0, kind) for kind in _OBJECT_TYPES},
    **{f"to_{kind}": (0, kind) for kind in _OBJECT_TYPES},
    **dict.fromkeys(["currval", "nextval", "setval"], (0, "regclass")),
    "pg_get_serial_sequence": (0, "regclass"),
    "has_any_column_privilege": (-2, "regclass"),
    "has_column_privilege": (-3, "regclass"),
    "has_function_privilege": (-2, "regprocedure"),
    "has_schema_privilege": (-2, ""),
    "has_sequence_privilege": (-2, "regclass"),
    "has_table_privilege": (-2, "regclass"),
    "has_type_privilege": (-2, "regtype"),
}


def sites(path: Path, node: Node) -> Iterator[Site]:
    """The sites in `node` itself, without the nodes below it."""
    kind = node.tag
    for field, place in _QUALIFIED.get(kind, ()):
        yield from _qualified((*path, field), getattr(node, field), place)
    if kind in _PLAIN and (name := getattr(node, _PLAIN[kind])):
        yield Site((*path, _PLAIN[kind]), name)
    if kind in _ABOUT:
        yield from _object_sites(path, node, *_ABOUT[kind])
    match node:
        case Node("TypeName"):
            yield from _qualified((*path, "names"), node.names, 3 if node.pct_type else 2)
        case Node("Constraint", exclusions=tuple(exclusions)):
            for at, (_, operator) in enumerate(exclusions):
                yield from _qualified((*path, "exclusions", at, 1), operator, 2)
        case Node("AlterTSConfigurationStmt", dicts=tuple(dictionaries)):
            for at, dictionary in enumerate(dictionaries):
                yield from _qualified((*path, "dicts", at), dictionary, 2)
        case Node("RenameStmt", renameType="OBJECT_SCHEMA"):
            yield Site((*path, "subname"), node.subname or "")
            yield Site((*path, "newname"), node.newname or "")
        case Node("ReindexStmt", kind="REINDEX_OBJECT_SCHEMA"):
            yield Site((*path, "name"), node.name or "")
        case _:
            yield from _option_sites(path, node)
            yield from _string_sites(path, node)


def _qualified(path: Path, names: object, place: int, first: int = 0) -> Iterator[Site]:
    """The schema in a list of names, if the list is long enough to hold one."""
    if isinstance(names, tuple) and (at := len(names) - place) >= first:
        yield from _string((*path, at), names[at])


def _string(path: Path, node: object) -> Iterator[Site]:
    if isinstance(node, Node) and node.tag == "String":
        yield Site((*path, "sval"), node.sval or "")


def _object_sites(path: Path, node: Node, kind_field: str, field: str) -> Iterator[Site]:
    kind: str = getattr(node, kind_field)
    objects: Any = getattr(node, field)
    all_of_schema = node.tag == "GrantStmt" and node.targtype == "ACL_TARGET_ALL_IN_SCHEMA"
    many = field == "objects"
    for at, item in enumerate((objects or ()) if many else (objects,)):
        here = (*path, field, at) if many else (*path, field)
        if all_of_schema or kind == "OBJECT_SCHEMA":
            yield from _string(here, item)
        else:
            place, first = (3 if kind in _OF_A_RELATION else 2), (1 if kind in _OF_A_METHOD else 0)
            yield from _qualified(here, item, place, first)


def _option_sites(path: Path, node: Node) -> Iterator[Site]:
    match node:
        case Node("DefElem", defname=str(name), arg=tuple(names)) if name in _OPTIONS:
            yield from _qualified((*path, "arg"), names, _OPTIONS[name])
        case Node("DefineStmt", definition=tuple(options)):
            yield from _definition_sites((*path, "definition"), options)
        case Node("AlterOperatorStmt", options=tuple(options)):
            yield from _definition_sites((*path, "options"), options)
        case Node("AlterTSDictionaryStmt", options=tuple(options)):
            yield from _definition_sites((*path, "options"), options)
        case Node("AlterDefaultPrivilegesStmt", options=tuple(options)):
            for at, option in enumerate(options):
                if option.defname == "schemas":
                    for place, name in enumerate(option.arg):
                        yield from _string((*path, "options", at, "arg", place), name)
        case Node("CreateExtensionStmt", options=tuple(options)):
            for at, option in enumerate(options):
                if option.defname == "schema":
                    yield from _string((*path, "options", at, "arg"), option.arg)
        case _:
            pass


def _definition_sites(path: Path, options: Sequence[Node]) -> Iterator[Site]:
    """The definition of an object, such as ``commutator = operator(app.=)``; and the dictionary
    that names another one in a string."""
    for at, option in enumerate(options):
        here = (*path, at, "arg")
        yield from _qualified(here, option.arg, 2)
        match option:
            case Node("DefElem", arg=Node("String", sval=text)) if (
                option.defname.lower() == "dictionary"
            ):
                yield Site((*here, "sval"), text, "regdictionary")


def _string_sites(path: Path, node: Node) -> Iterator[Site]:
    match node:
        case Node("TypeCast", typeName=Node("TypeName") as name) if (
            built_in(name).removesuffix("[]") in _OBJECT_TYPES
        ):
            yield from _constant((*path, "arg"), node.arg, built_in(name))
        case Node("FuncCall", args=tuple(arguments)):
            yield from _argument_sites((*path, "args"), _function(node), arguments)
        case Node("CreateTrigStmt", args=tuple(arguments)) if len(arguments) > 1:
            if node.funcname[-1].sval == "tsvector_update_trigger":
                yield Site((*path, "args", 1, "sval"), arguments[1].sval, "regconfig")
        case Node("VariableSetStmt", name="search_path", args=tuple(arguments)):
            for at, argument in enumerate(arguments):
                yield from _constant((*path, "args", at), argument)
        case Node("VariableSetStmt", name="default_text_search_config", args=tuple(arguments)):
            yield from _constant((*path, "args", 0), arguments[0], "regconfig")
        case Node("CreateFunctionStmt") if language_of(node) == "sql":
            yield from _body_sites(path, node)
        case _:
            pass


def _argument_sites(path: Path, function: str, arguments: Sequence[Any]) -> Iterator[Site]:
    constant = partial(_constant_of, arguments)
    if function in _ARGUMENTS:
        place, language = _ARGUMENTS[function]
        if -len(arguments) <= place < len(arguments):
            at = place % len(arguments)
            yield from _constant((*path, at), arguments[at], language)
    elif function == "set_config" and len(arguments) > 1 and constant(0) == "search_path":
        yield from _constant((*path, 1), arguments[1], "search_path")
    elif function in ("pg_restore_attribute_stats", "pg_restore_relation_stats"):
        for at in range(1, len(arguments)):
            if constant(at - 1) == "schemaname":
                yield from _constant((*path, at), arguments[at])


def _constant(path: Path, node: object, language: str = "") -> Iterator[Site]:
    """A string constant, under the casts to text that the server puts around it."""
    while isinstance(node, Node) and node.tag == "TypeCast" and built_in(node.typeName) in TEXTS:
        path, node = (*path, "arg"), node.arg
    match node:
        case Node("A_Const", val=Node("String", sval=str(text))):
            yield Site((*path, "val", "sval"), text, language)


def _constant_of(arguments: Sequence[Any], at: int) -> str:
    return next((site.text for site in _constant((), arguments[at])), "")


def built_in(name: Node | None) -> str:
    """The name of a built-in type, else ""."""
    if name is None or not (own := _own(name.names)):
        return ""
    return f"{own}[]" if name.arrayBounds else own


def _function(node: Node) -> str:
    return _own(node.funcname)


def _own(names: Sequence[Any] | None) -> str:
    *schema, name = [part.sval for part in names or ()] or [""]
    return name if schema in ([], ["pg_catalog"]) else ""


def language_of(node: Node) -> str:
    options = options_of(node)
    if "language" in options:
        return str(options["language"].sval).lower()
    return "plpgsql" if node.tag == "DoStmt" else "sql"


def options_of(node: Node) -> dict[str, Any]:
    options = node.options if node.tag == "CreateFunctionStmt" else node.args
    return {option.defname: option.arg for option in options or ()}


def _body_sites(path: Path, node: Node) -> Iterator[Site]:
    for at, option in enumerate(node.options or ()):
        if option.defname == "as":
            yield Site((*path, "options", at, "arg", 0, "sval"), option.arg[0].sval, "sql")
