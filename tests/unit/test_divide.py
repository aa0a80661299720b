"""A plan's statements in portions: each in exactly one, the same on every resumption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from sample_plan import sample_plan
from windlass.flows.migrate.portions import (
    CREATE_INDEXES,
    CREATE_PRIMARY_KEYS,
    IN_ORDER,
    VALIDATE_FOREIGN_KEYS,
    Portion,
    divide,
)
from windlass.model.plan import MOST_STATEMENTS, Plan, RelationPlan
from windlass.model.relation import Name
from windlass.model.statement import Phase, Statement
from windlass.planning.chunks import SMALL_BYTES, batches
from windlass.planning.postgres.two_steps import VALIDATION

STORED = TypeAdapter(Plan)  # as the journal keeps it
ROOT = Name("shop", "root")  # partitions whose rows enter here are one batch

KINDS = {
    Phase.SCHEMA: ["SCHEMA", "TYPE"],
    Phase.TABLES: ["TABLE", "SEQUENCE"],
    Phase.KEYS: ["INDEX", "UNIQUE INDEX", "CONSTRAINT", "STATISTICS"],
    Phase.ATTACH: ["INDEX ATTACH"],
    Phase.FOREIGN_KEYS: ["FK CONSTRAINT"],
    Phase.VALIDATE: [VALIDATION],
    Phase.REST: ["TRIGGER", "COMMENT"],
    Phase.GRANTS: ["ACL"],
    Phase.LAST: ["EVENT TRIGGER"],
}


def plan_of(
    sizes: Sequence[tuple[int, bool]], statements: Sequence[tuple[Phase, str, int]]
) -> Plan:
    """`sizes`: bytes of each relation, and whether its rows enter at the root. `statements` name
    their relation by its place; past the last stands for none that has rows."""
    empty = sample_plan()
    relations = [
        replace(
            empty.relations[0].relation,
            name=Name("shop", f"t{number}"),
            size_bytes=size,
        )
        for number, (size, _) in enumerate(sizes)
    ]
    roots = {one.name: ROOT for one, (_, routed) in zip(relations, sizes, strict=True) if routed}
    plans: list[RelationPlan] = [
        replace(
            empty.relations[0],
            relation=relation,
            target=relation.name,
            enters=roots.get(relation.name, relation.name),
            root=roots.get(relation.name),
            batch=batch,
        )
        for relation, batch in zip(relations, batches(relations, roots), strict=True)
    ]
    names = [*(relation.name for relation in relations), Name("shop", "view"), None]
    return replace(
        empty,
        relations=tuple(plans),
        statements=tuple(
            Statement(
                number, kind, Name("shop", f"s{number}"), "", "", phase,
                names[min(at, len(names) - 1)],
            )
            for number, (phase, kind, at) in enumerate(statements)
        ),
    )  # fmt: skip


statements_of = st.lists(
    st.sampled_from([(phase, kind) for phase, kinds in KINDS.items() for kind in kinds]).flatmap(
        lambda pair: st.tuples(st.just(pair[0]), st.just(pair[1]), st.integers(0, 8))
    ),
    max_size=60,
)
sizes_of = st.lists(
    st.tuples(st.sampled_from([0, SMALL_BYTES - 1, SMALL_BYTES, 9 * SMALL_BYTES]), st.booleans()),
    max_size=7,
)
plans = st.builds(plan_of, sizes_of, statements_of)


def portions(plan: Plan) -> list[Portion]:
    return [portion for some in divide(plan).values() for portion in some]


@settings(deadline=None)
@given(plans)
def test_every_statement_is_in_exactly_one_portion(plan: Plan) -> None:
    found = [statement for portion in portions(plan) for statement in portion.statements]
    assert sorted(found, key=lambda one: one.id) == list(plan.statements)


@settings(deadline=None)
@given(plans)
def test_a_plan_read_back_from_the_journal_divides_the_same_way(plan: Plan) -> None:
    assert divide(STORED.validate_json(STORED.dump_json(plan))) == divide(plan)


@settings(deadline=None)
@given(plans)
def test_a_step_s_portions_have_unique_names(plan: Plan) -> None:
    for some in divide(plan).values():
        ids = [portion.item.id for portion in some]
        assert len(ids) == len(set(ids))


@settings(deadline=None)
@given(plans)
def test_no_portion_is_empty(plan: Plan) -> None:
    assert all(portion.statements for portion in portions(plan))


@settings(deadline=None)
@given(plans)
def test_statements_of_one_portion_keep_their_order(plan: Plan) -> None:
    for portion in portions(plan):
        ids = [statement.id for statement in portion.statements]
        assert ids == sorted(ids)


@settings(deadline=None)
@given(plans)
def test_keys_wait_for_the_rows_of_their_own_batch(plan: Plan) -> None:
    batch_of = {item.target: item.batch for item in plan.relations}
    for step in (CREATE_INDEXES, CREATE_PRIMARY_KEYS, VALIDATE_FOREIGN_KEYS):
        for portion in divide(plan)[step]:
            assert {
                batch_of.get(one.relation, "") if one.relation else "" for one in portion.statements
            } == {portion.item.group}


@settings(deadline=None)
@given(plans)
def test_an_index_of_a_large_relation_is_a_separate_portion(plan: Plan) -> None:
    for portion in divide(plan)[CREATE_INDEXES]:
        group = portion.item.group
        if group and not group.startswith("small relations"):
            (statement,) = portion.statements
            assert statement.kind in ("INDEX", "UNIQUE INDEX")


@settings(deadline=None)
@given(plans)
def test_the_rest_of_a_large_relation_s_keys_comes_after_its_indexes(plan: Plan) -> None:
    """A constraint takes over the index of its name."""
    after = [one for portion in divide(plan)[CREATE_PRIMARY_KEYS] for one in portion.statements]
    assert not any(one.kind in ("INDEX", "UNIQUE INDEX") for one in after)


@pytest.mark.parametrize("phase", IN_ORDER)
def test_a_phase_is_cut_in_the_order_of_the_archive(phase: Phase) -> None:
    made: list[tuple[Phase, str, int]] = [(phase, KINDS[phase][0], 0)] * (2 * MOST_STATEMENTS + 1)
    found = divide(plan_of([(0, False)], made))[IN_ORDER[phase]]
    assert [len(portion.statements) for portion in found] == [MOST_STATEMENTS, MOST_STATEMENTS, 1]
    assert [one.id for portion in found for one in portion.statements] == list(range(len(made)))


MANY = [
    # sizes of relations, and whether they are partitions that rows enter at their root
    pytest.param([(8192, False)] * 300, Phase.KEYS, "CONSTRAINT", id="keys of small relations"),
    pytest.param([], Phase.KEYS, "INDEX", id="indexes of partitioned relations"),
    pytest.param([(8192, True)] * 300, Phase.KEYS, "CONSTRAINT", id="keys of partitions"),
    pytest.param(
        [(8192, False)] * 300, Phase.VALIDATE, VALIDATION, id="foreign keys of small ones"
    ),
    pytest.param([(8192, True)] * 300, Phase.VALIDATE, VALIDATION, id="foreign keys of partitions"),
]


@pytest.mark.parametrize(("sizes", "phase", "kind"), MANY)
def test_a_portion_fits_into_the_server_s_lock_table(
    sizes: list[tuple[int, bool]], phase: Phase, kind: str
) -> None:
    made = [(phase, kind, number % max(len(sizes), 1)) for number in range(600)]
    found = portions(plan_of(sizes, made))
    assert max(len(portion.statements) for portion in found) <= MOST_STATEMENTS
