"""Gives schemas new names in DDL: decides which words of a text name a schema, and changes those.

What to do with the losses, and which schemas to rename, is left to the caller.

The text is spliced, not printed again from its tree: a printer would have to be right for every
statement there is, while a splice leaves alone what it does not touch. In one statement:

1. The parse tree says which of its leaves name a schema (`_QUALIFIED` and the tables beside it).
2. Few nodes of the tree know their place in the text. So each word that could be one of those
   names is replaced by its own mark and the text is parsed again: the leaf that holds the
   mark is what the word says. A word whose mark changes more than that is grammar
   (``GRANT ... TO PUBLIC``, ``WITH NO DATA``), not a name.
3. The words of the leaves found in 1 are replaced in the text.
4. The new text is parsed. Its tree has to be the first tree with exactly the leaves of 1 changed;
   anything else raises.

Names inside strings (``'app.s'::regclass``, the body of an SQL function) are SQL themselves and
go the same way. A string that cannot be read as SQL is kept, and named as a loss.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from windlass.engines.postgres.syntax import (
    Node,
    Path,
    SyntaxProblem,
    Token,
    is_keyword,
    parse,
    scan,
    shape,
    walk,
)
from windlass.errors import WindlassError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
    except SyntaxProblem as error:
        raise WindlassError(
            f"cannot rename a schema in {_head(sql)}: {error}",
            hint="the parser knows SQL up to PostgreSQL 18; leave this object out, "
            "or keep the schema's name",
        ) from error


def quote_identifier(name: str) -> str:
    """As the server and pg_dump write it: bare where that means the same."""
    if re.fullmatch("[a-z_][a-z0-9_]*", name) and not is_keyword(name):
        return name
    return '"' + name.replace('"', '""') + '"'


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
    for statement in parse(sql):
        renamed = _rename_statement(sql[statement.start : statement.end], mapping)
        pieces += sql[done : statement.start], renamed.sql
        losses += renamed.losses
        done = statement.end
    return Renamed("".join([*pieces, sql[done:]]), tuple(dict.fromkeys(losses)))


def _rename_statement(sql: str, mapping: Mapping[str, str]) -> Renamed:
    if not _may_name(sql, mapping):
        return Renamed(sql)
    tree = _parse(sql)
    edits, losses = _read_edits(tree, mapping)
    renamed = _apply_edits(sql, tree, edits) if edits else sql
    return Renamed(renamed, tuple(f"{_head(sql)} {loss}" for loss in losses))


def _parse(sql: str) -> object:
    return tuple(statement.tree for statement in parse(sql))


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


# Which leaves name a schema


@dataclass(frozen=True, slots=True)
class _Site:
    """A leaf that names a schema, or (`language` given) a string with SQL that may."""

    path: Path
    text: str
    language: str = ""


# (list of names, the schema's place counted from the end): schema.name is 2, schema.table.name 3
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

# attributes that are a schema's name and nothing else
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


def _sites(path: Path, node: Node) -> Iterator[_Site]:
    """What `node` itself names, without the nodes below it."""
    kind = node.tag
    for field, place in _QUALIFIED.get(kind, ()):
        yield from _qualified((*path, field), getattr(node, field), place)
    if kind in _PLAIN and (name := getattr(node, _PLAIN[kind])):
        yield _Site((*path, _PLAIN[kind]), name)
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
            yield _Site((*path, "subname"), node.subname or "")
            yield _Site((*path, "newname"), node.newname or "")
        case Node("ReindexStmt", kind="REINDEX_OBJECT_SCHEMA"):
            yield _Site((*path, "name"), node.name or "")
        case _:
            yield from _option_sites(path, node)
            yield from _string_sites(path, node)


def _qualified(path: Path, names: object, place: int, first: int = 0) -> Iterator[_Site]:
    """The schema in a list of names, if the list is long enough to hold one."""
    if isinstance(names, tuple) and (at := len(names) - place) >= first:
        yield from _string((*path, at), names[at])


def _string(path: Path, node: object) -> Iterator[_Site]:
    if isinstance(node, Node) and node.tag == "String":
        yield _Site((*path, "sval"), node.sval or "")


def _object_sites(path: Path, node: Node, kind_field: str, field: str) -> Iterator[_Site]:
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


def _option_sites(path: Path, node: Node) -> Iterator[_Site]:
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


def _definition_sites(path: Path, options: Sequence[Node]) -> Iterator[_Site]:
    """``commutator = operator(app.=)``, and the one dictionary that names another in a string."""
    for at, option in enumerate(options):
        here = (*path, at, "arg")
        yield from _qualified(here, option.arg, 2)
        match option:
            case Node("DefElem", arg=Node("String", sval=text)) if (
                option.defname.lower() == "dictionary"
            ):
                yield _Site((*here, "sval"), text, "regdictionary")


def _string_sites(path: Path, node: Node) -> Iterator[_Site]:
    match node:
        case Node("TypeCast", typeName=Node("TypeName") as name) if (
            _built_in(name).removesuffix("[]") in _OBJECT_TYPES
        ):
            yield from _constant((*path, "arg"), node.arg, _built_in(name))
        case Node("FuncCall", args=tuple(arguments)):
            yield from _argument_sites((*path, "args"), _function(node), arguments)
        case Node("CreateTrigStmt", args=tuple(arguments)) if len(arguments) > 1:
            if node.funcname[-1].sval == "tsvector_update_trigger":
                yield _Site((*path, "args", 1, "sval"), arguments[1].sval, "regconfig")
        case Node("VariableSetStmt", name="search_path", args=tuple(arguments)):
            for at, argument in enumerate(arguments):
                yield from _constant((*path, "args", at), argument)
        case Node("VariableSetStmt", name="default_text_search_config", args=tuple(arguments)):
            yield from _constant((*path, "args", 0), arguments[0], "regconfig")
        case Node("CreateFunctionStmt") if _language(node) == "sql":
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
    while isinstance(node, Node) and node.tag == "TypeCast" and _built_in(node.typeName) in _TEXTS:
        path, node = (*path, "arg"), node.arg
    match node:
        case Node("A_Const", val=Node("String", sval=str(text))):
            yield _Site((*path, "val", "sval"), text, language)


def _constant_of(arguments: Sequence[Any], at: int) -> str:
    return next((site.text for site in _constant((), arguments[at])), "")


def _built_in(name: Node | None) -> str:
    """The name of a type of the server's own, else nothing."""
    if name is None or not (own := _own(name.names)):
        return ""
    return f"{own}[]" if name.arrayBounds else own


