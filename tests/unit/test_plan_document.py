"""The document that a reviewer signs: nothing of the plan may be missing in any form."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_plan import LOSS, ODD, PROBLEM, keyset_chunks, refused_plan, sample_plan
from windlass.model.plan import Findings, How, Objects, Plan
from windlass.model.relation import Name
from windlass.model.statement import Phase, Statement
from windlass.planning.document.as_json import document
from windlass.planning.document.contents import Detail, ddl
from windlass.planning.document.markdown import markdown
from windlass.planning.document.text import text

NEXT = "windlass migrate -f shop.yaml"


def as_text(plan: Plan) -> str:
    return text(plan, next_command=NEXT, width=400)


def as_markdown(plan: Plan) -> str:
    return re.sub(r"\\([\\`*_<>|\[\]])", r"\1", markdown(plan, next_command=NEXT))


def as_json(plan: Plan) -> str:
    said = json.dumps(document(plan), ensure_ascii=False)
    return said.replace("\\n", "\n").replace('\\"', '"')


FORMS = [as_text, as_markdown, as_json]
every_form = pytest.mark.parametrize("form", FORMS)
Form = Callable[[Plan], str]

CONTENT = [
    "127.0.0.1:5416",
    "127.0.0.1:5418",
    "16.14",
    "18.1",
    "shop_new",
    "shop.orders",
    "store.orders",
    str(ODD.name),
    "numeric(12,2)",
    "shop.mood[]",
    "store.mood[]",
    "CREATE SCHEMA store;",
    "    id bigint NOT NULL",
    "ADD CONSTRAINT orders_pkey PRIMARY KEY (id);",
    "shop.best",
    "store.orders_id_seq",
    "store.root",
    "windlass_backup_1",
    LOSS.object,
    LOSS.message,
    PROBLEM.object,
    PROBLEM.message,
    PROBLEM.hint,
    "40 MB/s and 2 jobs, as measured here.",
]


@every_form
@pytest.mark.parametrize("words", CONTENT)
def test_every_form_shows_everything(form: Form, words: str) -> None:
    assert words in form(refused_plan())


@every_form
def test_statements_come_in_the_order_of_the_run(form: Form) -> None:
    said = form(sample_plan())
    places = [said.index(item.sql.splitlines()[0]) for item in ddl(sample_plan())]
    assert places == sorted(places)


@given(st.permutations(sample_plan().statements))
def test_statements_are_put_in_order_by_phase_and_keep_the_archives_order_within(
    statements: list[Statement],
) -> None:
    made = ddl(replace(sample_plan(), statements=tuple(statements)))
    phases = list(Phase)
    assert [item.phase for item in made] == sorted((s.phase for s in statements), key=phases.index)
    for phase in Phase:
        names = [str(s) for s in statements if s.phase is phase]
        assert [item.object for item in made if item.phase is phase] == names


@pytest.mark.parametrize("form", [as_text, as_markdown])
def test_a_document_for_people_says_what_to_run_next(form: Form) -> None:
    assert NEXT in form(sample_plan())[-150:]


def test_a_plan_with_problems_does_not_invite_to_run_it() -> None:
    last = as_text(refused_plan()).splitlines()[-1]
    assert last == f"Nothing was written. Fix the problems above, then run: {NEXT}"


def test_the_grave_comes_before_the_long() -> None:
    said = as_text(refused_plan())
    titles = ["\nProblems\n", "\nLosses\n", "\nTables, in", "\nColumns\n", "\nStatements"]
    places = [said.index(title) for title in titles]
    assert places == sorted(places)


def test_a_brief_plan_ends_with_the_relations() -> None:
    said = text(sample_plan(), next_command=NEXT, detail=Detail.BRIEF)
    assert "store.orders" in said
    assert "CREATE" not in said


def test_a_section_without_content_is_left_out() -> None:
    said = as_text(replace(sample_plan(), findings=Findings(), set_aside=(), objects=Objects()))
    assert "Losses" not in said
    assert "Set aside" not in said
    assert "No problems. No losses." in said


def test_losses_of_one_kind_are_reported_together_and_each_is_named() -> None:
    losses = tuple(replace(LOSS, object=f"shop.r{n}") for n in range(60))
    said = as_text(replace(sample_plan(), findings=Findings(losses)))
    assert said.count(LOSS.message) == 1
    assert all(f"shop.r{n}" in said for n in range(60))


def test_chunks_are_described_by_what_cuts_them() -> None:
    assert "2 by blocks" in as_text(sample_plan())
    assert "2 by id" in as_text(keyset_chunks(sample_plan()))


def test_a_schema_only_plan_copies_nothing() -> None:
    said = as_text(replace(sample_plan(), how=How(2, "full", copies_rows=False)))
    assert "their definitions only" in said
    assert " copy " not in said


def test_statements_in_text_stand_behind_a_bar_line_by_line() -> None:
    """A definition's own lines cannot be taken for the plan's."""
    wanted = "\n│ CREATE FUNCTION store.fence() AS $$\n│   -- ``` in a body\n│ $$;\n"
    assert wanted in as_text(sample_plan())


def test_a_fence_in_a_statement_does_not_end_its_block() -> None:
    said = markdown(sample_plan(), next_command=NEXT)
    fences = re.findall(r"^`{3,}", said, flags=re.MULTILINE)
    assert set(fences) == {"````"}
    assert len(fences) % 2 == 0


@given(st.text(min_size=1, max_size=30))
def test_no_name_breaks_a_markdown_table(name: str) -> None:
    plan = sample_plan()
    odd = replace(plan.relations[1], target=Name("store", name))
    said = markdown(replace(plan, relations=(odd,)), next_command=NEXT, detail=Detail.BRIEF)
    rows = [line for line in said.split("\n") if line.startswith("| 1 ")]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", rows[0])) == 10


@pytest.mark.parametrize("width", [60, 80, 120])
def test_sentences_are_wrapped_to_the_terminal(width: int) -> None:
    said = text(sample_plan(), next_command="next", width=width, detail=Detail.BRIEF)
    facts = said[: said.index("Tables, in")].splitlines()
    assert max(len(line) for line in facts) <= width


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (200, "rows size indexes key chunks COPY format on the target"),
        (130, "rows size indexes chunks on the target"),
        (40, "rows size on the target"),
    ],
)
def test_the_table_of_tables_leaves_out_what_does_not_fit(width: int, columns: str) -> None:
    said = text(sample_plan(), next_command="next", width=width, detail=Detail.BRIEF)
    header = next(line for line in said.splitlines() if line.lstrip().startswith("#"))
    assert " ".join(header.split()) == f"# table {columns}"
    assert width < 100 or len(header) <= width


def test_two_thousand_relations_are_all_listed() -> None:
    plan = sample_plan()
    names = [Name("store", f"orders_{n}") for n in range(2000)]
    many = tuple(replace(plan.relations[0], target=name, enters=name) for name in names)
    said = as_text(replace(plan, relations=many))
    assert all(f"store.orders_{n}" in said for n in range(2000))


def test_json_has_plain_numbers() -> None:
    made = json.loads(json.dumps(document(sample_plan())))
    assert made["summary"]["bytes"] == (128 << 20) + 8192
    assert made["estimate"]["seconds"] == 41.7
    assert made["relations"][0]["chunks"][1]["range"] == "blocks 8000 to the end"
    assert made["relations"][1]["rows"] is None


def test_rows_enter_at_a_root_on_both_sides_or_on_neither() -> None:
    (item,) = [one for one in sample_plan().relations if one.root]
    with pytest.raises(ValueError, match="its root is None"):
        replace(item, root=None)
    with pytest.raises(ValueError, match=r"its root is shop\.root"):
        replace(item, enters=item.target)
