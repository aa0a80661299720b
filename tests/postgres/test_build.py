"""Features missing from the target's build or installation are refused by name, or a notice."""

from __future__ import annotations

import pytest

from command import DIFFERENT, DONE, REFUSED, migrate, verify
from servers import Pair

pytestmark = pytest.mark.parametrize("pair", [(15, 18), (15, 16)], indirect=True)


def refused(pair: Pair) -> dict[str, str]:
    problems = migrate(pair).expect(REFUSED).result["problems"]
    return {one["object"]: one["message"] for one in problems}


def test_objects_that_need_icu_are_refused_by_name(pair: Pair) -> None:
    pair.source.run(
        "create schema s",
        "create collation s.c (provider = icu, locale = 'und')",
        'create table s.t (a text collate "de-x-icu")',
    )
    assert refused(pair) == {
        "collation s.c": "cannot be created on the target: ICU is not supported in this build",
        "table s.t": 'uses collation "de-x-icu":'
        ' collation "pg_catalog.de-x-icu" for encoding "UTF8" does not exist',
    }


def test_what_needs_xml_is_refused_by_name(pair: Pair) -> None:
    pair.source.run(
        "create table x (a xml)",
        "create view v as select * from xmltable('/r' passing xmlparse(document '<r/>')"
        " columns a int path 'a')",
    )
    assert refused(pair) == {
        "view public.v": "uses XML functions: unsupported XML feature",
        "public.x": "column a is of type xml: unsupported XML feature",
    }


def test_a_compression_that_the_target_lacks_is_a_notice(pair: Pair) -> None:
    pair.source.run(
        "create table t (id int primary key, a text compression lz4, b text compression pglz)",
        "insert into t select i, repeat('x', 9999), repeat('y', 9999) from generate_series(1, 9) i",
    )
    (loss,) = migrate(pair).expect(DONE).result["losses"]
    assert (loss["object"], loss["class"]) == ("table public.t", "storage")
    assert "lz4" in loss["message"]
    assert pair.target.rows(
        "select attname::text, attcompression::text from pg_attribute"
        " where attrelid = 't'::regclass and attnum > 1 order by 1"
    ) == [("a", ""), ("b", "p")]
    verify(pair).expect(DONE)


def test_a_library_that_the_target_lacks_is_refused(pair: Pair) -> None:
    pair.source.run(
        "create function ours() returns trigger language c as '$libdir/autoinc', 'autoinc'"
    )
    found = refused(pair)
    assert list(found) == ["function public.ours()"]
    assert "autoinc" in found["function public.ours()"]


def test_an_extension_that_the_target_lacks_is_refused(pair: Pair) -> None:
    pair.source.run("create extension hstore")
    assert list(refused(pair)) == ["extension hstore"]


def test_a_security_label_without_its_provider_is_a_loss(pair: Pair) -> None:
    """No server here has a provider; what one has left in the catalog is what pg_dump writes."""
    pair.source.run(
        "create table t (a int, b text)",
        "insert into pg_seclabel values"
        " ('t'::regclass, 'pg_class'::regclass, 2, 'a provider', 'MASKED; or so')",
        "insert into t values (1, 'x')",
    )
    (problem,) = migrate(pair).expect(REFUSED).result["problems"]
    assert problem["message"] == 'provider "a provider" is not loaded on the target'
    assert problem["hint"] == "--accept objects to proceed anyway"
    (loss,) = migrate(pair, "--accept", "objects").expect(DONE).result["losses"]
    assert loss["object"] == problem["object"] and loss["class"] == "objects"
    (found,) = verify(pair).expect(DIFFERENT).result["differences"]
    assert found["object"] == problem["object"]


def test_a_file_of_a_text_search_dictionary_that_the_target_lacks_is_refused(pair: Pair) -> None:
    pair.source.run(
        "create schema s",
        "create text search dictionary s.there (template = simple, stopwords = english)",
        "create text search dictionary s.words (template = simple, stopwords = english)",
        "update pg_ts_dict set dictinitoption = $$stopwords = 'only_on_the_source'$$"
        " where dictname = 'words'",
    )
    (found,) = refused(pair).items()
    assert found[0] == "text search dictionary s.words"
    assert "could not open stop-word file" in found[1]
