"""What `make test` leaves to `make test-all`, as others of its kind run.

Of a test with many variants (versions, kinds of objects, moments of a kill) a sample runs, and of a
file with many cases of one promise a share of its tests; another one for every commit: over time
all of them do, and two runs of one commit run the same. `TESTS_SEED` chooses another sample.
Tests of one file that have the same variants run the same of them, and share what these make;
those of engines and warehouses take turns instead, so that each of these runs with every commit.
What docs/promises.md names runs with every commit, if only in one variant.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from paths import DOCS, ROOT
from sampling_shares import SHARES

SEED = "TESTS_SEED"
PAGE = DOCS / "promises.md"

# by file: names of tests that are left out as a whole, each with what is tested instead
LEFT = {
    "test_airflow_celery": {
        "test_machines_that_die_in_the_middle_cost_nothing_but_time": "test_airflow_runs kills"
        " a worker, and then the process that holds the snapshot"
    },
    "test_airflow_follow": {"test_a_run_killed_again_and_again_loses_nothing": "each operator"},
    "test_airflow_local": {"test_a_second_start_keeps_the_data_and_the_address": "the first start"},
    "test_airflow_page": {
        "test_in_a_browser_the_page_is_in_the_frames_of_airflow_and_leads_out_of_them": "the same"
        " pages without a browser",
        "test_differences_are_repaired_from_the_page": "a rollback from the page, and the DAG of a"
        " repair task by task",
        "test_a_run_that_follows_is_cut_over_and_back_from_the_page": "what is offered to"
        " whom, in test_airflow_page_acts",
        "test_streams_end_when_the_api_server_does": "test_airflow_page_parts ends a server of the"
        " same kind",
    },
    "test_airflow_page_parts": {
        "test_a_connection_that_is_missing_hides_no_plan_and_no_report": "test_airflow_runs, whose"
        " Airflow lacks such a connection",
        "test_who_may_see_one_dag_sees_what_it_has_started_and_nothing_else": "roles of a real"
        " Airflow, in test_airflow_page",
    },
    "test_airflow_runs": {
        "test_clearing_every_task_of_a_finished_run_changes_nothing": "test_run and test_resume"
        " repeat steps that are done",
        "test_a_source_that_stops_in_the_middle_is_a_red_run": "a wrong password is a red run;"
        " test_kill stops servers in the middle",
        "test_a_pool_that_is_not_there_ends_the_run_and_is_named": "test_airflow_pools watches such"
        " a pool",
        "test_a_row_changed_between_copy_and_verification_is_found_and_reported": "the validation"
        " DAG names relations and keys that differ",
    },
    "test_airflow_within": {
        "test_two_groups_and_operators_between_tasks_of_others_while_the_holder_is_killed": "groups"
        " are run task by task in test_airflow_groups, operators in test_airflow_commands; holders"
        " die in test_airflow_holder"
    },
    "test_export_airflow": {
        "test_all_of_airflows_tables_arrive_with_every_value_while_it_runs": "one table is"
        " exported by a real Airflow; test_export_values has values of every type"
    },
    "test_export_parts": {
        "test_airflow_s_own_test_of_a_dag_comes_to_its_end": "tasks, one at a time, export all"
    },
    "test_kill": {
        "test_a_server_that_stays_away_stops_the_move_which_resumes_later": "a server that dies and"
        " comes back; a wire that is cut, for a moment or for good, in test_wire",
        "test_windlass_killed_20_times_still_moves_every_row_once": "it is killed at every tenth"
        " of a migration",
    },
    "test_oracle": {"test_a_copy_of_all_corpora_at_once_is_found_equal": "a copy of each corpus"},
    "test_shop": {
        "test_the_whole_shop_has_about_a_million_and_a_half_rows": "shops of a hundredth"
    },
}

# by file: how many variants of a test run
SAMPLED = {
    "test_applying_values": {"test_extreme_values_are_streamed_to_the_last_bit": 1},
    "test_build": {
        "test_objects_that_need_icu_are_refused_by_name": 1,
        "test_what_needs_xml_is_refused_by_name": 1,
        "test_a_compression_that_the_target_lacks_is_a_notice": 1,
        "test_a_library_that_the_target_lacks_is_refused": 1,
        "test_an_extension_that_the_target_lacks_is_refused": 1,
        "test_a_security_label_without_its_provider_is_a_loss": 1,
        "test_a_file_of_a_text_search_dictionary_that_the_target_lacks_is_refused": 1,
    },
    "test_campaign": {"test_a_round_of_kills_ends_equal": 1},
    "test_chunks": {
        "test_every_row_arrives_once_by_every_way_of_cutting": 1,
        "test_any_number_of_jobs_moves_the_same": 1,
    },
    "test_clean": {"test_whatever_was_set_aside_is_listed_and_removed": 1},
    "test_connection_parameters": {
        "test_a_parameter_is_kept_where_rows_move": 10,
        "test_a_migration_through_libpq_says_so_in_its_plan": 1,
    },
    "test_copied_sums": {
        "test_what_was_written_since_the_copy_is_no_difference": 1,
        "test_counts_are_those_of_the_copy": 1,
        "test_content_that_was_not_noted_is_compared_with_the_source_as_it_is_and_says_so": 1,
    },
    "test_unstreamed": {
        "test_killed_while_it_is_copied_again_the_same_command_completes_it": 1,
    },
    "test_cutover": {
        "test_killed_at_any_mark_nothing_is_lost": 1,
        "test_forth_and_back_and_forth_again_under_writers": 1,
        "test_back_from_18_to_15_it_is_settled_on_either_side_and_nothing_is_left": 1,
    },
    "test_dependents": {
        "test_a_foreign_key_of_another_table_refers_to_the_new_one_and_is_validated": 1,
        "test_views_read_the_new_table_with_all_that_belongs_to_them": 1,
        "test_all_else_that_can_be_made_again_refers_to_the_new_table": 1,
        "test_what_cannot_be_pointed_at_the_new_table_is_refused_by_name": 2,
    },
    "test_differences": {"test_every_type_of_key_is_found_again": 5},
    "test_existing_large_objects": {
        "test_replace_keeps_them_under_other_ids_and_rollback_restores_them": 1,
    },
    "test_ended_sessions": {
        "test_what_uses_a_session_after_its_end_finds_the_connection_lost": 3,
    },
    "test_engine_campaign": {"test_killed_while_it_copies_every_row_arrives_once": 2},
    "test_engine_faults": {
        "test_what_others_write_to_the_source_changes_nothing_that_is_read": 1,
        "test_connections_that_are_cut_cost_nothing_but_time": 1,
        "test_a_wrong_password_is_named_and_not_shown": 1,
    },
    "test_exit_four": {"test_a_change_while_a_run_is_stopped_is_undone_or_it_starts_over": 1},
    "test_export_clouds": {
        "test_s3_holds_the_files_until_they_are_loaded": 1,
        "test_bigquery_gets_the_schema_and_every_value": 1,
        "test_bigquery_gets_the_values_of_other_sources": 1,
        "test_what_bigquery_has_no_place_for_is_a_named_loss": 1,
        "test_a_table_that_is_replaced_keeps_how_it_is_stored": 1,
        "test_texts_that_others_write_for_null_arrive_as_texts": 1,
    },
    "test_export_conditions": {"test_a_condition_finds_the_rows_that_psql_finds": 4},
    "test_export_faults": {
        "test_a_killed_run_is_resumed": 3,
        "test_rows_appended_to_duckdb_are_there_once_after_a_kill": 2,
        "test_rows_appended_to_postgres_are_there_once_after_a_kill": 2,
        "test_a_run_killed_while_loading_postgres_is_resumed": 1,
    },
    "test_file_copy": {"test_copy_reads_what_the_reader_reads_and_nothing_that_it_refuses": 4},
    "test_fingerprint": {
        "test_every_type_at_its_limits_is_the_same_on_two_versions": 1,
        "test_a_fingerprint_sees_what_equality_overlooks": 20,
        "test_any_number_of_columns_has_a_fingerprint": 4,
        "test_columns_of_another_type_are_equal_where_the_value_is": 8,
    },
    "test_follow_definitions": {
        "test_a_statement_stops_the_run_just_before_it": 2,
        "test_without_event_triggers_the_first_row_after_a_statement_stops_the_run": 1,
    },
    "test_follow_identities": {
        "test_abandon_puts_back_what_a_killed_process_has_set": 1,
    },
    "test_follow_renames": {
        "test_what_stops_a_run_again_and_again_is_repaired_and_followed_from_there": 1,
        "test_what_is_written_to_a_renamed_table_after_a_cutover_comes_back": 1,
    },
    "test_follower": {"test_a_huge_transaction_takes_no_more_memory_than_others": 1},
    "test_following_reported": {
        "test_a_cutover_with_a_backlog_opens_the_target_with_all_of_it": 1,
    },
    "test_following_wire": {
        "test_a_wire_that_is_cut_again_and_again_loses_and_doubles_nothing": 2,
    },
    "test_hashes": {
        "test_every_type_of_the_server_has_neighbours_to_compare": 2,
        "test_no_two_values_of_a_type_share_a_hash": 2,
        "test_a_value_has_the_same_hash_on_the_newest_version": 2,
    },
    "test_django_models": {
        "test_a_row_that_the_model_would_not_take_stops_the_load": 3,
        "test_validators_and_check_constraints_are_looked_at_before_the_load": 1,
        "test_many_rows_with_defaults_and_lookups_are_merged_by_batches": 1,
    },
    "test_django_refresh": {
        "test_a_second_refresh_is_refused_while_one_runs_and_waits_if_asked_to": 1,
        "test_updates_are_read_from_a_file_or_stdin_and_answered_in_json": 1,
        "test_the_setting_is_checked_with_every_fault_at_once": 4,
    },
    "test_django_migrations": {
        "test_a_missing_table_is_made_by_the_projects_migrations_before_rows_are_loaded": 1
    },
    "test_identifiers": {"test_oddly_named_objects_arrive": 1},
    "test_kill": {"test_a_server_that_dies_under_a_move_changes_nothing": 1},
    "test_iceberg": {"test_a_killed_run_is_resumed_and_loads_once": 3},
    "test_into_existing": {
        "test_killed_anywhere_nothing_of_the_earlier_tables_is_lost": 1,
        "test_a_file_is_replaced_in_one_step": 1,
        "test_killed_anywhere_mariadb_has_both": 1,
        "test_a_killed_rollback_is_ended_by_the_same_command": 1,
    },
    "test_into_files": {"test_killed_anywhere_the_same_command_ends_it": 2},
    "test_into_mysql_runs": {"test_killed_anywhere_the_same_command_ends_it": 1},
    "test_follow": {"test_killed_at_any_mark_the_same_command_loses_nothing": 1},
    "test_landing_kill": {"test_a_load_killed_at_any_moment_is_as_if_it_had_run_once": 3},
    "test_landing_contract": {
        "test_rows_that_break_an_expectation_are_counted_and_nothing_is_changed": 9,
        "test_loads_by_a_key_do_what_their_words_say_and_can_be_undone": 2,
        "test_loads_without_a_key_do_what_their_words_say_and_can_be_undone": 2,
        "test_an_undo_puts_back_only_what_others_have_left_alone": 2,
        "test_a_history_keeps_every_version": 1,
        "test_the_last_of_several_rows_with_one_key_is_loaded": 1,
    },
    "test_landing_values": {
        "test_a_bad_value_is_refused_by_file_record_and_column": 24,
        "test_a_value_arrives_as_it_is": 9,
        "test_any_value_of_a_type_comes_back": 1,
    },
    "test_landing_bad": {
        "test_a_value_that_a_column_cannot_keep_is_named_by_line_and_column": 2,
        "test_good_values_arrive_as_they_are": 1,
        "test_up_to_so_many_rows_are_set_aside_with_their_reasons": 1,
    },
    "test_landing_busy": {"test_a_load_killed_at_any_moment_is_done_once_by_the_next": 4},
    "test_landing_checks": {
        "test_an_expectation_finds_exactly_the_rows_that_break_it": 4,
        "test_columns_that_the_words_need_must_fit": 2,
    },
    "test_landing_undo": {
        "test_a_row_that_others_changed_refuses_is_left_or_is_lost": 2,
        "test_with_force_everything_is_as_it_was": 2,
    },
    "test_landing_words": {"test_each_word_does_what_it_says_and_is_undone": 4},
    "test_load_command": {"test_a_load_word_leaves_the_rows_that_it_says_and_is_undone": 6},
    "test_load_faults": {"test_killed_at_any_step_the_same_command_adds_each_row_once": 3},
    "test_load_since": {"test_rows_that_share_the_last_value_are_read_and_earlier_ones_are_not": 3},
    "test_lock_watch": {"test_a_lock_on_a_table_of_the_source_is_reported_with_who_holds_it": 1},
    "test_locks": {"test_what_pg_dump_can_dump_by_default_settings_is_migrated": 1},
    "test_map_schema": {"test_a_family_moves_into_a_schema_of_another_name": 1},
    "test_narrowing": {"test_a_wider_type_takes_every_value_and_a_change_is_seen_there": 1},
    "test_object_states": {"test_the_state_of_each_kind_is_another_after_it_was_altered": 1},
    "test_objects": {
        "test_a_family_of_objects_arrives_whole": 2,  # all of them arrive together in the next
        "test_all_families_arrive_together": 1,
    },
    "test_oracle": {
        "test_a_copy_by_pg_dump_is_found_equal": 2,
        "test_every_planted_change_is_found": 1,
    },
    "test_own_schemas": {"test_what_earlier_runs_have_kept_on_the_source_is_left_out_and_named": 1},
    "test_page_in_browser": {
        "test_axe_finds_nothing_on_any_page_and_a_phone_never_scrolls_it_sideways": 2
    },
    "test_planted": {"test_an_overload_that_a_migrated_definition_would_call_is_refused": 2},
    "test_pooler": {"test_a_pooler_that_shares_sessions_is_refused_soon": 2},
    "test_printing": {
        "test_a_plain_restore_is_equal": 1,
        "test_a_migration_is_equal_under_another_name_of_the_schema": 1,
        "test_a_changed_expression_is_found": 1,
    },
    "test_public_schema": {
        "test_a_closed_public_is_closed_on_an_old_target_until_rolled_back": 1,
        "test_an_open_public_stays_open_on_every_target": 1,
    },
    "test_queries": {"test_a_server_of_each_version_understands_every_query": 3},
    "test_refusals": {
        "test_a_server_that_cannot_be_used": 3,
        "test_an_unknown_or_senseless_option": 4,
        "test_an_unknown_or_senseless_spec": 3,
    },
    "test_rename": {"test_the_new_name_stands_where_the_schema_stood_and_nowhere_else": 3},
    "test_rename_dump": {
        "test_with_the_old_names_put_back_the_second_dump_is_the_first": 1,
        "test_every_schema_has_its_new_name": 1,
        "test_functions_in_sql_compile_under_the_new_names_as_under_the_old": 1,
    },
    "test_repair": {
        "test_rows_that_each_server_puts_in_another_partition_are_distinguished_at_the_root": 4,
    },
    "test_replace_corpus": {"test_replaced_and_rolled_back_twice": 2},
    "test_replace_kinds": {
        "test_hard_kinds_are_replaced_and_come_back": 1,
        "test_default_privileges_of_the_target_grant_nothing_on_what_is_created": 1,
    },
    "test_replication": {
        "test_inserts_come_with_the_text_of_their_values": 1,
        "test_updates_carry_what_their_replica_identity_says": 1,
        "test_deletes_and_truncates_name_what_they_take_away": 1,
        "test_transactions_come_in_the_order_of_their_commits": 1,
        "test_logical_messages_come_if_they_are_asked_for": 1,
        "test_what_is_confirmed_does_not_come_again_and_the_rest_does": 1,
        "test_a_slot_begins_exactly_after_its_snapshot": 1,
        "test_a_slot_that_waits_names_the_transaction_and_leaves_nothing": 1,
        "test_a_slot_in_use_names_who_reads_it": 1,
        "test_a_slot_whose_log_was_removed_is_lost": 1,
        "test_a_stream_is_closed_in_order": 1,
    },
    "test_resume": {
        "test_a_change_under_a_killed_move_is_named_and_has_a_way_on": 1,
        "test_an_interrupted_move_says_how_to_resume_and_does": 1,
        "test_a_server_that_is_down_stops_what_would_be_resumed": 1,
    },
    "test_rewrite_faults": {
        "test_the_next_run_of_the_same_dag_ends_the_one_before": 2,
        "test_rows_that_others_change_before_the_write_are_left_as_they_made_them": 2,
    },
    "test_rewrite_functions": {"test_every_type_comes_back_as_it_went": 3},
    "test_rollback_locks": {
        "test_what_the_run_has_written_is_nobody_else_s": 1,
        "test_a_rollback_that_ends_between_any_two_transactions_is_finished_by_the_next": 2,
    },
    "test_same_command": {"test_a_signal_at_the_very_end_leaves_exit_code_and_state_agreed": 1},
    "test_shop": {"test_the_smallest_shops_are_whole_ones": 1},
    "test_source_contract": {
        "test_values_are_the_same_on_both_sides": 4,
        "test_an_empty_table_is_a_table": 1,
        "test_many_rows_arrive_in_several_files": 1,
        "test_a_pattern_means_tables_and_a_view_has_to_be_named": 1,
        "test_columns_can_be_chosen_hidden_and_made_text": 1,
        "test_names_of_any_kind_are_names": 1,
        "test_rows_without_a_watermark_are_always_read": 1,
        "test_a_query_and_a_condition_are_the_sources_own_sql": 1,
        "test_merging_takes_a_unique_key_where_there_is_no_primary_one": 1,
        "test_the_same_run_loads_nothing_twice": 1,
        "test_merging_reads_from_the_watermark_on": 1,
    },
    "test_spec_faults": {"test_a_hostile_file_is_a_bad_spec": 12},
    "test_standing": {
        "test_a_standby_is_no_source_for_its_own_primary": 1,
        "test_a_target_that_is_closed_for_writing_is_refused": 1,
    },
    "test_status": {"test_a_run_of_a_version_whose_plans_are_unknown_is_named": 1},
    "test_translate": {"test_killed_anywhere_the_same_command_ends_it": 4},
    "test_translate_shapes": {"test_a_public_sample_arrives_whole": 2},
    "test_trust": {
        "test_a_journal_that_has_been_changed_is_refused_whoever_owns_it": 2,
        "test_a_planted_journal_is_refused_by_every_command": 2,
        "test_a_journal_that_others_may_write_is_refused_with_the_revoke": 2,
    },
    "test_types": {
        "test_extreme_values_arrive_to_the_last_bit": 1,
        "test_extreme_values_arrive_however_they_are_chunked": 1,
    },
    "test_unlogged": {
        "test_a_crash_that_empties_them_is_noticed": 1,
        "test_rows_of_unlogged_relations_survive_a_crash_at_the_end_of_a_run": 1,
    },
    "test_verify": {
        "test_differences_of_definition_are_found": 1,
        "test_every_corpus_is_called_equal_after_its_move": 1,
    },
    "test_verify_access": {"test_what_is_missing_is_reported_once": 2},
    "test_warehouse_increments": {
        "test_only_new_rows_are_appended": 2,
        "test_rows_that_have_the_last_value_too_are_appended": 1,
        "test_a_run_that_is_named_again_appends_nothing_twice": 1,
        "test_a_column_that_is_added_doubles_no_rows": 1,
        "test_an_overlap_finds_what_was_committed_late": 1,
        "test_a_table_that_was_emptied_is_appended_to_from_the_beginning": 1,
    },
    "test_warehouse_merge": {
        "test_rows_of_the_table_that_share_a_key_are_not_merged": 1,
        "test_a_column_of_the_warehouses_own_keeps_its_values": 1,
        "test_a_key_of_several_columns_and_nothing_else_is_merged": 1,
        "test_rows_that_the_source_has_deleted_stay": 1,
        "test_rows_of_the_source_without_a_key_of_their_own_are_not_merged": 2,
        "test_columns_that_are_not_exported_any_more_keep_their_values": 1,
        "test_not_a_number_is_no_key_in_bigquery": 1,
        "test_a_merge_needs_no_unique_constraint_and_agrees_with_one": 1,
    },
    "test_warehouse_schema": {
        "test_columns_are_added_and_types_widened": 4,
        "test_a_dropped_column_stays_and_is_reported": 2,
        "test_a_relation_that_does_not_fit_does_not_stop_the_others": 1,
        "test_a_table_that_is_wider_is_loaded_as_it_is": 1,
        "test_what_cannot_be_widened_is_refused_and_replaced_on_request": 1,
        "test_a_table_that_does_not_fit_is_refused_with_what_to_do": 1,
    },
    "test_wire": {
        "test_a_wire_cut_once_is_mended_without_a_word_from_the_user": 1,
        "test_a_wire_that_stays_cut_stops_the_move_which_resumes_later": 1,
        "test_a_stalled_wire_is_waited_for": 1,
    },
}


def choose_seed() -> str:
    """The same for every process of a run: the commit, unless one is given."""
    if SEED not in os.environ:
        words = ["git", "rev-parse", "--short", "HEAD"]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        os.environ[SEED] = done.stdout.strip() or "0"
    return os.environ[SEED]


def left_to_full(nodeids: Iterable[str], seed: str, asked: Iterable[str] = ()) -> set[str]:
    """What does not run without `-m "full or not full"`. Files that are asked for by name run more
    than their share: all tests, if not all variants."""
    files: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for nodeid in nodeids:
        test = nodeid.partition("[")[0]
        files[test.partition("::")[0]][test].append(nodeid)
    return {
        left
        for file, tests in files.items()
        for left in _left_of_file(file, tests, seed, whole=file in asked)
    }


def _left_of_file(
    file: str, tests: Mapping[str, list[str]], seed: str, *, whole: bool
) -> Iterator[str]:
    stem = re.sub(r".*/|\.py$", "", file)
    kept = {test: _sample(stem, file, test, sorted(tests[test]), seed) for test in tests}
    shared = sorted(test for test in tests if kept[test] and test.partition("::")[2] not in named())
    count = len(shared) if whole else min(SHARES.get(stem, len(shared)), len(shared))
    run = random.Random(f"{seed} {file}").sample(shared, count)
    for test, variants in tests.items():
        turn = test in run or test not in shared
        yield from (one for one in variants if not (turn and one in kept[test]))


def _sample(stem: str, file: str, test: str, variants: list[str], seed: str) -> list[str]:
    name = test.partition("::")[2]
    if name in LEFT.get(stem, {}):
        return []
    count = SAMPLED.get(stem, {}).get(name, len(variants))
    turn = name if "/engines/" in file else ""
    return random.Random(f"{seed} {file}{turn}").sample(variants, min(count, len(variants)))


@cache
def named() -> set[str]:
    """The tests that the page of promises names one by one."""
    return set(re.findall(r"/test_\w+\.py::(\w+)", PAGE.read_text()))
