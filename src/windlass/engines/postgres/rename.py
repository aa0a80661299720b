"""Gives schemas new names in DDL: decides which words of a text name a schema, and changes those.

What to do with the losses, and which schemas to rename, is left to the caller.

The text is spliced, not printed again from its tree: pglast's printers would have to be right for
every statement there is, while a splice leaves alone what it does not touch. In one statement:

1. The parse tree says which of its leaves name a schema (`_QUALIFIED` and the tables beside it).
2. Few nodes of the tree know their place in the text. So each word that could be one of those
   names is replaced by a mark of its own and the text is parsed again: the leaf that holds the
   mark is what the word says. A word whose mark changes more than that is grammar
   (``GRANT ... TO PUBLIC``, ``WITH NO DATA``), not a name.
3. The words of the leaves found in 1 are replaced in the text.
4. The new text is parsed. Its tree has to be the first tree with exactly the leaves of 1 changed;
   anything else raises.

Names inside strings (``'app.s'::regclass``, the body of an SQL function) are SQL of their own and
go the same way. A string that cannot be read as SQL is kept, and named as a loss.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pglast import ast, parse_sql
from pglast.enums import GrantTargetType, ObjectType, ReindexObjectType
from pglast.keywords import COL_NAME_KEYWORDS, RESERVED_KEYWORDS, TYPE_FUNC_NAME_KEYWORDS
from pglast.parser import ParseError, scan

from windlass.errors import WindlassError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pglast.parser import Token

Path = tuple[str | int, ...]  # attributes and list positions, from the statement to a leaf
Shape = dict[Path, object]  # a tree laid flat: its leaves' values, its nodes' types

NAME_BYTES = 63  # NAMEDATALEN - 1: the server cuts what is longer


@dataclass(frozen=True, slots=True)
class Renamed:
    """`losses` are sentences: what may still name an old schema."""

    sql: str
    losses: tuple[str, ...] = ()


def rename_schemas(sql: str, mapping: Mapping[str, str]) -> Renamed:
    """Rewrite every reference to a schema that is a key of `mapping` into its value.

    All at once, so ``{"a": "b", "b": "a"}`` swaps. Statements that refer to none of them come back
    byte for byte.

    Raises:
        WindlassError: the text names a schema of `mapping` but cannot be parsed, or the new text
            did not mean the same.
    """
    mapping = {old: new for old, new in mapping.items() if old != new}
    for new in mapping.values():
        _check_name(new)
    try:
        return _rename_text(sql, mapping) if mapping else Renamed(sql)
    except ParseError as error:
        raise WindlassError(
            f"cannot rename a schema in {_head(sql)}: {error.args[0]}",
            hint="the parser knows SQL up to PostgreSQL 18; leave this object out, "
            "or keep the schema's name",
        ) from error


def quote_identifier(name: str) -> str:
    """As the server and pg_dump write it: bare where that means the same."""
    if re.fullmatch("[a-z_][a-z0-9_]*", name) and name not in _QUOTED_KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


_QUOTED_KEYWORDS = COL_NAME_KEYWORDS | RESERVED_KEYWORDS | TYPE_FUNC_NAME_KEYWORDS


def _check_name(name: str) -> None:
    if not 0 < len(name.encode()) <= NAME_BYTES:
        raise WindlassError(
            f"a schema cannot be called {name!r}",
            hint=f"a name has 1 to {NAME_BYTES} bytes in UTF-8",
        )


def _rename_text(sql: str, mapping: Mapping[str, str]) -> Renamed:
    if not _may_name(sql, mapping):
        return Renamed(sql)
    pieces: list[str] = []
    losses: list[str] = []
    done = 0
    for raw in parse_sql(sql):
        start = raw.stmt_location or 0
        end = start + raw.stmt_len if raw.stmt_len else len(sql)
        renamed = _rename_statement(sql[start:end], mapping)
        pieces += sql[done:start], renamed.sql
        losses += renamed.losses
        done = end
    return Renamed("".join([*pieces, sql[done:]]), tuple(dict.fromkeys(losses)))


def _rename_statement(sql: str, mapping: Mapping[str, str]) -> Renamed:
    if not _may_name(sql, mapping):
        return Renamed(sql)
    tree = _parse(sql)
    edits, losses = _read_edits(tree, mapping)
    renamed = _apply_edits(sql, tree, edits) if edits else sql
    return Renamed(renamed, tuple(f"{_head(sql)} {loss}" for loss in losses))


def _parse(sql: str) -> object:
    return tuple(raw.stmt for raw in parse_sql(sql))


def _may_name(text: str, names: Mapping[str, str]) -> bool:
    """False only if no schema of `names` can be meant: then nothing is parsed.

    Quotes are left out on both sides, since a name inside a string inside a name has them doubled
    more than once. A text with escapes may spell a name in ways that are not looked for.
    """
    folded = _fold(text)
    escapes = "u&" in folded or ("e'" in folded and "\\" in folded)
    return escapes or any(_bare(_fold(name)) in _bare(folded) for name in names)


def _bare(text: str) -> str:
    return text.replace('"', "").replace("'", "")


def _fold(text: str) -> str:
    """To lower case as the server does it: ASCII only."""
    return text.encode().lower().decode()


def _head(sql: str) -> str:
    """What a person knows the statement by. Ends before the first string: it may be a password."""
    lines = [line for line in sql.splitlines() if line.strip() and not line.startswith("--")]
    head = re.split("['$]", lines[0], maxsplit=1)[0].strip() if lines else ""
    return f"`{head[:77]}...`" if len(head) > 80 else f"`{head}`"


# Trees


def _walk(root: object) -> Iterator[tuple[Path, Any]]:
    """Every node, list and leaf, in the order of the text as far as the tree has it."""
    todo: list[tuple[Path, Any]] = [((), root)]
    while todo:
        path, value = todo.pop()
        yield path, value
        if isinstance(value, ast.Node):
            children: list[tuple[str | int, Any]] = [
                (field, getattr(value, field)) for field in _FIELDS[type(value)]
            ]
        else:
            children = list(enumerate(value)) if isinstance(value, tuple) else []
        todo.extend(((*path, step), child) for step, child in reversed(children))


# without the places in the text, which are all that may differ between equal trees
_FIELDS: dict[type, tuple[str, ...]] = {
    kind: tuple(field for field, slot in slots.items() if slot.c_type != "ParseLoc")
    for kind in vars(ast).values()
    if isinstance(kind, type)
    and issubclass(kind, ast.Node)
    and isinstance(slots := vars(kind)["__slots__"], dict)
}


def _shape(root: object) -> Shape:
    return {
        path: type(value) if isinstance(value, (ast.Node, tuple)) else value
        for path, value in _walk(root)
    }


# Which leaves name a schema


@dataclass(frozen=True, slots=True)
class _Site:
    """A leaf that names a schema, or (`language` given) a string with SQL that may."""

    path: Path
    text: str
    language: str = ""


# (list of names, the schema's place counted from the end): schema.name is 2, schema.table.name 3
_QUALIFIED: dict[type[ast.Node], tuple[tuple[str, int], ...]] = {
    ast.A_Expr: (("name", 2),),
    ast.AlterCollationStmt: (("collname", 2),),
    ast.AlterDomainStmt: (("typeName", 2),),
    ast.AlterEnumStmt: (("typeName", 2),),
    ast.AlterOpFamilyStmt: (("opfamilyname", 2),),
    ast.AlterStatsStmt: (("defnames", 2),),
    ast.AlterTSConfigurationStmt: (("cfgname", 2),),
    ast.AlterTSDictionaryStmt: (("dictname", 2),),
    ast.AlterTypeStmt: (("typeName", 2),),
    ast.CollateClause: (("collname", 2),),
    ast.ColumnRef: (("fields", 3),),
    ast.CreateAmStmt: (("handler_name", 2),),
    ast.CreateConversionStmt: (("conversion_name", 2), ("func_name", 2)),
    ast.CreateDomainStmt: (("domainname", 2),),
    ast.CreateEnumStmt: (("typeName", 2),),
    ast.CreateEventTrigStmt: (("funcname", 2),),
    ast.CreateFunctionStmt: (("funcname", 2),),
    ast.CreateOpClassItem: (("order_family", 2),),
    ast.CreateOpClassStmt: (("opclassname", 2), ("opfamilyname", 2)),
    ast.CreateOpFamilyStmt: (("opfamilyname", 2),),
    ast.CreatePLangStmt: (("plhandler", 2), ("plinline", 2), ("plvalidator", 2)),
    ast.CreateRangeStmt: (("typeName", 2),),
    ast.CreateStatsStmt: (("defnames", 2),),
    ast.CreateTrigStmt: (("funcname", 2),),
    ast.DefineStmt: (("defnames", 2),),
    ast.FuncCall: (("funcname", 2),),
    ast.IndexElem: (("collation", 2), ("opclass", 2)),
    ast.ObjectWithArgs: (("objname", 2),),
    ast.PartitionElem: (("collation", 2), ("opclass", 2)),
    ast.RangeTableSample: (("method", 2),),
    ast.SortBy: (("useOp", 2),),
    ast.SubLink: (("operName", 2),),
}

# attributes that are a schema's name and nothing else
_PLAIN: dict[type[ast.Node], str] = {
    ast.AlterObjectSchemaStmt: "newschema",
    ast.CreateSchemaStmt: "schemaname",
    ast.ImportForeignSchemaStmt: "local_schema",
    ast.PublicationObjSpec: "name",
    ast.RangeVar: "schemaname",
}

# statements about an object of any kind: (the kind of object, the object or the list of them)
_ABOUT: dict[type[ast.Node], tuple[str, str]] = {
    ast.AlterExtensionContentsStmt: ("objtype", "object"),
    ast.AlterObjectSchemaStmt: ("objectType", "object"),
    ast.AlterOwnerStmt: ("objectType", "object"),
    ast.CommentStmt: ("objtype", "object"),
    ast.DropStmt: ("removeType", "objects"),
    ast.GrantStmt: ("objtype", "objects"),
    ast.RenameStmt: ("renameType", "object"),
    ast.SecLabelStmt: ("objtype", "object"),
}

# schema.table.name
_OF_A_RELATION = {
    ObjectType.OBJECT_COLUMN,
    ObjectType.OBJECT_POLICY,
    ObjectType.OBJECT_RULE,
    ObjectType.OBJECT_TABCONSTRAINT,
    ObjectType.OBJECT_TRIGGER,
}

# access method, then schema.name
_OF_A_METHOD = {ObjectType.OBJECT_OPCLASS, ObjectType.OBJECT_OPFAMILY}

# options whose value is a list of names, counted as in _QUALIFIED
_OPTIONS = {"handler": 2, "owned_by": 3, "sequence_name": 2, "support": 2, "validator": 2}

# how the server reads a string of such a type: a statement that parses with the string in place
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
_LANGUAGES = {**_OBJECT_TYPES, "search_path": "set search_path to {}", "sql": "{}"}

_TEXTS = {"bpchar", "cstring", "name", "text", "unknown", "varchar"}

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


def _sites(path: Path, node: ast.Node) -> Iterator[_Site]:
    """What `node` itself names, without the nodes below it."""
    kind = type(node)
    for field, place in _QUALIFIED.get(kind, ()):
        yield from _qualified((*path, field), getattr(node, field), place)
    if kind in _PLAIN and (name := getattr(node, _PLAIN[kind])) is not None:
        yield _Site((*path, _PLAIN[kind]), name)
    if kind in _ABOUT:
        yield from _object_sites(path, node, *_ABOUT[kind])
    match node:
        case ast.TypeName():
            yield from _qualified((*path, "names"), node.names, 3 if node.pct_type else 2)
        case ast.Constraint(exclusions=tuple(exclusions)):
            for at, (_, operator) in enumerate(exclusions):
                yield from _qualified((*path, "exclusions", at, 1), operator, 2)
        case ast.AlterTSConfigurationStmt(dicts=tuple(dictionaries)):
            for at, dictionary in enumerate(dictionaries):
                yield from _qualified((*path, "dicts", at), dictionary, 2)
        case ast.RenameStmt(renameType=ObjectType.OBJECT_SCHEMA):
            yield _Site((*path, "subname"), node.subname or "")
            yield _Site((*path, "newname"), node.newname or "")
        case ast.ReindexStmt(kind=ReindexObjectType.REINDEX_OBJECT_SCHEMA):
            yield _Site((*path, "name"), node.name or "")
        case _:
            yield from _option_sites(path, node)
            yield from _string_sites(path, node)


def _qualified(path: Path, names: object, place: int, first: int = 0) -> Iterator[_Site]:
    """The schema in a list of names, if the list is long enough to hold one."""
    if isinstance(names, tuple) and (at := len(names) - place) >= first:
        yield from _string((*path, at), names[at])


def _string(path: Path, node: object) -> Iterator[_Site]:
    if isinstance(node, ast.String):
        yield _Site((*path, "sval"), node.sval or "")


def _object_sites(path: Path, node: ast.Node, kind_field: str, field: str) -> Iterator[_Site]:
    kind: ObjectType = getattr(node, kind_field)
    objects: Any = getattr(node, field)
    all_of_schema = (
        isinstance(node, ast.GrantStmt)
        and node.targtype is GrantTargetType.ACL_TARGET_ALL_IN_SCHEMA
    )
    many = field == "objects"
    for at, item in enumerate((objects or ()) if many else (objects,)):
        here = (*path, field, at) if many else (*path, field)
        if all_of_schema or kind is ObjectType.OBJECT_SCHEMA:
            yield from _string(here, item)
        else:
            place, first = (3 if kind in _OF_A_RELATION else 2), (1 if kind in _OF_A_METHOD else 0)
            yield from _qualified(here, item, place, first)


def _option_sites(path: Path, node: ast.Node) -> Iterator[_Site]:
    match node:
        case ast.DefElem(defname=str(name), arg=tuple(names)) if name in _OPTIONS:
            yield from _qualified((*path, "arg"), names, _OPTIONS[name])
        case ast.DefineStmt(definition=tuple(options)):
            yield from _definition_sites((*path, "definition"), options)
        case ast.AlterOperatorStmt(options=tuple(options)):
            yield from _definition_sites((*path, "options"), options)
        case ast.AlterTSDictionaryStmt(options=tuple(options)):
            yield from _definition_sites((*path, "options"), options)
        case ast.AlterDefaultPrivilegesStmt(options=tuple(options)):
            for at, option in enumerate(options):
                if option.defname == "schemas":
                    for place, name in enumerate(option.arg):
                        yield from _string((*path, "options", at, "arg", place), name)
        case ast.CreateExtensionStmt(options=tuple(options)):
            for at, option in enumerate(options):
                if option.defname == "schema":
                    yield from _string((*path, "options", at, "arg"), option.arg)
        case _:
            pass


def _definition_sites(path: Path, options: Sequence[ast.DefElem]) -> Iterator[_Site]:
    """``commutator = operator(app.=)``, and the one dictionary that names another in a string."""
    for at, option in enumerate(options):
        here = (*path, at, "arg")
        yield from _qualified(here, option.arg, 2)
        if (option.defname or "").lower() == "dictionary" and isinstance(option.arg, ast.String):
            yield _Site((*here, "sval"), option.arg.sval or "", "regdictionary")


def _string_sites(path: Path, node: ast.Node) -> Iterator[_Site]:
    match node:
        case ast.TypeCast(typeName=ast.TypeName() as name) if (
            _built_in(name).removesuffix("[]") in _OBJECT_TYPES
        ):
            yield from _constant((*path, "arg"), node.arg, _built_in(name))
        case ast.FuncCall(args=tuple(arguments)):
            yield from _argument_sites((*path, "args"), _function(node), arguments)
        case ast.CreateTrigStmt(args=tuple(arguments)) if len(arguments) > 1:
            if (node.funcname or ())[-1].sval == "tsvector_update_trigger":
                yield _Site((*path, "args", 1, "sval"), arguments[1].sval, "regconfig")
        case ast.VariableSetStmt(name="search_path", args=tuple(arguments)):
            for at, argument in enumerate(arguments):
                yield from _constant((*path, "args", at), argument)
        case ast.VariableSetStmt(name="default_text_search_config", args=tuple(arguments)):
            yield from _constant((*path, "args", 0), arguments[0], "regconfig")
        case ast.CreateFunctionStmt() if _language(node) == "sql":
            yield from _body_sites(path, node)
        case _:
            pass


def _argument_sites(path: Path, function: str, arguments: Sequence[Any]) -> Iterator[_Site]:
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


def _constant(path: Path, node: object, language: str = "") -> Iterator[_Site]:
    """A string constant, under the casts to text that the server puts around it."""
    while isinstance(node, ast.TypeCast) and _built_in(node.typeName) in _TEXTS:
        path, node = (*path, "arg"), node.arg
    match node:
        case ast.A_Const(val=ast.String(sval=str(text))):
            yield _Site((*path, "val", "sval"), text, language)


def _constant_of(arguments: Sequence[Any], at: int) -> str:
    return next((site.text for site in _constant((), arguments[at])), "")


def _built_in(name: ast.TypeName | None) -> str:
    """The name of a type of the server's own, else nothing."""
    if name is None or not (own := _own(name.names)):
        return ""
    return f"{own}[]" if name.arrayBounds else own


