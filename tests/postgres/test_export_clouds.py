"""Object stores and BigQuery: the real clients against S3 (moto), Cloud Storage (an emulator) and
a stand-in for BigQuery (fakes/bigquery.py)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clouds import bigquery, gs, s3, storage
from command import Ran
from engines import Engine, duckdb_engine, sqlite_engine
from exporting import export, rows
from fakes.bigquery import FakeBigQuery
from servers import Database
from windlass.engines.objects.store import ObjectStore
from windlass.flows.export import publishing
from windlass.flows.export.records import FOLDER

__all__ = ["bigquery", "gs", "s3", "storage"]  # fixtures

obstore = pytest.importorskip("obstore")

SHOP = (
    "create schema shop",
    "create table shop.orders (id int primary key, at timestamptz not null, note text,"
    " amount numeric(12,2), u uuid, tags text[], j jsonb, b bytea, d date)",
    "insert into shop.orders select n, timestamptz '2024-01-01 00:00Z' + n * interval '1 s',"
    " case when n % 2 = 0 then '' end, n * 1.01, '00000000-0000-0000-0000-0000000000ff',"
    " '{a,NULL}', '{\"a\": 1.10}', '\\x00ff', '2024-02-29' from generate_series(1, 100) n",
)


@pytest.fixture
def shop(database: Callable[[int], Database]) -> Database:
    source = database(16)
    source.run(*SHOP)
    return source


# S3


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_s3_holds_the_files_until_they_are_loaded(
    form: str, shop: Database, s3: dict[str, str], tmp_path: Path
) -> None:
    words = {
        "to": f"s3://lake/{form}",
        "relations": {"name": "shop.orders", "text": "tags"},
        "format": form,
    }
    export(shop, tmp_path, env=s3, keep_files=True, **words).expect(0)
    assert rows(tmp_path, "select count(*), sum(amount) from orders")[0][0] == 100
    assert len(_listed(f"s3://lake/{form}", s3)) == 2
    export(shop, tmp_path, env=s3, **words).expect(0)
    assert len(_listed(f"s3://lake/{form}", s3)) == 2  # those of the first


def _listed(url: str, env: dict[str, str]) -> list[str]:
    """The files there, without what is of whole runs."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    store = _store(f"s3://{bucket}", env)
    paths = [str(one["path"]) for some in obstore.list(store, prefix) for one in some]
    whole = (FOLDER, publishing.FOLDER, publishing.LATEST)
    return [path for path in paths if not any(name in path for name in whole)]


