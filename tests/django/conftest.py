"""The project with a separate database for each test: a copy of one that is migrated once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from django_project import Project, postgres, setup, sqlite
from needs import needs_module
from servers import Database, Server

MAKE_RATES = (
    "create table legacy_rates (code varchar(3) primary key, rate_pct decimal(8,4) not null)"
)
Databases = Callable[[str], dict[str, object]]


@pytest.fixture(scope="session", autouse=True)
def ready() -> None:
    needs_module("django")
    setup()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("django") / "migrated.sqlite3"
    _migrate(Project({"default": sqlite(path)}, path.parent))
    return path


@pytest.fixture(scope="session")
def migrated_database(
    server: Callable[[int], Server], tmp_path_factory: pytest.TempPathFactory
) -> Database:
    made = server(16).create_database()
    _migrate(Project({"default": postgres(made)}, tmp_path_factory.mktemp("django")))
    return made


def _migrate(project: Project) -> None:
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(MAKE_RATES)
    project.leave()


@pytest.fixture
def migrated(
    request: pytest.FixtureRequest, copied: Callable[[Database], Database], tmp_path: Path
) -> Databases:
    """Settings of another migrated database, of an engine."""

    def made(engine: str) -> dict[str, object]:
        if engine == "postgres":
            return postgres(copied(request.getfixturevalue("migrated_database")))
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.sqlite3"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        return sqlite(path)

    return made


@pytest.fixture
def empty(database: Callable[[int], Database], tmp_path: Path) -> Databases:
    """Settings of a database without any table."""

    def made(engine: str) -> dict[str, object]:
        return (
            postgres(database(16)) if engine == "postgres" else sqlite(tmp_path / "empty.sqlite3")
        )

    return made


@pytest.fixture(params=["postgres", "sqlite"])
def project(
    request: pytest.FixtureRequest, migrated: Databases, tmp_path: Path
) -> Iterator[Project]:
    made = Project({"default": migrated(request.param)}, tmp_path)
    yield made
    made.leave()


@pytest.fixture
def pg_project(migrated: Databases, tmp_path: Path) -> Iterator[Project]:
    made = Project({"default": migrated("postgres")}, tmp_path)
    yield made
    made.leave()


@pytest.fixture(params=["postgres", "sqlite"])
def unmigrated(
    request: pytest.FixtureRequest, empty: Databases, tmp_path: Path
) -> Iterator[Project]:
    made = Project({"default": empty(request.param)}, tmp_path)
    yield made
    made.leave()