def _function(node: ast.FuncCall) -> str:
    return _own(node.funcname)


def _own(names: Sequence[Any] | None) -> str:
    *schema, name = [part.sval for part in names or ()] or [""]
    return name if schema in ([], ["pg_catalog"]) else ""


def _language(node: ast.CreateFunctionStmt | ast.DoStmt) -> str:
    options = _options(node)
    if "language" in options:
        return str(options["language"].sval).lower()
    return "plpgsql" if isinstance(node, ast.DoStmt) else "sql"


def _options(node: ast.CreateFunctionStmt | ast.DoStmt) -> dict[str, Any]:
    options = node.options if isinstance(node, ast.CreateFunctionStmt) else node.args
    return {option.defname: option.arg for option in options or ()}


def _body_sites(path: Path, node: ast.CreateFunctionStmt) -> Iterator[_Site]:
    for at, option in enumerate(node.options or ()):
        if option.defname == "as":
            yield _Site((*path, "options", at, "arg", 0, "sval"), option.arg[0].sval, "sql")


# What changes, and what is kept although it may name an old schema


def _read_edits(tree: object, mapping: Mapping[str, str]) -> tuple[dict[Path, str], list[str]]:
    """The leaves with their new values, and the losses as sentences without a subject."""
    edits: dict[Path, str] = {}
    losses: list[str] = []
    read: set[Path] = set()
    for path, node in _walk(tree):
        if not isinstance(node, ast.Node):
            continue
        read |= _values(path, node, mapping)
        for site in _sites(path, node):
            new, found = _rename_site(site, mapping)
            losses += found
            read.add(site.path)
            if new != site.text:
                edits[site.path] = new
        losses += _body_losses(node, mapping)
        for here, text in _strings(path, node):
            if here not in read:
                losses += _string_losses(text, mapping)
    return edits, losses


