"""What holds for any selection from any archive."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from archives import Archive
from selecting import catalog_of, select
from windlass.engines.postgres.archive import PARTS, RELATION_KINDS
from windlass.model.relation import Name
from windlass.planning.postgres.select import (
    Selection,
    Wanted,
    select_relations,
)

# properties

# what entries of a kind may need, in the order in which pg_dump writes them
NEEDS = {
    "DOMAIN": ["DOMAIN"],
    "FUNCTION": ["DOMAIN", "FUNCTION"],
    "SEQUENCE": [],
    "TABLE": ["DOMAIN", "FUNCTION", "SEQUENCE"],
    "VIEW": ["DOMAIN", "FUNCTION", "TABLE", "VIEW"],
    "CHECK CONSTRAINT": ["DOMAIN", "FUNCTION"],
    "CONSTRAINT": ["TABLE"],
    "INDEX": ["TABLE", "FUNCTION"],
    "TRIGGER": ["TABLE", "FUNCTION"],
    "POLICY": ["TABLE", "FUNCTION"],
    "FK CONSTRAINT": ["TABLE", "TABLE", "CONSTRAINT"],
}
SCHEMAS = ("shop", "audit")


@st.composite
def archives(draw: st.DrawFn) -> tuple[Archive, dict[Name, Name]]:
    archive = Archive()
    schemas = [archive.schema(name) for name in SCHEMAS]
    owned_by: dict[Name, Name] = {}
    for kind, needed in NEEDS.items():
        for number in range(draw(st.integers(0, 3))):
            places = [[entry for entry in archive.entries if entry.kind == need] for need in needed]
            needs = [draw(st.sampled_from(place)) for place in places if place]
            if kind in PARTS and not any(need.kind in ("TABLE", "DOMAIN") for need in needs):
                continue
            home = draw(st.sampled_from(schemas))
            made = archive.add(kind, f"{kind.lower()} {number}", home, *needs, schema=home.tag)
            archive.add(draw(st.sampled_from(["COMMENT", "ACL"])), f"{kind} {made.tag}", made)
            if kind == "TABLE" and draw(st.booleans()):
                ids = archive.add("SEQUENCE", f"ids {number}", made, schema=home.tag)
                archive.add("DEFAULT", f"{made.tag} id", ids, made)
                owned_by[Name(home.tag, ids.tag)] = Name(home.tag, made.tag)
    return archive, owned_by


wanted_words = st.builds(
    Wanted,
    schemas=st.sampled_from([(), ("shop",), ("audit",), SCHEMAS]),
    include=st.sampled_from([(), ("table 0",), ("shop.*",), ("view*", "audit.table*")]),
    exclude=st.sampled_from([(), ("table 1",), ("audit.*",), ("view 0",)]),
)


@settings(deadline=None)
@given(archives())
def test_everything_is_the_archive_as_it_is(made: tuple[Archive, dict[Name, Name]]) -> None:
    archive, owned_by = made
    assert select(archive, Wanted(), owned_by) == Selection(tuple(archive.entries), ())


@settings(deadline=None)
@given(archives(), wanted_words)
def test_nothing_that_is_kept_needs_what_is_not(
    made: tuple[Archive, dict[Name, Name]], wanted: Wanted
) -> None:
    archive, owned_by = made
    kept = select(archive, wanted, owned_by).entries
    assert {id_ for entry in kept for id_ in entry.depends_on} <= {entry.id for entry in kept}


@settings(deadline=None)
@given(archives(), wanted_words)
def test_the_order_of_the_archive_is_kept(
    made: tuple[Archive, dict[Name, Name]], wanted: Wanted
) -> None:
    archive, owned_by = made
    kept = {entry.id for entry in select(archive, wanted, owned_by).entries}
    assert [entry for entry in archive.entries if entry.id in kept] == list(
        select(archive, wanted, owned_by).entries
    )


@settings(deadline=None)
@given(archives(), wanted_words)
def test_no_relation_comes_along_that_was_not_selected(
    made: tuple[Archive, dict[Name, Name]], wanted: Wanted
) -> None:
    archive, owned_by = made
    chosen = {found.name for found in select_relations(catalog_of(archive.entries), wanted)}
    kept = select(archive, wanted, owned_by).entries
    relations = {Name(entry.schema, entry.tag) for entry in kept if entry.kind in RELATION_KINDS}
    free = {name for name in relations if name.name.startswith("sequence")}
    assert {owned_by.get(name, name) for name in relations - free} <= chosen


@settings(deadline=None)
@given(archives(), wanted_words)
def test_every_selected_relation_is_kept_or_named(
    made: tuple[Archive, dict[Name, Name]], wanted: Wanted
) -> None:
    archive, owned_by = made
    chosen = select_relations(catalog_of(archive.entries), wanted)
    found = select(archive, wanted, owned_by)
    kept = {Name(one.schema, one.tag) for one in found.entries if one.kind in RELATION_KINDS}
    named = {loss.object for loss in found.stranded}
    assert [
        relation.name
        for relation in chosen
        if relation.name not in kept and f"{relation.kind} {relation.name.plain}" not in named
    ] == []


@settings(deadline=None)
@given(archives(), wanted_words)
def test_comments_and_grants_follow_what_they_are_about(
    made: tuple[Archive, dict[Name, Name]], wanted: Wanted
) -> None:
    archive, owned_by = made
    kept = {entry.id for entry in select(archive, wanted, owned_by).entries}
    assert [
        entry
        for entry in archive.entries
        if entry.kind in ("COMMENT", "ACL")
        and (entry.id in kept) != kept.issuperset(entry.depends_on)
    ] == []


@settings(deadline=None)
@given(archives(), wanted_words)
def test_what_is_named_as_left_out_is_not_kept(
    made: tuple[Archive, dict[Name, Name]], wanted: Wanted
) -> None:
    archive, owned_by = made
    found = select(archive, wanted, owned_by)
    kept = {f"{entry.kind.lower()} {entry.schema}.{entry.tag}" for entry in found.entries}
    assert kept.isdisjoint(loss.object for loss in found.stranded)
