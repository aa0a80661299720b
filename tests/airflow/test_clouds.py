"""Connections of Airflow's as credentials of stores and warehouses."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from typing import Any

import pytest

from reading_dags import airflow_process
from windlass.errors import BadSpec, WindlassError

KEY = {"type": "service_account", "private_key": "hunter2", "client_email": "a@b"}
GOOGLE = {"conn_type": "google_cloud_platform"}
STORES = {"gs": "gs://lake/x", "s3": "s3://lake/x", "az": "az://lake/x"}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    with airflow_process(tmp_path_factory.mktemp("airflow")) as found:
        yield found


def login(url: str, connection: Mapping[str, Any]) -> dict[str, str] | str:
    """The options of a store, or why there are none. In Airflow's process."""
    from windlass.airflow.clouds import store_login

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_CLOUD", json.dumps(connection))
        try:
            return store_login("cloud", url)
        except WindlassError as error:
            return f"{error} ({error.hint})"


@pytest.mark.parametrize(
    ("scheme", "connection", "options"),
    [
        (
            "gs",
            {**GOOGLE, "extra": {"keyfile_dict": KEY}},
            {"service_account_key": json.dumps(KEY)},
        ),
        (
            "gs",
            {**GOOGLE, "extra": {"extra__google_cloud_platform__keyfile_dict": json.dumps(KEY)}},
            {"service_account_key": json.dumps(KEY)},
        ),
        (
            "gs",
            {**GOOGLE, "extra": {"key_path": "/srv/key.json", "project": "acme", "num_retries": 5}},
            {"application_credentials": "/srv/key.json"},
        ),
        (
            "gs",
            {**GOOGLE, "extra": {"credential_config_file": "/srv/pool.json"}},
            {"application_credentials": "/srv/pool.json"},
        ),
        ("gs", GOOGLE, {}),
        (
            "s3",
            {
                "conn_type": "aws", "login": "AKIA", "password": "hunter2",
                "extra": {"region_name": "eu-central-1", "endpoint_url": "http://minio:9000"},
            },
            {
                "access_key_id": "AKIA", "secret_access_key": "hunter2", "region": "eu-central-1",
                "endpoint": "http://minio:9000",
            },
        ),
        (
            "s3",
            {
                "conn_type": "aws",
                "extra": {
                    "aws_access_key_id": "AKIA", "aws_secret_access_key": "hunter2",
                    "aws_session_token": "t",
                },
            },
            {"access_key_id": "AKIA", "secret_access_key": "hunter2", "session_token": "t"},
        ),
        (
            "az",
            {"conn_type": "wasb", "login": "acme", "password": "hunter2"},
            {"account_name": "acme", "account_key": "hunter2"},
        ),
        (
            "az",
            {
                "conn_type": "wasb", "login": "app", "password": "hunter2",
                "host": "https://acme.blob.core.windows.net/", "extra": {"tenant_id": "t"},
            },
            {
                "account_name": "acme", "tenant_id": "t", "client_id": "app",
                "client_secret": "hunter2",
            },
        ),
        (
            "az",
            {"conn_type": "wasb", "login": "acme", "extra": {"sas_token": "?sv=hunter2"}},
            {"account_name": "acme", "sas_key": "sv=hunter2"},
        ),
        (
            "az",
            {
                "conn_type": "wasb",
                "extra": {"connection_string": "AccountName=acme;AccountKey=aHVudGVyMg==;X=y"},
            },
            {"account_name": "acme", "account_key": "aHVudGVyMg=="},
        ),
    ],
)  # fmt: skip
def test_a_connection_becomes_the_options_of_its_store(
    scheme: str, connection: Any, options: Any, process: Executor
) -> None:
    assert process.submit(login, STORES[scheme], connection).result() == options