def _rename_site(site: _Site, mapping: Mapping[str, str]) -> tuple[str, list[str]]:
    if not site.language:
        return mapping.get(site.text, site.text), []
    if site.language.endswith("[]"):
        return _rename_array(site, mapping)
    before, after = _LANGUAGES[site.language].split("{}")
    try:
        renamed = _rename_text(before + site.text + after, mapping)
    except ParseError:
        return site.text, _string_losses(site.text, mapping)
    losses = [f"has in its body: {loss}" for loss in renamed.losses]
    return renamed.sql[len(before) : len(renamed.sql) - len(after)], losses


def _rename_array(site: _Site, mapping: Mapping[str, str]) -> tuple[str, list[str]]:
    """``{app.s,"app.\\"T\\""}``: each element by itself, quoted where it has to be."""
    losses: list[str] = []

    def rename(element: re.Match[str]) -> str:
        quoted: str | None = element[1]
        text = element[0] if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
        new, found = _rename_site(_Site((), text, site.language[:-2]), mapping)
        losses.extend(found)
        if new == text:
            return element[0]
        bare = re.fullmatch(r'[^{},"\\\s]+', new)
        return new if bare else '"' + re.sub(r'(["\\])', r"\\\1", new) + '"'

    return _ELEMENT.sub(rename, site.text), losses


