"""A target that sorts text by another locale is refused by name, unless that is accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from command import DONE, REFUSED, migrate, verify
from servers import Database, Pair, Server
from windlass.engines.postgres.locale import Locale
from windlass.planning.postgres.locale import locale_losses, locale_notices


@pytest.fixture
def german(server: Callable[[int], Server]) -> Iterator[Database]:
    made = server(15)
    made.admin.run(
        "create database german template template0 locale_provider icu icu_locale 'de-DE'"
    )
    found = Database(made, "german")
    found.run("create table t (a text)", "insert into t values ('a'), ('B')")
    yield found
    made.drop_database(found)


@pytest.mark.parametrize("pair", [(15, 15), (15, 18)], indirect=True)
def test_another_locale_of_the_database_stops_the_plan_unless_accepted(
    german: Database, pair: Pair
) -> None:
    pair = Pair(german, pair.target)
    (problem,) = migrate(pair).expect(REFUSED).result["problems"]
    assert problem["object"] == "locale of the database"
    assert "sorts by ICU de-DE on the source and C on the target" in problem["message"]
    assert "--accept behaviour" in problem["hint"]
    (loss,) = migrate(pair, "--accept", "behaviour").expect(DONE).result["losses"]
    assert loss["class"] == "behaviour"
    assert verify(pair).expect(DONE).result["losses"] == [loss]


def test_rows_alone_go_into_what_is_there(german: Database, pair: Pair) -> None:
    pair.target.run("create table t (a text)")
    assert migrate(Pair(german, pair.target), "--data-only").expect(DONE).result["losses"] == []


SAME = [
    (Locale("en_US.UTF-8", "en_US.UTF-8"), Locale("en_US.utf8", "en_US.utf8")),
    (Locale("POSIX", "POSIX"), Locale("C", "C")),
    (Locale("ICU en", "ICU en", "", "1"), Locale("ICU en", "ICU en", "", "")),
]
OTHER = [
    (Locale("en_US.UTF-8", "C"), Locale("C", "C"), "text sorts by en_US.UTF-8"),
    (Locale("C", "en_US.UTF-8"), Locale("C", "C"), "upper() and lower() follow en_US.UTF-8"),
    (Locale("ICU en", "ICU en", "&b < a"), Locale("ICU en", "ICU en"), "with rules &b < a"),
    (Locale("de_DE@euro", "C"), Locale("de_DE", "C"), "text sorts by de_DE@euro"),
]


@pytest.mark.parametrize(("source", "target"), SAME)
def test_names_of_one_locale_are_the_same(source: Locale, target: Locale) -> None:
    assert [*locale_losses(source, target), *locale_notices(source, target)] == []


@pytest.mark.parametrize(("source", "target", "said"), OTHER)
def test_locales_that_differ_are_a_loss(source: Locale, target: Locale, said: str) -> None:
    (loss,) = locale_losses(source, target)
    assert said in loss.message


def test_another_version_of_one_locale_is_a_notice() -> None:
    source, target = (Locale("en_US.UTF-8", "en_US.UTF-8", "", one) for one in ("2.31", "2.36"))
    (notice,) = locale_notices(source, target)
    assert "version 2.31 of en_US.UTF-8 on the source and version 2.36" in notice