@pytest.mark.parametrize(
    ("scheme", "connection", "said"),
    [
        (
            "gs",
            {"conn_type": "aws", "password": "hunter2"},
            "use a connection of type google_cloud",
        ),
        ("s3", {**GOOGLE}, "use a connection of type aws for s3://"),
        (
            "s3",
            {"conn_type": "aws", "password": "hunter2", "extra": {"role_arn": "arn:x"}},
            "has settings that Windlass does not support: role_arn",
        ),
        (
            "gs",
            {**GOOGLE, "extra": {"impersonation_chain": "a@b", "keyfile_dict": KEY}},
            "does not support: impersonation_chain",
        ),
        (
            "gs",
            {**GOOGLE, "extra": {"key_path": "/x", "keyfile_dict": KEY}},
            "has more than one of",
        ),
        (
            "az",
            {"conn_type": "wasb", "extra": {"connection_string": "x=hunter2"}},
            "no AccountName",
        ),
    ],
)
def test_what_a_connection_asks_for_is_never_left_out(
    scheme: str, connection: Any, said: str, process: Executor
) -> None:
    found = process.submit(login, STORES[scheme], connection).result()
    assert said in found and "hunter2" not in found


def words(given: dict[str, Any]) -> dict[str, Any]:
    from windlass.airflow.clouds import with_logins

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_CLOUD", json.dumps({**GOOGLE, "extra": {"keyfile_dict": KEY}}))
        patch.setenv("AIRFLOW_CONN_FILE", json.dumps({**GOOGLE, "extra": {"key_path": "/a&b"}}))
        return with_logins(given)


def test_bigquery_and_its_store_take_a_connection_s_credentials(process: Executor) -> None:
    given = {
        "to": "gs://lake/x", "warehouse": "bigquery://acme/raw?location=EU",
        "store_options": {"base_url": "http://x"}, "store_login": "cloud",
        "warehouse_login": "cloud",
    }  # fmt: skip
    found = process.submit(words, given).result()
    key = json.dumps(KEY)
    assert found["store_options"] == {"service_account_key": key, "base_url": "http://x"}
    url, _, packed = found["warehouse"].partition("&credentials_base64=")
    assert url == "bigquery://acme/raw?location=EU"
    assert base64.b64decode(packed.replace("%3D", "=").replace("%2F", "/").replace("%2B", "+"))
    assert not {"store_login", "warehouse_login"} & set(found)
    given = {"warehouse": "bigquery://acme/raw", "warehouse_login": "file"}
    found = process.submit(words, given).result()
    assert found["warehouse"] == "bigquery://acme/raw?credentials_path=%2Fa%26b"


def test_the_credentials_in_a_warehouse_s_url_are_what_bigquery_opens_with() -> None:
    pytest.importorskip("google.cloud.bigquery")
    from windlass.engines.bigquery.target import open_target

    packed = base64.b64encode(json.dumps(KEY).encode()).decode()
    target = open_target(f"bigquery://acme/raw?credentials_base64={packed}", "")
    assert target._credentials.info == json.dumps(KEY) and "hunter2" not in repr(target.__dict__)
    with pytest.raises(BadSpec, match="credentials_base64"):
        open_target("bigquery://acme/raw?credentials_base64=%21", "")


# in a DAG


def exporting(spec: dict[str, Any], **options: Any) -> dict[str, Any] | list[str]:
    """What the tasks are given, or what is wrong."""
    from windlass.airflow import export_dag

    try:
        task: Any = export_dag("shop", spec=spec, **options).get_task("load")
    except BadSpec as error:
        return list(error.faults)
    return {**task.given, "connections": task.connections}


BIGQUERY = {"to": "gs://lake/x", "warehouse": "bigquery://acme/raw", "relations": ["a"]}


def test_a_dag_names_the_connections_and_holds_no_credentials(process: Executor) -> None:
    options = {"store_conn_id": "cloud", "warehouse_conn_id": "cloud"}
    found = process.submit(exporting, BIGQUERY, **options).result()
    assert found == {
        **BIGQUERY, "store_login": "cloud", "warehouse_login": "cloud", "connections": ("source",),
    }  # fmt: skip


