"""The files of deploy/, as far as they can be checked without containers."""

from __future__ import annotations

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
import yaml

from needs import needs_airflow, needs_program
from paths import ROOT

DEPLOY = ROOT / "deploy"
OURS = "WINDLASS"  # the section of Airflow's settings


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = read("compose.yaml")
    return found


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    found: dict[str, Any] = read("values.yaml")
    return found


def settings_of(compose: dict[str, Any]) -> dict[str, str]:
    """Airflow's, of each service that has some."""
    return {
        key: str(value)
        for service in compose["services"].values()
        for key, value in service.get("environment", {}).items()
        if key.startswith("AIRFLOW__")
    }


def test_every_service_waits_for_services_that_are_there(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= set(services), name


def test_every_variable_of_compose_is_in_the_example_of_its_settings() -> None:
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    assert used
    given = set(re.findall(r"(?m)^#?(\w+)=", (DEPLOY / "env.example").read_text()))
    assert used == given


def test_every_setting_is_one_that_airflow_knows(
    compose: dict[str, Any], values: dict[str, Any]
) -> None:
    needs_airflow()
    known = known_settings()
    asked = {tuple(key.removeprefix("AIRFLOW__").lower().split("__")) for key in
             settings_of(compose)}  # fmt: skip
    asked |= {(section, key) for section, keys in values["config"].items() for key in keys}
    free = (OURS.lower(), "celery_broker_transport_options")  # whose keys no list has
    assert {one for one in asked - known if one[0] not in free} == set()


def known_settings() -> set[tuple[str, ...]]:
    """Of Airflow, and of the providers that the files name."""
    spec = find_spec("airflow")
    assert spec and spec.submodule_search_locations
    airflow = Path(spec.submodule_search_locations[0])
    core = airflow / "config_templates" / "config.yml"
    sections = yaml.load(core.read_text(), yaml.CSafeLoader)  # in C, a second less
    for provider in ("celery",):
        # read, not imported: that would load Airflow
        module = run_path(str(airflow / "providers" / provider / "get_provider_info.py"))
        sections |= module["get_provider_info"]()["config"]
    found = {(section, key) for section, words in sections.items() for key in words["options"]}
    return found | {("kubernetes_executor", "worker_pods_creation_batch_size")}


def test_the_deployment_makes_the_pool_that_the_dags_use(
    compose: dict[str, Any], values: dict[str, Any]
) -> None:
    pool = settings_of(compose)["AIRFLOW__WINDLASS__POOL"]
    assert f"airflow pools set {pool} " in compose["services"]["init"]["command"][-1]
    pool, slots = values["config"]["windlass"]["pool"], values["config"]["windlass"]["max_parallel"]
    assert f"airflow pools set {pool} {slots} " in values["migrateDatabaseJob"]["args"][-1]


def test_the_schedulers_start_together_what_the_workers_can_take(values: dict[str, Any]) -> None:
    example = dict(re.findall(r"(?m)^(\w+)=(\d+)$", (DEPLOY / "env.example").read_text()))
    number = {key: int(value) for key, value in example.items()}
    slots = number["WORKERS"] * number["WORKER_CONCURRENCY"]
    assert number["PARALLELISM"] * number["SCHEDULERS"] == slots
    assert number["SCHEDULERS"] > 1
    config, replicas = values["config"], values["scheduler"]["replicas"]
    slots = values["workers"]["celery"]["replicas"] * config["celery"]["worker_concurrency"]
    assert int(config["core"]["parallelism"]) * replicas == slots
    assert replicas > 1


def test_nobody_reaches_the_broker_without_tls(compose: dict[str, Any]) -> None:
    broker = settings_of(compose)["AIRFLOW__CELERY__BROKER_URL"]
    assert broker.startswith("rediss://") and "ssl_cert_reqs=required" in broker
    assert "\nport 0\n" in compose["configs"]["redis"]["content"]


def test_a_certificate_is_kept_until_its_names_change(tmp_path: Path) -> None:
    needs_program("openssl")

    def made(*names: str) -> bytes:
        words: list[str | Path] = [DEPLOY / "certificates.sh", tmp_path / "it", *names]
        subprocess.run(words, check=True, capture_output=True)
        return (tmp_path / "it" / "redis.crt").read_bytes()

    first = made("redis", "10.0.0.5")
    assert made("redis", "10.0.0.5") == first
    assert made("redis", "10.0.0.6") != first
    shown: list[str | Path] = [
        "openssl",
        "x509",
        "-in",
        tmp_path / "it" / "redis.crt",
        "-noout",
        "-text",
    ]
    text = subprocess.run(shown, check=True, capture_output=True, text=True).stdout
    assert "DNS:redis, IP Address:10.0.0.6" in text
    assert not (tmp_path / "it" / "ca.key").exists()
    assert (tmp_path / "it" / "redis.key").stat().st_mode & 0o077 == 0
