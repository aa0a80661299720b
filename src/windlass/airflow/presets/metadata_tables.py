"""Airflow's own database as a set of exports: which tables each version has.

The versions are those of Airflow's migrations; the list that a DAG file uses is refreshed from
the database's catalog, so that only a first start needs these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Version = tuple[int, int]
FIRST, LATEST = (2, 4), (3, 3)

# The first version that has the table, and the first that no longer has it. `sensor_instance`,
# which lists for 2.4 contain, was removed in 2.4.0 itself, with the smart sensors.
_TABLES: dict[str, tuple[Version, Version | None]] = {
    **dict.fromkeys(
        [
            "alembic_version",
            "connection",
            "dag",
            "dag_code",
            "dag_owner_attributes",
            "dag_run",
            "dag_tag",
            "dag_warning",
            "import_error",
            "job",
            "log",
            "log_template",
            "rendered_task_instance_fields",
            "serialized_dag",
            "slot_pool",
            "task_instance",
            "task_map",
            "task_reschedule",
            "trigger",
            "variable",
            "xcom",
        ],
        (FIRST, None),
    ),
    **dict.fromkeys(
        [
            "dag_pickle",
            "dag_schedule_dataset_reference",
            "dagrun_dataset_event",
            "dataset",
            "dataset_dag_run_queue",
            "dataset_event",
            "sla_miss",
            "task_fail",
            "task_outlet_dataset_reference",
        ],
        (FIRST, (3, 0)),
    ),
    "callback_request": (FIRST, (3, 2)),
    **dict.fromkeys(["dag_run_note", "task_instance_note"], ((2, 5), None)),
    **dict.fromkeys(["dag_priority_parsing_request", "task_instance_history"], ((2, 10), None)),
    **dict.fromkeys(
        [
            "dag_schedule_dataset_alias_reference",
            "dataset_alias",
            "dataset_alias_dataset",
            "dataset_alias_dataset_event",
        ],
        ((2, 10), (3, 0)),
    ),
    **dict.fromkeys(
        [
            "asset",
            "asset_active",
            "asset_alias",
            "asset_alias_asset",
            "asset_alias_asset_event",
            "asset_dag_run_queue",
            "asset_event",
            "backfill",
            "backfill_dag_run",
            "dag_bundle",
            "dag_schedule_asset_alias_reference",
            "dag_schedule_asset_name_reference",
            "dag_schedule_asset_reference",
            "dag_schedule_asset_uri_reference",
            "dag_version",
            "dagrun_asset_event",
            "deadline",
            "task_outlet_asset_reference",
        ],
        ((3, 0), None),
    ),
    "asset_trigger": ((3, 0), (3, 2)),
    **dict.fromkeys(
        ["dag_bundle_team", "dag_favorite", "hitl_detail", "task_inlet_asset_reference", "team"],
        ((3, 1), None),
    ),
    **dict.fromkeys(
        [
            "asset_partition_dag_run",
            "asset_watcher",
            "callback",
            "deadline_alert",
            "hitl_detail_history",
            "partitioned_asset_key_log",
            "revoked_token",
        ],
        ((3, 2), None),
    ),
    **dict.fromkeys(
        ["asset_state_store", "connection_test_request", "task_state_store"], ((3, 3), None)
    ),
}
# tables of the FAB auth manager, which was part of Airflow before 3.0, and is a provider since
_FAB = (
    "ab_permission", "ab_permission_view", "ab_permission_view_role", "ab_register_user", "ab_role",
    "ab_user", "ab_user_role", "ab_view_menu", "session",
)  # fmt: skip

# as in the export that this one replaces: older sessions are of no use
CONDITIONS = {"session": "expiry > now() - interval '7 days'"}


def sort_out(tables: Sequence[str], listed: Sequence[str]) -> tuple[list[str], list[str]]:
    """The tables of a database to export, and those to leave out.

    Nobody has examined the columns of an unknown table, so it is only exported if it is `listed`.
    """
    known = {*_TABLES, *_FAB, *listed}
    return [one for one in tables if one in known], [one for one in tables if one not in known]


def tables_of(version: str | Version, *, fab: bool | None = None) -> tuple[str, ...]:
    """The tables of Airflow's own database in a version, sorted. `fab`: with those of the FAB auth
    manager; by default only before 3.0.

    Raises:
        ValueError: no such version is known.
    """
    wanted = _parse(version)
    if not FIRST <= wanted <= LATEST:
        known = f"{FIRST[0]}.{FIRST[1]} to {LATEST[0]}.{LATEST[1]}"
        raise ValueError(f"the tables of Airflow {version} are not known; known are {known}")
    found = [
        name
        for name, (since, until) in _TABLES.items()
        if since <= wanted and (until is None or wanted < until)
    ]
    if fab if fab is not None else wanted < (3, 0):
        found += _FAB
    return tuple(sorted(found))


def _parse(version: str | Version) -> Version:
    if not isinstance(version, str):
        return version
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None:
        raise ValueError(f"{version!r} is not a version such as 3.3")
    return int(numbers[1]), int(numbers[2])


def start_minute(place: int) -> int:
    """After midnight, for the table at that index: 1, 3, ... 29, 0, 2, ... 30, 1 again."""
    return (1 + 2 * place) % 31