def _function(node: Node) -> str:
    return _own(node.funcname)


def _own(names: Sequence[Any] | None) -> str:
    *schema, name = [part.sval for part in names or ()] or [""]
    return name if schema in ([], ["pg_catalog"]) else ""


def _language(node: Node) -> str:
    options = _options(node)
    if "language" in options:
        return str(options["language"].sval).lower()
    return "plpgsql" if node.tag == "DoStmt" else "sql"


def _options(node: Node) -> dict[str, Any]:
    options = node.options if node.tag == "CreateFunctionStmt" else node.args
    return {option.defname: option.arg for option in options or ()}


def _body_sites(path: Path, node: Node) -> Iterator[_Site]:
    for at, option in enumerate(node.options or ()):
        if option.defname == "as":
            yield _Site((*path, "options", at, "arg", 0, "sval"), option.arg[0].sval, "sql")


# What changes, and what is kept although it may name an old schema


def _read_edits(tree: object, mapping: Mapping[str, str]) -> tuple[dict[Path, str], list[str]]:
    """The leaves with their new values, and the losses as sentences without a subject."""
    edits: dict[Path, str] = {}
    losses: list[str] = []
    read: set[Path] = set()
    for path, node in walk(tree):
        if not isinstance(node, Node):
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
    except SyntaxProblem:
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


