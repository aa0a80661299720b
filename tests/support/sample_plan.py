"""A made-up plan with one of everything, for what is tested without a server."""

from __future__ import annotations

from dataclasses import replace

from windlass.model.chunk import BlockRange, Chunk, KeyRange, Whole
from windlass.model.plan import (
    Arrival,
    ColumnPlan,
    Estimate,
    Findings,
    How,
    Load,
    Made,
    Objects,
    Plan,
    RelationPlan,
    Server,
    SetAside,
)
from windlass.model.relation import Column, Kind, LargeObjects, Name, Relation, Wire
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.statement import Phase, Statement

SOURCE = Server("127.0.0.1:5416", "shop", "app", 160014, "16.14", "UTF8", "one")
TARGET = Server("127.0.0.1:5418", "shop_new", "app", 180001, "18.1", "UTF8", "two")

ORDERS = Relation(
    Name("shop", "orders"),
    Kind.TABLE,
    (Column("id", "bigint", not_null=True), Column("total", "numeric(12,2)", generated=True)),
    keyset=("id",),
    scan_bytes=16_000 * 8192,
    size_bytes=128 << 20,
    rows=1_200_000,
)
ODD = Relation(
    Name("shop", "Odd | `name`"),
    Kind.TABLE,
    (Column("mood", "shop.mood[]"),),
    size_bytes=8192,
    rows=-1,
)
PROBLEM = Problem("role app", "does not exist on the target", "create role app")
LOSS = Loss("shop.orders", "owner app: the role does not exist on the target", LossClass.OWNERS)


def sample_plan() -> Plan:
    orders = tuple(
        Chunk(ORDERS.name, number, range_, 64 << 20)
        for number, range_ in enumerate((BlockRange(0, 8_000), BlockRange(8_000, None)))
    )
    odd = (Chunk(ODD.name, 0, Whole(), 8192),)
    return Plan(
        run="20260101-120000",
        source=SOURCE,
        target=TARGET,
        schemas={"shop": "store", "audit": "audit"},
        relations=(
            RelationPlan(
                relation=ORDERS,
                target=Name("store", "orders"),
                enters=Name("store", "orders"),
                arrival=Arrival.CREATE,
                wire=Wire.BINARY,
                columns=(
                    ColumnPlan("id", "bigint", "id", "bigint"),
                    ColumnPlan("total", "numeric(12,2)", "total", "numeric(12,2)", generated=True),
                ),
                chunks=orders,
                batch="shop.orders",
            ),
            RelationPlan(
                relation=ODD,
                target=Name("store", ODD.name.name),
                enters=Name("store", "root"),
                root=Name("shop", "root"),
                arrival=Arrival.REPLACE,
                wire=Wire.TEXT,
                columns=(ColumnPlan("mood", "shop.mood[]", "mood", "store.mood[]"),),
                chunks=odd,
                batch="small relations 1",
            ),
        ),
        loads=(
            *(Load(chunk.id, "shop.orders", (chunk,)) for chunk in orders),
            Load("small relations 1", "small relations 1", odd),
        ),
        statements=(
            Statement(1, "SCHEMA", Name("", "store"), "CREATE SCHEMA store;\n", "", Phase.SCHEMA),
            Statement(
                5,
                "FK CONSTRAINT",
                Name("store", "orders_customer_fkey"),
                "ALTER TABLE ONLY store.orders ADD CONSTRAINT orders_customer_fkey ...;",
                "",
                Phase.FOREIGN_KEYS,
            ),
            Statement(
                2,
                "TABLE",
                Name("store", "orders"),
                "CREATE TABLE store.orders (\n    id bigint NOT NULL\n);",
                "",
                Phase.TABLES,
            ),
            Statement(
                4,
                "CONSTRAINT",
                Name("store", "orders_pkey"),
                "ALTER TABLE ONLY store.orders ADD CONSTRAINT orders_pkey PRIMARY KEY (id);",
                "",
                Phase.KEYS,
            ),
            Statement(
                3,
                "FUNCTION",
                Name("store", "fence"),
                "CREATE FUNCTION store.fence() AS $$\n  -- ``` in a body\n$$;",
                "",
                Phase.SCHEMA,
            ),
        ),
        sequences=((Name("shop", "orders_id_seq"), Name("store", "orders_id_seq")),),
        set_aside=(SetAside("TABLE", Name("store", "Odd | `name`"), "", "windlass_backup_1"),),
        objects=Objects(
            others=(("VIEW", Name("shop", "best"), Name("store", "best")),),
            materialized_views=(Name("store", "totals"),),
            large_objects=LargeObjects(3, 16_400, 16_500),
        ),
        findings=Findings(losses=(LOSS,)),
        how=How(jobs=2, verify="full", copies_rows=True),
        made=Made(tools={"pg_dump": "18.1"}),
        estimate=Estimate(41.7, 128 << 20, 1_200_000, "40 MB/s and 2 jobs, as measured here."),
    )


def refused_plan(problem: Problem = PROBLEM) -> Plan:
    """The same with a problem."""
    plan = sample_plan()
    return replace(plan, findings=replace(plan.findings, problems=(problem,)))


def keyset_chunks(plan: Plan) -> Plan:
    """The same with its first relation cut by keys."""
    first = plan.relations[0]
    chunks = tuple(
        Chunk(first.relation.name, number, KeyRange(("id",), low, high), 64 << 20)
        for number, (low, high) in enumerate(((None, ("50",)), (("50",), None)))
    )
    return replace(plan, relations=(replace(first, chunks=chunks), *plan.relations[1:]))
