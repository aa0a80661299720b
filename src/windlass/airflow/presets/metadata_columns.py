"""Which columns of Airflow's own database are known to be harmless. All others are masked.

Harmless are ids, names by which rows are joined, states, times, numbers and what Airflow itself
writes. Whatever people, DAGs and tasks provide may be a secret, whatever the column's name: a
description, a note, an XCom, an address, the text of an exception. A column that is not listed
here, such as one of a newer Airflow, is masked until somebody has examined it.
"""

from __future__ import annotations

_RUN = "dag_id task_id run_id map_index"
_TASK = f"""{_RUN} custom_operator_name dag_version_id duration end_date executor
    external_executor_id hostname max_tries next_method operator pid pool pool_slots
    priority_weight queue queued_by_job_id queued_dttm retry_delay_override scheduled_dttm
    span_status start_date state task_display_name trigger_id trigger_timeout try_number unixname
    updated_at"""
_ALIAS = "alias_id dag_id created_at updated_at"

_LISTED = {
    "ab_permission": "id name",
    "ab_permission_view": "id permission_id view_menu_id",
    "ab_permission_view_role": "id permission_view_id role_id",
    "ab_register_user": "id username registration_date",
    "ab_role": "id name",
    "ab_user": """id username active last_login login_count fail_login_count created_on changed_on
        created_by_fk changed_by_fk""",
    "ab_user_role": "id user_id role_id",
    "ab_view_menu": "id name",
    "alembic_version": "version_num",
    # names and URIs of assets are masked: the name is the URI, unless the DAG gives another, and
    # its query may hold a token
    "asset": "id group created_at updated_at",
    "asset_active": "",
    "asset_alias": "id name group",
    "asset_alias_asset": "alias_id asset_id",
    "asset_alias_asset_event": "alias_id event_id",
    "asset_dag_run_queue": "asset_id target_dag_id created_at",
    "asset_event": """id asset_id source_task_id source_dag_id source_run_id source_map_index
        timestamp""",
    "asset_partition_dag_run": """id target_dag_id created_dag_run_id partition_date
        created_at updated_at""",
    "asset_state_store": """asset_id key updated_at last_updated_by_kind last_updated_by_dag_id
        last_updated_by_run_id last_updated_by_task_id last_updated_by_map_index""",
    "asset_trigger": "asset_id trigger_id",
    "asset_watcher": "name asset_id trigger_id",
    "backfill": """id dag_id from_date to_date is_paused reprocess_behavior max_active_runs
        created_at completed_at updated_at triggering_user_name""",
    "backfill_dag_run": """id backfill_id dag_run_id exception_reason logical_date sort_ordinal""",
    "callback": """id type fetch_method bundle_name state priority_weight created_at trigger_id""",
    "callback_request": "id created_at priority_weight callback_type processor_subdir",
    "connection": "id conn_id conn_type port team_id team_name is_encrypted is_extra_encrypted",
    "connection_test_request": """id connection_id state created_at updated_at executor queue
        conn_type port commit_on_success is_encrypted is_extra_encrypted active_connection_id
        team_name""",
    "dag": """dag_id allowed_run_types bundle_name bundle_version dag_display_name default_view
        exceeds_max_non_backfill fail_fast fileloc has_import_errors has_task_concurrency_limits
        is_active is_paused is_stale is_subdag last_expired last_parse_duration last_parsed_time
        last_pickled max_active_runs max_active_tasks max_consecutive_failed_dag_runs next_dagrun
        next_dagrun_create_after next_dagrun_data_interval_end next_dagrun_data_interval_start
        next_dagrun_partition_date owners pickle_id processor_subdir relative_fileloc root_dag_id
        schedule_interval scheduler_lock timetable_description timetable_partitioned
        timetable_periodic timetable_summary timetable_type""",
    "dag_bundle": "name active version last_refreshed",
    "dag_bundle_team": "dag_bundle_name team_id team_name",
    "dag_code": """id dag_id fileloc fileloc_hash created_at last_updated source_code_hash
        dag_version_id""",
    "dag_favorite": "user_id dag_id",
    "dag_owner_attributes": "dag_id owner",
    "dag_pickle": "id created_dttm pickle_hash",
    "dag_priority_parsing_request": "id bundle_name fileloc relative_fileloc",
    "dag_run": """id backfill_id bundle_version clear_number created_at created_dag_version_id
        creating_job_id dag_hash dag_id data_interval_end data_interval_start end_date
        execution_date external_trigger last_scheduling_decision log_template_id logical_date
        partition_date queued_at run_after run_id run_type scheduled_by_job_id span_status
        start_date state triggered_by triggering_user_name updated_at""",
    "dag_run_note": "user_id dag_run_id created_at updated_at",
    "dag_schedule_asset_alias_reference": _ALIAS,
    "dag_schedule_asset_name_reference": "dag_id created_at",
    "dag_schedule_asset_reference": """asset_id dag_id allow_producer_teams allow_global_producers
        created_at updated_at""",
    "dag_schedule_asset_uri_reference": "dag_id created_at",
    "dag_schedule_dataset_alias_reference": _ALIAS,
    "dag_schedule_dataset_reference": "dataset_id dag_id created_at updated_at",
    "dag_tag": "name dag_id",
    "dag_version": "id version_number dag_id bundle_name bundle_version created_at last_updated",
    "dag_warning": "dag_id warning_type timestamp",
    "dagrun_asset_event": "dag_run_id event_id",
    "dagrun_dataset_event": "dag_run_id event_id",
    "dataset": "id created_at updated_at is_orphaned",
    "dataset_alias": "id name",
    "dataset_alias_dataset": "alias_id dataset_id",
    "dataset_alias_dataset_event": "alias_id event_id",
    "dataset_dag_run_queue": "dataset_id target_dag_id created_at",
    "dataset_event": """id dataset_id source_task_id source_dag_id source_run_id source_map_index
        timestamp""",
    "deadline": """id dag_id dagrun_id deadline deadline_time missed callback_id callback_state
        deadline_alert_id trigger_id created_at last_updated_at""",
    "deadline_alert": "id created_at serialized_dag_id",
    "hitl_detail": "ti_id multiple created_at responded_at",
    "hitl_detail_history": "ti_history_id multiple created_at responded_at",
    "import_error": "id timestamp filename bundle_name processor_subdir",
    "job": """id dag_id state job_type start_date end_date latest_heartbeat executor_class hostname
        unixname""",
    "log": """id dttm dag_id task_id map_index event execution_date logical_date run_id owner
        try_number""",
    "log_template": "id filename elasticsearch_id created_at",
    "partitioned_asset_key_log": """id asset_id asset_event_id asset_partition_dag_run_id
        target_dag_id created_at""",
    "rendered_task_instance_fields": _RUN,
    "revoked_token": "exp",
    "serialized_dag": """id dag_id fileloc fileloc_hash created_at last_updated dag_hash
        dag_version_id processor_subdir""",
    "session": "id expiry",
    "sla_miss": "task_id dag_id execution_date email_sent timestamp notification_sent",
    "slot_pool": "id pool slots include_deferred team_id team_name",
    "task_fail": f"id {_RUN} start_date end_date duration",
    "task_inlet_asset_reference": "asset_id dag_id task_id created_at updated_at",
    "task_instance": f"id job_id last_heartbeat_at {_TASK}",
    "task_instance_history": f"id job_id task_instance_id {_TASK}",
    "task_instance_note": f"ti_id {_RUN} user_id created_at updated_at",
    "task_map": f"{_RUN} length",
    "task_outlet_asset_reference": """asset_id dag_id task_id allow_consumer_teams
        allow_global_consumers created_at updated_at""",
    "task_outlet_dataset_reference": "dataset_id dag_id task_id created_at updated_at",
    "task_reschedule": f"id ti_id {_RUN} try_number start_date end_date duration reschedule_date",
    "task_state_store": f"id dag_run_id {_RUN} key updated_at expires_at",
    "team": "id name",
    "trigger": "id classpath created_date triggerer_id queue team_name",
    "variable": "id key is_encrypted team_id team_name",
    "xcom": f"dag_run_id {_RUN} key dag_result timestamp",
}

HARMLESS = {table: tuple(dict.fromkeys(names.split())) for table, names in _LISTED.items()}
"""The columns, by table, that are exported in clear: of every known version together."""
