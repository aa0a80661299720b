"""Renames schemas in DDL: finds the words in a text that name a schema, and changes them.

The caller decides which schemas are renamed, and what happens with the losses.

The text is spliced, not printed from its tree: a printer would have to be right for every
statement, while a splice leaves everything else unchanged. `schema_names` decides which leaves of a
tree name a schema, `splicing` changes their words and proves the result.

Names inside strings (``'app.s'::regclass``, the body of an SQL function) are SQL themselves and are
treated the same way. A string that cannot be parsed as SQL is kept, and reported as a loss.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from windlass.engines.postgres.schema_names import (
    LANGUAGES,
    TEXTS,
    Site,
    built_in,
    language_of,
    options_of,
    sites,
)
from windlass.engines.postgres.splicing import apply_edits, fold, head_of, trees_of
from windlass.engines.postgres.syntax import Node, Path, SyntaxProblem, parse, walk
from windlass.errors import WindlassError

NAME_BYTES = 63  # NAMEDATALEN - 1: the server truncates longer names


@dataclass(frozen=True, slots=True)
class Renamed:
    """`losses` are sentences about what may still name an old schema."""

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
            f"cannot rename a schema in {head_of(sql)}: {error}",
            hint="the parser knows SQL up to PostgreSQL 18; leave this object out, "
            "or keep the schema's name",
        ) from error


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
    tree = trees_of(sql)
    edits, losses = _read_edits(tree, mapping)
    renamed = apply_edits(sql, tree, edits) if edits else sql
    return Renamed(renamed, tuple(f"{head_of(sql)} {loss}" for loss in losses))


def _may_name(text: str, names: Mapping[str, str]) -> bool:
    """Whether the text may name one of these schemas. If not, it need not be parsed.

    Quotes are removed on both sides, because nesting doubles them more than once. A text with
    escapes may spell a name in other ways, so it is always parsed.
    """
    folded = fold(text)
    escapes = "u&" in folded or ("e'" in folded and "\\" in folded)
    return escapes or any(_bare(fold(name)) in _bare(folded) for name in names)


def _bare(text: str) -> str:
    return text.replace('"', "").replace("'", "")


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
        for site in sites(path, node):
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


def _rename_site(site: Site, mapping: Mapping[str, str]) -> tuple[str, list[str]]:
    if not site.language:
        return mapping.get(site.text, site.text), []
    if site.language.endswith("[]"):
        return _rename_array(site, mapping)
    before, after = LANGUAGES[site.language].split("{}")
    try:
        renamed = _rename_text(before + site.text + after, mapping)
    except SyntaxProblem:
        return site.text, _string_losses(site.text, mapping)
    losses = [f"has in its body: {loss}" for loss in renamed.losses]
    return renamed.sql[len(before) : len(renamed.sql) - len(after)], losses


def _rename_array(site: Site, mapping: Mapping[str, str]) -> tuple[str, list[str]]:
    """``{app.s,"app.\\"T\\""}``: each element by itself, quoted where it has to be."""
    losses: list[str] = []

    def rename(element: re.Match[str]) -> str:
        quoted: str | None = element[1]
        text = element[0] if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
        new, found = _rename_site(Site((), text, site.language[:-2]), mapping)
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
            text in mapping and built_in(node.typeName) not in TEXTS
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
    language = language_of(node)
    if language in _WITHOUT_TEXT or "as" not in (options := options_of(node)):
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
    """Whether the text contains `name` as a word; case-insensitive if `name` is lower case, since
    SQL folds to lower case."""
    fold = re.IGNORECASE if name == name.lower() else re.NOFLAG
    word = rf"(?<![\w$.]){re.escape(_bare(name))}(?![\w$]){then}"
    return re.search(word, _bare(text), fold) is not None
