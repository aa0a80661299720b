"""What a warehouse of Snowflake is reached with, and how names, types and errors are written. No
server."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import rsa
from psycopg import sql
from snowflake.connector import errors as faults

from windlass.engines.snowflake.address import SECRETS, Address
from windlass.engines.snowflake.errors import explaining
from windlass.engines.snowflake.names import alike, shown, stored
from windlass.engines.snowflake.tables import how_it_fits
from windlass.engines.snowflake.types import accepts, can_become, type_of, value_of
from windlass.errors import BadSpec, ConnectionLost, WindlassError
from windlass.model.export import Column, Export, Kind, Rules
from windlass.model.fit import TableColumn

URL = "snowflake://app:hunter2%2F@Org-Acct/Shop/raw?warehouse=wh&role=loader"


def test_a_url_is_what_the_connector_takes() -> None:
    address = Address.parse(URL)
    given = address.arguments()
    wanted = {
        "account": "org-acct", "user": "app", "password": "hunter2/", "database": '"Shop"',
        "schema": "RAW", "warehouse": "wh", "role": "loader", "paramstyle": "qmark",
    }  # fmt: skip
    assert given.items() >= wanted.items() and "authenticator" not in given
    assert given["session_parameters"]["TIMEZONE"] == "UTC"
    assert address.place == "Snowflake org-acct Shop.raw"
    assert "hunter2" not in repr(address)


@pytest.mark.parametrize(
    ("url", "into", "schema"),
    [
        ("snowflake://a@acct/db", "", "PUBLIC"),
        ("snowflake://a@acct/db", "mart", "MART"),
        ("snowflake://a@acct/db/raw", "RAW", "RAW"),
        ("snowflake://a@acct/db/My%20Own", "", '"My Own"'),
        ('snowflake://a@acct.snowflakecomputing.com/db/a"b', "", '"a""b"'),
    ],
)
def test_the_schema_is_the_urls_or_into(
    url: str, into: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNOWFLAKE_PASSWORD", "hunter2")
    given = Address.parse(url, into).arguments()
    assert (given["schema"], given["account"]) == (schema, "acct")
    assert given["password"] == "hunter2"


@pytest.mark.parametrize(
    ("url", "into", "said"),
    [
        ("snowflake://app@acct", "", "the account, the database and the schema"),
        ("snowflake://app@acct/db/schema/table", "", "the account, the database"),
        ("snowflake://acct/db", "", "the user is missing"),
        ("snowflake://app:hunter2@acct/db?passcode=hunter2", "", "unknown: passcode"),
        ("snowflake://app:hunter2@acct/db/raw", "mart", "`into` names another"),
        (
            "snowflake://a@acct/db?private_key_path=x&private_key_base64=hunter2",
            "",
            "more than one",
        ),
    ],
)
def test_what_is_no_warehouse_is_refused_without_its_secrets(
    url: str, into: str, said: str
) -> None:
    with pytest.raises(BadSpec) as refused:
        Address.parse(url, into)
    assert said in str(refused.value) and "hunter2" not in str(refused.value)


def _pem(passphrase: bytes = b"") -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    how: Any = forms.BestAvailableEncryption(passphrase) if passphrase else forms.NoEncryption()
    return key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, how)


def test_a_private_key_is_read_with_its_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key.p8"
    path.write_bytes(_pem(b"hunter2"))
    url = f"snowflake://app@acct/db?private_key_path={path}"
    with pytest.raises(WindlassError, match="the private key cannot be read"):
        Address.parse(url).arguments()
    monkeypatch.setenv("SNOWFLAKE_PRIVATE_KEY_PASSPHRASE", "hunter2")
    given = Address.parse(url).arguments()
    assert given["authenticator"] == "SNOWFLAKE_JWT" and "password" not in given
    assert forms.load_der_private_key(given["private_key"], None)
    packed = base64.urlsafe_b64encode(b"no key").decode()
    with pytest.raises(WindlassError, match="cannot be read"):
        Address.parse(f"snowflake://app@acct/db?private_key_base64={packed}").arguments()


def test_a_token_is_the_urls_a_files_or_the_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "snowflake://acct/db?authenticator=oauth"
    with pytest.raises(WindlassError, match="no token"):
        Address.parse(url).arguments()
    (tmp_path / "token").write_text("from-a-file\n")
    assert Address.parse(f"{url}&token=x").arguments()["token"] == "x"
    path = f"{url}&token_path={tmp_path}/token"
    assert Address.parse(path).arguments()["token"] == "from-a-file"
    monkeypatch.setenv("SNOWFLAKE_TOKEN", "env")
    assert Address.parse(url).arguments()["token"] == "env"
    with pytest.raises(WindlassError, match="cannot read /nowhere/token"):
        Address.parse(f"{url}&token_path=/nowhere/token").arguments()


def test_without_credentials_a_login_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SNOWFLAKE_PASSWORD", raising=False)
    with pytest.raises(WindlassError, match="no credentials"):
        Address.parse("snowflake://app@acct/db").arguments()


def test_airflow_refuses_every_secret_of_a_url_in_a_dag() -> None:
    pytest.importorskip("airflow")
    from windlass.airflow.checking import has_password

    for key in SECRETS:
        assert has_password(f"snowflake://app@acct/db?{key}=hunter2")


# names


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("orders", "ORDERS"), ("_a1$", "_A1$"), ("Orders", "Orders"), ("a b", "a b"),
        ("ORDERS", "ORDERS"), ("ünï", "ünï"), ("1a", "1a"), ('a"b', 'a"b'),
    ],
)  # fmt: skip
def test_plain_names_are_stored_in_upper_case(name: str, kept: str) -> None:
    assert stored(name) == kept
    assert shown(kept).strip('"').casefold() == name.casefold()


def test_names_that_differ_by_case_only_are_found() -> None:
    assert alike("orders", ["orders", "x"]) == "orders"
    assert alike("Orders", ["ORDERS"]) == "ORDERS"
    assert alike("orders", ["ORDERS", "orders"]) == ""
    assert (shown("orders"), shown("ORDERS"), shown("Or ders")) == ('"orders"', "orders", "Or ders")


# types


def column(kind: Kind, precision: int = 0, scale: int = 0) -> Column:
    return Column("c", "", kind, False, precision, scale)


@pytest.mark.parametrize(
    ("kind", "there", "fits"),
    [
        (Kind.TEXT, "VARCHAR(16777216)", True),
        (Kind.TEXT, "VARCHAR(134217728)", True),
        (Kind.TEXT, "VARCHAR(100)", False),
        (Kind.TEXT, "VARIANT", False),
        (Kind.JSON, "VARIANT", True),
        (Kind.JSON, "ARRAY", True),
        (Kind.BYTES, "BINARY(8388608)", True),
        (Kind.BYTES, "BINARY(16)", False),
        (Kind.INSTANT, "TIMESTAMP_LTZ(9)", True),
        (Kind.INSTANT, "TIMESTAMP_NTZ(9)", False),
        (Kind.TIMESTAMP, "TIMESTAMP_NTZ(6)", True),
        (Kind.TIMESTAMP, "TIMESTAMP_NTZ(3)", False),
        (Kind.TIME, "TIME(9)", True),
        (Kind.INT64, "NUMBER(38,0)", True),
        (Kind.INT64, "NUMBER(10,0)", False),
        (Kind.FLOAT32, "FLOAT", True),
        (Kind.DATE, "DATE", True),
        (Kind.DATE, "GEOGRAPHY", False),
    ],
)
def test_a_column_that_was_made_before_takes_all_values_or_is_refused(
    kind: Kind, there: str, fits: bool
) -> None:
    assert accepts(column(kind), there) is fits


def test_decimals_have_as_many_digits_as_the_source() -> None:
    assert type_of(column(Kind.DECIMAL, 12, 3)) == "NUMBER(12,3)"
    assert accepts(column(Kind.DECIMAL, 12, 3), "NUMBER(12,3)")
    assert not accepts(column(Kind.DECIMAL, 12, 3), "NUMBER(13,3)")


@pytest.mark.parametrize(
    ("old", "new", "can"),
    [
        ("NUMBER(10,2)", "NUMBER(12,2)", True),
        ("NUMBER(10,2)", "NUMBER(12,3)", False),
        ("NUMBER(12,2)", "NUMBER(10,2)", False),
        ("VARCHAR(10)", "VARCHAR(16777216)", True),
        ("FLOAT", "NUMBER(38,0)", False),
        ("TIMESTAMP_NTZ(3)", "TIMESTAMP_NTZ(9)", False),
        ("GEOGRAPHY", "GEOGRAPHY", False),
    ],
)
def test_only_digits_before_the_point_and_lengths_grow_in_place(
    old: str, new: str, can: bool
) -> None:
    assert can_become(old, new) is can


def test_json_is_parsed_for_columns_of_its_types() -> None:
    name = sql.Identifier("C1")
    written = {there: value_of(name, column(Kind.JSON), there).as_string(None)
               for there in ("VARIANT", "ARRAY", "VARCHAR(16777216)")}  # fmt: skip
    assert written == {
        "VARIANT": 'parse_json("C1")',
        "ARRAY": 'parse_json("C1")::ARRAY',
        "VARCHAR(16777216)": '"C1"',
    }


def test_a_table_with_a_column_in_quotes_of_another_case_does_not_fit() -> None:
    columns = (Column("id", "bigint", Kind.INT64),)
    export = Export("t", "t", "", columns, "append", rules=Rules("add"))
    found = how_it_fits(export, {"id": TableColumn("NUMBER(38,0)")})
    assert [one.message for one in found.problems] == ['id exists as "id": only their case differs']
    assert not how_it_fits(export, {"ID": TableColumn("NUMBER(38,0)")}).problems


# errors


@pytest.mark.parametrize(
    ("error", "retryable", "said"),
    [
        (faults.OperationalError("gone", errno=250003), True, "network"),
        (faults.DatabaseError("Incorrect username or password", errno=250001), False, "check user"),
        (faults.ProgrammingError("locked", errno=625, sqlstate="57014"), True, "show locks"),
        (faults.ProgrammingError("No active warehouse", errno=606), False, "?warehouse="),
        (faults.ProgrammingError("Insufficient privileges", errno=3001), False, "grant it"),
        (faults.ProgrammingError("Object 'X' does not exist", errno=2003), False, "?role="),
        (ConnectionResetError("reset"), True, ""),
    ],
)
def test_errors_say_what_to_do_and_whether_it_is_tried_again(
    error: Exception, retryable: bool, said: str
) -> None:
    with pytest.raises(WindlassError) as raised, explaining("Snowflake a b.c", "loading t"):
        raise error
    assert isinstance(raised.value, ConnectionLost) is retryable
    assert str(raised.value).startswith("Snowflake a b.c: loading t: ")
    assert said in raised.value.hint


def test_errors_show_no_value_of_a_row() -> None:
    fault = faults.ProgrammingError(
        "Numeric value 'hunter2' is not recognized", errno=100038, sqlstate="22018"
    )
    with pytest.raises(WindlassError) as raised, explaining("Snowflake a b.c", "loading t"):
        raise fault
    assert "hunter2" not in str(raised.value) and "is not recognized" in str(raised.value)
