"""A project's own database is moved into PostgreSQL: by its migrations and its models."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from command import DIFFERENT, DONE, REFUSED, Ran, windlass
from django_project import PROJECT, Project, model, postgres, sqlite
from mariadb_server import MariaServer
from paths import ROOT
from servers import Database

MAKING = "windlass migrate is making the tables of this project"
TOKEN = UUID("00112233-4455-6677-8899-aabbccddeeff")
SEEN = datetime(2026, 11, 29, 23, 59, 59, 123456, tzinfo=UTC)
PATIENCE = timedelta(days=-3, hours=5, microseconds=7)
NO_RATES = ("--exclude", "public.legacy_rates")


class Move:
    """From a file of the project's into an empty database."""

    def __init__(self, file: Path, target: Database, folder: Path) -> None:
        self.file, self.target, self.folder = file, target, folder
        self.more: dict[str, str] = {}

    def command(self, *words: str) -> Ran:
        env = {
            "WINDLASS_SOURCE": f"sqlite:///{self.file}",
            "WINDLASS_TARGET": self.target.url,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(self.folder)]),
            **self.more,
        }
        project = ("--django", "project.settings", "--django-folder", str(PROJECT))
        return windlass(*words, *project, "--json", env=env)

    def migrate(self, *words: str) -> Ran:
        return self.command("migrate", *NO_RATES, *words)

    def run(self, *statements: str) -> None:
        """In the file."""
        with closing(sqlite3.connect(self.file)) as session, session:
            for one in statements:
                session.execute(one)


@pytest.fixture
def project(migrated_file: Path, tmp_path: Path) -> Iterator[Project]:
    file = tmp_path / "db.sqlite3"
    shutil.copy(migrated_file, file)
    made = Project({"default": sqlite(file)}, tmp_path)
    yield made
    made.leave()


@pytest.fixture
def move(project: Project, database: Callable[[int], Database], tmp_path: Path) -> Move:
    return Move(tmp_path / "db.sqlite3", database(16), tmp_path)


def fill() -> None:
    """Rows of every kind of field and relation."""
    from django.contrib.auth.models import Group, Permission, User

    germany = model("Country").objects.create(code="DE", name="Germany")
    customer = model("Customer").objects.create(
        email="ada@example.com", name="Ada", country=germany, credit=Decimal("1234.50"),
        active=False, born=date(1815, 12, 10), seen=SEEN, patience=PATIENCE, token=TOKEN,
        preferences={"b": [1, 2.5, None], "a": {"ü": True}}, notes="tab\tand\\",
    )  # fmt: skip
    model("Customer").objects.create(email="bob@example.com", name="Bob", level="gold")
    root = model("Category").objects.create(slug="root")
    model("Category").objects.create(slug="leaf", parent=root)
    product = model("Product").objects.create(sku="AB-1", name="Thing", price=Decimal("0.07"))
    product.tags.set([model("Tag").objects.create(name=name) for name in ("new", "old")])
    place = model("Restaurant").objects.create(slug="inn", name="Inn", stars=3)
    model("Stock").objects.create(product=product, place=place, pieces=7)
    model("Device").objects.create(
        address="fe80::1", firmware=b"\0\xff\\x", load=0.1 + 0.2, counter=2**63 - 1,
        starts=time(1, 2, 3, 4),
    )  # fmt: skip
    model("Device").objects.create(address="::ffff:10.0.0.1", load=-0.0)
    model("Device").objects.create(address="10.0.0.1")
    user = User.objects.create(username="ada", is_staff=True)
    group = Group.objects.create(name="editors")
    group.permissions.set(Permission.objects.filter(codename__endswith="_customer"))
    user.groups.add(group)
    assert customer.pk == 1


def arrived() -> dict[str, Any]:
    """What the project reads."""
    from django.contrib.auth.models import Permission, User

    return {
        "customers": [
            {key: value for key, value in vars(one).items() if key != "_state"}
            for one in model("Customer").objects.order_by("pk")
        ],
        "leaf": model("Category").objects.get(slug="leaf").parent.slug,
        "tags": [one.name for one in model("Product").objects.get().tags.order_by("name")],
        "restaurant": model("Restaurant").objects.values_list("slug", "name", "stars").get(),
        "stock": model("Stock").objects.get().place.restaurant.stars,
        "devices": [
            (one.address, bytes(one.firmware), str(one.load), one.counter, one.starts)
            for one in model("Device").objects.order_by("pk")
        ],
        "may": User.objects.get().has_perm("shop.change_customer"),
        "may not": User.objects.get().has_perm("shop.change_country"),
        "permissions": list(
            Permission.objects.order_by("pk").values_list("pk", "content_type__model", "codename")
        ),
    }


