"""Parse trees in Python; and that the code only names existing nodes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import windlass
from windlass.engines.postgres import grants, meaning, printing, schema_names
from windlass.engines.postgres.parse_protobuf import kind_of
from windlass.engines.postgres.syntax import (
    Node,
    SyntaxProblem,
    Token,
    expression_to_text,
    parse,
    scan,
    shape,
    split,
    to_text,
    tree_of,
    walk,
)

DEEP = 1_500  # Python's stack ends at 1,000, protobuf's at 100


def leaves(sql: str) -> list[object]:
    """What a text says, without what it leaves unsaid."""
    found = (value for _, value in walk(tree_of(sql)))
    return [
        value for value in found if value and not isinstance(value, (Node, tuple)) and value != "p"
    ]


def test_a_tree_has_what_the_text_says() -> None:
    assert leaves("select a.b + -1.5, '', true from app.t limit 300") == [
        "AEXPR_OP", "+", "a", "b", "-1.5", True, "app", "t", True, 300,
        "LIMIT_OPTION_COUNT", "SETOP_NONE",
    ]  # fmt: skip


def test_a_field_without_a_value_has_the_value_of_none() -> None:
    table = tree_of("create table t ()")
    assert (table.inhRelations, table.tableElts, table.accessMethod) == (None, None, "")
    assert (table.if_not_exists, table.oncommit) == (False, "ONCOMMIT_NOOP")


def test_numbers_have_their_sign() -> None:
    (column,) = tree_of("select 'x'::text").targetList
    assert column.val.typeName.typemod == -1


def test_a_list_may_have_nothing_in_a_place() -> None:
    (operator,) = tree_of("drop operator app.-(none, integer)").objects
    left, right = operator.objargs
    assert left is None and right.tag == "TypeName"


@pytest.mark.parametrize("operator", ["||", "and not", "union all select"])
def test_a_tree_may_be_deeper_than_any_stack(operator: str) -> None:
    chain = f" {operator} ".join(["a"] * DEEP)
    assert chain.count("a") >= DEEP
    names = [v for _, v in walk(parse(f"select {chain}")[0].tree) if v == "a"]
    assert len(names) == DEEP


def test_places_are_of_characters() -> None:
    text = "/* ü */ select 'é';\n\nselect \"☺\" as ü"
    first, second = parse(text)
    assert text[first.start : first.end] == "select 'é'"
    assert text[second.start : second.end] == 'select "☺" as ü'
    assert [text[token.start : token.end] for token in scan(text)][-3:] == ['"☺"', "as", "ü"]
    assert split(text) == ["select 'é'", 'select "☺" as ü']


def test_words_say_what_they_are() -> None:
    assert scan("left 'x'") == [
        Token(0, 4, "LEFT", "TYPE_FUNC_NAME_KEYWORD"),
        Token(5, 8, "SCONST", "NO_KEYWORD"),
    ]


def test_places_make_no_difference_all_else_does() -> None:
    assert shape(tree_of("select a from b")) == shape(tree_of("select  a\nfrom b"))
    assert shape(tree_of("select a from b")) != shape(tree_of("select a from only b"))
    assert shape(tree_of("select a")) != shape(tree_of("select b"))


@pytest.mark.parametrize("text", ["select 'a", "selec", "select\0"])
def test_what_is_no_sql_is_refused(text: str) -> None:
    with pytest.raises(SyntaxProblem):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT -1, 'ü', NULL, true, (-5)::numeric(10, 2) FROM app.\"T\" LIMIT 3",
        "DROP OPERATOR app.-(NONE, int)",
        "ALTER TABLE ONLY t ALTER COLUMN a SET (n_distinct=5)",
        "CREATE TABLE t (a int CHECK (a > 0) NOT NULL) PARTITION BY RANGE (a)",
    ],
)
def test_a_tree_is_printed_as_it_was_written(text: str) -> None:
    assert to_text(tree_of(text)) == text


def test_a_deep_expression_is_printed_too() -> None:
    chain = " || ".join(["a"] * DEEP)
    (target,) = tree_of(f"select {chain}").targetList
    printed = expression_to_text(target.val)
    assert printed.replace("(", "").replace(")", "") == chain


def test_a_statement_is_printed_as_it_was_changed() -> None:
    tree = tree_of('drop table a, "B c"')
    tree.objects = tree.objects[1:]
    assert to_text(tree) == 'DROP TABLE "B c"'


def test_an_expression_that_was_made_is_printed() -> None:
    null = Node("A_Const", isnull=True)
    assert expression_to_text(Node("CollateClause", arg=null, collname=(name("C"),))) == (
        'NULL COLLATE "C"'
    )


def name(text: str) -> Node:
    return Node("String", sval=text)


# A node's name or field that is misspelt would match nothing, and nobody would notice


def patterns() -> Iterator[tuple[str, str, str]]:
    """Every ``Node("Tag", field=...)`` of the code: its file, the tag, each field."""
    for file in Path(windlass.__file__).parent.rglob("*.py"):
        text = file.read_text()
        named = "Node(" in text or ".tag" in text
        for node in ast.walk(ast.parse(text)) if named else ():
            match node:
                case ast.MatchClass(
                    cls=ast.Name(id="Node"),
                    patterns=[ast.MatchValue(value=ast.Constant(value=tag))],
                ):
                    for field in node.kwd_attrs or ["tag"]:
                        yield file.name, str(tag), field
                case ast.Compare(left=ast.Attribute(attr="tag"), comparators=[other]):
                    for constant in ast.walk(other):
                        # an archive's entry has a `tag`, too: "SCHEMA public"
                        if isinstance(constant, ast.Constant) and " " not in str(constant.value):
                            yield file.name, str(constant.value), "tag"


def tables() -> Iterator[tuple[str, str, str]]:
    for tag in printing._RELATION_OF:
        yield "printing.py", tag, "tag"
    for tag, fields in meaning._EXPRESSIONS.items():
        for field in fields:
            yield "meaning.py", tag, field
    for tag, names in schema_names._QUALIFIED.items():
        for field, _ in names:
            yield "schema_names.py", tag, field
    for tag, field in schema_names._PLAIN.items():
        yield "schema_names.py", tag, field
    for tag, fields in schema_names._ABOUT.items():
        for field in fields:
            yield "schema_names.py", tag, field


def test_the_code_names_only_nodes_and_fields_that_there_are() -> None:
    named = {*patterns(), *tables()}
    assert ("rename.py", "TypeCast", "arg") in named
    assert len(named) > 60
    for file, tag, field in sorted(named):
        assert field == "tag" or field in kind_of(tag).absent, f"{file}: {tag}.{field}"
        assert kind_of(tag).tag == tag


def test_the_code_names_only_kinds_of_objects_that_there_are() -> None:
    from postgast.pg_query_pb2 import ObjectType

    named = {
        *grants._ALL,
        *schema_names._OF_A_RELATION,
        *schema_names._OF_A_METHOD,
        "OBJECT_SCHEMA",
    }
    assert named <= set(ObjectType.keys())
