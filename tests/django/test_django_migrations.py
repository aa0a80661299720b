"""Migrations on condition: applied where some are missing, by one process, and refused where they
cannot be right."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from django_project import PROJECT, Project, ended, values
from servers import PASSWORD

COMMAND = "windlass_migrate_if_needed"
MORE = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [migrations.RunSQL("alter table shop_country add column {column} integer")]
"""
Others = Callable[..., None]


@pytest.fixture
def other_migrations(tmp_path: Path) -> Iterator[Others]:
    """Gives the app `shop` other migrations: those of the project, with a text replaced and more
    files."""
    from django.test import override_settings

    package = f"migrations_of_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / package
    shutil.copytree(PROJECT / "shop" / "migrations", folder)
    sys.path.insert(0, str(tmp_path))
    settings = override_settings(MIGRATION_MODULES={"shop": package})
    settings.enable()

    def make(old: str = "", new: str = "", **files: str) -> None:
        initial = folder / "0001_initial.py"
        text = initial.read_text()
        assert old in text
        initial.write_text(text.replace(old, new))
        for name, column in files.items():
            (folder / f"{name.removeprefix('_')}.py").write_text(MORE.format(column=column))

    yield make
    settings.disable()
    sys.path.remove(str(tmp_path))
    for name in [one for one in sys.modules if one.startswith(package)]:
        del sys.modules[name]


def test_a_missing_table_is_made_by_the_projects_migrations_before_rows_are_loaded(
    unmigrated: Project,
) -> None:
    unmigrated.update("shop.Country", "code,name", "DE,Germany")
    code, plan = unmigrated.command("windlass_refresh", "--plan")
    assert code == 0 and 'CREATE TABLE "shop_country"' in plan
    code, said = unmigrated.command("windlass_refresh")
    assert code == 0 and "applied migration shop.0001_initial" in said
    assert values("Country", "name") == ["Germany"]
    code, said = unmigrated.command(COMMAND)
    assert (code, said.strip()) == (0, "nothing to do: every migration is applied")


def test_two_processes_apply_migrations_once(
    empty: Callable[[str], dict[str, object]], tmp_path: Path
) -> None:
    project = Project({"default": empty("postgres")}, tmp_path)
    both = [project.start(COMMAND) for _ in range(2)]
    said = sorted(ended(one).expect(0).said for one in both)
    assert "applied migration shop.0001_initial" in said[0]
    assert said[1].strip() == "nothing to do: every migration is applied"
    project.leave()


def test_models_that_are_ahead_of_their_migrations_are_refused(
    project: Project, other_migrations: Others
) -> None:
    other_migrations('("code", models.CharField(max_length=2, unique=True))',
                     '("code", models.CharField(max_length=3, unique=True))')  # fmt: skip
    code, said = project.command(COMMAND)
    assert code == 3
    assert "shop: the models are ahead of the migrations: Alter field code on country" in said
    assert "manage.py makemigrations shop" in said


def test_migrations_in_conflict_are_refused(project: Project, other_migrations: Others) -> None:
    other_migrations(_0002_one="one", _0002_two="two")
    code, said = project.command(COMMAND)
    assert code == 3 and "shop: has several last migrations: 0002_one, 0002_two" in said


def test_an_inconsistent_history_is_refused(project: Project) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("delete from django_migrations where app = 'contenttypes'")
    code, said = project.command(COMMAND)
    assert code == 3 and "is applied before its dependency contenttypes" in said


def test_rows_are_not_loaded_while_migrations_of_their_models_are_missing(
    project: Project, other_migrations: Others
) -> None:
    other_migrations(_0002_more="population")
    project.update("shop.Country", "code,name", "DE,Germany")
    said = project.refused()
    assert "of models that are loaded are not applied: shop.0002_more" in said
    code, plan = project.command(COMMAND, "--plan")
    assert code == 0 and "alter table shop_country add column population" in plan
    assert project.refresh(migrate=True).migrations == ("shop.0002_more",)
    assert values("Country", "name") == ["Germany"]


def test_a_migration_does_not_queue_behind_others_for_long(
    pg_project: Project, other_migrations: Others
) -> None:
    other_migrations(_0002_more="population")
    settings = pg_project.databases["default"]
    with psycopg.connect(
        dbname=settings["NAME"], user="postgres", password=PASSWORD, host="127.0.0.1",
        port=settings["PORT"],
    ) as holder:  # fmt: skip
        holder.execute("lock table shop_country in access share mode")
        code, said = pg_project.command(COMMAND, "--lock-timeout", "0.1")
        assert code == 4 and "others use the table" in said
    assert pg_project.command(COMMAND)[0] == 0


def test_a_check_names_what_is_wrong_before_anything_is_tried(
    project: Project, other_migrations: Others
) -> None:
    project.update("shop.Country", "code,name", "DE,Germany")
    code, said = project.command("windlass_check")
    assert code == 0 and "1 update: no problems" in said
    other_migrations(_0002_one="one", _0002_two="two")
    code, said = project.command("windlass_check")
    assert code == 3 and "several last migrations" in said