def problems(ran: Ran) -> list[str]:
    found = ran.expect(REFUSED).result["problems"]
    return [f"{one['object']}: {one['message']}" for one in found]


def on(project: Project, target: Database) -> None:
    project.databases = {"default": postgres(target)}
    project.use()


def test_a_project_arrives_with_every_kind_of_value_and_works_there(
    project: Project, move: Move
) -> None:
    fill()
    before = arrived()
    assert before["may"]
    assert not before["may not"]
    project.leave()
    planned = move.command("plan", *NO_RATES).expect(DONE)
    columns = {
        each.get("field"): (each["source_type"], each["target_type"])
        for one in planned.result["relations"]
        for each in one["columns"]
    }
    assert columns["shop.Customer.patience"] == ("bigint", "interval")
    assert columns["shop.Customer.token"] == ("char(32)", "uuid")
    assert columns["shop.Customer.seen"] == ("datetime", "timestamp with time zone")
    assert columns["shop.Device.address"] == ("char(39)", "inet")
    tables = "select count(*) from pg_class where relnamespace = 'public'::regnamespace"
    assert move.target.value(tables) == 0
    found = move.migrate().expect(DONE).result
    assert found["verified"] == "full"
    assert found["differences"] == []
    on(project, move.target)
    assert arrived() == before
    # nothing is there twice, now and after the project's own command
    assert project.command("migrate", "-v0") == (0, "")
    assert arrived() == before
    assert project.command("makemigrations", "--check", "--dry-run")[0] == 0
    assert model("Customer").objects.create(email="new@example.com", name="New").pk == 3
    assert model("Customer").objects.get(pk=3).shout == "new"
    project.leave()
    # what differs is found, in a column of any kind
    move.target.run(
        "update shop_customer set patience = patience + '1 microsecond' where id = 1",
        "update shop_device set address = '10.0.0.2' where id = 3",
        "delete from shop_customer where id = 3",
    )
    differing = move.command("verify", *NO_RATES).expect(DIFFERENT).result["differences"]
    assert {(one["object"], *one["columns"]) for one in differing} == {
        ("public.shop_customer", "patience"),
        ("public.shop_device", "address"),
    }
    undone = windlass("rollback", found["run"], "--target", move.target.url, "-y", "--force")
    undone.expect(DONE)
    assert move.target.value("select count(*) from shop_customer") == 0
    assert move.target.value("select count(*) from django_migrations") > 0


def test_tables_that_the_project_has_made_are_filled_and_a_rollback_puts_back_their_rows(
    project: Project, move: Move
) -> None:
    fill()
    on(project, move.target)
    assert project.command("migrate", "-v0") == (0, "")
    project.leave()
    kinds = "select array_agg(row_to_json(t)::text order by id) from django_content_type t"
    applied = "select array_agg(row_to_json(t)::text order by id) from django_migrations t"
    were = [move.target.value(one) for one in (kinds, applied)]
    move.run(  # other numbers than those of the target
        "pragma foreign_keys = off",
        "update django_content_type set id = id + 100",
        "update auth_permission set content_type_id = content_type_id + 100",
    )
    found = move.migrate().expect(DONE).result
    assert move.target.value("select min(id) > 100 from django_content_type")
    strays = (
        "select count(*) from auth_permission p left join django_content_type c"
        " on c.id = p.content_type_id where c.id is null"
    )
    assert move.target.value(strays) == 0
    on(project, move.target)
    assert arrived()["may"]
    project.leave()
    windlass("rollback", found["run"], "--target", move.target.url, "-y").expect(DONE)
    assert [move.target.value(one) for one in (kinds, applied)] == were
    assert move.target.value("select count(*) from shop_customer") == 0