_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|[^{},\s"][^{},"]*', re.DOTALL)


def _values(path: Path, node: ast.Node, mapping: Mapping[str, str]) -> set[Path]:
    """A string of a type of its own (``'app'::app.mood``) that is a name by accident."""
    match node:
        case ast.TypeCast(arg=ast.A_Const(val=ast.String(sval=str(text)))) if (
            text in mapping and _built_in(node.typeName) not in _TEXTS
        ):
            return {(*path, "arg", "val", "sval")}
        case _:
            return set()


def _strings(path: Path, node: ast.Node) -> Iterator[tuple[Path, str]]:
    """Strings that a function may read a name from."""
    match node:
        case ast.A_Const(val=ast.String(sval=str(text))):
            yield (*path, "val", "sval"), text
        case ast.CreateTrigStmt(args=tuple(arguments)):
            for at, argument in enumerate(arguments):
                yield (*path, "args", at, "sval"), argument.sval
        case _:
            pass


def _body_losses(node: ast.Node, mapping: Mapping[str, str]) -> list[str]:
    if not isinstance(node, (ast.CreateFunctionStmt, ast.DoStmt)):
        return []
    language = _language(node)
    if language in _WITHOUT_TEXT or "as" not in (options := _options(node)):
        return []
    body: str = (options["as"][0] if isinstance(options["as"], tuple) else options["as"]).sval
    return [
        f'has a body in {language} that mentions "{old}"; the body is kept as it is'
        for old in mapping
        if _mentions(body, old)
    ]


