"""Plans as journals store them, and all other nouns, without engine-specific terms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pkgutil import iter_modules

from pydantic import TypeAdapter

from sample_plan import keyset_chunks, sample_plan
from windlass import model
from windlass.engines.postgres.relation import CatalogRelation, Storage
from windlass.model import plan
from windlass.model.relation import Kind, Name, Relation

# what only PostgreSQL's catalog and pg_dump have
OWN = {
    "blocks", "family", "has_children", "loosened", "oid", "pg_dump", "populated", "relkind",
    "storage", "text_root", "tid_range_scan",
}  # fmt: skip


def test_a_plan_is_stored_and_read_again_whole() -> None:
    adapter = TypeAdapter(plan.Plan)
    for one in (sample_plan(), keyset_chunks(sample_plan())):
        assert adapter.validate_json(adapter.dump_json(one)) == one


def test_a_plan_keeps_of_a_relation_what_any_engine_has() -> None:
    storage = Storage(blocks=2)
    found = CatalogRelation(Name("s", "t"), Kind.TABLE, identity="7", rows=3, storage=storage)
    assert found.plain == Relation(Name("s", "t"), Kind.TABLE, identity="7", rows=3)
    assert type(found.plain) is Relation


def names() -> Iterator[str]:
    for module in iter_modules(model.__path__, f"{model.__name__}."):
        for one in vars(import_module(module.name)).values():
            if isinstance(one, type) and is_dataclass(one):
                yield from (field.name for field in fields(one))


def test_no_noun_has_a_field_of_one_engine() -> None:
    found = set(names())
    assert {"relations", "keyset", "sql", "high", "deletes_by_key"} <= found
    assert found.isdisjoint(OWN)
