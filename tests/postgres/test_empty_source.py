"""An empty source with a target that has data: the two may be swapped."""

from __future__ import annotations

from command import DONE, REFUSED, migrate, windlass
from servers import Pair


def problem(pair: Pair, *words: str) -> dict[str, str]:
    (found,) = migrate(pair, *words).expect(REFUSED).result["problems"]
    assert isinstance(found, dict)
    return found


def test_an_empty_source_and_a_target_with_tables_are_refused(pair: Pair) -> None:
    pair.target.run("create table t (a int)", "insert into t values (1)")
    found = problem(pair)
    assert found["object"] == "source"
    assert "swapped" in found["hint"] and "--allow-empty-source" in found["hint"]
    assert "swapped" in windlass("plan", pair=pair).expect(REFUSED).said
    assert pair.target.value("select to_regnamespace('windlass')") is None
    migrate(pair, "--allow-empty-source").expect(DONE)


def test_an_empty_source_and_an_empty_target_are_migrated(pair: Pair) -> None:
    migrate(pair).expect(DONE)


def test_rows_are_not_replaced_by_none_unless_that_is_asked_for(pair: Pair) -> None:
    pair.source.run("create table t (a int)")
    pair.target.run("create table t (a int)", "insert into t values (1)")
    assert (
        "1 table with rows would be replaced" in problem(pair, "--existing", "replace")["message"]
    )
    migrate(pair, "--existing", "replace", "--allow-empty-source").expect(DONE)
    assert pair.target.value("select count(*) from t") == 0