# a site of its own; the name of a file; the name of a C function
_WITHOUT_TEXT = ("sql", "c", "internal")


def _string_losses(text: str, mapping: Mapping[str, str]) -> list[str]:
    short = text if len(text) <= 60 else f"{text[:57]}..."
    return [
        f'holds the string {short!r}, which may name schema "{old}"; it is kept as it is'
        for old in mapping
        if _bare(text) == _bare(old) or _mentions(text, old, r"\s*\.")
    ]


def _mentions(text: str, name: str, then: str = "") -> bool:
    """As a word, in any case if `name` does without capitals, since SQL folds to lower case."""
    fold = re.IGNORECASE if name == name.lower() else re.NOFLAG
    word = rf"(?<![\w$.]){re.escape(_bare(name))}(?![\w$]){then}"
    return re.search(word, _bare(text), fold) is not None


# The words of the text


def _apply_edits(sql: str, tree: object, edits: dict[Path, str]) -> str:
    shape = _shape(tree)
    named = {shape[path] for path in edits}
    words = [token for token in scan(sql) if _may_be(_word(sql, token), token, named)]
    found = _locate(sql, shape, words)
    renamed = _splice(sql, {found[path]: new for path, new in edits.items() if path in found})
    if _shape(_parse(renamed)) != {**shape, **edits}:
        raise WindlassError(
            f"cannot rename a schema in {_head(sql)}: the new text would not mean the same",
            hint="please report this statement; until then leave the object out, "
            "or keep the schema's name",
        )
    return renamed


