"""Documents for jsonb, which would silently lose keys: they arrive whole or are refused, and plans,
keys and expectations see them as the table has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from landings import LAST, Loads, Records, load_of, words
from servers import Database
from windlass.errors import BadRecord
from windlass.model.load import Assigned, Expect, Expectation

TABLE = """
create domain public.moment as timestamp(3);
create domain public.note as jsonb;
create table public.kept (
    id integer not null, name varchar(4), code char(3), day date, raw_text text,
    doc jsonb, docs jsonb[], note public.note, moment public.moment
);
"""


@pytest.fixture
def loads(database: Callable[[int], Database], request: pytest.FixtureRequest) -> Iterator[Loads]:
    made = database(getattr(request, "param", 16))
    made.run(TABLE)
    with Loads(made) as found:
        yield found


@pytest.mark.parametrize("is_raw", [False, True])
def test_a_document_keeps_all_its_keys_however_it_is_added(is_raw: bool, loads: Loads) -> None:
    """By one COPY, if no document has a key twice."""
    good = Records(("id", "doc"), [("1", '{"a": {"a": 1}}'), ("2", None)], is_raw=is_raw)
    loads.run("public.kept", words("append"), good)
    bad = Records(("id", "doc"), [("3", "{}"), ("4", '{"b": {"a": 1, "a": 1}}')], is_raw=is_raw)
    with pytest.raises(BadRecord) as caught:
        loads.run("public.kept", words("append"), bad)
    assert [(one.record, one.column) for one in caught.value.bad] == [(2, "doc")]
    lists = Records(
        ("id", "docs"), [("3", "{}"), ("4", '{"[{\\"a\\": 1, \\"a\\": 1}]"}')], is_raw=is_raw
    )
    with pytest.raises(BadRecord) as caught:
        loads.run("public.kept", words("append"), lists)
    assert [(one.record, one.column) for one in caught.value.bad] == [(2, "docs")]
    assert loads.database.rows("select id, doc::text from public.kept order by id") == [
        (1, '{"a": {"a": 1}}'), (2, None),
    ]  # fmt: skip


@pytest.mark.parametrize("column", ["doc", "note"])
@pytest.mark.parametrize("value", ["name", "day", "string_to_array('', ',')", "id"])
def test_what_is_no_document_is_none_for_a_plan(loads: Loads, column: str, value: str) -> None:
    source = Records(("id", "name", "day"), [("1", "{}", None)])
    load = load_of(loads.table("public.kept"), words("append"), source, sql={column: value})
    (problem,) = loads.landing.survey([load])
    assert "is of type json but expression is of type" in problem.message


@pytest.mark.parametrize("column", ["doc", "note"])
@pytest.mark.parametrize("loads", [15, 18], indirect=True)
def test_a_text_that_is_also_a_document_is_checked_as_one(loads: Loads, column: str) -> None:
    for text, why in (("{a", "not a valid"), ('"\\u0000"', "Unicode escape"),
                      ('{"a": 1, "a": 1}', "a key twice")):  # fmt: skip
        source = Records(("id", "raw_text"), [("1", '{"a": 1}'), ("2", text)])
        load = load_of(loads.table("public.kept"), words("append"), source)
        both = Assigned(column, "jsonb", field="raw_text")
        load = replace(load, assigned=(*load.assigned, both))
        assert not loads.landing.survey([load])
        with pytest.raises(BadRecord) as caught:
            loads.run_load(load, source)
        (bad,) = caught.value.bad
        assert bad.record == 2 and why in bad.reason


@pytest.mark.parametrize("column", ["doc", "code"])
def test_the_last_row_of_keys_that_are_equal_though_written_otherwise_counts(
    loads: Loads, column: str
) -> None:
    one, other = {
        "doc": ('{"a": 1, "b": 2}', '{"b": 2, "a": 1.0}'),
        "code": ("ab", "ab "),
    }[column]
    how = words("merge", column, duplicates=LAST)
    first = Records(("id", column), [("1", one), ("2", other)])
    assert loads.run("public.kept", how, first).counts.inserted == 1
    again = Records(("id", column), [("3", one), ("4", other)])
    assert loads.run("public.kept", how, again).counts.updated == 1
    assert loads.database.rows("select id from public.kept") == [(4,)]


def test_an_expectation_reads_the_values_of_the_table(loads: Loads) -> None:
    """In the plan as in the run."""
    expect = [
        Expectation(Expect.SQL, sql="doc ->> 'kind' is not null"),
        Expectation(Expect.SQL, sql="jsonb_typeof(doc) = 'object'"),
        Expectation(Expect.SQL, sql="note ? 'a' and docs[1] @> '{}'"),
        Expectation(Expect.SQL, sql="date_part('year', moment) = 2024"),
        Expectation(Expect.ACCEPTED, ("doc",), accepted=('{"kind": "x"}',)),
    ]
    texts = ("1", '{"kind":"x"}', '{"a": 1}', '{"{}"}', "2024-02-29")
    source = Records(("id", "doc", "note", "docs", "moment"), [texts])
    load = load_of(loads.table("public.kept"), words("append"), source, expect=expect)
    assert not loads.landing.survey([load])
    assert loads.run_load(load, source).counts.inserted == 1