SETTINGS = """\
SECRET_KEY, USE_TZ, DEFAULT_AUTO_FIELD = "x", True, "django.db.models.BigAutoField"
INSTALLED_APPS = ["things"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": %r}}
"""
MIGRATION = """\
import uuid
from django.db import migrations, models


def seed(apps, editor):
    for name in ("a", "b"):
        apps.get_model("things", "Thing").objects.create(name=name)


class Migration(migrations.Migration):
    operations = [
        migrations.CreateModel("Thing", [
            ("id", models.BigAutoField(primary_key=True, auto_created=True, serialize=False,
             verbose_name="ID")),
            ("name", models.CharField(max_length=9, unique=True)),
            ("on", models.BooleanField(default=True)),
            ("at", models.DateTimeField(null=True)),
            ("lasts", models.DurationField(null=True)),
            ("token", models.UUIDField(null=True)),
            ("price", models.DecimalField(max_digits=8, decimal_places=2, null=True)),
            ("more", models.JSONField(null=True)),
            ("bytes", models.BinaryField(null=True)),
            ("address", models.GenericIPAddressField(null=True)),
            ("pieces", models.PositiveIntegerField(default=0)),
            ("day", models.DateField(null=True)),
            ("hour", models.TimeField(null=True)),
        ]),
        migrations.RunPython(seed),
    ]
"""
MODELS = """\
from django.db import models


class Thing(models.Model):
    name = models.CharField(max_length=9, unique=True)
    on = models.BooleanField(default=True)
    at = models.DateTimeField(null=True)
    lasts = models.DurationField(null=True)
    token = models.UUIDField(null=True)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    more = models.JSONField(null=True)
    bytes = models.BinaryField(null=True)
    address = models.GenericIPAddressField(null=True)
    pieces = models.PositiveIntegerField(default=0)
    day = models.DateField(null=True)
    hour = models.TimeField(null=True)
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A project with one model, whose migration puts two rows into its table."""
    folder = tmp_path / "small"
    migrations = folder / "things" / "migrations"
    migrations.mkdir(parents=True)
    for place in (folder / "things", migrations):
        (place / "__init__.py").touch()
    (folder / "settings.py").write_text(SETTINGS % str(folder / "db.sqlite3"))
    (folder / "things" / "models.py").write_text(MODELS)
    (migrations / "0001_initial.py").write_text(MIGRATION)
    return folder


def command_of(small: Path, source: str, target: Database, *words: str) -> Ran:
    env = {
        "WINDLASS_SOURCE": source,
        "WINDLASS_TARGET": target.url,
        "PYTHONPATH": str(ROOT / "src"),
    }
    project = ("--django", "settings", "--django-folder", str(small))
    return windlass(*words, *project, "--json", env=env)


def manage(small: Path, *words: str) -> None:
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(small)}
    command = [sys.executable, "-m", "django", *words, "-v0"]
    subprocess.run(command, env=env, cwd=small, check=True)


def run_in(small: Path, *statements: str) -> str:
    """In its file; returns the URL of that."""
    with closing(sqlite3.connect(small / "db.sqlite3")) as session, session:
        for one in statements:
            session.execute(one)
    return f"sqlite:///{small / 'db.sqlite3'}"


def test_what_data_migrations_made_is_there_once(
    small: Path, database: Callable[[int], Database]
) -> None:
    target = database(16)
    manage(small, "migrate")
    source = run_in(small, "update things_thing set name = 'c' where id = 1")
    command_of(small, source, target, "migrate").expect(DONE)
    rows = target.rows("select id, name from things_thing order by id")
    assert rows == [(1, "c"), (2, "b")]
    assert target.value("select nextval(pg_get_serial_sequence('things_thing', 'id'))") == 3


def test_migrations_that_were_interrupted_are_finished_and_rows_of_others_stay(
    small: Path, database: Callable[[int], Database]
) -> None:
    target = database(16)
    manage(small, "migrate", "--fake")
    source = run_in(small, "delete from django_migrations")
    behind = problems(command_of(small, source, target, "migrate"))
    assert behind == ["source: lacks migrations of the project: things.0001_initial"]
    run_in(small, "drop table django_migrations")
    manage(small, "migrate")
    run = command_of(small, source, target, "migrate").expect(DONE).result["run"]
    windlass("rollback", run, "--target", target.url, "-y").expect(DONE)
    target.run("insert into things_thing (name, \"on\", pieces) values ('z', true, 1)")
    others = problems(command_of(small, source, target, "migrate"))
    assert others == ["public.things_thing: has rows on the target"]
    assert target.value("select count(*) from things_thing") == 1
    target.run(f"comment on table django_migrations is '{MAKING}'")
    command_of(small, source, target, "migrate").expect(DONE)
    rows = target.rows("select id, name from things_thing order by id")
    assert rows == [(1, "a"), (2, "b")]
    assert target.value("select obj_description('django_migrations'::regclass)") is None


MARIADB = (
    "create table django_migrations (id bigint auto_increment primary key, app varchar(255) not"
    " null, name varchar(255) not null, applied datetime(6) not null)",
    "insert into django_migrations values (7, 'things', '0001_initial', '2026-01-01 00:00:00')",
    "create table things_thing (id bigint auto_increment primary key, name varchar(9) not null"
    " unique, `on` bool not null, at datetime(6), lasts bigint, token char(32), price"
    " numeric(8, 2), more json, bytes longblob, address char(39), pieces integer unsigned not null"
    " check (pieces >= 0), day date, hour time(6))",
    "insert into things_thing values (5, 'Ä', 0, '2026-11-29 23:59:59.123456', -259200000007,"
    " '00112233445566778899aabbccddeeff', 123456.78, '{\"b\": [1, 2.5]}', x'00ff5c',"
    " 'fe80::1', 4000000000, '2024-02-29', '01:02:03.000004'),"
    " (6, 'b', 1, null, 3723000000, null, null, null, null, '10.0.0.1', 0, null, null)",
)


