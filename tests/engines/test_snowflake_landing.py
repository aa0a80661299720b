"""Loads into tables of Snowflake, as fakesnow plays it: what is there only there. The rest is in
the contract of all targets, `test_landing_contract`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from command import DONE, REFUSED, Ran, windlass
from killing import kill
from landing_targets import begin, load, new_run, planned, snowflake_target, words_of
from landings import Records
from snowflake_fake import FakeSnowflake
from windlass.engines.incoming.values import Unfit
from windlass.engines.registry import open_landing
from windlass.engines.snowflake.landing.books import Books
from windlass.engines.snowflake.landing.catalog import column
from windlass.engines.snowflake.landing.values import converter
from windlass.errors import BadRecord, Refused, WindlassError
from windlass.model.load import BadRules
from windlass.model.past import Others


class Shop:
    """Commands that load into a schema."""

    def __init__(self, snowflake: FakeSnowflake, folder: Path) -> None:
        self._snowflake, self._folder = snowflake, folder
        self.run = snowflake_target(snowflake).run
        self.rows = snowflake_target(snowflake).rows

    def load(self, text: str, *words: str) -> Ran:
        (self._folder / "in.csv").write_text(text)
        return self.command("load", str(self._folder / "in.csv"), *words)

    def command(self, *words: str) -> Ran:
        env = {"WINDLASS_TARGET": self._snowflake.url, "XDG_CACHE_HOME": str(self._folder)}
        return windlass(*words, "--json", env=env)


@pytest.fixture
def shop(snowflake: FakeSnowflake, tmp_path: Path) -> Shop:
    return Shop(snowflake, tmp_path)


def problems(ran: Ran) -> str:
    return json.dumps(ran.expect(REFUSED).result["problems"])


def test_a_file_is_merged_by_a_command_and_the_load_is_undone(shop: Shop) -> None:
    shop.run(
        "create table orders (id number(38,0) primary key, total number(8,2), note varchar(10))",
        "insert into orders values (1, 10, 'a'), (2, 20, 'b')",
    )
    given = ("--into", "orders", "--load", "merge", "--key", "id")
    ran = shop.load("id,total,note\n2,20.50,b\n3,30,é\n", *given)
    counts = ran.expect(DONE).result["counts"]
    assert {name: many for name, many in counts.items() if many} == {
        "read": 2, "inserted": 1, "updated": 1,
    }  # fmt: skip
    read = "select id, total::varchar, note from orders order by id"
    after = [(1, "10.00", "a"), (2, "20.50", "b"), (3, "30.00", "é")]
    assert shop.rows(read) == after
    bad = shop.load("id,total,note\n4,1.005,x\nx,1,y\n", *given)
    assert bad.code != DONE and "more than 2 digits" in bad.said
    assert shop.rows(read) == after
    shop.command("rollback", ran.result["run"], "--yes").expect(DONE)
    assert shop.rows(read) == [(1, "10.00", "a"), (2, "20.00", "b")]


def test_what_is_not_offered_is_refused_with_what_to_do(shop: Shop) -> None:
    shop.run("create table orders (id number(38,0) primary key, note varchar(10), v variant)")
    mirror = ("--into", "orders", "--key", "id", "--load")
    text = "id,note\n1,a\n"
    assert "an undo could not compare" in problems(shop.load(text, *mirror, "merge"))
    shop.run("alter table orders drop column v")
    assert "history" in problems(shop.load(text, *mirror, "history"))
    found = problems(shop.load("id,note,more\n1,a,b\n", *mirror, "merge", "--schema", "add",
                               "--type", "more=varchar(10)"))  # fmt: skip
    assert "a load adds no columns in Snowflake" in found
    assert shop.rows("select count(*) from orders") == [(0,)]


def test_a_missing_table_is_made_and_dropped_by_the_undo(shop: Shop) -> None:
    text = "id,total,day\n1,1.50,2026-01-01\n2,2.25,\n"
    words = ("--into", "fresh", "--load", "append", "--create", "--census", "--csv", "null=")
    done = shop.load(text, *words).expect(DONE).result
    assert shop.rows("select id, total::float, day::varchar from fresh order by id") == [
        (1, 1.5, "2026-01-01"), (2, 2.25, None),
    ]  # fmt: skip
    shop.command("rollback", done["run"], "--yes").expect(DONE)
    with pytest.raises(Exception, match="FRESH"):
        shop.rows("select * from fresh")


def test_rows_and_journal_line_commit_together(
    snowflake: FakeSnowflake, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = snowflake_target(snowflake)
    target.fresh("kept", "id {int}, n {int}")
    source = Records(("id", "n"), [("1", "2")])
    with target.open() as landing:
        what = planned(landing, "kept", words_of("append"), source)
        run = new_run()
        begin(landing, run)
        landing.stage(run, what, 0, source)
        add = Books.add_line

        def fails(*given: Any) -> None:
            raise WindlassError("the line cannot be written")

        monkeypatch.setattr(Books, "add_line", fails)
        with pytest.raises(WindlassError, match="cannot be written"):
            landing.apply(run, what)
        assert target.rows("select * from kept") == []
        monkeypatch.setattr(Books, "add_line", add)
        assert landing.apply(run, what).inserted == 1
        assert landing.apply(run, what).inserted == 1
        assert target.rows("select id, n from kept") == [(1, 2)]


@pytest.mark.parametrize("place", ["changing:Changing._insert", "books:Books.add_line 2"])
def test_a_load_killed_in_its_transaction_is_resumed_once_snowflake_has_ended_that(
    shop: Shop, snowflake: FakeSnowflake, tmp_path: Path, place: str
) -> None:
    shop.run(
        "create table orders (id number(38,0) primary key, note varchar(10))",
        "insert into orders values (1, 'a'), (2, 'b')",
    )
    (tmp_path / "in.csv").write_text("id,note\n2,B\n3,c\n")
    words = ["load", str(tmp_path / "in.csv"), "--into", "orders", "--load", "merge", "--key", "id"]
    env = {"WINDLASS_TARGET": snowflake.url, "XDG_CACHE_HOME": str(tmp_path)}
    kill(f"call windlass.engines.snowflake.landing.{place}", [*words, "--json"], env)
    assert shop.rows("select id, note from orders order by id") == [(1, "a"), (2, "b")]
    assert snowflake.end_transactions() >= 1  # other kills may have left some as well
    found = shop.command(*words).expect(DONE).result
    assert (found["counts"]["inserted"], found["counts"]["updated"]) == (1, 1)
    after = [(1, "a"), (2, "B"), (3, "c")]
    assert shop.rows("select id, note from orders order by id") == after
    shop.command("rollback", found["run"], "--yes").expect(DONE)
    assert shop.rows("select id, note from orders order by id") == [(1, "a"), (2, "b")]


def test_only_one_process_works_on_a_run(snowflake: FakeSnowflake) -> None:
    target = snowflake_target(snowflake)
    target.fresh("kept", "id {int}")
    with target.open() as landing, open_landing(target.url) as other:
        run = new_run()
        begin(landing, run)
        with landing.working(run):
            assert other.is_active(run)
            target.run(  # as if it were another machine's
                "update _windlass_worker set host = 'elsewhere', worker = 'another'"
            )
            with pytest.raises(Refused) as raised:
                begin(other, run)
            assert "another process works on it" in str(raised.value.problems)
            target.run("update _windlass_worker set beat_at = '2026-01-01T00:00:00+00:00'")
            begin(other, run)  # it has given no sign for long
        assert not other.is_active(run)


def test_bad_records_are_set_aside_up_to_a_number(snowflake: FakeSnowflake) -> None:
    target = snowflake_target(snowflake)
    target.fresh("kept", "id {int}, v {short}")
    source = Records(("id", "v"), [("1", "a"), ("x", "b"), ("3", "too long")])
    with target.open() as landing:
        what = planned(landing, "kept", words_of("append"), source, bad=BadRules(most=2))
        counts = load(landing, run := new_run(), what, source)
        assert (counts.inserted, counts.refused) == (1, 2)
        kept = "select record, field, reason from _windlass_refused order by record"
        assert target.rows(kept) == [
            (2, "id", "not an integer"), (3, "v", "longer than 5 characters"),
        ]  # fmt: skip
        strict = planned(landing, "kept", words_of("append"), source, bad=BadRules(most=1))
        begin(landing, another := new_run())
        with pytest.raises(BadRecord):
            landing.stage(another, strict, 0, source)
        landing.undo(run, Others.REFUSE)
        landing.clean(landing.left(run))
        assert target.rows("select count(*) from _windlass_refused") == [(0,)]


VALUES: list[tuple[str, Any, Any]] = [
    ("NUMBER(38,0)", "12", "12"),
    ("NUMBER(38,0)", "1.0", "1.0"),
    ("NUMBER(38,0)", "1.5", Unfit),
    ("NUMBER(5,2)", "123.456", Unfit),
    ("NUMBER(5,2)", "1234", Unfit),
    ("NUMBER(5,2)", "-1e2", "-1E+2"),
    ("FLOAT", "1e400", Unfit),
    ("FLOAT", "nan", "nan"),
    ("FLOAT", 2**53 + 1, Unfit),
    ("BOOLEAN", "t", "True"),
    ("BOOLEAN", "yes", Unfit),
    ("VARCHAR(2)", "äö", "äö"),
    ("VARCHAR(2)", "abc", Unfit),
    ("VARCHAR(2)", "\0", Unfit),
    ("BINARY", "\\x00ff", "b'\\x00\\xff'"),
    ("BINARY(1)", b"ab", Unfit),
    ("DATE", "2026-02-30", Unfit),
    ("TIME(0)", "23:59:59.5", Unfit),
    ("TIME(9)", "23:59:59.1234567", Unfit),
    ("TIMESTAMP_NTZ(9)", "2026-01-01 00:00:00.5", "2026-01-01 00:00:00.500000"),
    ("TIMESTAMP_NTZ(9)", "2026-01-01 00:00:00Z", Unfit),
    ("TIMESTAMP_TZ(9)", "2026-01-01 02:00:00+02", "2026-01-01 00:00:00+00:00"),
    ("TIMESTAMP_LTZ(9)", "2026-01-01 02:00:00", Unfit),
]


@pytest.mark.parametrize(("type_", "value", "stored"), VALUES)
def test_a_value_is_converted_exactly_or_refused(type_: str, value: Any, stored: Any) -> None:
    convert = converter(column("v", type_))
    if stored is Unfit:
        with pytest.raises(Unfit):
            convert(value)
        return
    assert str(convert(value)) == stored
