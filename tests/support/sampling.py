"""What `make test` leaves to `make test-all`, as others of its kind run: all but a sample of the
variants that take long. What tests mark with `full` themselves is not here.
"""

from __future__ import annotations

import re

# by file: names of tests, with the variants that are left out
_LEFT = {
    "test_airflow_celery": r"machines_that_die_in_the_middle",  # test_airflow_runs kills as well
    "test_airflow_local": r"a_second_start_goes_on",
    "test_airflow_runs": r"clearing_every_task",
    "test_build": r"\[pair1",
    "test_export_airflow": r"all_of_airflows_tables",
    "test_campaign": r"ends_equal\[[2467]\]",
    "test_chunks": r"every_way_of_cutting\[(busy1-(auto|ctid|whole)|busy0-keyset)\]"
    r"|jobs_moves_the_same\[7\]",
    "test_dependents": r"(all_else_that_can|validated|that_belongs_to_them).*\[pair0",
    "test_differences": r"what_is_held_does_not_grow",
    "test_existing_large_objects": r"rollback_restores_them\[pair0",
    "test_fingerprint": r"every_type_at_its_limits.*\[pair0",
    "test_kill": r"killed_20_times"
    r"|under_a_move.*\[(source-(backend|sessions|power)|target-(backend|sessions|immediate))\]",
    "test_map_schema": r"another_name\[(collations|constraints|inheritance|statistics|tables)\]",
    "test_objects": r"all_families.*\[pair[12]\]",
    "test_object_states": r"\[1[25]\]",
    "test_oracle": r"all_corpora_at_once.*\[pair[01]\]",
    "test_rename_dump": r"second_dump_is_the_first.*-16\]",
    "test_replace_corpus": r"rolled_back_twice\[(look_alikes|collations|comments|constraints"
    r"|foreign_keys|foreign_keys_broken|functions|indexes|inheritance|inheritance_order|operators"
    r"|partitions|publications|rules|statistics|tables|text_search|types|extremes|large"
    r"|publication_of_all|event_trigger_refuses_all)-",
    "test_replace_kinds": r"\[pair0",
    "test_shop": r"about_a_million_and_a_half_rows",
    "test_types": r"to_the_last_bit\[(16-18|18-18)-|however_they_are_chunked\[words0\]",
    "test_unlogged": r"that_empties_them_is_noticed\[3\]",
    "test_verify": r"called_equal_after_its_move\[pair[012]\]",
    "test_wire": r"cut_once.*\[(0\.05|5|12)-|stays_cut.*\[source\]",
}


def is_left_to_full(nodeid: str) -> bool:
    file, _, name = nodeid.partition("::")
    stem = file.rpartition("/")[2].removesuffix(".py")
    return stem in _LEFT and re.search(_LEFT[stem], name) is not None
