"""What a plan forecasts of each step; `python -m bench run estimates` shows how close it is."""

from __future__ import annotations

from dataclasses import replace

from archives import Archive
from sample_plan import ORDERS, sample_plan
from windlass.engines.postgres.relation import CatalogRelation, Storage
from windlass.flows.migrate.outline import MIGRATE
from windlass.flows.migrate.speeds import work_of
from windlass.model.plan import RelationPlan
from windlass.model.relation import Kind, Name, Relation
from windlass.model.statement import Phase, Statement
from windlass.planning.estimate import ALONE, ASSUMED, Work, estimate, forecast, wall_seconds
from windlass.planning.postgres.refreshing import refreshed_bytes

MB = 1 << 20


def work(*statements: Statement, relation: Relation = ORDERS, jobs: int = 2) -> Work:
    orders: RelationPlan = sample_plan().relations[0]
    item = replace(orders, relation=relation, batch=str(relation.name))
    return Work((item,), statements, jobs, "full", copies_rows=True)


def on_orders(kind: str, text: str, phase: Phase, number: int = 1) -> Statement:
    orders = Name("store", "orders")
    name = Name("store", f"it_{number}")
    return Statement(number, kind, name, text, "", phase, relation=orders)


def steps(*statements: Statement, relation: Relation = ORDERS) -> dict[str, float]:
    return forecast(work(*statements, relation=relation), ASSUMED)


def test_a_foreign_key_that_cannot_be_made_not_valid_looks_up_every_row() -> None:
    made = "ALTER TABLE store.orders ADD CONSTRAINT a FOREIGN KEY (c) REFERENCES c"
    checked = steps(on_orders("FK CONSTRAINT", f"{made};", Phase.FOREIGN_KEYS))
    later = steps(on_orders("FK CONSTRAINT", f"{made} NOT VALID;", Phase.FOREIGN_KEYS))
    assert checked["create_foreign_keys"] > 100 * later["create_foreign_keys"]


def test_the_rows_of_partitions_are_their_roots_rows() -> None:
    key = on_orders("FK CONSTRAINT", "ALTER ... FOREIGN KEY ...;", Phase.FOREIGN_KEYS)
    key = replace(key, relation=Name("store", "root"))
    partition = replace(ORDERS, partition_of=Name("shop", "root"))
    of_root, of_nothing = steps(key, relation=partition), steps(key)
    assert of_root["create_foreign_keys"] > 100 * of_nothing["create_foreign_keys"]


def test_an_index_scans_the_heap_and_not_the_values_beside_it() -> None:
    index = on_orders("INDEX", "CREATE INDEX it ON store.orders USING btree (id);", Phase.KEYS)
    with_large_values = replace(ORDERS, size_bytes=100 * ORDERS.size_bytes)
    assert (
        steps(index, relation=with_large_values)["create_indexes"] == steps(index)["create_indexes"]
    )


def test_a_constraint_that_builds_its_index_counts_where_it_is_built() -> None:
    relation = replace(ORDERS, index_bytes=10 * MB)
    text = "ALTER TABLE ONLY store.orders ADD CONSTRAINT it EXCLUDE USING gist (id WITH =);"
    found = steps(on_orders("CONSTRAINT", text, Phase.KEYS), relation=relation)
    assert found["create_primary_keys"] > 1
    assert "create_indexes" not in found


def test_statistics_are_sampled_however_large_a_relation_is() -> None:
    larger = replace(ORDERS, rows=100 * ORDERS.rows, scan_bytes=100 * ORDERS.scan_bytes)
    largest = replace(ORDERS, rows=1000 * ORDERS.rows, scan_bytes=1000 * ORDERS.scan_bytes)
    assert steps(relation=larger)["analyze_tables"] == steps(relation=largest)["analyze_tables"]


def test_what_one_worker_does_alone_takes_as_long_with_more_of_them() -> None:
    made = "ALTER TABLE store.orders ADD CONSTRAINT a FOREIGN KEY (c) REFERENCES c;"
    key = on_orders("FK CONSTRAINT", made, Phase.FOREIGN_KEYS)

    def seconds(jobs: int, *statements: Statement) -> float:
        one = work(*statements, jobs=jobs)
        return wall_seconds(one, forecast(one, ASSUMED), ASSUMED)

    assert seconds(4, key) - seconds(4) > 0.99 * (seconds(1, key) - seconds(1))
    assert seconds(4) < seconds(1)


def test_steps_that_one_worker_does_alone_are_steps_without_items() -> None:
    steps_alone = {step.name for step in MIGRATE.steps if step.items is None}
    assert set(ALONE) <= steps_alone


def test_what_is_learned_from_a_run_rests_on_all_of_its_work() -> None:
    found = estimate(replace(work(), refreshed_bytes=500 * MB), ASSUMED)
    plan = replace(sample_plan(), estimate=found)
    assert work_of(plan).refreshed_bytes == 500 * MB


def test_the_range_is_around_what_is_expected() -> None:
    found = estimate(work(), ASSUMED)
    assert found.low_seconds < found.seconds < found.high_seconds
    assert sum(found.steps.values()) > 0


def test_a_materialised_view_costs_what_it_reads_through_views_and_partitions() -> None:
    def relation(
        name: str, kind: Kind, size: int, of: str = "", populated: bool = True
    ) -> CatalogRelation:
        root = Name("s", of) if of else None
        storage = Storage(populated=populated)
        return CatalogRelation(
            Name("s", name), kind, size_bytes=size, partition_of=root, storage=storage
        )

    archive = Archive()
    root = archive.add("TABLE", "root", schema="s")
    other = archive.add("TABLE", "other", schema="s")
    unread = archive.add("TABLE", "unread", schema="s")
    view = archive.add("VIEW", "seen", root)
    archive.add("MATERIALIZED VIEW", "sums", view, other)
    archive.add("MATERIALIZED VIEW", "empty", unread)
    relations = [
        relation("root", Kind.PARTITIONED, 0),
        relation("one", Kind.TABLE, 30, of="root"),
        relation("two", Kind.TABLE, 12, of="root"),
        relation("other", Kind.TABLE, 100),
        relation("unread", Kind.TABLE, 1000),
        relation("sums", Kind.MATERIALIZED_VIEW, 5),
        relation("empty", Kind.MATERIALIZED_VIEW, 0, populated=False),
    ]
    assert refreshed_bytes(archive.entries, relations) == 142
