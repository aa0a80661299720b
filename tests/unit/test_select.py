"""What the options of a spec select: relations, their dependencies, and what belongs to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from archives import Archive, words
from selecting import catalog_of, select
from windlass.engines.postgres.archive import Entry
from windlass.model.relation import Name
from windlass.planning.patterns import matches
from windlass.planning.postgres.select import (
    Wanted,
    select_relations,
    selection_problems,
)

# patterns

PATTERNS = [
    # relation, pattern, whether it matches
    (Name("shop", "orders"), "shop.orders", True),
    (Name("shop", "orders"), "orders", True),
    (Name("shop", "orders"), "shop.*", True),
    (Name("shop", "orders"), "*", True),
    (Name("shop", "orders"), "*.orders", True),
    (Name("shop", "orders"), "ord*", True),
    (Name("shop", "orders"), "order?", True),
    (Name("shop", "orders"), "[a-o]rders", True),
    (Name("shop", "orders"), "s*.o*", True),
    (Name("shop", "orders"), "order", False),
    (Name("shop", "orders"), "rders", False),
    (Name("shop", "orders"), "Orders", False),
    (Name("shop", "Orders"), "Orders", True),
    (Name("shop", "orders"), "store.orders", False),
    (Name("shop", "orders"), "shop", False),
    (Name("shop", "shop"), "shop", True),
    (Name("shop", "a.b"), "shop.a.b", True),
    # without a dot, only the relation's own name counts
    (Name("archive", "orders"), "a*", False),
    (Name("shop", "orders"), "*p?orders", False),
]


@pytest.mark.parametrize(("name", "pattern", "is_match"), PATTERNS)
def test_a_pattern_is_of_schema_and_relation_or_of_the_relation_alone(
    name: Name, pattern: str, is_match: bool
) -> None:
    assert matches(name, pattern) is is_match


def four() -> Archive:
    archive = Archive()
    for schema in ("shop", "audit"):
        made = archive.schema(schema)
        for table in ("orders", "log"):
            archive.add("TABLE", table, made, schema=schema)
    return archive


SELECTIONS = [
    (Wanted(), "shop.orders shop.log audit.orders audit.log"),
    (Wanted(schemas=("shop",)), "shop.orders shop.log"),
    (Wanted(schemas=("shop", "audit")), "shop.orders shop.log audit.orders audit.log"),
    (Wanted(include=("shop.orders",)), "shop.orders"),
    (Wanted(include=("orders",)), "shop.orders audit.orders"),
    (Wanted(include=("shop.log", "audit.log")), "shop.log audit.log"),
    (Wanted(exclude=("audit.*",)), "shop.orders shop.log"),
    (Wanted(schemas=("shop",), exclude=("log",)), "shop.orders"),
    (Wanted(schemas=("shop",), include=("orders",)), "shop.orders"),
    (Wanted(include=("orders",), exclude=("shop.*",)), "audit.orders"),
    (Wanted(exclude=("*",)), ""),
]


@pytest.mark.parametrize(("wanted", "names"), SELECTIONS)
def test_words_select_relations(wanted: Wanted, names: str) -> None:
    chosen = select_relations(catalog_of(four().entries), wanted)
    assert " ".join(relation.name.plain for relation in chosen) == names


WORDS_FOR_NOTHING = [
    (Wanted(schemas=("shp",)), "schema shp: does not exist on the source (did you mean shop?)"),
    (Wanted(schemas=("zzz",)), "schema zzz: does not exist on the source"),
    (
        Wanted(include=("shop.oders",)),
        "pattern shop.oders: matches no relation (did you mean shop.orders?)",
    ),
    (Wanted(exclude=("zzz*",)), "pattern zzz*: matches no relation"),
]


@pytest.mark.parametrize(("wanted", "problem"), WORDS_FOR_NOTHING)
def test_a_word_that_selects_nothing_is_a_problem(wanted: Wanted, problem: str) -> None:
    catalog = catalog_of(four().entries)
    found = selection_problems(catalog, {"shop", "audit"}, wanted, mapped=())
    assert list(map(str, found)) == [problem]


def test_a_pattern_may_exclude_nothing_if_that_is_allowed_but_not_include_nothing() -> None:
    catalog = catalog_of(four().entries)
    allowed = Wanted(include=("zzz",), exclude=("zzz*",), may_be_unmatched=True)
    (found,) = selection_problems(catalog, {"shop", "audit"}, allowed, mapped=())
    assert found.object == "pattern zzz"


def test_a_mapped_schema_has_to_exist() -> None:
    catalog = catalog_of(four().entries)
    (found,) = selection_problems(catalog, {"shop", "audit"}, Wanted(), mapped=("shopp",))
    assert found.object == "schema shopp"
    assert found.hint == "did you mean shop?"


# what is needed, and what belongs: synthetic archives


@dataclass(frozen=True)
class Case:
    """An archive, the words, what is selected of it (in the archive's order), what is named."""

    build: Callable[[Archive], dict[Name, Name] | None]
    wanted: Wanted
    kept: str
    stranded: str = ""


def types_and_functions(archive: Archive) -> None:
    shop, tools = archive.schema("shop"), archive.schema("tools")
    mood = archive.add("TYPE", "mood", tools)
    archive.add("TYPE", "unused", tools, schema="tools")
    price = archive.add("DOMAIN", "price", tools, mood, schema="tools")
    check = archive.add("FUNCTION", "check(integer)", tools, price, schema="tools")
    archive.add("TABLE", "orders", shop, price, check, schema="shop")


def free_sequence(archive: Archive) -> None:
    shop = archive.schema("shop")
    numbers = archive.add("SEQUENCE", "numbers", shop, schema="shop")
    archive.add("SEQUENCE", "others", shop, schema="shop")
    archive.add("TABLE", "orders", shop, numbers, schema="shop")
    archive.add("TABLE", "log", shop, schema="shop")


def owned_sequences(archive: Archive) -> dict[Name, Name]:
    shop = archive.schema("shop")
    for table in ("orders", "log"):
        made = archive.add("TABLE", table, shop, schema="shop")
        ids = archive.add("SEQUENCE", f"{table}_id_seq", shop, made, schema="shop")
        archive.add("SEQUENCE OWNED BY", f"{table}_id_seq", ids)
        archive.add("DEFAULT", f"{table} id", ids, made)
    return {Name("shop", f"{table}_id_seq"): Name("shop", table) for table in ("orders", "log")}


def sequence_of_another(archive: Archive) -> dict[Name, Name]:
    shop = archive.schema("shop")
    log = archive.add("TABLE", "log", shop, schema="shop")
    ids = archive.add("SEQUENCE", "log_id_seq", shop, log, schema="shop")
    archive.add("TABLE", "orders", shop, ids, schema="shop")
    return {Name("shop", "log_id_seq"): Name("shop", "log")}


def views(archive: Archive) -> None:
    shop = archive.schema("shop")
    orders = archive.add("TABLE", "orders", shop, schema="shop")
    log = archive.add("TABLE", "log", shop, schema="shop")
    archive.add("VIEW", "sales", shop, orders, schema="shop")
    visits = archive.add("VIEW", "visits", shop, log, schema="shop")
    archive.add("MATERIALIZED VIEW", "visitors", shop, visits, schema="shop")


def function_of_rows(archive: Archive) -> None:
    shop = archive.schema("shop")
    log = archive.add("TABLE", "log", shop, schema="shop")
    archive.add("FUNCTION", "last(shop.log)", shop, log, schema="shop")
    archive.add("FUNCTION", "plain()", shop, schema="shop")


def foreign_keys(archive: Archive) -> None:
    shop = archive.schema("shop")
    orders = archive.add("TABLE", "orders", shop, schema="shop")
    lines = archive.add("TABLE", "lines", shop, schema="shop")
    orders_key = archive.add("CONSTRAINT", "orders orders_pkey", orders)
    lines_key = archive.add("CONSTRAINT", "lines lines_pkey", lines)
    to_orders = archive.add("FK CONSTRAINT", "lines order_fkey", orders, lines, orders_key)
    archive.add("COMMENT", "CONSTRAINT order_fkey ON lines", to_orders, schema="shop")
    archive.add("FK CONSTRAINT", "lines parent_fkey", lines, lines_key)


def descriptions(archive: Archive) -> None:
    shop, audit = archive.schema("shop"), archive.schema("audit")
    for schema in (shop, audit):
        archive.add("ACL", f"SCHEMA {schema.tag}", schema, schema="")
    orders = archive.add("TABLE", "orders", shop, schema="shop")
    log = archive.add("TABLE", "log", audit, schema="audit")
    for table in (orders, log):
        archive.add("COMMENT", f"TABLE {table.tag}", table)
        archive.add("COMMENT", f"COLUMN {table.tag}.id", table)
        archive.add("ACL", f"TABLE {table.tag}", table)
        archive.add("SECURITY LABEL", f"TABLE {table.tag}", table)


def keys(archive: Archive) -> None:
    shop = archive.schema("shop")
    for tag in ("orders", "log"):
        table = archive.add("TABLE", tag, shop, schema="shop")
        archive.add("CONSTRAINT", f"{tag} {tag}_pkey", table)
        index = archive.add("INDEX", f"{tag}_at", table)
        archive.add("COMMENT", f"INDEX {tag}_at", index)
        archive.add("STATISTICS", f"{tag}_st", shop, table, schema="shop")
        archive.add("ROW SECURITY", tag, table)


def triggers(archive: Archive) -> None:
    shop, tools = archive.schema("shop"), archive.schema("tools")
    kind = archive.add("TYPE", "kind", tools)
    stamp = archive.add("FUNCTION", "stamp()", tools, kind, schema="tools")
    archive.add("COMMENT", "FUNCTION stamp()", stamp)
    archive.add("ACL", "FUNCTION stamp()", stamp)
    other = archive.add("FUNCTION", "other()", tools, schema="tools")
    orders = archive.add("TABLE", "orders", shop, schema="shop")
    log = archive.add("TABLE", "log", shop, schema="shop")
    archive.add("TRIGGER", "orders stamp", orders, stamp)
    archive.add("TRIGGER", "log other", log, other)


def partitions(archive: Archive) -> None:
    shop = archive.schema("shop")
    events = archive.add("TABLE", "events", shop, schema="shop")
    first = archive.add("TABLE", "events_1", shop, events, schema="shop")
    archive.add("TABLE ATTACH", "events_1", events, first)
    archive.add("TABLE", "other", shop, schema="shop")


def publications(archive: Archive) -> None:
    shop = archive.schema("shop")
    orders = archive.add("TABLE", "orders", shop, schema="shop")
    log = archive.add("TABLE", "log", shop, schema="shop")
    feed = archive.add("PUBLICATION", "feed", schema="")
    archive.add("PUBLICATION TABLE", "feed orders", orders, feed)
    archive.add("PUBLICATION TABLE", "feed log", log, feed)


def extensions(archive: Archive) -> None:
    shop, tools = archive.schema("shop"), archive.schema("tools")
    citext = archive.add("EXTENSION", "citext", tools, schema="")
    archive.add("COMMENT", "EXTENSION citext", citext, schema="")
    archive.add("TABLE", "orders", shop, schema="shop")
    archive.add("TABLE", "log", shop, schema="shop")


ONLY_ORDERS = Wanted(include=("shop.orders",))
ALL_BUT_LOG = Wanted(exclude=("log",))
CLOSURES = [
    Case(
        types_and_functions, ONLY_ORDERS,
        "SCHEMA shop, SCHEMA tools, TYPE mood, DOMAIN price, FUNCTION check(integer), TABLE orders",
    ),
    Case(
        types_and_functions, Wanted(schemas=("shop",)),
        "SCHEMA shop, SCHEMA tools, TYPE mood, DOMAIN price, FUNCTION check(integer), TABLE orders",
    ),
    Case(free_sequence, ONLY_ORDERS, "SCHEMA shop, SEQUENCE numbers, TABLE orders"),
    Case(
        free_sequence, Wanted(schemas=("shop",), exclude=("log", "others")),
        "SCHEMA shop, SEQUENCE numbers, TABLE orders",
    ),
    Case(
        free_sequence, ALL_BUT_LOG,
        "SCHEMA shop, SEQUENCE numbers, SEQUENCE others, TABLE orders",
    ),
    Case(
        owned_sequences, ONLY_ORDERS,
        "SCHEMA shop, TABLE orders, SEQUENCE orders_id_seq, SEQUENCE OWNED BY orders_id_seq,"
        " DEFAULT orders id",
    ),
    Case(
        owned_sequences, ALL_BUT_LOG,
        "SCHEMA shop, TABLE orders, SEQUENCE orders_id_seq, SEQUENCE OWNED BY orders_id_seq,"
        " DEFAULT orders id",
    ),
    Case(
        sequence_of_another, ONLY_ORDERS, "SCHEMA shop",
        "table shop.orders: left out: it needs sequence shop.log_id_seq,"
        " which is not selected (objects)",
    ),
    Case(
        views, ALL_BUT_LOG, "SCHEMA shop, TABLE orders, VIEW sales",
        "view shop.visits: left out: it needs table shop.log, which is not selected (objects)"
        "; materialized view shop.visitors: left out: it needs view shop.visits,"
        " which is not selected (objects)",
    ),
    Case(views, Wanted(include=("orders", "log")), "SCHEMA shop, TABLE orders, TABLE log"),
    Case(
        function_of_rows, ALL_BUT_LOG, "SCHEMA shop, FUNCTION plain()",
        "function shop.last(shop.log): left out: it needs table shop.log,"
        " which is not selected (objects)",
    ),
    Case(
        foreign_keys, Wanted(include=("lines",)),
        "SCHEMA shop, TABLE lines, CONSTRAINT lines lines_pkey, FK CONSTRAINT lines parent_fkey",
        "fk constraint shop.lines order_fkey: left out: it needs table shop.orders,"
        " constraint shop.orders orders_pkey, which is not selected (constraints)",
    ),
    # a foreign key of a relation that stays behind is no more of a loss than its rows are
    Case(
        foreign_keys, ONLY_ORDERS,
        "SCHEMA shop, TABLE orders, CONSTRAINT orders orders_pkey",
    ),
    Case(
        foreign_keys, Wanted(schemas=("shop",)),
        "SCHEMA shop, TABLE orders, TABLE lines, CONSTRAINT orders orders_pkey,"
        " CONSTRAINT lines lines_pkey, FK CONSTRAINT lines order_fkey,"
        " COMMENT CONSTRAINT order_fkey ON lines, FK CONSTRAINT lines parent_fkey",
    ),
    Case(
        descriptions, Wanted(schemas=("shop",)),
        "SCHEMA shop, ACL SCHEMA shop, TABLE orders, COMMENT TABLE orders,"
        " COMMENT COLUMN orders.id, ACL TABLE orders, SECURITY LABEL TABLE orders",
    ),
    Case(
        keys, ONLY_ORDERS,
        "SCHEMA shop, TABLE orders, CONSTRAINT orders orders_pkey, INDEX orders_at,"
        " COMMENT INDEX orders_at, STATISTICS orders_st, ROW SECURITY orders",
    ),
    Case(
        triggers, ONLY_ORDERS,
        "SCHEMA shop, SCHEMA tools, TYPE kind, FUNCTION stamp(), COMMENT FUNCTION stamp(),"
        " ACL FUNCTION stamp(), TABLE orders, TRIGGER orders stamp",
    ),
    Case(partitions, Wanted(include=("events",)), "SCHEMA shop, TABLE events"),
    Case(
        partitions, Wanted(include=("events_1",)), "SCHEMA shop",
        "table shop.events_1: left out: it needs table shop.events,"
        " which is not selected (objects)",
    ),
    Case(
        publications, ALL_BUT_LOG,
        "SCHEMA shop, TABLE orders, PUBLICATION feed, PUBLICATION TABLE feed orders",
    ),
    Case(publications, Wanted(schemas=("shop",)), "SCHEMA shop, TABLE orders, TABLE log"),
    Case(
        extensions, ALL_BUT_LOG,
        "SCHEMA shop, SCHEMA tools, EXTENSION citext, COMMENT EXTENSION citext, TABLE orders",
    ),
]  # fmt: skip


def case_name(case: Case) -> str:
    wanted = case.wanted
    patterns = [*wanted.schemas, *wanted.include, *(f"not {word}" for word in wanted.exclude)]
    return f"{case.build.__name__}: {' '.join(patterns)}"


@pytest.mark.parametrize("case", CLOSURES, ids=case_name)
def test_selected_is_what_is_asked_for_what_that_needs_and_what_belongs_to_it(case: Case) -> None:
    archive = Archive()
    owned_by = case.build(archive)
    found = select(archive, case.wanted, owned_by)
    assert ", ".join(words(found.entries)) == case.kept
    assert "; ".join(map(str, found.stranded)) == case.stranded


def domain_check(archive: Archive) -> None:
    """A NOT VALID check of a domain is a separate entry, and depends on the domain alone."""
    shop = archive.schema("shop")
    price = archive.add("DOMAIN", "price", shop)
    positive = archive.add("CHECK CONSTRAINT", "price positive", price)
    archive.add("COMMENT", "CONSTRAINT positive ON DOMAIN price", positive)
    archive.add("TABLE", "orders", shop, price, schema="shop")


def default_from_a_free_sequence(archive: Archive) -> None:
    """The default of a view's column, or of an inherited one, is a separate entry."""
    shop, tools = archive.schema("shop"), archive.schema("tools")
    numbers = archive.add("SEQUENCE", "numbers", tools, schema="tools")
    orders = archive.add("VIEW", "orders", shop, schema="shop")
    archive.add("DEFAULT", "orders id", numbers, orders, schema="shop")


def user_mapping(archive: Archive) -> None:
    """Its entry depends on nothing: its tag says which server it is of."""
    shop = archive.schema("shop")
    server = archive.add("SERVER", "far", schema="")
    archive.add("USER MAPPING", "USER MAPPING app SERVER far", schema="")
    archive.add("FOREIGN TABLE", "orders", shop, server, schema="shop")


def empty_schema(archive: Archive) -> None:
    for name in ("shop", "empty"):
        made = archive.schema(name)
        archive.add("COMMENT", f"SCHEMA {name}", made, schema="")
    archive.add("TABLE", "orders", archive.entries[0], schema="shop")


BELONGING = [
    (domain_check, ONLY_ORDERS, "CHECK CONSTRAINT price positive"),
    (domain_check, ONLY_ORDERS, "COMMENT CONSTRAINT positive ON DOMAIN price"),
    (domain_check, Wanted(schemas=("shop",)), "CHECK CONSTRAINT price positive"),
    (default_from_a_free_sequence, ONLY_ORDERS, "DEFAULT orders id"),
    (default_from_a_free_sequence, ONLY_ORDERS, "SEQUENCE numbers"),
    (user_mapping, ONLY_ORDERS, "USER MAPPING USER MAPPING app SERVER far"),
    (empty_schema, Wanted(schemas=("shop", "empty")), "SCHEMA empty"),
    (empty_schema, Wanted(exclude=("nothing.here",)), "SCHEMA empty"),
    (empty_schema, Wanted(schemas=("empty",)), "COMMENT SCHEMA empty"),
]


@pytest.mark.parametrize(("build", "wanted", "entry"), BELONGING)
def test_nothing_of_what_is_selected_is_left_out_in_silence(
    build: Callable[[Archive], None], wanted: Wanted, entry: str
) -> None:
    archive = Archive()
    build(archive)
    assert entry in words(select(archive, wanted).entries)


def policy(archive: Archive, orders: Entry, log: Entry) -> Entry:
    return archive.add("POLICY", "orders mine", orders, log)


def rule(archive: Archive, orders: Entry, log: Entry) -> Entry:
    return archive.add("RULE", "orders logged", orders, log)


def default(archive: Archive, orders: Entry, log: Entry) -> Entry:
    ids = archive.add("SEQUENCE", "log_id_seq", log)
    return archive.add("DEFAULT", "orders id", orders, ids)


def trigger(archive: Archive, orders: Entry, log: Entry) -> Entry:
    """Its function has a row of the other relation as an argument."""
    stamp = archive.add("FUNCTION", "stamp(shop.log)", log)
    return archive.add("TRIGGER", "orders stamp", orders, stamp)


@pytest.mark.parametrize("part", [policy, rule, default, trigger])
def test_a_part_of_a_selected_relation_that_needs_an_unselected_one_is_named(
    part: Callable[[Archive, Entry, Entry], Entry],
) -> None:
    archive = Archive()
    shop = archive.schema("shop")
    orders = archive.add("TABLE", "orders", shop, schema="shop")
    log = archive.add("TABLE", "log", shop, schema="shop")
    torn = part(archive, orders, log)
    owned_by = {Name("shop", "log_id_seq"): Name("shop", "log")}
    found = select(archive, ONLY_ORDERS, owned_by)
    assert torn not in found.entries
    assert f"{torn.kind.lower()} shop.{torn.tag}" in [loss.object for loss in found.stranded]