@pytest.mark.parametrize(
    "spec",
    [
        {**BIGQUERY, "store_options": {"service_account_key": "hunter2"}},
        {**BIGQUERY, "to": "s3://x/y", "warehouse": None,
         "store_options": {"secret_access_key": "hunter2", "access_key_id": "AKIA"}},
        {**BIGQUERY, "warehouse": "bigquery://acme/raw?credentials_base64=hunter2"},
    ],
)  # fmt: skip
def test_credentials_do_not_stand_in_a_dag(spec: dict[str, Any], process: Executor) -> None:
    (fault,) = process.submit(exporting, spec).result()
    assert "conn_id" in fault and "hunter2" not in fault


def test_a_yaml_file_names_them_too(process: Executor) -> None:
    connections = {"source": "shop", "store": "cloud", "warehouse": "cloud"}
    found = process.submit(of_yaml, connections).result()
    assert (found["store_login"], found["warehouse_login"]) == ("cloud", "cloud")
    assert found["warehouse"] == "bigquery://acme/raw"


def of_yaml(connections: dict[str, str]) -> dict[str, Any]:
    from windlass.airflow.factory import spec_dag

    task: Any = spec_dag("export", "shop", spec=BIGQUERY, connections=connections).get_task("load")
    return dict(task.given)


SNOWFLAKE = {"conn_type": "snowflake", "login": "app", "password": "hunter2/"}
PLACE = "snowflake://acct/shop/raw"


def warehouse_login(connection: Mapping[str, Any], url: str = PLACE) -> str:
    """The URL of a warehouse with a connection's credentials, or why it has none. In Airflow's
    process."""
    from windlass.airflow.clouds import with_logins

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_CLOUD", json.dumps(connection))
        try:
            return str(with_logins({"warehouse": url, "warehouse_login": "cloud"})["warehouse"])
        except WindlassError as error:
            return f"{error} ({error.hint})"


@pytest.mark.parametrize(
    ("extra", "url", "wanted"),
    [
        ({}, PLACE, "snowflake://app:hunter2%2F@acct/shop/raw"),
        (
            {"account": "ACCT", "warehouse": "wh", "role": "r", "database": "other"},
            f"{PLACE}?role=mine",
            "snowflake://app:hunter2%2F@acct/shop/raw?role=mine&warehouse=wh",
        ),
        (
            {"account": "acct", "region": "eu", "extra__snowflake__private_key_file": "/srv/k.p8"},
            "snowflake://acct.eu/shop",
            "snowflake://app@acct.eu/shop?private_key_path=%2Fsrv%2Fk.p8"
            "&private_key_passphrase=hunter2%2F",
        ),
        (
            {"private_key_content": "YQ==", "authenticator": "snowflake_jwt"},
            PLACE,
            "snowflake://app@acct/shop/raw?private_key_base64=YQ%3D%3D"
            "&private_key_passphrase=hunter2%2F",
        ),
        ({"account": "other"}, PLACE, "is for the account other, the warehouse's URL for acct"),
        ({"authenticator": "oauth"}, PLACE, "does not support its authenticator, oauth"),
        ({"refresh_token": "hunter2"}, PLACE, "does not support: refresh_token"),
        ({"session_parameters": {"A": 1}}, PLACE, "does not support: session_parameters"),
    ],
)
def test_a_snowflake_warehouse_takes_a_connection_s_credentials(
    extra: dict[str, Any], url: str, wanted: str, process: Executor
) -> None:
    found = process.submit(warehouse_login, {**SNOWFLAKE, "extra": extra}, url).result()
    assert found == wanted if wanted.startswith("snowflake://") else wanted in found
    if found.startswith("snowflake://"):
        from windlass.engines.snowflake.address import Address

        assert Address.parse(found).user == "app"
    else:
        assert "hunter2" not in found