def test_increments_in_s3_are_committed_once(
    shop: Database, s3: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words: dict[str, Any] = {
        "to": "s3://lake/increments",
        "relations": {"name": "shop.orders", "watermark": "id"},
        "disposition": "append",
        "warehouse": None,
    }
    for rows_read in (100, 0):
        assert export(shop, tmp_path, env=s3, **words).expect(0).result["rows"] == rows_read
    (commit,) = (path for path in _listed("s3://lake/increments", s3) if "/commits-" in path)
    for key, word in s3.items():
        monkeypatch.setenv(key, word)
    assert ObjectStore("s3://lake").create(commit, b"another run's") is False


def _store(url: str, env: dict[str, str]) -> Any:
    from obstore.store import S3Store

    return S3Store(
        url.removeprefix("s3://"),
        endpoint=env["AWS_ENDPOINT_URL"],
        access_key_id="test",
        secret_access_key="test",
        region="us-east-1",
        client_options={"allow_http": True},
    )


def test_a_bucket_that_is_not_there_is_refused(
    shop: Database, s3: dict[str, str], tmp_path: Path
) -> None:
    ran = export(shop, tmp_path, env=s3, to="s3://nothing/x", relations="missing").expect(3)
    (relation, store) = ran.result["problems"]
    assert (relation["object"], relation["message"]) == (
        "missing",
        "names no relation of the source",
    )
    assert store["object"] == "to" and "no such bucket" in store["message"]


def test_credentials_that_are_missing_are_named(shop: Database, tmp_path: Path) -> None:
    """Nobody answers where a machine of the cloud would ask for its role."""
    env = {"AWS_METADATA_ENDPOINT": "http://127.0.0.1:1", "AWS_REGION": "us-east-1"}
    ran = export(shop, tmp_path, env=env, to="s3://lake/x").expect(3)
    (problem,) = ran.result["problems"]
    assert "no credentials" in problem["message"] and "AWS_ACCESS_KEY_ID" in problem["hint"]


# Cloud Storage, and BigQuery that loads from there


@pytest.fixture
def load(
    shop: Database, gs: dict[str, str], bigquery: FakeBigQuery, tmp_path: Path
) -> Callable[..., Ran]:
    """An export of shop.orders into the data set."""

    def run(*options: str, **words: Any) -> Ran:
        given = {
            "to": "gs://lake/exports",
            "warehouse": bigquery.url("raw"),
            "relations": "shop.orders",
            **words,
        }
        return export(shop, tmp_path, *options, store_options=gs, **given)

    return run


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_bigquery_gets_the_schema_and_every_value(
    form: str, load: Callable[..., Ran], bigquery: FakeBigQuery
) -> None:
    load(format=form).expect(0)
    types = {one["name"]: one["type"] for one in bigquery.schemas["raw", "orders"]}
    assert types == {
        "id": "INTEGER", "at": "TIMESTAMP", "note": "STRING", "amount": "NUMERIC", "u": "STRING",
        "tags": "STRING", "j": "STRING", "b": "BYTES", "d": "DATE",
    }  # fmt: skip
    (first, second) = bigquery.rows(
        'select id, "at"::varchar, note, amount::varchar, u, tags, j, b::varchar, d::varchar'
        " from raw.orders where id < 3 order by id"
    )
    rest = ("00000000-0000-0000-0000-0000000000ff", '["a",null]', '{"a": 1.10}', r"\x00\xFF",
            "2024-02-29")  # fmt: skip
    assert first == (1, "2024-01-01 00:00:01+00", None, "1.01", *rest)
    assert second == (2, "2024-01-01 00:00:02+00", "", "2.02", *rest)


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize("make", [sqlite_engine, duckdb_engine])
def test_bigquery_gets_the_values_of_other_sources(
    make: Callable[[Path], Engine],
    form: str,
    gs: dict[str, str],
    bigquery: FakeBigQuery,
    tmp_path: Path,
) -> None:
    engine = make(tmp_path)
    engine.run(
        "create table v (id integer primary key, t text, f double, b blob)",
        "insert into v values (1, 'a,\"b\"', 0.1, null), (2, '', 1e16, null)",
        "insert into v values (3, null, null, null)",
    )
    words: dict[str, Any] = {"to": "gs://lake/others", "store_options": gs}
    words["warehouse"] = bigquery.url("raw")
    export(engine, tmp_path, relations="v", format=form, **words).expect(0)
    assert bigquery.rows("select id, t, f from raw.v order by id") == [
        (1, 'a,"b"', 0.1), (2, "", 1e16), (3, None, None),
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_what_bigquery_has_no_place_for_is_a_named_loss(
    form: str, shop: Database, load: Callable[..., Ran], bigquery: FakeBigQuery
) -> None:
    shop.run(
        "create table shop.v (id int, d date, t timestamptz, n numeric(5,1), ti time)",
        "insert into shop.v values (1, 'infinity', '-infinity', 'NaN', '24:00'),"
        " (2, '0044-03-15 BC', '10000-01-01 00:00Z', 1.5, '23:59:59.999999')",
    )
    ran = load(relations="shop.v", format=form).expect(0)
    assert bigquery.rows("select id, d, t, n::varchar, ti::varchar from raw.v order by id") == [
        (1, None, None, None, None), (2, None, None, "1.5", "23:59:59.999999"),
    ]  # fmt: skip
    losses = {one["object"]: one["message"] for one in ran.result["losses"]}
    assert set(losses) == {"shop.v.d", "shop.v.t", "shop.v.n", "shop.v.ti"}
    assert "2 values" in losses["shop.v.d"]


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_texts_that_others_write_for_null_arrive_as_texts(
    form: str, shop: Database, load: Callable[..., Ran], bigquery: FakeBigQuery
) -> None:
    """The stand-in takes a NULL in quotes for one: what BigQuery does is not known."""
    texts = [r"\N", "", "NULL", "null", r"\\N"]
    shop.run("create table shop.v (id int, t text)", "insert into shop.v values (0, null)")
    for number, text in enumerate(texts, 1):
        shop.run(f"insert into shop.v values ({number}, '{text}')")
    load(relations="shop.v", format=form).expect(0)
    found = bigquery.rows("select t from raw.v order by id")
    assert found == [(None,), *((text,) for text in texts)]


@pytest.mark.parametrize(
    "layout",
    [
        {"timePartitioning": {"type": "DAY", "field": "at"}, "clustering": {"fields": ["note"]}},
        {"timePartitioning": {"type": "DAY"}},
        {
            "rangePartitioning": {
                "field": "id", "range": {"start": "0", "end": "100", "interval": "10"},
            }
        },
        {"encryptionConfiguration": {"kmsKeyName": "projects/acme/locations/eu/keyRings/a/x"}},
    ],
)  # fmt: skip
def test_a_table_that_is_replaced_keeps_how_it_is_stored(
    layout: dict[str, Any], load: Callable[..., Ran], bigquery: FakeBigQuery
) -> None:
    load().expect(0)
    bigquery.layouts["raw", "orders"] = layout
    load().expect(0)
    load(disposition="append").expect(0)
    assert bigquery.rows("select count(*) from raw.orders") == [(200,)]


def test_dispositions_in_bigquery(load: Callable[..., Ran], bigquery: FakeBigQuery) -> None:
    for disposition, count in (("truncate", 100), ("append", 200), ("truncate", 100)):
        load(disposition=disposition).expect(0)
        assert bigquery.rows("select count(*) from raw.orders") == [(count,)]


def test_bigquery_merges_by_a_watermark(
    shop: Database, load: Callable[..., Ran], bigquery: FakeBigQuery
) -> None:
    words = {"relations": {"name": "shop.orders", "watermark": "at"}, "disposition": "merge"}
    load(**words).expect(0)
    shop.run("update shop.orders set note = 'changed', at = '2024-02-01 00:00Z' where id = 7")
    ran = load(**words).expect(0)
    assert ran.result["rows"] == 2
    assert bigquery.rows("select count(*), count(*) filter (note = 'changed') from raw.orders") == [
        (100, 1)
    ]
    assert {table for _, table in bigquery.schemas} == {"orders", "_windlass_loads"}


def test_a_load_job_is_never_run_twice(load: Callable[..., Ran], bigquery: FakeBigQuery) -> None:
    """What the run has loaded is in the data set; its record is not: it was killed between."""
    load("--run", "monday", disposition="append", keep_files=True).expect(0)
    bigquery.database.execute("delete from raw._windlass_loads")
    load("--run", "monday", disposition="append", keep_files=True).expect(0)
    assert bigquery.rows("select count(*) from raw.orders") == [(100,)]


MERGE: dict[str, Any] = {
    "relations": {"name": "shop.orders", "watermark": "at"},
    "disposition": "merge",
}
CHANGED = "update shop.orders set note = 'changed', at = '2024-02-01 00:00Z' where id = 7"


def test_a_merge_continues_with_the_rows_that_were_read_again(
    shop: Database, load: Callable[..., Ran], bigquery: FakeBigQuery
) -> None:
    """The staged rows of the first attempt are not those of the second, whose files and watermark
    these are."""
    load(**MERGE).expect(0)
    bigquery.fail_queries = "merge into"
    load("--run", "monday", **MERGE).expect(4)
    assert {table for _, table in bigquery.schemas} == {"orders", "_windlass_loads"}
    shop.run(CHANGED)
    load("--run", "monday", **MERGE).expect(0)
    assert bigquery.rows("select id from raw.orders where note = 'changed'") == [(7,)]
    assert bigquery.rows("select max(watermark) from raw._windlass_loads") == [
        ("2024-02-01 00:00:00+00",)
    ]
    assert {table for _, table in bigquery.schemas} == {"orders", "_windlass_loads"}


def test_what_a_truncate_has_read_again_is_loaded_again(
    shop: Database, load: Callable[..., Ran], bigquery: FakeBigQuery
) -> None:
    """Killed between the job and its record."""
    bigquery.fail_queries = "insert into"
    load("--run", "monday").expect(4)
    shop.run(CHANGED)
    load("--run", "monday").expect(0)
    assert bigquery.rows("select count(*), count(*) filter (note = 'changed') from raw.orders") == [
        (100, 1)
    ]


def test_what_was_appended_stays_what_this_run_has_loaded(
    shop: Database, load: Callable[..., Ran], bigquery: FakeBigQuery
) -> None:
    """Killed between the job and its record, and the source has got more rows."""
    bigquery.fail_queries = "insert into"
    load("--run", "monday", disposition="append").expect(4)
    shop.run("insert into shop.orders (id, at) values (101, now())")
    load("--run", "monday", disposition="append").expect(0)
    assert bigquery.rows("select count(*) from raw.orders") == [(100,)]
    assert bigquery.rows("select rows, read_rows from raw._windlass_loads") == [(100, 100)]


def test_a_merge_whose_staged_rows_are_gone_continues(
    load: Callable[..., Ran], bigquery: FakeBigQuery
) -> None:
    """Killed after it had cleaned up, and before the record."""
    load("--run", "monday", keep_files=True, **MERGE).expect(0)
    bigquery.database.execute("delete from raw._windlass_loads")
    load("--run", "monday", **MERGE).expect(0)
    assert bigquery.rows("select count(*) from raw.orders") == [(100,)]


def test_nothing_staged_stays_where_keys_are_not_unique(
    load: Callable[..., Ran], bigquery: FakeBigQuery
) -> None:
    words = {"relations": {"name": "shop.orders", "key": "d"}, "disposition": "merge"}
    assert "the same key (d)" in load(**words).expect(4).result["message"]
    assert bigquery.rows("select count(*) from raw.orders") == [(0,)]
    assert {table for _, table in bigquery.schemas} == {"orders", "_windlass_loads"}


def test_runs_of_one_name_in_one_project_do_not_meet(
    load: Callable[..., Ran], bigquery: FakeBigQuery
) -> None:
    """Into two data sets, and two relations whose tables' names look like steps."""
    bigquery.create_dataset("other")
    for dataset in ("raw", "other"):
        words = {"warehouse": bigquery.url(dataset), "disposition": "append"}
        load("--run", "monday", **words).expect(0)
        assert bigquery.rows(f"select count(*) from {dataset}.orders") == [(100,)]
    one = {"name": "shop.orders", "disposition": "merge"}
    query = {"name": "some", "query": "select 1 as a", "table": "orders_merge"}
    load("--run", "tuesday", relations=[one, query]).expect(0)
    assert bigquery.rows("select * from raw.orders_merge") == [(1,)]


def test_a_table_that_was_dropped_in_bigquery_is_merged_whole(
    load: Callable[..., Ran], bigquery: FakeBigQuery
) -> None:
    load(**MERGE).expect(0)
    bigquery.database.execute("drop table raw.orders")
    del bigquery.schemas["raw", "orders"]
    assert load(**MERGE).expect(0).result["rows"] == 100
    assert bigquery.rows("select count(*) from raw.orders") == [(100,)]


def test_a_job_that_still_runs_is_waited_for(
    load: Callable[..., Ran], bigquery: FakeBigQuery
) -> None:
    """The request failed, but the job continues, and the retry finds it."""
    bigquery.hold, bigquery.fail_polls = 2, 1
    load(disposition="append").expect(0)
    assert bigquery.rows("select count(*) from raw.orders") == [(100,)]
    assert len([one for one in bigquery.jobs if one.startswith("windlass_")]) == 1


def test_a_job_is_found_in_the_data_sets_location(
    load: Callable[..., Ran], bigquery: FakeBigQuery
) -> None:
    bigquery.create_dataset("near", "europe-west1")
    words = {"warehouse": bigquery.url("near"), "disposition": "append"}
    bigquery.fail_queries = "insert into"
    load("--run", "monday", **words).expect(4)
    load("--run", "monday", **words).expect(0)
    assert bigquery.rows("select count(*) from near.orders") == [(100,)]


def test_an_object_that_vanished_from_the_store_is_missed(
    load: Callable[..., Ran], bigquery: FakeBigQuery, s3: dict[str, str]
) -> None:
    """keep-files keeps them after a failure as well."""
    bigquery.fail_queries = "insert into"
    words = {"to": "gs://lake/vanishing", "keep_files": True}
    load("--run", "monday", **words).expect(4)
    (manifest, part) = _listed("s3://lake/vanishing", s3)
    assert manifest.endswith("manifest.json") and part.endswith("part-00001.parquet")
    obstore.delete(_store("s3://lake", s3), part)
    assert "has vanished" in load("--run", "monday", **words).expect(4).result["message"]


def test_bigquery_without_credentials_says_so(
    load: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    (problem,) = load(warehouse="bigquery://acme/raw").expect(3).result["problems"]
    assert "no credentials" in problem["message"]
    assert "GOOGLE_APPLICATION_CREDENTIALS" in problem["hint"]


def test_credentials_that_were_revoked_are_reported(
    load: Callable[..., Ran],
    bigquery: FakeBigQuery,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "word").write_text("of another cloud")
    account = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/pool",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{bigquery.endpoint}/token",
        "credential_source": {"file": str(tmp_path / "word")},
    }
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
    (problem,) = load(warehouse="bigquery://acme/raw").expect(3).result["problems"]
    assert "credentials are not accepted" in problem["message"]
    assert "invalid_grant" in problem["message"] and "renew" in problem["hint"]


def test_a_load_job_that_fails_half_way_is_followed_by_another(
    load: Callable[..., Ran], bigquery: FakeBigQuery
) -> None:
    bigquery.fail_loads = 2
    load(disposition="append").expect(0)
    assert bigquery.rows("select count(*) from raw.orders") == [(100,)]
    assert len([one for one in bigquery.jobs if one.startswith("windlass_")]) == 3


def test_a_data_set_that_is_not_there_is_refused(
    load: Callable[..., Ran], bigquery: FakeBigQuery
) -> None:
    (problem,) = load(warehouse=bigquery.url("nothing")).expect(3).result["problems"]
    assert "Not found: Dataset acme:nothing" in problem["message"]


def test_no_permission_is_refused(load: Callable[..., Ran], bigquery: FakeBigQuery) -> None:
    bigquery.forbidden = True
    (problem,) = load().expect(3).result["problems"]
    assert "no permission" in problem["message"] and "BigQuery Data Editor" in problem["hint"]


def test_a_table_that_does_not_fit_is_refused_with_every_column(
    load: Callable[..., Ran], bigquery: FakeBigQuery
) -> None:
    fields = [{"name": "id", "type": "STRING"}, {"name": "note", "type": "INTEGER"}]
    bigquery._create("raw", "orders", fields)
    (problem,) = load(disposition="append").expect(3).result["problems"]
    for reported in ("id is STRING, not INTEGER", "note is INTEGER, not STRING", "at (TIMESTAMP)"):
        assert reported in problem["message"]


def test_names_that_bigquery_does_not_take_are_refused(
    shop: Database, load: Callable[..., Ran]
) -> None:
    shop.run('create table shop."odd table" ("a b" int, "ü" int)')
    problems = load(relations="shop.odd*").expect(3).result["problems"]
    assert len(problems) == 3