def _locate(sql: str, shape: Shape, words: Sequence[Token]) -> dict[Path, Token]:
    """The leaves that `words` make: one parse if each is a name, more if some are grammar."""
    if not words:
        return {}
    marks = {f"windlass_{at}_mark": word for at, word in enumerate(words)}
    try:
        marked = _shape(_parse(_splice(sql, {word: mark for mark, word in marks.items()})))
    except ParseError:
        marked = {}
    found = {path: marks[leaf] for path, leaf in marked.items() if leaf in marks}
    if marked.keys() == shape.keys() and all(
        leaf == shape[path] for path, leaf in marked.items() if path not in found
    ):
        return found
    if len(words) == 1:
        return {}
    half = len(words) // 2
    return _locate(sql, shape, words[:half]) | _locate(sql, shape, words[half:])


def _splice(sql: str, words: Mapping[Token, str]) -> str:
    pieces: list[str] = []
    done = 0
    for token in sorted(words):
        word = _word(sql, token)
        pieces += sql[done : token.start], _quote(words[token], word, token)
        done = token.end + 1
    return "".join([*pieces, sql[done:]])


def _word(sql: str, token: Token) -> str:
    return sql[token.start : token.end + 1]


def _may_be(word: str, token: Token, named: set[object]) -> bool:
    """Whether the word may be one of the leaves `named`. Those with escapes always may."""
    if token.name in ("SCONST", "USCONST", "UIDENT"):
        return True
    if word.startswith('"'):
        return word[1:-1].replace('""', '"') in named
    is_word = token.name == "IDENT" or token.kind != "NO_KEYWORD"
    return is_word and _fold(word) in named


def _quote(value: str, word: str, token: Token) -> str:
    """`value` in the place of `word`: a name for a name, a string for a string."""
    if token.name not in ("SCONST", "USCONST"):
        return quote_identifier(value)
    if word.startswith("$"):
        tag = word[: word.index("$", 1) + 1]
        if (tag + value + tag).find(tag, 1) == len(tag) + len(value):
            return tag + value + tag
    quoted = "'" + value.replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in value else quoted
