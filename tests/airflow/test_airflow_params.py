"""Trigger forms become the options of a spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

import pytest

from windlass.airflow.form import as_field, as_key
from windlass.airflow.others import check_shared
from windlass.errors import BadSpec
from windlass.flows.registry import flow_named
from windlass.model.wording import PASSWORD, Spelling, spelled, word
from windlass.spec.choices import Existing, Extent, Unlogged, Verify
from windlass.spec.migrate import Spec
from windlass.spec.model import validated

Form = Mapping[str, Any]
Words = Callable[..., dict[str, Any]]
CONNECTIONS = {"source_conn_id": "old", "target_conn_id": "new"}


def words(kind: str, form: Form, given: Form) -> dict[str, Any]:
    from windlass.airflow import params

    make: Words = getattr(params, f"{kind}_words")
    return make(form, given)


def defaults(kind: str) -> dict[str, Any]:
    from windlass.airflow import params

    form = getattr(params, f"{kind}_params")()
    return {name: param.value for name, param in form.items()}


@pytest.fixture(scope="module")
def migration(process: Executor) -> Words:
    """The words of the form as it stands, but for what it is given."""
    form = process.submit(defaults, "migration").result()

    def of(given: Form | None = None, /, **filled: Any) -> dict[str, Any]:
        filled = {**CONNECTIONS, **form, **filled}
        return process.submit(words, "migration", filled, given or {}).result()

    return of


@pytest.fixture(scope="module")
def validation(process: Executor) -> Words:
    """The same of the other form."""
    form = process.submit(defaults, "validation").result()

    def of(given: Form | None = None, /, **filled: Any) -> dict[str, Any]:
        filled = {**CONNECTIONS, **form, **filled}
        return process.submit(words, "validation", filled, given or {}).result()

    return of


@pytest.fixture(scope="module")
def plain(process: Executor) -> Words:
    """Of a form that asks only for connections."""

    def of(given: Form, /, **filled: Any) -> dict[str, Any]:
        return process.submit(words, "spec", {**CONNECTIONS, **filled}, given).result()

    return of


def spec(words: Mapping[str, Any]) -> Spec:
    return validated(Spec, words)


# the migration's form


def test_a_form_as_it_stands_moves_everything_and_overwrites_nothing(migration: Words) -> None:
    made = spec(migration())
    assert (made.schemas, made.include, made.exclude, made.map_schema) == ((), (), (), {})
    assert (made.existing, made.extent) == (Existing.REFUSE, Extent.ALL)
    assert made.verify_ is Verify.FULL
    assert (made.chunk_threshold, made.max_chunks, made.min_chunk_rows) == (
        1_000_000,
        64,
        100_000,
    )


def test_what_a_dag_leaves_out_need_not_be_there_every_time(
    migration: Words, validation: Words, plain: Words
) -> None:
    """A command refuses a pattern that excludes nothing, as it may be a typo."""
    for made in (migration(), validation(), plain({})):
        assert spec({**made, "exclude": ["*.tmp_*"]}).allow_unmatched
    assert not spec(plain({"allow_unmatched": False})).allow_unmatched


def test_a_form_names_connections_where_a_spec_has_addresses(
    migration: Words, validation: Words
) -> None:
    for made in (migration(), validation()):
        assert (made["source"], made["target"]) == ("old", "new")


@pytest.mark.parametrize(
    ("field", "key", "value"),
    [
        ("partition_threshold", "chunk_threshold", 100_000),
        ("max_partitions", "max_chunks", 2),
        ("max_partitions", "max_chunks", 100_000),
        ("chunk_size", "min_chunk_rows", 100),
        ("chunk_size", "min_chunk_rows", 100_000_000),
        ("jobs", "jobs", 1),
        ("jobs", "jobs", 256),
        ("one_snapshot", "one_snapshot", True),
        ("allow_empty_source", "allow_empty_source", True),
        ("accept", "accept", ("values", "secrets")),
        ("accept", "accept", ()),
    ],
)
def test_a_field_s_bounds_are_within_the_spec_s(
    migration: Words, field: str, key: str, value: Any
) -> None:
    assert getattr(spec(migration(**{field: value})), key) == value


@pytest.mark.parametrize("verify", ["full", "counts", "none"])
def test_what_is_compared_is_the_spec_s_own_word(migration: Words, verify: str) -> None:
    assert spec(migration(verify=verify)).verify_ == verify


@pytest.mark.parametrize(
    ("drop", "fill", "existing"),
    [
        (False, False, Existing.REFUSE),
        (True, False, Existing.REPLACE),
        (False, True, Existing.FILL),
    ],
)
def test_what_becomes_of_existing_relations(
    migration: Words, drop: bool, fill: bool, existing: Existing
) -> None:
    made = spec(migration(drop_existing_tables=drop, fill_existing_tables=fill))
    assert made.existing is existing


def test_existing_relations_are_not_both_dropped_and_filled(migration: Words) -> None:
    with pytest.raises(BadSpec, match="exclude each other"):
        migration(drop_existing_tables=True, fill_existing_tables=True)


@pytest.mark.parametrize(
    ("field", "unlogged"),
    [(None, Unlogged.AUTO), (True, Unlogged.ALWAYS), (False, Unlogged.NEVER)],
)
def test_unlogged_is_left_to_the_target_unless_somebody_says_so(
    migration: Words, field: bool | None, unlogged: Unlogged
) -> None:
    assert spec(migration(use_unlogged_tables=field)).unlogged is unlogged


def test_what_a_dag_is_given_wins_over_its_form(migration: Words, validation: Words) -> None:
    assert spec(migration({"jobs": 7}, jobs=2)).jobs == 7
    assert spec(validation({"verify": "counts"}, level="full")).verify_ is Verify.COUNTS


# what is moved


@pytest.mark.parametrize(
    ("source", "target", "schemas", "renamed"),
    [
        ("", "", (), {}),
        (" , ", "", (), {}),
        ("shop", "", ("shop",), {}),
        ("shop", "shop", ("shop",), {}),
        ("shop", "store", ("shop",), {"shop": "store"}),
        (" shop ,crm", "", ("shop", "crm"), {}),
        ("shop, crm", "store, crm", ("shop", "crm"), {"shop": "store"}),
        ("shop,crm", "store,people", ("shop", "crm"), {"shop": "store", "crm": "people"}),
        ("shop,crm", "crm,shop", ("shop", "crm"), {"shop": "crm", "crm": "shop"}),
        ("my shop", "Ähm", ("my shop",), {"my shop": "Ähm"}),
    ],
)
def test_schemas_are_renamed_in_their_order(
    migration: Words,
    validation: Words,
    source: str,
    target: str,
    schemas: tuple[str, ...],
    renamed: dict[str, str],
) -> None:
    for form in (migration, validation):
        made = spec(form(source_schema=source, target_schema=target))
        assert (made.schemas, made.map_schema) == (schemas, renamed)


@pytest.mark.parametrize(
    ("source", "target"),
    [("", "store"), ("shop", "a,b"), ("shop,crm", "a"), ("shop,crm", "a,b,c"), ("shop,", "a,b")],
)
def test_names_for_some_schemas_only_are_refused(
    migration: Words, validation: Words, source: str, target: str
) -> None:
    for form in (migration, validation):
        with pytest.raises(BadSpec, match="target_schema: give as many names as"):
            form(source_schema=source, target_schema=target)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("shop,crm", "a,a"),
        ("shop,shop", "a,b"),
    ],
)
def test_two_schemas_do_not_become_one_nor_one_two(
    migration: Words, source: str, target: str
) -> None:
    with pytest.raises(BadSpec):
        spec(migration(source_schema=source, target_schema=target))


def test_a_pattern_without_a_dot_is_on_the_relation_s_name(
    migration: Words, validation: Words
) -> None:
    for form in (migration, validation):
        made = spec(form(exclude_tables=["log_*", "shop.log"], include_tables=["*"]))
        assert made.exclude == ("*.log_*", "shop.log")
        assert made.include == ("*.*",)


# the validation's form


@pytest.mark.parametrize(
    ("level", "verify", "extent"),
    [
        ("full", Verify.FULL, Extent.ALL),
        ("counts", Verify.COUNTS, Extent.ALL),
        ("schema", Verify.FULL, Extent.SCHEMA),
    ],
)
def test_a_level_says_how_much_is_compared(
    validation: Words, level: str, verify: Verify, extent: Extent
) -> None:
    made = spec(validation(level=level))
    assert (made.verify_, made.extent) == (verify, extent)


@pytest.mark.parametrize("snapshot", ["", "00000003-0000001B-1"])
def test_a_validation_reads_in_the_given_snapshot(validation: Words, snapshot: str) -> None:
    assert spec(validation(snapshot=snapshot)).snapshot == snapshot


# its own spec


def test_a_spec_stands_as_it_is_but_for_its_connections(plain: Words) -> None:
    given = {"schema": "shop", "chunk_size": "256MB", "jobs": 3}
    found = plain(given)
    assert found.pop("allow_unmatched")
    assert found == {**given, "source": "old", "target": "new"}
    made = spec(plain(given))
    assert (made.schemas, made.chunk_size, made.jobs) == (("shop",), 256 << 20, 3)


def test_a_spec_keeps_its_snapshot_unless_a_run_is_given_another(plain: Words) -> None:
    given = {"snapshot": "mine"}
    assert plain(given)["snapshot"] == "mine"
    assert plain(given, snapshot="")["snapshot"] == "mine"
    assert plain(given, snapshot="theirs")["snapshot"] == "theirs"


def test_a_form_is_not_changed_by_what_is_made_of_it(process: Executor) -> None:
    assert process.submit(changes).result() == []


def changes() -> list[str]:
    """Of the functions, those that write into what they are given."""
    found = []
    for kind in ("migration", "validation", "spec"):
        form = {**CONNECTIONS, **(defaults(kind) if kind != "spec" else {})}
        given = {"schema": ["shop"]}
        before = repr((form, given))
        words(kind, form, given)["jobs"] = 9
        if repr((form, given)) != before:
            found.append(kind)
    return found


HINT = (
    f"{word('existing', 'replace')} sets it aside, {word('existing', 'fill')} loads into it when it"
    " is empty"
)


@pytest.mark.parametrize(
    ("hint", "spelling", "reported"),
    [
        (
            HINT,
            as_field,
            "drop_existing_tables sets it aside, fill_existing_tables loads into it when it is"
            " empty",
        ),
        (
            HINT,
            as_key,
            "existing: replace sets it aside, existing: fill loads into it when it is empty",
        ),
        (
            f"lower {word('jobs')}, or raise max_connections",
            as_field,
            "lower jobs, or raise max_connections",
        ),
        (f"run without {word('one-snapshot')}", as_key, "run without one_snapshot"),
        (
            f"{word('accept', 'objects')} to proceed anyway",
            as_field,
            "accept: objects to proceed anyway",
        ),
        (
            f"check the password in {word(PASSWORD)}",
            as_key,
            "check the password in the Airflow connection",
        ),
        (
            f"{word('restart')} undoes the run and starts over",
            as_field,
            "a new run after windlass rollback undoes the run and starts over",
        ),
        (f"or {word('exclude', 'shop.log')}", as_field, "or exclude_tables: shop.log"),
        ("windlass rollback 20260101_1200_abcd", as_field, "windlass rollback 20260101_1200_abcd"),
    ],
)
def test_hints_speak_of_the_form_or_the_spec(hint: str, spelling: Spelling, reported: str) -> None:
    assert spelled(hint, spelling) == reported


def test_no_field_is_empty_where_the_form_would_not_take_it(process: Executor) -> None:
    assert process.submit(empty_and_required).result() == []


def empty_and_required() -> list[str]:
    """Params that the page could not send as they stand: an empty one has to be null."""
    from windlass.airflow import params

    found = []
    for kind in ("migration", "validation"):
        for name, param in getattr(params, f"{kind}_params")().items():
            types = param.schema["type"]
            optional = "null" in (types if isinstance(types, list) else [types])
            if param.value in ("", None) and not optional:
                found.append(name)
    return found


def conf_faults(conf: dict[str, Any]) -> str:
    from types import SimpleNamespace

    from windlass.airflow.presets.earlier import postgres_to_postgres_migration
    from windlass.airflow.slips import check_conf

    dag = postgres_to_postgres_migration()
    context: Any = {"dag": dag, "dag_run": SimpleNamespace(conf=conf)}
    first: Any = dag.get_task("extract_source_schema")
    try:
        check_conf(context, first.words)
    except BadSpec as error:
        return str(error)
    return ""


def test_a_form_has_no_field_that_its_tasks_would_ignore_or_that_runs_what_its_author_has_not_named(
    process: Executor,
) -> None:
    names = process.submit(defaults, "migration").result().keys()
    ignored = {"follow", "no_reverse", "set_identity", "max_retained_wal", "apply_ddl", "types"}
    assert not names & {*ignored, "mapping", "django", "django_folder", "django_python"}


@pytest.mark.parametrize("kind", ["migrate", "validate"])
def test_steps_do_not_ignore_that_a_spec_follows(kind: str) -> None:
    """A template has its value only in the worker."""
    made = spec({"source": "postgresql://old", "target": "postgresql://new", "follow": True})
    with pytest.raises(BadSpec, match="follow: "):
        check_shared(flow_named(kind), made)


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        (
            {"drop_existing_table": True},
            "'drop_existing_table'; did you mean 'drop_existing_tables'?",
        ),
        ({"exclude": ["*.tmp"]}, "'exclude'; did you mean 'exclude_tables'?"),
        ({"follow": True}, "'follow' is not a parameter of this DAG"),
        ({"mapping": {"shop.item": {}}}, "'mapping' is not a parameter of this DAG"),
        ({"set-identity": True}, "'set-identity' is not a parameter of this DAG"),
        ({"source_schema": "shop", "for_my_own_gate": 1}, ""),
    ],
)
def test_a_slip_in_the_conf_of_a_run_is_refused_as_airflow_would_ignore_it(
    process: Executor, conf: dict[str, Any], said: str
) -> None:
    found = process.submit(conf_faults, conf).result()
    assert said in found and bool(said) == bool(found)
