"""The steps of a refresh that a scheduler does one by one; `windlass_refresh` does all of them.

A request contains its updates, in the form of the setting's list, and the folder for files that are
fetched.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import django
from django.db import DatabaseError, connections

import windlass
from windlass.django.databases import place_of, url_of
from windlass.django.needed import migrate_if_needed, read_needed
from windlass.django.order import Target
from windlass.django.planning import plan_databases, targets_of
from windlass.django.refreshing import Options, refresh, updates_given
from windlass.django.showing import migrated
from windlass.errors import Refused, Unreachable
from windlass.model.report import Problem
from windlass.spec.load import LoadSpec

Request = Mapping[str, Any]
Answer = dict[str, Any]
WAIT_SECONDS, LOCK_SECONDS = 3600.0, 5.0


def set_up(request: Request) -> Answer:
    """Check the project; returns its updates in an order in which they can be loaded.

    Raises:
        BadSpec, Refused: with every fault of every update, or of the migrations.
        Unreachable: a database cannot be reached.
    """
    targets = _targets(request)
    aliases = _aliases(request, targets)
    problems = [problem for one in aliases for problem in _looked_at(one)]
    if problems:
        raise Refused(problems)
    return {
        "state": "done",
        "versions": {
            "python": platform.python_version(),
            "django": django.get_version(),
            "windlass": windlass.__version__,
        },
        "databases": {one: place_of(one) for one in aliases},
        "items": items_of(targets),
    }


def _looked_at(alias: str) -> Sequence[Problem]:
    url_of(alias)
    try:
        connections[alias].ensure_connection()
        return read_needed(alias).problems
    except DatabaseError as error:
        message = str(error).partition("\n")[0]
        raise Unreachable([Problem(f"database {place_of(alias)}", message)]) from error


def _targets(request: Request) -> list[Target]:
    given, database = updates_given(request.get("updates"), request.get("database", ""))
    return targets_of(given, database)


def _aliases(request: Request, targets: Sequence[Target]) -> list[str]:
    found = list(dict.fromkeys(one.alias for one in targets))
    return found or [request.get("database") or "default"]


def items_of(targets: Sequence[Target]) -> list[Answer]:
    """What can be loaded separately: one update, or several whose models refer to each other.

    An item has the positions of its updates in the list, and the positions of the items that it
    must come after, because its models refer to theirs.
    """
    groups = _groups(targets)
    own = [{model for at in group for model in targets[at].own} for group in groups]
    needs = [{model for at in group for model in targets[at].needs} for group in groups]
    order: list[int] = []
    while len(order) < len(groups):
        left = [at for at in range(len(groups)) if at not in order]
        order += [
            at for at in left if not any(needs[at] & own[other] for other in left if other != at)
        ]
    return [
        {
            "name": "_".join(targets[one].update.table for one in groups[at]),
            "updates": groups[at],
            "after": [place for place, other in enumerate(order)
                      if other != at and needs[at] & own[other]],
        }
        for at in order
    ]  # fmt: skip


def _groups(targets: Sequence[Target]) -> list[list[int]]:
    """Updates by position, grouped: those that refer to each other, or fill the same tables, belong
    together."""
    places = range(len(targets))
    reached = [
        {
            at
            for at in places
            if targets[one].needs & targets[at].own or targets[one].own & targets[at].own
        }
        for one in places
    ]
    for _ in places:
        reached = [found.union(*(reached[at] for at in found)) for found in reached]
    groups: list[list[int]] = []
    for one in places:
        group = next((it for it in groups if it[0] in reached[one] and one in reached[it[0]]), None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    return groups


def migrate(request: Request) -> Answer:
    """Apply migrations that are missing.

    Raises:
        BadSpec: with every fault of the updates.
    """
    applied: list[str] = []
    for alias in _aliases(request, _targets(request)):
        result = migrated(
            alias, only_plan=False, wait_seconds=WAIT_SECONDS, lock_seconds=LOCK_SECONDS
        )
        found = result.as_json()
        if result.exit_code:
            return {**found, "exit_code": result.exit_code}
        applied += found["migrations"]
    return {"state": "done", "migrations": applied}


def download(request: Request) -> Answer:
    """Fetch and open what updates read from elsewhere.

    Raises:
        WindlassError: it is not there, or cannot be read.
    """
    given, _ = updates_given(request["updates"])
    spec = LoadSpec.of(target="sqlite:///unused", loads=[one.wanted for one in given])
    found = windlass.fetch(spec, Path(request["folder"]))
    return {
        "state": "done",
        "files": [
            {
                "from": one.place,
                "size_bytes": one.identity.size_bytes,
                "sha256": one.identity.sha256,
                "etag": one.identity.etag,
                "fields": [field.name for field in one.fields],
            }
            for one in found
        ],
    }


def check_create(request: Request) -> Answer:
    """Check the tables of updates; missing ones are created by the project's migrations.

    Raises:
        Refused: a table is missing, and no migration makes it.
    """
    given, database = updates_given(request["updates"], request.get("database", ""))
    plans = plan_databases(given, database)
    missing = [part.table for plan in plans for part in plan.missing]
    migrations = [
        one.label
        for plan in plans
        if plan.migrates
        for one in migrate_if_needed(plan.alias).migrations
    ]
    left = [one for plan in plan_databases(given, database) for one in plan.missing]
    if left:
        raise Refused([Problem(one.label, f"there is still no table {one.table}") for one in left])
    tables = [part.table for plan in plans for target in plan.targets for part in target.parts]
    return {"state": "done", "tables": tables, "created": missing, "migrations": migrations}


def update(request: Request) -> Answer:
    """Load updates, using the folder for what they read if it is there."""
    folder = Path(request["folder"])
    options = Options(
        again=bool(request.get("again")),
        wait_seconds=WAIT_SECONDS,
        refresh=request.get("refresh", ""),
        url=request.get("url", ""),
        fetched=folder,
    )
    result = refresh(request["updates"], request.get("database", ""), options)
    if not result.exit_code:
        shutil.rmtree(folder, ignore_errors=True)
    return {**result.as_json(), "exit_code": result.exit_code}


STEPS: Mapping[str, Callable[[Request], Answer]] = {
    "setup_django_env": set_up,
    "apply_migrations": migrate,
    "download": download,
    "check_create": check_create,
    "update": update,
}