def test_a_project_on_mariadb_arrives(
    small: Path, database: Callable[[int], Database], mariadb: MariaServer,
    maria_database: Callable[..., str],
) -> None:  # fmt: skip
    target, name = database(16), maria_database(*MARIADB)
    source = mariadb.url(name)
    large = problems(command_of(small, source, target, "migrate"))
    assert any("things_thing.pieces" in one for one in large)  # as an integer has 32 bits
    mariadb.run(name, "update things_thing set pieces = 7 where id = 5")
    command_of(small, source, target, "migrate").expect(DONE)
    token = UUID("00112233-4455-6677-8899-aabbccddeeff")
    assert target.rows("select * from things_thing order by id") == [
        (5, "Ä", False, SEEN, timedelta(seconds=-259200, microseconds=-7), token,
         Decimal("123456.78"), {"b": [1, 2.5]}, b"\0\xff\\", IPv6Address("fe80::1"), 7,
         date(2024, 2, 29), time(1, 2, 3, 4)),
        (6, "b", True, None, timedelta(seconds=3723), None, None, None, None,
         IPv4Address("10.0.0.1"), 0, None, None),
    ]  # fmt: skip
    assert target.value("select id from django_migrations") == 7
    assert command_of(small, source, target, "verify").expect(DONE).result["differences"] == []


def test_what_cannot_be_moved_is_named_before_anything_is_written(
    project: Project, move: Move
) -> None:
    fill()
    project.leave()
    move.run(
        "create table old_notes (id integer primary key)",
        "update shop_customer set active = 2, seen = 'yesterday', country_id = 77",
        "update shop_device set address = 'nowhere' where id = 1",
    )
    refused = move.command("migrate")
    said = problems(refused)
    assert "the model decides the type" in refused.said and "=text" not in refused.said
    for what in (
        "shop_customer.active: ",
        "shop_customer.seen: ",
        "shop_device.address: ",
        "shop_customer: some rows of country_id refer to no row of shop_country",
        "table main.old_notes: is of no model",
        "legacy_rates: is not on the target, and no migration makes it (shop.Rate is unmanaged)",
    ):
        assert any(what in one for one in said), (what, said)
    assert move.target.value("select count(*) from pg_namespace where nspname = 'windlass'") == 0
    apart = problems(move.migrate("--exclude", "public.shop_country"))
    assert "shop.Customer.country: refers to shop_country, which is not selected" in apart


def test_times_without_a_zone_are_those_of_the_project(project: Project, move: Move) -> None:
    fill()
    project.leave()
    move.run("update shop_customer set seen = '2026-07-01 12:00:00'")
    move.more = {"PROJECT_USE_TZ": "no", "PROJECT_TIME_ZONE": "Europe/Berlin"}
    move.migrate().expect(DONE)
    noon = "select bool_and(seen = '2026-07-01 10:00:00+00') from shop_customer"
    assert move.target.value(noon)
    move.run("update shop_customer set seen = '2026-03-29 02:30:00'")  # no clock showed it
    move.target.run("truncate shop_customer cascade")
    assert "shop_customer.seen" in move.command("verify", *NO_RATES).expect(REFUSED).said


def test_rows_of_the_target_are_never_mixed_with_the_sources(project: Project, move: Move) -> None:
    fill()
    on(project, move.target)
    project.command("migrate", "-v0")
    model("Country").objects.create(code="FR", name="France")
    project.leave()
    assert "has rows on the target" in move.migrate().expect(REFUSED).said
    with psycopg.connect(move.target.url) as session:
        assert session.execute("select count(*) from shop_country").fetchone() == (1,)


def test_rows_that_refer_to_nothing_are_found_even_where_the_source_has_no_such_key(
    project: Project, move: Move
) -> None:
    fill()
    project.leave()
    key = 'REFERENCES "shop_country" ("id") DEFERRABLE INITIALLY DEFERRED'
    move.run(
        "pragma writable_schema = on",
        f"update sqlite_schema set sql = replace(sql, '{key}', '') where name = 'shop_customer'",
        "update shop_customer set country_id = 77",
    )
    found = move.migrate().expect(DIFFERENT).result["differences"]
    assert [one["message"] for one in found] == ["2 rows refer to no row of public.shop_country"]
