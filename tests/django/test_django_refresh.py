"""A refresh as its users run it: undone, resumed, one at a time, with signals, routers and settings
that are checked."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from awaiting import until
from django_project import Project, ended, model, values
from servers import PASSWORD

COUNTRIES = ("code,name", "DE,Germany", "FR,France")


def test_the_last_refresh_is_undone_as_a_whole(project: Project) -> None:
    model("Country").objects.create(code="DE", name="Deutschland")
    project.update("shop.Country", *COUNTRIES)
    project.update("shop.Customer", "email,name,country.code", "a@x.de,A,FR")
    project.refreshed()
    code, said = project.command("windlass_refresh", "--undo")
    assert code == 0, said
    assert said.count("is rolled back") == 2
    assert values("Country", "code", "name") == [("DE", "Deutschland")]
    assert values("Customer", "pk") == []
    assert "no refresh is known there" in project.command("windlass_refresh", "--undo")[1]


def test_rows_that_others_changed_are_not_undone(project: Project) -> None:
    project.update("shop.Country", *COUNTRIES)
    run = project.refresh().runs[0]
    model("Country").objects.filter(code="FR").update(name="La France")
    code, said = project.command("windlass_refresh", "--undo", run)
    assert code == 3 and "shop_country" in said
    code, said = project.command("windlass_refresh", "--undo", run, "--skip-changed")
    assert code == 0, said
    assert values("Country", "name") == ["La France"]


def test_undoing_a_run_that_is_unknown_is_refused(project: Project) -> None:
    code, said = project.command("windlass_refresh", "--undo", "20200101_0000_abcd")
    assert code == 3 and "is no run of loads" in said


def test_a_signal_per_model_says_what_was_loaded(project: Project) -> None:
    from windlass.django.signals import refreshed

    heard: list[tuple[Any, dict[str, Any]]] = []

    def hear(sender: Any, **words: Any) -> None:
        heard.append((sender, words))

    project.update("shop.Country", *COUNTRIES)
    refreshed.connect(hear)
    try:
        run = project.refresh().runs[0]
        project.refresh()
    finally:
        refreshed.disconnect(hear)
    ((sender, words),) = heard
    assert sender is model("Country")
    assert (words["run"], words["using"], words["counts"]["inserted"]) == (run, "default", 2)


def test_a_receiver_that_fails_is_reported_and_stops_nothing(project: Project) -> None:
    from windlass.django.signals import refreshed

    def fail(**_: Any) -> None:
        raise ValueError("of the test")

    project.update("shop.Country", *COUNTRIES)
    project.update("shop.Customer", "email,name,country.code", "a@x.de,A,FR")
    refreshed.connect(fail)
    try:
        result = project.refresh()
    finally:
        refreshed.disconnect(fail)
    assert result.state == "done" and len(values("Customer", "pk")) == 1
    assert any("a receiver of the signal refreshed: ValueError" in one for one in result.notices)


def test_a_plan_says_what_would_happen_and_writes_nothing(project: Project) -> None:
    project.update("shop.Country", *COUNTRIES)
    code, said = project.command("windlass_refresh", "--plan")
    assert code == 0 and "shop_country" in said
    assert values("Country", "pk") == []
    assert project.command("windlass_refresh", "--undo")[0] == 3


def test_a_second_refresh_is_refused_while_one_runs_and_waits_if_asked_to(
    project: Project,
) -> None:
    from windlass.django.locks import REFRESH, alone

    project.update("shop.Country", *COUNTRIES)
    with alone("default", REFRESH):
        assert "another process is at work there" in project.refused()
        waiting = project.start("windlass_refresh", "--wait", "30")
        again = project.manage("windlass_refresh", "--wait", "0")
        again.expect(3)
        assert waiting.poll() is None
    assert "2 inserted" in ended(waiting).expect(0).said


def test_two_refreshes_at_once_load_the_rows_once(pg_project: Project) -> None:
    pg_project.update("shop.Visit", "page,at", "/,2026-01-01 10:00")
    pg_project.update("shop.Country", *COUNTRIES)
    both = [pg_project.start("windlass_refresh", "--wait", "30", "--json") for _ in range(2)]
    first, second = (ended(one).expect(0).result for one in both)
    unchanged = [{table["unchanged"] for table in one["tables"]} for one in (first, second)]
    assert sorted(unchanged, key=str) == [{False}, {True}]
    assert len(values("Visit", "pk")) == 1


def test_a_refresh_that_was_killed_is_resumed_by_the_same_command(pg_project: Project) -> None:
    pg_project.update("shop.Country", *COUNTRIES)
    pg_project.update("shop.Customer", "email,name,country.code", "a@x.de,A,FR")
    settings = pg_project.databases["default"]
    where = {
        "dbname": settings["NAME"], "user": "postgres", "password": PASSWORD,
        "host": "127.0.0.1", "port": settings["PORT"],
    }  # fmt: skip
    with psycopg.connect(**where) as holder:
        holder.execute("lock table shop_customer in share row exclusive mode")
        process = pg_project.start("windlass_refresh")
        until(lambda: _waits(where), "the load waits for the lock")
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert values("Country", "code") == ["DE", "FR"] and values("Customer", "pk") == []
    result = pg_project.manage("windlass_refresh", "--json", "--wait", "10").expect(0).result
    assert [one["model"] for one in result["tables"]] == ["shop.Country", "shop.Customer"]
    assert values("Customer", "email") == ["a@x.de"]
    pg_project.manage("windlass_refresh", "--undo").expect(0)
    assert values("Country", "code") == []


def _waits(where: dict[str, Any]) -> bool:
    with psycopg.connect(**where) as session:
        query = "select from pg_locks where relation = 'shop_customer'::regclass and not granted"
        return session.execute(query).fetchone() is not None


def test_updates_are_read_from_a_file_or_stdin_and_answered_in_json(project: Project) -> None:
    given = [project.update("shop.Country", *COUNTRIES)]
    project.updates.clear()
    ran = project.manage("windlass_refresh", "--updates", "-", "--json", stdin=json.dumps(given))
    result = ran.expect(0).result
    (table,) = result["tables"]
    assert result["state"] == "done"
    assert (table["model"], table["counts"]["inserted"]) == ("shop.Country", 2)
    assert result["runs"] == [table["run"]]


def test_urls_of_files_are_inputs_too(project: Project) -> None:
    path = project.file("countries.csv", *COUNTRIES)
    project.updates.append({"url": Path(path).as_uri(), "table": "shop.Country"})
    assert project.refreshed() == {"Country": {"inserted": 2}}


def test_the_metrics_of_its_runs_are_where_the_setting_says(project: Project) -> None:
    file = project.folder / "windlass.prom"
    project.words |= {"metrics-file": str(file), "metrics-name": "shop"}
    project.use()
    project.update("shop.Country", *COUNTRIES)
    project.refreshed()
    text = file.read_text()
    runs = re.findall(r"(?m)^windlass_runs_total\{(.*)\} 1$", text)
    assert len(runs) == 1 and 'flow="load"' in runs[0] and 'name="shop"' in runs[0]
    assert re.findall(r"(?m)^windlass_rows_total\{.*\} (\d)$", text) == ["2"]
    assert PASSWORD not in text
    project.words |= {"metrics-file": str(file.parent), "pushgateway": "http://me:hush@x.example"}
    project.use()
    code, said = project.command("windlass_refresh")
    assert code == 2 and "pushgateway: holds a login" in said and "hush" not in said


def test_a_time_without_a_zone_is_of_the_projects_zone(project: Project) -> None:
    from django.test import override_settings

    project.update("shop.Visit", "page,at", "/,2026-07-01 12:00", "/b,2026-07-01T12:00:00Z")
    with override_settings(TIME_ZONE="Europe/Berlin"):
        project.refreshed()
    hours = [at.hour for at in values("Visit", "at")]
    assert sorted(hours) == [10, 12]


def test_a_time_that_clocks_showed_twice_is_refused(project: Project) -> None:
    from django.test import override_settings

    project.update("shop.Visit", "page,at", "/,2026-10-25 02:30")
    with override_settings(TIME_ZONE="Europe/Berlin"):
        assert "a time that clocks showed twice or never" in project.refused()


class ToLegacy:
    """A router as projects have them."""

    def db_for_write(self, model: Any, **_: Any) -> str | None:
        return "legacy" if model._meta.model_name == "country" else None

    def allow_migrate(self, db: str, app_label: str, model_name: str = "", **_: Any) -> bool | None:
        return db == "default" if model_name == "tag" else None


@pytest.fixture
def routed(migrated: Any, tmp_path: Path) -> Iterator[Project]:
    from django.db import router

    project = Project({"default": migrated("sqlite"), "legacy": migrated("sqlite")}, tmp_path)
    router.__dict__["routers"] = [ToLegacy()]
    yield project
    del router.__dict__["routers"]
    project.leave()


def test_rows_go_where_the_routers_say(routed: Project) -> None:
    routed.update("shop.Country", *COUNTRIES)
    routed.update("shop.Tag", "name", "red")
    routed.refreshed()
    countries, tags = model("Country").objects, model("Tag").objects
    assert (countries.using("legacy").count(), countries.using("default").count()) == (2, 0)
    assert tags.using("default").count() == 1


def test_a_database_against_the_routers_is_refused(routed: Project) -> None:
    from windlass.django.refreshing import refresh

    routed.update("shop.Country", *COUNTRIES)
    routed.update("shop.Tag", "name", "red")
    text = "\n".join(refresh(database="default").lines)
    assert "is written to database 'legacy' by the routers" in text
    text = "\n".join(refresh(database="legacy").lines)
    assert "shop.Tag: the routers do not allow its table in database 'legacy'" in text


def test_a_refresh_in_a_transaction_is_refused(project: Project) -> None:
    from django.db import transaction

    project.update("shop.Country", *COUNTRIES)
    with transaction.atomic():
        assert "is in a transaction" in project.refused()


@pytest.mark.parametrize(
    ("setting", "faults"),
    [
        ({"updats": []}, ["unknown key 'updats'; did you mean 'updates'?"]),
        ([], ["is not a dict"]),
        ({"updates": {}}, ["updates: is not a list"]),
        (
            {"updates": [{"url": "a.csv"}, {"table": "shop.Country"}], "database": "there"},
            ["updates.0: table: not given", "updates.1: url: not given", "no database 'there'"],
        ),
        (
            {"updates": [{"url": "a.csv", "table": "shop.Contry", "load": "merge"}]},
            ["shop.Contry: is neither a model nor the table of one", "did you mean shop.Country?"],
        ),
        (
            {"updates": [{"url": "a.csv", "table": "shop.Country", "load": "marge", "kee": ["x"]}]},
            ["load", "did you mean 'merge'?", "unknown key 'kee'; did you mean 'key'?"],
        ),
        (
            {"updates": [{"url": "a.csv", "table": "shop.Product.name"}]},
            ["is not a many-to-many field"],
        ),
        (
            {"updates": [{"url": "a.csv", "table": "shop.Country", "into": "x", "create": True}]},
            ["into: is not for updates", "create: is not for updates"],
        ),
    ],
)
def test_the_setting_is_checked_with_every_fault_at_once(
    project: Project, setting: Any, faults: list[str]
) -> None:
    from django.core import checks
    from django.test import override_settings

    with override_settings(WINDLASS=setting):
        said = "\n".join(f"{one.msg} {one.hint}" for one in checks.run_checks()
                         if str(one.id).startswith("windlass"))  # fmt: skip
        assert [one for one in faults if one not in said] == [], said


def test_a_password_is_in_no_argument_and_no_output(pg_project: Project) -> None:
    from windlass.django.databases import place_of

    pg_project.update("shop.Country", *COUNTRIES)
    shown = [pg_project.manage("windlass_refresh", *words).expect(0).said
             for words in (("--plan", "--json"), ("--json",))]  # fmt: skip
    shown.append(pg_project.manage("windlass_check").expect(0).said)
    databases = {"default": {**pg_project.databases["default"], "PORT": "1"}}
    gone = pg_project.manage("windlass_refresh", PROJECT_DATABASES=json.dumps(databases))
    shown.append(gone.expect(4).said)
    assert PASSWORD not in "".join(shown) and PASSWORD not in place_of("default")


def test_an_address_instead_of_an_alias_is_refused_and_not_repeated(project: Project) -> None:
    from windlass.django.refreshing import refresh
    from windlass.errors import BadSpec

    project.update("shop.Country", *COUNTRIES)
    with pytest.raises(BadSpec) as caught:
        refresh(database=f"postgresql://app:{PASSWORD}@host/shop")
    assert "give its alias" in str(caught.value) and PASSWORD not in str(caught.value)


def test_a_database_in_memory_is_refused(tmp_path: Path) -> None:
    memory = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    project = Project({"default": memory}, tmp_path)
    project.update("shop.Country", *COUNTRIES)
    assert "is in memory" in project.refused()
    project.leave()