def _values(path: Path, node: Node, mapping: Mapping[str, str]) -> set[Path]:
    """A string of another type (``'app'::app.mood``) that is a name by accident."""
    match node:
        case Node("TypeCast", arg=Node("A_Const", val=Node("String", sval=str(text)))) if (
            text in mapping and _built_in(node.typeName) not in _TEXTS
        ):
            return {(*path, "arg", "val", "sval")}
        case _:
            return set()


def _strings(path: Path, node: Node) -> Iterator[tuple[Path, str]]:
    """Strings that a function may read a name from."""
    match node:
        case Node("A_Const", val=Node("String", sval=str(text))):
            yield (*path, "val", "sval"), text
        case Node("CreateTrigStmt", args=tuple(arguments)):
            for at, argument in enumerate(arguments):
                yield (*path, "args", at, "sval"), argument.sval
        case _:
            pass


def _body_losses(node: Node, mapping: Mapping[str, str]) -> list[str]:
    if node.tag not in ("CreateFunctionStmt", "DoStmt"):
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


# a separate site; the name of a file; the name of a C function
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
    before = shape(tree)
    named = {before[path] for path in edits}
    words = [token for token in scan(sql) if _may_be(_word(sql, token), token, named)]
    found = _locate(sql, before, words)
    renamed = _splice(sql, {found[path]: new for path, new in edits.items() if path in found})
    if shape(_parse(renamed)) != {**before, **edits}:
        raise WindlassError(
            f"cannot rename a schema in {_head(sql)}: the new text would not mean the same",
            hint="please report this statement; until then leave the object out, "
            "or keep the schema's name",
        )
    return renamed


def _locate(sql: str, tree: Shape, words: Sequence[Token]) -> dict[Path, Token]:
    """The leaves that `words` make: one parse if each is a name, more if some are grammar."""
    if not words:
        return {}
    marks = {f"windlass_{at}_mark": word for at, word in enumerate(words)}
    try:
        marked = shape(_parse(_splice(sql, {word: mark for mark, word in marks.items()})))
    except SyntaxProblem:
        marked = {}
    found = {path: marks[leaf] for path, leaf in marked.items() if leaf in marks}
    if marked.keys() == tree.keys() and all(
        leaf == tree[path] for path, leaf in marked.items() if path not in found
    ):
        return found
    if len(words) == 1:
        return {}
    half = len(words) // 2
    return _locate(sql, tree, words[:half]) | _locate(sql, tree, words[half:])


def _splice(sql: str, words: Mapping[Token, str]) -> str:
    pieces: list[str] = []
    done = 0
    for token in sorted(words):
        word = _word(sql, token)
        pieces += sql[done : token.start], _quote(words[token], word, token)
        done = token.end
    return "".join([*pieces, sql[done:]])


def _word(sql: str, token: Token) -> str:
    return sql[token.start : token.end]


def _may_be(word: str, token: Token, named: set[object]) -> bool:
    """Whether the word may be one of the leaves `named`. Those with escapes always may."""
    if token.kind in ("SCONST", "USCONST", "UIDENT"):
        return True
    if word.startswith('"'):
        return word[1:-1].replace('""', '"') in named
    is_word = token.kind == "IDENT" or token.keyword != "NO_KEYWORD"
    return is_word and _fold(word) in named


def _quote(value: str, word: str, token: Token) -> str:
    """`value` in the place of `word`: a name for a name, a string for a string."""
    if token.kind not in ("SCONST", "USCONST"):
        return quote_identifier(value)
    if word.startswith("$"):
        tag = word[: word.index("$", 1) + 1]
        if (tag + value + tag).find(tag, 1) == len(tag) + len(value):
            return tag + value + tag
    quoted = "'" + value.replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in value else quoted
