"""Checks the spec of a DAG when the DAG file is parsed: a fault is an import error, not a failed
run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from windlass.airflow.clouds import STORE, WAREHOUSE
from windlass.airflow.connections import ADDRESS, BY_ID, is_address
from windlass.airflow.inputs import addresses_in, store_of, with_sources
from windlass.airflow.operators import read_words, resolve_place
from windlass.airflow.templates import has_template, template_faults
from windlass.errors import BadSpec
from windlass.flows.registry import FLOWS
from windlass.flows.specs import check_flow, without_flow
from windlass.spec.yaml_file import read_yaml

PLACED = "postgresql://connection"  # takes the place of a connection while a spec is checked
_SECRET_WORDS = {  # in the query of a URL
    "password", "sslpassword", "credentials_base64", "token", "private_key_base64",
    "private_key_passphrase",
}  # fmt: skip
_SECRET = re.compile(r"secret|password|_key$|token$")  # an option of a store
SpecLike = Mapping[str, Any] | Path | str


def checked_export(
    spec: SpecLike, warehouse_conn_id: str = "", store_conn_id: str = ""
) -> dict[str, Any]:
    """The options of an export, checked. If the warehouse is a connection and neither BigQuery nor
    Snowflake, whose URLs are in the spec, it is checked as an export to PostgreSQL."""
    spec = read_spec(spec)
    warehouse = warehouse_conn_id if is_cloud_warehouse(spec) else ""
    logins = {STORE: store_conn_id, WAREHOUSE: warehouse}
    logins = {key: conn_id for key, conn_id in logins.items() if conn_id}
    if warehouse_conn_id and WAREHOUSE not in logins:
        placed = {"warehouse": PLACED}
        given = checked(FLOWS["export"], spec, ("source", "warehouse"), placed)
        given = {**given, "warehouse": warehouse_conn_id}
    else:
        given = checked(FLOWS["export"], spec, ("source",))
        if has_password(str(given.get("warehouse") or "")):
            raise BadSpec(["warehouse: holds a password; use a connection, warehouse_conn_id"])
    check_store(given)
    return {**given, **logins}


def checked_load(
    spec: SpecLike, target_conn_id: str = "", store_conn_id: str = ""
) -> dict[str, Any]:
    """The options of a load, checked. Without a connection, its target is a file that the spec
    names."""
    spec = read_spec(spec)
    sides = ("target",) if target_conn_id else ()
    if not sides and "target" not in spec:
        raise BadSpec(["target: not given; give target_conn_id, or a file such as sqlite:///path"])
    given = checked(FLOWS["load"], spec, sides, dict.fromkeys(sides, PLACED))
    check_inputs(given, store_conn_id)
    return {**given, **({STORE: store_conn_id} if store_conn_id else {})}


def check_inputs(words: Mapping[str, Any], store_conn_id: str = "") -> None:
    """Check the addresses of inputs.

    Raises:
        BadSpec: an address has a password, or the store's connection is for none of the inputs.
    """
    places = [*addresses_in(words), ("target", str(words.get("target") or ""))]
    faults = [
        f"{place}: holds a password; use a connection"
        for place, address in places
        if has_password(address)
    ]
    if store_conn_id and not store_of(words):
        faults.append("store_conn_id: no input is in an object store")
    if faults:
        raise BadSpec(faults)
    for one in (words, *(words.get("loads") or ())):
        check_store(one)


def check_store(words: Mapping[str, Any]) -> None:
    """Check the options of a store.

    Raises:
        BadSpec: the options of a store hold a secret.
    """
    options = words.get("store_options") or words.get("store-options") or {}
    if secrets := sorted(key for key in options if _SECRET.search(str(key).lower())):
        held = ", ".join(secrets)
        raise BadSpec([f"store-options: holds secrets ({held}); use a connection, store_conn_id"])


def take_logins(given: dict[str, str], spec: Mapping[str, Any]) -> dict[str, str]:
    """Take the connections of clouds out of the given ones."""
    logins = {STORE: given.pop("store", "")}
    if is_cloud_warehouse(spec):
        logins[WAREHOUSE] = given.pop("warehouse", "")
    return {key: conn_id for key, conn_id in logins.items() if conn_id}


def check_ids(connections: Mapping[str, Any]) -> None:
    """Check ids of connections: Airflow stores them with the DAG, and shows them.

    Raises:
        BadSpec: one is an address, which may hold a password.
    """
    faults = [
        f"{key}: {ADDRESS} ({BY_ID})"
        for key, reference in connections.items()
        if isinstance(reference, str)
        and ("://" in reference or (is_address(reference) and not has_template(reference)))
    ]
    if faults:
        raise BadSpec(faults)


def is_cloud_warehouse(words: Mapping[str, Any]) -> bool:
    """One whose URL is in the spec, and for which a connection has the credentials."""
    return str(words.get("warehouse") or "").startswith(("bigquery://", "snowflake://"))


def read_spec(spec: SpecLike) -> dict[str, Any]:
    """Read the spec in a file.

    Raises:
        BadSpec: the file cannot be read.
    """
    if isinstance(spec, Mapping):
        return dict(spec)
    path = Path(spec)
    if not path.is_absolute() and not path.exists():
        beside = f'Path(__file__).with_name("{path.name}")'  # an import error shows no hint
        raise BadSpec([f"{path}: not in {Path.cwd()}; for a file beside the DAG's give {beside}"])
    return read_yaml(path)


def has_password(address: str) -> bool:
    """Whether a URL, or libpq's `host=... password=...`, contains a password."""
    if re.match(r"\s*[a-z_]+\s*=", address):
        return re.search(r"(^|\s)(ssl)?password\s*=", address) is not None
    found = urlsplit(address)
    asked = {key for key, _ in parse_qsl(found.query)}
    is_secret = asked & _SECRET_WORDS or any(map(_SECRET.search, asked))  # `s3.secret-access-key`
    return found.password is not None or bool(is_secret)


def checked(
    flow: str,
    spec: SpecLike | None,
    connections: Sequence[str] = ("source", "target"),
    placed: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A spec's options, checked: faults are an import error, not a failed run. `placed` takes the
    place of connections in the check."""
    if spec is None:
        return {}
    words = read_spec(spec)
    model = resolve_place(flow).spec
    check_flow(resolve_place(model).flow, words)
    words = without_flow(words)
    sides = [side for side in connections if side in words]
    if sides:
        raise BadSpec([f"{side}: give the id of a connection instead" for side in sides])
    if faults := list(template_faults(words)):
        raise BadSpec(faults)
    _check_plain(model, with_sources(words, lambda _: PLACED), placed or {})
    return words


def _check_plain(model: str, words: Mapping[str, Any], placed: Mapping[str, str]) -> None:
    """Check everything that is known now. Values with Jinja are checked when a task has rendered
    them.

    Raises:
        BadSpec: with every fault.
    """
    later = {key: "{{}}" for key, value in words.items() if has_template(value)}
    try:
        read_words(model, {**words, **later, **placed})
    except BadSpec as error:
        if not later:
            raise
        # a list of a whole spec, or an option that is rendered later, may have another type then
        sure = {key.replace("_", "-") for key in words.keys() - later.keys()}
        faults = [
            fault
            for fault in error.faults
            if fault.startswith("unknown key") or re.split(r"[:.]", fault)[0] in sure
        ]
        if faults:
            raise BadSpec(faults, hint=error.hint) from None
